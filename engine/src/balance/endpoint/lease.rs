//! The right to use an endpoint for one attempt, and the count of its open connections.
//!
//! Both are guards: dropping them takes the count back, on every way out of an attempt, also when
//! its future is dropped half-way. They cost one non-atomic reference count and no allocation.
//!
//! A lease is also where the attempt's outcome is told. The head of a response tells how long it
//! took, and whether its status is an error; that all is well is known only when the response is
//! whole ([`Lease::completed`]), since one that begins and breaks off is an error, too. A lease
//! that ends without a word (the client went away before the response) says nothing about the
//! endpoint.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::outlier::{Ejection, Standing};
use super::state;
use super::{EndpointId, EndpointKey, EndpointState};
use crate::io::{Address, Instant};

/// Why an endpoint gave no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointFault {
    /// There was no connection: refused, timed out, TLS failed.
    Connect,
    /// It did not answer in time.
    Timeout,
    /// It closed or reset the connection, or what it sent was malformed.
    Broken,
}

/// One attempt's hold on an endpoint: it counts as active until this is dropped.
#[derive(Debug)]
pub struct Lease {
    state: Rc<EndpointState>,
    id: EndpointId,
    /// This attempt decides whether an ejected endpoint comes back.
    is_probe: bool,
    is_failed: Cell<bool>,
}

impl Lease {
    pub(in crate::balance) fn new(state: &Rc<EndpointState>, id: EndpointId) -> Self {
        add(&state.active);
        add(&state.cluster.active);
        state.requests.set(state.requests.get().wrapping_add(1));
        let is_probe = state.wants_probe();
        if is_probe {
            set_probed(state, true);
        }
        Self {
            state: Rc::clone(state),
            id,
            is_probe,
            is_failed: Cell::new(false),
        }
    }

    /// Where to connect to.
    pub fn address(&self) -> &Address {
        &self.state.address
    }

    /// The address as text.
    pub fn label(&self) -> &str {
        &self.state.label
    }

    /// The endpoint's place in its cluster, in the generation of the balancer that picked it.
    pub const fn id(&self) -> EndpointId {
        self.id
    }

    /// What the endpoint's idle connections are kept by, and what the next attempt avoids.
    pub fn key(&self) -> EndpointKey {
        self.state.key
    }

    /// The head of the final response arrived, `latency` after the request had been sent. Call it
    /// at most once.
    pub fn answered(&self, status: u16, latency: Duration, now: Instant) {
        let cluster = &self.state.cluster;
        let policy = cluster.ewma.get();
        let error = state::error_of(status);
        let state = &self.state;
        match status {
            429 | 502..=504 => {
                let penalty = latency.max(state.penalty());
                state.latency.punish(penalty, now, policy.decay);
            }
            // Errors are often quick: that must not attract more requests.
            500.. => state.latency.punish(latency, now, policy.decay),
            _ => {
                state.refusals.set(0);
                state.latency.observe(latency, now, policy.decay);
                cluster.mean.observe(state.latency.last());
            }
        }
        match error {
            Some(error) => self.blame(error, now),
            // A response may take as long as it likes; the next probe does not wait for it.
            None if self.is_probe => set_probed(&self.state, false),
            None => {}
        }
    }

    /// The response that had been [`Lease::answered`] has reached its end, or the client did not
    /// want the rest of it.
    pub fn completed(&self, now: Instant) {
        if !self.is_failed.get() {
            let cluster = &self.state.cluster;
            cluster.judge(&self.state, self.is_probe, None, now);
        }
    }

    /// The attempt got no whole answer, and the endpoint is to blame. Call it at most once, instead
    /// of [`Lease::answered`] or after it, when the response broke off.
    pub fn failed(&self, fault: EndpointFault, now: Instant) {
        let policy = self.state.cluster.ewma.get();
        let penalty = match fault {
            EndpointFault::Connect | EndpointFault::Timeout => policy.penalty,
            EndpointFault::Broken => self.state.penalty(),
        };
        self.state.latency.punish(penalty, now, policy.decay);
        self.blame(state::error_for(fault), now);
    }

    /// The attempt is a failure, once.
    fn blame(&self, error: Ejection, now: Instant) {
        if self.is_failed.replace(true) {
            return;
        }
        let failures = &self.state.failures;
        failures.set(failures.get().wrapping_add(1));
        let cluster = &self.state.cluster;
        cluster.judge(&self.state, self.is_probe, Some(error), now);
    }

    /// Counts a connection to this endpoint as open until the hold is dropped. It belongs beside
    /// the stream, in the pool and in use alike.
    pub fn hold_connection(&self) -> ConnectionHold {
        add(&self.state.connections);
        ConnectionHold {
            state: Rc::clone(&self.state),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        subtract(&self.state.active);
        subtract(&self.state.cluster.active);
        if self.is_probe {
            // A probe without an outcome: the next request is one.
            set_probed(&self.state, false);
        }
    }
}

/// Notes that a probe is on its way, or not any more.
fn set_probed(state: &EndpointState, is_probed: bool) {
    let standing = &state.conduct.standing;
    if let Standing::Probing { why, .. } = standing.get() {
        standing.set(Standing::Probing { why, is_probed });
    }
}

/// One open connection to an endpoint, counted until this is dropped.
#[derive(Debug)]
pub struct ConnectionHold {
    state: Rc<EndpointState>,
}

impl Drop for ConnectionHold {
    fn drop(&mut self) {
        subtract(&self.state.connections);
    }
}

fn add(count: &Cell<u32>) {
    debug_assert_ne!(count.get(), u32::MAX, "more holds than a shard can have");
    count.set(count.get().saturating_add(1));
}

fn subtract(count: &Cell<u32>) {
    debug_assert_ne!(count.get(), 0, "a hold was given back twice");
    count.set(count.get().saturating_sub(1));
}
