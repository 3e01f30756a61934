//! One exchange told: what it was, how it ended, how many bytes moved, and when.
//!
//! `proxy` fills an [`Outcome`] while the exchange runs and hands it over exactly once. It is
//! plain data and owns nothing, so making one costs no allocation. Names and addresses are looked
//! up by id when something is printed.

use super::failure::Failure;
use super::flag::ResponseFlags;
use super::times::{PhaseTimes, Times};
use crate::authorize::PolicyId;
use crate::authorize::external::ExternalResult;
use crate::balance::EndpointId;
use crate::http::Method;
use crate::route::{ClusterId, RetryReason, RouteId};

/// A listener, by the number that its name has over all generations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u32);

/// One exchange, from the head's last byte to the end of the response.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Where it came in.
    pub listener: ListenerId,
    /// Which rule applied, if one was found.
    pub route: Option<RouteId>,
    /// Which cluster was to serve it, if the route forwards.
    pub cluster: Option<ClusterId>,
    /// The policy, or default of a level, that denied it.
    pub denied_by: Option<PolicyId>,
    /// What is audited and would have denied it.
    pub would_deny: Option<PolicyId>,
    /// What a service outside said of it, if one was asked.
    pub external: Option<ExternalResult>,
    /// The endpoint of the last attempt.
    pub endpoint: Option<EndpointId>,
    /// The request's method, once its head was read.
    pub method: Option<Method>,
    /// The status sent to the client; 0 when none was.
    pub status: u16,
    /// When each step was reached.
    pub times: Times,
    /// Bytes received from the client: head and body.
    pub received_bytes: u64,
    /// Bytes sent to the client: head and body.
    pub sent_bytes: u64,
    /// Attempts on an endpoint, the first one included.
    pub attempts: u32,
    /// How many further attempts were made for each reason, in the order of [`RetryReason::ALL`].
    pub retries: [u8; RetryReason::COUNT],
    /// A further attempt was not made because the cluster's budget was spent.
    pub is_budget_exhausted: bool,
    /// The last attempt went over a pooled connection.
    pub is_reused: bool,
    /// The exchange became a tunnel (101, or CONNECT): its length says nothing about latency.
    pub is_tunnel: bool,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// The exact reason in the words of the step that failed; empty when there is none.
    pub detail: &'static str,
    /// Flags besides the one of `failure` (a retry limit that was reached).
    pub extra_flags: ResponseFlags,
}

impl Outcome {
    /// An exchange on `listener` of which nothing is known yet.
    pub const fn new(listener: ListenerId) -> Self {
        Self {
            listener,
            route: None,
            cluster: None,
            denied_by: None,
            would_deny: None,
            external: None,
            endpoint: None,
            method: None,
            status: 0,
            times: Times::new(),
            received_bytes: 0,
            sent_bytes: 0,
            attempts: 0,
            retries: [0; RetryReason::COUNT],
            is_budget_exhausted: false,
            is_reused: false,
            is_tunnel: false,
            failure: None,
            detail: "",
            extra_flags: ResponseFlags::NONE,
        }
    }

    /// All response flags, the one of the failure included.
    pub const fn flags(&self) -> ResponseFlags {
        match self.failure {
            Some(failure) => self.extra_flags.with(failure.flag()),
            None => self.extra_flags,
        }
    }

    /// Attempts after the first.
    pub const fn retries_all(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// How long each phase took; of a tunnel only those before it was one.
    pub fn phases(&self) -> PhaseTimes {
        let phases = self.times.phases();
        if self.is_tunnel {
            phases.until_first_byte()
        } else {
            phases
        }
    }

    /// The class of the status.
    pub const fn code_class(&self) -> CodeClass {
        CodeClass::of(self.status)
    }
}

/// The first digit of the status; what counters are split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CodeClass {
    /// No status was sent.
    None,
    /// 1xx: the exchange ended with 101.
    Informational,
    /// 2xx.
    Success,
    /// 3xx.
    Redirection,
    /// 4xx.
    ClientError,
    /// 5xx.
    ServerError,
}

impl CodeClass {
    /// All classes, in the order in which they are counted.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
    ];

    /// The class of `status`.
    pub const fn of(status: u16) -> Self {
        match status {
            100..=199 => Self::Informational,
            200..=299 => Self::Success,
            300..=399 => Self::Redirection,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::None,
        }
    }

    /// The name in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}
