//! Opening connections, as one shard sees it: how fast it may, and how it went.
//!
//! All dialers of a shard share an [`Opening`]. With a limit on the rate of new connections, each
//! takes its turn: the turns of the whole run are evenly spaced, and every shard has its share of
//! them. The [`Tally`] counts the whole run, what is opened before the start included: that is what
//! the peer sees.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use engine::io::{self, Instant, clock};
use hdrhistogram::Histogram;

use super::{Handshake, complaint, is_tls};
use crate::quantity::Rate;
use crate::sample;

/// How opening connections went.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Connections opened, with their handshakes done.
    pub opened: u64,
    /// Of these, before the start.
    pub opened_before: u64,
    /// Attempts to open one.
    pub attempted: u64,
    /// Handshakes that took up an earlier session.
    pub resumed: u64,
    /// How long the handshakes took, in nanoseconds.
    pub handshakes: Histogram<u64>,
    /// What TLS complained of last.
    pub complaint: Option<String>,
}

impl Tally {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            opened: 0,
            opened_before: 0,
            attempted: 0,
            resumed: 0,
            handshakes: sample::histogram(),
            complaint: None,
        }
    }

    /// Adds another shard's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.opened_before += other.opened_before;
        self.attempted += other.attempted;
        self.resumed += other.resumed;
        sample::add(&mut self.handshakes, &other.handshakes);
        if other.complaint.is_some() {
            self.complaint.clone_from(&other.complaint);
        }
    }

    /// Attempts that failed, or were given up.
    pub(crate) const fn failed(&self) -> u64 {
        self.attempted.saturating_sub(self.opened)
    }

    /// Handshakes that began a session of their own.
    pub(crate) fn full(&self) -> u64 {
        self.handshakes.len() - self.resumed
    }
}

/// What the dialers of a shard share.
#[derive(Debug)]
pub(crate) struct Opening {
    pace: Option<Pace>,
    tally: RefCell<Tally>,
}

/// Evenly spaced turns.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    /// The next turn that nobody has.
    next: Cell<Instant>,
}

impl Opening {
    /// For shard `shard` of `shard_count`, which from `now` on open at most `rate` connections a
    /// second together.
    pub(crate) fn new(rate: Option<Rate>, [shard, shard_count]: [u64; 2], now: Instant) -> Self {
        Self {
            pace: rate.map(|rate| Pace {
                interval: times(rate, shard_count),
                next: Cell::new(now + times(rate, shard)),
            }),
            tally: RefCell::new(Tally::new()),
        }
    }

    /// Is there a limit on the rate?
    pub(super) const fn is_paced(&self) -> bool {
        self.pace.is_some()
    }

    /// Waits for a turn to open a connection.
    pub(super) async fn turn(&self) {
        if let Some(pace) = &self.pace {
            io::sleep_until(pace.take(clock::now())).await;
        }
    }

    /// A connection is about to be opened.
    pub(super) fn attempt(&self) {
        self.tally.borrow_mut().attempted += 1;
    }

    /// A connection was opened.
    pub(super) fn opened(&self, handshake: Option<&Handshake>) {
        let mut tally = self.tally.borrow_mut();
        tally.opened += 1;
        if let Some(handshake) = handshake {
            tally.resumed += u64::from(handshake.resumed);
            let took = u64::try_from(handshake.took.as_nanos()).unwrap_or(u64::MAX);
            tally.handshakes.saturating_record(took);
        }
    }

    /// A connection broke, or could not be opened: if TLS is why, keeps the reason.
    pub(super) fn broke(&self, error: &std::io::Error) {
        if is_tls(error) {
            self.tally.borrow_mut().complaint = Some(complaint(error));
        }
    }

    /// What is opened from now on is opened in the run.
    pub(crate) fn start(&self) {
        let mut tally = self.tally.borrow_mut();
        tally.opened_before = tally.opened;
    }

    /// How it went so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally.borrow().clone()
    }
}

impl Pace {
    /// The next turn that is not over, or one now.
    fn take(&self, now: Instant) -> Instant {
        let turn = self.next.get().max(now);
        self.next.set(turn + self.interval);
        turn
    }
}

/// `count` times the time between two connections of the whole run.
fn times(rate: Rate, count: u64) -> Duration {
    let nanos = u128::from(count) * 1_000_000_000_000_000 / u128::from(rate.micros_per_second());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_turns_of_all_shards_are_evenly_spaced() {
        let rate = Rate::parse("4").expect("a rate");
        let begin = Instant::from_nanos(1_000);
        let shards = [0, 1].map(|shard| Opening::new(Some(rate), [shard, 2], begin));
        let take = |shard: usize, now: u64| {
            let pace = shards[shard].pace.as_ref().expect("a pace");
            pace.take(Instant::from_nanos(now)).nanos()
        };
        assert_eq!([take(0, 1_000), take(1, 1_000)], [1_000, 250_001_000]);
        assert_eq!([take(0, 1_000), take(1, 1_000)], [500_001_000, 750_001_000]);
        // Turns that nobody wanted are gone: there are no bursts.
        assert_eq!(take(0, 9_000_000_000), 9_000_000_000);
        assert_eq!(take(0, 9_000_000_000), 9_500_000_000);
    }

    #[test]
    fn tallies_add_up() {
        let opening = Opening::new(None, [0, 1], Instant::from_nanos(0));
        let handshake = |resumed| Handshake {
            took: Duration::from_micros(5),
            resumed,
            protocol: None,
        };
        (0..4).for_each(|_| opening.attempt());
        opening.opened(None);
        opening.opened(Some(&handshake(false)));
        opening.start();
        opening.opened(Some(&handshake(true)));
        opening.broke(&std::io::ErrorKind::ConnectionRefused.into());
        let mut sum = opening.tally();
        sum.add(&opening.tally());
        assert_eq!((sum.opened, sum.opened_before, sum.failed()), (6, 4, 2));
        assert_eq!((sum.full(), sum.resumed, sum.handshakes.len()), (2, 2, 4));
        assert_eq!(sum.complaint, None);
    }
}
