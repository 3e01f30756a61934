//! The listener's handshake.
//!
//! Each connection gets the listener's settings with a resolver of its own, which remembers the
//! name that was asked for. A client that resumes is held to its certificate as if it had shown it
//! anew.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::server::UnbufferedServerConnection;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CommonState, HandshakeKind, ServerConfig};

use super::certificates::{Asked, Certificates};
use super::channel::{Channel, Side};
use super::error::HandshakeError;
use super::files::{Fault, Files};
use super::peer::Peer;
use super::secrets::Source;
use super::settings;
use crate::config::ListenerTls;
use crate::io::{Instant, Stream, clock};

/// TLS of one listener.
#[derive(Debug)]
pub struct Acceptor {
    config: ServerConfig,
    certificates: Arc<Certificates>,
    verifier: Arc<dyn ClientCertVerifier>,
    /// What it was made from.
    pub(super) source: Source<ListenerTls>,
}

/// What a handshake found out.
#[derive(Debug)]
pub struct Secure {
    /// The name the client asked for, if it asked for one.
    pub server_name: Option<Box<str>>,
    /// The protocol version, as in `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite, by its IANA name.
    pub cipher: &'static str,
    /// It continues an earlier session.
    pub is_resumed: bool,
    /// The client, if it has shown a certificate.
    pub peer: Option<Peer>,
    /// Until when what it has shown holds; `NEVER` if it has shown nothing.
    pub proof_ends: Instant,
    /// Where what the client has shown is kept.
    side: Rc<RefCell<Side>>,
}

impl Acceptor {
    /// Reads what a listener shows and trusts.
    ///
    /// *Errors:* everything that is wrong with the files, each with the field that names it,
    /// relative to the listener's `tls`.
    pub(super) fn load(source: Source<ListenerTls>, files: Files<'_>) -> Result<Self, Vec<Fault>> {
        let settings::Listening {
            config,
            certificates,
            verifier,
        } = settings::server(&source.tls, files)?;
        Ok(Self {
            config,
            certificates,
            verifier,
            source,
        })
    }

    /// Begins TLS on an accepted connection and waits for the end of the handshake. The caller
    /// has a deadline for it.
    pub async fn accept(&self, stream: &Stream) -> Result<Secure, HandshakeError> {
        let name = Arc::new(OnceLock::new());
        let mut config = self.config.clone();
        let certificates = Arc::clone(&self.certificates);
        config.cert_resolver = Arc::new(Asked::new(certificates, Arc::clone(&name)));
        let connection = UnbufferedServerConnection::new(Arc::new(config));
        // Fails only for a configuration that `load` does not make.
        let connection = connection.map_err(|error| HandshakeError::of(&error))?;
        let side = Rc::new(RefCell::new(Side::Server(connection)));
        let handshake = Rc::default();
        let channel = Channel::new(Rc::clone(&side), Rc::clone(&handshake));
        stream.secure(Box::new(channel));
        let result = stream.until(|| *handshake.borrow()).await;
        result.unwrap_or(Err(HandshakeError::Closed))?;
        let established = side.borrow();
        let Side::Server(connection) = &*established else {
            return Err(HandshakeError::Malformed);
        };
        let (now, mut proof_ends) = (since_1970(), Instant::NEVER);
        let shown = connection.peer_certificates();
        let leaf = shown.and_then(<[_]>::first);
        let peer = leaf.map(|leaf| Peer::read(leaf, now)).transpose()?;
        if let Some(peer) = &peer {
            proof_ends = clock::now() + peer.not_after.saturating_sub(now);
        }
        let server_name = name.get().cloned();
        let (version, cipher) = terms(connection);
        let is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        drop(established);
        Ok(Secure {
            server_name,
            version,
            cipher,
            is_resumed,
            peer,
            proof_ends,
            side,
        })
    }

    /// Whether what the client of `secure` has shown, perhaps to an earlier acceptor, would be
    /// taken now: its authority is still trusted, it is not revoked, and nothing more is asked.
    ///
    /// *Cost:* one verification of the chain: a signature for each certificate in it.
    #[must_use]
    pub fn trusts(&self, secure: &Secure) -> bool {
        let Side::Server(connection) = &*secure.side.borrow() else {
            return false;
        };
        match connection.peer_certificates() {
            Some([leaf, issuers @ ..]) => {
                self.verifier.offer_client_auth()
                    && self
                        .verifier
                        .verify_client_cert(leaf, issuers, UnixTime::now())
                        .is_ok()
            }
            Some([]) | None => !self.verifier.client_auth_mandatory(),
        }
    }

    /// When each certificate that is shown expires, in seconds since 1970, in the order of the
    /// configuration.
    pub fn expiries(&self) -> impl Iterator<Item = u64> {
        self.certificates.expiries()
    }

    /// Whether a connection on which the client asked for `asked` may serve requests for `host`,
    /// which is without a port. If not, the request belongs on another connection (RFC 9110
    /// §15.5.20).
    #[must_use]
    pub fn serves(&self, asked: &str, host: &str) -> bool {
        self.certificates.serves(asked, host)
    }
}

/// The time, since 1970.
pub(super) fn since_1970() -> Duration {
    let since = clock::wall().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Version and cipher suite of an established connection.
fn terms(connection: &CommonState) -> (&'static str, &'static str) {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        Some(_) | None => "unknown",
    };
    let suite = connection.negotiated_cipher_suite();
    let cipher = suite.and_then(|suite| suite.suite().as_str());
    (version, cipher.unwrap_or("unknown"))
}
