//! When a key set is fetched next.
//!
//! Values in, values out. After keys were fetched: a little ahead of their time. After a failure:
//! soon, then less and less often, up to a minute. When a key is missed: at once, unless the last
//! fetch was just now.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use crate::io::Instant;
use crate::limits;

/// The times of one key set. A new one is to be fetched at once.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    fetched_at: Option<Instant>,
    tried_at: Option<Instant>,
    next_at: Instant,
    failures: u32,
}

impl Schedule {
    /// Keys were fetched; they are to be fetched again `after` this time.
    pub(super) fn fetched(&mut self, now: Instant, after: Duration) {
        self.fetched_at = Some(now);
        self.tried_at = Some(now);
        self.next_at = now + after;
        self.failures = 0;
    }

    /// They are to be fetched now. Those that there are hold no longer than until then, unless they
    /// are `still_trusted`.
    pub(super) fn begin_anew(&mut self, still_trusted: bool) {
        *self = Self {
            fetched_at: self.fetched_at.filter(|_| still_trusted),
            ..Self::default()
        };
    }

    /// No keys were fetched. Says whether those that were are too old by now.
    pub(super) fn failed(&mut self, now: Instant, refresh: Duration) -> bool {
        let pause = limits::KEYS_RETRY_MIN.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        self.tried_at = Some(now);
        self.next_at = now + pause.min(limits::KEYS_RETRY_MAX).min(refresh);
        self.fetched_at
            .is_none_or(|at| now.since(at) >= limits::KEYS_STALE_MAX)
    }

    /// A key is missed.
    pub(super) fn missed(&mut self) {
        let earliest = self.tried_at.map(|at| at + limits::KEYS_FETCH_PAUSE);
        self.next_at = self.next_at.min(earliest.unwrap_or_default());
    }

    /// How long to wait from `now` on.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        self.next_at.since(now)
    }

    /// When keys were fetched last.
    pub(super) const fn fetched_at(&self) -> Option<Instant> {
        self.fetched_at
    }
}

/// Four fifths to nine tenths of `time`: ahead of it, and not all proxies at once.
pub(super) fn jitter(time: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 100;
    let thousandths = u32::try_from(800 + random).unwrap_or(800);
    time.saturating_mul(thousandths) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const REFRESH: Duration = Duration::from_secs(600);

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(1_000_000_000) + Duration::from_secs(seconds)
    }

    #[test]
    fn keys_are_fetched_at_once_and_then_ahead_of_their_time() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.wait(at(0)), Duration::ZERO);
        for _ in 0..100 {
            let again = jitter(REFRESH);
            assert!(again >= REFRESH * 8 / 10 && again < REFRESH * 9 / 10);
            schedule.fetched(at(0), again);
            assert_eq!(schedule.wait(at(0)), again);
        }
    }

    #[test]
    fn failures_are_repeated_soon_and_then_less_often() {
        let mut schedule = Schedule::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            assert!(schedule.failed(at(0), REFRESH), "nothing to keep");
            waits.push(schedule.wait(at(0)));
        }
        assert_eq!(waits[0], limits::KEYS_RETRY_MIN);
        assert!(waits.is_sorted());
        assert_eq!(waits[39], limits::KEYS_RETRY_MAX);
    }

    #[test]
    fn missed_keys_are_fetched_once_in_a_while_whoever_asks() {
        let mut schedule = Schedule::default();
        schedule.fetched(at(0), REFRESH);
        for _ in 0..1000 {
            schedule.missed();
        }
        assert_eq!(schedule.wait(at(0)), limits::KEYS_FETCH_PAUSE);
        schedule.fetched(at(30), REFRESH);
        assert_eq!(schedule.wait(at(30)), REFRESH, "it was answered");
        schedule.missed();
        assert_eq!(schedule.wait(at(60)), Duration::ZERO);
        // Also while the issuer is down.
        schedule.failed(at(60), REFRESH);
        schedule.missed();
        assert!(schedule.wait(at(60)) >= limits::KEYS_RETRY_MIN);
    }

    #[test]
    fn keys_of_other_authorities_are_kept_until_the_first_failure() {
        let mut schedule = Schedule::default();
        for (still_trusted, is_stale) in [(true, false), (false, true)] {
            schedule.fetched(at(0), REFRESH);
            schedule.begin_anew(still_trusted);
            assert_eq!(schedule.wait(at(1)), Duration::ZERO);
            assert_eq!(schedule.failed(at(1), REFRESH), is_stale);
        }
    }

    #[test]
    fn old_keys_are_kept_for_a_day() {
        let mut schedule = Schedule::default();
        schedule.fetched(at(0), REFRESH);
        assert!(!schedule.failed(at(0) + 23 * HOUR, REFRESH));
        assert!(schedule.failed(at(0) + 24 * HOUR, REFRESH));
        schedule.fetched(at(0) + 25 * HOUR, REFRESH);
        assert!(!schedule.failed(at(0) + 26 * HOUR, REFRESH));
    }
}
