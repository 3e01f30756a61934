//! Step 7: which endpoint of a cluster gets this attempt.
//!
//! A [`Cluster`] is compiled once per configuration generation and read by every shard. Each shard
//! builds its own [`Balancer`] from it, which holds what changes: the selection's position and the
//! counts. `pick` gives a [`Lease`]: the endpoint, counted as busy until the lease is dropped.
//!
//! Pure: the random number is an argument, nothing here reads a clock or a socket. Nothing is
//! shared between shards, so the counts are plain cells and a pick costs no atomic operation and
//! no allocation.
//!
//! What decides is one file per policy (`round_robin`, `least_request`); which endpoints a policy
//! may see is decided in one place, [`Balancer::new`], so that states of health enter there.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod circuit_breaker;
mod cluster;
mod endpoint;
mod lease;
mod least_request;
mod round_robin;

pub use crate::route::ClusterId;
pub use circuit_breaker::Thresholds;
pub use cluster::{Balancer, Cluster, ClusterReport, ClusterTable, PickError, Policy};
pub use endpoint::{Endpoint, EndpointId, EndpointReport};
pub use lease::{ConnectionHold, Lease};

#[cfg(test)]
mod tests;
