//! What protects a cluster from its clients: the circuit breaker and the retry budget of one
//! cluster on one shard.
//!
//! In: a request that wants to be forwarded. Out: a [`Slot`], at once, or after a wait in a queue
//! (first in, first out), or not at all. A slot that is given back goes to the request that has
//! waited longest; nobody overtakes it.
//!
//! The configured bounds are those of the process; shards share nothing, so each gets an equal
//! share, rounded up and at least one: with fewer allowed requests than shards the sum is the
//! number of shards. Connections spread evenly over shards, so an even share is what each needs.
//!
//! Over HTTP/1 a request in flight is a connection in use, so the smaller of both bounds holds for
//! either. Idle connections count as connections too: one of them is closed when its place is
//! needed (`ConnectionPool::make_room`).

mod budget;
mod wait;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::config;
use crate::io::Instant;

pub(super) use wait::{pause, slot};

use budget::RetryBudget;

/// What protects one cluster, for the whole process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitPlan {
    /// The bounds.
    pub breaker: config::CircuitBreaker,
    /// The share of retries.
    pub budget: config::RetryBudget,
}

/// One shard's share of the bounds.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    active_max: u32,
    connections_max: u32,
    pending_max: usize,
    pending_timeout: Duration,
}

impl Bounds {
    fn share(breaker: config::CircuitBreaker, shards: u32) -> Self {
        let share = |whole: u32| whole.div_ceil(shards.max(1)).max(1);
        let connections_max = share(breaker.max_connections);
        let pending_max = breaker.max_pending.div_ceil(shards.max(1));
        Self {
            active_max: connections_max.min(share(breaker.max_requests)),
            connections_max,
            pending_max: usize::try_from(pending_max).unwrap_or(usize::MAX),
            pending_timeout: breaker.pending_timeout,
        }
    }
}

/// Why a request got no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PendingError {
    /// As many wait already as may.
    Full,
    /// It has waited for as long as it may.
    TimedOut,
}

/// What one cluster's circuit counts on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CircuitReport {
    /// Requests in flight now.
    pub active: u32,
    /// Requests that wait now.
    pub pending: u32,
    /// Requests that have waited.
    pub queued: u64,
    /// Requests refused because too many waited.
    pub overflows: u64,
    /// Requests refused because they had waited too long.
    pub timeouts: u64,
}

impl CircuitReport {
    /// Adds another shard's counts of the same cluster.
    pub fn add(&mut self, other: &Self) {
        self.active = self.active.saturating_add(other.active);
        self.pending = self.pending.saturating_add(other.pending);
        self.queued = self.queued.saturating_add(other.queued);
        self.overflows = self.overflows.saturating_add(other.overflows);
        self.timeouts = self.timeouts.saturating_add(other.timeouts);
    }
}

/// The circuit breaker and the retry budget of one cluster on one shard.
#[derive(Debug)]
pub struct Circuit {
    /// The shard's number, and how many there are.
    share: (u32, u32),
    bounds: Cell<Bounds>,
    active: Cell<u32>,
    connections: Cell<u32>,
    waiting: RefCell<VecDeque<Rc<Ticket>>>,
    queued: Cell<u64>,
    overflows: Cell<u64>,
    timeouts: Cell<u64>,
    budget: RefCell<RetryBudget>,
}

/// A place in the queue.
#[derive(Debug, Default)]
struct Ticket {
    /// A slot was given to it, and not yet taken.
    is_granted: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// The right to have one request in flight, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    circuit: Rc<Circuit>,
}

/// One open connection, counted until it is dropped.
#[derive(Debug)]
pub struct OpenConnection {
    circuit: Rc<Circuit>,
}

/// What came of the wish for a slot.
#[derive(Debug)]
pub(super) enum Entry {
    /// Here it is.
    Open(Slot),
    /// It has to be waited for.
    Waits(Pending),
    /// Too many wait.
    Full,
}

/// A request that waits for a slot.
#[derive(Debug)]
pub(super) struct Pending {
    circuit: Rc<Circuit>,
    ticket: Rc<Ticket>,
}

impl Circuit {
    /// The share of shard number `shard` of `shards`.
    pub fn new(plan: &CircuitPlan, shard: u32, shards: u32) -> Rc<Self> {
        Rc::new(Self {
            share: (shard, shards),
            bounds: Cell::new(Bounds::share(plan.breaker, shards)),
            active: Cell::new(0),
            connections: Cell::new(0),
            waiting: RefCell::default(),
            queued: Cell::new(0),
            overflows: Cell::new(0),
            timeouts: Cell::new(0),
            budget: RefCell::new(RetryBudget::new(plan.budget, shard, shards)),
        })
    }

