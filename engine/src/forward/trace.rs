//! What happened to a request that is being forwarded, as far as it has come.
//!
//! The caller owns it and lends it out, so that it can tell the story also when the exchange is
//! dropped half-way. An instant of zero means not reached.

use std::time::Duration;

use crate::balance::EndpointId;
use crate::io::Instant;
use crate::route::RetryReason;

/// Whom an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// The client.
    Downstream,
    /// The endpoint.
    Upstream,
}

/// The course of one exchange.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace {
    /// Attempts so far, the first one included.
    pub attempts: u32,
    /// The endpoint of the last attempt.
    pub endpoint: Option<EndpointId>,
    /// The last attempt went over a connection from the pool.
    pub is_reused: bool,
    /// The exchange became a tunnel.
    pub is_tunnel: bool,
    /// The status whose head was queued for the client; 0 when none was.
    pub status: u16,
    /// An endpoint was chosen, for the last attempt.
    pub chosen_at: Instant,
    /// Its connection was ready.
    pub connected_at: Instant,
    /// The last byte of the request was queued.
    pub sent_at: Instant,
    /// The first byte of the response arrived.
    pub first_byte_at: Instant,
    /// How many further attempts were made for each reason, in the order of [`RetryReason::ALL`].
    pub retries: [u8; RetryReason::COUNT],
    /// The last attempt failed too, and was the last that is allowed.
    pub is_retry_limit_reached: bool,
    /// A further attempt was not made because the cluster's budget was spent.
    pub is_budget_exhausted: bool,
    /// Time lost on attempts that failed.
    pub lost: Duration,
    /// Time in which there was nothing to do but wait for the client.
    pub waited_downstream: Duration,
    /// The same for the upstream, besides connecting and waiting for the first byte.
    pub waited_upstream: Duration,
    /// Payload bytes received from the client.
    pub received_bytes: u64,
    /// Bytes of heads queued for the client.
    pub sent_head_bytes: u64,
    /// Payload bytes queued for the client.
    pub sent_body_bytes: u64,
    /// The request body has been received to its end.
    pub is_request_whole: bool,
}

impl Trace {
    /// There was nothing to do but wait for `peer`.
    pub(super) fn waited(&mut self, peer: Peer, time: Duration) {
        let sum = match peer {
            Peer::Downstream => &mut self.waited_downstream,
            Peer::Upstream => &mut self.waited_upstream,
        };
        *sum = sum.saturating_add(time);
    }

    /// Another than the endpoint was waited for.
    pub fn waited_outside(&mut self, time: Duration) {
        self.waited(Peer::Upstream, time);
    }

    /// An attempt on `endpoint` begins.
    pub(super) fn attempt(&mut self, endpoint: EndpointId, now: Instant) {
        self.attempts = self.attempts.saturating_add(1);
        self.endpoint = Some(endpoint);
        self.is_reused = false;
        self.chosen_at = now;
    }

    /// Another attempt will be made.
    pub(super) fn retried(&mut self, reason: RetryReason) {
        if let Some(count) = self.retries.get_mut(reason as usize) {
            *count = count.saturating_add(1);
        }
    }

    /// From the last byte of the request, or from the connection while that is on its way, to the
    /// first byte of the response: what the endpoint took.
    pub(super) fn answered_after(&self) -> Duration {
        self.first_byte_at
            .since(self.sent_at.max(self.connected_at))
    }

    /// The attempt failed and another is made: what it took is lost.
    pub(super) fn attempt_failed(&mut self, now: Instant) {
        self.lost = self.lost.saturating_add(now.since(self.chosen_at));
        self.chosen_at = Instant::default();
        self.connected_at = Instant::default();
        self.sent_at = Instant::default();
        self.first_byte_at = Instant::default();
    }
}
