//! Active health checks: one checker for each endpoint, however many shards there are.
//!
//! In: each generation as it takes effect ([`HealthChecks::follow`]). Out: a message to every shard
//! when the state of an endpoint changes; what is known of each, for pages and metrics; a line in
//! the event log. What is known survives generations by the cluster's name and the endpoint's
//! address; a checker whose check did not change goes on undisturbed.
//!
//! Must stay true: no check makes a shard wait; at most [`limits::HEALTH_CHECKS_AT_ONCE`] run at
//! once; an endpoint that is no longer checked is not held to be unhealthy by what was once found.

mod probe;
mod standing;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use flume::Sender;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

use super::log::Log;
use crate::balance::{ClusterId, EndpointId, Health};
use crate::config::HealthCheck;
use crate::io::{Address, clock};
use crate::limits;
use crate::proxy::Snapshot;
use crate::record::EndpointHealth;
use crate::shard::ShardCommand;
use crate::tls::Connector;

pub use standing::{CheckError, Standing, State};

/// All checkers.
#[derive(Debug)]
pub struct HealthChecks {
    checkers: RefCell<BTreeMap<Place, Checker>>,
    shared: Rc<Shared>,
}

/// Which endpoint: by names that mean the same in every generation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place {
    cluster: Arc<str>,
    endpoint: String,
}

/// One checker.
#[derive(Debug)]
struct Checker {
    target: Target,
    standing: Rc<RefCell<Standing>>,
    task: JoinHandle<()>,
}

/// What a checker checks, and whom its results are about.
#[derive(Clone, Debug)]
struct Target {
    cluster: ClusterId,
    /// Where it is to be found first: a later generation may have it elsewhere.
    endpoint: EndpointId,
    address: Address,
    check: HealthCheck,
    tls: Option<Arc<Connector>>,
}

/// What all checkers use.
#[derive(Debug)]
struct Shared {
    shards: Vec<Sender<ShardCommand>>,
    at_once: Semaphore,
    random: RandomState,
    log: Log,
}

impl HealthChecks {
    /// No checker yet. Results go to `shards`.
    #[must_use]
    pub fn new(shards: Vec<Sender<ShardCommand>>, log: Log) -> Self {
        Self {
            checkers: RefCell::default(),
            shared: Rc::new(Shared {
                shards,
                at_once: Semaphore::new(limits::HEALTH_CHECKS_AT_ONCE),
                random: RandomState::new(),
                log,
            }),
        }
    }

    /// This generation is in effect: checks what it wants checked, and nothing else.
    ///
    /// *Cost:* one look at each endpoint of clusters that have checks, or had some.
    pub fn follow(&self, snapshot: &Snapshot) {
        let mut checkers = self.checkers.borrow_mut();
        let mut wanted = HashSet::new();
        let plans = (0..).map(ClusterId).zip(&snapshot.clusters);
        for (cluster, plan) in plans {
            let Some(plan) = plan else { continue };
            let Some(check) = &plan.source.health_check else {
                continue;
            };
            let endpoints = (0..).map(EndpointId).zip(plan.cluster.endpoints());
            for (endpoint, found) in endpoints {
                let place = Place {
                    cluster: Arc::clone(&plan.source.name),
                    endpoint: found.label().to_owned(),
                };
                let target = Target {
                    cluster,
                    endpoint,
                    address: found.address().clone(),
                    check: check.clone(),
                    tls: plan.upstream.tls.clone(),
                };
                let old = checkers.remove(&place);
                let checker = self.checker(&place, target, old);
                checkers.insert(place.clone(), checker);
                wanted.insert(place);
            }
        }
        checkers.retain(|place, checker| {
            let is_wanted = wanted.contains(place);
            if !is_wanted {
                checker.task.abort();
                self.shared
                    .tell(&checker.target, Health::Unknown, "not_checked");
            }
            is_wanted
        });
    }

