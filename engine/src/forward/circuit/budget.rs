//! How much of a cluster's load may be retries (pure).
//!
//! In: each request and each wish for a retry, with `now`. Out: whether there may be one. Retries
//! of the last [`limits::RETRY_BUDGET_WINDOW`] never exceed the configured share of the requests of
//! the same time, or the number that is allowed in any case, whichever is more. So a cluster that
//! fails half of its requests sees at most 1.2 times the offered load with the default of 20 %,
//! as soon as that is more than the default of ten retries a second (Finagle and Gateway API count
//! the same way).
//!
//! Each shard has its own budget: its requests pay for its retries, and it has an equal share of
//! the allowed number, at least one retry per window. The sum over shards is therefore exact but
//! for that one.
//!
//! Time is counted in seconds, of which the window holds ten: a request counts for nine to ten.

use crate::config;
use crate::io::Instant;
use crate::limits;

/// Seconds of the window.
const SECONDS: usize = limits::RETRY_BUDGET_WINDOW.as_secs() as usize;

const _: () = assert!(SECONDS > 0);

/// What happened in one second.
#[derive(Clone, Copy, Debug, Default)]
struct Second {
    requests: u64,
    retries: u64,
}

/// The requests and retries of one cluster on one shard.
#[derive(Debug)]
pub(super) struct RetryBudget {
    percent: u64,
    /// Retries per window that are allowed in any case.
    min: u64,
    seconds: [Second; SECONDS],
    /// The number of the newest second since the clock's start.
    newest: u64,
    /// The sums over the window.
    sum: Second,
}

impl RetryBudget {
    /// The share of shard number `shard` of `shards` in a configured budget.
    pub(super) fn new(budget: config::RetryBudget, shard: u32, shards: u32) -> Self {
        let mut new = Self {
            percent: 0,
            min: 0,
            seconds: [Second::default(); SECONDS],
            newest: 0,
            sum: Second::default(),
        };
        new.set(budget, shard, shards);
        new
    }

    /// Changes what is allowed. What was counted stays.
    pub(super) fn set(&mut self, budget: config::RetryBudget, shard: u32, shards: u32) {
        let total = u64::from(budget.min_per_second).saturating_mul(SECONDS as u64);
        let shards = u64::from(shards.max(1));
        let until = |shard: u64| total.saturating_mul(shard).checked_div(shards).unwrap_or(0);
        let shard = u64::from(shard);
        let share = until(shard.saturating_add(1)).saturating_sub(until(shard));
        self.percent = u64::from(budget.percent);
        self.min = if total > 0 { share.max(1) } else { 0 };
    }

    /// A request begins.
    pub(super) fn deposit(&mut self, now: Instant) {
        self.roll(now);
        let newest = self.newest;
        if let Some(second) = self.seconds.get_mut(place(newest)) {
            second.requests = second.requests.saturating_add(1);
            self.sum.requests = self.sum.requests.saturating_add(1);
        }
    }

    /// Whether there may be a retry now. One that may be is counted.
    pub(super) fn withdraw(&mut self, now: Instant) -> bool {
        self.roll(now);
        let share = self.sum.requests.saturating_mul(self.percent) / 100;
        if self.sum.retries >= share.max(self.min) {
            return false;
        }
        let newest = self.newest;
        if let Some(second) = self.seconds.get_mut(place(newest)) {
            second.retries = second.retries.saturating_add(1);
            self.sum.retries = self.sum.retries.saturating_add(1);
        }
        true
    }

    /// Forgets the seconds that have left the window.
    fn roll(&mut self, now: Instant) {
        let second = now.nanos() / 1_000_000_000;
        let steps = second.saturating_sub(self.newest).min(SECONDS as u64);
        for step in 1..=steps {
            // Counted back from the new second, so that a long pause clears each place once.
            let number = second.saturating_sub(steps.saturating_sub(step));
            if let Some(old) = self.seconds.get_mut(place(number)) {
                self.sum.requests = self.sum.requests.saturating_sub(old.requests);
                self.sum.retries = self.sum.retries.saturating_sub(old.retries);
                *old = Second::default();
            }
        }
        self.newest = self.newest.max(second);
    }
}

