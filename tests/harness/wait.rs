//! Waiting for a condition, never for an amount of time.
//!
//! The only place where a test sleeps. A condition that does not come true within [`PATIENCE`]
//! fails the test with its own words; the length of the wait is never asserted. [`pass`] is for the
//! opposite: a while in which nothing must happen.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long a condition may take before the test is held to hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The value that `look` finds, or a failed test that says what was waited for.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `holds`.
pub(crate) fn for_(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}

/// Lets time pass in which nothing must happen.
pub(crate) fn pass(time: Duration) {
    thread::sleep(time);
}
