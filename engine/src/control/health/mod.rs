//! Active health checks: one for each endpoint, however many shards there are.
//!
//! In: each generation as it takes effect ([`HealthChecks::follow`]), and each cluster whose
//! endpoints are others than before ([`HealthChecks::follow_cluster`]). Out: a message to every
//! shard when the state of an endpoint changes, or its checks begin to fail or no longer do; what
//! is known of each, for pages and metrics; a line in the event log. What is known survives
//! generations by the cluster's name and the endpoint's address; a check that did not change goes
//! on undisturbed.
//!
//! Must stay true: no check makes a shard wait; an endpoint that is no longer checked is not held
//! to be unhealthy by what was once found; what left is forgotten.

mod checker;
mod probe;
mod standing;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use flume::Sender;
use tokio::task::{JoinHandle, spawn_local};

use super::log::Log;
use crate::balance::{ClusterId, EndpointId, Health};
use crate::io::clock;
use crate::proxy::{ClusterPlan, Snapshot};
use crate::record::EndpointHealth;
use crate::shard::ShardCommand;

pub use checker::{Checker, Target};
pub(super) use probe::run as probe;
pub use standing::{CheckError, Standing, State};

/// The checks of one cluster, by the endpoints' addresses as text.
type Checks = BTreeMap<Arc<str>, Check>;

/// The checks of all clusters that have some.
#[derive(Debug)]
pub struct HealthChecks {
    clusters: RefCell<BTreeMap<Arc<str>, Checks>>,
    told: Rc<Told>,
}

/// The check of one endpoint.
#[derive(Debug)]
struct Check {
    subject: Subject,
    standing: Rc<RefCell<Standing>>,
    task: JoinHandle<()>,
}

/// Whom the results are about.
#[derive(Clone, Debug)]
struct Subject {
    cluster: ClusterId,
    cluster_name: Arc<str>,
    /// Where it is to be found first: a later generation may have it elsewhere.
    endpoint: EndpointId,
    label: Arc<str>,
    target: Target,
}

/// Who is told of results, and by whom they are found.
#[derive(Debug)]
struct Told {
    shards: Vec<Sender<ShardCommand>>,
    checker: Rc<Checker>,
    log: Log,
}

impl HealthChecks {
    /// Nothing is checked yet. Results go to `shards`.
    #[must_use]
    pub fn new(checker: Rc<Checker>, shards: Vec<Sender<ShardCommand>>, log: Log) -> Self {
        Self {
            clusters: RefCell::default(),
            told: Rc::new(Told {
                shards,
                checker,
                log,
            }),
        }
    }

    /// This generation is in effect: checks what it wants checked, and nothing else.
    ///
    /// *Cost:* one look at each endpoint of clusters that have checks, or had some.
    pub fn follow(&self, snapshot: &Snapshot) {
        let plans = || snapshot.clusters.iter().flatten();
        plans().for_each(|plan| self.follow_cluster(plan));
        let names: HashSet<&Arc<str>> = plans().map(|plan| &plan.source.name).collect();
        let mut clusters = self.clusters.borrow_mut();
        clusters.retain(|name, _| names.contains(name));
    }

    /// The endpoints of this cluster are these now.
    ///
    /// *Cost:* one look at each of them, if they are checked or were.
    pub fn follow_cluster(&self, plan: &ClusterPlan) {
        let name = &plan.source.name;
        let old = self.clusters.borrow_mut().remove(name);
        let Some(check) = &plan.source.health_check else {
            // They are there, and nobody asks them any more.
            for check in old.iter().flat_map(BTreeMap::values) {
                let health = (Health::Unknown, "not_checked");
                self.told.tell(&check.subject, health);
            }
            return;
        };
        let mut old = old.unwrap_or_default();
        let mut checks = Checks::new();
        let endpoints = (0..).map(EndpointId).zip(plan.cluster.endpoints());
        for (endpoint, found) in endpoints {
            let subject = Subject {
                cluster: plan.cluster.id(),
                cluster_name: Arc::clone(name),
                endpoint,
                label: Arc::clone(found.shared_label()),
                target: Target {
                    address: found.address().clone(),
                    check: check.clone(),
                    tls: plan.upstream.tls.clone(),
                },
            };
            let label = Arc::clone(&subject.label);
            let before = old.remove(&label);
            checks.insert(label, self.check(subject, before));
        }
        self.clusters.borrow_mut().insert(Arc::clone(name), checks);
    }

