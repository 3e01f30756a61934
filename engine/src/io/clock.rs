//! Time: a monotonic instant in nanoseconds, and the wall clock for log lines.
//!
//! The pure steps never read a clock: they are handed an [`Instant`] called `now`. This module is
//! the only one that asks the kernel, through the vDSO (about 20 ns, no system call).

use std::cell::Cell;
use std::ops::{Add, Sub};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// A point on the monotonic clock, in nanoseconds. Zero is the default and means "not reached"
/// where a record of phases says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant that no clock reaches: a deadline that never passes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The instant `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The instant so long after this; [`Instant::NEVER`] when that is too long for the clock. What
    /// `+` gives, for the pure steps, in which every sum says what becomes of an overflow.
    pub fn after(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: a duration too long for the clock gives [`Instant::NEVER`].
    fn add(self, duration: Duration) -> Self {
        self.after(duration)
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// The monotonic clock now. *Cost:* about 20 ns, no system call.
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Instant(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

thread_local! {
    /// When this shard's batch began.
    static RECENT: Cell<Instant> = const { Cell::new(Instant(0)) };
}

/// The monotonic clock when this shard's batch of completions began: never ahead of [`now`], at
/// most a batch behind, and free to read. For deadlines; phases are measured with [`now`].
pub fn recent() -> Instant {
    let recent = RECENT.get();
    if recent == Instant::default() {
        now()
    } else {
        recent
    }
}

thread_local! {
    /// How long what arrives at this shard waits.
    static LAG: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// How long what arrives at this shard waits for its turn, as far as that was seen; zero on one
/// that is idle for most of the time. Free to read.
pub fn lag() -> Duration {
    LAG.get()
}

pub(super) fn set_lag(lag: Duration) {
    LAG.set(lag);
}

/// A batch begins.
pub(super) fn set_recent(now: Instant) {
    RECENT.set(now);
}

/// The wall clock now; for log lines and the `Date` field, never for measuring.
pub fn wall() -> SystemTime {
    SystemTime::now()
}
