//! The authority of a trust domain: made, read back, and what it issues.
//!
//! All keys are P-256, which every peer verifies and signs fast. Certificates begin a little before
//! they are made, since clocks differ, and never outlive the authority. Standards: SPIFFE
//! X.509-SVID §2 to §4 (one URI, key usages, the authority's own ID), RFC 5280 §4.1 and §4.2.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

use super::folder::Folder;
use super::{Fault, date};
use crate::config::SpiffeId;

/// Shorter ones would have ended before they were in use.
pub(super) const VALIDITY_MIN: Duration = Duration::from_secs(60);
/// Of an authority, on which everything in its domain depends.
pub(super) const VALIDITY_MAX: Duration = Duration::from_secs(365 * 86_400);
/// How far clocks may differ: certificates are valid from so long ago.
const SKEW: Duration = Duration::from_secs(300);
/// Characters of an attribute of a name (RFC 5280, appendix A: `ub-common-name`).
const COMMON_NAME_MAX: usize = 64;

/// A certificate with its key, both in PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: String,
    /// Until when it is valid, since 1970.
    pub(super) not_after: Duration,
}

/// An authority that can issue.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    id: SpiffeId,
    not_after: Duration,
}

/// Makes the authority of `domain`.
pub(super) fn create(domain: &SpiffeId, now: Duration, valid: Duration) -> Result<Issued, Fault> {
    let not_after = now.saturating_add(valid);
    let mut params = params(domain, domain.trust_domain(), now, not_after)?;
    // It issues to workloads, not to other authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().map_err(|error| unmade(&error))?;
    let certificate = params.self_signed(&key).map_err(|error| unmade(&error))?;
    Ok(Issued {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
        not_after,
    })
}

impl Authority {
    /// The authority of `id` that was just made.
    pub(super) fn of(made: Issued, id: SpiffeId) -> Result<Self, Fault> {
        let key = KeyPair::from_pem(&made.key).map_err(|error| unmade(&error))?;
        let issuer = Issuer::from_ca_cert_pem(&made.certificate, key);
        Ok(Self {
            issuer: issuer.map_err(|error| unmade(&error))?,
            certificate: made.certificate,
            id,
            not_after: made.not_after,
        })
    }

    /// Reads the authority in the file `name`, at `now` since 1970.
    pub(super) fn read(folder: &Folder, name: &str, now: Duration) -> Result<Self, Fault> {
        let path = folder.file(name);
        let path = path.display();
        let text = folder.read_secret(name)?.ok_or_else(|| {
            Fault::new(
                format!("{path} does not exist."),
                "Name another --authority, or make one: weft identity init --trust-domain DOMAIN",
            )
        })?;
        let unusable = |why: &str| {
            Fault::new(
                format!("{path} {why}."),
                "Name another --authority, or make one: weft identity init --trust-domain DOMAIN",
            )
        };
        let der = leaf(&text).ok_or_else(|| unusable("holds no certificate in PEM"))?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der)
            .map_err(|_| unusable("holds a certificate that cannot be read"))?;
        let id = own_id(&certificate).filter(|_| certificate.is_ca());
        let id = id.ok_or_else(|| unusable("is not the authority of a trust domain"))?;
        let not_after = certificate.validity().not_after.timestamp();
        let not_after = Duration::from_secs(u64::try_from(not_after).unwrap_or(0));
        if not_after <= now.saturating_add(VALIDITY_MIN) {
            return Err(unusable(&format!("has expired on {}", date(not_after))));
        }
        let key = block(&text, "PRIVATE KEY").and_then(|key| KeyPair::from_pem(key).ok());
        let key = key.ok_or_else(|| unusable("holds no private key in PEM that can be used"))?;
        if certificate.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(unusable("holds a key that is not the certificate's"));
        }
        let issuer = Issuer::from_ca_cert_der(&der.into(), key)
            .map_err(|_| unusable("holds a certificate that cannot issue"))?;
        Ok(Self {
            issuer,
            certificate: format!("{}\n", block(&text, "CERTIFICATE").unwrap_or_default()),
            id,
            not_after,
        })
    }

    /// Its own certificate, in PEM.
    pub(super) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The domain that it speaks for.
    pub(super) fn trust_domain(&self) -> &str {
        self.id.trust_domain()
    }

    /// Issues `id`, which is in its domain, to a new key; it may go by `names` as well.
    pub(super) fn issue(
        &self,
        id: &SpiffeId,
        names: &[String],
        now: Duration,
        valid: Duration,
    ) -> Result<Issued, Fault> {
        let not_after = now.saturating_add(valid).min(self.not_after);
        let name = id.path().rsplit('/').next().unwrap_or_default();
        let mut params = params(id, name, now, not_after)?;
        for name in names {
            let fault = || {
                Fault::new(
                    format!("\"{name}\" is no host name."),
                    "Write --dns orders.example.org",
                )
            };
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*".contains(&byte);
            let taken = Some(name.as_str()).filter(|name| !name.is_empty());
            let taken = taken.filter(|name| name.bytes().all(is_name));
            let taken = taken.and_then(|name| name.try_into().ok());
            let taken = taken.ok_or_else(fault)?;
            params.subject_alt_names.push(SanType::DnsName(taken));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(|error| unmade(&error))?;
        let certificate = params.signed_by(&key, &self.issuer);
        let certificate = certificate.map_err(|error| unmade(&error))?;
        Ok(Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            not_after,
        })
    }
}

/// The first certificate in a PEM text.
pub(super) fn leaf(text: &str) -> Option<Vec<u8>> {
    let blocks = Pem::iter_from_buffer(text.as_bytes());
    let mut certificates = blocks.filter_map(Result::ok);
    let found = certificates.find(|block| block.label == "CERTIFICATE");
    found.map(|block| block.contents)
}

/// The first block of a PEM text whose label ends in `label`, with its borders.
fn block<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    const BEGIN: &str = "-----BEGIN ";
    let begins = text.match_indices(BEGIN).map(|(start, _)| start);
    let mut blocks = begins.filter_map(|start| {
        let rest = text.get(start..)?;
        let (found, _) = rest.get(BEGIN.len()..)?.split_once("-----")?;
        let border = format!("-----END {found}-----");
        let end = rest.find(&border)?.checked_add(border.len())?;
        found.ends_with(label).then(|| rest.get(..end)).flatten()
    });
    blocks.next()
}

/// What every certificate has.
fn params(
    id: &SpiffeId,
    name: &str,
    now: Duration,
    not_after: Duration,
) -> Result<CertificateParams, Fault> {
    let uri = id.as_str().try_into().map_err(|error| unmade(&error))?;
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(1970, 1, 1) + now.saturating_sub(SKEW);
    params.not_after = date_time_ymd(1970, 1, 1) + not_after;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "weft");
    let common: String = name.chars().take(COMMON_NAME_MAX).collect();
    params.distinguished_name.push(DnType::CommonName, common);
    params.subject_alt_names = vec![SanType::URI(uri)];
    Ok(params)
}

/// The ID of an authority: its trust domain, without a path (X.509-SVID §4.1).
fn own_id(certificate: &X509Certificate<'_>) -> Option<SpiffeId> {
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    let id = SpiffeId::parse(uris.next()?)?;
    (id.path().is_empty() && uris.next().is_none()).then_some(id)
}

fn unmade(error: &rcgen::Error) -> Fault {
    Fault::new(
        format!("The certificate cannot be made: {error}."),
        "Report it, with the command line",
    )
}
