//! Idle upstream connections of one shard, by cluster and endpoint.
//!
//! In: an [`Upstream`] whose exchange ended cleanly. Out: the most recently used one that the
//! peer has not closed. The receive of an idle connection stays armed, so a close is known the
//! moment it arrives and `quiet` costs no system call.
//!
//! Invariant: a connection is in the pool only between two clean exchanges; whoever takes one
//! owns it, and dropping it closes it.
//!
//! A sweep drops what has expired or died. It runs only while something idles, and then once per
//! [`limits::POOL_SWEEP`]; an empty pool wakes nobody. The rules are in [`super::idle`].

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::idle::{Gone, IdleList, IdlePolicy};
use crate::balance::{ClusterId, ConnectionHold, EndpointId};
use crate::io::{self, Instant, Stream, Timer, clock};
use crate::limits;

/// An upstream connection and what must be known to reuse it.
#[derive(Debug)]
pub struct Upstream {
    /// The socket.
    pub stream: Stream,
    /// It has carried an exchange before.
    pub is_reused: bool,
    /// It is not reused after this.
    pub retires: Instant,
    /// Counts it as open.
    pub hold: ConnectionHold,
}

/// What happens to upstream connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolEvent {
    /// A connection was made.
    Connected,
    /// A connection could not be made.
    ConnectFailed,
    /// An idle connection was taken.
    Reused,
    /// A connection was put back.
    Returned,
    /// An idle connection had been closed by the upstream.
    ClosedByUpstream,
    /// A connection was idle for too long.
    IdleTimeout,
    /// A connection had lived for too long.
    LifetimeReached,
    /// Enough others were idle.
    Full,
    /// Its exchange did not end cleanly.
    Unclean,
}

/// Who is told of them.
type Listener = Box<dyn Fn(ClusterId, PoolEvent)>;

/// The idle connections of one cluster.
struct ClusterPool {
    policy: IdlePolicy,
    endpoints: Vec<IdleList<Upstream>>,
}

/// The idle connections of one shard.
pub struct ConnectionPool {
    clusters: RefCell<Vec<ClusterPool>>,
    idle: Cell<usize>,
    sweeper: Rc<Sweeper>,
    listener: Listener,
}

/// Paces the sweep, and ends it at once when the pool closes.
struct Sweeper {
    timer: Timer,
    is_running: Cell<bool>,
    is_closed: Cell<bool>,
}

impl ConnectionPool {
    /// An empty pool for clusters in the order of their ids: each with its bounds and its number
    /// of endpoints. `listener` is told what happens to connections.
    pub fn new(
        clusters: impl IntoIterator<Item = (IdlePolicy, usize)>,
        listener: impl Fn(ClusterId, PoolEvent) + 'static,
    ) -> Rc<Self> {
        let pool = |(policy, endpoint_count)| {
            let mut endpoints = Vec::new();
            endpoints.resize_with(endpoint_count, IdleList::default);
            ClusterPool { policy, endpoints }
        };
        Rc::new(Self {
            clusters: RefCell::new(clusters.into_iter().map(pool).collect()),
            idle: Cell::new(0),
            sweeper: Rc::new(Sweeper {
                timer: Timer::new(),
                is_running: Cell::new(false),
                is_closed: Cell::new(false),
            }),
            listener: Box::new(listener),
        })
    }

    /// A connection to reuse, idle for no longer than `age_max`.
    pub fn take(
        &self,
        cluster: ClusterId,
        endpoint: EndpointId,
        now: Instant,
        age_max: Duration,
    ) -> Option<Upstream> {
        let mut clusters = self.clusters.borrow_mut();
        let list = clusters
            .get_mut(cluster.0 as usize)?
            .endpoints
            .get_mut(endpoint.0 as usize)?;
        let before = list.len();
        let gone = |upstream: &Upstream, why| self.gone(cluster, upstream, why, now);
        let taken = list.take(now, age_max, is_quiet, gone);
        let gone = before.saturating_sub(list.len());
        self.idle.set(self.idle.get().saturating_sub(gone));
        if taken.is_some() {
            self.tell(cluster, PoolEvent::Reused);
        }
        taken
    }

