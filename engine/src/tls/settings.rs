//! From what is configured to what rustls needs: one server's settings, one client's.
//!
//! Versions, verification, tickets and application protocols are decided here and nowhere else.
//! Cipher suites and groups are the library's defaults: all of them are safe, X25519MLKEM768 first.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateRevocationListDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::accept::since_1970;
use super::certificates::{Asked, Certificates};
use super::files::{self, Certified, Fault, Faults, Files};
use super::identity::{ClientIdentityVerifier, IdentityVerifier};
use super::peer::Peer;
use crate::config::{
    ClientCertificate, ClientIdentities, ClusterTls, ListenerTls, SpiffePattern, TlsVersion,
};

/// The application protocol that is spoken (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What a listener's handshakes need.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) config: ServerConfig,
    pub(super) certificates: Arc<Certificates>,
    /// Which clients are taken, also later, when what is trusted has changed.
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
}

/// Decides what a listener's handshakes need.
pub(super) fn server(tls: &ListenerTls, files: Files<'_>) -> Result<Listening, Vec<Fault>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut faults = Faults::default();
    let certificates = shown(tls, files, &provider, &mut faults);
    let verifier = client_verifier(tls, files, &certificates, &provider, &mut faults);
    let (Some(verifier), true) = (verifier, faults.0.is_empty()) else {
        return Err(faults.0);
    };
    let certificates = Arc::new(certificates);
    let resolver = Asked::new(Arc::clone(&certificates), Arc::new(OnceLock::new()));
    let builder = ServerConfig::builder_with_provider(provider);
    // The suites of the provider serve both versions.
    let builder = builder
        .with_protocol_versions(versions(tls.min_version))
        .map_err(|error| general(&error))?;
    let mut config = builder
        .with_client_cert_verifier(Arc::clone(&verifier))
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    // Tickets carry the session, so that shards and restarts of connections share nothing; the keys
    // change every six hours and live as long again.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| general(&error))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    // Ours is the strongest first. Nothing on the list is weak, but auditors ask for an order.
    config.ignore_client_order = true;
    Ok(Listening {
        config,
        certificates,
        verifier,
    })
}

/// What a cluster's handshakes need.
#[derive(Debug)]
pub(super) struct Connecting {
    pub(super) config: ClientConfig,
    /// Which endpoints are taken, also later, when what is trusted has changed.
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
}

