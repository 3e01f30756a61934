//! What the retry budget allows, under arrivals of all kinds.

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

const WINDOW_NANOS: u64 = 10_000_000_000;

/// What happened, in nanoseconds since the begin, in order.
#[derive(Default)]
struct Course {
    requests: Vec<u64>,
    retries: Vec<u64>,
}

/// How many of `times` are within `from..=to`.
fn within(times: &[u64], from: u64, to: u64) -> u64 {
    let until = |limit: u64| times.partition_point(|time| *time < limit);
    (until(to + 1) - until(from)) as u64
}

impl Course {
    fn begin(&mut self, budget: &mut RetryBudget, at: u64) {
        budget.deposit(nanos(at));
        self.requests.push(at);
    }

    fn wish(&mut self, budget: &mut RetryBudget, at: u64) {
        if budget.withdraw(nanos(at)) {
            self.retries.push(at);
        }
    }

    /// Retries within the ten seconds from `from`, and how many their requests pay for.
    fn window(&self, from: u64) -> (u64, u64) {
        let to = from + WINDOW_NANOS - 1;
        let requests = within(&self.requests, from, to);
        (
            within(&self.retries, from, to),
            (requests * 20 / 100).max(100),
        )
    }
}

fn nanos(since_begin: u64) -> Instant {
    Instant::from_nanos(1_000_123_456_789 + since_begin)
}

#[test]
fn no_ten_seconds_that_end_with_a_retry_hold_more_than_their_share() {
    for seed in 0..200 {
        let (mut random, mut at) = (seed, 0);
        let mut budget = RetryBudget::new(DEFAULT, 0, 1);
        let mut course = Course::default();
        for _phase in 0..12 {
            // Floods, drips and pauses, each with its own hunger for retries, and wishes that
            // come long after their requests.
            let gap = [5_000_000, 200_000, 40_000_000, 1][next(&mut random) as usize % 4];
            let hunger = next(&mut random) % 101;
            let ends = at + next(&mut random) % 9_000_000_000;
            for _event in 0..4_000 {
                at += next(&mut random) % (2 * gap + 1);
                if next(&mut random) % 100 < hunger {
                    course.wish(&mut budget, at);
                } else {
                    course.begin(&mut budget, at);
                }
            }
            at = at.max(ends);
            (0..next(&mut random) % 500).for_each(|_| course.wish(&mut budget, at));
        }
        for &last in &course.retries {
            let (retries, allowed) = course.window((last + 1).saturating_sub(WINDOW_NANOS));
            assert!(
                retries <= allowed,
                "seed {seed}, until {last}: {retries} of {allowed}"
            );
        }
    }
}

#[test]
fn no_ten_seconds_of_a_load_that_goes_on_hold_more_than_their_share() {
    for seed in 0..40 {
        let mut random = seed;
        let mut budget = RetryBudget::new(DEFAULT, 0, 1);
        let mut course = Course::default();
        // Even or at random, steady or growing; what fails is repeated after a back-off.
        let is_even = seed % 2 == 0;
        let growth = [0, 0, 1, 4][seed as usize % 4];
        let rate = 100 + next(&mut random) % 1_500;
        let (mut at, mut again) = (0, std::collections::BTreeSet::new());
        while at < 40_000_000_000 {
            let mean = 1_000_000_000 / (rate + rate * growth * at / 40_000_000_000);
            let chance = (next(&mut random) as f64 + 1.0) / f64::from(1_u32 << 31);
            let gap = if is_even { 1.0 } else { -chance.ln() };
            at += (mean as f64 * gap) as u64 + 1;
            while again.first().is_some_and(|first| *first < at) {
                let retry = again.pop_first().expect("a retry");
                course.retries.push(retry);
                if next(&mut random).is_multiple_of(2) && budget.withdraw(nanos(retry)) {
                    again.insert(retry + next(&mut random) % 250_000_000);
                }
            }
            course.begin(&mut budget, at);
            if next(&mut random).is_multiple_of(2) && budget.withdraw(nanos(at)) {
                again.insert(at + next(&mut random) % 250_000_000);
            }
        }
        for from in (0..30_000_000_000).step_by(7_000_000) {
            let (retries, allowed) = course.window(from);
            assert!(
                retries <= allowed,
                "seed {seed}, {rate}/s, from {from}: {retries} of {allowed}"
            );
        }
        let (retries, requests) = (course.retries.len(), course.requests.len());
        assert!(
            retries * 100 >= requests * 17,
            "seed {seed}: the share is used: {retries} of {requests}"
        );
    }
}

#[test]
fn where_a_load_ends_what_was_in_hand_is_repeated() {
    let mut budget = RetryBudget::new(DEFAULT, 0, 1);
    let mut course = Course::default();
    (0..10_000).for_each(|milli| course.begin(&mut budget, milli * 1_000_000));
    // A second's worth was on its way to an endpoint that dies.
    (0..1_000).for_each(|_| course.wish(&mut budget, 9_999_500_000));
    assert_eq!(course.retries.len(), 1_000);
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
