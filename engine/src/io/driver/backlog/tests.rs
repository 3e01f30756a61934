//! Who begins when, and what that gives on a shard whose clients come back at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

const LAGS: Duration = Duration::from_millis(11);
const FULL: usize = limits::BACKLOG_COMPLETIONS;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

/// Who begins in a turn.
fn turn(backlog: &mut Backlog, completions: usize, lag: Duration) -> Vec<u32> {
    backlog.turn(completions, lag, at(0));
    let begins = std::iter::from_fn(|| backlog.pop());
    begins.map(|(socket, _)| socket).collect()
}

#[test]
fn nobody_waits_on_a_shard_that_keeps_up() {
    let mut backlog = Backlog::default();
    assert!(!backlog.holds());
    backlog.turn(1000, limits::BACKLOG_LAG, at(0));
    assert!(!backlog.holds());
}

#[test]
fn who_came_first_begins_first_and_what_is_under_way_goes_before() {
    let mut backlog = Backlog::default();
    backlog.turn(FULL, LAGS, at(0));
    assert!(backlog.holds());
    for socket in 0..100 {
        backlog.push((socket, 7), at(u64::from(socket)));
    }
    let behind = limits::BACKLOG_TURN_BEHIND;
    assert_eq!(turn(&mut backlog, FULL, LAGS), Vec::from_iter(0..behind));
    assert_eq!(backlog.age(at(104)), Duration::from_millis(100));
    let next = behind..behind + limits::BACKLOG_TURN;
    assert_eq!(turn(&mut backlog, FULL - 1, LAGS), Vec::from_iter(next));
}

#[test]
fn nobody_overtakes_who_waits_still() {
    let mut backlog = Backlog::default();
    backlog.turn(FULL, LAGS, at(0));
    for socket in 0..limits::BACKLOG_TURN + 1 {
        backlog.push((socket, 7), at(1));
    }
    turn(&mut backlog, 0, Duration::ZERO);
    assert!(backlog.holds(), "one is left");
    turn(&mut backlog, 0, Duration::ZERO);
    assert!(!backlog.holds());
    assert_eq!(backlog.age(at(9)), Duration::ZERO);
}

#[test]
fn who_came_too_early_rests_while_others_wait_or_rest() {
    let mut backlog = Backlog::default();
    assert!(!backlog.rests());
    backlog.turn(FULL, LAGS, at(0));
    assert!(backlog.rests());
    for (socket, until) in [(1, 300), (2, 100), (3, 200)] {
        backlog.rest((socket, 7), at(until));
    }
    backlog.turn(0, Duration::ZERO, at(99));
    assert!(!backlog.rests() && !backlog.holds(), "they are few");
    assert_eq!(backlog.next(), Some(at(100)));
    backlog.turn(0, Duration::ZERO, at(250));
    assert_eq!(backlog.pop(), Some((2, 7)));
    assert_eq!(backlog.pop(), Some((3, 7)));
    assert_eq!(backlog.pop(), None);
    backlog.turn(0, Duration::ZERO, at(300));
    assert_eq!(backlog.pop(), Some((1, 7)));
    for _ in 0..limits::BACKLOG_RESTING {
        backlog.rest((4, 7), at(400));
    }
    assert!(backlog.rests(), "they would make the shard lag again");
    assert!(!backlog.holds(), "others may begin");
    backlog.turn(0, Duration::ZERO, at(400));
    while !backlog.is_empty() {
        turn(&mut backlog, 0, Duration::ZERO);
    }
    assert!(!backlog.rests());
}

/// What a shard is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Request,
    /// The next request of a client that was refused at once before.
    Again,
    Answer,
}

/// One shard, whose clients ask again as soon as they have an answer, before a cluster that
/// takes `PLACES` requests at a time and `DELAY` for each.
#[derive(Default)]
struct Shard {
    now: Instant,
    coming: BinaryHeap<Reverse<(Instant, Told)>>,
    kernel: VecDeque<(Instant, Told)>,
    backlog: Backlog,
    /// Finishes before it begins.
    defers: bool,
    /// And holds who was refused to what it was told.
    rests: bool,
    active: usize,
    pending: usize,
    served: usize,
    refused: usize,
}

