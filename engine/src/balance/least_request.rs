//! Least request of two random choices, weighted.
//!
//! Two different endpoints are drawn with a chance proportional to their weights; the one with
//! fewer attempts in flight per unit of weight is taken, and the first drawn when they are equal.
//! Idle endpoints are thus used exactly in proportion to their weights, and busy ones shed load in
//! proportion to how busy they are. Two choices, not the minimum of all: each shard sees only its
//! own attempts, and shards that all chose the one idle endpoint would flood it.
//!
//! Cost: two multiplications when all weights are equal; otherwise two binary searches in a table
//! of running sums.

use std::rc::Rc;

use super::endpoint::{EndpointId, EndpointState};

/// The weights of a cluster's endpoints as running sums.
#[derive(Debug)]
pub(super) struct LeastRequest {
    /// `ends[i]` is the sum of the weights of endpoints `0..=i`; empty when all weights are equal,
    /// which are then taken as one each.
    ends: Vec<u64>,
    /// The sum of all weights.
    total: u64,
}

impl LeastRequest {
    pub(super) fn new(endpoints: &[Rc<EndpointState>]) -> Self {
        let weight = |state: &Rc<EndpointState>| u64::from(state.endpoint.weight());
        let first = endpoints.first().map(weight);
        if endpoints.iter().all(|state| Some(weight(state)) == first) {
            let total = endpoints.len() as u64;
            let ends = Vec::new();
            return Self { ends, total };
        }
        let mut total = 0u64;
        let add = |state| {
            total = total.saturating_add(weight(state));
            total
        };
        let ends = endpoints.iter().map(add).collect();
        Self { ends, total }
    }

    /// The less busy of two drawn endpoints, without `avoid`; `None` if that leaves nothing. The
    /// two halves of `random` are the two draws.
    pub(super) fn pick<'a>(
        &self,
        endpoints: &'a [Rc<EndpointState>],
        random: u64,
        avoid: Option<EndpointId>,
    ) -> Option<&'a Rc<EndpointState>> {
        debug_assert!(self.ends.is_empty() || self.ends.len() == endpoints.len());
        let avoided = avoid.and_then(|id| {
            let holds = |state: &Rc<EndpointState>| state.endpoint.id() == id;
            endpoints.iter().position(holds)
        });
        let first = self.draw(random >> 32, avoided, None)?;
        let one = endpoints.get(first)?;
        let second = self.draw(random & u64::from(u32::MAX), avoided, Some(first));
        let Some(other) = second.and_then(|index| endpoints.get(index)) else {
            return Some(one);
        };
        if is_busier(one, other) {
            Some(other)
        } else {
            Some(one)
        }
    }

    /// The endpoint that `random` (32 bits) falls on when those in `a` and `b` are left out.
    fn draw(&self, random: u64, a: Option<usize>, b: Option<usize>) -> Option<usize> {
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let [low, high] = [low, high].map(|index| index.map_or((0, 0), |at| self.range(at)));
        let rest = self
            .total
            .saturating_sub(low.1.saturating_sub(low.0))
            .saturating_sub(high.1.saturating_sub(high.0));
        if rest == 0 {
            return None;
        }
        // Multiply-shift instead of a remainder: no division, and a bias below total / 2^32.
        let scaled = (u128::from(random) * u128::from(rest)) >> 32;
        let mut at = u64::try_from(scaled).unwrap_or(0);
        for (start, end) in [low, high] {
            if at >= start {
                at = at.saturating_add(end.saturating_sub(start));
            }
        }
        if self.ends.is_empty() {
            return usize::try_from(at).ok();
        }
        Some(self.ends.partition_point(|end| *end <= at))
    }

    /// Where the weight of the endpoint at `index` begins and ends among the running sums.
    fn range(&self, index: usize) -> (u64, u64) {
        if self.ends.is_empty() {
            return (index as u64, (index as u64).saturating_add(1));
        }
        let before = index.checked_sub(1).and_then(|at| self.ends.get(at));
        let end = self.ends.get(index);
        (
            before.copied().unwrap_or(0),
            end.copied().unwrap_or(self.total),
        )
    }
}

/// Has `one` more attempts in flight per unit of weight than `other`?
fn is_busier(one: &EndpointState, other: &EndpointState) -> bool {
    let load = |state: &EndpointState, weight: u32| {
        u64::from(state.active.get()).saturating_mul(u64::from(weight))
    };
    load(one, other.endpoint.weight()) > load(other, one.endpoint.weight())
}
