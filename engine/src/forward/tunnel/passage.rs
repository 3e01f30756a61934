//! A connection that is carried through unread, TLS and all.
//!
//! In: a [`Passage`]: what the client has said already, and everything that decides where it goes.
//! Out: when both directions have ended; or why it did not come to that. An endpoint that cannot be
//! reached is replaced by another as long as nothing was sent; from the first byte on there is no
//! other attempt. There is no request here: policies judge where it comes from and the name.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use super::{Ends, Trace, carry};
use crate::authorize::Permit;
use crate::balance::{Avoided, Balancer, EndpointFault, Lease, Pick};
use crate::forward::circuit::{Circuit, Entry, PendingError, Slot};
use crate::forward::pool::{ClusterPool, PoolEvent};
use crate::forward::{ForwardError, connect};
use crate::io::{Elapsed, Stream, Timer, clock};
use crate::limits;

/// A connection to carry through, and everything that decides how.
pub struct Passage<'a> {
    /// The client may have this done.
    pub permit: Permit,
    /// What the client has said already.
    pub first: &'a [u8],
    /// The client.
    pub downstream: &'a Stream,
    /// The downstream connection's timer.
    pub timer: &'a Timer,
    /// How long one connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest time in which nothing moves.
    pub idle: Option<Duration>,
    /// Gives the endpoints.
    pub balancer: &'a Balancer,
    /// Gives the places in the cluster.
    pub circuit: &'a Rc<Circuit>,
    /// Where connections are counted; none of these is used again.
    pub pool: &'a ClusterPool,
    /// A random number for this connection.
    pub random: u64,
}

/// Connects to an endpoint and carries bytes both ways until both directions have ended.
///
/// *Errors:* see [`ForwardError`]; after `trace.is_tunnel` is set, the endpoint has been spoken to.
pub async fn pass(passage: &Passage<'_>, trace: &mut Trace) -> Result<(), ForwardError> {
    let _slot = slot(passage).await?;
    let (upstream, lease) = reach(passage, trace).await?;
    let _open = passage.circuit.open_connection();
    let _hold = lease.hold_connection();
    upstream.write(|out| out.extend_from_slice(passage.first));
    trace.sent_at = clock::now();
    let ends = Ends {
        downstream: passage.downstream,
        upstream: &upstream,
        timer: passage.timer,
        idle: passage.idle,
    };
    let ended = carry(&ends, trace).await;
    passage.pool.tell(PoolEvent::Unclean);
    ended.map_err(ForwardError::Relay)
}

/// A slot of the cluster's circuit, as soon as there is one.
async fn slot(passage: &Passage<'_>) -> Result<Slot, ForwardError> {
    let circuit = passage.circuit;
    let pending = match circuit.enter() {
        Entry::Open(slot) => return Ok(slot),
        Entry::Full => return Err(ForwardError::Pending(PendingError::Full)),
        Entry::Waits(pending) => pending,
    };
    passage.timer.arm(clock::now() + circuit.pending_timeout());
    let granted = poll_fn(|cx| pending.poll_slot(cx));
    passage.timer.guard(granted).await.map_err(|Elapsed| {
        circuit.timed_out();
        ForwardError::Pending(PendingError::TimedOut)
    })
}

/// A connection to an endpoint, to another if the first cannot be reached.
async fn reach(passage: &Passage<'_>, trace: &mut Trace) -> Result<(Stream, Lease), ForwardError> {
    let mut avoided = Avoided::default();
    loop {
        let now = clock::now();
        let pick = Pick {
            avoid: avoided.keys(),
            ..Pick::new(now, passage.random.rotate_left(trace.attempts))
        };
        let lease = passage.balancer.pick(&pick);
        let lease = lease.map_err(ForwardError::Pick)?;
        trace.attempt(lease.id(), now);
        let ends = now + passage.connect_timeout;
        let error = match connect::connect(lease.address(), None, passage.pool, passage.timer, ends)
            .await
        {
            Ok(stream) => {
                trace.connected_at = clock::now();
                // What the endpoint does with the connection is between it and the client.
                lease.completed(trace.connected_at);
                passage.pool.tell(PoolEvent::Connected);
                return Ok((stream, lease));
            }
            Err(error) => error,
        };
        let now = clock::now();
        passage.pool.tell(PoolEvent::ConnectFailed);
        lease.failed(EndpointFault::Connect, now);
        let is_again = avoided.keys().contains(&lease.key());
        if is_again || trace.attempts >= limits::PASSAGE_ATTEMPTS_MAX {
            return Err(ForwardError::Connect(error));
        }
        avoided.push(lease.key());
        trace.attempt_failed(now);
    }
}
