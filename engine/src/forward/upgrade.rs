//! Tunnels: after 101 (RFC 9110 §7.8) or a successful CONNECT (RFC 9110 §9.3.6) the connection
//! carries bytes that are none of our business.
//!
//! In: both streams, positioned behind the heads. Out: when both directions have ended. A side
//! that closes its sending half has that passed on, and the other direction goes on; a side that
//! fails ends both. Nothing moving for the idle timeout ends both, too.

use std::future::poll_fn;
use std::task::{Context, Poll};

use super::Call;
use super::body::{Body, Outgoing};
use super::pump::{Pump, PumpError};
use super::relay::RelayError;
use super::trace::{Peer, Trace};
use crate::http::{BodyLength, Method, Request, Response};
use crate::io::{Instant, Stream, clock};

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

/// Carries bytes both ways until both directions have ended.
pub(super) async fn tunnel(
    call: &Call<'_>,
    upstream: &Stream,
    trace: &mut Trace,
) -> Result<(), RelayError> {
    let whole = || Pump::new(Body::new(BodyLength::UntilClose, u64::MAX), Outgoing::Plain);
    let mut tunnel = Tunnel {
        call,
        upstream,
        trace,
        up: whole(),
        down: whole(),
        moved_at: clock::now(),
    };
    tunnel.trace.is_tunnel = true;
    poll_fn(|cx| tunnel.poll(cx)).await
}

struct Tunnel<'a, 'b> {
    call: &'a Call<'b>,
    upstream: &'a Stream,
    trace: &'a mut Trace,
    up: Pump,
    down: Pump,
    moved_at: Instant,
}

impl Tunnel<'_, '_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayError>> {
        let downstream = self.call.downstream;
        let up = poll_half(cx, &mut self.up, downstream, self.upstream);
        let down = poll_half(cx, &mut self.down, self.upstream, downstream);
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
        let idle = self.call.timeouts.idle;
        let deadline = idle.map_or(Instant::NEVER, |idle| self.moved_at + idle);
        self.call.timer.arm(deadline);
        let elapsed = self.call.timer.poll_elapsed(cx);
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
