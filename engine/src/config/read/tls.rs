//! TLS, from the file to the model: versions, names, and which files go together.
//!
//! What the files hold is not looked at here.

use std::path::PathBuf;

use super::{file_path, grammar};
use crate::config::file::{Field, Section};
use crate::config::model::{
    CertificateFiles, ClientCertificate, ClusterTls, ListenerTls, SpiffeId, TlsVersion,
};
use crate::limits;

const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];
const CLIENT_CERTIFICATES: [(&str, ClientCertificate); 3] = [
    ("off", ClientCertificate::Off),
    ("optional", ClientCertificate::Optional),
    ("required", ClientCertificate::Required),
];
const SERVER_NAME: &str = "a host name such as \"api.example\"";
const SPIFFE_ID: &str = "a SPIFFE ID such as \"spiffe://example.org/orders\"";

/// TLS towards clients.
pub(super) fn listener(section: &mut Section<'_>) -> Option<ListenerTls> {
    let min_version = section.choice("min_version", TlsVersion::default(), &VERSIONS);
    let client_certificate = section.choice(
        "client_certificate",
        ClientCertificate::default(),
        &CLIENT_CERTIFICATES,
    );
    let client_ca = file_path(section, "client_ca");
    let client_crls = files(section, "client_crls");
    let certificates = certificates(section);
    match (client_certificate, &client_ca) {
        (ClientCertificate::Off, Some(_)) => {
            section.refuse(
                "client_ca",
                "has no use while `client_certificate` is \"off\"",
            );
        }
        (ClientCertificate::Optional | ClientCertificate::Required, None)
            if !section.has("client_ca") =>
        {
            section.missing(
                "client_ca",
                "the authorities that clients' certificates are from",
            );
        }
        _ => {}
    }
    if client_ca.is_none() && !client_crls.is_empty() {
        section.refuse("client_crls", "has no use without `client_ca`");
    }
    Some(ListenerTls {
        min_version,
        client_certificate,
        client_ca,
        client_crls,
        certificates,
    })
}

/// TLS towards the endpoints of a cluster.
pub(super) fn cluster(section: &mut Section<'_>) -> Option<ClusterTls> {
    let min_version = section.choice("min_version", TlsVersion::default(), &VERSIONS);
    let server_name = section
        .field("server_name")
        .and_then(|field| field.parse(SERVER_NAME, grammar::host_name));
    let identity = section
        .field("identity")
        .and_then(|field| field.parse(SPIFFE_ID, SpiffeId::parse));
    let ca = file_path(section, "ca");
    let crls = files(section, "crls");
    let certificate = section.section("certificate", certificate).flatten();
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
