//! Whom a client believes, and who it says it is.
//!
//! *In:* the options and the URL's host. *Out:* a [`Trust`], which a dialer uses for every
//! handshake. Files are read once, before the run; a file that is of no use is an error then.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::Protocol;
use super::identity::{Identity, certificates, unfit};
use super::options::{TlsOptions, TlsVersion};

/// Sessions that a connection remembers; the least that rustls can be asked for is eight tickets.
const SESSIONS: usize = 1;

/// What a handshake needs to know.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// Certificates, versions, protocols.
    pub config: Arc<ClientConfig>,
    /// The name asked for and expected.
    pub name: ServerName<'static>,
    papers: Arc<Papers>,
    resumes: bool,
}

impl Trust {
    /// Reads what the options name; `protocols` are offered, the best first.
    ///
    /// *Errors:* one sentence for the user.
    pub(crate) fn new(
        options: &TlsOptions,
        host: &str,
        protocols: &[Protocol],
    ) -> Result<Self, String> {
        let mut provider = aws_lc_rs::default_provider();
        if !options.groups.is_empty() {
            provider.kx_groups = options
                .groups
                .iter()
                .map(|group| group.exchange())
                .collect();
        }
        let provider = Arc::new(provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(TlsVersion::offered(options.tls_version))
            .map_err(|error| format!("cannot speak TLS: {error}"))?;
        let builder = if options.insecure {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Credulous(Arc::clone(&provider))))
        } else {
            builder.with_root_certificates(authorities(options.cacert.as_deref())?)
        };
        let papers = Arc::new(Papers {
            identity: match (&options.cert, &options.key) {
                (Some(certificate), Some(key)) => Some(certified(certificate, key, &provider)?),
                _ => None,
            },
            asked: AtomicBool::new(false),
        });
        let mut config = builder.with_client_cert_resolver(Arc::clone(&papers) as _);
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.alpn().to_vec())
            .collect();
        if options.no_resumption {
            config.resumption = Resumption::disabled();
        }
        let name = options.sni.as_deref().unwrap_or(host);
        Ok(Self {
            config: Arc::new(config),
            name: ServerName::try_from(name.to_owned())
                .map_err(|_| format!("`{name}` is not a name that a certificate can be for"))?,
            papers,
            resumes: !options.no_resumption,
        })
    }

    /// Has the peer asked who we are?
    pub(crate) fn was_asked(&self) -> bool {
        self.papers.asked.load(Ordering::Relaxed)
    }

    /// The same, with memory for sessions of its own.
    pub(crate) fn of_one_connection(&self) -> Self {
        let mut own = self.clone();
        if self.resumes {
            let mut config = ClientConfig::clone(&self.config);
            config.resumption = Resumption::in_memory_sessions(SESSIONS);
            own.config = Arc::new(config);
        }
        own
    }
}

/// What a client shows when it is asked, and whether it was.
#[derive(Debug)]
struct Papers {
    identity: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Papers {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}

fn certified(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, String> {
    let identity = Identity::read(certificate, key)?;
    CertifiedKey::from_der(identity.chain, identity.key, provider)
        .map(Arc::new)
        .map_err(|error| unfit(certificate, key, &error))
}

/// The authorities in `file`, or those of this machine.
pub(crate) fn authorities(file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else {
        // What of the machine's store cannot be read is trusted by nobody.
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = store.add_parsable_certificates(found.certs);
        if added == 0 {
            return Err("this machine trusts no authority; name one with --cacert".into());
        }
        return Ok(store);
    };
    for certificate in certificates(file)? {
        store.add(certificate).map_err(|error| {
            format!("{} holds a certificate of no use: {error}", file.display())
        })?;
    }
    Ok(store)
}

/// Takes any certificate, but still only from a peer that holds its key.
#[derive(Debug)]
struct Credulous(Arc<CryptoProvider>);

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
