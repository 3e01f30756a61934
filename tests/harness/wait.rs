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

/// The same for other people's programs that take their time.
const LONG_PATIENCE: Duration = Duration::from_secs(600);

/// The value that `look` finds, or a failed test that says what was waited for.
pub(crate) fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look)
}

fn within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `holds`, for a program that takes its time.
pub(crate) fn long(what: &str, mut holds: impl FnMut() -> bool) {
    within(LONG_PATIENCE, what, || holds().then_some(()));
}

/// Waits until `holds`.
pub(crate) fn for_(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}

/// Lets time pass in which nothing must happen.
pub(crate) fn pass(time: Duration) {
    thread::sleep(time);
}
