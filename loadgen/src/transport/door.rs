//! The origin's side of a handshake: what it shows, whom it lets in.
//!
//! *In:* the options, then one accepted socket after the other. *Out:* a [`Wire`] for each, ready
//! for HTTP. One door serves all threads; sessions are sealed into tickets, so nothing is shared.

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use engine::io::Stream;
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ServerConfig, ServerConnection};

use super::identity::{Identity, unfit};
use super::options::{DoorOptions, TlsVersion};
use super::tls::Tls;
use super::trust::authorities;
use super::{Protocol, Wire};

/// Lets connections in: as they are, or after a handshake.
#[derive(Clone, Debug, Default)]
pub(crate) struct Door {
    tls: Option<Arc<ServerConfig>>,
}

impl Door {
    /// The door that the options describe; through TLS it speaks one of `protocols`, of those that
    /// the client offers the first.
    ///
    /// *Errors:* one sentence for the user.
    pub(crate) fn new(
        options: &DoorOptions,
        protocols: &[Protocol],
        now: SystemTime,
    ) -> Result<Self, String> {
        let Some(identity) = identity(options, now)? else {
            return Ok(Self::default());
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(TlsVersion::offered(options.tls_version))
            .map_err(|error| format!("cannot speak TLS: {error}"))?;
        let builder = match &options.tls_client_ca {
            Some(file) => {
                let provider = Arc::new(aws_lc_rs::default_provider());
                let roots = Arc::new(authorities(Some(file))?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| format!("cannot use {}: {error}", file.display()))?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(identity.chain, identity.key)
            .map_err(|error| match (&options.tls_cert, &options.tls_key) {
                (Some(certificate), Some(key)) => unfit(certificate, key, &error),
                _ => format!("cannot use the certificate made: {error}"),
            })?;
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.alpn().to_vec())
            .collect();
        config.ticketer = Ticketer::new().map_err(|error| format!("no tickets: {error}"))?;
        Ok(Self {
            tls: Some(Arc::new(config)),
        })
    }

    /// Lets one connection in.
    ///
    /// *Errors:* the connection broke, or the handshake failed ([`super::is_tls`]).
    pub(crate) async fn admit(&self, stream: Stream) -> io::Result<Wire> {
        let Some(config) = &self.tls else {
            return Ok(Wire::Plain(stream));
        };
        let listener = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        Ok(Wire::Tls(Box::new(
            Tls::start(stream, listener.into()).await?,
        )))
    }
}

/// What the origin shows; `None` without TLS.
fn identity(options: &DoorOptions, now: SystemTime) -> Result<Option<Identity>, String> {
    if let (Some(certificate), Some(key)) = (&options.tls_cert, &options.tls_key) {
        return Identity::read(certificate, key).map(Some);
    }
    if !options.tls_self_signed {
        return Ok(None);
    }
    let (identity, pem) = Identity::fresh(now)?;
    if let Some(file) = &options.tls_write_cert {
        std::fs::write(file, pem)
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(Some(identity))
}
