//! One endpoint: what the configuration says of it, and what one shard knows of it.
//!
//! [`Endpoint`] is immutable, belongs to one generation and is shared by all shards.
//! [`EndpointState`] belongs to one shard and outlives generations: as long as a cluster has an
//! endpoint with its address, what is known of that address stays. It is reference-counted without
//! atomics and its counts are cells.

pub(in crate::balance) mod ewma;
pub(in crate::balance) mod health;
pub(in crate::balance) mod lease;
pub(in crate::balance) mod outlier;
pub(in crate::balance) mod state;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::io::{Address, Instant};
use crate::limits;
use ewma::PeakEwma;
use health::{Health, Told};
use outlier::{Conduct, Standing};
use state::ClusterState;

/// An endpoint, by its place in its cluster in one generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(pub u32);

/// An endpoint on one shard, for as long as its cluster has one with its address. Given once: what
/// is kept by it (idle connections) can never be taken for another endpoint's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey(pub(in crate::balance) u64);

/// Where requests of a cluster can go, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    address: Address,
    weight: u32,
    label: Arc<str>,
    locality: Option<Arc<str>>,
}

impl Endpoint {
    /// An endpoint. A `weight` of zero keeps it configured but without traffic.
    pub fn new(address: Address, weight: u32) -> Self {
        let label = match &address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => format!("unix:{}", path.display()),
        };
        Self {
            address,
            weight,
            label: label.into(),
            locality: None,
        }
    }

    /// The same, in a place that can be near or far.
    #[must_use]
    pub fn with_locality(self, locality: Option<Arc<str>>) -> Self {
        Self { locality, ..self }
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

    /// The same, for whoever keeps it.
    pub const fn shared_label(&self) -> &Arc<str> {
        &self.label
    }

    /// Where it is, as far as that is known.
    pub fn locality(&self) -> Option<&str> {
        self.locality.as_deref()
    }
}

/// What one shard knows of one endpoint.
#[derive(Debug)]
pub(in crate::balance) struct EndpointState {
    pub(in crate::balance) key: EndpointKey,
    pub(in crate::balance) address: Address,
    pub(in crate::balance) label: Arc<str>,
    pub(in crate::balance) cluster: Rc<ClusterState>,
    pub(in crate::balance) requests: Cell<u64>,
    pub(in crate::balance) failures: Cell<u64>,
    pub(in crate::balance) active: Cell<u32>,
    pub(in crate::balance) connections: Cell<u32>,
    pub(in crate::balance) told: Cell<Told>,
    pub(in crate::balance) latency: PeakEwma,
    /// Attempts in a row that were refused: 429, 502, 503, 504, or a connection that broke.
    pub(in crate::balance) refusals: Cell<u8>,
    pub(in crate::balance) conduct: Conduct,
    /// Since when it warms up; zero when it does not.
    pub(in crate::balance) warms_since: Cell<Instant>,
    /// Its place in the newest balancer; [`NOWHERE`] when that has none.
    pub(in crate::balance) place: Cell<u32>,
    /// It has a weight, in the newest balancer.
    pub(in crate::balance) is_weighted: Cell<bool>,
}

/// No place.
pub(in crate::balance) const NOWHERE: u32 = u32::MAX;

impl EndpointState {
    pub(in crate::balance) fn new(
        key: EndpointKey,
        endpoint: &Endpoint,
        cluster: &Rc<ClusterState>,
    ) -> Self {
        Self {
            key,
            address: endpoint.address.clone(),
            label: Arc::clone(&endpoint.label),
            cluster: Rc::clone(cluster),
            requests: Cell::new(0),
            failures: Cell::new(0),
            active: Cell::new(0),
            connections: Cell::new(0),
            told: Cell::default(),
            latency: PeakEwma::default(),
            refusals: Cell::new(0),
            conduct: Conduct::default(),
            warms_since: Cell::default(),
            place: Cell::new(NOWHERE),
            is_weighted: Cell::new(false),
        }
    }

    /// It may be picked when all is well, if it has a weight.
    pub(in crate::balance) fn is_fit(&self) -> bool {
        let is_ejected = matches!(self.conduct.standing.get(), Standing::Ejected { .. });
        !is_ejected && self.told.get().health.is_usable()
    }

    /// It may be picked in a panic, if it has a weight.
    pub(in crate::balance) fn is_staying(&self) -> bool {
        self.told.get().health != Health::Draining
    }

    /// It takes part in the balancing.
    pub(in crate::balance) fn is_member(&self) -> bool {
        self.is_weighted.get() && self.is_staying()
    }

    /// It takes part, and may be picked when all is well.
    pub(in crate::balance) fn is_usable(&self) -> bool {
        self.is_weighted.get() && self.is_fit()
    }

    /// It counts against the share of endpoints that may be ejected.
    pub(in crate::balance) fn is_ejected(&self) -> bool {
        self.is_member() && self.conduct.standing.get() != Standing::Serving
    }

    /// When it may be probed; never while its checks fail, at once when it is not ejected.
    pub(in crate::balance) fn ejection_ends(&self) -> Instant {
        match self.conduct.standing.get() {
            Standing::Ejected { .. } if self.told.get().health.is_failing() => Instant::NEVER,
            Standing::Ejected { until, .. } => until,
            Standing::Serving | Standing::Probing { .. } => Instant::default(),
        }
    }

    /// It waits for a probe that nobody has sent yet.
    pub(in crate::balance) fn wants_probe(&self) -> bool {
        let standing = self.conduct.standing.get();
        matches!(
            standing,
            Standing::Probing {
                is_probed: false,
                ..
            }
        )
    }

    /// The probe that it waited for is on its way.
    pub(in crate::balance) fn is_being_probed(&self) -> bool {
        let standing = self.conduct.standing.get();
        matches!(
            standing,
            Standing::Probing {
                is_probed: true,
                ..
            }
        )
    }

    /// The share of its weight that it has while it warms up, linear from
    /// [`limits::SLOW_START_SHARE_MIN`] to one; `None` when it is warm.
    pub(in crate::balance) fn warmth(&self, window: Duration, now: Instant) -> Option<f64> {
        let since = self.warms_since.get();
        if since == Instant::default() {
            return None;
        }
        let share = now.since(since).as_secs_f64() / window.as_secs_f64().max(1e-9);
        if share >= 1.0 {
            self.warms_since.set(Instant::default());
            return None;
        }
        Some(share.max(limits::SLOW_START_SHARE_MIN))
    }

    /// What one more attempt in a row that was refused counts as, by [`ewma`]'s rule.
    pub(in crate::balance) fn penalty(&self) -> Duration {
        let before = self.refusals.get();
        self.refusals.set(before.saturating_add(1));
        let factor = limits::REFUSAL_FACTOR_FIRST * limits::REFUSAL_FACTOR.powi(i32::from(before));
        let penalty = self.cluster.expected_latency() * 1e-9 * factor;
        let most = self.cluster.ewma.get().penalty;
        Duration::try_from_secs_f64(penalty).map_or(most, |penalty| penalty.min(most))
    }

    /// Expected nanoseconds of one more request, by [`ewma`]'s rule. `share`: what a request in
    /// flight counts.
    pub(in crate::balance) fn cost(&self, share: f64, now: Instant) -> f64 {
        let policy = self.cluster.ewma.get();
        let latency = self.latency.nanos(now, policy.decay);
        let latency = latency.unwrap_or_else(|| self.cluster.expected_latency());
        // A millionth of a second at least, so that requests in flight count in any case.
        latency.max(1e3) * (f64::from(self.active.get()) * share + 1.0)
    }
}
