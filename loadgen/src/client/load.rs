//! What the connections of a shard share: the plan, the schedule's next request, the samples.
//!
//! A lane that is free (a connection, or one of several requests that a connection may have open)
//! takes the next [`Ticket`] of the shard's schedule and sleeps until that request is due; requests
//! are taken in order, so when all lanes are busy the oldest due request goes to the first that
//! becomes free, exactly as from one queue, and its wait counts because it is timed from its due
//! time. Nothing hands requests out; one timer wakes the very task that sends.
//!
//! In a closed loop a request is due when its lane is free. Taking and noting allocate nothing.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use engine::io::clock;
use engine::io::{self, Instant};

use crate::expect::Answer;
use crate::sample::{Failure, Samples, Times};
use crate::schedule::{Arrival, Cursor, Schedule};
use crate::traffic::{Exchange, Traffic};
use crate::transport::Protocol;
use crate::transport::dial::Dial;

/// What is sent, to whom, at what pace; the same for all shards.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where connections go.
    pub dial: Dial,
    /// What is spoken there; `None` when TLS is to agree on it.
    pub protocol: Option<Protocol>,
    /// Requests under way at a time on a connection of HTTP/2.
    pub streams: usize,
    /// What is sent and expected.
    pub traffic: Traffic,
    /// Requests under way at a time on each connection.
    pub pipeline: usize,
    /// When requests are due; `None` for a closed loop.
    pub schedule: Option<Schedule>,
    /// How long one request may take once it is sent.
    pub timeout: Duration,
    /// How long before a due time the wait turns from sleeping into polling.
    pub spin: Duration,
}

/// A request that a lane has taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// When it is to be sent.
    pub due: Instant,
    /// Its number in the whole run: what it asks is a function of this.
    number: u64,
    /// The entry of the traffic that it belongs to.
    entry: usize,
}

/// Where a shard is in its sequence of requests.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Open loop.
    Scheduled(Cursor),
    /// Closed loop: so many have been taken.
    Counted(u64),
}

/// A request that has been taken and not finished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    /// The request.
    pub ticket: Ticket,
    /// When it was sent, if it was.
    pub sent: Option<Instant>,
}

/// What the connections of one shard share.
#[derive(Debug)]
pub(crate) struct Load {
    pub plan: Plan,
    /// `[shard, shard_count]`.
    place: [u64; 2],
    pub start: Instant,
    /// Requests due before this are warm-up: sent, not recorded.
    measured_from: Instant,
    /// Requests due at or after this are not sent.
    until: Cell<Instant>,
    /// Before the next request that no lane has taken; in a closed loop, their count.
    next: Cell<Next>,
    /// By lane.
    pending: RefCell<Vec<Option<Pending>>>,
    samples: RefCell<Box<Samples>>,
    /// The same by entry, for the whole run; empty when there is only one.
    entries: RefCell<Vec<Samples>>,
}

impl Load {
    /// The load of one shard, `place` being `[shard, shard_count]`, from `start` until `until`.
    pub(crate) fn new(
        plan: Plan,
        place: [u64; 2],
        lane_count: usize,
        start: Instant,
        [measured_from, until]: [Instant; 2],
        samples: Box<Samples>,
    ) -> Rc<Self> {
        let entries = match plan.traffic.entries().len() {
            1 => Vec::new(),
            count => (0..count).map(|_| Samples::new(false)).collect(),
        };
        Rc::new(Self {
            next: Cell::new(match &plan.schedule {
                Some(schedule) => Next::Scheduled(schedule.cursor(place[0])),
                None => Next::Counted(0),
            }),
            plan,
            place,
            start,
            measured_from,
            until: Cell::new(until),
            pending: RefCell::new(vec![None; lane_count]),
            samples: RefCell::new(samples),
            entries: RefCell::new(entries),
        })
    }

    /// When the last request may be due.
    pub(crate) fn until(&self) -> Instant {
        self.until.get()
    }

    /// Ends the run now: what is due later is not sent.
    pub(crate) fn end(&self, now: Instant) {
        self.until.set(self.until.get().min(now));
    }

    /// Takes what was recorded and records into `spare` from here on.
    pub(crate) fn swap(&self, spare: Box<Samples>) -> Box<Samples> {
        self.samples.replace(spare)
    }

