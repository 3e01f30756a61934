//! A new connection to an endpoint, with TLS where the cluster has it.
//!
//! In: an address, and until when. Out: a stream that nothing was sent on, or why there is none.
//! Who it is for, and whether another endpoint is tried, is decided by the caller.

use std::io::ErrorKind;
use std::rc::Rc;

use super::circuit::{Circuit, OpenConnection};
use super::pool::{ClusterPool, PoolEvent, Upstream};
use crate::balance::Lease;
use crate::io::{Address, Elapsed, Instant, Stream, Timer, clock};
use crate::tls::{Connector, HandshakeError};

/// Why there is no connection to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// Nothing listens there.
    Refused,
    /// It took longer than the connect timeout.
    TimedOut,
    /// Anything else: unreachable, no such socket, no local port left.
    Failed,
    /// It did not prove who it is, or the handshake failed otherwise.
    Tls(HandshakeError),
}

impl ConnectError {
    /// It took too long.
    pub(super) fn is_timeout(self) -> bool {
        matches!(self, Self::TimedOut | Self::Tls(HandshakeError::TimedOut))
    }
}

/// Connects `to` an endpoint, and begins TLS if there is a `connector`; both until `ends`. The pool
/// remembers a connection with TLS.
pub(super) async fn connect(
    to: &Address,
    connector: Option<&Connector>,
    pool: &ClusterPool,
    timer: &Timer,
    ends: Instant,
) -> Result<Stream, ConnectError> {
    timer.arm(ends);
    let stream = match timer.guard(Stream::connect(to)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            return Err(ConnectError::Refused);
        }
        Ok(Err(_)) => return Err(ConnectError::Failed),
        Err(Elapsed) => return Err(ConnectError::TimedOut),
    };
    let Some(connector) = connector else {
        return Ok(stream);
    };
    // Its state is large, and a reused connection needs none of it.
    let handshake = Box::pin(connector.connect(&stream, to));
    match timer.guard(handshake).await {
        Ok(Ok(link)) => {
            pool.remember(link);
            Ok(stream)
        }
        Ok(Err(error)) => Err(ConnectError::Tls(error)),
        Err(Elapsed) => Err(ConnectError::Tls(HandshakeError::TimedOut)),
    }
}

/// A place for another connection, for which an idle one is closed if there is no room.
pub(super) fn place(circuit: &Rc<Circuit>, pool: &ClusterPool) -> OpenConnection {
    if circuit.is_full_of_connections() {
        pool.make_room();
    }
    circuit.open_connection()
}

/// A connection that was just made.
pub(super) fn made(
    stream: Stream,
    lease: &Lease,
    open: OpenConnection,
    pool: &ClusterPool,
    random: u64,
) -> Upstream {
    pool.tell(PoolEvent::Connected);
    Upstream {
        stream,
        is_reused: false,
        retires: pool.retires_at(clock::now(), random),
        hold: lease.hold_connection(),
        open,
    }
}