    /// Changes the bounds. What is in flight, waits or was counted stays.
    pub fn set_plan(&self, plan: &CircuitPlan) {
        let (shard, shards) = self.share;
        self.bounds.set(Bounds::share(plan.breaker, shards));
        self.budget.borrow_mut().set(plan.budget, shard, shards);
        while self.has_room() && self.grant_next() {
            add(&self.active);
        }
    }

    /// A copy of the counts, for another thread.
    pub fn report(&self) -> CircuitReport {
        CircuitReport {
            active: self.active.get(),
            pending: u32::try_from(self.waiting.borrow().len()).unwrap_or(u32::MAX),
            queued: self.queued.get(),
            overflows: self.overflows.get(),
            timeouts: self.timeouts.get(),
        }
    }

    /// A request wants to be forwarded. *Cost:* no allocation, unless it has to wait.
    pub(super) fn enter(self: &Rc<Self>) -> Entry {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() && self.has_room() {
            add(&self.active);
            return Entry::Open(Slot {
                circuit: Rc::clone(self),
            });
        }
        if waiting.len() >= self.bounds.get().pending_max {
            self.overflows.set(self.overflows.get().wrapping_add(1));
            return Entry::Full;
        }
        let ticket = Rc::new(Ticket::default());
        waiting.push_back(Rc::clone(&ticket));
        self.queued.set(self.queued.get().wrapping_add(1));
        Entry::Waits(Pending {
            circuit: Rc::clone(self),
            ticket,
        })
    }

    /// How long a request may wait for a slot.
    pub(super) fn pending_timeout(&self) -> Duration {
        self.bounds.get().pending_timeout
    }

    /// A request has waited for that long.
    pub(super) fn timed_out(&self) {
        self.timeouts.set(self.timeouts.get().wrapping_add(1));
    }

    /// Another connection would be more than there may be: an idle one has to go.
    pub(super) fn is_full_of_connections(&self) -> bool {
        self.connections.get() >= self.bounds.get().connections_max
    }

    /// Counts a connection as open.
    pub(super) fn open_connection(self: &Rc<Self>) -> OpenConnection {
        add(&self.connections);
        OpenConnection {
            circuit: Rc::clone(self),
        }
    }

    /// A request begins, which pays for retries.
    pub fn deposit(&self, now: Instant) {
        self.budget.borrow_mut().deposit(now);
    }

    /// Whether there may be a retry.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        self.budget.borrow_mut().withdraw(now)
    }

    fn has_room(&self) -> bool {
        self.active.get() < self.bounds.get().active_max
    }

    /// Gives a slot, which the caller counts, to who has waited longest, if anybody waits.
    fn grant_next(&self) -> bool {
        let Some(ticket) = self.waiting.borrow_mut().pop_front() else {
            return false;
        };
        ticket.is_granted.set(true);
        let waker = ticket.waker.take();
        waker.into_iter().for_each(Waker::wake);
        true
    }

    /// A slot was given back.
    fn leave(&self) {
        // After the bounds have shrunk, nobody takes its place.
        let is_within = self.active.get() <= self.bounds.get().active_max;
        if !(is_within && self.grant_next()) {
            self.active.set(self.active.get().saturating_sub(1));
        }
    }
}

