//! Which of a listener's certificates a client is shown: by the name it asks for (RFC 6066 §3).
//!
//! The exact name, then the wildcard one level up (RFC 6125 §6.4.3), then the first certificate.
//! Of several for one name, as with an ECDSA and an RSA key, the first that the client can verify.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The certificates of one listener.
#[derive(Debug)]
pub(super) struct Certificates {
    keys: Vec<Arc<CertifiedKey>>,
    /// By lower-case name, which may begin with `*.`: places in `keys`, in the order given.
    by_name: HashMap<Box<str>, Vec<usize>>,
}

impl Certificates {
    /// Certificates with the names each is for; at least one.
    pub(super) fn new(keys: Vec<(Arc<CertifiedKey>, Vec<Box<str>>)>) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut sole = Vec::with_capacity(keys.len());
        for (place, (key, names)) in keys.into_iter().enumerate() {
            for name in names {
                let name = name.to_ascii_lowercase().into_boxed_str();
                by_name.entry(name).or_default().push(place);
            }
            sole.push(key);
        }
        Self {
            keys: sole,
            by_name,
        }
    }

    /// The first of them, in DER; `None` while none could be read.
    pub(super) fn first(&self) -> Option<&[u8]> {
        let chain = &self.keys.first()?.cert;
        chain.first().map(|leaf| &**leaf)
    }

    /// The certificates for `name`; `None` when there are none but the first.
    fn places(&self, name: &str) -> Option<&[usize]> {
        let name = name.to_ascii_lowercase();
        let found = self.by_name.get(name.as_str()).or_else(|| {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(format!("*.{parent}").as_str())
        });
        found.map(Vec::as_slice)
    }

    /// Whether a connection that was opened for `asked` may also serve `host`: whether the client
    /// was shown a certificate that is for both (RFC 9110 §4.3.3, §15.5.20).
    pub(super) fn serves(&self, asked: &str, host: &str) -> bool {
        if asked.eq_ignore_ascii_case(host) {
            return true;
        }
        match (self.places(asked), self.places(host)) {
            (Some(asked), Some(host)) => asked == host,
            // Nothing here is for either: the first certificate stands for all such names.
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// When each expires, in seconds since 1970.
    pub(super) fn expiries(&self) -> impl Iterator<Item = u64> {
        let leaves = self.keys.iter().map(|key| key.cert.first());
        leaves.map(|leaf| {
            let read = leaf.and_then(|leaf| X509Certificate::from_der(leaf).ok());
            let not_after = read.map_or(0, |(_, it)| it.validity().not_after.timestamp());
            u64::try_from(not_after).unwrap_or(0)
        })
    }

    fn choose(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.places(name));
        let can_verify =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = named.unwrap_or_default().iter();
        let fitting = named
            .filter_map(|&place| self.keys.get(place))
            .find(can_verify);
        fitting
            .or_else(|| self.keys.iter().find(can_verify))
            .cloned()
    }
}

/// The certificates as one handshake sees them: remembers the name that was asked for.
#[derive(Debug)]
pub(super) struct Asked {
    certificates: Arc<Certificates>,
    name: Arc<OnceLock<Box<str>>>,
}

impl Asked {
    /// For one handshake; `name` will hold what the client asks for.
    pub(super) fn new(certificates: Arc<Certificates>, name: Arc<OnceLock<Box<str>>>) -> Self {
        Self { certificates, name }
    }
}

impl ResolvesServerCert for Asked {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        if let Some(name) = hello.server_name() {
            // A second hello, after a retry, has to ask for the same.
            let _ = self.name.set(name.into());
        }
        self.certificates.choose(&hello)
    }
}
