//! Who picks: the shards of a proxy, with the engine's own balancers and circuits, or the ideal.
//!
//! In: the endpoints, and a request that wants one. Out: the endpoint's number, with the lease that
//! takes the outcome where there is one.

use std::net::Ipv4Addr;
use std::rc::Rc;

use engine::balance::{
    Avoided, Balancer, Balancing, Cluster, ClusterId, Endpoint, Lease, OutlierPolicy, Pick,
};
use engine::config::{CircuitBreaker, RetryBudget};
use engine::forward::{Circuit, CircuitPlan};
use engine::io::{Address, Instant};

use super::figures::Figures;
use super::random::Random;
use super::scenario::{Chooser, Scenario};
use super::upstream::Upstream;

/// One shard.
pub(crate) struct Shard {
    balancer: Balancer,
    pub(crate) circuit: Rc<Circuit>,
}

/// All who pick.
pub(crate) struct Pickers {
    /// At least one: the ideal has a circuit, too.
    pub(crate) shards: Vec<Shard>,
    balancing: Option<Balancing>,
    random: Random,
}

impl Pickers {
    /// For the endpoints of these numbers.
    pub(crate) fn new(scenario: &Scenario, members: &[u32], upstreams: &[Upstream]) -> Self {
        let (count, balancing) = match &scenario.chooser {
            Chooser::Shards(count, balancing) => (*count, Some(Balancing::clone(balancing))),
            Chooser::Ideal => (1, None),
        };
        let plan = plan(scenario.budget);
        let cluster = cluster(balancing.clone().unwrap_or_default(), members, upstreams);
        let shard = |number| Shard {
            balancer: Balancer::new(&cluster, number, count),
            circuit: Circuit::new(&plan, number, count),
        };
        Self {
            shards: (0..count).map(shard).collect(),
            balancing,
            random: Random::of(scenario.seed, 3),
        }
    }

    /// The endpoints are others from now on.
    pub(crate) fn change(&mut self, members: &[u32], upstreams: &[Upstream]) {
        let Some(balancing) = &self.balancing else {
            return;
        };
        let cluster = cluster(balancing.clone(), members, upstreams);
        let count = self.shards.len() as u32;
        for (number, shard) in (0..).zip(&mut self.shards) {
            let next = Balancer::succeed(&cluster, Some(&shard.balancer), number, count);
            shard.balancer = next;
        }
    }

    /// The endpoint for one attempt of a request on this shard.
    pub(crate) fn pick(
        &mut self,
        shard: usize,
        avoided: &Avoided,
        (members, upstreams): (&[u32], &[Upstream]),
        now: Instant,
    ) -> Option<(u32, Option<Lease>)> {
        let random = self.random.next();
        if self.balancing.is_none() {
            return Some((self.ideal(members, upstreams, now), None));
        }
        let pick = Pick {
            avoid: avoided.keys(),
            ..Pick::new(now, random)
        };
        let lease = self.shards[shard].balancer.pick(&pick).ok()?;
        Some((members[lease.id().0 as usize], Some(lease)))
    }

    /// Where it will be over first; one of those at random where several are equal.
    fn ideal(&mut self, members: &[u32], upstreams: &[Upstream], now: Instant) -> u32 {
        let begin = self.random.below(members.len());
        let (before, behind) = members.split_at(begin);
        let mut best = (f64::INFINITY, members[begin]);
        for &member in behind.iter().chain(before) {
            let delay = upstreams[member as usize].delay(now);
            if delay < best.0 {
                best = (delay, member);
            }
        }
        best.1
    }

    /// Looks at what the shards have ejected.
    pub(crate) fn look(&self, members: &[u32], figures: &mut Figures, now: Instant) {
        let outlier = self.balancing.as_ref().map(|it| it.outlier);
        if outlier.is_none_or(|outlier| outlier == OutlierPolicy::OFF) {
            return;
        }
        let mut ejected = vec![0; members.len()];
        for shard in &self.shards {
            let report = shard.balancer.report(now);
            let out = report.endpoints.iter().map(|it| it.ejection.is_some());
            for (count, is_out) in ejected.iter_mut().zip(out.clone()) {
                *count += u32::from(is_out);
            }
            let count = out.filter(|is_out| *is_out).count();
            figures.ejected_most = figures.ejected_most.max(count);
            figures.left_least = figures.left_least.min(members.len() - count);
        }
        let all = self.shards.len() as u32;
        for (member, count) in members.iter().zip(ejected) {
            figures.endpoint(*member as usize).look(count, all, now);
        }
    }
}

fn cluster(balancing: Balancing, members: &[u32], upstreams: &[Upstream]) -> Cluster {
    let endpoint = |number: &u32| {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
        let weight = upstreams[*number as usize].weight();
        Endpoint::new(Address::Tcp((address, 80).into()), weight)
    };
    let endpoints = members.iter().map(endpoint).collect();
    Cluster::new(ClusterId(0), "simulated".into(), balancing, endpoints)
}

/// Nothing is bounded but retries.
fn plan(budget: RetryBudget) -> CircuitPlan {
    CircuitPlan {
        breaker: CircuitBreaker {
            max_connections: u32::MAX,
            max_requests: u32::MAX,
            max_pending: 0,
            pending_timeout: std::time::Duration::ZERO,
        },
        budget,
    }
}
