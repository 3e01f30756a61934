//! Opening connections to the one peer of a run.
//!
//! [`Dial`] is the plan, the same for all shards; each connection of a run has a [`Dialer`] of its
//! own, which opens it again as often as needed. So every connection is a client by itself: it
//! takes up its own TLS session when it comes back, and no other's.

use std::io::{ErrorKind, Result};
use std::sync::Arc;
use std::time::Duration;

use engine::io::{Address, Elapsed, Stream, Timer, clock};
use rustls::ClientConnection;

use super::Wire;
use super::tls::Tls;
use super::trust::Trust;

/// Where connections go, and whether through TLS.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    /// The peer.
    pub address: Address,
    /// Present for `https://`.
    pub tls: Option<Trust>,
}

impl Dial {
    /// A dialer for one connection.
    pub(crate) fn dialer(&self) -> Dialer {
        Dialer {
            address: self.address.clone(),
            tls: self.tls.as_ref().map(Trust::of_one_connection),
        }
    }
}

/// Opens one connection, again and again.
#[derive(Debug)]
pub(crate) struct Dialer {
    address: Address,
    tls: Option<Trust>,
}

impl Dialer {
    /// Connects and, if asked, shakes hands.
    ///
    /// *Errors:* as `connect(2)`, or what [`super::is_tls`] knows.
    pub(crate) async fn open(&self) -> Result<Wire> {
        let stream = Stream::connect(&self.address).await?;
        let Some(trust) = &self.tls else {
            return Ok(Wire::Plain(stream));
        };
        let config = Arc::clone(&trust.config);
        let client = ClientConnection::new(config, trust.name.clone())
            .map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, error))?;
        let tls = Tls::start(stream, client.into()).await?;
        Ok(Wire::Tls(Box::new(tls)))
    }

    /// [`Dialer::open`], or `TimedOut`.
    pub(crate) async fn open_within(&self, timeout: Duration) -> Result<Wire> {
        let timer = Timer::new();
        timer.arm(clock::now() + timeout);
        let opened = timer.guard(self.open()).await;
        opened.unwrap_or_else(|Elapsed| Err(ErrorKind::TimedOut.into()))
    }
}
