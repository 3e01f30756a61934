//! The life of one shard: accept, obey, drain.
//!
//! In: the sockets it listens on, the snapshot it serves, its mailbox. It places each accepted
//! connection on the shard that holds the fewest and serves those placed here, one task each. Out:
//! reports when control asks, and a last one when it ends. A drain stops accepting first, then
//! waits for the exchanges in flight, and cuts what is left at the deadline.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flume::{Receiver, Sender};

use super::access_log;
use super::doors::Door;
use super::drain::Bell;
use super::mesh::{ClusterCounts, Connections, ShardCommand, ShardReport};
use crate::accept::{Admission, Admitted};
use crate::io::{self, Address, Listener, Stream, Timer, clock};
use crate::limits;
use crate::proxy::{Errands, Local, Snapshot, connection};
use crate::record::{ListenerId, ShardRecord};

/// What a shard is given.
pub(super) struct Post {
    pub(super) shard: usize,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) connections: Arc<Connections>,
    /// Of all shards, by number.
    pub(super) mailboxes: Vec<Sender<ShardCommand>>,
    pub(super) inbox: Receiver<ShardCommand>,
    pub(super) doors: Vec<Door>,
    /// What others do for it.
    pub(super) errands: Errands,
    /// Where the last report goes.
    pub(super) report: Sender<ShardReport>,
}

/// What the tasks of a shard share.
struct Shard {
    number: usize,
    local: Rc<Local>,
    admission: Admission,
    connections: Arc<Connections>,
    mailboxes: Vec<Sender<ShardCommand>>,
    /// The listening sockets of the start, until it is told to accept.
    shut: RefCell<Vec<Door>>,
    /// Listening sockets that may still give connections.
    doors: RefCell<Vec<Rc<OpenDoor>>>,
    /// Sockets of the generation that is prepared.
    prepared: RefCell<Vec<Door>>,
}

/// A listening socket of this shard.
struct OpenDoor {
    address: Address,
    /// For whom it accepts. A listener may be renamed.
    listener: Cell<ListenerId>,
    /// Rung when it is to be closed.
    closing: Bell,
}

/// Run until drained.
pub(super) async fn run(post: Post) {
    let count = u32::try_from(post.mailboxes.len()).unwrap_or(u32::MAX);
    let number = u32::try_from(post.shard).unwrap_or(u32::MAX);
    let shard = Rc::new(Shard {
        number: post.shard,
        local: Local::new(post.snapshot, number, count, post.errands),
        admission: Admission::new(Arc::clone(&post.connections) as _, post.shard),
        connections: post.connections,
        mailboxes: post.mailboxes,
        shut: RefCell::new(post.doors),
        doors: RefCell::default(),
        prepared: RefCell::default(),
    });
    let last_line = Bell::default();
    let service = async {
        let patience = shard.obey(&post.inbox).await;
        shard.finish(&post.inbox, patience).await;
        // What is cut here is recorded as cut, before the log and the report are closed.
        io::end_other_tasks();
        last_line.ring();
    };
    both(service, access_log::write(&shard.local, &last_line)).await;
    // Control reads the last reports when all shards have ended.
    let _ = post.report.send(shard.report(Box::default(), None));
    io::stop();
}

