//! What the balancers count and decide, as copies that may leave their shards.
//!
//! In: the state of one shard, and `now`. Out: plain numbers and labels, which can be added up over
//! shards. Each shard judges endpoints for itself, so a report says how many shards hold a verdict.

use super::endpoint::health::Health;
use super::endpoint::outlier::{Ejection, Standing};
use super::endpoint::{EndpointId, EndpointState};
use crate::io::Instant;
use crate::route::ClusterId;

/// The counts of one cluster, of one shard or of several added together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterReport {
    /// Which cluster.
    pub id: ClusterId,
    /// Attempts in flight now.
    pub active: u32,
    /// Picks refused because no endpoint may be used.
    pub unavailable: u64,
    /// Picks made from all endpoints because too few were usable.
    pub panics: u64,
    /// Shards that pick so now.
    pub panicking_shards: u32,
    /// One report for each endpoint, by id.
    pub endpoints: Vec<EndpointReport>,
}

impl ClusterReport {
    /// Adds another shard's counts of the same cluster.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.id, other.id, "reports of different clusters");
        self.active = self.active.saturating_add(other.active);
        self.unavailable = self.unavailable.saturating_add(other.unavailable);
        self.panics = self.panics.saturating_add(other.panics);
        self.panicking_shards = self.panicking_shards.saturating_add(other.panicking_shards);
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

/// What is wrong with a cluster, by what one shard knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterStrain {
    /// Which cluster.
    pub id: ClusterId,
    /// Picks made from all endpoints because too few were usable, since the start.
    pub panics: u64,
    /// It is so now.
    pub is_panicking: bool,
    /// Endpoints that are left out because of their failures, or wait for their probe.
    pub ejected: u32,
}

/// What is known of one endpoint, by one shard or by several together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointReport {
    /// Which endpoint of the cluster.
    pub id: EndpointId,
    /// Attempts sent to it since it joined.
    pub requests: u64,
    /// Attempts that failed: no answer, a broken one, or one with a status of 500 or more.
    pub failures: u64,
    /// Attempts in flight now.
    pub active: u32,
    /// Connections open now, busy or idle.
    pub connections: u32,
    /// The moving average of its latency, in nanoseconds, of the shard where it is highest; zero
    /// when there is none.
    pub latency_nanos: u64,
    /// What was told of it from outside, why, and since when.
    pub health: Health,
    /// The reason for it.
    pub health_why: &'static str,
    /// Since when.
    pub health_since: Instant,
    /// Why it is ejected, where it is.
    pub ejection: Option<Ejection>,
    /// Shards that have it ejected, or wait for its probe.
    pub ejected_shards: u32,
    /// Since when, on the first of them.
    pub ejected_since: Instant,
    /// When its ejection ends, on the last of them; zero when all wait for its probe.
    pub ejected_until: Instant,
}

impl EndpointReport {
    /// Nothing is known of the endpoint `id`.
    pub const fn new(id: EndpointId) -> Self {
        Self {
            id,
            requests: 0,
            failures: 0,
            active: 0,
            connections: 0,
            latency_nanos: 0,
            health: Health::Unknown,
            health_why: "",
            health_since: Instant::from_nanos(0),
            ejection: None,
            ejected_shards: 0,
            ejected_since: Instant::from_nanos(0),
            ejected_until: Instant::from_nanos(0),
        }
    }

    pub(super) fn of(id: EndpointId, state: &EndpointState, now: Instant) -> Self {
        let (told, standing) = (state.told.get(), state.conduct.standing.get());
        let decay = state.cluster.ewma.get().decay;
        let latency = state.latency.nanos(now, decay).unwrap_or(0.0);
        let ejection = standing.why();
        Self {
            requests: state.requests.get(),
            failures: state.failures.get(),
            active: state.active.get(),
            connections: state.connections.get(),
            // A float turned into a whole number saturates.
            latency_nanos: latency as u64,
            health: told.health,
            health_why: told.why,
            health_since: told.since,
            ejection,
            ejected_shards: u32::from(ejection.is_some()),
            ejected_since: ejection.map_or_else(Instant::default, |_| state.conduct.since.get()),
            ejected_until: match standing {
                Standing::Ejected { until, .. } => until,
                Standing::Serving | Standing::Probing { .. } => Instant::default(),
            },
            ..Self::new(id)
        }
    }

    /// Adds what another shard knows of the same endpoint.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.id, other.id, "reports of different endpoints");
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.active = self.active.saturating_add(other.active);
        self.connections = self.connections.saturating_add(other.connections);
        self.latency_nanos = self.latency_nanos.max(other.latency_nanos);
        if other.health_since > self.health_since {
            self.health = other.health;
            self.health_why = other.health_why;
            self.health_since = other.health_since;
        }
        self.ejected_since = match (self.ejection, other.ejection) {
            (Some(_), Some(_)) => self.ejected_since.min(other.ejected_since),
            _ => self.ejected_since.max(other.ejected_since),
        };
        self.ejection = self.ejection.or(other.ejection);
        self.ejected_shards = self.ejected_shards.saturating_add(other.ejected_shards);
        self.ejected_until = self.ejected_until.max(other.ejected_until);
    }
}
