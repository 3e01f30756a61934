//! The requests that one HTTP/2 connection may have under way: a lane for each.
//!
//! ```text
//!   idle ── take ──> queued ── send ──> on a stream ── answered, failed ──> idle
//!                      ^──────────── requeue ─────────────┘
//! ```
//!
//! A lane that is idle takes the next request of the schedule at once and waits in the queue until
//! that is due, so the queue is in the order of due times. Nothing here does I/O, and in steady
//! state nothing allocates.

use std::collections::VecDeque;
use std::time::Duration;

use engine::io::Instant;

use super::answer::AnswerReader;
use super::load::{Load, Pending, Ticket};
use crate::sample::{Failure, Times};
use crate::traffic::Exchange;

/// How often a request goes out again that the peer refused: who refuses for ever would otherwise
/// be asked for ever.
const REFUSALS_MAX: u8 = 3;

/// Where the request of a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the queue, or nowhere.
    Waiting,
    /// On this stream of this connection.
    Stream { link: u64, key: usize },
}

#[derive(Debug)]
struct Lane {
    ticket: Option<Ticket>,
    /// Since when nothing but the schedule holds the lane back.
    free: Instant,
    sent: Option<Instant>,
    place: Place,
    /// How often its request was refused.
    refusals: u8,
    reader: AnswerReader,
}

/// The lanes of one connection.
#[derive(Debug)]
pub(super) struct Lanes<'a> {
    load: &'a Load,
    /// Number of the first among the lanes of the shard.
    first: usize,
    lanes: Vec<Lane>,
    /// Lanes without a request.
    idle: Vec<usize>,
    /// Lanes whose request is not on a stream.
    queue: VecDeque<usize>,
    /// The schedule has no more requests.
    exhausted: bool,
}

impl<'a> Lanes<'a> {
    /// `count` lanes that are free since `free`.
    pub(super) fn new(load: &'a Load, first: usize, count: usize, free: Instant) -> Self {
        let hashes = load.plan.traffic.hashes();
        let lane = |_| Lane {
            ticket: None,
            free,
            sent: None,
            place: Place::Waiting,
            refusals: 0,
            reader: AnswerReader::new(hashes),
        };
        Self {
            load,
            first,
            lanes: (0..count).map(lane).collect(),
            idle: (0..count).rev().collect(),
            queue: VecDeque::with_capacity(count),
            exhausted: false,
        }
    }

    /// Has every request been accounted for, and will no more come?
    pub(super) fn are_done(&self) -> bool {
        self.exhausted && self.idle.len() == self.lanes.len()
    }

    /// Idle lanes take what comes next.
    pub(super) fn take(&mut self) {
        while !self.exhausted
            && let Some(&at) = self.idle.last()
        {
            let lane = &mut self.lanes[at];
            let Some(ticket) = self.load.take(lane.free) else {
                self.exhausted = true;
                return;
            };
            self.idle.pop();
            self.queue.push_back(at);
            (lane.ticket, lane.sent) = (Some(ticket), None);
            self.load
                .set_pending(self.first + at, Some(Pending { ticket, sent: None }));
        }
    }

    /// Idle lanes were held back until `now` by a pause of ours, which is no lag.
    pub(super) fn resume(&mut self, now: Instant) {
        for &at in &self.idle {
            self.lanes[at].free = now;
        }
    }

    /// The first of the queue, if its request is due.
    pub(super) fn due(&self, now: Instant) -> Option<usize> {
        let &at = self.queue.front()?;
        let lane = &self.lanes[at];
        let is_due = lane.sent.is_some() || lane.ticket.as_ref()?.due <= now;
        is_due.then_some(at)
    }

