//! How long what arrives at a shard waits for its turn (pure).
//!
//! A queue that stands is not seen from the length of turns: the kernel hands out a few completions
//! at a time, in the order in which they came about, and keeps the others. So a busy shard sends
//! itself an event now and then, and sees how long that takes to come through the queue that all
//! others stand in.
//!
//! In: the turns of the driver, with `now`, and when the event has come. Out: when to send one, and
//! the lag. A shard whose turns take less than a quarter of the time has none, and sends none: it
//! would wake for it. (Not half: what the kernel receives for it is done between turns, and a
//! saturated shard was seen to have no lag.)

use std::time::Duration;

use crate::io::Instant;
use crate::limits;

/// The lag of one shard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag {
    /// When it was last seen how busy the shard is.
    looked_at: Instant,
    /// How much of the time since then it was.
    busy: Duration,
    /// When an event was sent that has not come yet.
    sent_at: Option<Instant>,
    /// What the last one took.
    found: Duration,
}

impl Lag {
    /// A turn begins at `now`, after one that took `turn`. Says whether to send an event.
    pub(super) fn turn(&mut self, turn: Duration, now: Instant) -> bool {
        self.busy = self.busy.saturating_add(turn);
        let since = now.since(self.looked_at);
        if since < limits::LAG_INTERVAL {
            return false;
        }
        let is_busy = self.busy.saturating_mul(4) >= since;
        self.looked_at = now;
        self.busy = Duration::ZERO;
        if self.sent_at.is_some() {
            return false;
        }
        if is_busy {
            self.sent_at = Some(now);
        } else {
            self.found = Duration::ZERO;
        }
        is_busy
    }

    /// An event has come.
    pub(super) fn came(&mut self, now: Instant) {
        if let Some(sent_at) = self.sent_at.take() {
            self.found = now.since(sent_at);
        }
    }

    /// The lag: what the last event took, or what the next has taken already.
    pub(super) fn get(&self, now: Instant) -> Duration {
        let age = self.sent_at.map_or(Duration::ZERO, |sent| now.since(sent));
        self.found.max(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    const TURN: Duration = Duration::from_millis(1);

    /// Turns of a millisecond, one each `period` milliseconds; gives how many events were sent.
    fn turns(lag: &mut Lag, millis: std::ops::Range<u64>, period: usize) -> usize {
        let turns = millis.step_by(period);
        turns.filter(|millis| lag.turn(TURN, at(*millis))).count()
    }

    #[test]
    fn an_idle_shard_sends_nothing() {
        let mut lag = Lag::default();
        assert_eq!(turns(&mut lag, 1..10_000, 5), 0);
        assert_eq!(lag.get(at(10_000)), Duration::ZERO);
    }

    #[test]
    fn a_busy_shard_sends_one_at_a_time_and_its_way_is_the_lag() {
        let mut lag = Lag::default();
        assert_eq!(turns(&mut lag, 1000..2000, 1), 1, "the first has not come");
        assert!(lag.get(at(2000)) >= Duration::from_millis(900));
        lag.came(at(2000));
        assert!(lag.get(at(9000)) >= Duration::from_millis(900));
        assert_eq!(turns(&mut lag, 2000..2100, 1), 1);
        lag.came(at(2101));
        assert!(lag.get(at(2101)) <= Duration::from_millis(110));
        // Nothing was sent, so nothing comes that would tell.
        let known = lag.get(at(2102));
        lag.came(at(5000));
        assert_eq!(lag.get(at(5000)), known);
    }

    #[test]
    fn it_is_over_when_the_shard_has_time_again() {
        let mut lag = Lag::default();
        turns(&mut lag, 1000..1100, 1);
        lag.came(at(1500));
        assert!(lag.get(at(1500)) >= Duration::from_millis(400));
        turns(&mut lag, 1500..1700, 5);
        assert_eq!(lag.get(at(1700)), Duration::ZERO);
    }
}
