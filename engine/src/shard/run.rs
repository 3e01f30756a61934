//! The life of one shard: accept, obey, drain.
//!
//! In: the sockets it listens on, the snapshot it serves, its mailbox. It places each accepted
//! connection on the shard that holds the fewest and serves those placed here, one task each. Out:
//! reports when control asks, and a last one when it ends. A drain stops accepting first, then
//! waits for the exchanges in flight, and cuts what is left at the deadline.

use std::cell::Cell;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use flume::{Receiver, Sender};

use super::access_log;
use super::drain::Bell;
use super::mesh::{Connections, ShardCommand, ShardReport};
use crate::accept::{Admission, Admitted};
use crate::io::{self, Listener, Stream, Timer, clock};
use crate::limits;
use crate::proxy::{Local, Snapshot, connection};
use crate::record::{ListenerId, ShardRecord};

/// What a shard is given.
pub(super) struct Post {
    pub(super) shard: usize,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) connections: Arc<Connections>,
    pub(super) connections_max: usize,
    /// Of all shards, by number.
    pub(super) mailboxes: Vec<Sender<ShardCommand>>,
    pub(super) inbox: Receiver<ShardCommand>,
    pub(super) sockets: Vec<(ListenerId, OwnedFd)>,
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
    /// Listeners that may still give connections.
    listening: Cell<usize>,
    drain: Bell,
}

/// Run until drained.
pub(super) async fn run(post: Post) {
    let count = u32::try_from(post.mailboxes.len()).unwrap_or(u32::MAX);
    let number = u32::try_from(post.shard).unwrap_or(u32::MAX);
    let shard = Rc::new(Shard {
        number: post.shard,
        local: Local::new(post.snapshot, number, count),
        admission: Admission::new(
            Arc::clone(&post.connections) as _,
            post.shard,
            post.connections_max,
        ),
        connections: post.connections,
        mailboxes: post.mailboxes,
        listening: Cell::new(post.sockets.len()),
        drain: Bell::default(),
    });
    for (listener, socket) in post.sockets {
        io::spawn(accept(
            Rc::clone(&shard),
            listener,
            Listener::from_fd(socket),
        ));
    }
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
    let _ = post.report.send(shard.report(Box::default()));
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

/// Take connections from one listening socket until the shard drains.
async fn accept(shard: Rc<Shard>, listener: ListenerId, socket: Listener) {
    loop {
        match shard.drain.or(socket.accept()).await {
            Some(Ok(connection)) => shard.place(listener, connection),
            // Out of descriptors or memory: the connection waits in the kernel's queue.
            Some(Err(_)) => {
                shard.local.accept_failed(listener);
                shard.drain.or(io::sleep(limits::ACCEPT_PAUSE)).await;
            }
            None => break,
        }
    }
    for connection in socket.close().await {
        shard.place(listener, connection);
    }
    shard.listening.set(shard.listening.get().saturating_sub(1));
}

impl Shard {
    /// Count the connection and give it to the shard that holds the fewest.
    fn place(&self, listener: ListenerId, socket: OwnedFd) {
        self.local.accepted(listener);
        let listener_max = self.local.connections_max(listener);
        match self.admission.admit(listener.0 as usize, listener_max) {
            Err(refused) => self.local.refused(listener, refused),
            Ok(admitted) if admitted.shard() == self.number => {
                self.serve(listener, socket, admitted);
            }
            Ok(admitted) => self.hand_over(listener, socket, admitted),
        }
    }

    fn hand_over(&self, listener: ListenerId, socket: OwnedFd, admitted: Admitted) {
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
    fn answer(&self, command: ShardCommand) {
        match command {
            ShardCommand::Connection {
                socket,
                listener,
                admitted,
            } => {
                self.serve(listener, socket, admitted);
            }
            ShardCommand::Scrape { spare, report } => {
                // Fails only when control is gone, and then nobody counts any more.
                let _ = report.send(self.report(spare));
            }
            ShardCommand::Drain { .. } => {}
        }
    }

    fn report(&self, spare: Box<ShardRecord>) -> ShardReport {
        self.local.tasks_panicked(io::take_task_panics());
        ShardReport {
            shard: self.number,
            record: self.local.take_record(spare),
            clusters: self.local.cluster_reports(),
            connections: self.local.active(),
        }
    }

    /// Do as control says until it says to drain; gives how long that may take.
    async fn obey(&self, inbox: &Receiver<ShardCommand>) -> Duration {
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
            && self.listening.get() == 0
    }

    /// Stop accepting, let exchanges finish, and give up on the rest after `patience`.
    async fn finish(&self, inbox: &Receiver<ShardCommand>, patience: Duration) {
        // A mailbox that others may still fill would outlive its reader, and with it the sockets
        // in it: neither served nor closed.
        self.connections.close(self.number);
        self.local.start_drain();
        self.drain.ring();
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
