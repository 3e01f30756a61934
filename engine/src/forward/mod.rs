//! Step 8: send the request, bring the answer back.
//!
//! In: a [`Call`]: the request's head, what is changed in it, where its body comes from, how long
//! everything may take. Out: the response, queued on the downstream connection, and whether that
//! connection may carry another request; or a [`ForwardError`]. [`Trace`] tells the course of it on
//! every way out.
//!
//! Invariants: at most one response head reaches the client; a byte of the request body is sent
//! again only from a copy that is whole; an upstream connection goes back to the pool only after
//! an exchange that both sides ended cleanly.
//!
//! Does not know: local replies, records. [`circuit`] lets a request in, [`attempt`] is one try,
//! [`relay`] the bodies, [`retry`] the rules for another try, [`pool`] the idle connections,
//! [`tunnel`] tunnels, [`ask`] questions of the proxy's own.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod ask;
mod attempt;
mod body;
mod circuit;
mod connect;
mod date;
mod idle;
mod pool;
mod pump;
mod relay;
mod replay;
mod retry;
mod trace;
mod tunnel;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

pub use ask::{Inquiry, ask};
pub use body::BodyError;
pub use circuit::{Circuit, CircuitPlan, CircuitReport, OpenConnection, PendingError};
pub use connect::ConnectError;
pub use date::DateCache;
pub use idle::IdlePolicy;
pub use pool::{ClusterPool, ConnectionPool, PoolEvent, Review, Upstream};
pub use relay::{RelayError, Timeouts};
pub use retry::{Grant, RetryAfter, RetryWish};
pub use trace::Trace;
pub use tunnel::{Passage, pass};

use crate::authorize::Permit;
use crate::balance::{
    Affinity, Avoided, Balancer, EndpointFault, EndpointKey, Lease, Pick, PickError,
};
use crate::http::h1::HeadLimits;
use crate::http::h1::encode::{RequestEdits, ResponseEdits};
use crate::http::{HeadError, Request, ResponseHead};
use crate::io::{Stream, Timer, clock};
use crate::limits;
use crate::route::{RetryPolicy, RetryReason};
use crate::tls::Connector;

use attempt::{Reached, Tried, Way};
use body::{Body, Outgoing};
use pump::Pump;
use relay::Upload;
use replay::Replay;

/// A request to forward, and everything that decides how.
pub struct Call<'a> {
    /// The caller may have this done.
    pub permit: Permit,
    /// The request's head.
    pub request: Request<'a>,
    /// What changes in it.
    pub request_edits: RequestEdits<'a>,
    /// What changes in the response's head, besides the connection, the date and the framing.
    pub response_edits: ResponseEdits<'a>,
    /// Bounds of a response head.
    pub response_limits: &'a HeadLimits,
    /// Gives a response without `Date` one.
    pub date: Option<&'a DateCache>,
    /// Where the request's body comes from and the response goes.
    pub downstream: &'a Stream,
    /// The downstream connection may go on after this exchange, as far as is known before it.
    pub may_persist: bool,
    /// It may not any more: it has begun to drain. Read when the response's head is there.
    pub is_draining: &'a Cell<bool>,
    /// Bytes of request body let through.
    pub body_bytes_max: u64,
    /// How long the phases may take.
    pub timeouts: Timeouts,
    /// How long one connection may take to be made.
    pub connect_timeout: Duration,
    /// TLS on that connection, if the cluster wants it.
    pub connector: Option<&'a Connector>,
    /// The downstream connection's timer.
    pub timer: &'a Timer,
    /// Gives the endpoints.
    pub balancer: &'a Balancer,
    /// Which endpoint the request belongs to, if it says so.
    pub affinity: Affinity<'a>,
    /// Gives the places in the cluster, and pays for retries.
    pub circuit: &'a Rc<Circuit>,
    /// When and how the request is tried again.
    pub retry: &'a RetryPolicy,
    /// Its idle connections.
    pub pool: &'a ClusterPool,
    /// A random number for this request.
    pub random: u64,
}

impl Call<'_> {
    /// The endpoint for the next attempt.
    fn pick(&self, random: u64, avoid: &[EndpointKey]) -> Result<Lease, ForwardError> {
        let pick = Pick {
            hash: self.affinity.hash,
            sticky: self.affinity.sticky,
            avoid,
            ..Pick::new(clock::recent(), random)
        };
        self.balancer.pick(&pick).map_err(ForwardError::Pick)
    }
}

/// Storage that outlives one request, so that none is allocated for it.
#[derive(Debug, Default)]
pub struct Space {
    /// The response's head.
    pub response: ResponseHead,
    /// The bytes of a response head that came in pieces.
    pub gathered: Vec<u8>,
    /// The sent part of a request body.
    pub replay: Vec<u8>,
}

impl Space {
    /// Gives back storage that an unusual exchange made large.
    pub fn shrink(&mut self) {
        self.gathered.clear();
        self.gathered.shrink_to(limits::HEAD_STORAGE_KEPT_BYTES);
        self.replay.clear();
        self.replay.shrink_to(limits::HEAD_STORAGE_KEPT_BYTES);
    }
}

