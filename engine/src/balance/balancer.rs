//! One cluster on one shard: for each attempt an endpoint.
//!
//! In: a [`Pick`]. Out: a [`Lease`] or the reason why there is none. The order is: the endpoint
//! that the client sticks to; the policy over the endpoints that are usable, near ones first; any
//! endpoint that may be picked at all. How much may be in use at once is not decided here
//! (`forward::circuit`).
//!
//! A balancer belongs to one generation; what it knows of endpoints belongs to the shard and goes
//! on to its successor ([`Balancer::succeed`]). Both may be in use for a while: requests that began
//! under the old one hold it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::cluster::{Balancing, Cluster, Policy};
use super::draw::level::{Level, Levels};
use super::draw::{Draws, mixed};
use super::endpoint::health::{Health, Told};
use super::endpoint::lease::Lease;
use super::endpoint::state::ClusterState;
use super::endpoint::{Endpoint, EndpointId, EndpointKey, EndpointState};
use super::hash::Table;
use super::report::{ClusterReport, ClusterStrain, EndpointReport};
use crate::io::{Address, Instant};
use crate::limits;
use crate::route::ClusterId;

/// Why there is no endpoint for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickError {
    /// The cluster has no endpoint that may be used.
    NoEndpoint,
}

/// What an endpoint is picked by.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// The time.
    pub now: Instant,
    /// A random number, uniform over all its values.
    pub random: u64,
    /// The hash of what the request is to be balanced by, if it has that.
    pub hash: Option<u64>,
    /// The endpoint that served this client before.
    pub sticky: Option<EndpointId>,
    /// Endpoints on which attempts for this request failed: the others come first.
    pub avoid: &'a [EndpointKey],
}

impl Pick<'_> {
    /// A pick by nothing but chance.
    pub const fn new(now: Instant, random: u64) -> Self {
        Self {
            now,
            random,
            hash: None,
            sticky: None,
            avoid: &[],
        }
    }
}

/// The endpoints on which attempts for one request failed, at most [`limits::AVOIDED_MAX`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Avoided {
    keys: [EndpointKey; limits::AVOIDED_MAX],
    count: usize,
}

impl Avoided {
    /// One more; when there is no room, it takes the last one's place.
    pub fn push(&mut self, key: EndpointKey) {
        let last = limits::AVOIDED_MAX.saturating_sub(1);
        if let Some(free) = self.keys.get_mut(self.count.min(last)) {
            *free = key;
        }
        self.count = self.count.saturating_add(1).min(limits::AVOIDED_MAX);
    }

    /// All of them.
    pub fn keys(&self) -> &[EndpointKey] {
        self.keys.get(..self.count).unwrap_or_default()
    }
}

/// One cluster on one shard.
#[derive(Debug)]
pub struct Balancer {
    id: ClusterId,
    balancing: Balancing,
    table: Option<Arc<Table>>,
    /// All endpoints, by id.
    endpoints: Rc<[Rc<EndpointState>]>,
    weights: Vec<u32>,
    /// Of those that have one.
    mean_weight: f64,
    levels: RefCell<Levels>,
    state: Rc<ClusterState>,
    /// Larger than those of the balancers before it.
    serial: u64,
    shard: u32,
    shards: u32,
}

impl Balancer {
    /// The state of `cluster` on shard number `shard` of `shards`, with nothing known.
    pub fn new(cluster: &Cluster, shard: u32, shards: u32) -> Self {
        Self::succeed(cluster, None, shard, shards)
    }