const PLACES: usize = 64;
const PENDING_MAX: usize = 1024;
const DELAY: Duration = Duration::from_millis(20);
/// What a request or an answer takes.
const STEP: Duration = Duration::from_micros(10);
/// What it takes to note that a request waits.
const NOTE: Duration = Duration::from_micros(2);

impl Shard {
    fn later(&mut self, after: Duration, what: Told) {
        self.coming.push(Reverse((self.now + after, what)));
    }

    fn begin(&mut self) {
        self.now = self.now + STEP;
        if self.active < PLACES {
            self.active += 1;
            self.later(DELAY, Told::Answer);
        } else if self.pending < PENDING_MAX {
            self.pending += 1;
        } else {
            self.refused += 1;
            self.later(Duration::ZERO, Told::Again);
        }
    }

    fn answered(&mut self) {
        self.now = self.now + STEP;
        self.served += 1;
        self.later(Duration::ZERO, Told::Request);
        if self.pending > 0 {
            self.pending -= 1;
            self.later(DELAY, Told::Answer);
        } else {
            self.active -= 1;
        }
    }

    fn turn(&mut self) {
        while let Some(Reverse((due, _))) = self.coming.peek()
            && *due <= self.now
        {
            self.kernel
                .extend(self.coming.pop().map(|Reverse(next)| next));
        }
        let count = self.kernel.len().min(20);
        let mut lag = Duration::ZERO;
        for (since, told) in self.kernel.drain(..count).collect::<Vec<_>>() {
            lag = self.now.since(since);
            match told {
                Told::Answer => self.answered(),
                Told::Again if self.rests && self.backlog.rests() => {
                    self.now = self.now + NOTE;
                    self.backlog.rest((0, 0), since + limits::REFUSED_REST);
                }
                Told::Again | Told::Request if self.defers && self.backlog.holds() => {
                    self.now = self.now + NOTE;
                    self.backlog.push((0, 0), self.now);
                }
                Told::Again | Told::Request => self.begin(),
            }
        }
        self.backlog.turn(count, lag, self.now);
        while self.backlog.pop().is_some() {
            self.begin();
        }
        let coming = self.coming.peek().map(|Reverse((next, _))| *next);
        if let Some(next) = coming.into_iter().chain(self.backlog.next()).min()
            && self.kernel.is_empty()
            && self.backlog.is_empty()
        {
            self.now = self.now.max(next);
        }
    }
}

const SECONDS: u64 = 3;

/// What comes of some seconds: the share of what the cluster can serve, and how often each client
/// was refused in a second.
fn storm(clients: u32, defers: bool, rests: bool) -> (f64, f64) {
    let mut shard = Shard {
        now: at(1),
        defers,
        rests,
        ..Shard::default()
    };
    for _ in 0..clients {
        shard.later(Duration::ZERO, Told::Request);
    }
    while shard.now < at(1000 * SECONDS) {
        shard.turn();
    }
    let capacity = PLACES as f64 / DELAY.as_secs_f64();
    let per_second = |count: usize| count as f64 / SECONDS as f64;
    let refused = per_second(shard.refused) / f64::from(clients);
    (per_second(shard.served) / capacity, refused)
}

#[test]
fn who_comes_back_at_once_does_not_keep_a_cluster_from_its_answers() {
    for clients in [1_000, 4_000, 20_000] {
        let (share, _) = storm(clients, true, false);
        assert!(share >= 0.9, "{clients}: {share}");
    }
    for clients in [4_000, 20_000] {
        let (share, _) = storm(clients, false, false);
        assert!(share <= 0.5, "{clients}: {share}");
    }
}

#[test]
fn who_comes_back_at_once_is_refused_about_once_a_second() {
    for clients in [4_000, 20_000] {
        let (share, refused) = storm(clients, true, true);
        assert!(share >= 0.9, "{clients}: {share}");
        assert!(refused <= 1.5, "{clients}: {refused}");
    }
    let (_, refused) = storm(4_000, true, false);
    assert!(refused >= 15.0, "{refused}");
}