/// Until both are done, in one task.
async fn both(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let mut done = (false, false);
    poll_fn(|cx| {
        done.0 = done.0 || one.as_mut().poll(cx).is_ready();
        done.1 = done.1 || other.as_mut().poll(cx).is_ready();
        if done == (true, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Take connections from one listening socket until it is to be closed.
async fn accept(shard: Rc<Shard>, door: Rc<OpenDoor>, socket: Listener) {
    loop {
        match door.closing.or(socket.accept()).await {
            Some(Ok(connection)) => shard.place(door.listener.get(), connection),
            // Out of descriptors or memory: the connection waits in the kernel's queue.
            Some(Err(_)) => {
                shard.local.accept_failed(door.listener.get());
                door.closing.or(io::sleep(limits::ACCEPT_PAUSE)).await;
            }
            None => break,
        }
    }
    for connection in socket.close().await {
        shard.place(door.listener.get(), connection);
    }
    let is_other = |other: &Rc<OpenDoor>| !Rc::ptr_eq(other, &door);
    shard.doors.borrow_mut().retain(is_other);
    shard.connections.door_closed(door.listener.get());
}

/// Forget a removed listener when no shard serves it any more.
async fn forget(shard: Rc<Shard>, listener: ListenerId) {
    while shard.local.is_removed(listener) && !shard.connections.is_over(listener) {
        io::sleep(limits::DRAIN_POLL).await;
    }
    shard.local.unseat(listener);
}

impl Shard {
    /// Begin to accept, but for a drain.
    fn open(self: &Rc<Self>, door: Door) {
        // A door that no listener of the generation wants closes with the socket.
        let Some(listener) = self.local.listener_at(&door.address) else {
            return;
        };
        // A generation may be committed to when the drain has begun already.
        if self.local.is_draining() {
            return;
        }
        let open = Rc::new(OpenDoor {
            address: door.address,
            listener: Cell::new(listener),
            closing: Bell::default(),
        });
        self.doors.borrow_mut().push(Rc::clone(&open));
        self.connections.door_opened(listener);
        let socket = Listener::from_fd(door.socket);
        io::spawn(accept(Rc::clone(self), open, socket));
    }

    /// Serve by the generation that was prepared.
    fn commit(self: &Rc<Self>, generation: u64) {
        let Some(removed) = self.local.commit(generation) else {
            return;
        };
        for door in &*self.doors.borrow() {
            match self.local.listener_at(&door.address) {
                Some(listener) => {
                    self.connections.door_opened(listener);
                    self.connections
                        .door_closed(door.listener.replace(listener));
                }
                None => door.closing.ring(),
            }
        }
        for door in self.prepared.take() {
            self.open(door);
        }
        for listener in removed {
            io::spawn(forget(Rc::clone(self), listener));
        }
    }

    /// Count the connection and give it to the shard that holds the fewest.
    fn place(self: &Rc<Self>, listener: ListenerId, socket: OwnedFd) {
        self.local.accepted(listener);
        let listener_max = self.local.connections_max(listener);
        let process_max = self.local.all_connections_max();
        let admitted = self
            .admission
            .admit(listener.0 as usize, process_max, listener_max);
        match admitted {
            Err(refused) => self.local.refused(listener, refused),
            Ok(admitted) if admitted.shard() == self.number => {
                self.serve(listener, socket, admitted);
            }
            Ok(admitted) => self.hand_over(listener, socket, admitted),
        }
    }

    fn hand_over(self: &Rc<Self>, listener: ListenerId, socket: OwnedFd, admitted: Admitted) {
        let Some(mailbox) = self.mailboxes.get(admitted.shard()) else {
            return;
        };
        let command = ShardCommand::Connection {
            socket,
            listener,
            admitted,
        };
        match mailbox.try_send(command) {
            Ok(()) => self.local.handed_over(listener),
            // The other shard is stuck or gone: better an uneven load than a lost client.
            Err(error) => self.answer(error.into_inner()),
        }
    }

    fn serve(&self, listener: ListenerId, socket: OwnedFd, admitted: Admitted) {
        let local = Rc::clone(&self.local);
        io::spawn(connection::serve(
            local,
            listener,
            Stream::from_fd(socket),
            admitted,
        ));
    }

    /// Do what a command says, but for a drain.
    fn answer(self: &Rc<Self>, command: ShardCommand) {
        match command {
            ShardCommand::Connection {
                socket,
                listener,
                admitted,
            } => {
                self.serve(listener, socket, admitted);
            }
            ShardCommand::Scrape {
                spare,
                with_clusters: false,
                report,
            } => {
                // Fails only when control is gone, and then nobody counts any more.
                let _ = report.send(self.report(spare, None));
            }
            ShardCommand::Scrape { spare, report, .. } => {
                let shard = Rc::clone(self);
                io::spawn(async move {
                    let (balancers, circuits) = shard.local.cluster_counts().await;
                    let counts = ClusterCounts {
                        balancers,
                        circuits,
                    };
                    let _ = report.send(shard.report(spare, Some(counts)));
                });
            }
            ShardCommand::Accept => {
                for door in self.shut.take() {
                    self.open(door);
                }
            }
            ShardCommand::Prepare {
                snapshot,
                doors,
                ready,
            } => {
                self.local.prepare(snapshot);
                self.prepared.replace(doors);
                // Fails only when control has given up on this generation.
                let _ = ready.send(self.number);
            }
            ShardCommand::Commit { generation } => self.commit(generation),
            ShardCommand::Abort => {
                self.local.abort();
                self.prepared.take();
            }
            ShardCommand::ReopenLog => self.local.logs().reopen(),
            ShardCommand::Shortage { shortage } => self.local.set_shortage(shortage),
            ShardCommand::Health {
                cluster,
                endpoint,
                address,
                health,
                why,
            } => self
                .local
                .set_health(cluster, endpoint, &address, (health, why)),
            ShardCommand::Replace { generation, plan } => {
                self.local.replace_cluster(generation, &plan);
            }
            ShardCommand::Keys { address, keys } => self.local.set_keys(&address, keys),
            ShardCommand::Drain { .. } => {}
        }
    }

    fn report(&self, spare: Box<ShardRecord>, clusters: Option<ClusterCounts>) -> ShardReport {
        self.local.tasks_panicked(io::take_task_panics());
        ShardReport {
            shard: self.number,
            record: self.local.take_record(spare),
            strains: self.local.strains(),
            clusters,
            connections: self.local.active(),
        }
    }

    /// Do as control says until it says to drain; gives how long that may take.
    async fn obey(self: &Rc<Self>, inbox: &Receiver<ShardCommand>) -> Duration {
        loop {
            match inbox.recv_async().await {
                Ok(ShardCommand::Drain { deadline }) => return deadline,
                Ok(command) => self.answer(command),
                Err(_) => return Duration::ZERO,
            }
        }
    }

    /// No connection is served here, is on its way here, or may still be accepted.
    fn is_done(&self) -> bool {
        self.local.active() == 0
            && self.connections.of(self.number) == 0
            && self.doors.borrow().is_empty()
    }

    /// Stop accepting, let exchanges finish, and give up on the rest after `patience`.
    async fn finish(self: &Rc<Self>, inbox: &Receiver<ShardCommand>, patience: Duration) {
        // A mailbox that others may still fill would outlive its reader, and with it the sockets
        // in it: neither served nor closed.
        self.connections.close(self.number);
        // Nothing was promised to who waits there.
        self.shut.take();
        self.prepared.take();
        self.local.start_drain();
        for door in &*self.doors.borrow() {
            door.closing.ring();
        }
        let timer = Timer::new();
        timer.arm(clock::now() + patience);
        // Commands go on being answered: scrapes, and connections that other shards accepted
        // just before they closed their sockets.
        let quiet = async {
            loop {
                io::sleep(limits::DRAIN_POLL).await;
                while let Ok(command) = inbox.try_recv() {
                    self.answer(command);
                }
                if self.is_done() && inbox.is_empty() {
                    return;
                }
            }
        };
        // Elapsed: what is left is cut when the shard stops.
        let _ = timer.guard(quiet).await;
    }
}
