//! What is simulated: endpoints, requests, faults, and who picks.
//!
//! Plain values; [`super::world`] brings them to life.

use std::time::Duration;

use engine::balance::{Balancing, OutlierPolicy, Policy};
use engine::config::RetryBudget;
use engine::route::RetryPolicy;

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) chooser: Chooser,
    pub(crate) endpoints: Vec<Plan>,
    /// How long one request keeps an endpoint of speed one busy, on average.
    pub(crate) service: Duration,
    pub(crate) shape: Shape,
    /// Requests per second, over all shards, in a Poisson process.
    pub(crate) rate: f64,
    /// What happens before this is not measured.
    pub(crate) warm_up: Duration,
    /// The whole, warm-up included.
    pub(crate) time: Duration,
    /// How long an attempt may take.
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) budget: RetryBudget,
    /// What changes, and when.
    pub(crate) changes: Vec<(Duration, Change)>,
    /// How often queues and ejections are looked at.
    pub(crate) sample: Duration,
}

/// Who picks endpoints.
#[derive(Clone, Debug)]
pub(crate) enum Chooser {
    /// So many shards, each with a balancer of its own, as in the proxy.
    Shards(u32, Box<Balancing>),
    /// One that sees every queue and every fault at once, and sends each request to where it will
    /// be over first.
    Ideal,
}

/// An endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) weight: u32,
    /// Requests that it serves at once; others wait, first in, first out.
    pub(crate) concurrency: u32,
    /// So many times as long as the service time says.
    pub(crate) slowness: f64,
}

/// How service times are distributed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Exponential,
    /// With this standard deviation of the logarithm.
    LogNormal(f64),
}

/// How an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Well,
    /// So many times slower.
    Slow(f64),
    /// Answers this share of the requests with 503, at once.
    Failing(f64),
    /// Fails so in every other second, and is well in between.
    Flapping,
    /// Its process is gone: connections are refused, those that were open are reset.
    Refusing,
    /// Nothing comes back.
    Partitioned,
}

/// Something that happens to the endpoints.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// An endpoint is so from now on.
    Mode(u32, Mode),
    /// An endpoint leaves, and another one comes, which is so many times slower at first and gets
    /// warm over this time.
    Replace(u32, f64, Duration),
}

impl Plan {
    pub(crate) const PLAIN: Self = Self {
        weight: 1,
        concurrency: 4,
        slowness: 1.0,
    };
}

impl Scenario {
    /// So many equal endpoints with this much of their capacity in use, for ten seconds.
    pub(crate) fn new(seed: u64, chooser: Chooser, count: usize, load: f64) -> Self {
        let new = Self {
            seed,
            chooser,
            endpoints: vec![Plan::PLAIN; count],
            service: Duration::from_millis(10),
            shape: Shape::Exponential,
            rate: 0.0,
            warm_up: Duration::from_secs(2),
            time: Duration::from_secs(10),
            timeout: Duration::from_secs(3600),
            retry: RetryPolicy::default(),
            budget: RetryBudget {
                percent: 20,
                min_per_second: 10,
            },
            changes: Vec::new(),
            sample: Duration::from_millis(10),
        };
        let rate = new.capacity() * load;
        Self { rate, ..new }
    }

    /// Requests per second that the endpoints can serve at most.
    pub(crate) fn capacity(&self) -> f64 {
        let each = |plan: &Plan| f64::from(plan.concurrency) / plan.slowness;
        self.endpoints.iter().map(each).sum::<f64>() / self.service.as_secs_f64()
    }
}

impl Chooser {
    /// Shards that balance so, and eject nobody.
    pub(crate) fn by(policy: Policy, shards: u32) -> Self {
        let balancing = Balancing {
            policy,
            outlier: OutlierPolicy::OFF,
            ..Balancing::default()
        };
        Self::Shards(shards, Box::new(balancing))
    }
}
