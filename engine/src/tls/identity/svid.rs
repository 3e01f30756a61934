//! An SVID that the Workload API gives, judged before it takes the place of the one in use.
//!
//! In: certificates, key, authorities and revocation lists in DER. Out: the same in PEM, as files
//! would have it, or what is wrong, for a person. What passes can be shown and verified by: later
//! steps find nothing wrong with it. Standards: SPIFFE Workload API §5.2.1 (which fields, which
//! forms), X.509-SVID §2 to §5, RFC 5280, 7468 (PEM).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::{HeldIdentity, SpiffeId};
use crate::tls::files;
use crate::tls::peer::Peer;

/// Characters of a line of base64 (RFC 7468 §2).
const PEM_COLUMNS: usize = 64;

/// An SVID as the Workload API gives it.
#[derive(Clone, Copy, Debug)]
pub struct GivenSvid<'a> {
    /// Whose it is said to be.
    pub spiffe_id: &'a str,
    /// The certificate and its intermediates, one DER after the other.
    pub chain: &'a [u8],
    /// Its key: PKCS #8 in DER.
    pub key: &'a [u8],
    /// The authorities of its trust domain, one DER after the other.
    pub bundle: &'a [u8],
}

/// An SVID that can be used.
#[derive(Debug)]
pub struct UsableSvid {
    /// Its parts.
    pub identity: HeldIdentity,
    /// Whose it is.
    pub id: SpiffeId,
    /// Until when it is valid, since 1970.
    pub not_after: Duration,
}

impl GivenSvid<'_> {
    /// What it comes to at `now` since 1970, together with these revocation lists in DER.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn judge(&self, crls: &[&[u8]], now: Duration) -> Result<UsableSvid, String> {
        let shown = pem_of_all(self.chain).map_err(|why| format!("its certificate {why}"))?;
        let bundle = pem_of_all(self.bundle).map_err(|why| format!("its bundle {why}"))?;
        let key = pem("PRIVATE KEY", self.key);
        let lists: String = crls.iter().map(|list| pem("X509 CRL", list)).collect();
        let chain = files::chain(shown.as_bytes())?;
        let leaf = chain.first().ok_or("it has no certificate")?;
        files::judge(&chain, now)?;
        let peer = Peer::read(leaf, now);
        let peer = peer.map_err(|_| "its certificate is no X.509-SVID".to_owned())?;
        let id = peer.identity;
        let id = id.ok_or("its certificate has no SPIFFE ID")?;
        if id.as_str() != self.spiffe_id {
            let said = self.spiffe_id;
            return Err(format!(
                "its certificate is that of {id}, and not of {said:?}"
            ));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        files::key(key.as_bytes())
            .and_then(|key| files::pair(chain.clone(), key, &provider))
            .map_err(|_| "its key is not that of the certificate in PKCS #8".to_owned())?;
        let roots = files::authorities_in(bundle.as_bytes());
        let roots = roots.map_err(|why| format!("its bundle {why}"))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        // Whether it has been revoked is for its peers to say; here only what is no list is found.
        let lists_in = match crls {
            [] => Vec::new(),
            _ => files::revocations_in(lists.as_bytes())?,
        };
        let with_lists = verifier.clone().with_crls(lists_in).build();
        with_lists.map_err(|error| format!("a revocation list cannot be used: {error}"))?;
        let verifier = verifier.build().map_err(|error| error.to_string())?;
        let issuers = chain.get(1..).unwrap_or_default();
        let at = UnixTime::since_unix_epoch(now);
        let verified = verifier.verify_client_cert(leaf, issuers, at);
        verified.map_err(|error| format!("it is not from an authority of its bundle: {error}"))?;
        Ok(UsableSvid {
            identity: HeldIdentity {
                svid: shown + &key,
                bundle,
                crls: lists,
            },
            id,
            not_after: peer.not_after,
        })
    }
}

/// Certificates that lie one after the other, in PEM.
fn pem_of_all(der: &[u8]) -> Result<String, String> {
    let (mut text, mut rest) = (String::new(), der);
    while !rest.is_empty() {
        let parsed = X509Certificate::from_der(rest);
        let (after, _) = parsed.map_err(|_| "is not DER".to_owned())?;
        let (certificate, _) = rest.split_at(rest.len().saturating_sub(after.len()));
        text.push_str(&pem("CERTIFICATE", certificate));
        rest = after;
    }
    match text.is_empty() {
        true => Err("is missing".into()),
        false => Ok(text),
    }
}

