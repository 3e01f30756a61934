//! When each request is due: a pure function of the shard and the request's number on it.
//!
//! The whole run has one sequence of requests `0, 1, 2, …`; request `i` is due `i / rate` after
//! the start. Of `S` shards, shard `s` sends requests `s, s + S, s + 2S, …`, so that together they
//! keep the even spacing and no shard needs to know how far another is. Due times are computed
//! from the number, never by adding up gaps, so nothing drifts: the millionth request is as exact
//! as the first (floor to a nanosecond). No clock, no state: the same flags give the same schedule.

use std::time::Duration;

use crate::quantity::Rate;

/// The law by which requests of an open loop arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Arrivals {
    /// Evenly spaced, 1/rate apart.
    Constant,
}

/// The due times of one run, seen from one of its shards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    arrivals: Arrivals,
    rate: Rate,
    shard_count: u64,
}

impl Schedule {
    /// The schedule of `shard_count` shards that together reach `rate`.
    pub(crate) const fn new(arrivals: Arrivals, rate: Rate, shard_count: u64) -> Self {
        Self {
            arrivals,
            rate,
            shard_count,
        }
    }

    /// How long after the start the `n`-th request of `shard` is due. Grows with `n`.
    pub(crate) fn due(&self, shard: u64, n: u64) -> Duration {
        match self.arrivals {
            Arrivals::Constant => {
                let number = u128::from(n) * u128::from(self.shard_count) + u128::from(shard);
                // number / (micros / 1e6) seconds, in nanoseconds.
                let nanos =
                    number * 1_000_000_000_000_000 / u128::from(self.rate.micros_per_second());
                Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
            }
        }
    }

    /// How many requests of all shards are due in `[from, to)`; what the run promises to send.
    pub(crate) fn count(&self, from: Duration, to: Duration) -> u64 {
        self.count_before(to) - self.count_before(from)
    }

    /// The first request of the sequence that is not due before `end`: by bisection, so that it
    /// holds for every law that grows.
    fn count_before(&self, end: Duration) -> u64 {
        let whole = Self {
            shard_count: 1,
            ..*self
        };
        let (mut below, mut above) = (0, u64::MAX);
        while below < above {
            let middle = below + (above - below) / 2;
            if whole.due(0, middle) < end {
                below = middle + 1;
            } else {
                above = middle;
            }
        }
        below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rate: &str, shard_count: u64) -> Schedule {
        Schedule::new(
            Arrivals::Constant,
            Rate::parse(rate).expect("a rate"),
            shard_count,
        )
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_and_do_not_drift() {
        let one = schedule("1000", 1);
        for n in [0, 1, 2, 999, 1_000_000, 86_400_000] {
            assert_eq!(one.due(0, n), Duration::from_millis(n));
        }
        // A rate that does not divide a second: exact to the nanosecond after a day.
        let third = schedule("3", 1);
        assert_eq!(third.due(0, 1), Duration::from_nanos(333_333_333));
        assert_eq!(third.due(0, 3 * 86_400), Duration::from_secs(86_400));
        assert_eq!(
            third.due(0, 3 * 86_400 + 2),
            Duration::from_nanos(86_400_666_666_666)
        );
    }

    #[test]
    fn shards_interleave_to_the_single_sequence() {
        let one = schedule("12345.678", 1);
        let three = schedule("12345.678", 3);
        for number in 0..10_000 {
            assert_eq!(three.due(number % 3, number / 3), one.due(0, number));
        }
    }

    #[test]
    fn slow_and_fast_rates_stay_in_range() {
        assert_eq!(
            schedule("0.000001", 1).due(0, 1),
            Duration::from_secs(1_000_000)
        );
        assert_eq!(schedule("10M", 2).due(1, 0), Duration::from_nanos(100));
        assert_eq!(
            schedule("0.000001", 64).due(63, u64::MAX),
            Duration::from_nanos(u64::MAX)
        );
    }

    #[test]
    fn count_is_half_open() {
        let second = Duration::from_secs(1);
        let one = schedule("100", 4);
        assert_eq!(one.count(Duration::ZERO, second), 100);
        assert_eq!(one.count(second, 3 * second), 200);
        assert_eq!(one.count(second, second), 0);
        assert_eq!(schedule("0.5", 1).count(Duration::ZERO, 4 * second), 2);
        assert_eq!(schedule("2.5", 1).count(Duration::ZERO, second), 3);
    }
}
