//! The client's handshake, and which servers it trusts.
//!
//! A server must prove the configured name, or the SPIFFE ID, or else the address it was reached
//! at. There is no way to trust just anybody.

use std::cell::RefCell;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};

use super::channel::{Channel, Side};
use super::error::HandshakeError;
use super::files::{Fault, Files};
use super::secrets::Source;
use super::settings;
use crate::config::ClusterTls;
use crate::io::{Address, Cutter, Stream};

/// TLS of one cluster.
#[derive(Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
    /// What is asked for and, unless an identity is, must be proved.
    name: Option<ServerName<'static>>,
    /// What it was made from.
    pub(super) source: Source<ClusterTls>,
}

/// An open connection to an endpoint, as far as it takes to look at its peer again. Does not keep
/// it open.
#[derive(Debug)]
pub struct Link {
    side: Weak<RefCell<Side>>,
    cutter: Cutter,
    /// What the peer must prove where no name is configured.
    address: ServerName<'static>,
}

impl Connector {
    /// Reads what a cluster trusts and shows.
    ///
    /// *Errors:* everything that is wrong with the files, each with the field that names it,
    /// relative to the cluster's `tls`.
    pub(super) fn load(source: Source<ClusterTls>, files: Files<'_>) -> Result<Self, Vec<Fault>> {
        let tls = &source.tls;
        let settings::Connecting { config, verifier } = settings::client(tls, files)?;
        let name = tls.server_name.as_ref();
        // The configuration takes only names that are valid here as well.
        let name = name.and_then(|name| ServerName::try_from(name.clone()).ok());
        Ok(Self {
            config: Arc::new(config),
            verifier,
            name,
            source,
        })
    }

    /// What a health check of `address` goes by: the same trust, for a connection of its own.
    pub fn for_check(&self, address: &Address) -> (Arc<ClientConfig>, ServerName<'static>) {
        let name = self.name.clone().unwrap_or_else(|| of_address(address));
        (Arc::clone(&self.config), name)
    }

    /// Begins TLS on a connection to `address` and waits for the end of the handshake. The caller
    /// has a deadline for it.
    pub async fn connect(
        &self,
        stream: &Stream,
        address: &Address,
    ) -> Result<Link, HandshakeError> {
        let address = of_address(address);
        let name = self.name.as_ref().unwrap_or(&address).clone();
        let config = Arc::clone(&self.config);
        let connection = UnbufferedClientConnection::new(config, name);
        let connection = connection.map_err(|error| HandshakeError::of(&error))?;
        let side = Rc::new(RefCell::new(Side::Client(connection)));
        let handshake = Rc::default();
        let link = Link {
            side: Rc::downgrade(&side),
            cutter: stream.cutter(),
            address,
        };
        let channel = Channel::new(side, Rc::clone(&handshake));
        stream.secure(Box::new(channel));
        let result = stream.until(|| *handshake.borrow()).await;
        result.unwrap_or(Err(HandshakeError::Closed))?;
        Ok(link)
    }

    /// Whether the peer of `link`, which was perhaps made by an earlier connector, would be taken
    /// now: its authority is still trusted, and it is not revoked.
    ///
    /// *Cost:* one verification of the chain: a signature for each certificate in it.
    #[must_use]
    pub fn trusts(&self, link: &Link) -> bool {
        let Some(side) = link.side.upgrade() else {
            return true;
        };
        let Side::Client(connection) = &*side.borrow() else {
            return false;
        };
        let Some([leaf, issuers @ ..]) = connection.peer_certificates() else {
            return false;
        };
        let (name, now) = (self.name.as_ref().unwrap_or(&link.address), UnixTime::now());
        self.verifier
            .verify_server_cert(leaf, issuers, name, &[], now)
            .is_ok()
    }
}

impl Link {
    /// Whether the connection is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        // Its cipher lives as long as the socket.
        self.side.strong_count() > 0
    }

    /// Ends the connection, if it is still there, whatever it is used for.
    pub fn cut(&self) {
        if self.is_open() {
            self.cutter.cut();
        }
    }
}

/// What a client of its own needs to reach `host` by HTTPS: settings, and the name to be proved.
///
/// # Errors
/// What is wrong with the authorities or the name, for a person.
pub fn https(
    ca: Option<&Path>,
    host: &str,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let tls = ClusterTls {
        ca: ca.map(Path::to_owned),
        ..ClusterTls::default()
    };
    https_as(&tls, host)
}

/// The same for a client that goes by all of `tls`, and maybe shows a certificate.
///
/// # Errors
/// What is wrong with the files or the name, for a person.
pub fn https_as(
    tls: &ClusterTls,
    host: &str,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), String> {
    let connecting = settings::client(tls, Files::default()).map_err(|faults| {
        let fault = faults.into_iter().next();
        fault.map_or_else(String::new, |fault| {
            let told = format!("{} {}", fault.file, fault.message);
            told.trim().to_owned()
        })
    })?;
    let host = tls.server_name.as_deref().unwrap_or(host);
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| format!("{host} is no name that a certificate could be for"))?;
    Ok((Arc::new(connecting.config), name))
}

/// What a server without a configured name must prove.
fn of_address(address: &Address) -> ServerName<'static> {
    match address {
        Address::Tcp(address) => ServerName::IpAddress(address.ip().into()),
        // A socket in the file system has no name of its own.
        Address::Unix(_) => ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
    }
}
