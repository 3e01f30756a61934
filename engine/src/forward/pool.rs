//! Idle upstream connections of one shard, by cluster and endpoint.
//!
//! In: an [`Upstream`] whose exchange ended cleanly. Out: the most recently used one that the
//! peer has not closed. The receive of an idle connection stays armed, so a close is known the
//! moment it arrives and `quiet` costs no system call.
//!
//! [`ConnectionPool`] is the shard's, [`ClusterPool`] one cluster's as one generation has it. The
//! lists belong to addresses and go from one generation to the next: an exchange that began before
//! a reload gives its connection back to where those after it look. A list that the next generation
//! does not take over is closed: what idles in it at once, what is busy when it comes back.
//!
//! Invariant: a connection is in the pool only between two clean exchanges; whoever takes one
//! owns it, and dropping it closes it.
//!
//! A sweep drops what has expired or died. It runs only while something idles, and then once per
//! [`limits::POOL_SWEEP`], over the lists that hold something; an empty pool wakes nobody. The
//! rules are in [`super::idle`].

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use super::circuit::OpenConnection;
use super::idle::{Gone, IdleList, IdlePolicy};
use crate::balance::{Cluster, ClusterId, ConnectionHold, EndpointId};
use crate::io::{self, Address, Instant, Stream, Timer, clock};
use crate::limits;
use crate::tls::{Connector, Link};

/// An upstream connection and what must be known to reuse it.
#[derive(Debug)]
pub struct Upstream {
    /// The socket.
    pub stream: Stream,
    /// It has carried an exchange before.
    pub is_reused: bool,
    /// It is not reused after this.
    pub retires: Instant,
    /// Counts it as open, at its endpoint...
    pub hold: ConnectionHold,
    /// ...and in its cluster.
    pub open: OpenConnection,
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
    /// It was cut, since its endpoint is not trusted any more.
    Untrusted,
    /// Its endpoint left the cluster, or the cluster's TLS changed.
    Replaced,
}

/// Who is told of them.
type Listener = Box<dyn Fn(ClusterId, PoolEvent)>;

/// The idle connections of one shard.
pub struct ConnectionPool {
    /// The lists that hold something, and some that did.
    filled: RefCell<Vec<Rc<EndpointIdle>>>,
    idle: Cell<usize>,
    sweeper: Rc<Sweeper>,
    listener: Listener,
}

/// The idle connections of one cluster, as one generation sees it.
pub struct ClusterPool {
    pool: Rc<ConnectionPool>,
    cluster: ClusterId,
    policy: IdlePolicy,
    /// By `EndpointId`.
    endpoints: Vec<Rc<EndpointIdle>>,
    /// Connections with TLS that are open, and some that were.
    links: Rc<RefCell<Vec<Link>>>,
    /// What came after it, when the cluster's TLS changed.
    heir: OnceCell<(Arc<Connector>, Rc<Self>)>,
}

/// Connections whose peers are to be looked at again, because the cluster's TLS has changed.
pub struct Review {
    /// By whom.
    pub connector: Arc<Connector>,
    /// The connections.
    pub links: Vec<Link>,
    /// Where those that pass are remembered.
    pub pool: Rc<ClusterPool>,
}

/// The idle connections to one address.
struct EndpointIdle {
    cluster: ClusterId,
    address: Address,
    list: RefCell<IdleList<Upstream>>,
    /// Nothing is kept any more.
    is_closed: Cell<bool>,
    /// It is among the shard's filled ones.
    is_filled: Cell<bool>,
}

/// Paces the sweep, and ends it at once when the pool closes.
struct Sweeper {
    timer: Timer,
    is_running: Cell<bool>,
    is_closed: Cell<bool>,
}

impl ConnectionPool {
    /// An empty pool. `listener` is told what happens to connections.
    pub fn new(listener: impl Fn(ClusterId, PoolEvent) + 'static) -> Rc<Self> {
        Rc::new(Self {
            filled: RefCell::default(),
            idle: Cell::new(0),
            sweeper: Rc::new(Sweeper {
                timer: Timer::new(),
                is_running: Cell::new(false),
                is_closed: Cell::new(false),
            }),
            listener: Box::new(listener),
        })
    }

