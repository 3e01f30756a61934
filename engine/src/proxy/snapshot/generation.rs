//! One generation on one shard: the snapshot, and the shard's own state beside it.
//!
//! A [`Generation`] joins the shared [`Snapshot`] with what this shard knows of each cluster, a
//! [`ClusterSlot`]: balancer, pool and circuit. A slot whose cluster did not change is the same in
//! both generations; one that did is made from its predecessor, whose endpoints keep their state by
//! address. The endpoints of one cluster can be replaced alone, in one cell, whatever the number of
//! clusters.
//!
//! A request takes a [`ListenerSlot`] when it begins and holds it until its response has ended: by
//! it, it sees one generation from first byte to last.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use super::{ClusterPlan, ListenerPlan, Snapshot};
use crate::balance::{Balancer, ClusterId, ClusterReport, ClusterStrain, EndpointId, Health};
use crate::forward::{Circuit, CircuitReport, ClusterPool, ConnectionPool, IdlePolicy, Review};
use crate::io::{Address, Instant, clock};

/// Where generations are made: one shard of several.
pub(in crate::proxy) struct Site {
    pub(in crate::proxy) shard: u32,
    pub(in crate::proxy) shards: u32,
    pub(in crate::proxy) pool: Rc<ConnectionPool>,
}

/// One generation on one shard.
pub(in crate::proxy) struct Generation {
    pub(in crate::proxy) snapshot: Arc<Snapshot>,
    /// By `ClusterId`.
    clusters: Vec<Option<RefCell<Rc<ClusterSlot>>>>,
}

/// One listener of a generation.
pub(in crate::proxy) struct ListenerSlot {
    pub(in crate::proxy) plan: Arc<ListenerPlan>,
    pub(in crate::proxy) generation: Rc<Generation>,
    /// A later generation does not have it: its connections drain.
    pub(in crate::proxy) is_removed: Cell<bool>,
}

/// One cluster of a generation.
pub(in crate::proxy) struct ClusterSlot {
    pub(in crate::proxy) plan: Arc<ClusterPlan>,
    pub(in crate::proxy) balancer: Balancer,
    pub(in crate::proxy) pool: Rc<ClusterPool>,
    pub(in crate::proxy) circuit: Rc<Circuit>,
}

impl Generation {
    /// The generation of `snapshot` after `previous`. Nothing that `previous` uses is changed.
    pub(in crate::proxy) fn succeed(
        site: &Site,
        snapshot: Arc<Snapshot>,
        previous: Option<&Self>,
    ) -> Self {
        let clusters = (0..).map(ClusterId).zip(&snapshot.clusters);
        let clusters = clusters.map(|(id, plan)| {
            let plan = plan.as_ref()?;
            let before = previous.and_then(|previous| previous.cluster(id));
            let slot = ClusterSlot::succeed(site, plan, before);
            Some(RefCell::new(slot))
        });
        Self {
            clusters: clusters.collect(),
            snapshot,
        }
    }

    /// The cluster with this id.
    pub(in crate::proxy) fn cluster(&self, id: ClusterId) -> Option<Rc<ClusterSlot>> {
        let cell = self.clusters.get(id.0 as usize)?.as_ref()?;
        Some(Rc::clone(&cell.borrow()))
    }

    /// Replaces one cluster, whose id the new plan has. `false` when there is none to replace.
    pub(in crate::proxy) fn replace(&self, site: &Site, plan: &Arc<ClusterPlan>) -> bool {
        let id = plan.cluster.id().0 as usize;
        let Some(Some(cell)) = self.clusters.get(id) else {
            return false;
        };
        let before = Rc::clone(&cell.borrow());
        let next = ClusterSlot::succeed(site, plan, Some(Rc::clone(&before)));
        // Discovery changes endpoints, never whom to trust.
        let _none = before.yield_to(Some(&next));
        cell.replace(next);
        true
    }

    /// Closes what `next`, which now takes all new requests, does not take over. Gives the
    /// connections whose peers have to be looked at again.
    pub(in crate::proxy) fn yield_to(&self, next: &Self) -> Vec<Review> {
        let cells = (0..).map(ClusterId).zip(&self.clusters);
        let yielded = cells.filter_map(|(id, cell)| {
            let cell = cell.as_ref()?.borrow();
            cell.yield_to(next.cluster(id).as_ref())
        });
        yielded.collect()
    }

