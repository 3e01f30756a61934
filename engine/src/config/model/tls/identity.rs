//! Who the process is in the mesh, and where it learns that.
//!
//! A folder that somebody else keeps, or the SPIFFE Workload API, whose answers are held in memory.
//! Either way TLS tables name files: those of the folder, or names under [`HELD_FOLDER`] that stand
//! for what is held, so that nothing else has to know the difference. Standard: SPIFFE Workload
//! Endpoint, section 4 (how an endpoint is written).

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::CertificateFiles;
use crate::config::model::Address;
use crate::config::scalar;

/// The file of an identity's folder with the certificate, its intermediates and its key, in PEM.
pub const SVID_FILE: &str = "svid.pem";
/// The file of an identity's folder with the authorities that it trusts, in PEM.
pub const BUNDLE_FILE: &str = "bundle.pem";
/// The same for what these authorities have revoked; only where it is held.
const CRLS_FILE: &str = "crls.pem";
/// The folder of what is held in memory. No file system has it.
const HELD_FOLDER: &str = "workload-api:";
/// The word for the endpoint that the environment names.
const ENVIRONMENT: &str = "environment";

/// Who the process is in the mesh, and whom it trusts there: what TLS defaults to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Where it is from.
    #[serde(flatten)]
    pub source: IdentitySource,
    /// What the Workload API gave; nothing in a configuration as written.
    #[serde(skip)]
    pub held: Option<Arc<HeldIdentity>>,
}

/// Where an identity is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum IdentitySource {
    /// A folder.
    Directory {
        /// It has [`SVID_FILE`] and [`BUNDLE_FILE`].
        directory: PathBuf,
    },
    /// The SPIFFE Workload API.
    WorkloadApi(WorkloadApi),
}

/// How an identity is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkloadApi {
    /// Where.
    #[serde(rename = "workload_api")]
    pub endpoint: WorkloadEndpoint,
    /// Which one, when there are several: the first that has this hint; the first of all when
    /// absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Arc<str>>,
    /// How long the start waits for the first.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub start_timeout: Duration,
}

/// Where the Workload API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadEndpoint {
    /// At the address in `SPIFFE_ENDPOINT_SOCKET`.
    Environment,
    /// Here.
    At(Address),
}

/// An identity in memory, each part as a file would have it.
#[derive(PartialEq, Eq)]
pub struct HeldIdentity {
    /// The certificate, its intermediates and its key.
    pub svid: String,
    /// The authorities that are trusted.
    pub bundle: String,
    /// Their revocation lists; empty without any.
    pub crls: String,
}

impl Identity {
    /// The identity that is in this folder.
    #[must_use]
    pub fn in_directory(directory: PathBuf) -> Self {
        Self {
            source: IdentitySource::Directory { directory },
            held: None,
        }
    }

    /// How it is asked for, if it is.
    #[must_use]
    pub fn workload_api(&self) -> Option<&WorkloadApi> {
        match &self.source {
            IdentitySource::WorkloadApi(workload_api) => Some(workload_api),
            IdentitySource::Directory { .. } => None,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        match &self.source {
            IdentitySource::Directory { directory } => directory.join(name),
            IdentitySource::WorkloadApi(_) => Path::new(HELD_FOLDER).join(name),
        }
    }

    /// The certificate and its key, in one file: whoever replaces it replaces both.
    #[must_use]
    pub fn svid(&self) -> CertificateFiles {
        let path = self.file(SVID_FILE);
        CertificateFiles {
            chain: path.clone(),
            key: path,
            ocsp: None,
        }
    }

    /// The authorities that are trusted.
    #[must_use]
    pub fn bundle(&self) -> PathBuf {
        self.file(BUNDLE_FILE)
    }

    /// What they have revoked, if the Workload API said so.
    #[must_use]
    pub fn crls(&self) -> Option<PathBuf> {
        let held = self.held.as_ref()?;
        (!held.crls.is_empty()).then(|| self.file(CRLS_FILE))
    }

    /// The content of `file`, if it stands for something that is held.
    #[must_use]
    pub fn content(&self, file: &Path) -> Option<&str> {
        let held = self.held.as_ref()?;
        let name = file.strip_prefix(HELD_FOLDER).ok()?.to_str()?;
        match name {
            SVID_FILE => Some(&held.svid),
            BUNDLE_FILE => Some(&held.bundle),
            CRLS_FILE => Some(&held.crls),
            _ => None,
        }
    }

    /// Whether `file` only stands for something that is held.
    #[must_use]
    pub fn is_held(file: &Path) -> bool {
        file.starts_with(HELD_FOLDER)
    }
}

impl WorkloadEndpoint {
    /// `unix:///run/spire/agent.sock`, `tcp://127.0.0.1:8000` or `environment`. The keys travel in
    /// clear text, so TCP goes no further than this machine.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == ENVIRONMENT {
            return Some(Self::Environment);
        }
        if let Some(address) = text.strip_prefix("tcp://") {
            let address: SocketAddr = address.parse().ok()?;
            let is_here = address.ip().is_loopback() && address.port() > 0;
            return is_here.then_some(Self::At(Address::Tcp(address)));
        }
        let path = text.strip_prefix("unix:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        let is_path = path.len() > 1 && path.starts_with('/') && !path.contains(['\0', '?', '#']);
        is_path.then(|| Self::At(Address::Unix(path.into())))
    }
}

impl fmt::Display for WorkloadEndpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => out.write_str(ENVIRONMENT),
            Self::At(Address::Tcp(address)) => write!(out, "tcp://{address}"),
            Self::At(Address::Unix(path)) => write!(out, "unix://{}", path.display()),
        }
    }
}

impl Serialize for WorkloadEndpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Says nothing of the key.
impl fmt::Debug for HeldIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HeldIdentity").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workload_endpoint_4_how_an_endpoint_is_written() {
        for (text, expected) in [
            ("unix:///run/agent.sock", "unix:///run/agent.sock"),
            ("unix:/run/agent.sock", "unix:///run/agent.sock"),
            ("tcp://127.0.0.1:8000", "tcp://127.0.0.1:8000"),
            ("tcp://[::1]:8000", "tcp://[::1]:8000"),
            ("environment", "environment"),
        ] {
            let endpoint = WorkloadEndpoint::parse(text).expect(text);
            assert_eq!(endpoint.to_string(), expected);
            assert_eq!(WorkloadEndpoint::parse(expected), Some(endpoint));
        }
        for text in [
            "",
            "/run/agent.sock",
            "unix:",
            "unix:///",
            "unix:run/agent.sock",
            "unix://host/run/agent.sock",
            "unix:///run/agent.sock?x",
            "tcp://localhost:8000",
            "tcp://127.0.0.1",
            "tcp://127.0.0.1:8000/foo",
            "tcp://10.0.0.1:8000",
            "http://127.0.0.1:8000",
        ] {
            assert_eq!(WorkloadEndpoint::parse(text), None, "{text}");
        }
    }
}
