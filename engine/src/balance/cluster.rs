//! A cluster: compiled for all shards, and balanced by each of them.
//!
//! In: a configured cluster; then, for each attempt, a random number and the endpoint to avoid.
//! Out: a [`Lease`] or the reason why there is none. The order of checks is: the cluster's bound,
//! then the policy without the avoided endpoint, then the policy with it.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use super::circuit_breaker::Thresholds;
use super::endpoint::{ClusterState, Endpoint, EndpointId, EndpointReport, EndpointState};
use super::lease::Lease;
use super::least_request::LeastRequest;
use super::round_robin::RoundRobin;
use crate::config;
use crate::io::Address;
use crate::route::ClusterId;

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn, in proportion to the weights.
    #[default]
    RoundRobin,
    /// The less busy of two drawn at random, in proportion to the weights.
    LeastRequest,
}

/// Why there is no endpoint for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickError {
    /// The cluster has no endpoint that may be used.
    NoEndpoint,
    /// The shard's share of the cluster's bound is in use.
    Overflow,
}

/// A cluster of one configuration generation: immutable, read by all shards.
#[derive(Clone, Debug)]
pub struct Cluster {
    id: ClusterId,
    name: Arc<str>,
    policy: Policy,
    thresholds: Thresholds,
    endpoints: Vec<Endpoint>,
}