    /// When the first request of the queue is due; `None` if it is sent already as far as that
    /// goes, or there is none.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let lane = &self.lanes[*self.queue.front()?];
        lane.ticket
            .as_ref()
            .filter(|_| lane.sent.is_none())
            .map(|ticket| ticket.due)
    }

    /// Does anything wait in the queue?
    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// What the lane sends, and what must come back.
    pub(super) fn exchange(&self, at: usize) -> Option<Exchange<'a>> {
        let ticket = self.lanes[at].ticket.as_ref()?;
        Some(self.load.exchange(ticket))
    }

    /// The first of the queue goes out now on this stream. `held_until` is when the peer last let
    /// more requests in: before that the lane was not free.
    pub(super) fn send(&mut self, link: u64, key: usize, now: Instant, held_until: Instant) {
        let Some(at) = self.queue.pop_front() else {
            return;
        };
        let is_call = self
            .exchange(at)
            .is_some_and(|exchange| exchange.request.is_call);
        let lane = &mut self.lanes[at];
        lane.place = Place::Stream { link, key };
        lane.reader.expect(is_call);
        if lane.sent.is_none() {
            lane.free = lane.free.max(held_until);
        }
        self.mark(at, now);
    }

    /// Requests that are due and find no connection count as sent: opening it is the target's time.
    /// Gives whether there are any.
    pub(super) fn mark_due(&mut self, now: Instant) -> bool {
        let mut any = false;
        for place in 0..self.queue.len() {
            let at = self.queue[place];
            let lane = &self.lanes[at];
            let is_due = lane.ticket.as_ref().is_some_and(|ticket| ticket.due <= now);
            if lane.sent.is_none() && !is_due {
                break;
            }
            any = true;
            self.mark(at, now);
        }
        any
    }

    /// The lane's request is sent at `now`, unless it was before.
    fn mark(&mut self, at: usize, now: Instant) {
        let lane = &mut self.lanes[at];
        if let (Some(ticket), None) = (lane.ticket, lane.sent) {
            lane.sent = Some(now);
            let sent = lane.sent;
            self.load
                .set_pending(self.first + at, Some(Pending { ticket, sent }));
        }
    }

    /// Where the answer of a lane is read to.
    pub(super) fn reader(&mut self, at: usize) -> &mut AnswerReader {
        &mut self.lanes[at].reader
    }

    /// The lane's answer is complete.
    pub(super) fn answered(&mut self, at: usize, done: Instant) {
        if let Some(exchange) = self.exchange(at) {
            let result = exchange.expectation.check(&self.lanes[at].reader.answer());
            self.complete(at, done, result);
        }
    }

    /// The lane's request has failed.
    pub(super) fn failed(&mut self, at: usize, done: Instant, failure: Failure) {
        self.complete(at, done, Err(failure));
    }

    fn complete(&mut self, at: usize, done: Instant, result: Result<(), Failure>) {
        let lane = &mut self.lanes[at];
        let Some(ticket) = lane.ticket.take() else {
            return;
        };
        let times = Times {
            due: ticket.due,
            free: lane.free,
            sent: lane.sent.take().unwrap_or(done),
        };
        (lane.free, lane.place, lane.refusals) = (done, Place::Waiting, 0);
        self.idle.push(at);
        self.load.set_pending(self.first + at, None);
        self.load.note(
            &ticket,
            &times,
            done,
            result,
            &self.lanes[at].reader.answer(),
        );
    }

    /// The peer has not looked at the request and will not: it goes out again, as the next, with
    /// its own times.
    pub(super) fn requeue(&mut self, at: usize) {
        self.lanes[at].place = Place::Waiting;
        self.queue.push_front(at);
    }

    /// The peer refused the request before it looked at it (RFC 9113 §8.7), so it goes out again,
    /// unless that has happened too often.
    pub(super) fn refused(&mut self, at: usize, now: Instant) {
        let lane = &mut self.lanes[at];
        if lane.refusals < REFUSALS_MAX {
            lane.refusals += 1;
            self.requeue(at);
        } else {
            self.failed(at, now, Failure::Refused);
        }
    }

    /// All requests that count as sent and wait for a connection have failed.
    pub(super) fn fail_waiting(&mut self, done: Instant, failure: Failure) {
        while let Some(&at) = self.queue.front()
            && self.lanes[at].sent.is_some()
        {
            self.queue.pop_front();
            self.failed(at, done, failure);
        }
    }

    /// The lanes whose requests were sent longer than `limit` ago, each with its place, and when
    /// the next one will be.
    pub(super) fn overdue(
        &mut self,
        now: Instant,
        limit: Duration,
    ) -> (Vec<(usize, Place)>, Option<Instant>) {
        let (mut late, mut next) = (Vec::new(), None::<Instant>);
        for (at, lane) in self.lanes.iter().enumerate() {
            let Some(end) = lane.sent.map(|sent| sent + limit) else {
                continue;
            };
            if end <= now {
                late.push((at, lane.place));
            } else {
                next = Some(next.map_or(end, |next| next.min(end)));
            }
        }
        let is_late = |at: &usize| late.iter().any(|(late, _)| late == at);
        self.queue.retain(|at| !is_late(at));
        (late, next)
    }
}