/// Why a request got no (whole) response from an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardError {
    /// No place in the cluster.
    Pending(PendingError),
    /// No endpoint for it.
    Pick(PickError),
    /// No connection to the endpoint.
    Connect(ConnectError),
    /// The exchange broke off.
    Relay(RelayError),
    /// The response's head is malformed.
    ResponseHead(HeadError),
    /// More interim responses than [`limits::INTERIM_RESPONSES_MAX`].
    InterimFlood,
    /// A switch of protocols that the request had not asked for.
    UnaskedSwitch,
}

impl ForwardError {
    /// What the endpoint is to blame for; nothing when it is the client, or there was none.
    fn fault(self) -> Option<EndpointFault> {
        match self {
            Self::Connect(_) => Some(EndpointFault::Connect),
            Self::ResponseHead(_) | Self::InterimFlood | Self::UnaskedSwitch => {
                Some(EndpointFault::Broken)
            }
            Self::Pending(_) | Self::Pick(_) => None,
            Self::Relay(error) => match error {
                RelayError::RequestTimeout
                | RelayError::FirstByteTimeout
                | RelayError::TryTimeout
                | RelayError::IdleTimeout => Some(EndpointFault::Timeout),
                RelayError::UpstreamClosed | RelayError::ResponseBody(_) => {
                    Some(EndpointFault::Broken)
                }
                RelayError::UpstreamUntrusted
                | RelayError::ClientGone
                | RelayError::BodyTruncated
                | RelayError::ClientStalled
                | RelayError::BodyTimeout
                | RelayError::RequestBody(_) => None,
            },
        }
    }
}

/// A response was forwarded to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The downstream connection may carry another request.
    pub may_persist: bool,
}

/// Forwards one request, by as many attempts as the rules allow.
///
/// *Errors:* see [`ForwardError`]; when `trace.status` is set, a response had begun, and closing
/// the downstream connection is what tells the client that it is not whole.
pub async fn run(
    call: &Call<'_>,
    space: &mut Space,
    trace: &mut Trace,
) -> Result<Forwarded, ForwardError> {
    let length = call.request.body();
    let body = Body::new(length, call.body_bytes_max);
    let pump = Pump::new(body, Outgoing::of(length));
    let mut upload = Upload::new(pump, Replay::new(&mut space.replay), clock::recent());
    trace.is_request_whole = length.is_empty();
    call.circuit.deposit(clock::recent());
    let head = &mut space.response;
    let result = attempts(call, &mut upload, head, &mut space.gathered, trace).await;
    upload.release(call.downstream);
    result
}

/// One attempt after the other, until one is final.
async fn attempts(
    call: &Call<'_>,
    upload: &mut Upload<'_>,
    head: &mut ResponseHead,
    gathered: &mut Vec<u8>,
    trace: &mut Trace,
) -> Result<Forwarded, ForwardError> {
    let slot = circuit::slot(call, upload).await?;
    let mut avoided = Avoided::default();
    let lease = call.pick(call.random, avoided.keys());
    let mut way = Way::first(call, lease?, slot);
    loop {
        let grant = match attempt::run(call, &way, upload, head, gathered, trace).await {
            Tried::Forwarded(forwarded) => return Ok(forwarded),
            Tried::Again(grant) => grant,
            Tried::Failed(failed) => {
                match failed.error.fault() {
                    Some(fault) => way.lease.failed(fault, clock::now()),
                    // The client did not want the rest.
                    None if failed.reached == Reached::Committed => {
                        way.lease.completed(clock::now());
                    }
                    None => {}
                }
                let whole = upload.is_replayable();
                let granted = retry::reason(&failed)
                    .and_then(|reason| retry::ask(call, reason, RetryAfter::Unsaid, whole, trace));
                granted.ok_or(failed.error)?
            }
        };
        trace.attempt_failed(clock::now());
        avoided.push(way.lease.key());
        way = next_way(call, way, grant, upload, &avoided).await?;
    }
}

/// How to go about the next attempt: on another endpoint if there is one, after the wait that was
/// granted. No wait is needed before another endpoint when nobody has seen the request, nor at all
/// when only a connection had been closed for idleness.
async fn next_way(
    call: &Call<'_>,
    failed: Way,
    grant: Grant,
    upload: &mut Upload<'_>,
    avoided: &Avoided,
) -> Result<Way, ForwardError> {
    let idle_max = failed.idle_max;
    // Before the next pick: the failed attempt must not count against the bound.
    drop(failed);
    let avoid = avoided.keys();
    let random = call
        .random
        .rotate_left(u32::try_from(avoid.len()).unwrap_or(1));
    let pick = || call.pick(random, avoid);
    let mut way = Way {
        _slot: circuit::slot(call, upload).await?,
        lease: pick()?,
        may_reuse: grant.reason != RetryReason::StaleConnection,
        idle_max,
    };
    let waits = match grant.reason {
        RetryReason::StaleConnection => false,
        RetryReason::ConnectFailure => avoid.contains(&way.lease.key()),
        RetryReason::Reset
        | RetryReason::Timeout
        | RetryReason::BadResponse
        | RetryReason::Status => true,
    };
    if waits && !grant.wait.is_zero() {
        drop(way);
        circuit::pause(call, upload, grant.wait).await?;
        way = Way {
            _slot: circuit::slot(call, upload).await?,
            lease: pick()?,
            may_reuse: true,
            idle_max,
        };
    }
    Ok(way)
}
