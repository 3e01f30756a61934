//! From the directory to the shards: the new endpoints of one cluster, as a plan of it.
//!
//! Changes of one cluster that follow each other faster than the shards take them become one. A
//! shard that is slow makes this task wait, and nothing else. Whoever else has to know of a plan
//! gets it once all shards were told ([`Feed::connect`]).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use flume::Sender;
use tokio::sync::Notify;

use crate::config::Endpoint;
use crate::proxy::{ClusterPlan, Snapshot};
use crate::shard::ShardCommand;

/// Takes the plan of one cluster.
pub type Follow = Box<dyn Fn(&ClusterPlan)>;

/// The clusters of the running generation, and what has to be told about them.
pub struct Feed {
    shards: Vec<Sender<ShardCommand>>,
    /// The number of the generation that the shards run.
    generation: Cell<u64>,
    plans: RefCell<HashMap<Arc<str>, Arc<ClusterPlan>>>,
    pending: RefCell<BTreeMap<Arc<str>, Vec<Endpoint>>>,
    bell: Notify,
    follow: RefCell<Option<Follow>>,
}

impl Feed {
    /// A feed to `shards`, which run no generation yet.
    pub fn new(shards: Vec<Sender<ShardCommand>>) -> Self {
        Self {
            shards,
            generation: Cell::new(0),
            plans: RefCell::default(),
            pending: RefCell::default(),
            bell: Notify::new(),
            follow: RefCell::default(),
        }
    }

    /// Has each plan given to `follow`, too, after the shards.
    pub fn connect(&self, follow: Follow) {
        self.follow.replace(Some(follow));
    }

    /// The shards run this generation now.
    pub fn adopt(&self, snapshot: &Snapshot) {
        let plans = snapshot.clusters.iter().flatten();
        let plans = plans.map(|plan| (Arc::clone(&plan.source.name), Arc::clone(plan)));
        self.plans.replace(plans.collect());
        self.generation.set(snapshot.generation);
    }

    /// `snapshot`, which the shards run, with each cluster as they have been told of it since: what
    /// the next generation can take over as it is.
    pub fn as_it_runs(&self, snapshot: &Snapshot) -> Snapshot {
        let plans = self.plans.borrow();
        let newest = |plan: &Arc<ClusterPlan>| {
            let told = plans.get(&plan.source.name);
            Arc::clone(told.unwrap_or(plan))
        };
        let clusters = snapshot.clusters.iter();
        let clusters = clusters.map(|plan| plan.as_ref().map(newest));
        Snapshot {
            clusters: clusters.collect(),
            ..snapshot.clone()
        }
    }

    /// The endpoints of a cluster are these now.
    pub fn publish(&self, cluster: &Arc<str>, endpoints: &[Endpoint]) {
        let mut pending = self.pending.borrow_mut();
        pending.insert(Arc::clone(cluster), endpoints.to_vec());
        self.bell.notify_one();
    }

    /// The endpoints that the shards have, or are about to have.
    pub fn endpoints(&self, cluster: &str) -> Option<Vec<Endpoint>> {
        let plans = self.plans.borrow();
        plans.get(cluster).map(|plan| plan.source.endpoints.clone())
    }

    /// Tells the shards, until the future is dropped.
    pub async fn run(&self) {
        loop {
            self.bell.notified().await;
            self.deliver().await;
        }
    }

    /// Tells the shards what they have not been told yet.
    pub async fn deliver(&self) {
        while let Some(plan) = self.next() {
            // A shard that runs another generation by the time it reads this leaves it: that one
            // may have other settings, and is told of its own endpoints.
            let generation = self.generation.get();
            for shard in &self.shards {
                let plan = Arc::clone(&plan);
                // Fails for a shard that has ended, which needs no endpoints.
                let command = ShardCommand::Replace { generation, plan };
                let _ended = shard.send_async(command).await;
            }
            let is_current = self.generation.get() == generation;
            if let Some(follow) = &*self.follow.borrow()
                && is_current
            {
                follow(&plan);
            }
        }
    }

    /// The next cluster that is different, as a plan.
    fn next(&self) -> Option<Arc<ClusterPlan>> {
        loop {
            let (cluster, endpoints) = self.pending.borrow_mut().pop_first()?;
            let mut plans = self.plans.borrow_mut();
            // Absent when a reload has taken the cluster away meanwhile.
            let Some(plan) = plans.get_mut(&cluster) else {
                continue;
            };
            if plan.source.endpoints == endpoints {
                continue;
            }
            *plan = plan.with_endpoints(endpoints);
            return Some(Arc::clone(plan));
        }
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Feed")
            .field("plans", &self.plans)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