impl Pending {
    /// Ready when it is this request's turn.
    pub(super) fn poll_slot(&self, cx: &Context<'_>) -> Poll<Slot> {
        if self.ticket.is_granted.take() {
            return Poll::Ready(Slot {
                circuit: Rc::clone(&self.circuit),
            });
        }
        let mut waker = self.ticket.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|it| it.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Pending {
    /// It gave up, or has its slot.
    fn drop(&mut self) {
        if self.ticket.is_granted.take() {
            self.circuit.leave();
            return;
        }
        let mut waiting = self.circuit.waiting.borrow_mut();
        let place = waiting.iter().position(|it| Rc::ptr_eq(it, &self.ticket));
        if let Some(place) = place {
            waiting.remove(place);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.circuit.leave();
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let connections = &self.circuit.connections;
        connections.set(connections.get().saturating_sub(1));
    }
}

fn add(count: &Cell<u32>) {
    count.set(count.get().saturating_add(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(max_requests: u32, max_pending: u32) -> CircuitPlan {
        CircuitPlan {
            breaker: config::CircuitBreaker {
                max_connections: 1024,
                max_requests,
                max_pending,
                pending_timeout: Duration::from_secs(3),
            },
            budget: config::RetryBudget {
                percent: 20,
                min_per_second: 10,
            },
        }
    }

    fn open(circuit: &Rc<Circuit>) -> Slot {
        match circuit.enter() {
            Entry::Open(slot) => slot,
            other => panic!("{other:?}"),
        }
    }

    fn wait(circuit: &Rc<Circuit>) -> Pending {
        match circuit.enter() {
            Entry::Waits(pending) => pending,
            other => panic!("{other:?}"),
        }
    }

    fn poll(pending: &Pending) -> Option<Slot> {
        match pending.poll_slot(&Context::from_waker(Waker::noop())) {
            Poll::Ready(slot) => Some(slot),
            Poll::Pending => None,
        }
    }

    #[test]
    fn who_waits_longest_is_next_and_nobody_overtakes() {
        let circuit = Circuit::new(&plan(1, 2), 0, 1);
        let slot = open(&circuit);
        let (first, second) = (wait(&circuit), wait(&circuit));
        assert!(matches!(circuit.enter(), Entry::Full));
        assert!(poll(&first).is_none() && poll(&second).is_none());
        drop(slot);
        let third = wait(&circuit);
        let slot = poll(&first).expect("its turn");
        assert!(poll(&second).is_none());
        drop((first, slot));
        let slot = poll(&second).expect("its turn");
        assert_eq!(circuit.report().pending, 1);
        drop((second, slot));
        drop(poll(&third).expect("its turn"));
        drop(third);
        let expected = CircuitReport {
            queued: 3,
            overflows: 1,
            ..CircuitReport::default()
        };
        assert_eq!(circuit.report(), expected);
    }

    #[test]
    fn who_leaves_the_queue_passes_on_what_it_was_given() {
        let circuit = Circuit::new(&plan(1, 9), 0, 1);
        let slot = open(&circuit);
        let (first, second, third) = (wait(&circuit), wait(&circuit), wait(&circuit));
        drop(second);
        drop(slot);
        drop(first);
        drop(poll(&third).expect("its turn"));
        drop(third);
        assert_eq!(circuit.report().active, 0);
        assert_eq!(circuit.report().pending, 0);
        drop(open(&circuit));
    }

    #[test]
    fn new_bounds_wake_those_that_fit_and_starve_nobody() {
        let circuit = Circuit::new(&plan(1, 9), 0, 1);
        let slots = vec![open(&circuit)];
        let waiting: Vec<Pending> = (0..4).map(|_| wait(&circuit)).collect();
        circuit.set_plan(&plan(3, 9));
        let slots: Vec<Slot> = slots
            .into_iter()
            .chain(waiting.iter().filter_map(poll))
            .collect();
        assert_eq!((slots.len(), circuit.report().active), (3, 3));
        circuit.set_plan(&plan(1, 9));
        drop(slots);
        let left: Vec<Slot> = waiting.iter().filter_map(poll).collect();
        assert_eq!((left.len(), circuit.report().active), (1, 1));
        drop(left);
        assert_eq!(waiting.iter().filter_map(poll).count(), 1);
    }

    #[test]
    fn each_shard_has_a_share_and_at_least_one() {
        for (whole, shards, share) in [(1024, 4, 256), (10, 4, 3), (1, 64, 1)] {
            let circuit = Circuit::new(&plan(whole, 0), 0, shards);
            let slots: Vec<Slot> = (0..share).map(|_| open(&circuit)).collect();
            assert!(matches!(circuit.enter(), Entry::Full), "{whole}/{shards}");
            drop(slots);
        }
    }

    #[test]
    fn connections_are_counted_until_they_close() {
        let mut plan = plan(1024, 0);
        plan.breaker.max_connections = 2;
        let circuit = Circuit::new(&plan, 0, 1);
        let one = circuit.open_connection();
        assert!(!circuit.is_full_of_connections());
        let _other = circuit.open_connection();
        assert!(circuit.is_full_of_connections());
        drop(one);
        assert!(!circuit.is_full_of_connections());
    }
}