/// Decides what a cluster's handshakes need.
pub(super) fn client(tls: &ClusterTls, files: Files<'_>) -> Result<Connecting, Vec<Fault>> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut faults = Faults::default();
    let roots = match &tls.ca {
        Some(path) => faults.sort("ca", path, files.authorities(path)),
        None => faults.sort("ca", Path::new("(system)"), files::system_authorities()),
    };
    let crls = revocations("crls", &tls.crls, files, &mut faults);
    let now = since_1970();
    let certificate = tls.certificate.as_ref();
    let certificate = certificate
        .map(|shown| files::certified(files, shown, "certificate", now, &provider, &mut faults));
    let verifier = roots.and_then(|roots| {
        let builder = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
        let built = builder.with_crls(crls).build();
        let place = tls
            .crls
            .first()
            .or(tls.ca.as_ref())
            .map_or_else(|| Path::new(""), PathBuf::as_path);
        faults.sort("crls", place, built.map_err(|error| error.to_string()))
    });
    let (Some(verifier), true) = (verifier, faults.0.is_empty()) else {
        return Err(faults.0);
    };
    let verifier: Arc<dyn ServerCertVerifier> = match &tls.identity {
        Some(identity) => Arc::new(IdentityVerifier::new(verifier, identity.clone())),
        None => verifier,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(tls.min_version))
        .map_err(|error| general(&error))?
        // Not dangerous: the verifier is the library's, or the library's and an identity.
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier));
    let mut config = match certificate.flatten() {
        Some(certified) => {
            let key = rustls::sign::SingleCertAndKey::from(certified.key);
            builder.with_client_cert_resolver(Arc::new(key))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(Connecting { config, verifier })
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    match min {
        TlsVersion::Tls12 => BOTH,
        TlsVersion::Tls13 => &BOTH[..1],
    }
}

/// The certificates of a listener, each for its names.
fn shown(
    tls: &ListenerTls,
    files: Files<'_>,
    provider: &CryptoProvider,
    faults: &mut Faults,
) -> Certificates {
    let now = since_1970();
    let mut taken: HashMap<(Box<str>, &'static str), usize> = HashMap::new();
    let mut keys = Vec::new();
    for (place, shown) in tls.certificates.iter().enumerate() {
        let at = format!("certificates[{place}]");
        let certified = files::certified(files, shown, &at, now, provider, faults);
        let Some(Certified { key, names, kind }) = certified else {
            continue;
        };
        for name in &names {
            if let Some(first) = taken.insert((name.clone(), kind), place) {
                let message = format!(
                    "is for {name}, as is the one in certificates[{first}], with the same kind of \
                     key ({kind})"
                );
                faults.sort::<()>(&format!("{at}.chain"), &shown.chain, Err(message));
            }
        }
        keys.push((key, names));
    }
    Certificates::new(keys)
}

fn client_verifier(
    tls: &ListenerTls,
    files: Files<'_>,
    certificates: &Certificates,
    provider: &Arc<CryptoProvider>,
    faults: &mut Faults,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let Some(path) = &tls.client_ca else {
        return Some(WebPkiClientVerifier::no_client_auth());
    };
    let roots: RootCertStore = faults.sort("client_ca", path, files.authorities(path))?;
    let crls = revocations("client_crls", &tls.client_crls, files, faults);
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(provider));
    let builder = builder.with_crls(crls);
    let builder = match tls.client_certificate {
        ClientCertificate::Required => builder,
        ClientCertificate::Optional | ClientCertificate::Off => builder.allow_unauthenticated(),
    };
    let place = tls.client_crls.first().unwrap_or(path);
    let built = builder.build().map_err(|error| error.to_string());
    let chain = faults.sort("client_crls", place, built)?;
    let identities = match &tls.client_identities {
        None => return Some(chain),
        Some(ClientIdentities::Listed(patterns)) => patterns.clone(),
        Some(ClientIdentities::OwnTrustDomain) => {
            let own = own_trust_domain(certificates);
            let shown = tls.certificates.first();
            let place = shown.map_or_else(|| Path::new(""), |shown| &shown.chain);
            vec![faults.sort("certificates[0].chain", place, own)?]
        }
    };
    Some(Arc::new(ClientIdentityVerifier::new(chain, identities)))
}

/// All identities in the trust domain of the first certificate.
fn own_trust_domain(certificates: &Certificates) -> Result<SpiffePattern, String> {
    // Whether it is valid now has been looked at.
    let peer = certificates
        .first()
        .map(|leaf| Peer::read(leaf, Duration::ZERO));
    let identity = peer.and_then(Result::ok).and_then(|peer| peer.identity);
    let domain = identity.map(|id| format!("spiffe://{}/*", id.trust_domain()));
    let pattern = domain.and_then(|domain| SpiffePattern::parse(&domain));
    pattern.ok_or_else(|| {
        "has no SPIFFE ID, whose trust domain `client_identities` = \"own_trust_domain\" is about"
            .into()
    })
}

fn revocations(
    field: &str,
    paths: &[PathBuf],
    files: Files<'_>,
    faults: &mut Faults,
) -> Vec<CertificateRevocationListDer<'static>> {
    let lists = paths.iter().enumerate().filter_map(|(place, path)| {
        let field = format!("{field}[{place}]");
        faults.sort(&field, path, files.revocations(path))
    });
    lists.flatten().collect()
}

/// A fault that no file is to blame for.
fn general(error: &rustls::Error) -> Vec<Fault> {
    vec![Fault {
        field: String::new(),
        file: String::new(),
        message: error.to_string(),
    }]
}
