//! TLS as meant: which files, which versions, who must show a certificate.
//!
//! Paths only: what the files hold is the business of `tls`, which reads them when a configuration
//! is compiled and reports what is wrong with them under the same field paths.

mod identity;

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

pub use identity::{
    BUNDLE_FILE, HeldIdentity, Identity, IdentitySource, SVID_FILE, WorkloadApi, WorkloadEndpoint,
};

use super::{SpiffeId, SpiffePattern};

/// TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerTls {
    /// The lowest version that is spoken.
    pub min_version: TlsVersion,
    /// What clients have to show.
    pub client_certificate: ClientCertificate,
    /// The authorities whose certificates clients may show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Lists of what those authorities have revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub client_crls: Vec<PathBuf>,
    /// The identities of which a client that shows a certificate must have one; none is asked for
    /// when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_identities: Option<ClientIdentities>,
    /// What this listener shows; the first is shown to clients that ask for no name, or for one
    /// that none of them is for.
    pub certificates: Vec<CertificateFiles>,
}

/// TLS towards the endpoints of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterTls {
    /// The lowest version that is spoken.
    pub min_version: TlsVersion,
    /// The name that endpoints are asked for and must prove; their address when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The SPIFFE ID that endpoints must prove, instead of a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<SpiffeId>,
    /// The authorities that are trusted; those of the system when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// Lists of what those authorities have revoked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crls: Vec<PathBuf>,
    /// What is shown to endpoints that ask for a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateFiles>,
}

impl ListenerTls {
    /// Every file it names.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let shown = self.certificates.iter().flat_map(CertificateFiles::files);
        let trusted = self.client_ca.iter().chain(&self.client_crls);
        shown.chain(trusted.map(PathBuf::as_path)).collect()
    }
}

impl ClusterTls {
    /// Every file it names.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        let shown = self.certificate.iter().flat_map(CertificateFiles::files);
        let trusted = self.ca.iter().chain(&self.crls);
        shown.chain(trusted.map(PathBuf::as_path)).collect()
    }
}

impl CertificateFiles {
    fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.chain, &self.key].into_iter().chain(&self.ocsp);
        files.map(PathBuf::as_path)
    }
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateFiles {
    /// The certificate and its intermediates, in PEM, each issued by the next.
    pub chain: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// The issuer's OCSP response for it, in DER, to be stapled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ocsp: Option<PathBuf>,
}

/// Which identities clients may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientIdentities {
    /// Any in the trust domain of the first certificate that the listener shows.
    OwnTrustDomain,
    /// Those that one of these matches.
    Listed(Vec<SpiffePattern>),
}

impl Serialize for ClientIdentities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::OwnTrustDomain => serializer.serialize_str("own_trust_domain"),
            Self::Listed(patterns) => patterns.serialize(serializer),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    #[serde(rename = "1.3")]
    Tls13,
}

/// What clients have to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificate {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked, and what they show must be in order.
    Optional,
    /// Without one there is no connection.
    Required,
}

impl std::fmt::Display for TlsVersion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        })
    }
}

impl std::fmt::Display for ClientCertificate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        })
    }
}
