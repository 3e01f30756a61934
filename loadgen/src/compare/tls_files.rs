//! The certificate that all proxies of a comparison show, made for it.
//!
//! One P-256 key for all, so that none signs with a cheaper one; the certificate is signed by
//! itself and trusted by the generator alone.

use std::fs;
use std::path::PathBuf;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::child::Scratch;

/// Where certificate and key lie.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    key: PathBuf,
    /// Both, for those who want one file.
    both: PathBuf,
}

impl TlsFiles {
    /// Makes and writes them.
    pub(crate) fn create(scratch: &Scratch) -> Result<Self, String> {
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)
            .map_err(|error| format!("cannot make a certificate: {error}"))?;
        let write = |name: &str, text: &str| {
            let path = scratch.file(name);
            let written = fs::write(&path, text);
            written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            Ok::<_, String>(path)
        };
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        Ok(Self {
            certificate: write("tls.pem", &certificate)?,
            key: write("tls.key", &key)?,
            both: write("tls-both.pem", &(certificate + &key))?,
        })
    }

    /// Their values in a template.
    pub(crate) fn values(&self) -> [(&'static str, String); 3] {
        [
            ("certificate", self.certificate.display().to_string()),
            ("key", self.key.display().to_string()),
            ("both", self.both.display().to_string()),
        ]
    }
}
