//! What one shard knows of one cluster, shared by the balancers of successive generations.
//!
//! Leases tell outcomes here; balancers learn from [`ClusterState::version`] that an endpoint can
//! be picked again or no longer can, and from [`ClusterState::changes_since`] which one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::ewma::{EwmaPolicy, Mean};
use super::lease::EndpointFault;
use super::outlier::{self, Ejection, OutlierPolicy, Rates, Standing};
use super::{EndpointKey, EndpointState, NOWHERE};
use crate::io::Instant;
use crate::limits;

/// What all endpoints of one cluster on one shard have in common.
#[derive(Debug, Default)]
pub(in crate::balance) struct ClusterState {
    pub(in crate::balance) active: Cell<u32>,
    pub(in crate::balance) unavailable: Cell<u64>,
    /// Picks made although too few endpoints were usable.
    pub(in crate::balance) panics: Cell<u64>,
    pub(in crate::balance) ewma: Cell<EwmaPolicy>,
    pub(in crate::balance) outlier: Cell<OutlierPolicy>,
    /// How long a newcomer warms up; zero for not at all.
    pub(in crate::balance) slow_start: Cell<Duration>,
    pub(in crate::balance) shards: Cell<u32>,
    /// Endpoints of the newest balancer that take part, that are usable, that are ejected.
    pub(in crate::balance) members: Cell<u32>,
    pub(in crate::balance) usable: Cell<u32>,
    pub(in crate::balance) ejected: Cell<u32>,
    /// Which balancer is the newest.
    pub(in crate::balance) newest: Cell<u64>,
    /// Makes ejection times differ between shards.
    pub(in crate::balance) seed: Cell<u64>,
    pub(in crate::balance) mean: Mean,
    next_key: Cell<u64>,
    next_serial: Cell<u64>,
    /// Of the newest balancer.
    endpoints: RefCell<Rc<[Rc<EndpointState>]>>,
    changes: RefCell<VecDeque<Rc<EndpointState>>>,
    version: Cell<u64>,
    /// When the first ejection ends.
    due: Cell<Instant>,
    waiting: RefCell<Vec<Rc<EndpointState>>>,
    /// The interval of success rates, and who has had enough requests in it.
    interval: Cell<u32>,
    interval_ends: Cell<Instant>,
    judged: RefCell<Vec<Rc<EndpointState>>>,
}

impl ClusterState {
    /// A key that no endpoint of this cluster has had.
    pub(in crate::balance) fn new_key(&self) -> EndpointKey {
        let key = self.next_key.get();
        self.next_key.set(key.wrapping_add(1));
        EndpointKey(key)
    }

    /// A number for a new balancer, larger than all before.
    pub(in crate::balance) fn new_serial(&self) -> u64 {
        let serial = self.next_serial.get().wrapping_add(1);
        self.next_serial.set(serial);
        serial
    }

    /// What an endpoint of which nothing is known is taken to need, in nanoseconds.
    pub(in crate::balance) fn expected_latency(&self) -> f64 {
        let default = self.ewma.get().default_latency.as_secs_f64() * 1e9;
        self.mean.nanos().unwrap_or(default)
    }

    /// How many changes there have been.
    pub(in crate::balance) fn version(&self) -> u64 {
        self.version.get()
    }

    /// Calls `see` with each endpoint that changed since `version`, unless there were too many.
    pub(in crate::balance) fn changes_since(
        &self,
        version: u64,
        see: impl FnMut(&Rc<EndpointState>),
    ) -> bool {
        let changes = self.changes.borrow();
        let missed = self.version.get().saturating_sub(version);
        let missed = usize::try_from(missed).unwrap_or(usize::MAX);
        let Some(known) = changes.len().checked_sub(missed) else {
            return false;
        };
        changes.iter().skip(known).for_each(see);
        true
    }

    /// Does `act` to `state`, and notes what that changes.
    pub(in crate::balance) fn change(
        &self,
        state: &Rc<EndpointState>,
        act: impl FnOnce(&EndpointState),
    ) {
        let standing =
            |state: &EndpointState| [state.is_member(), state.is_usable(), state.is_ejected()];
        let before = standing(state);
        act(state);
        let after = standing(state);
        for ((count, before), after) in [&self.members, &self.usable, &self.ejected]
            .into_iter()
            .zip(before)
            .zip(after)
        {
            let sum = count.get().saturating_add(u32::from(after));
            count.set(sum.saturating_sub(u32::from(before)));
        }
        let mut changes = self.changes.borrow_mut();
        if changes.len() >= limits::ENDPOINT_CHANGES_KEPT {
            changes.pop_front();
        }
        changes.push_back(Rc::clone(state));
        self.version.set(self.version.get().wrapping_add(1));
    }

