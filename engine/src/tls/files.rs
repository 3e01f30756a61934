//! The files that a configuration names: certificates, keys, authorities, revocations, read and
//! judged before anything is served with them.
//!
//! Whatever is wrong is a [`Fault`]: which field, which file, what is wrong with it. All faults are
//! found in one go. Standards: RFC 5280 (validity, chains), 7468 (PEM), 6960 (OCSP, not parsed).

mod describe;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, RootCertStore};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

pub use describe::{FileKind, describe_file};

use super::peer;
use crate::config::{CertificateFiles, Identity};
use crate::limits;

/// Bits of an RSA key below which it is refused (NIST SP 800-131A).
const RSA_BITS_MIN: usize = 2048;

/// Something that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The field, relative to the table it is in, as in `certificates[0].key`.
    pub(super) field: String,
    /// The file, as configured.
    pub(super) file: String,
    /// What is wrong with it, as the end of a sentence.
    pub(super) message: String,
}

/// Collects faults, so that one look is enough to mend them all.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// The value, or nothing and a fault.
    pub(super) fn sort<T>(
        &mut self,
        field: &str,
        file: &Path,
        result: Result<T, String>,
    ) -> Option<T> {
        let note = |message| {
            self.0.push(Fault {
                field: field.to_owned(),
                file: file.display().to_string(),
                message,
            });
        };
        result.map_err(note).ok()
    }
}

/// A certificate with its key, and what it is for.
#[derive(Debug)]
pub(super) struct Certified {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: Vec<Box<str>>,
    /// The kind of its key: two certificates of one kind for one name contradict each other.
    pub(super) kind: &'static str,
}

/// Where files are read: those that stand for an identity in memory there, all others on the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Files<'a>(pub(super) Option<&'a Identity>);

/// Reads a certificate with its key, at `now` since 1970.
pub(super) fn certified(
    source: Files<'_>,
    files: &CertificateFiles,
    at: &str,
    now: Duration,
    provider: &CryptoProvider,
    faults: &mut Faults,
) -> Option<Certified> {
    let chain_field = format!("{at}.chain");
    let chain = source.read(&files.chain).and_then(|text| chain(&text));
    let chain = faults.sort(&chain_field, &files.chain, chain);
    let key_field = format!("{at}.key");
    let key = source.read(&files.key).and_then(|text| key(&text));
    let key = faults.sort(&key_field, &files.key, key);
    let ocsp = files.ocsp.as_ref().map(|path| {
        let response = source
            .read(path)
            .and_then(|response| match response.first() {
                // A DER sequence; the client verifies the rest.
                Some(0x30) => Ok(response),
                Some(_) | None => Err("is not an OCSP response in DER".into()),
            });
        faults.sort(&format!("{at}.ocsp"), path, response)
    });
    let chain = chain?;
    let judged = judge(&chain, now);
    let (names, kind) = faults.sort(&chain_field, &files.chain, judged)?;
    let mut certified = faults.sort(&key_field, &files.key, pair(chain, key?, provider))?;
    certified.ocsp = ocsp.flatten();
    Some(Certified {
        key: Arc::new(certified),
        names,
        kind,
    })
}

/// Holds a key against its certificate.
pub(super) fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, String> {
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(_) => "is not the key of the certificate in `chain`".into(),
        error => format!("holds a key that cannot be used: {error}"),
    })
}

