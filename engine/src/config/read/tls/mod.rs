//! TLS, from the file to the model: versions, names, and which files go together.
//!
//! An identity of the process is what TLS tables default to: a listener that names no certificates
//! shows it and asks its clients for theirs, a cluster that must prove an identity is shown it.
//! What the files hold is not looked at here.

mod identity;

use std::path::PathBuf;

pub(super) use identity::identity;

use super::{file_path, grammar};
use crate::config::file::{Field, Section};
use crate::config::model::{
    CertificateFiles, ClientCertificate, ClientIdentities, ClusterTls, Identity, ListenerTls,
    SpiffeId, SpiffePattern, TlsVersion,
};
use crate::limits;

const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
const CLIENT_CERTIFICATES: [(&str, ClientCertificate); 3] = [
    ("off", ClientCertificate::Off),
    ("optional", ClientCertificate::Optional),
    ("required", ClientCertificate::Required),
];
const SERVER_NAME: &str = "a host name such as \"api.example\"";
const IDENTITIES: &str = "\"own_trust_domain\", or a list of SPIFFE IDs";
pub(in crate::config::read) const SPIFFE_PATTERN: &str = "a SPIFFE ID such as \"spiffe://example.org/orders\", or all below one, \
    \"spiffe://example.org/ns/shop/*\"";
const SPIFFE_ID: &str = "a SPIFFE ID such as \"spiffe://example.org/orders\"";

/// TLS towards clients.
pub(super) fn listener(
    section: &mut Section<'_>,
    identity: Option<&Identity>,
) -> Option<ListenerTls> {
    let identity = identity.filter(|_| !section.has("certificates"));
    let mut default = (TlsVersion::Tls12, ClientCertificate::Off);
    if identity.is_some() {
        default = (TlsVersion::Tls13, ClientCertificate::Required);
    }
    let min_version = section.choice("min_version", default.0, &VERSIONS);
    let client_certificate = section.choice("client_certificate", default.1, &CLIENT_CERTIFICATES);
    let is_asked = client_certificate != ClientCertificate::Off;
    let identity_asks = identity.filter(|_| is_asked);
    let client_ca = file_path(section, "client_ca");
    let client_ca = client_ca.or_else(|| identity_asks.map(Identity::bundle));
    let client_crls = files(section, "client_crls");
    let client_identities = match section.field("client_identities") {
        Some(field) => client_identities(&field),
        None => identity_asks.map(|_| ClientIdentities::OwnTrustDomain),
    };
    let certificates = match identity {
        // It is not there, and could be.
        Some(identity) if section.field("certificates").is_none() => vec![identity.svid()],
        Some(_) | None => certificates(section),
    };
    refuse_idle_keys(
        section,
        is_asked,
        client_ca.is_some(),
        !client_crls.is_empty(),
    );
    Some(ListenerTls {
        min_version,
        client_certificate,
        client_ca,
        client_crls,
        client_identities,
        certificates,
    })
}

/// Refuses keys about clients' certificates that do not go together.
fn refuse_idle_keys(section: &Section<'_>, is_asked: bool, has_ca: bool, has_crls: bool) {
    let no_use = "has no use while `client_certificate` is \"off\"";
    if !is_asked && has_ca {
        section.refuse("client_ca", no_use);
    }
    if !is_asked && section.has("client_identities") {
        section.refuse("client_identities", no_use);
    }
    if is_asked && !has_ca && !section.has("client_ca") {
        section.missing(
            "client_ca",
            "the authorities that clients' certificates are from",
        );
    }
    if !has_ca && has_crls {
        section.refuse("client_crls", "has no use without `client_ca`");
    }
}

fn client_identities(field: &Field<'_>) -> Option<ClientIdentities> {
    match field.text() {
        Some("own_trust_domain") => return Some(ClientIdentities::OwnTrustDomain),
        Some(_) => return field.expected(IDENTITIES),
        None => {}
    }
    let patterns = field.clone().list().into_iter();
    let patterns: Vec<SpiffePattern> = patterns
        .filter_map(|field| field.parse(SPIFFE_PATTERN, SpiffePattern::parse))
        .collect();
    match patterns.is_empty() {
        true => field.expected(IDENTITIES),
        false => Some(ClientIdentities::Listed(patterns)),
    }
}

/// TLS towards the endpoints of a cluster.
pub(super) fn cluster(
    section: &mut Section<'_>,
    identity: Option<&Identity>,
) -> Option<ClusterTls> {
    let own = identity.filter(|_| section.has("identity"));
    let default = match own {
        Some(_) => TlsVersion::Tls13,
        None => TlsVersion::default(),
    };
    let min_version = section.choice("min_version", default, &VERSIONS);
    let server_name = section
        .field("server_name")
        .and_then(|field| field.parse(SERVER_NAME, grammar::host_name));
    let identity = section
        .field("identity")
        .and_then(|field| field.parse(SPIFFE_ID, SpiffeId::parse));
    let ca = file_path(section, "ca").or_else(|| own.map(Identity::bundle));
    let crls = files(section, "crls");
    let certificate = match section.section("certificate", certificate) {
        Some(certificate) => certificate,
        None => own.map(Identity::svid),
    };
    Some(ClusterTls {
        min_version,
        server_name,
        identity,
        ca,
        crls,
        certificate,
    })
}

fn certificates(section: &mut Section<'_>) -> Vec<CertificateFiles> {
    let fields = section.some_list("certificates", "at least one certificate with its key");
    if fields.len() > limits::CERTIFICATES_MAX {
        let message = format!("more than {} certificates", limits::CERTIFICATES_MAX);
        section.refuse("certificates", &message);
    }
    let read = |field: Field<'_>| field.section(certificate).flatten();
    fields.into_iter().filter_map(read).collect()
}

fn certificate(section: &mut Section<'_>) -> Option<CertificateFiles> {
    let chain = file_path(section, "chain");
    let key = file_path(section, "key");
    let ocsp = file_path(section, "ocsp");
    for (name, path, expected) in [
        (
            "chain",
            &chain,
            "a PEM file with the certificate and its intermediates",
        ),
        ("key", &key, "a PEM file with the certificate's private key"),
    ] {
        if path.is_none() && !section.has(name) {
            section.missing(name, expected);
        }
    }
    Some(CertificateFiles {
        chain: chain?,
        key: key?,
        ocsp,
    })
}

fn files(section: &mut Section<'_>, key: &'static str) -> Vec<PathBuf> {
    let fields = section.list(key).into_iter();
    fields.filter_map(|field| super::path_in(&field)).collect()
}
