//! The counters of one listener, route or cluster.
//!
//! Plain numbers, indexed by small closed enums, so counting is an addition and the memory is
//! known. They count since the record was last taken; the control thread keeps the totals.

use super::flag::ResponseFlag;
use super::outcome::{CodeClass, Outcome};
use crate::tls::HandshakeError;

/// What every listener, route and cluster counts of its exchanges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    requests: [u64; CodeClass::ALL.len()],
    flags: [u64; ResponseFlag::ALL.len()],
    /// Bytes received from clients, heads and bodies.
    pub received_bytes: u64,
    /// Bytes sent to clients, heads and bodies.
    pub sent_bytes: u64,
    /// Attempts after the first.
    pub retries: u64,
}

impl Counters {
    /// Exchanges that ended with a status of this class.
    pub fn requests(&self, class: CodeClass) -> u64 {
        self.requests.get(class as usize).copied().unwrap_or(0)
    }

    /// Exchanges that ended, whatever their status.
    pub fn requests_all(&self) -> u64 {
        self.requests.iter().sum()
    }

    /// Exchanges that ended with this response flag.
    pub fn flags(&self, flag: ResponseFlag) -> u64 {
        self.flags.get(flag as usize).copied().unwrap_or(0)
    }

    pub(super) fn count(&mut self, outcome: &Outcome) {
        add_one(&mut self.requests, outcome.code_class() as usize);
        let flags = outcome.flags();
        if !flags.is_empty() {
            for flag in flags.iter() {
                add_one(&mut self.flags, flag as usize);
            }
        }
        add(&mut self.received_bytes, outcome.received_bytes);
        add(&mut self.sent_bytes, outcome.sent_bytes);
        add(&mut self.retries, u64::from(outcome.retries_all()));
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        add_each(&mut self.requests, &other.requests);
        add_each(&mut self.flags, &other.flags);
        add(&mut self.received_bytes, other.received_bytes);
        add(&mut self.sent_bytes, other.sent_bytes);
        add(&mut self.retries, other.retries);
    }
}

/// Why a connection was closed as soon as it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// The process has as many connections as it may.
    ProcessLimit,
    /// The listener has as many connections as it may.
    ListenerLimit,
    /// No file descriptor was left.
    FileLimit,
    /// The shard is draining.
    Draining,
}

impl Refusal {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Self; 4] = [
        Self::ProcessLimit,
        Self::ListenerLimit,
        Self::FileLimit,
        Self::Draining,
    ];

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ProcessLimit => "process_limit",
            Self::ListenerLimit => "listener_limit",
            Self::FileLimit => "file_limit",
            Self::Draining => "draining",
        }
    }
}

/// Why a downstream connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CloseReason {
    /// The client closed it between exchanges.
    Downstream,
    /// One side asked for `Connection: close`, or the protocol version implies it.
    Requested,
    /// No request came within the idle timeout.
    IdleTimeout,
    /// It has carried as many requests as it may.
    RequestLimit,
    /// An exchange failed in a way that leaves the connection unusable.
    Failure,
    /// It had become a tunnel, which ended.
    TunnelEnded,
    /// The shard drained, or its listener was removed or moved.
    Drained,
    /// The client's certificate has expired.
    ProofExpired,
    /// The client's certificate was revoked, or is not trusted any more for another reason.
    ProofRevoked,
}

impl CloseReason {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Self; 9] = [
        Self::Downstream,
        Self::Requested,
        Self::IdleTimeout,
        Self::RequestLimit,
        Self::Failure,
        Self::TunnelEnded,
        Self::Drained,
        Self::ProofExpired,
        Self::ProofRevoked,
    ];

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Downstream => "downstream",
            Self::Requested => "requested",
            Self::IdleTimeout => "idle_timeout",
            Self::RequestLimit => "request_limit",
            Self::Failure => "failure",
            Self::TunnelEnded => "tunnel_ended",
            Self::Drained => "drained",
            Self::ProofExpired => "proof_expired",
            Self::ProofRevoked => "proof_revoked",
        }
    }
}

/// How a TLS handshake with a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// A session was made.
    Full,
    /// An earlier session goes on.
    Resumed,
    /// There is no session.
    Failed(HandshakeError),
}

impl Handshake {
    const COUNT: usize = 2 + HandshakeError::ALL.len();

    /// All of them, in the order in which they are counted.
    pub fn all() -> impl Iterator<Item = Self> {
        let failed = HandshakeError::ALL.into_iter().map(Self::Failed);
        [Self::Full, Self::Resumed].into_iter().chain(failed)
    }

    const fn index(self) -> usize {
        match self {
            Self::Full => 0,
            Self::Resumed => 1,
            Self::Failed(error) => 2 + error as usize,
        }
    }

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Failed(error) => error.label(),
        }
    }
}