    /// The balancer of a new generation of `previous`'s cluster. Endpoints that have an address of
    /// before keep what is known of it: counts, leases, latency, ejection, health. Nothing changes
    /// for `previous` before the first pick here: until then the new one can be given up.
    ///
    /// *Cost:* one pass over the endpoints, here and with the first pick, and a table of those that
    /// have another place than before.
    pub fn succeed(cluster: &Cluster, previous: Option<&Self>, shard: u32, shards: u32) -> Self {
        let state = previous.map_or_else(Rc::default, |previous| Rc::clone(&previous.state));
        let endpoints = heirs(cluster, previous, &state);
        let weights: Vec<u32> = cluster.endpoints().iter().map(Endpoint::weight).collect();
        let levels = Levels::new(cluster, &weights, shard);
        Self {
            id: cluster.id(),
            balancing: cluster.balancing().clone(),
            table: cluster.table().cloned(),
            endpoints,
            mean_weight: mean(&weights),
            weights,
            levels: RefCell::new(levels),
            serial: state.new_serial(),
            shard,
            shards,
            state,
        }
    }

    /// Takes over from the balancers before this one, with the first use.
    fn take_over(&self, now: Instant) {
        if self.state.newest.get() >= self.serial {
            return;
        }
        let state = &self.state;
        state.newest.set(self.serial);
        state.ewma.set(self.balancing.ewma);
        state.outlier.set(self.balancing.outlier);
        state.slow_start.set(self.balancing.slow_start);
        state.shards.set(self.shards);
        state.seed.set(mixed(u64::from(self.shard)));
        state.renew(&self.endpoints, &self.weights, now);
    }

    /// The endpoint for the next attempt.
    ///
    /// *Cost:* no allocation. Constant for equal weights; with different ones as many steps as the
    /// number of endpoints has binary digits.
    pub fn pick(&self, pick: &Pick<'_>) -> Result<Lease, PickError> {
        self.take_over(pick.now);
        self.state.settle(pick.now);
        let mut levels = self.levels.borrow_mut();
        let is_newest = self.state.newest.get() == self.serial;
        levels.follow(&self.state, is_newest, &self.weights, &self.endpoints);
        let chosen = self.choose(&mut levels, pick);
        let chosen = chosen.and_then(|place| Some((place, self.endpoints.get(place as usize)?)));
        let Some((place, state)) = chosen else {
            let unavailable = &self.state.unavailable;
            unavailable.set(unavailable.get().wrapping_add(1));
            return Err(PickError::NoEndpoint);
        };
        if levels.is_panicking() {
            let panics = &self.state.panics;
            panics.set(panics.get().wrapping_add(1));
        }
        Ok(Lease::new(state, EndpointId(place)))
    }

    /// Says how fit the endpoint with this address is, and why, in a few words. `id` is where it
    /// is to be found; if it is elsewhere, all are searched. `false` when there is none.
    pub fn set_health(
        &self,
        id: EndpointId,
        address: &Address,
        health: Health,
        why: &'static str,
        now: Instant,
    ) -> bool {
        let there = self.endpoints.get(id.0 as usize);
        let there = there.filter(|state| state.address == *address);
        let found = there.or_else(|| {
            let mut all = self.endpoints.iter();
            all.find(|state| state.address == *address)
        });
        let Some(state) = found else {
            return false;
        };
        self.take_over(now);
        let before = state.told.get();
        let is_new = before.health != health;
        let since = if is_new { now } else { before.since };
        self.state
            .change(state, |state| state.told.set(Told { health, why, since }));
        if health.is_failing() != before.health.is_failing() {
            self.state.reschedule();
        }
        if is_new && health.is_usable() && !before.health.is_usable() {
            self.state.warm_up(state, now);
        }
        true
    }

    /// Attempts in flight on this shard.
    pub fn active(&self) -> u32 {
        self.state.active.get()
    }

    /// A copy of the counts, for another thread.
    pub fn report(&self, now: Instant) -> ClusterReport {
        let endpoints = (0..).map(EndpointId).zip(self.endpoints.iter());
        ClusterReport {
            id: self.id,
            active: self.state.active.get(),
            unavailable: self.state.unavailable.get(),
            panics: self.state.panics.get(),
            panicking_shards: u32::from(self.levels.borrow().is_short(&self.state)),
            endpoints: endpoints
                .map(|(id, state)| EndpointReport::of(id, state, now))
                .collect(),
        }
    }

