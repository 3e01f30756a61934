//! One account of all shards: each gives its record away when asked, and all end up here.
//!
//! A shard answers between two batches of completions: a busy one within milliseconds, a stuck
//! one never. What it gave away exists nowhere else, so every report is absorbed whenever it
//! arrives, also one that its page did not wait for. In: the shards' mailboxes. Out: the ledger,
//! and for each refresh the shards missing from it, so that a page can say it is incomplete.
//!
//! Must stay true: at most one question of each kind to a shard is unanswered; nothing on a shard
//! waits for this side.

mod balancing;

use std::cell::{Ref, RefCell};
use std::time::Duration;

use flume::{Receiver, Sender};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

pub use balancing::PanicTeller;

use crate::balance::{ClusterId, ClusterReport, ClusterStrain};
use crate::forward::CircuitReport;
use crate::record::{FreedIds, Ledger, SeriesNames, ShardRecord};
use crate::shard::{ClusterCounts, ShardCommand, ShardReport};

/// The control thread's view of what the shards record.
#[derive(Debug)]
pub struct Collector {
    shards: Vec<Sender<ShardCommand>>,
    ledger: RefCell<Ledger>,
    /// What the clusters of each shard counted when they were asked last, by number.
    clusters: RefCell<Vec<ClusterCounts>>,
    /// What was wrong with the clusters of each shard when it was asked last, by number.
    strains: RefCell<Vec<Vec<ClusterStrain>>>,
    unanswered: RefCell<Vec<Unanswered>>,
    /// Absorbed records, for the shards to go on in: a scrape then costs a shard no allocation.
    /// At most two for each shard.
    #[expect(clippy::vec_box, reason = "the box travels to the shard and back")]
    spares: RefCell<Vec<Box<ShardRecord>>>,
    reports: (Sender<ShardReport>, Receiver<ShardReport>),
    arrived: Notify,
}

/// What a shard has been asked and not answered.
#[derive(Clone, Copy, Debug, Default)]
struct Unanswered {
    record: bool,
    /// The same with what its clusters count.
    clusters: bool,
}

impl Unanswered {
    const fn any(self) -> bool {
        self.record || self.clusters
    }
}

impl Collector {
    /// A collector of `shards`, by number, for the series so named.
    #[must_use]
    pub fn new(shards: Vec<Sender<ShardCommand>>, names: SeriesNames) -> Self {
        Self {
            ledger: RefCell::new(Ledger::new(names)),
            clusters: RefCell::new(shards.iter().map(|_| ClusterCounts::default()).collect()),
            strains: RefCell::new(vec![Vec::new(); shards.len()]),
            unanswered: RefCell::new(vec![Unanswered::default(); shards.len()]),
            spares: RefCell::default(),
            // Two answers and one farewell per shard: it cannot fill up.
            reports: flume::unbounded(),
            arrived: Notify::new(),
            shards,
        }
    }

    /// The mailboxes of the shards, by number.
    #[must_use]
    pub fn shards(&self) -> &[Sender<ShardCommand>] {
        &self.shards
    }

