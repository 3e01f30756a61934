//! The configuration as meant: every value parsed, every default filled in, every name resolved.
//!
//! A value of these types came out of [`crate::config::load`] and is valid: patterns compile,
//! cluster references exist, names are unique. The later steps compile their tables from it and
//! never check again. Serialised, it has the shape of the file it was read from, with nothing
//! left implicit; reading that text again gives the same value.

mod authentication;
mod authorization;
mod cluster;
mod discovery;
mod health;
mod jwt;
mod listener;
mod pattern;
mod resilience;
mod route;
mod spiffe;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::scalar;

pub use authentication::{
    ApiKey, ApiKeys, Authenticate, Authentication, Basic, KeyHash, MTLS, Marks, MethodRef,
    MethodRule, PasswordHash, User,
};
pub use authorization::{
    Authorization, AuthorizationLevel, ClaimMatch, ExternalAuthorization, HeaderMatch, HeaderValue,
    IpNetwork, LimitKey, NamePattern, Policy, PolicyAction, PolicyConditions, PrincipalMatch,
    Proved, RateLimit,
};
pub use cluster::balancing::{Balancing, Hash, HashKey, OutlierDetection, PeakEwma, Sticky};
pub use cluster::{Cluster, Endpoint, EndpointAddress, LbPolicy, Pool, Subset};
pub use discovery::{
    Discovery, Dns, Etcd, EtcdEndpoint, EtcdLogin, HostName, HostPort, NamedEndpoint, Registry,
};
pub use health::{HealthCheck, HealthProtocol, HttpCheck};
pub use jwt::{ClaimPath, Jwt, JwtAlgorithm, JwtKeys};
pub use listener::{
    EscapedSlashes, FieldPolicies, FieldPolicy, Listener, ListenerLimits, ListenerTimeouts,
    PathNormalization, ServerPolicy, TRUST_ALL_HOPS, UnderscorePolicy,
};
pub use pattern::{HostPattern, Pattern};
pub use resilience::{CircuitBreaker, Overload, Retry, RetryBudget, RetryOn};
pub use route::{
    Action, ClusterRef, DirectResponse, FieldEdits, FieldMatch, HttpScheme, PathMatch,
    PathReplacement, QueryMatch, Redirect, RedirectStatus, Rewrite, Route, RouteMatch,
    RouteTimeouts, ValueMatch, VirtualHost, WeightedCluster,
};
pub use spiffe::{SpiffeId, SpiffePattern};
pub use tls::{
    BUNDLE_FILE, CertificateFiles, ClientCertificate, ClientIdentities, ClusterTls, HeldIdentity,
    Identity, IdentitySource, ListenerTls, SVID_FILE, TlsVersion, WorkloadApi, WorkloadEndpoint,
};

/// One whole configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    /// Which defaults apply where the file says nothing.
    pub profile: Profile,
    /// Downstream connections of the whole process; further ones are refused.
    pub max_connections: u32,
    /// How long exchanges in flight may take to finish after SIGTERM.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub drain: Duration,
    /// Who the process is in the mesh; nobody when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// Whether the configuration is read anew when its file changes, or one that it names.
    pub watch: bool,
    /// When requests are refused for the sake of others.
    pub overload: Overload,
    /// Where the process is; nowhere in particular when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<Arc<str>>,
    /// How many shards run, and where.
    pub shards: Shards,
    /// The admin interface; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<Admin>,
    /// Where a line per exchange is written; nowhere when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log: Option<AccessLog>,
    /// What becomes of the latency histograms besides being served by the admin interface.
    #[serde(skip_serializing_if = "Histograms::is_default")]
    pub histograms: Histograms,
    /// The methods by which callers prove who they are.
    #[serde(skip_serializing_if = "Authentication::is_empty")]
    pub authentication: Authentication,
    /// Where instances register themselves; nowhere when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// How names are resolved.
    #[serde(skip_serializing_if = "is_default")]
    pub dns: Dns,
    /// Sockets that accept connections, each with its virtual hosts.
    pub listeners: Vec<Listener>,
    /// Groups of equivalent endpoints.
    pub clusters: Vec<Cluster>,
}

/// Whether a table says nothing that its absence would not.
fn is_default<T: Default + PartialEq>(table: &T) -> bool {
    *table == T::default()
}

/// A set of defaults for a place in the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Clients are strangers: short idle times, bodies bounded, forwarding fields replaced.
    #[default]
    Edge,
    /// Clients are the mesh or the application itself: forwarding fields kept, bodies unbounded.
    Sidecar,
}

/// How many shards run, and on which cores.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shards {
    /// Number of shards; one per allowed core when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Cores to pin to, one shard each; those of the affinity mask when absent.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "scalar::serialize_cpus"
    )]
    pub cpus: Option<Vec<usize>>,
}

/// The admin interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Admin {
    /// Where it listens.
    pub address: Address,
}

/// One line per exchange.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccessLog {
    /// The file that is appended to.
    pub path: PathBuf,
    /// How a line is written.
    pub format: AccessLogFormat,
    /// Bytes each shard holds back; when they are full, lines are dropped and counted.
    #[serde(rename = "buffer", serialize_with = "scalar::serialize_size")]
    pub buffer_bytes: u64,
    /// The longest a line waits in the buffer.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub flush: Duration,
}

/// How an access log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessLogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// One line of space-separated fields.
    Text,
}

/// What becomes of the latency histograms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Histograms {
    /// A periodic dump in HdrHistogram log format; none when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dump: Option<HistogramDump>,
}

impl Histograms {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A periodic histogram dump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistogramDump {
    /// The `.hlog` file that is written.
    pub path: PathBuf,
    /// Time between two dumps.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub interval: Duration,
}

/// Where a socket listens or an endpoint is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IPv4 or IPv6 address with its port.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Edge => "edge",
            Self::Sidecar => "sidecar",
        })
    }
}

impl fmt::Display for AccessLogFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Json => "json",
            Self::Text => "text",
        })
    }
}