impl Cluster {
    /// The cluster number `id` as configured. A built-in endpoint whose origin was not started has
    /// no address: it keeps its place and gets no traffic.
    pub fn compile(id: ClusterId, cluster: &config::Cluster) -> Self {
        let endpoint = |(id, endpoint): (u32, &config::Endpoint)| {
            let (address, weight) = match &endpoint.address {
                config::EndpointAddress::Tcp(address) => (Address::Tcp(*address), endpoint.weight),
                config::EndpointAddress::Unix(path) => {
                    (Address::Unix(path.clone()), endpoint.weight)
                }
                config::EndpointAddress::BuiltinEcho => {
                    (Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()), 0)
                }
            };
            Endpoint::new(EndpointId(id), address, weight)
        };
        let policy = match cluster.lb_policy {
            config::LbPolicy::RoundRobin => Policy::RoundRobin,
            config::LbPolicy::LeastRequest => Policy::LeastRequest,
        };
        let thresholds = Thresholds {
            requests_max: cluster.circuit_breaker.max_connections,
        };
        let endpoints = (0..).zip(&cluster.endpoints).map(endpoint).collect();
        Self::new(id, Arc::clone(&cluster.name), policy, thresholds, endpoints)
    }

    /// A cluster of `endpoints`, whose ids must be their places in the list.
    pub fn new(
        id: ClusterId,
        name: Arc<str>,
        policy: Policy,
        thresholds: Thresholds,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        let in_order = |(place, endpoint): (usize, &Endpoint)| endpoint.id().0 as usize == place;
        debug_assert!(endpoints.iter().enumerate().all(in_order));
        Self {
            id,
            name,
            policy,
            thresholds,
            endpoints,
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

    /// How it chooses.
    pub const fn policy(&self) -> Policy {
        self.policy
    }

    /// Its bounds for the whole process.
    pub const fn thresholds(&self) -> Thresholds {
        self.thresholds
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

/// One cluster on one shard.
#[derive(Debug)]
pub struct Balancer {
    id: ClusterId,
    /// This shard's share of the cluster's bounds.
    thresholds: Thresholds,
    /// All endpoints, for the report.
    endpoints: Vec<Rc<EndpointState>>,
    /// Those that may be picked. The policies see no others.
    usable: Vec<Rc<EndpointState>>,
    selection: Selection,
    state: Rc<ClusterState>,
}

#[derive(Debug)]
enum Selection {
    RoundRobin(RoundRobin),
    LeastRequest(LeastRequest),
}

impl Balancer {
    /// The state of `cluster` on shard number `shard` of `shards`.
    pub fn new(cluster: &Cluster, shard: u32, shards: u32) -> Self {
        let state = Rc::new(ClusterState::default());
        let known =
            |endpoint: &Endpoint| Rc::new(EndpointState::new(endpoint.clone(), Rc::clone(&state)));
        let endpoints: Vec<_> = cluster.endpoints.iter().map(known).collect();
        let is_usable = |state: &&Rc<EndpointState>| state.endpoint.weight() > 0;
        let usable: Vec<_> = endpoints.iter().filter(is_usable).cloned().collect();
        let selection = match cluster.policy {
            Policy::RoundRobin => Selection::RoundRobin(RoundRobin::new(&usable, shard)),
            Policy::LeastRequest => Selection::LeastRequest(LeastRequest::new(&usable)),
        };
        Self {
            id: cluster.id,
            thresholds: cluster.thresholds.share(shards),
            endpoints,
            usable,
            selection,
            state,
        }
    }

    /// The state of `cluster`, which follows `previous`: an endpoint that is the same in both goes
    /// on as it is, with the attempts that are in flight.
    pub fn succeed(cluster: &Cluster, previous: Option<&Self>, shard: u32, shards: u32) -> Self {
        let mut next = Self::new(cluster, shard, shards);
        let Some(previous) = previous else {
            return next;
        };
        next.state = Rc::clone(&previous.state);
        let known = |endpoint: &Endpoint| {
            let mut known = previous.endpoints.iter();
            match known.find(|known| known.endpoint == *endpoint) {
                Some(known) => Rc::clone(known),
                None => Rc::new(EndpointState::new(endpoint.clone(), Rc::clone(&next.state))),
            }
        };
        next.endpoints = cluster.endpoints.iter().map(known).collect();
        let is_usable = |state: &&Rc<EndpointState>| state.endpoint.weight() > 0;
        next.usable = next.endpoints.iter().filter(is_usable).cloned().collect();
        next
    }

    /// The endpoint for the next attempt, if possible not `avoid` (the one of a failed attempt).
    ///
    /// *Cost:* no allocation; constant time, except that round robin over different weights looks
    /// at every endpoint.
    pub fn pick(&self, random: u64, avoid: Option<EndpointId>) -> Result<Lease, PickError> {
        if !self.thresholds.admits(self.state.active.get()) {
            let overflows = &self.state.overflows;
            overflows.set(overflows.get().wrapping_add(1));
            return Err(PickError::Overflow);
        }
        let chosen = self.select(random, avoid);
        let chosen = chosen.or_else(|| avoid.and_then(|_| self.select(random, None)));
        if let Some(state) = chosen {
            return Ok(Lease::new(state));
        }
        let unavailable = &self.state.unavailable;
        unavailable.set(unavailable.get().wrapping_add(1));
        Err(PickError::NoEndpoint)
    }

    /// Attempts in flight on this shard.
    pub fn active(&self) -> u32 {
        self.state.active.get()
    }

    /// A copy of the counts, for another thread.
    pub fn report(&self) -> ClusterReport {
        ClusterReport {
            id: self.id,
            active: self.state.active.get(),
            overflows: self.state.overflows.get(),
            unavailable: self.state.unavailable.get(),
            endpoints: self.endpoints.iter().map(|state| state.report()).collect(),
        }
    }

    fn select(&self, random: u64, avoid: Option<EndpointId>) -> Option<&Rc<EndpointState>> {
        match &self.selection {
            Selection::RoundRobin(policy) => policy.pick(&self.usable, avoid),
            Selection::LeastRequest(policy) => policy.pick(&self.usable, random, avoid),
        }
    }
}

/// The counts of one cluster, of one shard or of several added together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterReport {
    /// Which cluster.
    pub id: ClusterId,
    /// Attempts in flight now.
    pub active: u32,
    /// Picks refused because the bound was reached.
    pub overflows: u64,
    /// Picks refused because no endpoint may be used.
    pub unavailable: u64,
    /// One report for each endpoint, by id.
    pub endpoints: Vec<EndpointReport>,
}

impl ClusterReport {
    /// Adds another shard's counts of the same cluster.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.id, other.id, "reports of different clusters");
        self.active = self.active.saturating_add(other.active);
        self.overflows = self.overflows.saturating_add(other.overflows);
        self.unavailable = self.unavailable.saturating_add(other.unavailable);
        for (mine, theirs) in self.endpoints.iter_mut().zip(&other.endpoints) {
            mine.add(theirs);
        }
    }

    /// Attempts sent since the start, over all endpoints.
    pub fn requests(&self) -> u64 {
        self.endpoints
            .iter()
            .map(|endpoint| endpoint.requests)
            .sum()
    }

    /// Attempts that failed since the start, over all endpoints.
    pub fn failures(&self) -> u64 {
        self.endpoints
            .iter()
            .map(|endpoint| endpoint.failures)
            .sum()
    }
}
