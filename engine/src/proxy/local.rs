//! What one shard has of its own to serve requests.
//!
//! The generation that new requests go by, the recorder, storage to reuse, the connections that are
//! open. Belongs to the shard's thread. A new generation is built beside the current one
//! ([`Local::prepare`]) and takes its place in one step ([`Local::commit`]).

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use super::access_log::AccessLogs;
use super::authentication::{Errands, Turns};
use super::connection::{Busy, Connection};
use super::fold;
use super::random::Random;
use super::snapshot::generation::{Generation, ListenerSlot, Site};
use super::snapshot::{ClusterPlan, Snapshot};
use crate::accept::{Overload, Overloaded, Refused};
use crate::authenticate::{KeySet, Memory};
use crate::balance::{ClusterId, ClusterReport, ClusterStrain, EndpointId, Health};
use crate::forward::{CircuitReport, ConnectionPool, DateCache, Review};
use crate::io::{self, Address, Instant, clock};
use crate::limits;
use crate::record::{ListenerId, Recorder, Refusal, ShardRecord};

/// The state of one shard.
pub struct Local {
    site: Site,
    /// What new requests go by, by listener. A listener that was removed stays until its
    /// connections are gone.
    listeners: RefCell<Vec<Option<Rc<ListenerSlot>>>>,
    current: RefCell<Rc<Generation>>,
    /// Built, and not yet used.
    prepared: RefCell<Option<Rc<Generation>>>,
    pub(super) random: Random,
    pub(super) date: DateCache,
    /// Places that are free, for the next connections that get busy.
    places: RefCell<Vec<Busy>>,
    recorder: Rc<RefCell<Recorder>>,
    pub(super) logs: AccessLogs,
    connections: RefCell<Slab<Weak<Connection>>>,
    is_draining: Cell<bool>,
    /// Certificates of clients are looked at from time to time.
    watches_proofs: Cell<bool>,
    /// Tokens and passwords that were verified.
    pub(super) memory: RefCell<Memory>,
    /// What others do for this shard...
    pub(super) errands: Errands,
    /// ...and who may ask for it next.
    pub(super) turns: Turns,
    overload: RefCell<Overload>,
}

impl Local {
    /// The state of shard number `shard` of `shards`. Must be made on the shard's thread.
    pub fn new(snapshot: Arc<Snapshot>, shard: u32, shards: u32, errands: Errands) -> Rc<Self> {
        let recorder = Rc::new(RefCell::new(Recorder::new(shard, snapshot.series)));
        let told = Rc::clone(&recorder);
        let pool = ConnectionPool::new(move |cluster, event| {
            told.borrow_mut().pool(cluster, fold::pool_event(event));
        });
        let site = Site {
            shard,
            shards,
            pool,
        };
        let logs = AccessLogs::default();
        logs.follow(snapshot.access_log.as_ref());
        let current = Rc::new(Generation::succeed(&site, snapshot, None));
        let local = Self {
            site,
            listeners: RefCell::default(),
            current: RefCell::new(Rc::clone(&current)),
            prepared: RefCell::default(),
            random: Random::new(shard),
            date: DateCache::default(),
            places: RefCell::default(),
            recorder,
            logs,
            connections: RefCell::default(),
            is_draining: Cell::new(false),
            watches_proofs: Cell::new(false),
            memory: RefCell::new(Memory::new(&io::random_secret())),
            errands,
            turns: Turns::default(),
            overload: RefCell::default(),
        };
        local.seat(&current);
        Rc::new(local)
    }

    /// From now on these are the keys at `address`.
    pub fn set_keys(&self, address: &Arc<str>, keys: Option<Arc<KeySet>>) {
        self.memory.borrow_mut().set_keys(address, keys);
    }

    /// Which shard this is.
    pub(super) fn shard(&self) -> u32 {
        self.site.shard
    }

    /// Access-log lines, on their way to their files.
    pub fn logs(&self) -> &AccessLogs {
        &self.logs
    }

    /// Builds everything that another generation needs here. Nothing changes for requests.
    pub fn prepare(&self, snapshot: Arc<Snapshot>) {
        self.recorder.borrow_mut().fit(snapshot.series);
        let current = Rc::clone(&self.current.borrow());
        let next = Generation::succeed(&self.site, snapshot, Some(&current));
        self.prepared.replace(Some(Rc::new(next)));
    }

    /// From now on new requests go by the generation that was prepared, if it is number
    /// `generation`. Connections of listeners that it does not have, or has elsewhere, drain. Gives
    /// the listeners that it does not have any more; `None` if it was not prepared.
    pub fn commit(&self, generation: u64) -> Option<Vec<ListenerId>> {
        let is_this = |next: &mut Rc<Generation>| next.snapshot.generation == generation;
        let next = self.prepared.borrow_mut().take_if(is_this)?;
        let previous = self.current.replace(Rc::clone(&next));
        look_again(previous.yield_to(&next), next.snapshot.drain);
        self.logs.follow(next.snapshot.access_log.as_ref());
        let removed = self.seat(&next);
        let connections = self.connections();
        let over = connections.iter().filter(|connection| connection.is_over());
        cut_later(over, next.snapshot.drain);
        let retold = connections.iter().filter(|connection| {
            let id = connection.listener();
            connection.is_secured() && !previous.snapshot.has_same_tls(&next.snapshot, id)
        });
        trust_again(retold.map(Rc::downgrade).collect(), next.snapshot.drain);
        Some(removed)
    }