/// RFC 7468 §2.
fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let encoded = BASE64_STANDARD.encode(der);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_COLUMNS));
        // Text cannot fail to be written.
        let _ = writeln!(text, "{line}");
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa,
        KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, date_time_ymd,
    };

    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    /// An authority, and an SVID that it issued.
    struct Issued {
        authority: CertifiedIssuer<'static, KeyPair>,
        chain: Vec<u8>,
        key: Vec<u8>,
    }

    fn issue(id: &str) -> Issued {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_after = date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::ExplicitNoCa;
        params.not_after = date_time_ymd(2030, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.subject_alt_names = vec![SanType::URI(id.try_into().expect("a URI"))];
        let key = KeyPair::generate().expect("a key");
        assert!(!key.der_bytes().is_empty());
        let leaf = params.signed_by(&key, &authority).expect("a leaf");
        Issued {
            chain: leaf.der().to_vec(),
            key: key.serialize_der(),
            authority,
        }
    }

    fn judge(spiffe_id: &str, own: &Issued, bundle: &[u8]) -> Result<UsableSvid, String> {
        let (chain, key) = (&own.chain, &own.key);
        let given = GivenSvid {
            spiffe_id,
            chain,
            key,
            bundle,
        };
        given.judge(&[], NOW)
    }

    #[test]
    fn workload_api_5_2_1_what_is_in_order_is_taken() {
        let own = issue("spiffe://x.org/a");
        let other = issue("spiffe://x.org/b");
        // Two authorities: one comes, one goes.
        let bundle = [&own.authority.der()[..], other.authority.der()].concat();
        let usable = judge("spiffe://x.org/a", &own, &bundle).expect("an SVID");
        assert_eq!(usable.id.as_str(), "spiffe://x.org/a");
        let count = |text: &str| text.matches("-----BEGIN CERTIFICATE-----\n").count();
        let identity = &usable.identity;
        assert_eq!((count(&identity.svid), count(&identity.bundle)), (1, 2));
        assert!(identity.svid.ends_with("-----END PRIVATE KEY-----\n"));
        assert!(identity.svid.lines().all(|line| line.len() <= PEM_COLUMNS));
        assert!(identity.crls.is_empty());
        assert_eq!(usable.not_after.as_secs(), 1_893_456_000);
    }

    #[test]
    fn what_is_wrong_is_told_and_nothing_of_it_taken() {
        let (own, other) = (issue("spiffe://x.org/a"), issue("spiffe://y.org/a"));
        let bundle = own.authority.der().to_vec();
        let refused = |id: &str, svid: &Issued, bundle: &[u8], expected: &str| {
            let why = judge(id, svid, bundle).expect_err(expected);
            assert!(why.contains(expected), "{why}");
        };
        let id = "spiffe://x.org/a";
        refused(
            "spiffe://y.org/a",
            &own,
            &bundle,
            "is that of spiffe://x.org/a",
        );
        refused(
            id,
            &own,
            other.authority.der(),
            "not from an authority of its bundle",
        );
        refused(id, &own, &[], "its bundle is missing");
        refused(id, &own, b"0000", "its bundle is not DER");
        let swapped = |chain: &[u8], key: &[u8]| Issued {
            authority: issue(id).authority,
            chain: chain.to_vec(),
            key: key.to_vec(),
        };
        refused(
            id,
            &swapped(&own.chain, &other.key),
            &bundle,
            "its key is not that",
        );
        refused(
            id,
            &swapped(&own.chain, b"x"),
            &bundle,
            "its key is not that",
        );
        refused(
            id,
            &swapped(&own.chain[1..], &own.key),
            &bundle,
            "certificate is not DER",
        );
        let cut = [&own.chain[..], b"junk"].concat();
        refused(
            id,
            &swapped(&cut, &own.key),
            &bundle,
            "certificate is not DER",
        );
        refused(id, &swapped(&bundle, &own.key), &bundle, "has no SPIFFE ID");
        let given = GivenSvid {
            spiffe_id: id,
            chain: &own.chain,
            key: &own.key,
            bundle: &bundle,
        };
        let late = given.judge(&[], NOW * 2).expect_err("expired");
        assert!(late.contains("has expired"), "{late}");
        let list = given.judge(&[b"no list"], NOW).expect_err("no list");
        assert!(list.contains("revocation list"), "{list}");
    }
}
