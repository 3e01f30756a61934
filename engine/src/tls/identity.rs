//! A server that must prove a SPIFFE ID instead of a name (X.509-SVID §5).
//!
//! Chain, validity and revocation are the library's business; the name that it compares last is
//! ignored, because an SVID need not have one, and the identity is compared in its stead.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::peer::Peer;
use crate::config::SpiffeId;

/// Verifies that a server is a certain workload.
#[derive(Debug)]
pub(super) struct IdentityVerifier {
    chain: Arc<WebPkiServerVerifier>,
    identity: SpiffeId,
}

impl IdentityVerifier {
    /// A verifier for `identity`, by what `chain` trusts.
    pub(super) fn new(chain: Arc<WebPkiServerVerifier>, identity: SpiffeId) -> Self {
        Self { chain, identity }
    }
}

impl ServerCertVerifier for IdentityVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.chain.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is compared after everything else was found in order.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            Err(error) => return Err(error),
        }
        let since = Duration::from_secs(now.as_secs());
        let peer = Peer::read(end_entity, since);
        let identity = peer.ok().and_then(|peer| peer.identity);
        match identity.as_ref() == Some(&self.identity) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
