//! Where endpoints come from besides the file itself, as meant.
//!
//! A cluster's [`Discovery`] names its sources; how the sources are reached is told once for the
//! process, in [`Registry`] and [`Dns`]. Nothing here has been looked up.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::tls::ClusterTls;
use crate::config::scalar;
use crate::limits;

/// Where the endpoints of one cluster come from, besides those in the file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Discovery {
    /// The service whose registered instances they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Arc<str>>,
    /// The file that lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Names whose addresses (A and AAAA records) they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<NamedEndpoint>,
    /// Names whose SRV records say where they are (RFC 2782).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub srv: Vec<HostName>,
    /// How long a start or a reload waits for the first answer of each; not at all when absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub initial_fetch_timeout: Option<Duration>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            registry: None,
            file: None,
            dns: Vec::new(),
            srv: Vec::new(),
            initial_fetch_timeout: Some(limits::FIRST_ANSWER_DEFAULT),
        }
    }
}

impl Discovery {
    /// Whether all endpoints stand in the configuration.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.registry.is_none() && self.file.is_none() && !self.asks_dns()
    }

    /// Whether names have to be resolved.
    #[must_use]
    pub fn asks_dns(&self) -> bool {
        !self.dns.is_empty() || !self.srv.is_empty()
    }
}

/// A name with a port, of which each address is an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct NamedEndpoint {
    /// Name and port.
    pub address: HostPort,
    /// The share of each of its endpoints.
    pub weight: u32,
}

/// A name with a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// The name.
    pub host: HostName,
    /// The port.
    pub port: u16,
}

/// A name that DNS resolves, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct HostName(pub Arc<str>);

/// The registry: where instances register themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Registry {
    /// The folder of its journal.
    pub path: PathBuf,
    /// The file with the token that allows changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// Users that may change it through the Unix socket of the admin interface.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uids: Vec<u32>,
    /// Services at once.
    pub max_services: u32,
    /// Instances at once, of all services.
    pub max_instances: u32,
    /// Changes and renewals in a second.
    pub max_rate: u32,
    /// The etcd through which it is shared with other proxies; it is not shared when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etcd: Option<Etcd>,
}

/// An etcd through which registries are shared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Etcd {
    /// Its members; one of them is talked to at a time.
    pub endpoints: Vec<EtcdEndpoint>,
    /// What the keys of the instances begin with, without a slash at the end.
    pub prefix: String,
    /// Who this proxy is there, where etcd asks for it.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub login: Option<EtcdLogin>,
    /// What `https` goes by: the authorities of the system when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClusterTls>,
    /// How long the instances of a proxy outlive it.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub lease_ttl: Duration,
    /// How long a connection or an answer may take.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub timeout: Duration,
}

/// A user of etcd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EtcdLogin {
    /// Its name.
    pub user: String,
    /// The file with its password.
    pub password_file: PathBuf,
}

/// Where a member of etcd serves its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdEndpoint {
    /// Over TLS.
    pub is_secure: bool,
    /// A name or an IP address; that of IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How names are resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Whom to ask; those of the system when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<SocketAddr>,
    /// The least time between two questions, whatever the records say.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub ttl_min: Duration,
    /// The most time between two questions.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub ttl_max: Duration,
    /// How long one attempt may take.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub timeout: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ttl_min: limits::DNS_TTL_MIN_DEFAULT,
            ttl_max: limits::DNS_TTL_MAX_DEFAULT,
            timeout: limits::DNS_TIMEOUT_DEFAULT,
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for EtcdEndpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        match self.host.contains(':') {
            true => write!(out, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(out, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

impl Serialize for EtcdEndpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
