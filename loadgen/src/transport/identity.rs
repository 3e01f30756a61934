//! Who a peer says it is: a chain of certificates and the key of the first.
//!
//! Read from PEM files, or made fresh in memory for an origin that was given none.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Names and addresses that a fresh certificate is for.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// How long a fresh certificate is valid, and how long before now: clocks differ.
const VALIDITY: (Duration, Duration) = (
    Duration::from_secs(3600),
    Duration::from_secs(30 * 24 * 3600),
);

/// A chain of certificates and the key of the first.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The peer's own certificate, then those of the authorities between.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both from PEM files.
    ///
    /// *Errors:* one sentence for the user.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, String> {
        Ok(Self {
            chain: certificates(certificate)?,
            key: PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable(key, "private key", error))?,
        })
    }

    /// Makes a key and a certificate for this machine, signed by itself; gives the certificate as
    /// PEM too, for those who are to trust it.
    ///
    /// *Errors:* one sentence for the user.
    pub(crate) fn fresh(now: SystemTime) -> Result<(Self, String), String> {
        fresh(now).map_err(|error| format!("cannot make a certificate: {error}"))
    }
}

fn fresh(now: SystemTime) -> Result<(Identity, String), rcgen::Error> {
    let mut params = CertificateParams::new(LOCAL_NAMES.map(String::from))?;
    params
        .distinguished_name
        .push(DnType::CommonName, "loadgen origin");
    params.not_before = (now - VALIDITY.0).into();
    params.not_after = (now + VALIDITY.1).into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let identity = Identity {
        chain: vec![certificate.der().clone()],
        key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
    };
    Ok((identity, certificate.pem()))
}

/// All certificates of a PEM file; at least one.
pub(crate) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match read {
        Ok(certificates) if certificates.is_empty() => {
            Err(unreadable(file, "certificate", pem::Error::NoItemsFound))
        }
        read => read.map_err(|error| unreadable(file, "certificate", error)),
    }
}

/// The sentence for a chain and a key that do not make an identity.
pub(crate) fn unfit(certificate: &Path, key: &Path, error: &rustls::Error) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("{key} is not the key of the first certificate in {certificate}")
        }
        other => format!("cannot use {certificate} with {key}: {other}"),
    }
}

fn unreadable(file: &Path, expected: &str, error: pem::Error) -> String {
    let file = file.display();
    match error {
        pem::Error::Io(error) => format!("cannot read {file}: {error}"),
        pem::Error::NoItemsFound => format!("{file} holds no {expected} in PEM"),
        other => format!("{file} is not PEM: {other}"),
    }
}
