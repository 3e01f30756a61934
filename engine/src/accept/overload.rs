//! Whether a shard is overloaded, and which requests it then refuses (pure).
//!
//! In: for each request, how long what arrives waits for its turn, with `now`; now and then, what
//! the process runs short of. Out: admitted or [`Overloaded`].
//!
//! A lag for a moment is a burst, which is best served. One that is never below the bound for
//! [`limits::OVERLOAD_INTERVAL`] is a queue that stands (CoDel, RFC 8289 §3): from then on requests
//! are refused until it is shorter again. Not all of them, though: over a kept connection a refusal
//! costs up to two thirds of what it saves, and who is refused comes again at once. A shard that
//! refuses whatever is too late serves less the more it is offered, in the end nothing. So one
//! request is refused for each [`limits::SERVED_PER_REFUSAL`] that are served: they tell the
//! clients, which take no more of the shard's time than that. What is left of the queue waits to
//! begin (`io/driver/backlog`), where it costs little, and is as long as there are connections.

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
    /// Since when the lag was never below its bound; `NEVER` when it is now.
    since: Instant,
    /// Requests that were served since the last refusal.
    served: u32,
    /// What the process runs short of.
    shortage: Option<Overloaded>,
}

impl Default for Overload {
    fn default() -> Self {
        Self {
            since: Instant::NEVER,
            served: 0,
            shortage: None,
        }
    }
}

impl Overload {
    /// The process runs short of this, or of nothing any more.
    pub const fn set_shortage(&mut self, shortage: Option<Overloaded>) {
        self.shortage = shortage;
    }

    /// May a request go on, on a shard where what arrives waits for `lag`?
    ///
    /// *Input:* `lag_max`: its bound; none for no bound.
    pub fn admit(
        &mut self,
        lag: Duration,
        lag_max: Option<Duration>,
        now: Instant,
    ) -> Result<(), Overloaded> {
        if let Some(shortage) = self.shortage {
            return Err(shortage);
        }
        let Some(lag_max) = lag_max else {
            return Ok(());
        };
        if lag <= lag_max {
            self.since = Instant::NEVER;
            return Ok(());
        }
        self.since = self.since.min(now);
        if now < self.since + limits::OVERLOAD_INTERVAL {
            return Ok(());
        }
        if self.served < limits::SERVED_PER_REFUSAL {
            self.served = self.served.saturating_add(1);
            return Ok(());
        }
        self.served = 0;
        Err(Overloaded::Lag)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const BOUND: Duration = Duration::from_millis(20);
    const SERVED: Duration = Duration::from_micros(100);
    /// Two thirds of it: 13 us of 20, measured with 4,000 connections.
    const REFUSED: Duration = Duration::from_micros(67);

    #[derive(Default)]
    struct Outcome {
        served: u64,
        refused: u64,
        longest_wait: Duration,
    }

    /// One shard whose clients each have a connection, and ask again `pause` after each answer.
    fn run(clients: u64, pause: Duration, bound: Option<Duration>) -> Outcome {
        let mut overload = Overload::default();
        let mut outcome = Outcome::default();
        let mut now = Instant::from_nanos(1);
        let end = now + Duration::from_secs(10);
        let spread = |client| pause.mul_f64(client as f64 / clients as f64);
        let mut due: VecDeque<Instant> = (0..clients).map(|it| now + spread(it)).collect();
        while let Some(asked) = due.pop_front().filter(|asked| now.max(*asked) < end) {
            now = now.max(asked);
            let lag = now.since(asked);
            if overload.admit(lag, bound, now).is_ok() {
                outcome.served += 1;
                outcome.longest_wait = outcome.longest_wait.max(lag);
                now = now + SERVED;
            } else {
                outcome.refused += 1;
                now = now + REFUSED;
            }
            due.push_back(now + pause);
        }
        outcome
    }

    #[test]
    fn at_any_load_all_but_a_thirtieth_of_the_peak_is_served() {
        let peak = run(100, Duration::ZERO, None).served;
        for (clients, pause) in [
            (1_000, 0),
            (10_000, 0),
            // Twice the capacity, and ten times.
            (20_000, 1_000),
            (100_000, 1_000),
        ] {
            let outcome = run(clients, Duration::from_millis(pause), Some(BOUND));
            let share = outcome.served as f64 / peak as f64;
            assert!(share >= 0.965, "{clients}: {share}");
            assert!(outcome.refused > 0, "{clients}");
        }
    }

    #[test]
    fn a_shard_that_keeps_up_refuses_nothing() {
        // Nine tenths of the capacity; all of it, with less than the bound waiting.
        for (clients, pause) in [(9_000, 1_000), (100, 0), (190, 0)] {
            let outcome = run(clients, Duration::from_millis(pause), Some(BOUND));
            assert_eq!(outcome.refused, 0, "{clients}");
            assert!(outcome.longest_wait <= BOUND, "{:?}", outcome.longest_wait);
        }
    }

    #[test]
    fn a_burst_is_served_and_one_look_at_a_shorter_queue_ends_it() {
        let mut overload = Overload::default();
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        let mut refusals = |lag, millis: std::ops::Range<u64>| {
            let mut admitted = |millis| overload.admit(lag, Some(BOUND), at(millis));
            millis.filter(|millis| admitted(*millis).is_err()).count()
        };
        assert_eq!(refusals(2 * BOUND, 0..500), 0, "a burst");
        assert_eq!(refusals(2 * BOUND, 500..710), 10, "one of twenty-one");
        assert_eq!(refusals(BOUND, 710..711), 0);
        assert_eq!(refusals(2 * BOUND, 711..1211), 0, "it has to stand again");
        assert!(refusals(2 * BOUND, 1211..1300) > 0);
    }

    #[test]
    fn a_shortage_is_for_everybody() {
        let mut overload = Overload::default();
        overload.set_shortage(Some(Overloaded::Memory));
        let mut admit = || overload.admit(Duration::ZERO, None, Instant::NEVER);
        assert_eq!(admit(), Err(Overloaded::Memory));
        overload.set_shortage(None);
        let mut admit = || overload.admit(Duration::ZERO, None, Instant::NEVER);
        assert_eq!(admit(), Ok(()));
    }
}