    /// Forgets what was prepared.
    pub fn abort(&self) {
        self.prepared.take();
    }

    /// Replaces the endpoints of one cluster of the current generation. `false` when that is not
    /// number `generation`, or has no such cluster.
    ///
    /// *Cost:* by the number of that cluster's endpoints; not of clusters.
    pub fn replace_cluster(&self, generation: u64, plan: &Arc<ClusterPlan>) -> bool {
        let current = Rc::clone(&self.current.borrow());
        current.snapshot.generation == generation && current.replace(&self.site, plan)
    }

    /// The listener of the current generation that listens at `address`.
    pub fn listener_at(&self, address: &Address) -> Option<ListenerId> {
        let current = self.current.borrow();
        let mut plans = current.snapshot.listeners.iter().flatten();
        plans
            .find(|plan| plan.address == *address)
            .map(|plan| plan.id)
    }

    /// Gives each listener of `generation` its slot, and marks the others as removed. Gives those
    /// that were not marked before.
    fn seat(&self, generation: &Rc<Generation>) -> Vec<ListenerId> {
        let mut removed = Vec::new();
        let mut slots = self.listeners.borrow_mut();
        let plans = &generation.snapshot.listeners;
        if slots.len() < plans.len() {
            slots.resize_with(plans.len(), || None);
        }
        for ((id, slot), plan) in (0..).map(ListenerId).zip(slots.iter_mut()).zip(plans) {
            match (plan, slot) {
                (Some(plan), slot) => {
                    *slot = Some(Rc::new(ListenerSlot {
                        plan: Arc::clone(plan),
                        generation: Rc::clone(generation),
                        is_removed: Cell::new(false),
                    }));
                }
                (None, Some(slot)) => {
                    if !slot.is_removed.replace(true) {
                        removed.push(id);
                    }
                }
                (None, None) => {}
            }
        }
        removed
    }

    /// A later generation than the listener's does not have it.
    pub fn is_removed(&self, listener: ListenerId) -> bool {
        let slots = self.listeners.borrow();
        let slot = slots.get(listener.0 as usize).and_then(Option::as_ref);
        slot.is_some_and(|slot| slot.is_removed.get())
    }

    /// Forgets a removed listener, whose connections are gone.
    pub fn unseat(&self, listener: ListenerId) {
        let mut slots = self.listeners.borrow_mut();
        if let Some(slot) = slots.get_mut(listener.0 as usize) {
            slot.take_if(|slot| slot.is_removed.get());
        }
    }

    /// What a request of `listener` that begins now goes by. A connection that was accepted by the
    /// next generation on another shard goes by the one that is prepared here.
    pub(super) fn listener(&self, listener: ListenerId) -> Option<Rc<ListenerSlot>> {
        let slots = self.listeners.borrow();
        if let Some(slot) = slots.get(listener.0 as usize).and_then(Option::as_ref) {
            return Some(Rc::clone(slot));
        }
        let prepared = self.prepared.borrow();
        let generation = prepared.as_ref()?;
        let plan = generation.snapshot.listener(listener)?;
        Some(Rc::new(ListenerSlot {
            plan: Arc::clone(plan),
            generation: Rc::clone(generation),
            is_removed: Cell::new(false),
        }))
    }

    /// Downstream connections that the process may have.
    pub fn all_connections_max(&self) -> usize {
        self.current.borrow().snapshot.connections_max
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
        let slot = self.listener(listener);
        slot.map_or(usize::MAX, |slot| slot.plan.connections_max)
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
        for connection in self.connections() {
            connection.drain();
        }
    }

    /// Cuts connections whose client's certificate expired, when they have had their time to end
    /// (the generation's `drain`). Looks once per [`limits::PROOF_SWEEP`], and while there is a
    /// certificate only.
    pub(super) fn watch_proofs(self: &Rc<Self>) {
        if self.watches_proofs.replace(true) {
            return;
        }
        let local = Rc::downgrade(self);
        io::spawn(async move {
            loop {
                io::sleep(limits::PROOF_SWEEP).await;
                let Some(local) = local.upgrade() else { return };
                let patience = local.current.borrow().snapshot.drain;
                let (now, mut is_needed) = (clock::now(), false);
                for connection in local.connections() {
                    let ends = connection.proof_ends();
                    is_needed |= ends != Instant::NEVER;
                    if ends != Instant::NEVER && now >= ends + patience {
                        connection.cut();
                    }
                }
                if !is_needed {
                    local.watches_proofs.set(false);
                    return;
                }
            }
        });
    }

    /// The connections that are being served.
    fn connections(&self) -> Vec<Rc<Connection>> {
        let connections = self.connections.borrow();
        let living = connections.iter();
        living.filter_map(|(_, it)| it.upgrade()).collect()
    }