    /// An endpoint is now held to be `health`, and why.
    pub(in crate::proxy) fn set_health(
        &self,
        cluster: ClusterId,
        endpoint: EndpointId,
        address: &Address,
        (health, why): (Health, &'static str),
    ) {
        if let Some(slot) = self.cluster(cluster) {
            let now = clock::now();
            slot.balancer
                .set_health(endpoint, address, health, why, now);
        }
    }

    /// What the circuits of these clusters count now.
    pub(in crate::proxy) fn circuit_reports(
        &self,
        which: Range<usize>,
    ) -> impl Iterator<Item = (ClusterId, CircuitReport)> {
        self.slots(which)
            .map(|slot| (slot.plan.cluster.id(), slot.circuit.report()))
    }

    /// What the balancers of these clusters count now.
    pub(in crate::proxy) fn reports(
        &self,
        which: Range<usize>,
        now: Instant,
    ) -> impl Iterator<Item = ClusterReport> {
        self.slots(which).map(move |slot| slot.balancer.report(now))
    }

    /// What is wrong with clusters.
    pub(in crate::proxy) fn strains(&self) -> Vec<ClusterStrain> {
        let cells = self.clusters.iter().flatten();
        cells
            .filter_map(|cell| cell.borrow().balancer.strain())
            .collect()
    }

    /// What there is of the clusters with these ids.
    fn slots(&self, which: Range<usize>) -> impl Iterator<Item = Rc<ClusterSlot>> {
        let cells = self.clusters.get(which).unwrap_or_default();
        let cells = cells.iter().flatten();
        cells.map(|cell| Rc::clone(&cell.borrow()))
    }
}

impl ClusterSlot {
    fn succeed(site: &Site, plan: &Arc<ClusterPlan>, before: Option<Rc<Self>>) -> Rc<Self> {
        if let Some(before) = &before
            && Arc::ptr_eq(&before.plan, plan)
        {
            return Rc::clone(before);
        }
        let before = before.as_deref();
        let (cluster, upstream) = (&plan.cluster, &plan.upstream);
        // Connections that were made by other rules are of no use.
        let same_tls = before.filter(|before| match (&before.plan.upstream.tls, &upstream.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (Some(_), None) | (None, Some(_)) => false,
        });
        let kept = same_tls.map(|before| &*before.pool);
        let idle = share(upstream.idle, site.shards);
        let balancer = before.map(|before| &before.balancer);
        // It is the same in both, and learns of its new bounds when the later one is used.
        let circuit = before.map(|before| Rc::clone(&before.circuit));
        let new = || Circuit::new(&upstream.circuit, site.shard, site.shards);
        Rc::new(Self {
            circuit: circuit.unwrap_or_else(new),
            balancer: Balancer::succeed(cluster, balancer, site.shard, site.shards),
            pool: ClusterPool::new(&site.pool, cluster, idle, kept),
            plan: Arc::clone(plan),
        })
    }

    fn yield_to(&self, next: Option<&Rc<Self>>) -> Option<Review> {
        if next.is_some_and(|next| std::ptr::eq(&**next, self)) {
            return None;
        }
        self.pool.yield_to(next.map(|next| &*next.pool));
        let next = next?;
        next.circuit.set_plan(&next.plan.upstream.circuit);
        match (&self.plan.upstream.tls, &next.plan.upstream.tls) {
            (Some(before), Some(after)) if !Arc::ptr_eq(before, after) => {
                Some(self.pool.bequeath(after, &next.pool))
            }
            (_, _) => None,
        }
    }
}

impl ListenerSlot {
    /// Connections that came in before the listener was moved, or given TLS, or removed.
    pub(in crate::proxy) fn is_over_for(&self, since: u64) -> bool {
        self.is_removed.get() || self.plan.since != since
    }
}

/// One shard's share of the process's idle connections, at least one if there are any.
fn share(policy: IdlePolicy, shards: u32) -> IdlePolicy {
    let shards = usize::try_from(shards.max(1)).unwrap_or(1);
    IdlePolicy {
        idle_max: policy.idle_max.div_ceil(shards),
        ..policy
    }
}
