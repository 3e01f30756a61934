//! One connection of a listener that does not decrypt: the steps, in order.
//!
//! The client's hello says by what name it knows the endpoint; the name has a route, the route a
//! cluster, and from then on bytes go both ways. It is told and recorded as one exchange without a
//! request: a tunnel. A client that cannot be served gets the alert that says why (RFC 8446 §6.2).

use std::rc::Rc;

use super::authorization;
use super::connection::Connection;
use super::fold::{self, Reason};
use super::snapshot::generation::ListenerSlot;
use super::telling::Telling;
use crate::forward::{self, Passage};
use crate::io::clock;
use crate::record::{CloseReason, DownstreamFailure, Failure, Handshake, ProxyFailure};
use crate::route::RouteAction;
use crate::tls::{ClientHello, HandshakeError, HelloReader, alert};

/// Serves `connection` to its end. Says why it ends.
pub(super) async fn run(connection: &Connection, slot: Rc<ListenerSlot>) -> CloseReason {
    let mut reader = HelloReader::default();
    let hello = match read(connection, &slot, &mut reader).await {
        Ok(hello) => hello,
        Err(error) => {
            let count = Handshake::Failed(error);
            let listener = slot.plan.id;
            connection
                .local
                .record(|recorder| recorder.handshake(listener, count));
            let answer = reader.refusal(error);
            connection.stream.write(|out| out.extend_from_slice(answer));
            return CloseReason::Failure;
        }
    };
    let bytes = reader.bytes();
    let mut telling = Telling::begin(connection, &slot, None, b"", bytes.len(), clock::now());
    let name = hello.server_name.as_deref().unwrap_or_default();
    telling.asked_for(name);
    if let Err((failure, detail)) = pass(&mut telling, name, bytes).await {
        let is_cut = connection.is_cut.get();
        let failure = if is_cut {
            ProxyFailure::Draining.into()
        } else {
            failure
        };
        telling.failed(failure, detail);
        if telling.trace.is_tunnel {
            // What the client has may not be all: it must not look like an end.
            connection.stream.reset();
        } else {
            let answer = match failure {
                Failure::Downstream(DownstreamFailure::NoRoute) => alert::UNRECOGNIZED_NAME,
                Failure::Downstream(DownstreamFailure::Denied) => alert::ACCESS_DENIED,
                _ => alert::INTERNAL_ERROR,
            };
            connection
                .stream
                .write(|out| out.extend_from_slice(&answer));
        }
    }
    telling.end(false).unwrap_or(CloseReason::TunnelEnded)
}

/// Waits for the client's hello.
async fn read(
    connection: &Connection,
    slot: &ListenerSlot,
    reader: &mut HelloReader,
) -> Result<ClientHello, HandshakeError> {
    let (stream, timer) = (&connection.stream, &connection.timer);
    timer.arm(clock::now() + slot.plan.timeouts.handshake);
    loop {
        let mut run = match timer.guard(stream.recv()).await {
            Ok(Ok(Some(run))) => run,
            Ok(Ok(None) | Err(_)) => return Err(HandshakeError::Closed),
            Err(_) => return Err(HandshakeError::TimedOut),
        };
        let taken = reader.take(&run)?;
        if let Some(hello) = taken.hello {
            run.advance(taken.used);
            stream.unread(run);
            return Ok(hello);
        }
    }
}

/// Route, authorize, balance, forward.
async fn pass(telling: &mut Telling<'_>, name: &str, first: &[u8]) -> Result<(), Reason> {
    let (connection, slot) = (telling.connection(), telling.slot());
    let no_route = (DownstreamFailure::NoRoute.into(), "");
    let location = slot.plan.routes.locate_name(name);
    if let Some(route) = location.route {
        telling.routed(route);
    }
    // Who may not enter is not told what there is.
    let permit = authorization::of_connection(telling, name, location)?;
    let route = location.route.ok_or(no_route)?;
    // The configuration has no other actions here.
    let RouteAction::Forward(clusters) = &route.action else {
        return Err(no_route);
    };
    let random = connection.local.random.next();
    let cluster = clusters.pick((random >> 32) as u32);
    let no_cluster = (ProxyFailure::NoCluster.into(), "");
    let cluster = slot.generation.cluster(cluster).ok_or(no_cluster)?;
    telling.sent_to(&cluster);
    let passage = Passage {
        permit,
        first,
        downstream: &connection.stream,
        timer: &connection.timer,
        connect_timeout: cluster.plan.upstream.connect_timeout,
        idle: route.timeouts.idle,
        balancer: &cluster.balancer,
        circuit: &cluster.circuit,
        pool: &cluster.pool,
        random,
    };
    let passed = forward::pass(&passage, &mut telling.trace).await;
    passed.map_err(|error| fold::forward(error, &telling.trace))
}