/// Where the second number `number` is kept.
fn place(number: u64) -> usize {
    usize::try_from(number % SECONDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: config::RetryBudget = config::RetryBudget {
        percent: 20,
        min_per_second: 10,
    };

    fn at(millis: u64) -> Instant {
        // Far from the clock's start, as in life.
        Instant::from_nanos((1_000_000 + millis) * 1_000_000)
    }

    /// A linear congruential generator (Knuth's MMIX), so that a failure can be repeated.
    fn next(seed: &mut u64) -> u64 {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    }

    /// Offers requests in a random rhythm to an upstream that fails `failing` of 100 attempts,
    /// with up to three retries each. Gives the requests and the attempts.
    fn offer(seed: u64, millis: u64, mean_per_milli: u64, failing: u64) -> (u64, u64) {
        let mut random = seed;
        let mut budget = RetryBudget::new(DEFAULT, 0, 1);
        let (mut requests, mut attempts) = (0, 0);
        for now in (0..millis).map(at) {
            // Bursts and pauses around the mean.
            let burst = next(&mut random) % (2 * mean_per_milli * 5 + 1);
            let is_burst = next(&mut random).is_multiple_of(5);
            let burst = if is_burst { burst } else { 0 };
            for _ in 0..burst {
                requests += 1;
                attempts += 1;
                budget.deposit(now);
                for _ in 0..3 {
                    let is_failed = next(&mut random) % 100 < failing;
                    if !is_failed || !budget.withdraw(now) {
                        break;
                    }
                    attempts += 1;
                }
            }
        }
        (requests, attempts)
    }

    #[test]
    fn a_failing_upstream_never_sees_more_than_its_share() {
        for seed in 0..50 {
            for failing in [10, 50, 90, 100] {
                let (requests, attempts) = offer(seed, 30_000, 1, failing);
                let retries = attempts - requests;
                // A window in which the share is less than ten a second allows those instead.
                assert!(
                    retries * 100 <= requests * 20 + 100 * 100,
                    "seed {seed}, {failing} %: {retries} retries of {requests} requests"
                );
                if failing >= 50 {
                    assert!(
                        retries * 100 >= requests * 18,
                        "seed {seed}: the share is used"
                    );
                }
            }
        }
    }

    #[test]
    fn a_failing_upstream_sees_at_most_1_2_times_a_steady_load() {
        let mut budget = RetryBudget::new(DEFAULT, 0, 1);
        let (mut requests, mut attempts) = (0_u64, 0_u64);
        for millis in 0..60_000 {
            budget.deposit(at(millis));
            requests += 1;
            attempts += 1;
            if millis % 2 == 0 && budget.withdraw(at(millis)) {
                attempts += 1;
            }
            // The first second's allowance of 100 is all there is before its share is more.
            assert!(
                attempts * 10 <= requests * 12 + 1000,
                "{attempts} of {requests}"
            );
        }
        assert!(attempts * 10 <= requests * 12, "{attempts} of {requests}");
    }

    #[test]
    fn few_requests_may_be_retried_ten_times_a_second() {
        let mut budget = RetryBudget::new(DEFAULT, 0, 1);
        let allowed = |budget: &mut RetryBudget, from: u64| {
            let wishes = (from..from + 10_000).step_by(10);
            wishes.filter(|&millis| budget.withdraw(at(millis))).count()
        };
        assert_eq!(allowed(&mut budget, 0), 100);
        assert_eq!(allowed(&mut budget, 60_000), 100);
    }

    #[test]
    fn what_was_saved_up_is_forgotten_after_the_window() {
        let mut budget = RetryBudget::new(
            config::RetryBudget {
                percent: 20,
                min_per_second: 0,
            },
            0,
            1,
        );
        (0..1000).for_each(|_| budget.deposit(at(0)));
        assert!(budget.withdraw(at(8_999)));
        assert!(!budget.withdraw(at(10_000)));
        // Also after a pause that is much longer than the window, or a clock that stood still.
        budget.deposit(at(3_600_000));
        assert!(!budget.withdraw(at(3_600_000)));
        assert!(!budget.withdraw(at(0)));
    }

    #[test]
    fn shards_share_what_is_allowed_in_any_case() {
        for shards in [1_u32, 3, 7, 64, 100] {
            let allowed = |shard| {
                let mut budget = RetryBudget::new(DEFAULT, shard, shards);
                (0..1000).filter(|_| budget.withdraw(at(0))).count()
            };
            assert_eq!((0..shards).map(allowed).sum::<usize>(), 100, "{shards}");
        }
        let mut one_of_many = RetryBudget::new(DEFAULT, 500, 1000);
        assert!(one_of_many.withdraw(at(0)) && !one_of_many.withdraw(at(0)));
    }

    #[test]
    fn nothing_is_allowed_where_nothing_is() {
        let none = config::RetryBudget {
            percent: 0,
            min_per_second: 0,
        };
        let mut budget = RetryBudget::new(none, 0, 1);
        budget.deposit(at(0));
        assert!(!budget.withdraw(at(0)));
    }
}
