//! What a file holds, in a line: for people who compare two configurations.
//!
//! Nothing that is secret: of a private key, its kind and the digest of its public half.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use super::{chain, key, peer, read, revocations_in};

/// Names of a certificate that are told.
const NAMES_MAX: usize = 4;
/// Bytes of a digest that are told: enough to tell two files apart.
const DIGEST_BYTES: usize = 8;

/// What a file is configured as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A certificate with its intermediates.
    Chain,
    /// A private key.
    Key,
    /// An OCSP response.
    Ocsp,
    /// Certificates of authorities.
    Authorities,
    /// Revocation lists.
    Revocations,
}

/// What the file at `path` holds, or why that cannot be said.
#[must_use]
pub fn describe_file(path: &Path, kind: FileKind) -> String {
    let described = read(path).and_then(|content| describe(&content, kind));
    described.unwrap_or_else(|why| why)
}

fn describe(content: &[u8], kind: FileKind) -> Result<String, String> {
    match kind {
        FileKind::Chain => describe_chain(&chain(content)?),
        FileKind::Key => describe_key(content),
        FileKind::Ocsp => {
            let bytes = content.len();
            Ok(format!(
                "a response of {bytes} bytes, {}",
                short_digest([content])
            ))
        }
        FileKind::Authorities => describe_authorities(&chain(content)?),
        FileKind::Revocations => describe_revocations(&revocations_in(content)?),
    }
}

fn describe_chain(chain: &[CertificateDer<'_>]) -> Result<String, String> {
    let leaf = chain.first().ok_or("holds no certificate")?;
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|_| UNREADABLE)?;
    let mut names: Vec<&str> = peer::names(&certificate).collect();
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let mut text = match names.is_empty() {
        true => certificate.subject().to_string(),
        false => names.join(", "),
    };
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    let end = certificate.validity().not_after;
    let digest = short_digest(chain.iter().map(AsRef::as_ref));
    let chain = counted(chain.len(), "certificate");
    Ok(format!("{text}; {chain}, valid until {end}, {digest}"))
}

fn describe_key(content: &[u8]) -> Result<String, String> {
    let key = any_supported_type(&key(content)?);
    let key = key.map_err(|error| format!("holds a key that cannot be used: {error}"))?;
    let public = key
        .public_key()
        .ok_or("holds a key without a public half")?;
    let digest = short_digest([public.as_ref()]);
    Ok(format!(
        "a key for {:?}, its public half {digest}",
        key.algorithm()
    ))
}

fn describe_authorities(authorities: &[CertificateDer<'_>]) -> Result<String, String> {
    let mut first_end: Option<ASN1Time> = None;
    for der in authorities {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| UNREADABLE)?;
        let end = certificate.validity().not_after;
        first_end = Some(first_end.map_or(end, |first| first.min(end)));
    }
    let end = first_end.map_or_else(String::new, |end| format!(" the first valid until {end},"));
    let count = match authorities.len() {
        1 => "1 authority".to_owned(),
        count => format!("{count} authorities"),
    };
    // Their order says nothing.
    let mut sorted: Vec<&[u8]> = authorities.iter().map(AsRef::as_ref).collect();
    sorted.sort_unstable();
    Ok(format!("{count},{end} {}", short_digest(sorted)))
}

fn describe_revocations(lists: &[CertificateRevocationListDer<'_>]) -> Result<String, String> {
    let (mut revoked, mut next): (usize, Option<ASN1Time>) = (0, None);
    for der in lists {
        let read = CertificateRevocationList::from_der(der);
        let (_, list) = read.map_err(|_| "holds a revocation list that cannot be read")?;
        revoked = revoked.saturating_add(list.iter_revoked_certificates().count());
        if let Some(update) = list.next_update() {
            next = Some(next.map_or(update, |next| next.min(update)));
        }
    }
    let next = next.map_or_else(String::new, |next| format!(" the next due {next},"));
    let lists_text = counted(lists.len(), "list");
    let revoked = counted(revoked, "revoked certificate");
    let digest = short_digest(lists.iter().map(AsRef::as_ref));
    Ok(format!("{lists_text} with {revoked},{next} {digest}"))
}

const UNREADABLE: &str = "holds a certificate that cannot be read";

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

fn short_digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let whole: Vec<u8> = parts.into_iter().flatten().copied().collect();
    let digest = digest(&SHA256, &whole);
    let hex = digest.as_ref().iter().take(DIGEST_BYTES);
    let hex: String = hex.map(|byte| format!("{byte:02x}")).collect();
    format!("SHA-256 {hex}...")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn a_chain_and_its_key_are_told_apart_from_others_without_the_key() {
        let names = ["a", "b", "c", "d", "e"].map(|name| format!("{name}.test"));
        let make = || {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new(names.to_vec()).expect("parameters");
            (params.self_signed(&key).expect("a certificate").pem(), key)
        };
        let ((one, key), (other, other_key)) = (make(), make());
        let told = |text: &str, kind| describe(text.as_bytes(), kind).expect("told");
        let chain = told(&one, FileKind::Chain);
        assert!(chain.starts_with("a.test, b.test, c.test, d.test and 1 more; 1 certificate, "));
        assert_ne!(chain, told(&other, FileKind::Chain));
        let secret = key.serialize_pem();
        let text = told(&secret, FileKind::Key);
        assert!(
            text.starts_with("a key for ECDSA, its public half SHA-256 "),
            "{text}"
        );
        assert_ne!(text, told(&other_key.serialize_pem(), FileKind::Key));
        assert_eq!(
            text.len(),
            "a key for ECDSA, its public half SHA-256 0123456789abcdef...".len()
        );
        let both = told(&format!("{one}{other}"), FileKind::Authorities);
        assert!(
            both.starts_with("2 authorities, the first valid until "),
            "{both}"
        );
        assert_eq!(both, told(&format!("{other}{one}"), FileKind::Authorities));
        let wrong = describe(secret.as_bytes(), FileKind::Chain);
        assert_eq!(
            wrong,
            Err("holds no certificate in PEM (BEGIN CERTIFICATE)".into())
        );
    }
}
