//! One direction of an exchange: a body from one stream to the other.
//!
//! In: a stream to receive from, a stream to queue on. Out: the body is whole, or who broke it.
//!
//! Backpressure: nothing is received while more than [`limits::RELAY_QUEUE_BYTES_MAX`] wait in the
//! other side's send queue, and nothing again until that has fallen to a quarter. The stream then
//! stops receiving by itself, and TCP tells the sender. Memory for a body is therefore bounded
//! whatever its size.
//!
//! ```text
//!   Source ── run received, queue above the bound ──> Sink ── queue low again ──> Source
//!     └── body whole ──> Ended        └── either side broke ──> Stopped
//! ```

use std::task::{Context, Poll, ready};

use super::body::{Body, BodyError, Outgoing};
use crate::io::{Buf, Stream};
use crate::limits;

/// Who the next byte waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// For the sender of the body.
    Source,
    /// For the receiver of the body.
    Sink,
    /// For nobody: all is queued.
    Ended,
    /// For nobody: the rest is not wanted.
    Stopped,
}

/// Why a body ended before it was whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PumpError {
    /// Its sender closed or failed.
    Source,
    /// Its receiver closed or failed.
    Sink,
    /// Its bytes are wrong.
    Body(BodyError),
}

/// A body on its way from one stream to another.
#[derive(Debug)]
pub(super) struct Pump {
    body: Body,
    outgoing: Outgoing,
    waiting: Waiting,
    /// Something was received or taken since this was last cleared.
    pub(super) has_moved: bool,
}

impl Pump {
    pub(super) fn new(body: Body, outgoing: Outgoing) -> Self {
        let waiting = if body.is_ended() {
            Waiting::Ended
        } else {
            Waiting::Source
        };
        Self {
            body,
            outgoing,
            waiting,
            has_moved: false,
        }
    }

    pub(super) fn waiting(&self) -> Waiting {
        self.waiting
    }

    pub(super) fn is_ended(&self) -> bool {
        self.waiting == Waiting::Ended
    }

    /// Payload bytes received so far.
    pub(super) fn bytes(&self) -> u64 {
        self.body.bytes()
    }

    /// Gives up on the rest.
    pub(super) fn stop(&mut self) {
        if !self.is_ended() {
            self.waiting = Waiting::Stopped;
        }
    }

    /// Moves what can be moved. Ready when the body is whole and queued, or when it cannot be.
    ///
    /// `keep` sees each piece of payload before it is queued.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &Stream,
        to: &Stream,
        mut keep: impl FnMut(&[u8]),
    ) -> Poll<Result<(), PumpError>> {
        loop {
            match self.waiting {
                Waiting::Ended | Waiting::Stopped => return Poll::Ready(Ok(())),
                Waiting::Sink => {
                    let drained = to.poll_drained(cx, limits::RELAY_QUEUE_BYTES_LOW);
                    ready!(drained).map_err(|_| PumpError::Sink)?;
                    self.has_moved = true;
                    self.waiting = Waiting::Source;
                }
                Waiting::Source => {
                    let Ok(received) = ready!(from.poll_recv(cx)) else {
                        return Poll::Ready(Err(PumpError::Source));
                    };
                    self.has_moved = true;
                    match received {
                        Some(run) => self.take(run, from, to, &mut keep)?,
                        None if self.body.close() => self.end(to),
                        None => return Poll::Ready(Err(PumpError::Source)),
                    }
                }
            }
        }
    }

    /// Queues the payload of `run`; gives back to `from` what lies behind the body.
    pub(super) fn take(
        &mut self,
        run: Buf,
        from: &Stream,
        to: &Stream,
        mut keep: impl FnMut(&[u8]),
    ) -> Result<(), PumpError> {
        let mut next = Some(run).filter(|run| !run.is_empty());
        while let Some(run) = next.take() {
            if self.is_ended() {
                from.unread(run);
                return Ok(());
            }
            let taken = self.body.take(run).map_err(PumpError::Body)?;
            if let Some(payload) = taken.payload {
                keep(&payload);
                self.outgoing.send(to, payload);
            }
            next = taken.rest;
            if self.body.is_ended() {
                self.end(to);
            }
        }
        if !self.is_ended() && to.queued() > limits::RELAY_QUEUE_BYTES_MAX {
            self.waiting = Waiting::Sink;
        }
        Ok(())
    }

    /// Queues again what was sent over a connection that failed, and goes on from there.
    pub(super) fn resend(&mut self, payload: &[u8], to: &Stream) {
        self.outgoing.send_copy(to, payload);
        match self.waiting {
            Waiting::Ended => self.outgoing.finish(to),
            Waiting::Source | Waiting::Sink | Waiting::Stopped => self.waiting = Waiting::Source,
        }
    }

    fn end(&mut self, to: &Stream) {
        debug_assert!(self.waiting != Waiting::Ended, "a body ends once");
        self.outgoing.finish(to);
        self.waiting = Waiting::Ended;
    }
}