    /// Begins anew with the endpoints of a new generation, which have these weights: what is
    /// remembered of others goes.
    pub(in crate::balance) fn renew(
        &self,
        endpoints: &Rc<[Rc<EndpointState>]>,
        weights: &[u32],
        now: Instant,
    ) {
        let old = self.endpoints.replace(Rc::clone(endpoints));
        let was_weighted: Vec<bool> = endpoints.iter().map(|it| it.is_weighted.get()).collect();
        for state in old.iter() {
            state.place.set(NOWHERE);
            state.is_weighted.set(false);
        }
        for (place, (state, weight)) in (0..).zip(endpoints.iter().zip(weights)) {
            state.place.set(place);
            state.is_weighted.set(*weight > 0);
            let was_weighted = was_weighted.get(place as usize).copied().unwrap_or(false);
            if *weight > 0 && !was_weighted && !old.is_empty() {
                self.warm_up(state, now);
            }
        }
        let count = |is: fn(&EndpointState) -> bool| {
            let count = endpoints.iter().filter(|state| is(state)).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        self.members.set(count(EndpointState::is_member));
        self.usable.set(count(EndpointState::is_usable));
        self.ejected.set(count(EndpointState::is_ejected));
        self.changes.borrow_mut().clear();
        self.version.set(self.version.get().wrapping_add(1));
        let is_here = |state: &Rc<EndpointState>| state.place.get() != NOWHERE;
        self.waiting.borrow_mut().retain(is_here);
        self.judged.borrow_mut().retain(is_here);
        self.reschedule();
    }

    /// Lets ejections end whose time is over. *Cost:* one comparison, unless one is.
    pub(in crate::balance) fn settle(&self, now: Instant) {
        if self.due.get() > now {
            return;
        }
        let over: Vec<_> = self
            .waiting
            .borrow_mut()
            .extract_if(.., |state| state.ejection_ends() <= now)
            .collect();
        for state in over {
            if let Standing::Ejected { why, .. } = state.conduct.standing.get() {
                let is_probed = false;
                self.change(&state, |state| {
                    state
                        .conduct
                        .stand(Standing::Probing { why, is_probed }, now);
                });
            }
        }
        self.reschedule();
    }

    /// Finds when the next ejection ends.
    pub(in crate::balance) fn reschedule(&self) {
        let waiting = self.waiting.borrow();
        let ends = waiting.iter().map(|state| state.ejection_ends());
        self.due.set(ends.min().unwrap_or(Instant::NEVER));
    }

    /// An attempt on `state` got an answer that is none of `Ejection`'s errors, or one that is.
    pub(in crate::balance) fn judge(
        &self,
        state: &Rc<EndpointState>,
        is_probe: bool,
        error: Option<Ejection>,
        now: Instant,
    ) {
        match state.conduct.standing.get() {
            Standing::Serving => self.judge_serving(state, error, now),
            // Others were under way when it was ejected; they tell nothing new.
            Standing::Probing { .. } if is_probe => match error {
                None => self.restore(state, now),
                Some(why) => self.eject(state, why, now),
            },
            Standing::Probing { .. } | Standing::Ejected { .. } => {}
        }
    }

    fn judge_serving(&self, state: &Rc<EndpointState>, error: Option<Ejection>, now: Instant) {
        let policy = self.outlier.get();
        if now >= self.interval_ends.get() {
            self.end_interval(&policy, now);
        }
        let requests = state.conduct.observe(error.is_none(), self.interval.get());
        if let Some(rates) = policy.success_rate
            && requests == outlier::share(rates, self.shards.get()).requests_min
        {
            self.judged.borrow_mut().push(Rc::clone(state));
        }
        let in_a_row = state.conduct.errors_in_a_row();
        let is_too_many = policy.consecutive_errors > 0 && in_a_row >= policy.consecutive_errors;
        if let Some(why) = error
            && is_too_many
            && self.may_eject(state)
        {
            self.eject(state, why, now);
        }
    }

    /// Compares the success rates of the interval that ends.
    fn end_interval(&self, policy: &OutlierPolicy, now: Instant) {
        let judged: Vec<_> = self.judged.borrow_mut().drain(..).collect();
        if let Some(rates) = policy.success_rate {
            let found = judged.iter().map(|state| state.conduct.success_rate());
            let found = Rates::new(&found.collect::<Vec<_>>(), rates);
            let is_outlier = |state: &&Rc<EndpointState>| {
                found.is_some_and(|found| found.condemn(&state.conduct))
            };
            for state in judged.iter().filter(is_outlier) {
                if state.conduct.standing.get() == Standing::Serving && self.may_eject(state) {
                    self.eject(state, Ejection::SuccessRate, now);
                }
            }
        }
        self.interval.set(self.interval.get().wrapping_add(1));
        self.interval_ends.set(now.after(policy.interval));
    }

    /// The bounds leave room for one more: neither too many, nor the last that could serve.
    fn may_eject(&self, state: &EndpointState) -> bool {
        let percent_max = u64::from(self.outlier.get().ejected_percent_max);
        let ejected = u64::from(self.ejected.get()).saturating_add(1);
        let members = u64::from(self.members.get());
        let others = self
            .usable
            .get()
            .saturating_sub(u32::from(state.is_usable()));
        state.is_member()
            && ejected.saturating_mul(100) <= percent_max.saturating_mul(members)
            && others > 0
    }

    fn eject(&self, state: &Rc<EndpointState>, why: Ejection, now: Instant) {
        let policy = self.outlier.get();
        let random = self.seed.get() ^ state.key.0;
        self.change(state, |state| {
            state.conduct.eject(why, &policy, random, now)
        });
        self.waiting.borrow_mut().push(Rc::clone(state));
        self.reschedule();
    }

    fn restore(&self, state: &Rc<EndpointState>, now: Instant) {
        self.change(state, |state| state.conduct.stand(Standing::Serving, now));
        self.warm_up(state, now);
    }

    /// `state` has joined or has come back.
    pub(in crate::balance) fn warm_up(&self, state: &EndpointState, now: Instant) {
        if !self.slow_start.get().is_zero() {
            state.warms_since.set(now.max(Instant::from_nanos(1)));
        }
    }
}

/// The error in an answer with this status, if it is one.
pub(in crate::balance) const fn error_of(status: u16) -> Option<Ejection> {
    match status {
        502..=504 => Some(Ejection::GatewayErrors),
        500.. => Some(Ejection::ServerErrors),
        _ => None,
    }
}

/// The error of an attempt without a whole answer.
pub(in crate::balance) const fn error_for(fault: EndpointFault) -> Ejection {
    match fault {
        EndpointFault::Connect => Ejection::ConnectErrors,
        EndpointFault::Timeout | EndpointFault::Broken => Ejection::GatewayErrors,
    }
}
