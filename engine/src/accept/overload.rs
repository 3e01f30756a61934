//! Whether a shard is overloaded, and which requests it then refuses (pure).
//!
//! In: for each request, how long it has waited for its turn and how long the shard's last turn
//! took, with `now`; now and then, what the process runs short of. Out: admitted or
//! [`Overloaded`].
//!
//! A turn is everything between two looks at the ring: what arrives in it waits for its end. Long
//! turns for a moment are a burst, which is best served. A turn longer than the bound in every
//! stretch of [`limits::OVERLOAD_INTERVAL`] is a queue that stands (CoDel, RFC 8289 §3): from then
//! on a request that has waited longer than the bound is refused, until a turn is shorter again. So
//! each turn still serves as much as the bound allows, and what is refused costs no upstream.

use std::time::Duration;

use crate::io::Instant;
use crate::limits;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overloaded {
    /// The shard lags.
    Lag,
    /// The process has as much memory as it may.
    Memory,
    /// Hardly a descriptor is left.
    Descriptors,
}

impl Overloaded {
    /// The name in logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Lag => "lag",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
        }
    }
}

/// What one shard knows of its load.
#[derive(Debug)]
pub struct Overload {
    /// Since when every turn was too long; `NEVER` when the last was not.
    since: Instant,
    /// What the process runs short of.
    shortage: Option<Overloaded>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            since: Instant::NEVER,
            shortage: None,
        }
    }
}

impl Overload {
    /// The process runs short of this, or of nothing any more.
    pub const fn set_shortage(&mut self, shortage: Option<Overloaded>) {
        self.shortage = shortage;
    }

    /// May a request go on that has `waited` for its turn, on a shard whose last turn took `turn`?
    ///
    /// *Input:* `lag_max`: the bound of both; none for no bound.
    pub fn admit(
        &mut self,
        waited: Duration,
        turn: Duration,
        lag_max: Option<Duration>,
        now: Instant,
    ) -> Result<(), Overloaded> {
        if let Some(shortage) = self.shortage {
            return Err(shortage);
        }
        let Some(lag_max) = lag_max else {
            return Ok(());
        };
        if turn <= lag_max {
            self.since = Instant::NEVER;
            return Ok(());
        }
        self.since = self.since.min(now);
        let is_standing = now >= self.since + limits::OVERLOAD_INTERVAL;
        if is_standing && waited > lag_max {
            return Err(Overloaded::Lag);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Duration = Duration::from_millis(20);
    const SERVED: Duration = Duration::from_micros(100);
    const REFUSED: Duration = Duration::from_micros(10);

    /// One shard that takes `arrivals(turn start)` requests in each turn and serves them in order.
    struct Simulation {
        overload: Overload,
        now: Instant,
        turn: Duration,
        served: u64,
        refused: u64,
        longest_wait: Duration,
    }

    impl Simulation {
        fn new() -> Self {
            Self {
                overload: Overload::default(),
                now: Instant::from_nanos(1),
                turn: Duration::ZERO,
                served: 0,
                refused: 0,
                longest_wait: Duration::ZERO,
            }
        }

        fn take(&mut self, arrivals: u64, bound: Option<Duration>) {
            let begin = self.now;
            for _ in 0..arrivals {
                let waited = self.now.since(begin);
                let admitted = self.overload.admit(waited, self.turn, bound, self.now);
                if admitted.is_ok() {
                    self.served += 1;
                    self.longest_wait = self.longest_wait.max(waited);
                    self.now = self.now + SERVED;
                } else {
                    self.refused += 1;
                    self.now = self.now + REFUSED;
                }
            }
            self.turn = self.now.since(begin).max(Duration::from_micros(50));
            self.now = begin + self.turn;
        }

        /// Offers `rate` requests a second for a while; at most `connections` are on their way at
        /// once, the others wait where they come from.
        fn offer(&mut self, rate: f64, connections: u64, bound: Option<Duration>) {
            let until = self.now + Duration::from_secs(10);
            while self.now < until {
                let arrivals = (rate * self.turn.as_secs_f64()).ceil() as u64;
                self.take(arrivals.clamp(1, connections), bound);
            }
        }
    }

    #[test]
    fn at_twice_the_capacity_most_of_the_peak_is_served_in_bounded_time() {
        let mut peak = Simulation::new();
        peak.offer(10_000.0, u64::MAX, Some(BOUND));
        let mut overloaded = Simulation::new();
        overloaded.offer(20_000.0, 4000, Some(BOUND));
        let share = overloaded.served as f64 / peak.served as f64;
        // When a refusal costs a tenth of a request, no rule can serve more than 0.89.
        assert!(share >= 0.85, "{share}");
        assert!(overloaded.refused > 0);
        // Without it, as long as everything that is on its way takes.
        let mut unbounded = Simulation::new();
        unbounded.offer(20_000.0, 4000, None);
        assert!(unbounded.longest_wait > 10 * BOUND);
    }

    #[test]
    fn a_standing_queue_is_cut_to_the_bound() {
        let mut shard = Simulation::new();
        let begin = shard.now;
        while shard.now < begin + limits::OVERLOAD_INTERVAL * 2 {
            shard.take(1000, Some(BOUND));
        }
        let (served, refused) = (shard.served, shard.refused);
        shard.longest_wait = Duration::ZERO;
        for _ in 0..100 {
            shard.take(1000, Some(BOUND));
        }
        assert!(
            shard.longest_wait <= BOUND + SERVED,
            "{:?}",
            shard.longest_wait
        );
        assert!(shard.served > served && shard.refused > refused);
    }

    #[test]
    fn a_burst_is_served() {
        let mut shard = Simulation::new();
        for _ in 0..100 {
            shard.take(1000, Some(BOUND));
            for _ in 0..10 {
                shard.take(10, Some(BOUND));
            }
        }
        assert_eq!(shard.refused, 0);
    }

    #[test]
    fn it_is_over_with_the_first_short_turn() {
        let mut overload = Overload::default();
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let mut admit = |turn, millis| {
            overload
                .admit(2 * BOUND, turn, Some(BOUND), at(millis))
                .is_ok()
        };
        assert!(admit(2 * BOUND, 0));
        assert!(!admit(2 * BOUND, 1000));
        assert!(admit(BOUND, 1001));
        assert!(admit(2 * BOUND, 1002), "it has to stand again first");
    }

    #[test]
    fn a_shortage_is_for_everybody() {
        let mut overload = Overload::default();
        overload.set_shortage(Some(Overloaded::Memory));
        let mut admit = || overload.admit(Duration::ZERO, Duration::ZERO, None, Instant::NEVER);
        assert_eq!(admit(), Err(Overloaded::Memory));
        overload.set_shortage(None);
        let mut admit = || overload.admit(Duration::ZERO, Duration::ZERO, None, Instant::NEVER);
        assert_eq!(admit(), Ok(()));
    }
}
