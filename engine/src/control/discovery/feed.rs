//! From the directory to the shards: the new endpoints of one cluster, as a plan of it.
//!
//! Changes of one cluster that follow each other faster than the shards take them become one. A
//! shard that is slow makes this task wait, and nothing else; so does a table by hash. Whoever else
//! has to know of a plan gets it once all shards were told ([`Feed::connect`]).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use flume::Sender;
use tokio::sync::{Mutex, Notify};

use crate::config::Endpoint;
use crate::control::aside::aside;
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
    /// Held by whoever tells the shards: what comes later is told later.
    turn: Mutex<()>,
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
            turn: Mutex::default(),
            bell: Notify::new(),
            follow: RefCell::default(),
        }
    }

    /// Has each plan given to `follow`, too, after the shards.
    pub fn connect(&self, follow: Follow) {
        self.follow.replace(Some(follow));
    }

    /// The shards run this generation now. What was published before was meant for another one.
    pub fn adopt(&self, snapshot: &Snapshot) {
        let plans = snapshot.clusters.iter().flatten();
        let plans = plans.map(|plan| (Arc::clone(&plan.source.name), Arc::clone(plan)));
        self.plans.replace(plans.collect());
        self.pending.take();
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
        let _turn = self.turn.lock().await;
        while let Some((before, endpoints)) = self.next() {
            // A shard that runs another generation by the time it reads this leaves it: that one
            // may have other settings, and is told of its own endpoints.
            let generation = self.generation.get();
            let plan = if before.cluster.has_table() {
                aside(move || before.with_endpoints(endpoints)).await
            } else {
                before.with_endpoints(endpoints)
            };
            if self.generation.get() != generation {
                continue;
            }
            let name = Arc::clone(&plan.source.name);
            self.plans.borrow_mut().insert(name, Arc::clone(&plan));
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

    /// The next cluster that is different: as the shards have it, and its endpoints.
    fn next(&self) -> Option<(Arc<ClusterPlan>, Vec<Endpoint>)> {
        loop {
            let (cluster, endpoints) = self.pending.borrow_mut().pop_first()?;
            // Absent when a reload has taken the cluster away meanwhile.
            let plan = self.plans.borrow().get(&cluster).cloned();
            if let Some(plan) = plan.filter(|plan| plan.source.endpoints != endpoints) {
                return Some((plan, endpoints));
            }
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

#[cfg(test)]
mod tests {
    use flume::Receiver;
    use tokio::task::LocalSet;

    use super::*;
    use crate::config::{self, LbPolicy};

    #[test]
    fn all_shards_are_given_the_one_plan_that_was_made() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            for policy in [LbPolicy::PeakEwma, LbPolicy::RingHash, LbPolicy::Maglev] {
                let mut config = config::embedded();
                config.clusters[0].lb_policy = policy;
                let (name, known) = (
                    Arc::clone(&config.clusters[0].name),
                    config.clusters[0].endpoints[0].clone(),
                );
                let snapshot = Snapshot::compile(&config).expect("no files");
                let (shards, mailboxes): (Vec<_>, Vec<_>) =
                    (0..3).map(|_| flume::bounded(4)).unzip();
                let feed = Feed::new(shards);
                feed.adopt(&snapshot);
                let new = config::EndpointAddress::Tcp(([127, 0, 0, 1], 7).into());
                let endpoints = [known, Endpoint::at(new)];
                feed.publish(&name, &endpoints);
                feed.publish(&name, &endpoints);
                feed.deliver().await;
                let plans = mailboxes.iter().flat_map(|mailbox| mailbox.drain());
                let plans: Vec<_> = plans
                    .map(|command| match command {
                        ShardCommand::Replace { plan, .. } => plan,
                        other => panic!("{other:?}"),
                    })
                    .collect();
                assert_eq!(plans.len(), 3);
                assert!(plans.iter().all(|plan| Arc::ptr_eq(plan, &plans[0])));
                assert_eq!(plans[0].cluster.endpoints().len(), 2);
                assert_eq!(plans[0].cluster.has_table(), policy != LbPolicy::PeakEwma);
                assert_eq!(feed.endpoints(&name).as_deref(), Some(&endpoints[..]));
            }
        });
    }

    /// A feed with one shard, of which this is the mailbox, that runs the embedded configuration
    /// with this policy; and the name of the cluster there.
    fn running(policy: LbPolicy) -> (Feed, Receiver<ShardCommand>, Snapshot, Arc<str>) {
        let mut config = config::embedded();
        config.clusters[0].lb_policy = policy;
        let snapshot = Snapshot::compile(&config).expect("no files");
        let (shard, mailbox) = flume::bounded(4);
        let feed = Feed::new(vec![shard]);
        feed.adopt(&snapshot);
        (
            feed,
            mailbox,
            snapshot,
            Arc::clone(&config.clusters[0].name),
        )
    }

    #[test]
    fn what_was_made_for_a_generation_that_is_over_is_not_told() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(1)
            .build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            let (feed, mailbox, snapshot, name) = running(LbPolicy::Maglev);
            feed.publish(&name, &[]);
            // It begins with the table, for which there is no thread before a reload has come.
            let (reloaded, reload) = std::sync::mpsc::channel::<()>();
            let _held = tokio::task::spawn_blocking(move || reload.recv());
            let next = Snapshot {
                generation: 2,
                ..snapshot
            };
            let ((), ()) = tokio::join!(feed.deliver(), async {
                feed.adopt(&next);
                drop(reloaded);
            });
            assert!(mailbox.is_empty());
            feed.publish(&name, &[]);
            feed.deliver().await;
            let told = mailbox.try_recv().expect("it is told of the next one");
            assert!(matches!(told, ShardCommand::Replace { generation: 2, .. }));
        });
    }

    #[test]
    fn what_was_published_for_a_generation_that_is_over_is_not_told() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            let (feed, mailbox, snapshot, name) = running(LbPolicy::default());
            let before = feed.endpoints(&name);
            assert_eq!(
                before.as_ref(),
                Some(&config::embedded().clusters[0].endpoints)
            );
            // Nobody has been told yet when a generation comes in which this cluster is static.
            feed.publish(&name, &[]);
            feed.adopt(&Snapshot {
                generation: 2,
                ..snapshot
            });
            feed.deliver().await;
            assert!(mailbox.is_empty());
            assert_eq!(feed.endpoints(&name), before);
        });
    }

    #[test]
    fn what_is_published_last_is_told_last() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            let (feed, mailbox, _snapshot, name) = running(LbPolicy::RingHash);
            let at =
                |port| Endpoint::at(config::EndpointAddress::Tcp(([127, 0, 0, 1], port).into()));
            // Its table takes a while; two have been rung to tell.
            let many: Vec<Endpoint> = (1..=10_000).map(at).collect();
            feed.publish(&name, &many);
            tokio::join!(feed.deliver(), async {
                feed.publish(&name, &[at(7)]);
                feed.deliver().await;
            });
            let told: Vec<usize> = mailbox
                .drain()
                .map(|command| match command {
                    ShardCommand::Replace { plan, .. } => plan.cluster.endpoints().len(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(told, [10_000, 1]);
            assert_eq!(feed.endpoints(&name), Some(vec![at(7)]));
        });
    }
}
