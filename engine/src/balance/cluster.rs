//! A cluster as compiled for all shards: immutable, of one generation.
//!
//! In: a configured cluster. Out: its endpoints and how they are balanced. What is large and the
//! same for every shard is made here once.

use std::sync::Arc;
use std::time::Duration;

use super::endpoint::ewma::EwmaPolicy;
use super::endpoint::outlier::OutlierPolicy;
use super::endpoint::{Endpoint, EndpointId};
use crate::config;
use crate::io::Address;
use crate::route::ClusterId;

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn, in proportion to the weights.
    RoundRobin,
    /// At random, in proportion to the weights.
    Random,
    /// The less busy of two drawn at random, in proportion to the weights.
    LeastRequest,
    /// Of two drawn at random, the one that is expected to answer sooner.
    #[default]
    PeakEwma,
}

/// How the endpoints of a cluster share its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Balancing {
    /// How one is chosen.
    pub policy: Policy,
    /// How latencies are averaged.
    pub ewma: EwmaPolicy,
    /// When endpoints are left out because of their failures.
    pub outlier: OutlierPolicy,
    /// How long an endpoint that joins or comes back warms up; zero for not at all.
    pub slow_start: Duration,
    /// With fewer usable endpoints than this share, in percent, all are used: what is left could
    /// not carry the load, and the judgement may be wrong. Zero for never.
    pub panic_threshold: u32,
    /// Near endpoints are preferred.
    pub locality: Option<LocalityPolicy>,
}

/// How near endpoints are preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityPolicy {
    /// Where this proxy is.
    pub home: Arc<str>,
    /// With fewer endpoints there, none is preferred.
    pub endpoints_min: u32,
}

impl Default for Balancing {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            ewma: EwmaPolicy::default(),
            outlier: OutlierPolicy::default(),
            slow_start: Duration::ZERO,
            panic_threshold: 50,
            locality: None,
        }
    }
}

/// A cluster of one configuration generation: immutable, read by all shards.
#[derive(Clone, Debug)]
pub struct Cluster {
    id: ClusterId,
    name: Arc<str>,
    balancing: Balancing,
    endpoints: Arc<[Endpoint]>,
}

impl Cluster {
    /// The cluster number `id` as configured.
    pub fn compile(id: ClusterId, cluster: &config::Cluster) -> Self {
        let endpoint = |endpoint: &config::Endpoint| {
            Endpoint::new(address(&endpoint.address), endpoint.weight)
        };
        let policy = match cluster.lb_policy {
            config::LbPolicy::RoundRobin => Policy::RoundRobin,
            config::LbPolicy::LeastRequest => Policy::LeastRequest,
        };
        let balancing = Balancing {
            policy,
            ..Balancing::default()
        };
        let endpoints = cluster.endpoints.iter().map(endpoint).collect();
        Self::new(id, Arc::clone(&cluster.name), balancing, endpoints)
    }

    /// A cluster of `endpoints`, whose ids are their places in the list.
    pub fn new(
        id: ClusterId,
        name: Arc<str>,
        balancing: Balancing,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        Self {
            id,
            name,
            balancing,
            endpoints: endpoints.into(),
        }
    }

    /// Its place in the configuration.
    pub const fn id(&self) -> ClusterId {
        self.id
    }

    /// Its name in the configuration.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How its endpoints share its requests.
    pub const fn balancing(&self) -> &Balancing {
        &self.balancing
    }

    /// All its endpoints, by id.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The endpoint with this id.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id.0 as usize)
    }
}

fn address(configured: &config::EndpointAddress) -> Address {
    match configured {
        config::EndpointAddress::Tcp(address) => Address::Tcp(*address),
        config::EndpointAddress::Unix(path) => Address::Unix(path.clone()),
        // A start puts the address of the origin it made here before it compiles; what only checks
        // a configuration connects nowhere.
        config::EndpointAddress::BuiltinEcho => Address::Tcp(([127, 0, 0, 1], 0).into()),
    }
}

/// All clusters of one generation, by id.
#[derive(Clone, Debug, Default)]
pub struct ClusterTable {
    clusters: Vec<Cluster>,
}

impl ClusterTable {
    /// All clusters as configured, in the order of the configuration.
    pub fn compile(clusters: &[config::Cluster]) -> Self {
        let compile = |(id, cluster)| Cluster::compile(ClusterId(id), cluster);
        Self::new((0..).zip(clusters).map(compile).collect())
    }

    /// A table of `clusters`, whose ids must be their places in the list.
    pub fn new(clusters: Vec<Cluster>) -> Self {
        let in_order = |(place, cluster): (usize, &Cluster)| cluster.id().0 as usize == place;
        debug_assert!(clusters.iter().enumerate().all(in_order));
        Self { clusters }
    }

    /// The cluster with this id.
    pub fn cluster(&self, id: ClusterId) -> Option<&Cluster> {
        self.clusters.get(id.0 as usize)
    }

    /// All clusters, in order of their ids.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }
}
