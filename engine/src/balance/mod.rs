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
//! Where things are: [`cluster`] is what all shards share, [`balancer`] picks, [`draw`] is what it
//! picks from, [`hash`] how requests that belong together find the same endpoint, [`endpoint`] what
//! is known of endpoints: leases take the outcomes of attempts, and outliers are judged by them.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod balancer;
mod cluster;
mod draw;
mod endpoint;
mod hash;
mod report;

pub use crate::route::ClusterId;
pub use balancer::{Avoided, Balancer, Pick, PickError};
pub use cluster::{
    Affinity, Balancing, Cluster, ClusterTable, LocalityPolicy, Policy, StickyPolicy,
};
pub use endpoint::ewma::EwmaPolicy;
pub use endpoint::health::Health;
pub use endpoint::lease::{ConnectionHold, EndpointFault, Lease};
pub use endpoint::outlier::{Ejection, OutlierPolicy, SuccessRatePolicy};
pub use endpoint::{Endpoint, EndpointId, EndpointKey};
pub use hash::key::KeySource;
pub use hash::sticky::Sticky;
pub use report::{ClusterReport, ClusterStrain, EndpointReport};

#[cfg(test)]
mod tests;
