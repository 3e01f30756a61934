//! The right to use an endpoint for one attempt, and the count of its open connections.
//!
//! Both are guards: dropping them takes the count back, on every way out of an attempt, also when
//! its future is dropped half-way. They cost one non-atomic reference count and no allocation.

use std::rc::Rc;

use super::endpoint::{Endpoint, EndpointId, EndpointState};

/// One attempt's hold on an endpoint: it counts as active until this is dropped.
#[derive(Debug)]
pub struct Lease {
    state: Rc<EndpointState>,
}

impl Lease {
    pub(super) fn new(state: &Rc<EndpointState>) -> Self {
        add(&state.active);
        add(&state.cluster.active);
        state.requests.set(state.requests.get().wrapping_add(1));
        Self {
            state: Rc::clone(state),
        }
    }

    /// The endpoint to use.
    pub fn endpoint(&self) -> &Endpoint {
        &self.state.endpoint
    }

    /// The endpoint's place in its cluster: what the next attempt avoids if this one fails.
    pub fn id(&self) -> EndpointId {
        self.state.endpoint.id()
    }

    /// Counts the attempt as failed. Call it at most once, before dropping the lease.
    pub fn failed(&self) {
        let failures = &self.state.failures;
        failures.set(failures.get().wrapping_add(1));
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

fn add(count: &std::cell::Cell<u32>) {
    debug_assert_ne!(count.get(), u32::MAX, "more holds than a shard can have");
    count.set(count.get().saturating_add(1));
}

fn subtract(count: &std::cell::Cell<u32>) {
    debug_assert_ne!(count.get(), 0, "a hold was given back twice");
    count.set(count.get().saturating_sub(1));
}