    /// Gives away what was recorded since the last time, and goes on recording in `spare`; see
    /// [`Recorder::take`].
    pub fn take_record(&self, spare: Box<ShardRecord>) -> Box<ShardRecord> {
        self.recorder.borrow_mut().take(spare)
    }

    /// What each cluster's balancer and its circuit count now, asked in parts: requests are served
    /// in between, however many clusters there are.
    pub async fn cluster_counts(&self) -> (Vec<ClusterReport>, Vec<(ClusterId, CircuitReport)>) {
        let generation = Rc::clone(&self.current.borrow());
        let (mut balancers, mut circuits) = (Vec::new(), Vec::new());
        let count = generation.snapshot.clusters.len();
        for first in (0..count).step_by(limits::CLUSTERS_REPORTED_AT_ONCE) {
            if first > 0 {
                // The next turn of the driver: what is ready by then goes first.
                io::sleep(Duration::from_millis(1)).await;
            }
            let part = first..count.min(first + limits::CLUSTERS_REPORTED_AT_ONCE);
            balancers.extend(generation.reports(part.clone(), clock::recent()));
            circuits.extend(generation.circuit_reports(part));
        }
        (balancers, circuits)
    }

    /// What is wrong with clusters. *Cost:* a look at each.
    pub fn strains(&self) -> Vec<ClusterStrain> {
        self.current.borrow().strains()
    }

    /// The process runs short of this, or of nothing any more.
    pub fn set_shortage(&self, shortage: Option<Overloaded>) {
        self.overload.borrow_mut().set_shortage(shortage);
    }

    /// May a request go on whose head was complete at `received_at`?
    pub(super) fn admit(
        &self,
        received_at: Instant,
        lag_max: Option<Duration>,
    ) -> Result<(), Overloaded> {
        let mut overload = self.overload.borrow_mut();
        overload.admit(clock::lag(), lag_max, received_at)
    }

    /// An endpoint is now held to be `health`, and why. Also where a generation is prepared, which
    /// is not told again.
    pub fn set_health(
        &self,
        cluster: ClusterId,
        endpoint: EndpointId,
        address: &Address,
        health: (Health, &'static str),
    ) {
        let current = self.current.borrow();
        let prepared = self.prepared.borrow();
        for generation in prepared.iter().chain([&*current]) {
            generation.set_health(cluster, endpoint, address, health);
        }
    }

    /// Records something. Also called while a panic unwinds a connection, when the recorder may
    /// be the place of the panic: then nothing is recorded, rather than the process aborted.
    pub(super) fn record(&self, act: impl FnOnce(&mut Recorder)) {
        if let Ok(mut recorder) = self.recorder.try_borrow_mut() {
            act(&mut recorder);
        }
    }

    /// A free place, if there is one.
    pub(super) fn take_place(&self) -> Option<Busy> {
        self.places.borrow_mut().pop()
    }

    /// Keeps a place for the next who needs one, while there are few.
    pub(super) fn keep_place(&self, place: Busy) {
        let mut places = self.places.borrow_mut();
        if places.len() < limits::SPARE_PLACES {
            places.push(place);
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

/// Verifies again what the clients of `connections` have shown, one at a time, so that requests
/// do not wait for it. Those that would not be taken any more take no further request, and are cut
/// after `patience` if they have not ended.
fn trust_again(connections: Vec<Weak<Connection>>, patience: Duration) {
    if connections.is_empty() {
        return;
    }
    io::spawn(async move {
        let mut distrusted = Vec::new();
        for connection in connections {
            if let Some(connection) = connection.upgrade()
                && !connection.is_trusted()
            {
                connection.distrust();
                distrusted.push(Rc::downgrade(&connection));
            }
            io::yield_now().await;
        }
        io::sleep(patience).await;
        for connection in distrusted.iter().filter_map(Weak::upgrade) {
            connection.cut();
        }
    });
}

/// Verifies again what the endpoints of `reviews` have shown, one at a time. Connections to those
/// that would not be taken any more are cut after `patience`, tunnels and all, if they have not
/// ended.
fn look_again(reviews: Vec<Review>, patience: Duration) {
    if reviews.iter().all(|review| review.links.is_empty()) {
        return;
    }
    io::spawn(async move {
        let mut distrusted = Vec::new();
        for review in reviews {
            for link in review.links {
                match review.connector.trusts(&link) {
                    true => review.pool.remember(link),
                    false => distrusted.push(link),
                }
                io::yield_now().await;
            }
        }
        io::sleep(patience).await;
        for link in distrusted {
            link.cut();
        }
    });
}

/// Drains `connections`, and cuts after `patience` those that have not ended.
fn cut_later<'a>(connections: impl Iterator<Item = &'a Rc<Connection>>, patience: Duration) {
    let drain = |connection: &Rc<Connection>| {
        connection.drain();
        Rc::downgrade(connection)
    };
    let draining: Vec<Weak<Connection>> = connections.map(drain).collect();
    if draining.is_empty() {
        return;
    }
    io::spawn(async move {
        io::sleep(patience).await;
        for connection in draining.iter().filter_map(Weak::upgrade) {
            connection.cut();
        }
    });
}
