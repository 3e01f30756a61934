//! Requests that wait to begin while the shard lags.
//!
//! The kernel hands out completions in order and a few at a time, so that on a shard with a queue
//! the answer of an upstream waits behind the requests of everybody else. Whatever was begun then
//! stays begun for long: thousands of exchanges hold their state, each of which has left the cache
//! when it goes on, and a cluster with few places is used late. So a shard that lags finishes
//! before it begins: it takes what the kernel has, goes on with what is under way, and only then
//! wakes idle connections that have received something, a few in each turn, in the order in which
//! they came.
//!
//! A refusal takes two thirds of what serving takes, and a client that comes back at once is
//! refused at once: thousands of them take the whole shard. On one that lags, or would if those who
//! rest came back, the next request of a connection that was told when to come again
//! (`Retry-After`) rests until then, so that each can cost one refusal a second. Who does as it was
//! told is not touched, nor is anybody on a shard that has time to refuse.
//!
//! In: who has received something, and how much each turn took from the kernel, with `now`. Out:
//! who may begin, and how long the first has waited, which is the lag then. [`Backlog`] is pure;
//! the driver asks it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use super::Driver;
use super::socket::{Reader, Socket};
use crate::io::{Instant, clock};
use crate::limits;

#[cfg(test)]
mod tests;

/// A socket: its slot, and whose turn of the slot it is.
pub(super) type Waiting = (u32, u16);

/// Who waits.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<(Waiting, Instant)>,
    /// Who waits later, from when on.
    resting: BinaryHeap<Reverse<(Instant, Waiting)>>,
    /// The shard lags too much for requests to begin as they come.
    lags: bool,
    /// How many may begin in this turn.
    left: u32,
}

impl Backlog {
    /// A turn begins, on a shard where what arrives has waited for `lag` in the kernel, with so
    /// many `completions` from there.
    pub(super) fn turn(&mut self, completions: usize, lag: Duration, now: Instant) {
        while let Some(Reverse((until, socket))) = self.resting.peek().copied()
            && until <= now
        {
            self.resting.pop();
            self.waiting.push_back((socket, now));
        }
        self.lags = lag > limits::BACKLOG_LAG;
        let is_behind = completions >= limits::BACKLOG_COMPLETIONS;
        self.left = if is_behind {
            limits::BACKLOG_TURN_BEHIND
        } else {
            limits::BACKLOG_TURN
        };
    }

    /// Whether a request that comes now has to wait.
    pub(super) fn holds(&self) -> bool {
        self.lags || !self.waiting.is_empty()
    }

    /// Whether a request that comes too early has to wait until it is not.
    pub(super) fn rests(&self) -> bool {
        self.holds() || self.resting.len() >= limits::BACKLOG_RESTING
    }

    /// A request has come that is not to begin before `until`.
    pub(super) fn rest(&mut self, socket: Waiting, until: Instant) {
        self.resting.push(Reverse((until, socket)));
    }

    /// When somebody has rested enough.
    pub(super) fn next(&self) -> Option<Instant> {
        self.resting.peek().map(|Reverse((until, _))| *until)
    }

    /// A request has come.
    pub(super) fn push(&mut self, socket: Waiting, now: Instant) {
        self.waiting.push_back((socket, now));
    }

    /// Who begins next in this turn, if anybody may.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        self.left = self.left.checked_sub(1)?;
        self.waiting.pop_front().map(|(socket, _)| socket)
    }

    /// Nobody waits for a turn.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How long the first has waited.
    pub(super) fn age(&self, now: Instant) -> Duration {
        let first = self.waiting.front();
        first.map_or(Duration::ZERO, |(_, since)| now.since(*since))
    }
}

impl Driver {
    /// Something, or the end, has arrived at a socket.
    pub(super) fn arrived(&self, index: u32, socket: &mut Socket) {
        match socket.reads {
            Reader::Idle if socket.end().is_none() => {}
            Reader::Queued if socket.end().is_none() => return,
            Reader::Idle | Reader::Queued | Reader::Busy => return socket.wake_reader(),
        }
        if self.begins_later(index, socket) {
            socket.release_blocks();
        } else {
            socket.wake_reader();
        }
    }

    /// The reader of a socket could begin with something at once: whether it has to wait, because
    /// others came before, or because it should not have come yet.
    pub(crate) fn begins_later(&self, index: u32, socket: &mut Socket) -> bool {
        let (now, mut backlog) = (clock::recent(), self.backlog.borrow_mut());
        let waiting = (index, socket.generation);
        let until = std::mem::take(&mut socket.rests_until);
        if until > now && backlog.rests() {
            backlog.rest(waiting, until);
        } else if backlog.holds() {
            backlog.push(waiting, now);
        } else {
            return false;
        }
        socket.reads = Reader::Queued;
        true
    }

    /// A turn that took so many completions: wakes those who may begin in it.
    pub(super) fn begin(&self, completions: usize, now: Instant) {
        let mut backlog = self.backlog.borrow_mut();
        backlog.turn(completions, self.lag.borrow().get(now), now);
        if backlog.is_empty() {
            return;
        }
        let mut sockets = self.sockets.borrow_mut();
        while let Some((index, generation)) = backlog.pop() {
            if let Some(socket) = sockets.get_mut(index as usize)
                && socket.generation == generation
                && socket.reads == Reader::Queued
            {
                socket.reads = Reader::Busy;
                socket.wake_reader();
            }
        }
    }
}
