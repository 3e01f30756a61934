//! How much a caller may send: the token bucket, as the generic cell rate algorithm.
//!
//! A bucket is one number: the time at which it is full again (GCRA's *theoretical arrival time*,
//! ITU-T I.371 Annex A). A request moves it on by one interval, and passes if it was not further
//! in the future than the burst allows. Times are counted in halves of the interval between two
//! tokens, so that rates that are no whole number of nanoseconds are kept to exactly; the price is
//! that a token may come half an interval late.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::io::Instant;

/// Ticks between two tokens.
const TICKS: u64 = 2;

/// A time in ticks of a limit, from the clock's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticks(pub(super) u64);

/// A rate and a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    requests: NonZeroU32,
    /// In nanoseconds; not 0.
    per: u64,
    burst: NonZeroU32,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It passes, and this is when the bucket is full again.
    Passes(Ticks),
    /// It does not, before this has passed.
    Refused(Duration),
}

impl Rate {
    /// So many requests in each `per`, `burst` of them at once.
    pub(super) fn new(requests: NonZeroU32, per: Duration, burst: NonZeroU32) -> Self {
        Self {
            requests,
            per: u64::try_from(per.as_nanos()).unwrap_or(u64::MAX).max(1),
            burst,
        }
    }

    /// The last tick that has passed at `now`.
    pub(super) fn ticks(self, now: Instant) -> Ticks {
        let ticks = u128::from(now.nanos())
            .saturating_mul(u128::from(self.requests.get()))
            .saturating_mul(u128::from(TICKS))
            .checked_div(u128::from(self.per));
        Ticks(
            ticks
                .and_then(|ticks| u64::try_from(ticks).ok())
                .unwrap_or(u64::MAX),
        )
    }

    /// Takes a token of a bucket that is full again at `full_at`.
    pub(super) fn take(self, full_at: Ticks, now: Ticks) -> Taken {
        let may_wait = u64::from(self.burst.get())
            .saturating_sub(1)
            .saturating_mul(TICKS);
        let ahead = full_at.0.saturating_sub(now.0);
        match ahead.checked_sub(may_wait) {
            Some(early) if early > 0 => Taken::Refused(self.duration(early)),
            _ => Taken::Passes(Ticks(full_at.0.max(now.0).saturating_add(TICKS))),
        }
    }

    /// Tokens left in a bucket that is full again at `full_at`.
    pub(super) fn left(self, full_at: Ticks, now: Ticks) -> u64 {
        let ahead = full_at.0.saturating_sub(now.0);
        u64::from(self.burst.get()).saturating_sub(ahead.div_ceil(TICKS))
    }

    /// How long until a bucket is full that is full again at `full_at`.
    pub(super) fn until(self, full_at: Ticks, now: Ticks) -> Duration {
        self.duration(full_at.0.saturating_sub(now.0))
    }

    fn duration(self, ticks: u64) -> Duration {
        let nanos = u128::from(ticks)
            .saturating_mul(u128::from(self.per))
            .div_ceil(u128::from(self.requests.get()).saturating_mul(u128::from(TICKS)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(requests: u32, per: Duration, burst: u32) -> Rate {
        let some = |count| NonZeroU32::new(count).expect("not 0");
        Rate::new(some(requests), per, some(burst))
    }

    /// How many of requests at these times pass.
    fn passed(rate: Rate, times: impl Iterator<Item = u64>) -> usize {
        let mut full_at = Ticks::default();
        let pass = |nanos| match rate.take(full_at, rate.ticks(Instant::from_nanos(nanos))) {
            Taken::Passes(then) => {
                full_at = then;
                true
            }
            Taken::Refused(_) => false,
        };
        times.map(pass).filter(|passed| *passed).count()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let limit = rate(10, Duration::from_secs(1), 5);
        let start = 1_000_000_000_000;
        assert_eq!(passed(limit, std::iter::repeat_n(start, 100)), 5);
        // 10 seconds of requests each millisecond: the burst, and 10 a second.
        let times = (0..10_000).map(|milli| start + milli * 1_000_000);
        assert_eq!(passed(limit, times), 5 + 99);
    }

    #[test]
    fn a_rate_that_is_no_whole_number_of_nanoseconds_does_not_drift() {
        let limit = rate(7, Duration::from_nanos(1_000_003), 1);
        // For an hour, asked far more often than tokens come.
        let hour = 3_600_000_000_000_u64;
        let expected = hour * 7 / 1_000_003;
        let mut full_at = Ticks::default();
        let (mut now, mut count) = (0, 0_u64);
        while now < hour / 1_000 {
            if let Taken::Passes(then) = limit.take(full_at, limit.ticks(Instant::from_nanos(now)))
            {
                full_at = then;
                count += 1;
            }
            now += 50_000;
        }
        assert!(count.abs_diff(expected / 1_000) <= 1, "{count}");
    }

    #[test]
    fn who_waits_as_long_as_told_passes_and_nobody_sooner() {
        let limit = rate(3, Duration::from_secs(60), 2);
        let start = Instant::from_nanos(77_777_777_777);
        let mut full_at = Ticks::default();
        let mut now = start;
        for _ in 0..50 {
            match limit.take(full_at, limit.ticks(now)) {
                Taken::Passes(then) => {
                    assert!(limit.left(full_at, limit.ticks(now)) >= 1);
                    full_at = then;
                }
                Taken::Refused(wait) => {
                    assert_eq!(limit.left(full_at, limit.ticks(now)), 0);
                    let half = wait / 2;
                    let soon = limit.take(full_at, limit.ticks(now + half));
                    let is_refused = matches!(soon, Taken::Refused(_));
                    assert!(is_refused || half + Duration::from_secs(10) >= wait);
                    now = now + wait;
                    let then = limit.take(full_at, limit.ticks(now));
                    assert!(matches!(then, Taken::Passes(_)), "{wait:?}");
                }
            }
        }
    }

    #[test]
    fn the_ends_of_time_and_of_numbers() {
        let most = rate(u32::MAX, Duration::from_nanos(1), u32::MAX);
        let end = most.ticks(Instant::NEVER);
        assert_eq!(end, Ticks(u64::MAX));
        assert_eq!(most.take(end, end), Taken::Passes(end));
        let least = rate(1, Duration::MAX, 1);
        assert_eq!(least.ticks(Instant::NEVER), Ticks(2));
    }
}
