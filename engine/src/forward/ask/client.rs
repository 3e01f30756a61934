//! The client of a request that is being asked about: it may go away, or send more.

use std::task::{Context, Poll};

use crate::forward::relay::RelayError;
use crate::io::{Buf, Instant, Stream, clock};
use crate::limits;

/// Watches for the end of a client without losing what it sends.
pub(super) struct Client<'a> {
    stream: &'a Stream,
    /// What it sent meanwhile; while that is held, nothing more is received.
    held: Option<Buf>,
    /// When it closed its sending side; it may still read.
    ended_at: Option<Instant>,
}

impl<'a> Client<'a> {
    pub(super) fn new(stream: &'a Stream) -> Self {
        Self {
            stream,
            held: None,
            ended_at: None,
        }
    }

    /// Notices a client that has gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), RelayError> {
        if self.held.is_some() || self.ended_at.is_some() {
            return Ok(());
        }
        match self.stream.poll_recv(cx) {
            Poll::Pending => {}
            Poll::Ready(Err(_)) => return Err(RelayError::ClientGone),
            Poll::Ready(Ok(None)) => self.ended_at = Some(clock::now()),
            Poll::Ready(Ok(Some(run))) => self.held = Some(run),
        }
        Ok(())
    }

    /// When nobody is waited for any more who closed its sending side.
    pub(super) fn given_up_at(&self) -> Instant {
        let ended_at = self.ended_at;
        ended_at.map_or(Instant::NEVER, |at| at + limits::HALF_CLOSE_GRACE)
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        if let Some(run) = self.held.take() {
            self.stream.unread(run);
        }
    }
}