    /// A checker of `target`: the old one if it does the same, else one that knows what that knew.
    fn checker(&self, place: &Place, target: Target, old: Option<Checker>) -> Checker {
        let standing = match old {
            Some(old) if old.target.is_same(&target) => return old,
            Some(old) => {
                old.task.abort();
                old.standing
            }
            None => Rc::new(RefCell::new(Standing::new(clock::wall()))),
        };
        // A cluster that was made anew knows nothing of it.
        let known = *standing.borrow();
        self.shared.publish(&target, &known);
        let run = run(
            Rc::clone(&self.shared),
            place.clone(),
            target.clone(),
            Rc::clone(&standing),
        );
        Checker {
            target,
            standing,
            task: spawn_local(run),
        }
    }

    /// What is known of an endpoint that is checked.
    #[must_use]
    pub fn standing(&self, cluster: &Arc<str>, endpoint: &str) -> Option<Standing> {
        let place = Place {
            cluster: Arc::clone(cluster),
            endpoint: endpoint.to_owned(),
        };
        let checkers = self.checkers.borrow();
        checkers
            .get(&place)
            .map(|checker| *checker.standing.borrow())
    }

    /// What is known of every endpoint that is checked, for metrics.
    #[must_use]
    pub fn all(&self) -> Vec<EndpointHealth> {
        let checkers = self.checkers.borrow();
        let rows = checkers.iter().map(|(place, checker)| {
            let standing = checker.standing.borrow();
            EndpointHealth {
                cluster: Arc::clone(&place.cluster),
                endpoint: place.endpoint.clone(),
                is_healthy: standing.state != State::Unhealthy,
                checks: standing.checks,
                failures: standing.failures,
            }
        });
        rows.collect()
    }
}

impl Drop for HealthChecks {
    fn drop(&mut self) {
        for checker in self.checkers.get_mut().values() {
            checker.task.abort();
        }
    }
}

impl Target {
    fn is_same(&self, other: &Self) -> bool {
        let is_same_tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (Some(_), None) | (None, Some(_)) => false,
        };
        let is_same_place = self.cluster == other.cluster && self.address == other.address;
        is_same_tls && self.check == other.check && is_same_place
    }
}

impl Shared {
    fn publish(self: &Rc<Self>, target: &Target, standing: &Standing) {
        let health = match standing.state {
            State::Unknown => return,
            State::Healthy => Health::Healthy,
            State::Unhealthy => Health::Unhealthy,
        };
        let why = standing.last_error.map_or("checked", CheckError::label);
        self.tell(target, health, why);
    }

    /// Tells every shard. A full mailbox delays the message; an ended shard needs none.
    fn tell(self: &Rc<Self>, target: &Target, health: Health, why: &'static str) {
        for shard in &self.shards {
            let command = ShardCommand::Health {
                cluster: target.cluster,
                endpoint: target.endpoint,
                address: target.address.clone(),
                health,
                why,
            };
            if let Err(flume::TrySendError::Full(command)) = shard.try_send(command) {
                let shard = shard.clone();
                spawn_local(async move { shard.send_async(command).await.is_ok() });
            }
        }
    }

    fn random(&self, place: &Place, number: u64) -> u64 {
        self.random.hash_one((place, number))
    }
}

/// Checks one endpoint until aborted.
async fn run(shared: Rc<Shared>, place: Place, target: Target, standing: Rc<RefCell<Standing>>) {
    loop {
        let result = {
            // It is never closed.
            let _permit = shared.at_once.acquire().await;
            probe::run(&target.address, &target.check, target.tls.as_deref()).await
        };
        let (has_changed, known) = {
            let mut standing = standing.borrow_mut();
            let has_changed = standing.record(result, &target.check, clock::wall());
            (has_changed, *standing)
        };
        if has_changed {
            shared.publish(&target, &known);
            note(shared.log, &place, &known);
        }
        let wait = known.wait(&target.check, shared.random(&place, known.checks));
        sleep(wait.max(Duration::from_millis(1))).await;
    }
}

fn note(log: Log, place: &Place, standing: &Standing) {
    let reason = standing.last_error.map_or("checked", CheckError::label);
    let state = standing.state.label();
    let fields: [(&str, &dyn std::fmt::Display); 4] = [
        ("cluster", &place.cluster),
        ("endpoint", &place.endpoint),
        ("state", &state),
        ("reason", &reason),
    ];
    match standing.state {
        State::Unhealthy => log.warn("An endpoint fails its checks.", &fields),
        State::Healthy | State::Unknown => log.note("An endpoint passes its checks.", &fields),
    }
}
