//! Who is at the other end: what a verified certificate says.
//!
//! The chain was verified by rustls before anything here is read. An identity is taken from a
//! certificate only if it is a SPIFFE X.509-SVID by all its rules; one that tries to be and is not
//! is refused, since a policy could be misled by half of it.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::HandshakeError;
use crate::config::SpiffeId;

/// A peer that has proved to hold a certificate.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its SPIFFE ID, if the certificate is an SVID.
    pub identity: Option<SpiffeId>,
    /// The certificate's subject, as RFC 4514 writes it.
    pub subject: Box<str>,
    /// The host names it is for.
    pub names: Vec<Box<str>>,
    /// Until when it is valid, since 1970.
    pub not_after: Duration,
    /// The certificate as an entry of `X-Forwarded-Client-Cert`, in Envoy's form.
    pub forwarded: Box<[u8]>,
}

impl Peer {
    /// The name that policies and logs know it by: its identity, else its certificate's subject.
    #[must_use]
    pub fn principal(&self) -> &str {
        let identity = self.identity.as_ref().map(SpiffeId::as_str);
        identity.unwrap_or(&self.subject)
    }

    /// Reads the certificate of a peer, in DER, at `now` since 1970. Who has issued it and whether
    /// the peer holds its key is not looked at.
    ///
    /// # Errors
    /// It cannot be read, has expired since the session it was shown in, or is an SVID that breaks
    /// the rules.
    pub fn read(leaf: &[u8], now: Duration) -> Result<Self, HandshakeError> {
        let invalid = HandshakeError::CertificateInvalid;
        let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| invalid)?;
        let not_after = certificate.validity().not_after.timestamp();
        let not_after = Duration::from_secs(u64::try_from(not_after).unwrap_or(0));
        // A full handshake checks this; a resumed one brings the certificate of the first.
        if not_after <= now {
            return Err(HandshakeError::CertificateExpired);
        }
        let identity = identity(&certificate)?;
        Ok(Self {
            forwarded: forwarded(leaf, &certificate, identity.as_ref()).into(),
            identity,
            subject: certificate.subject().to_string().into(),
            names: names(&certificate).map(Into::into).collect(),
            not_after,
        })
    }
}

/// `Hash=…;Subject="…";URI=…;DNS=…`. What could end an entry or a field is left out: a certificate
/// may hold any text, and an authority may have signed it unread.
fn forwarded(
    der: &[u8],
    certificate: &X509Certificate<'_>,
    identity: Option<&SpiffeId>,
) -> Vec<u8> {
    let mut entry = String::from("Hash=");
    for byte in digest(&SHA256, der).as_ref() {
        let _ = write!(entry, "{byte:02x}");
    }
    let subject = certificate.subject().to_string();
    let quotable = |c: &char| (*c == ' ' || c.is_ascii_graphic()) && !matches!(c, '"' | '\\');
    let subject: String = subject.chars().filter(quotable).collect();
    let _ = write!(entry, ";Subject=\"{subject}\"");
    if let Some(identity) = identity {
        let _ = write!(entry, ";URI={identity}");
    }
    let plain = |name: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte);
        name.bytes().all(allowed)
    };
    for name in names(certificate).filter(plain) {
        let _ = write!(entry, ";DNS={name}");
    }
    entry.into_bytes()
}

/// The host names that a certificate is for (RFC 9525 §6.3: the subject's common name is none).
pub(super) fn names<'a>(certificate: &'a X509Certificate<'_>) -> impl Iterator<Item = &'a str> {
    general_names(certificate).filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(*name),
        _ => None,
    })
}

fn general_names<'a>(
    certificate: &'a X509Certificate<'_>,
) -> impl Iterator<Item = &'a GeneralName<'a>> {
    let extensions = certificate.extensions().iter();
    extensions
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(names.general_names.iter()),
            _ => None,
        })
        .flatten()
}

/// The SPIFFE ID of a certificate, if it has one.
fn identity(certificate: &X509Certificate<'_>) -> Result<Option<SpiffeId>, HandshakeError> {
    let mut uris = general_names(certificate).filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let (Some(uri), further) = (uris.next(), uris.next()) else {
        return Ok(None);
    };
    let is_spiffe = |uri: &str| {
        let scheme = uri.get(.."spiffe:".len());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
    };
    if !is_spiffe(uri) && !further.is_some_and(is_spiffe) && !uris.any(is_spiffe) {
        return Ok(None);
    }
    // X.509-SVID §2: exactly one URI.
    let only = further.is_none().then_some(uri);
    let id = only.and_then(SpiffeId::parse);
    // X.509-SVID §4.1, §4.3: a leaf names a workload and signs no certificates.
    let id = id.filter(|id| !id.path().is_empty() && is_leaf(certificate));
    id.map(Some).ok_or(HandshakeError::CertificateInvalid)
}

fn is_leaf(certificate: &X509Certificate<'_>) -> bool {
    if certificate.is_ca() {
        return false;
    }
    match certificate.key_usage() {
        Ok(Some(usage)) => {
            let usage = usage.value;
            usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign()
        }
        // X.509-SVID §4.3: the key usage must be there.
        Ok(None) | Err(_) => false,
    }
}