    /// Keeps a connection whose exchange ended cleanly. `announced` is how long the peer says it
    /// keeps it.
    pub fn put(
        self: &Rc<Self>,
        cluster: ClusterId,
        endpoint: EndpointId,
        mut upstream: Upstream,
        announced: Option<Duration>,
    ) {
        if self.sweeper.is_closed.get() {
            return;
        }
        if !is_quiet(&upstream) {
            self.tell(cluster, PoolEvent::Unclean);
            return;
        }
        let mut clusters = self.clusters.borrow_mut();
        let Some(pool) = clusters.get_mut(cluster.0 as usize) else {
            return;
        };
        let Some(list) = pool.endpoints.get_mut(endpoint.0 as usize) else {
            return;
        };
        let now = clock::recent();
        let until = upstream
            .retires
            .min(now + pool.policy.idle_limit(announced));
        upstream.is_reused = true;
        let before = list.len();
        self.tell(cluster, PoolEvent::Returned);
        let gone = |upstream: &Upstream, why| self.gone(cluster, upstream, why, now);
        list.put(upstream, now, until, pool.policy.idle_max, gone);
        let after = list.len();
        self.idle
            .set(self.idle.get().saturating_add(after).saturating_sub(before));
        if after > 0 && !self.sweeper.is_running.replace(true) {
            let pool = Rc::downgrade(self);
            io::spawn(sweep(pool, Rc::clone(&self.sweeper)));
        }
    }

    /// Tells of an event that the pool does not see by itself.
    pub(super) fn tell(&self, cluster: ClusterId, event: PoolEvent) {
        (self.listener)(cluster, event);
    }

    fn gone(&self, cluster: ClusterId, upstream: &Upstream, why: Gone, now: Instant) {
        let event = match why {
            Gone::NotQuiet => PoolEvent::ClosedByUpstream,
            Gone::Expired if upstream.retires <= now => PoolEvent::LifetimeReached,
            Gone::Expired => PoolEvent::IdleTimeout,
            Gone::Surplus => PoolEvent::Full,
        };
        self.tell(cluster, event);
    }

    /// When a connection of `cluster` made at `now` retires.
    pub fn retires_at(&self, cluster: ClusterId, now: Instant, random: u64) -> Instant {
        let clusters = self.clusters.borrow();
        let pool = clusters.get(cluster.0 as usize);
        pool.map_or(now, |pool| pool.policy.retires_at(now, random))
    }

    /// How many connections idle in all.
    pub fn idle(&self) -> usize {
        self.idle.get()
    }

    /// Closes what idles and keeps nothing from now on.
    pub fn close(&self) {
        self.sweeper.is_closed.set(true);
        self.sweeper.timer.arm(Instant::default());
        for pool in self.clusters.borrow_mut().iter_mut() {
            pool.endpoints.iter_mut().for_each(IdleList::clear);
        }
        self.idle.set(0);
    }

    fn sweep(&self, now: Instant) {
        let mut left = 0;
        let mut clusters = self.clusters.borrow_mut();
        for (id, pool) in (0..).map(ClusterId).zip(clusters.iter_mut()) {
            for list in &mut pool.endpoints {
                let gone = |upstream: &Upstream, why| self.gone(id, upstream, why, now);
                list.sweep(now, is_quiet, gone);
                left += list.len();
            }
        }
        self.idle.set(left);
    }
}

fn is_quiet(upstream: &Upstream) -> bool {
    upstream.stream.quiet()
}

impl Drop for ConnectionPool {
    /// The sweep must not wait for its time before it notices.
    fn drop(&mut self) {
        self.sweeper.timer.arm(Instant::default());
    }
}

/// Sweeps until nothing idles. Holds the pool only while it does.
async fn sweep(pool: Weak<ConnectionPool>, sweeper: Rc<Sweeper>) {
    loop {
        sweeper.timer.arm(clock::now() + limits::POOL_SWEEP);
        poll_fn(|cx| sweeper.timer.poll_elapsed(cx)).await;
        let Some(pool) = pool.upgrade() else { return };
        pool.sweep(clock::now());
        if pool.idle() == 0 || sweeper.is_closed.get() {
            sweeper.is_running.set(false);
            return;
        }
    }
}
