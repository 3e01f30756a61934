//! Smooth weighted round robin.
//!
//! Endpoints of equal weight take turns, at a cost that does not depend on their number. Endpoints
//! of different weights follow nginx's smooth order: at each pick every endpoint's balance grows by
//! its weight, the largest balance is chosen and pays the sum of all weights. Over one period each
//! endpoint is chosen exactly `weight` times and never in a burst: weights 5, 1, 1 give
//! `a a b a c a a`. That costs one pass over the endpoints.
//!
//! Invariant: the balances of a policy without `avoid` add up to zero after every pick, and each
//! stays within the sum of all weights, so they cannot overflow.

use std::cell::Cell;
use std::rc::Rc;

use super::endpoint::{EndpointId, EndpointState};

/// The position of one shard in a cluster's turn.
#[derive(Debug)]
pub(super) struct RoundRobin {
    /// Where the next search begins, when all weights are equal.
    next: Cell<usize>,
    /// Balance of each endpoint, in the order of the endpoints; empty when all weights are equal.
    balances: Vec<Cell<i64>>,
}

impl RoundRobin {
    /// The order over `endpoints`, begun `offset` picks into its period so that shards do not all
    /// send their first request to the same endpoint.
    pub(super) fn new(endpoints: &[Rc<EndpointState>], offset: u32) -> Self {
        let mut weights = endpoints.iter().map(|state| state.endpoint.weight());
        let first = weights.next();
        let equal = weights.all(|weight| Some(weight) == first);
        let selection = Self {
            next: Cell::new(0),
            balances: if equal {
                Vec::new()
            } else {
                endpoints.iter().map(|_| Cell::new(0)).collect()
            },
        };
        for _ in 0..offset {
            selection.pick(endpoints, None);
        }
        selection
    }

    /// The endpoint whose turn it is, without `avoid`; `None` if that leaves nothing.
    pub(super) fn pick<'a>(
        &self,
        endpoints: &'a [Rc<EndpointState>],
        avoid: Option<EndpointId>,
    ) -> Option<&'a Rc<EndpointState>> {
        if self.balances.is_empty() {
            self.pick_equal(endpoints, avoid)
        } else {
            self.pick_smooth(endpoints, avoid)
        }
    }

    fn pick_equal<'a>(
        &self,
        endpoints: &'a [Rc<EndpointState>],
        avoid: Option<EndpointId>,
    ) -> Option<&'a Rc<EndpointState>> {
        // Two steps suffice: at most one endpoint is avoided.
        for _ in 0..2 {
            let at = self.next.get();
            let at = if at < endpoints.len() { at } else { 0 };
            self.next.set(at.wrapping_add(1));
            let state = endpoints.get(at)?;
            if Some(state.endpoint.id()) != avoid {
                return Some(state);
            }
        }
        None
    }

    fn pick_smooth<'a>(
        &self,
        endpoints: &'a [Rc<EndpointState>],
        avoid: Option<EndpointId>,
    ) -> Option<&'a Rc<EndpointState>> {
        debug_assert_eq!(self.balances.len(), endpoints.len());
        let mut total = 0i64;
        let mut best: Option<(&Rc<EndpointState>, &Cell<i64>)> = None;
        for (state, balance) in endpoints.iter().zip(&self.balances) {
            if Some(state.endpoint.id()) == avoid {
                continue;
            }
            let weight = i64::from(state.endpoint.weight());
            total = total.saturating_add(weight);
            balance.set(balance.get().saturating_add(weight));
            if best.is_none_or(|(_, most)| balance.get() > most.get()) {
                best = Some((state, balance));
            }
        }
        let (state, balance) = best?;
        balance.set(balance.get().saturating_sub(total));
        Some(state)
    }
}