    /// What has been collected. The borrow must end before the next `await`.
    #[must_use]
    pub fn ledger(&self) -> Ref<'_, Ledger> {
        self.ledger.borrow()
    }

    /// Takes over the names of another generation's series.
    pub fn rename(&self, names: SeriesNames) {
        self.ledger.borrow_mut().rename(names);
    }

    /// Forgets what was counted for these ids of listeners, routes and clusters.
    pub fn forget(&self, ids: &FreedIds) {
        self.ledger.borrow_mut().forget(ids);
    }

    /// What the balancers and the circuits of all shards count of a cluster, added up. In the
    /// moment in which a change reaches one shard after the other, those balancers count that know
    /// as many endpoints as the first.
    #[must_use]
    pub fn cluster(&self, id: ClusterId) -> (Option<ClusterReport>, CircuitReport) {
        let (mut balancers, mut circuits) = (None, CircuitReport::default());
        for counts in &*self.clusters.borrow() {
            if let Some(report) = counts.balancer(id) {
                match &mut balancers {
                    None => balancers = Some(report.clone()),
                    Some(sum) if sum.endpoints.len() == report.endpoints.len() => sum.add(report),
                    Some(_) => {}
                }
            }
            if let Some(report) = counts.circuit(id) {
                circuits.add(report);
            }
        }
        (balancers, circuits)
    }

    /// Tasks of all shards that ended by a panic. Each is a bug.
    #[must_use]
    pub fn task_panics(&self) -> u64 {
        self.ledger().total().task_panics
    }

    /// Begins a new interval of the dump.
    pub fn end_interval(&self) {
        self.ledger.borrow_mut().end_interval();
    }

    /// Absorbs reports as they arrive, until dropped.
    pub async fn run(&self) {
        while let Ok(report) = self.reports.1.recv_async().await {
            self.absorb(report);
        }
    }

    /// Asks every shard for what is new and waits for at most `patience`, while `run` runs.
    /// Returns the shards that did not answer, by number.
    pub async fn refresh(&self, patience: Duration) -> Vec<usize> {
        self.ask_all(patience, false).await
    }

    /// The same, with what the clusters count: as much work as there are endpoints.
    pub async fn refresh_clusters(&self, patience: Duration) -> Vec<usize> {
        self.ask_all(patience, true).await
    }

    async fn ask_all(&self, patience: Duration, with_clusters: bool) -> Vec<usize> {
        let deadline = Instant::now() + patience;
        let numbers = 0..self.shards.len();
        let is_silent = |shard: &usize| !self.ask(*shard, with_clusters);
        let mut silent: Vec<usize> = numbers.filter(is_silent).collect();
        loop {
            let arrival = self.arrived.notified();
            let unanswered = self.unanswered();
            if unanswered.is_empty() || timeout_at(deadline, arrival).await.is_err() {
                silent.extend(unanswered);
                silent.sort_unstable();
                return silent;
            }
        }
    }

    /// Adds a shard's report, asked for or not.
    pub fn absorb(&self, mut report: ShardReport) {
        if let Some(flags) = self.unanswered.borrow_mut().get_mut(report.shard) {
            let flag = match report.clusters {
                Some(_) => &mut flags.clusters,
                None => &mut flags.record,
            };
            *flag = false;
        }
        if let Some(strains) = self.strains.borrow_mut().get_mut(report.shard) {
            *strains = report.strains;
        }
        if let Some(known) = self.clusters.borrow_mut().get_mut(report.shard)
            && let Some(clusters) = report.clusters
        {
            *known = clusters;
        }
        self.ledger.borrow_mut().absorb(&mut report.record);
        self.spares.borrow_mut().push(report.record);
        self.arrived.notify_waiters();
    }

    /// The shards that owe an answer, by number.
    fn unanswered(&self) -> Vec<usize> {
        let flags = self.unanswered.borrow();
        let owing = flags.iter().enumerate().filter(|(_, owes)| owes.any());
        owing.map(|(shard, _)| shard).collect()
    }

    /// Whether an answer of this shard is to be expected. A full mailbox counts as none: waiting
    /// for room would wait for a stuck shard.
    fn ask(&self, shard: usize, with_clusters: bool) -> bool {
        let mut unanswered = self.unanswered.borrow_mut();
        let (Some(flags), Some(mailbox)) = (unanswered.get_mut(shard), self.shards.get(shard))
        else {
            return false;
        };
        let is_asked = flags.clusters || (flags.record && !with_clusters);
        if is_asked {
            return true;
        }
        let spare = self.spares.borrow_mut().pop().unwrap_or_default();
        let report = self.reports.0.clone();
        let is_sent = mailbox.try_send(ShardCommand::Scrape {
            spare,
            with_clusters,
            report,
        });
        let flag = if with_clusters {
            &mut flags.clusters
        } else {
            &mut flags.record
        };
        *flag = is_sent.is_ok();
        *flag
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::*;
    use crate::config;
    use crate::record::{ListenerId, Outcome, Recorder};

    /// A report of shard 0 with one exchange.
    fn report() -> ShardReport {
        let names = SeriesNames::compile(&config::embedded());
        let mut recorder = Recorder::new(0, names.counts());
        recorder.exchange_started(ListenerId(0));
        recorder.record(&Outcome::new(ListenerId(0)));
        recorder.tasks_panicked(1);
        ShardReport {
            shard: 0,
            record: recorder.take(Box::default()),
            strains: Vec::new(),
            clusters: None,
            connections: 0,
        }
    }

    fn requests(collector: &Collector) -> u64 {
        collector.ledger().total().listeners[0]
            .counters
            .requests_all()
    }

    #[test]
    fn what_arrives_late_is_kept_and_a_stuck_shard_is_asked_once() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            let (mailbox, questions) = flume::bounded(4);
            let names = SeriesNames::compile(&config::embedded());
            let collector = Rc::new(Collector::new(vec![mailbox], names));
            let collecting = Rc::clone(&collector);
            spawn_local(async move { collecting.run().await });

            for _ in 0..3 {
                assert_eq!(collector.refresh(Duration::from_millis(1)).await, [0]);
            }
            assert_eq!(questions.len(), 1);
            let Ok(ShardCommand::Scrape { report: answer, .. }) = questions.recv() else {
                panic!("a question")
            };
            answer.send(report()).expect("somebody listens");
            while requests(&collector) == 0 {
                yield_now().await;
            }
            assert_eq!(requests(&collector), 1);

            // The last word of a shard that ends counts too.
            collector.absorb(report());
            assert_eq!(requests(&collector), 2);
            assert_eq!(collector.task_panics(), 2);
            drop(questions);
            assert_eq!(collector.refresh(Duration::from_secs(60)).await, [0]);
        });
    }
}