    /// What is wrong, or ever was. *Cost:* none that grows with the endpoints.
    pub fn strain(&self) -> Option<ClusterStrain> {
        let strain = ClusterStrain {
            id: self.id,
            panics: self.state.panics.get(),
            is_panicking: self.levels.borrow().is_short(&self.state),
            ejected: self.state.ejected.get(),
        };
        let is_well = strain.panics == 0 && !strain.is_panicking && strain.ejected == 0;
        (!is_well).then_some(strain)
    }

    fn choose(&self, levels: &mut Levels, pick: &Pick<'_>) -> Option<u32> {
        let mut draws = Draws::new(pick.random);
        if let Some(EndpointId(place)) = pick.sticky
            && levels.contains(place)
            && self.is_open(place, pick)
        {
            return Some(place);
        }
        if let Some(place) = self.hashed(levels, pick) {
            return Some(place);
        }
        let is_near_first = levels.prefers_near(&mut draws);
        for level in levels.in_order(is_near_first) {
            if let Some(place) = self.choose_from(level, pick, &mut draws) {
                return Some(place);
            }
        }
        // All that may be picked are avoided or wait for the outcome of a probe.
        let mut levels = levels.in_order(is_near_first);
        levels.find_map(|level| level.roster.draw(&mut draws))
    }

    /// The endpoint to which the request's key belongs; none without a key.
    fn hashed(&self, levels: &Levels, pick: &Pick<'_>) -> Option<u32> {
        let (table, hash) = (self.table.as_ref()?, pick.hash?);
        let mut walk = table.walk(hash).take(limits::HASH_STEPS_MAX);
        walk.find(|place| {
            levels.contains(*place) && self.is_open(*place, pick) && self.has_room(levels, *place)
        })
    }

    /// One more attempt keeps the endpoint within the bound of its load (Mirrokni et al. 2018):
    /// so many percent of what would be its share.
    fn has_room(&self, levels: &Levels, place: u32) -> bool {
        let Some(percent) = self.balancing.bounded_load else {
            return true;
        };
        let weight = self.weights.get(place as usize).copied().unwrap_or(0);
        let (own, all) = levels.share(weight);
        let load = u128::from(self.state.active.get()).saturating_add(1);
        let most = load
            .saturating_mul(u128::from(percent))
            .saturating_mul(u128::from(own));
        let most = most.div_ceil(u128::from(all).saturating_mul(100));
        let active = self.state_of(place).map_or(0, |state| state.active.get());
        u128::from(active) < most
    }

    fn choose_from(&self, level: &mut Level, pick: &Pick<'_>, draws: &mut Draws) -> Option<u32> {
        let one = self.candidate(level, pick, draws)?;
        let is_better: fn(&Self, u32, u32, Instant) -> bool = match self.balancing.policy {
            Policy::RoundRobin | Policy::Random | Policy::RingHash | Policy::Maglev => {
                return Some(one);
            }
            Policy::LeastRequest => Self::is_less_busy,
            Policy::PeakEwma => Self::is_cheaper,
        };
        // Who waits for a probe would not win a comparison.
        if self.state_of(one)?.wants_probe() {
            return Some(one);
        }
        let weight = self.weights.get(one as usize).copied()?;
        for _ in 0..limits::DRAWS_MAX {
            let Some(other) = level.roster.draw_other(draws, one, weight) else {
                break;
            };
            if self.passes(other, pick, draws) {
                let other_wins = is_better(self, other, one, pick.now);
                return Some(if other_wins { other } else { one });
            }
        }
        Some(one)
    }