/// What a certificate that is to be shown is for, and the kind of its key.
pub(super) fn judge(
    chain: &[CertificateDer<'_>],
    now: Duration,
) -> Result<(Vec<Box<str>>, &'static str), String> {
    let mut names = Vec::new();
    let mut kind = "";
    let mut issuer: Option<Vec<u8>> = None;
    for (place, der) in chain.iter().enumerate() {
        let which = if place == 0 {
            "its certificate"
        } else {
            "an intermediate"
        };
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| format!("{which} cannot be read"))?;
        let validity = certificate.validity();
        if validity.not_after.timestamp() <= i64::try_from(now.as_secs()).unwrap_or(i64::MAX) {
            return Err(format!("{which} has expired on {}", validity.not_after));
        }
        if validity.not_before.timestamp() > i64::try_from(now.as_secs()).unwrap_or(i64::MAX) {
            return Err(format!(
                "{which} is not valid before {}",
                validity.not_before
            ));
        }
        if issuer.is_some_and(|issuer| issuer != certificate.subject().as_raw()) {
            return Err(format!(
                "the chain is out of order: certificate {} did not issue certificate {place}",
                place + 1
            ));
        }
        issuer = Some(certificate.issuer().as_raw().to_vec());
        let key = certificate.public_key().parsed();
        let found = match &key {
            Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS_MIN => {
                let bits = key.key_size();
                return Err(format!(
                    "{which} has an RSA key of {bits} bits, at least 2048 are safe"
                ));
            }
            Ok(PublicKey::RSA(_)) => "RSA",
            Ok(PublicKey::EC(_)) => "ECDSA",
            Ok(_) | Err(_) => "other",
        };
        if place == 0 {
            names = peer::names(&certificate).map(Into::into).collect();
            kind = found;
        }
    }
    Ok((names, kind))
}

/// What `text` is worth as each kind of file, at `now` since 1970: how many certificates in a chain
/// to show, keys, authorities, revocation lists; or why it cannot be one.
pub fn inspect_pem(text: &[u8], now: Duration) -> [Result<usize, String>; 4] {
    let shown = chain(text).and_then(|chain| judge(&chain, now).map(|_| chain));
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = key(text).and_then(|key| match &shown {
        Ok(chain) => pair(chain.clone(), key, &provider).map(|_| 1),
        Err(_) => Ok(1),
    });
    [
        shown.map(|chain| chain.len()),
        key,
        authorities_in(text).map(|store| store.len()),
        revocations_in(text).map(|lists| lists.len()),
    ]
}

/// The certificates in a PEM text.
pub(super) fn chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| not_pem(&error))?;
    match chain.is_empty() {
        true => Err("holds no certificate in PEM (BEGIN CERTIFICATE)".into()),
        false => Ok(chain),
    }
}

pub(super) fn key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        let is_encrypted = memchr::memmem::find(text, b"ENCRYPTED").is_some();
        match error {
            _ if is_encrypted => {
                "holds an encrypted key; it must be stored without a password".into()
            }
            pem::Error::NoItemsFound => "holds no private key in PEM (BEGIN PRIVATE KEY)".into(),
            error => not_pem(&error),
        }
    })
}

impl Files<'_> {
    /// What a file holds.
    pub(super) fn read(self, path: &Path) -> Result<Vec<u8>, String> {
        match self.0.and_then(|identity| identity.content(path)) {
            Some(content) => Ok(content.as_bytes().to_vec()),
            None => read(path),
        }
    }

    /// The authorities in a PEM file.
    pub(super) fn authorities(self, path: &Path) -> Result<RootCertStore, String> {
        authorities_in(&self.read(path)?)
    }

    /// The revocation lists in a PEM file.
    pub(super) fn revocations(
        self,
        path: &Path,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
        revocations_in(&self.read(path)?)
    }
}

pub(super) fn authorities_in(text: &[u8]) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    for certificate in chain(text)? {
        let added = store.add(certificate);
        added
            .map_err(|error| format!("holds a certificate that cannot be an authority: {error}"))?;
    }
    Ok(store)
}

/// The authorities of the system.
pub(super) fn system_authorities() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(found.certs);
    match (added, found.errors.first()) {
        (0, Some(error)) => Err(format!("the system has no usable authorities: {error}")),
        (0, None) => Err("the system has no authorities (install ca-certificates)".into()),
        (_, _) => Ok(store),
    }
}

pub(super) fn revocations_in(
    text: &[u8],
) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text).collect();
    let lists = lists.map_err(|error| not_pem(&error))?;
    match lists.is_empty() {
        true => Err("holds no revocation list in PEM (BEGIN X509 CRL)".into()),
        false => Ok(lists),
    }
}

fn not_pem(error: &pem::Error) -> String {
    format!("is not PEM: {error}")
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut bytes = Vec::new();
    file.take(limits::TLS_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    match bytes.len() as u64 > limits::TLS_FILE_BYTES_MAX {
        true => Err(format!(
            "is longer than {} bytes",
            limits::TLS_FILE_BYTES_MAX
        )),
        false => Ok(bytes),
    }
}
