//! Clusters and endpoints as meant.
//!
//! Addresses are literal or the built-in echo origin; weights and bounds are within `limits`. An
//! empty list of endpoints is valid: such a cluster answers 503. Not here: which endpoint is
//! picked (`balance`) and how it is reached (`forward`).

pub(super) mod balancing;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Balancing, CircuitBreaker, ClusterTls, Discovery, HealthCheck, RetryBudget};
use crate::config::scalar;

/// A named group of equivalent endpoints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cluster {
    /// The name routes refer to; unique.
    pub name: Arc<str>,
    /// How an endpoint is picked.
    pub lb_policy: LbPolicy,
    /// And what belongs to it.
    #[serde(flatten)]
    pub balancing: Balancing,
    /// Longest wait for a connection to an endpoint.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub connect_timeout: Duration,
    /// TLS towards the endpoints; clear text when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClusterTls>,
    /// How much of it may be in use at once.
    pub circuit_breaker: CircuitBreaker,
    /// How much of its load may be retries.
    pub retry_budget: RetryBudget,
    /// How its endpoints are checked; not at all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Idle connections kept for reuse.
    pub pool: Pool,
    /// The endpoints are those of another cluster that match.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub subset: Option<Subset>,
    /// Where further endpoints come from while it runs.
    #[serde(skip_serializing_if = "Discovery::is_none")]
    pub discovery: Discovery,
    /// The endpoints in the file; with none and no discovery, every request gets 503.
    pub endpoints: Vec<Endpoint>,
}

/// How an endpoint is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LbPolicy {
    /// Of two picked at random, the one that is expected to answer sooner.
    #[default]
    PeakEwma,
    /// Of two picked at random, the one with fewer requests in flight.
    LeastRequest,
    /// In turn, in proportion to the weights.
    RoundRobin,
    /// At random, in proportion to the weights.
    Random,
    /// By the hash of a key, on a ring.
    RingHash,
    /// By the hash of a key, in a Maglev table.
    Maglev,
}

/// Idle connections kept for reuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pool {
    /// Idle connections kept per endpoint, over all shards.
    pub max_idle: u32,
    /// How long an unused connection is kept.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub idle_timeout: Duration,
    /// Age at which a connection is not reused any more.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub lifetime: Duration,
}

/// One address in a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Where it is reached.
    pub address: EndpointAddress,
    /// Its share of the requests, relative to the others; 0 takes none.
    pub weight: u32,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<Arc<str>>,
    /// What subsets are made by. Shared by all who know the endpoint.
    #[serde(skip_serializing_if = "is_empty")]
    pub metadata: Arc<BTreeMap<String, String>>,
}

fn is_empty(metadata: &Arc<BTreeMap<String, String>>) -> bool {
    metadata.is_empty()
}

impl Endpoint {
    /// An endpoint of weight one of which nothing else is known.
    pub fn at(address: EndpointAddress) -> Self {
        Self {
            address,
            weight: 1,
            locality: None,
            metadata: Arc::default(),
        }
    }
}

/// A part of another cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subset {
    /// The other cluster.
    #[serde(rename = "subset_of")]
    pub of: Arc<str>,
    /// What the metadata of its endpoints must say.
    pub metadata: BTreeMap<String, String>,
}

impl Subset {
    /// Those of the other cluster's `endpoints` that are in it.
    pub fn endpoints(&self, endpoints: &[Endpoint]) -> Vec<Endpoint> {
        let own = endpoints.iter().filter(|endpoint| self.has(endpoint));
        own.cloned().collect()
    }

    /// Whether an endpoint of the other cluster is in it.
    pub fn has(&self, endpoint: &Endpoint) -> bool {
        let mut wanted = self.metadata.iter();
        wanted.all(|(key, value)| endpoint.metadata.get(key) == Some(value))
    }
}

/// Where an endpoint is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// An IPv4 or IPv6 address with its port.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
    /// An origin that the process itself starts, for a first try: it answers with the request.
    BuiltinEcho,
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
            Self::BuiltinEcho => out.write_str("builtin:echo"),
        }
    }
}

impl Serialize for EndpointAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for LbPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::PeakEwma => "peak_ewma",
            Self::LeastRequest => "least_request",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::RingHash => "ring_hash",
            Self::Maglev => "maglev",
        })
    }
}