/// What a listener counts of its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionCounters {
    /// Sockets that `accept` returned on this shard, refused ones included.
    pub accepted: u64,
    /// Accepted sockets that were given to a shard with fewer connections.
    pub handed_over: u64,
    /// Exchanges that ended connections had carried.
    pub requests_when_closed: u64,
    refused: [u64; Refusal::ALL.len()],
    closed: [u64; CloseReason::ALL.len()],
    handshakes: [u64; Handshake::COUNT],
}

impl ConnectionCounters {
    /// Connections refused for this reason.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refused.get(reason as usize).copied().unwrap_or(0)
    }

    /// Connections that ended for this reason.
    pub fn closed(&self, reason: CloseReason) -> u64 {
        self.closed.get(reason as usize).copied().unwrap_or(0)
    }

    /// TLS handshakes that ended like this.
    pub fn handshakes(&self, handshake: Handshake) -> u64 {
        let count = self.handshakes.get(handshake.index());
        count.copied().unwrap_or(0)
    }

    pub(super) fn count_handshake(&mut self, handshake: Handshake) {
        add_one(&mut self.handshakes, handshake.index());
    }

    pub(super) fn count_refused(&mut self, reason: Refusal) {
        add_one(&mut self.refused, reason as usize);
    }

    pub(super) fn count_closed(&mut self, reason: CloseReason, requests: u32) {
        add_one(&mut self.closed, reason as usize);
        add(&mut self.requests_when_closed, u64::from(requests));
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        add(&mut self.accepted, other.accepted);
        add(&mut self.handed_over, other.handed_over);
        add(&mut self.requests_when_closed, other.requests_when_closed);
        add_each(&mut self.refused, &other.refused);
        add_each(&mut self.closed, &other.closed);
        add_each(&mut self.handshakes, &other.handshakes);
    }
}

/// What a policy, or the default of a level, decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Decision {
    /// A request passes.
    Allow,
    /// A request is refused.
    Deny,
    /// A request would pass, if what is audited were enforced.
    WouldAllow,
    /// A request would be refused, if what is audited were enforced.
    WouldDeny,
}

impl Decision {
    /// All decisions, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Deny, Self::WouldAllow, Self::WouldDeny];

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::WouldAllow => "would_allow",
            Self::WouldDeny => "would_deny",
        }
    }
}

/// What a policy has decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyCounters([u64; Decision::ALL.len()]);

impl PolicyCounters {
    /// How often it decided so.
    pub fn decided(&self, decision: Decision) -> u64 {
        self.0.get(decision as usize).copied().unwrap_or(0)
    }

    pub(super) fn count(&mut self, decision: Decision) {
        add_one(&mut self.0, decision as usize);
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        add_each(&mut self.0, &other.0);
    }
}

/// What happens to a cluster's upstream connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PoolEvent {
    /// A connection was made.
    Connected,
    /// A connection could not be made.
    ConnectFailed,
    /// An idle connection was taken for an attempt.
    Reused,
    /// A connection was put back for the next attempt.
    Returned,
    /// An idle connection was closed by the upstream.
    ClosedByUpstream,
    /// An idle connection was closed because it had been idle too long.
    IdleTimeout,
    /// A connection was closed because it had lived too long.
    LifetimeReached,
    /// A connection was closed because enough others were idle.
    PoolFull,
    /// A connection was closed because its exchange did not end cleanly.
    Unclean,
    /// A connection was cut because its endpoint is not trusted any more.
    Untrusted,
    /// A connection was closed because a new generation has no use for it: its endpoint left, or
    /// the cluster's TLS changed.
    Replaced,
}

impl PoolEvent {
    /// All events, in the order in which they are counted.
    pub const ALL: [Self; 11] = [
        Self::Connected,
        Self::ConnectFailed,
        Self::Reused,
        Self::Returned,
        Self::ClosedByUpstream,
        Self::IdleTimeout,
        Self::LifetimeReached,
        Self::PoolFull,
        Self::Unclean,
        Self::Untrusted,
        Self::Replaced,
    ];

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::ConnectFailed => "connect_failed",
            Self::Reused => "reused",
            Self::Returned => "returned",
            Self::ClosedByUpstream => "closed_by_upstream",
            Self::IdleTimeout => "idle_timeout",
            Self::LifetimeReached => "lifetime_reached",
            Self::PoolFull => "pool_full",
            Self::Unclean => "unclean",
            Self::Untrusted => "untrusted",
            Self::Replaced => "replaced",
        }
    }
}

pub(super) fn add(sum: &mut u64, more: u64) {
    *sum = sum.wrapping_add(more);
}

pub(super) fn add_one(counts: &mut [u64], index: usize) {
    debug_assert!(index < counts.len(), "a count for every variant");
    if let Some(count) = counts.get_mut(index) {
        add(count, 1);
    }
}

pub(super) fn add_each(sums: &mut [u64], more: &[u64]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        add(sum, *more);
    }
}
