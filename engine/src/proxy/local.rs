//! What one shard has of its own to serve requests.
//!
//! Pools, balancers, the recorder, storage to reuse, the connections that are open. Belongs to the
//! shard's thread; made from a [`Snapshot`], and replaced with it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use slab::Slab;

use super::access_log::LogLines;
use super::connection::{Busy, Connection};
use super::exchange::Scratch;
use super::fold;
use super::place::Spares;
use super::random::Random;
use super::snapshot::Snapshot;
use crate::accept::Refused;
use crate::balance::{Balancer, ClusterId, ClusterReport};
use crate::forward::{ConnectionPool, DateCache, IdlePolicy};
use crate::limits;
use crate::record::{ListenerId, Recorder, Refusal, ShardRecord};

/// The state of one shard.
pub struct Local {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) shard: u32,
    pub(super) pool: Rc<ConnectionPool>,
    pub(super) random: Random,
    pub(super) date: DateCache,
    pub(super) busy: Spares<Busy>,
    pub(super) scratch: Spares<Box<Scratch>>,
    balancers: Vec<Balancer>,
    recorder: Rc<RefCell<Recorder>>,
    log_lines: Option<LogLines>,
    connections: RefCell<Slab<Weak<Connection>>>,
    pub(super) is_draining: Cell<bool>,
}

impl Local {
    /// The state of shard number `shard` of `shards`. Must be made on the shard's thread.
    pub fn new(snapshot: Arc<Snapshot>, shard: u32, shards: u32) -> Rc<Self> {
        let recorder = Rc::new(RefCell::new(Recorder::new(shard, snapshot.series())));
        let told = Rc::clone(&recorder);
        let clusters = snapshot.clusters.clusters();
        let idle_lists = clusters.iter().zip(&snapshot.upstreams);
        let pool = ConnectionPool::new(
            idle_lists.map(|(cluster, upstream)| {
                let idle = share(upstream.idle, shards);
                (idle, cluster.endpoints().len())
            }),
            move |cluster, event| told.borrow_mut().pool(cluster, fold::pool_event(event)),
        );
        let balancers = clusters
            .iter()
            .map(|cluster| Balancer::new(cluster, shard, shards))
            .collect();
        Rc::new(Self {
            shard,
            pool,
            random: Random::new(shard),
            date: DateCache::default(),
            busy: Spares::new(limits::SPARE_PLACES),
            scratch: Spares::new(limits::SPARE_PLACES),
            balancers,
            recorder,
            log_lines: snapshot.access_log.as_ref().map(LogLines::new),
            connections: RefCell::default(),
            is_draining: Cell::new(false),
            snapshot,
        })
    }

    /// The configuration it was made from.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Counts a socket that `accept` returned.
    pub fn accepted(&self, listener: ListenerId) {
        self.record(|recorder| recorder.connection_accepted(listener));
    }

    /// Counts an accept that failed for want of descriptors or memory.
    pub fn accept_failed(&self, listener: ListenerId) {
        self.record(|recorder| recorder.connection_refused(listener, Refusal::FileLimit));
    }

    /// Connections that `listener` may have at once, in the whole process.
    pub fn connections_max(&self, listener: ListenerId) -> usize {
        let plan = self.snapshot.listeners.get(listener.0 as usize);
        plan.map_or(usize::MAX, |plan| plan.connections_max)
    }

    /// Counts access-log lines that were written, and others that were lost.
    pub fn log_written(&self, written: u64, lost: u64) {
        self.record(|recorder| recorder.access_log(written, lost));
    }

    /// Counts tasks of the shard that ended by a panic.
    pub fn tasks_panicked(&self, count: u64) {
        self.record(|recorder| recorder.tasks_panicked(count));
    }

    /// Counts an accepted socket that was closed at once.
    pub fn refused(&self, listener: ListenerId, why: Refused) {
        let reason = match why {
            Refused::ListenerLimit => Refusal::ListenerLimit,
            Refused::ProcessLimit => Refusal::ProcessLimit,
        };
        self.record(|recorder| recorder.connection_refused(listener, reason));
    }

    /// Counts an accepted socket that was given to another shard.
    pub fn handed_over(&self, listener: ListenerId) {
        self.record(|recorder| recorder.connection_handed_over(listener));
    }

    /// Connections that are being served.
    pub fn active(&self) -> usize {
        self.connections.borrow().len()
    }

    /// No new connection is taken, and each that is there ends with its next response.
    pub fn is_draining(&self) -> bool {
        self.is_draining.get()
    }

    /// Starts to end: exchanges in flight go on, their responses say `Connection: close`, and
    /// connections that have been idle for [`limits::DRAIN_IDLE_GRACE`] are closed.
    pub fn start_drain(&self) {
        if self.is_draining.replace(true) {
            return;
        }
        for (_, connection) in self.connections.borrow().iter() {
            if let Some(connection) = connection.upgrade() {
                connection.shorten_wait();
            }
        }
    }

    /// Gives away what was recorded since the last time, and goes on recording in `spare`; see
    /// [`Recorder::take`].
    pub fn take_record(&self, spare: Box<ShardRecord>) -> Box<ShardRecord> {
        self.recorder.borrow_mut().take(spare)
    }

    /// What each cluster's balancer counts now.
    pub fn cluster_reports(&self) -> Vec<ClusterReport> {
        self.balancers.iter().map(Balancer::report).collect()
    }

    /// Access-log lines to be written, if there is an access log.
    pub fn log_lines(&self) -> Option<&LogLines> {
        self.log_lines.as_ref()
    }

    pub(super) fn balancer(&self, cluster: ClusterId) -> Option<&Balancer> {
        self.balancers.get(cluster.0 as usize)
    }

    /// Records something. Also called while a panic unwinds a connection, when the recorder may
    /// be the place of the panic: then nothing is recorded, rather than the process aborted.
    pub(super) fn record(&self, act: impl FnOnce(&mut Recorder)) {
        if let Ok(mut recorder) = self.recorder.try_borrow_mut() {
            act(&mut recorder);
        }
    }

    /// Remembers a connection, so that a drain finds it. Gives its key.
    pub(super) fn remember(&self, connection: Weak<Connection>) -> usize {
        self.connections.borrow_mut().insert(connection)
    }

    /// Forgets a connection that has ended.
    pub(super) fn forget(&self, key: usize) {
        let Ok(mut connections) = self.connections.try_borrow_mut() else {
            return;
        };
        connections.try_remove(key);
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
