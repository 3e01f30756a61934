//! One endpoint: what the configuration says of it, and what one shard knows of it.
//!
//! [`Endpoint`] is immutable and shared by all shards. [`EndpointState`] belongs to one shard: it
//! is reference-counted without atomics and its counts are cells. In: leases and connection holds
//! being made and dropped. Out: [`EndpointReport`], a copy that may leave the shard.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use crate::io::Address;

/// An endpoint, by its place in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u32);

/// Where requests of a cluster can go, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    id: EndpointId,
    address: Address,
    weight: u32,
    label: Arc<str>,
}

impl Endpoint {
    /// An endpoint. A `weight` of zero keeps it configured but without traffic.
    pub fn new(id: EndpointId, address: Address, weight: u32) -> Self {
        let label = match &address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        Self {
            id,
            address,
            weight,
            label: label.into(),
        }
    }

    /// Its place in its cluster.
    pub const fn id(&self) -> EndpointId {
        self.id
    }

    /// Where to connect to.
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Its share of the cluster's traffic, relative to the other endpoints.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// The address as text, made once, for logs and metrics.
    pub fn label(&self) -> &str {
        &self.label
    }
}

/// What all endpoints of one cluster on one shard add up to.
#[derive(Debug, Default)]
pub(super) struct ClusterState {
    pub(super) active: Cell<u32>,
    pub(super) overflows: Cell<u64>,
    pub(super) unavailable: Cell<u64>,
}

/// What one shard knows of one endpoint.
#[derive(Debug)]
pub(super) struct EndpointState {
    pub(super) endpoint: Endpoint,
    pub(super) cluster: Rc<ClusterState>,
    pub(super) requests: Cell<u64>,
    pub(super) failures: Cell<u64>,
    pub(super) active: Cell<u32>,
    pub(super) connections: Cell<u32>,
}

impl EndpointState {
    pub(super) fn new(endpoint: Endpoint, cluster: Rc<ClusterState>) -> Self {
        Self {
            endpoint,
            cluster,
            requests: Cell::new(0),
            failures: Cell::new(0),
            active: Cell::new(0),
            connections: Cell::new(0),
        }
    }

    pub(super) fn report(&self) -> EndpointReport {
        EndpointReport {
            id: self.endpoint.id,
            requests: self.requests.get(),
            failures: self.failures.get(),
            active: self.active.get(),
            connections: self.connections.get(),
        }
    }
}

/// The counts of one endpoint, of one shard or of several added together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointReport {
    /// Which endpoint of the cluster.
    pub id: EndpointId,
    /// Attempts sent to it since the start.
    pub requests: u64,
    /// Attempts that failed, as told by [`super::Lease::failed`].
    pub failures: u64,
    /// Attempts in flight now.
    pub active: u32,
    /// Connections open now, busy or idle.
    pub connections: u32,
}

impl EndpointReport {
    /// Adds another shard's counts of the same endpoint.
    pub fn add(&mut self, other: &Self) {
        debug_assert_eq!(self.id, other.id, "reports of different endpoints");
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.active = self.active.saturating_add(other.active);
        self.connections = self.connections.saturating_add(other.connections);
    }
}
