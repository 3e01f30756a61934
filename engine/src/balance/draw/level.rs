//! Which endpoints a pick sees: the usable ones, near ones before far ones, all in a panic.
//!
//! Near and far: requests go to near endpoints as long as enough of those are usable. With fewer,
//! a share spills over to the far ones: `1.4 * usable / all` of the near ones stay, as in Envoy's
//! priority levels, so that up to two in seven may be missing before the others are called on.
//!
//! Panic: when less than a configured share of all endpoints is usable, all are used. What is left
//! could not carry the load; and when nearly everybody seems to have failed, the judge is the
//! likeliest to be wrong.

use std::rc::Rc;

use super::Draws;
use super::roster::Roster;
use super::round_robin::Turns;
use crate::balance::cluster::Cluster;
use crate::balance::endpoint::state::ClusterState;
use crate::balance::endpoint::{Endpoint, EndpointState};

/// How much more than its fair share an endpoint is trusted to carry.
const OVERPROVISIONING: f64 = 1.4;

/// Endpoints of equal distance.
#[derive(Debug)]
pub(in crate::balance) struct Level {
    pub(in crate::balance) roster: Roster,
    pub(in crate::balance) turns: Turns,
    /// How many have a weight, usable or not.
    member_count: usize,
}

/// All endpoints that may be picked now.
#[derive(Debug)]
pub(in crate::balance) struct Levels {
    near: Level,
    far: Option<Level>,
    /// By place: whether it is far. Empty when all are near.
    is_far: Vec<bool>,
    /// The share of picks that goes to near endpoints.
    near_share: f64,
    is_panicking: bool,
    panic_threshold: u32,
    is_equal: bool,
    /// What of the cluster's changes is taken account of.
    version: u64,
}

impl Levels {
    /// Of a balancer that has not picked yet: nothing may be picked.
    pub(in crate::balance) fn new(cluster: &Cluster, weights: &[u32], shard: u32) -> Self {
        let mut used = weights.iter().filter(|weight| **weight > 0);
        let first = used.next();
        let is_equal = used.all(|weight| Some(weight) == first);
        let is_far = far_ones(cluster);
        let level = |is_other: bool| {
            let is_here = |place: u32| {
                let far = is_far.get(place as usize);
                far.is_some_and(|far| *far) == is_other
            };
            let members = (0_u32..).zip(weights).filter(|(_, weight)| **weight > 0);
            Level {
                roster: Roster::new(weights.len(), !is_equal),
                turns: Turns::new(weights, is_equal, shard),
                member_count: members.filter(|(place, _)| is_here(*place)).count(),
            }
        };
        Self {
            near: level(false),
            far: is_far.contains(&true).then(|| level(true)),
            is_far,
            near_share: 1.0,
            is_panicking: false,
            panic_threshold: cluster.balancing().panic_threshold,
            is_equal,
            version: 0,
        }
    }

    /// Every endpoint may be picked, because too few are usable.
    pub(in crate::balance) const fn is_panicking(&self) -> bool {
        self.is_panicking
    }

    /// `place` may be picked.
    pub(in crate::balance) fn contains(&self, place: u32) -> bool {
        let far = self.far.as_ref();
        self.near.roster.contains(place) || far.is_some_and(|far| far.roster.contains(place))
    }

    /// The share of the load that a place of this weight should have, as a fraction.
    pub(in crate::balance) fn share(&self, weight: u32) -> (u64, u64) {
        let far = self.far.as_ref().map_or(0, |far| far.roster.total());
        let all = self.near.roster.total().saturating_add(far);
        let own = if self.is_equal { 1 } else { u64::from(weight) };
        (own, all.max(1))
    }

    /// Whether this pick tries the near ones first.
    pub(in crate::balance) fn prefers_near(&self, draws: &mut Draws) -> bool {
        self.near_share >= 1.0 || draws.chance(self.near_share)
    }

    /// The levels, the near one first or last.
    pub(in crate::balance) fn in_order(
        &mut self,
        is_near_first: bool,
    ) -> impl Iterator<Item = &mut Level> {
        let (near, far) = (Some(&mut self.near), self.far.as_mut());
        let order = if is_near_first {
            [near, far]
        } else {
            [far, near]
        };
        order.into_iter().flatten()
    }

    /// Takes account of what has changed. *Cost:* one comparison if nothing has.
    pub(in crate::balance) fn follow(
        &mut self,
        state: &ClusterState,
        is_newest: bool,
        weights: &[u32],
        endpoints: &[Rc<EndpointState>],
    ) {
        let version = state.version();
        if self.version == version {
            return;
        }
        // Places are those of the newest balancer.
        let is_told = is_newest
            && state.changes_since(self.version, |state| {
                let place = state.place.get();
                let here = endpoints.get(place as usize);
                if here.is_some_and(|here| Rc::ptr_eq(here, state)) {
                    self.note(place, weights, state);
                }
            });
        self.version = version;
        if !is_told {
            self.refill(weights, endpoints);
        }
        self.weigh(state, weights, endpoints);
    }

    /// Too few endpoints are usable: the next pick sees all.
    pub(in crate::balance) fn is_short(&self, state: &ClusterState) -> bool {
        let [members, usable] = [&state.members, &state.usable].map(|count| u64::from(count.get()));
        let least = members.saturating_mul(u64::from(self.panic_threshold));
        usable.saturating_mul(100) < least
    }

    fn refill(&mut self, weights: &[u32], endpoints: &[Rc<EndpointState>]) {
        for (place, state) in (0..).zip(endpoints) {
            self.note(place, weights, state);
        }
    }

    /// Lets `place` be picked, or not any more.
    fn note(&mut self, place: u32, weights: &[u32], state: &EndpointState) {
        let weight = weights.get(place as usize).copied().unwrap_or(0);
        let is_fit = if self.is_panicking {
            state.is_staying()
        } else {
            state.is_fit()
        };
        let is_in = weight > 0 && is_fit;
        let is_far = self.is_far.get(place as usize).is_some_and(|far| *far);
        let level = match &mut self.far {
            Some(far) if is_far => far,
            _ => &mut self.near,
        };
        if level.roster.set(place, weight, is_in) && is_in {
            level.turns.join(place);
        }
    }

    /// Decides about panic, and how much spills over.
    fn weigh(&mut self, state: &ClusterState, weights: &[u32], endpoints: &[Rc<EndpointState>]) {
        let is_panicking = self.is_short(state);
        if is_panicking != self.is_panicking {
            self.is_panicking = is_panicking;
            self.refill(weights, endpoints);
        }
        let usable = self.near.roster.count() as f64;
        let share = OVERPROVISIONING * usable / self.near.member_count.max(1) as f64;
        self.near_share = if self.far.is_none() || is_panicking {
            1.0
        } else {
            share
        };
    }
}

/// By place, whether an endpoint is far; empty when none is preferred.
fn far_ones(cluster: &Cluster) -> Vec<bool> {
    let balancing = cluster.balancing();
    // A key belongs to one endpoint, wherever that is.
    let Some(locality) = balancing
        .locality
        .as_ref()
        .filter(|_| !balancing.policy.is_hash())
    else {
        return Vec::new();
    };
    let is_far = |endpoint: &Endpoint| endpoint.locality() != Some(&locality.home);
    let is_far: Vec<bool> = cluster.endpoints().iter().map(is_far).collect();
    let weights = cluster.endpoints().iter().map(Endpoint::weight);
    let near = is_far
        .iter()
        .zip(weights)
        .filter(|(far, weight)| !**far && *weight > 0);
    if near.count() < locality.endpoints_min.max(1) as usize {
        return Vec::new();
    }
    is_far
}