    /// An endpoint that is due or drawn and that nothing speaks against.
    fn candidate(&self, level: &mut Level, pick: &Pick<'_>, draws: &mut Draws) -> Option<u32> {
        for _ in 0..limits::DRAWS_MAX {
            let place = match self.balancing.policy {
                Policy::RoundRobin => level.turns.next(&level.roster),
                Policy::Random
                | Policy::LeastRequest
                | Policy::PeakEwma
                | Policy::RingHash
                | Policy::Maglev => level.roster.draw(draws),
            };
            if self.passes(place?, pick, draws) {
                return place;
            }
        }
        // So many are out of question that one has to be searched for.
        let count = level.roster.count();
        let begin = usize::try_from(draws.below(count as u64)).unwrap_or(0);
        let all = (begin..count)
            .chain(0..begin)
            .filter_map(|at| level.roster.at(at));
        let mut open = all.filter(|place| self.is_open(*place, pick));
        open.next()
    }

    fn passes(&self, place: u32, pick: &Pick<'_>, draws: &mut Draws) -> bool {
        let Some(state) = self.state_of(place).filter(|_| self.is_open(place, pick)) else {
            return false;
        };
        let warmth = state.warmth(self.balancing.slow_start, pick.now);
        warmth.is_none_or(|share| draws.chance(share))
    }

    /// It neither failed this request before, nor does it wait for the outcome of a probe.
    fn is_open(&self, place: u32, pick: &Pick<'_>) -> bool {
        let is_open = |state: &Rc<EndpointState>| {
            !state.is_being_probed() && !pick.avoid.contains(&state.key)
        };
        self.state_of(place).is_some_and(is_open)
    }

    /// `one` has fewer attempts in flight per unit of weight than `other`.
    fn is_less_busy(&self, one: u32, other: u32, _: Instant) -> bool {
        let active = |place| self.state_of(place).map_or(0, |state| state.active.get());
        let load = |place, rival| u64::from(active(place)).saturating_mul(self.weight(rival));
        load(one, other) < load(other, one)
    }

    /// One more attempt on `one` is expected to be over sooner than on `other`: what is in flight
    /// counts per unit of weight. Idle endpoints are alike whatever their weights, by which they
    /// were drawn already.
    fn is_cheaper(&self, one: u32, other: u32, now: Instant) -> bool {
        let cost = |place| {
            let share = self.mean_weight / self.weight(place) as f64;
            self.state_of(place)
                .map_or(0.0, |state| state.cost(share, now))
        };
        cost(one) < cost(other)
    }

    fn weight(&self, place: u32) -> u64 {
        self.weights
            .get(place as usize)
            .copied()
            .map_or(0, u64::from)
    }

    fn state_of(&self, place: u32) -> Option<&Rc<EndpointState>> {
        self.endpoints.get(place as usize)
    }
}

/// The mean of the weights that are not zero.
fn mean(weights: &[u32]) -> f64 {
    let used = weights.iter().filter(|weight| **weight > 0);
    let (count, sum) = used.fold((0.0, 0.0), |(count, sum), weight| {
        (count + 1.0, sum + f64::from(*weight))
    });
    sum / f64::max(count, 1.0)
}

/// The states of `cluster`'s endpoints: those that `previous` has for the same addresses, and new
/// ones for the others.
fn heirs(
    cluster: &Cluster,
    previous: Option<&Balancer>,
    state: &Rc<ClusterState>,
) -> Rc<[Rc<EndpointState>]> {
    let old = previous.map_or(&[][..], |previous| &previous.endpoints);
    let in_place = cluster.endpoints().iter().zip(old);
    let in_place = in_place.take_while(|(endpoint, state)| *endpoint.address() == state.address);
    let in_place = in_place.count();
    let moved = old.iter().skip(in_place);
    let mut moved: HashMap<&Address, &Rc<EndpointState>> =
        moved.map(|state| (&state.address, state)).collect();
    let heir = |(place, endpoint): (usize, &Endpoint)| {
        let kept = if place < in_place {
            old.get(place)
        } else {
            moved.remove(endpoint.address())
        };
        kept.map(Rc::clone).unwrap_or_else(|| {
            let key = state.new_key();
            Rc::new(EndpointState::new(key, endpoint, state))
        })
    };
    let heirs = cluster.endpoints().iter().enumerate().map(heir);
    heirs.collect()
}