    /// How many connections idle in all.
    pub fn idle(&self) -> usize {
        self.idle.get()
    }

    /// Closes what idles and keeps nothing from now on.
    pub fn close(&self) {
        self.sweeper.is_closed.set(true);
        self.sweeper.timer.arm(Instant::default());
        for endpoint in self.filled.take() {
            endpoint.list.borrow_mut().clear();
        }
        self.idle.set(0);
    }

    fn tell(&self, cluster: ClusterId, event: PoolEvent) {
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

    /// Counts that a list of `before` now holds `after`.
    fn counted(&self, before: usize, after: usize) {
        let idle = self.idle.get().saturating_add(after);
        self.idle.set(idle.saturating_sub(before));
    }

    /// Remembers a list that holds something, and has it swept.
    fn filled(self: &Rc<Self>, endpoint: &Rc<EndpointIdle>) {
        if !endpoint.is_filled.replace(true) {
            self.filled.borrow_mut().push(Rc::clone(endpoint));
        }
        if !self.sweeper.is_running.replace(true) {
            let pool = Rc::downgrade(self);
            io::spawn(sweep(pool, Rc::clone(&self.sweeper)));
        }
    }

    fn sweep(&self, now: Instant) {
        let mut left = 0;
        self.filled.borrow_mut().retain(|endpoint| {
            let gone = |upstream: &Upstream, why| self.gone(endpoint.cluster, upstream, why, now);
            let mut list = endpoint.list.borrow_mut();
            list.sweep(now, is_quiet, gone);
            left += list.len();
            let is_filled = list.len() > 0;
            endpoint.is_filled.set(is_filled);
            is_filled
        });
        self.idle.set(left);
    }
}

impl ClusterPool {
    /// The pool of `cluster`. Where `previous` has the same address, its connections are kept; it
    /// must have the same TLS.
    pub fn new(
        pool: &Rc<ConnectionPool>,
        cluster: &Cluster,
        policy: IdlePolicy,
        previous: Option<&Self>,
    ) -> Rc<Self> {
        let known = previous.map(|previous| &*previous.endpoints);
        let known = known.unwrap_or_default().iter();
        let known: HashMap<&Address, &Rc<EndpointIdle>> =
            known.map(|known| (&known.address, known)).collect();
        let endpoints = cluster.endpoints().iter().map(|endpoint| {
            let known = known.get(endpoint.address()).map(|known| Rc::clone(known));
            known.unwrap_or_else(|| {
                Rc::new(EndpointIdle {
                    cluster: cluster.id(),
                    address: endpoint.address().clone(),
                    list: RefCell::default(),
                    is_closed: Cell::new(false),
                    is_filled: Cell::new(false),
                })
            })
        });
        Rc::new(Self {
            pool: Rc::clone(pool),
            cluster: cluster.id(),
            policy,
            endpoints: endpoints.collect(),
            links: previous.map_or_else(Rc::default, |previous| Rc::clone(&previous.links)),
            heir: OnceCell::new(),
        })
    }

    /// Closes what `next`, which was made from this, does not take over.
    pub fn yield_to(&self, next: Option<&Self>) {
        let taken_over = next.map(|next| &*next.endpoints).unwrap_or_default();
        let taken_over: HashSet<*const EndpointIdle> = taken_over.iter().map(Rc::as_ptr).collect();
        for endpoint in &self.endpoints {
            if !taken_over.contains(&Rc::as_ptr(endpoint)) {
                self.close(endpoint);
            }
        }
    }

    /// Remembers a connection with TLS, so that its peer can be looked at again. One that was made
    /// by rules that have changed meanwhile is at once.
    pub fn remember(&self, link: Link) {
        if let Some((connector, next)) = self.heir.get() {
            return match connector.trusts(&link) {
                true => next.remember(link),
                false => link.cut(),
            };
        }
        let mut links = self.links.borrow_mut();
        if links.len() == links.capacity() {
            links.retain(Link::is_open);
        }
        links.push(link);
    }

