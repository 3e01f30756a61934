//! Peers that must prove a SPIFFE ID (X.509-SVID §5): a server one instead of a name, a client one
//! of those that may come in.
//!
//! Chain, validity and revocation are the library's business; the name of a server that it compares
//! last is ignored, because an SVID need not have one, and the identity is compared in its stead.

mod svid;

use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

pub use svid::{GivenSvid, UsableSvid};

use super::peer::Peer;
use crate::config::{SpiffeId, SpiffePattern};

/// Whether a certificate, which has been verified, is for an identity that `is_right`.
fn prove(
    end_entity: &CertificateDer<'_>,
    now: UnixTime,
    is_right: impl FnOnce(&SpiffeId) -> bool,
) -> Result<(), Error> {
    let peer = Peer::read(end_entity, Duration::from_secs(now.as_secs()));
    let identity = peer.ok().and_then(|peer| peer.identity);
    match identity.is_some_and(|identity| is_right(&identity)) {
        true => Ok(()),
        false => Err(Error::InvalidCertificate(CertificateError::NotValidForName)),
    }
}

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
        prove(end_entity, now, |identity| *identity == self.identity)?;
        Ok(ServerCertVerified::assertion())
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

/// Verifies that a client is one of some workloads.
#[derive(Debug)]
pub(super) struct ClientIdentityVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    identities: Vec<SpiffePattern>,
}

impl ClientIdentityVerifier {
    /// A verifier for `identities`, by what `chain` trusts.
    pub(super) fn new(chain: Arc<dyn ClientCertVerifier>, identities: Vec<SpiffePattern>) -> Self {
        Self { chain, identities }
    }
}

impl ClientCertVerifier for ClientIdentityVerifier {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        let mut patterns = self.identities.iter();
        prove(end_entity, now, |id| {
            patterns.any(|pattern| pattern.matches(id))
        })?;
        Ok(verified)
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
