//! Certificates for tests: an authority, and what it issues, as PEM files.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::scratch;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    name: String,
    /// Its own certificate, for those who are to trust it.
    pub(crate) file: String,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// A new one; `name` tells its files from those of others.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            file: write(&format!("{name}.pem"), &certificate.pem()),
            issuer: Issuer::new(params, key),
            name: name.into(),
        }
    }

    /// A certificate for `names`, valid today.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        let now = SystemTime::now();
        self.issue_for(names, [now - DAY, now + DAY])
    }

    /// A certificate for `names` that was valid until yesterday.
    pub(crate) fn issue_expired(&self, names: &[&str]) -> Issued {
        let now = SystemTime::now();
        self.issue_for(names, [now - 3 * DAY, now - DAY])
    }

    fn issue_for(&self, names: &[&str], [from, to]: [SystemTime; 2]) -> Issued {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let file = format!("{}-{}-{}", self.name, names.join("-"), seconds(to));
        let mut params = CertificateParams::new(names).expect("names");
        (params.not_before, params.not_after) = (from.into(), to.into());
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            certificate: write(&format!("{file}.pem"), &certificate.pem()),
            key: write(&format!("{file}.key"), &key.serialize_pem()),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a time after 1970").as_secs()
}

fn write(name: &str, text: &str) -> String {
    let path: PathBuf = scratch(name);
    std::fs::write(&path, text).expect("a file");
    path.to_str().expect("a path").into()
}
