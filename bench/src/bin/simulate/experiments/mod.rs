//! The experiments, a file for each question. Each prints a table and has tests, which assert the
//! same with fewer endpoints.
//!
//! In: the seed and the sizes. Out: a table. What to look for stands above it.

pub(crate) mod ejection;
pub(crate) mod herding;
pub(crate) mod latency;
pub(crate) mod redeploy;
pub(crate) mod retries;

use engine::balance::Policy;

/// What the command line says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) seed: u64,
    pub(crate) endpoints: usize,
}

/// The numbers of shards that are compared.
pub(crate) const SHARDS: [u32; 3] = [1, 4, 64];

/// The policies that do not go by a key.
pub(crate) const POLICIES: [Policy; 4] = [
    Policy::Random,
    Policy::RoundRobin,
    Policy::LeastRequest,
    Policy::PeakEwma,
];

/// As in the configuration.
pub(crate) fn name(policy: Policy) -> &'static str {
    match policy {
        Policy::RoundRobin => "round_robin",
        Policy::Random => "random",
        Policy::LeastRequest => "least_request",
        Policy::PeakEwma => "peak_ewma",
        Policy::RingHash => "ring_hash",
        Policy::Maglev => "maglev",
    }
}