    /// A check of `subject`: the old one if it is the same, else one that knows what that knew.
    fn check(&self, subject: Subject, old: Option<Check>) -> Check {
        let standing = match old {
            Some(old) if old.subject.is_same(&subject) => return old,
            Some(old) => Rc::clone(&old.standing),
            None => Rc::new(RefCell::new(Standing::new(clock::wall()))),
        };
        // A cluster that was made anew knows nothing of it.
        let known = *standing.borrow();
        self.told.publish(&subject, &known);
        let run = run(Rc::clone(&self.told), subject.clone(), Rc::clone(&standing));
        Check {
            subject,
            standing,
            task: spawn_local(run),
        }
    }

    /// What is known of an endpoint that is checked.
    #[must_use]
    pub fn standing(&self, cluster: &str, endpoint: &str) -> Option<Standing> {
        let clusters = self.clusters.borrow();
        let check = clusters.get(cluster)?.get(endpoint)?;
        let standing = *check.standing.borrow();
        Some(standing)
    }

    /// What is known of every endpoint that is checked, for metrics.
    #[must_use]
    pub fn all(&self) -> Vec<EndpointHealth> {
        let clusters = self.clusters.borrow();
        let checks = clusters.values().flat_map(BTreeMap::values);
        let rows = checks.map(|check| {
            let standing = check.standing.borrow();
            EndpointHealth {
                cluster: Arc::clone(&check.subject.cluster_name),
                endpoint: check.subject.label.to_string(),
                is_healthy: standing.state != State::Unhealthy,
                checks: standing.checks,
                failures: standing.failures,
            }
        });
        rows.collect()
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Subject {
    fn is_same(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.target.is_same(&other.target)
    }
}

impl Told {
    fn publish(&self, subject: &Subject, standing: &Standing) {
        let why = standing.last_error.map_or("checked", CheckError::label);
        self.tell(subject, (health(standing), why));
    }

    /// Tells every shard. A full mailbox delays the message; an ended shard needs none.
    fn tell(&self, subject: &Subject, (health, why): (Health, &'static str)) {
        for shard in &self.shards {
            let command = ShardCommand::Health {
                cluster: subject.cluster,
                endpoint: subject.endpoint,
                address: subject.target.address.clone(),
                health,
                why,
            };
            if let Err(flume::TrySendError::Full(command)) = shard.try_send(command) {
                let shard = shard.clone();
                spawn_local(async move { shard.send_async(command).await.is_ok() });
            }
        }
    }
}

/// What shards are told of an endpoint of which this is known.
fn health(standing: &Standing) -> Health {
    match (standing.state, standing.last_error) {
        (State::Unhealthy, _) => Health::Unhealthy,
        (State::Unknown | State::Healthy, Some(_)) => Health::Suspect,
        (State::Healthy, None) => Health::Healthy,
        (State::Unknown, None) => Health::Unknown,
    }
}

/// Checks one endpoint until aborted.
async fn run(told: Rc<Told>, subject: Subject, standing: Rc<RefCell<Standing>>) {
    let name = (&subject.cluster_name, &subject.label);
    let before = Cell::new(health(&standing.borrow()));
    let after = |known: &Standing, has_changed| {
        let health = health(known);
        if before.replace(health) != health {
            told.publish(&subject, known);
        }
        if has_changed {
            note(told.log, &subject, known);
        }
    };
    let checker = &told.checker;
    checker.watch(&subject.target, name, &standing, after).await;
}

fn note(log: Log, subject: &Subject, standing: &Standing) {
    let reason = standing.last_error.map_or("checked", CheckError::label);
    let detail = standing.last_error.map(|error| error.to_string());
    let detail = detail.unwrap_or_default();
    let state = standing.state.label();
    let fields: [(&str, &dyn std::fmt::Display); 5] = [
        ("cluster", &subject.cluster_name),
        ("endpoint", &subject.label),
        ("state", &state),
        ("reason", &reason),
        ("detail", &detail),
    ];
    match standing.state {
        State::Unhealthy => log.warn("An endpoint fails its checks.", &fields),
        State::Healthy | State::Unknown => {
            log.note("An endpoint passes its checks.", &fields[..4]);
        }
    }
}