    /// Gives the connections that are open to `next`, which goes by `connector`, once they have
    /// been looked at.
    pub fn bequeath(&self, connector: &Arc<Connector>, next: &Rc<Self>) -> Review {
        // It has one heir, and has it once.
        let _ = self.heir.set((Arc::clone(connector), Rc::clone(next)));
        let mut links = self.links.take();
        links.retain(Link::is_open);
        Review {
            connector: Arc::clone(connector),
            links,
            pool: Rc::clone(next),
        }
    }

    fn close(&self, endpoint: &EndpointIdle) {
        endpoint.is_closed.set(true);
        let mut list = endpoint.list.borrow_mut();
        for _ in 0..list.len() {
            self.tell(PoolEvent::Replaced);
        }
        self.pool.counted(list.len(), 0);
        list.clear();
    }

    /// A connection to reuse, idle for no longer than `age_max`.
    pub fn take(&self, endpoint: EndpointId, now: Instant, age_max: Duration) -> Option<Upstream> {
        let mut list = self.endpoints.get(endpoint.0 as usize)?.list.borrow_mut();
        let before = list.len();
        let gone = |upstream: &Upstream, why| self.pool.gone(self.cluster, upstream, why, now);
        let taken = list.take(now, age_max, is_quiet, gone);
        self.pool.counted(before, list.len());
        if taken.is_some() {
            self.tell(PoolEvent::Reused);
        }
        taken
    }

    /// Keeps a connection whose exchange ended cleanly. `announced` is how long the peer says it
    /// keeps it.
    pub fn put(&self, endpoint: EndpointId, mut upstream: Upstream, announced: Option<Duration>) {
        let Some(endpoint) = self.endpoints.get(endpoint.0 as usize) else {
            return;
        };
        if self.pool.sweeper.is_closed.get() {
            return;
        }
        if endpoint.is_closed.get() {
            self.tell(PoolEvent::Replaced);
            return;
        }
        if !is_quiet(&upstream) {
            self.tell(PoolEvent::Unclean);
            return;
        }
        let now = clock::recent();
        let until = upstream
            .retires
            .min(now + self.policy.idle_limit(announced));
        upstream.is_reused = true;
        self.tell(PoolEvent::Returned);
        let mut list = endpoint.list.borrow_mut();
        let before = list.len();
        let gone = |upstream: &Upstream, why| self.pool.gone(self.cluster, upstream, why, now);
        list.put(upstream, now, until, self.policy.idle_max, gone);
        self.pool.counted(before, list.len());
        if list.len() > 0 {
            self.pool.filled(endpoint);
        }
    }

    /// Closes the connection that has idled longest, if there is one.
    ///
    /// *Cost:* a look at every endpoint; only paid where the cluster's bound is reached.
    pub(super) fn make_room(&self) {
        let oldest = |endpoint: &&Rc<EndpointIdle>| endpoint.list.borrow().oldest_since();
        let idle = self.endpoints.iter().filter(|it| oldest(it).is_some());
        let Some(endpoint) = idle.min_by_key(oldest) else {
            return;
        };
        let mut list = endpoint.list.borrow_mut();
        let before = list.len();
        list.drop_oldest();
        self.pool.counted(before, list.len());
        self.tell(PoolEvent::Full);
    }

    /// Tells of an event that the pool does not see by itself.
    pub(super) fn tell(&self, event: PoolEvent) {
        self.pool.tell(self.cluster, event);
    }

    /// When a connection made at `now` retires.
    pub fn retires_at(&self, now: Instant, random: u64) -> Instant {
        self.policy.retires_at(now, random)
    }
}

impl Upstream {
    /// What is told of one that is not used again.
    pub(super) fn ended(&self) -> PoolEvent {
        match self.stream.is_cut() {
            true => PoolEvent::Untrusted,
            false => PoolEvent::Unclean,
        }
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