    /// Counts every request that was due and has no answer, sent or not, at its age at `now`.
    pub(crate) fn settle(&self, now: Instant) {
        for pending in self
            .pending
            .borrow_mut()
            .iter_mut()
            .filter_map(Option::take)
        {
            self.unanswered(&pending.ticket, pending.sent, now);
        }
        // What a closed loop has not sent was never due.
        while self.plan.schedule.is_some()
            && let Some(ticket) = self.take(now)
        {
            self.unanswered(&ticket, None, now);
        }
    }

    fn unanswered(&self, ticket: &Ticket, sent: Option<Instant>, now: Instant) {
        self.record(ticket, |samples| {
            samples.unanswered(ticket.due, sent, now);
        });
    }

    /// What was recorded in the whole run by entry; empty when there is only one.
    pub(crate) fn take_entries(&self) -> Vec<Samples> {
        self.entries.take()
    }

    /// The next request for a lane that became free at `free`; `None` when there are no more.
    pub(crate) fn take(&self, free: Instant) -> Option<Ticket> {
        let (mut next, [shard, shard_count]) = (self.next.get(), self.place);
        let (number, due) = match (&mut next, &self.plan.schedule) {
            (Next::Scheduled(cursor), Some(schedule)) => {
                let Arrival { number, due } = cursor.next(schedule)?;
                (number, self.start + due)
            }
            (Next::Counted(count), _) => {
                *count += 1;
                ((*count - 1) * shard_count + shard, free)
            }
            (Next::Scheduled(_), None) => return None,
        };
        // What is not taken now is not taken later: the end only moves towards the beginning.
        self.next.set(next);
        if due >= self.until.get() {
            return None;
        }
        let entry = self.plan.traffic.entry(number);
        Some(Ticket { due, number, entry })
    }

    /// What a ticket asks to send, and what must come back.
    pub(crate) fn exchange(&self, ticket: &Ticket) -> Exchange<'_> {
        self.plan.traffic.exchange(ticket.entry, ticket.number)
    }

    fn is_measured(&self, due: Instant) -> bool {
        self.measured_from <= due && due < self.until.get()
    }

    /// Sleeps until `due`, the last stretch polling if the plan says so; returns the time then.
    /// Polling yields in every round, so other connections' answers are still read.
    pub(crate) async fn wait(&self, due: Instant) -> Instant {
        let spin = u64::try_from(self.plan.spin.as_nanos()).unwrap_or(u64::MAX);
        io::sleep_until(Instant::from_nanos(due.nanos().saturating_sub(spin))).await;
        loop {
            let now = clock::now();
            if now >= due {
                return now;
            }
            if spin > 0 {
                io::yield_now().await;
            } else {
                io::sleep_until(due).await;
            }
        }
    }

    /// Notes what became of a lane's request: taken, sent at some instant, or (`None`) finished.
    pub(crate) fn set_pending(&self, lane: usize, pending: Option<Pending>) {
        if let Some(slot) = self.pending.borrow_mut().get_mut(lane) {
            *slot = pending;
        }
    }

    /// Records a finished request.
    pub(crate) fn note(
        &self,
        ticket: &Ticket,
        times: &Times,
        done: Instant,
        result: Result<(), Failure>,
        answer: &Answer,
    ) {
        self.record(ticket, |samples| {
            samples.counts.received_bytes += answer.received_bytes;
            if let Some(code) = answer.grpc.and_then(|outcome| outcome.code) {
                samples.counts.grpc_status(code);
            }
            match result {
                Ok(()) => samples.answered(times, done, answer.status),
                Err(
                    failure @ (Failure::Status | Failure::Length | Failure::Hash | Failure::Grpc),
                ) => {
                    samples.wrong(times, failure, answer.status);
                }
                Err(failure) => samples.broken(times, failure, done),
            }
        });
    }

    /// Records something of a request of the measured time, with all and with those of its entry.
    fn record(&self, ticket: &Ticket, record: impl Fn(&mut Samples)) {
        if self.is_measured(ticket.due) {
            record(&mut self.samples.borrow_mut());
            if let Some(samples) = self.entries.borrow_mut().get_mut(ticket.entry) {
                record(samples);
            }
        }
    }
}
