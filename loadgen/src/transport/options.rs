//! TLS options of the generator and of the origin, and the words that teach them.
//!
//! Clap checks which options go together; whether they fit the URL is the run's to check. The files
//! they name are read by `trust.rs` and `door.rs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use rustls::SupportedProtocolVersion;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    #[value(name = "1.2")]
    V12,
    /// TLS 1.3 (RFC 8446).
    #[value(name = "1.3")]
    V13,
}

impl TlsVersion {
    /// The versions to offer: the one asked for, or both.
    pub(crate) fn offered(asked: Option<Self>) -> &'static [&'static SupportedProtocolVersion] {
        match asked {
            Some(Self::V12) => &ALL_VERSIONS[1..],
            Some(Self::V13) => &ALL_VERSIONS[..1],
            None => &ALL_VERSIONS,
        }
    }
}

/// The newer first.
static ALL_VERSIONS: [&SupportedProtocolVersion; 2] =
    [&rustls::version::TLS13, &rustls::version::TLS12];

/// A group in which keys are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// X25519 and ML-KEM-768 together (TLS 1.3 only).
    #[value(name = "x25519mlkem768")]
    X25519MlKem768,
    /// X25519.
    X25519,
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl Group {
    /// How it is computed.
    pub(crate) fn exchange(self) -> &'static dyn SupportedKxGroup {
        match self {
            Self::X25519MlKem768 => kx_group::X25519MLKEM768,
            Self::X25519 => kx_group::X25519,
            Self::P256 => kx_group::SECP256R1,
            Self::P384 => kx_group::SECP384R1,
        }
    }
}

/// How a generator speaks TLS; only for `https://`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct TlsOptions {
    /// Take any certificate: encrypted, but it could be anybody.
    #[arg(long, conflicts_with = "cacert")]
    pub insecure: bool,
    /// Trust these authorities (PEM) instead of those of the machine.
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Show this certificate (PEM, with its chain) if the peer asks for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The key (PEM) of --cert.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The name to ask for (SNI) and to expect in the certificate [default: the URL's host].
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// The only version to speak [default: 1.3, or 1.2 if the peer cannot].
    #[arg(long, value_name = "VERSION")]
    pub tls_version: Option<TlsVersion>,
    /// Groups to exchange keys in, the best first; the first is begun with [default: those of
    /// rustls, x25519mlkem768 first].
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    pub groups: Vec<Group>,
    /// Make every handshake a full one. Otherwise a connection that is opened again takes up its
    /// session, if the peer lets it.
    #[arg(long)]
    pub no_resumption: bool,
}

impl TlsOptions {
    /// The first option that was given, as it is written.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.insecure, "--insecure"),
            (self.cacert.is_some(), "--cacert"),
            (self.cert.is_some(), "--cert"),
            (self.sni.is_some(), "--sni"),
            (self.tls_version.is_some(), "--tls-version"),
            (!self.groups.is_empty(), "--groups"),
            (self.no_resumption, "--no-resumption"),
        ];
        given
            .into_iter()
            .find_map(|(given, name)| given.then_some(name))
    }
}

/// How an origin speaks TLS, if at all.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "TLS")]
pub(crate) struct DoorOptions {
    /// Speak TLS and show this certificate (PEM, with its chain).
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key (PEM) of --tls-cert.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Speak TLS and show a certificate made for the occasion, for localhost, 127.0.0.1 and ::1.
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls_self_signed: bool,
    /// Write the certificate made, for clients to trust (`--cacert`).
    #[arg(long, value_name = "FILE", requires = "tls_self_signed")]
    pub tls_write_cert: Option<PathBuf>,
    /// Let in only clients with a certificate signed by these authorities (PEM).
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// The only version to speak [default: the client's choice of 1.2 and 1.3].
    #[arg(long, value_name = "VERSION")]
    pub tls_version: Option<TlsVersion>,
}

impl DoorOptions {
    /// Checks values against each other.
    pub(crate) fn check(&self) -> Result<(), String> {
        let speaks = self.tls_cert.is_some() || self.tls_self_signed;
        let unused = [
            (self.tls_client_ca.is_some(), "--tls-client-ca"),
            (self.tls_version.is_some(), "--tls-version"),
        ];
        match unused.into_iter().find(|&(given, _)| given && !speaks) {
            Some((_, name)) => Err(format!(
                "{name} needs a certificate: --tls-cert and --tls-key, or --tls-self-signed"
            )),
            None => Ok(()),
        }
    }
}
