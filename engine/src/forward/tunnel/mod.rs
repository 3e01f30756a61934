//! Tunnels: after 101 (RFC 9110 §7.8) or a successful CONNECT (RFC 9110 §9.3.6) the connection
//! carries bytes that are none of our business.
//!
//! In: both streams, positioned behind the heads. Out: when both directions have ended. A side
//! that closes its sending half has that passed on, and the other direction goes on; a side that
//! fails ends both. Nothing moving for the idle timeout ends both, too.

mod passage;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::body::{Body, Outgoing};
use super::pump::{Pump, PumpError};
use super::relay::RelayError;
use super::trace::{Peer, Trace};
pub use passage::{Passage, pass};

use crate::http::{BodyLength, Method, Request, Response};
use crate::io::{Instant, Stream, Timer, clock};

/// Whether `response` turns the connection into a tunnel; `None` when it claims to without having
/// been asked.
///
/// `is_offered`: the client's wish to upgrade was forwarded.
pub(super) fn is_tunnel(
    request: &Request<'_>,
    response: &Response<'_>,
    is_offered: bool,
) -> Option<bool> {
    if request.method() == Method::Connect {
        return Some((200..300).contains(&response.status()));
    }
    if !response.is_switch() {
        return Some(false);
    }
    let asked = request.upgrade().filter(|_| is_offered)?;
    let given = response.upgrade()?;
    asked.eq_ignore_ascii_case(given).then_some(true)
}

/// Both ends of a tunnel.
pub(super) struct Ends<'a> {
    pub(super) downstream: &'a Stream,
    pub(super) upstream: &'a Stream,
    pub(super) timer: &'a Timer,
    /// The longest time in which nothing moves.
    pub(super) idle: Option<Duration>,
}

/// Carries bytes both ways until both directions have ended.
pub(super) async fn carry(ends: &Ends<'_>, trace: &mut Trace) -> Result<(), RelayError> {
    let whole = || Pump::new(Body::new(BodyLength::UntilClose, u64::MAX), Outgoing::Plain);
    let mut tunnel = Tunnel {
        ends,
        trace,
        up: whole(),
        down: whole(),
        moved_at: clock::now(),
    };
    tunnel.trace.is_tunnel = true;
    poll_fn(|cx| tunnel.poll(cx)).await
}

struct Tunnel<'a> {
    ends: &'a Ends<'a>,
    trace: &'a mut Trace,
    up: Pump,
    down: Pump,
    moved_at: Instant,
}

impl Tunnel<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayError>> {
        let ends = self.ends;
        // Also while each side waits for the other.
        if ends.downstream.is_cut() {
            return Poll::Ready(Err(RelayError::ClientGone));
        }
        if ends.upstream.is_cut() {
            return Poll::Ready(Err(RelayError::UpstreamClosed));
        }
        let up = poll_half(cx, &mut self.up, ends.downstream, ends.upstream);
        let down = poll_half(cx, &mut self.down, ends.upstream, ends.downstream);
        self.trace.received_bytes = self.up.bytes();
        self.trace.sent_body_bytes = self.down.bytes();
        up.map_err(|side| gone(side, Peer::Downstream))?;
        down.map_err(|side| gone(side, Peer::Upstream))?;
        if self.up.is_ended() && self.down.is_ended() {
            return Poll::Ready(Ok(()));
        }
        let up_moved = std::mem::take(&mut self.up.has_moved);
        if std::mem::take(&mut self.down.has_moved) || up_moved {
            self.moved_at = clock::now();
        }
        let deadline = ends
            .idle
            .map_or(Instant::NEVER, |idle| self.moved_at + idle);
        ends.timer.arm(deadline);
        let elapsed = ends.timer.poll_elapsed(cx);
        elapsed.map(|()| Err(RelayError::IdleTimeout))
    }
}

/// Moves one direction on, and passes its end on.
fn poll_half(
    cx: &mut Context<'_>,
    pump: &mut Pump,
    from: &Stream,
    to: &Stream,
) -> Result<(), PumpError> {
    if pump.is_ended() {
        return Ok(());
    }
    if let Poll::Ready(ended) = pump.poll(cx, from, to, |_| ()) {
        ended?;
        to.shutdown_send();
    }
    Ok(())
}

/// Who failed in the direction whose bytes come from `sender`.
fn gone(side: PumpError, sender: Peer) -> RelayError {
    match (side, sender) {
        (PumpError::Sink, Peer::Upstream) | (PumpError::Source, Peer::Downstream) => {
            RelayError::ClientGone
        }
        (PumpError::Sink, Peer::Downstream) | (PumpError::Source, Peer::Upstream) => {
            RelayError::UpstreamClosed
        }
        // Bytes of a tunnel cannot be wrong.
        (PumpError::Body(error), _) => RelayError::ResponseBody(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_breaks_a_tunnel_is_told_from_either_direction() {
        for (side, sender, expected) in [
            (PumpError::Source, Peer::Downstream, RelayError::ClientGone),
            (PumpError::Sink, Peer::Upstream, RelayError::ClientGone),
            (
                PumpError::Source,
                Peer::Upstream,
                RelayError::UpstreamClosed,
            ),
            (
                PumpError::Sink,
                Peer::Downstream,
                RelayError::UpstreamClosed,
            ),
        ] {
            assert_eq!(gone(side, sender), expected, "{side:?} {sender:?}");
        }
    }
}
