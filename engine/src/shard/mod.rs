//! One pinned core: a thread with its own ring, listening sockets, pools, timers and recorder.
//!
//! In: a configuration and its compiled snapshot. Out: [`Shards`], all of them accepting, and the
//! mailboxes through which control asks them for reports and tells them to drain.
//!
//! Must stay true: nothing mutable is shared between shards but what `mesh` counts; a shard never
//! waits for another or for control. It does not know what a request is: `proxy` does.

mod access_log;
mod drain;
mod mesh;
mod placement;
mod run;

use std::fmt;
use std::io::Error;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use flume::{Receiver, Sender};

use crate::config::{self, Config};
use crate::io::{self, Runtime, RuntimeThread};
use crate::limits;
use crate::proxy::Snapshot;
use crate::record::ListenerId;

pub use mesh::{ShardCommand, ShardReport};

use mesh::Connections;
use run::Post;

/// The running shards.
#[derive(Debug)]
pub struct Shards {
    threads: Vec<RuntimeThread>,
    mailboxes: Vec<Sender<ShardCommand>>,
    reports: Receiver<ShardReport>,
    addresses: Vec<config::Address>,
}

/// Why the shards could not start.
#[derive(Debug)]
pub enum StartError {
    /// The kernel does not say where this process may run.
    Affinity(Error),
    /// The configuration names a processor that does not exist or is not allowed.
    Processor(usize),
    /// A listener cannot have its address.
    Listen {
        /// The listener's name.
        listener: Arc<str>,
        /// Where it should listen.
        address: config::Address,
        /// What the kernel said.
        error: Error,
    },
    /// The thread, its ring or its memory cannot be had.
    Shard {
        /// The shard's number.
        shard: usize,
        /// What the kernel said.
        error: Error,
    },
}

impl Shards {
    /// Bind every listener, then start one thread per shard. When this returns, every shard
    /// accepts.
    ///
    /// *Errors:* the first thing that failed; shards that run already are told to end.
    pub fn start(config: &Config, snapshot: Arc<Snapshot>) -> Result<Self, StartError> {
        let allowed = placement::allowed().map_err(StartError::Affinity)?;
        let cpus = placement::assign(config.shards.count, config.shards.cpus.as_deref(), &allowed)
            .map_err(StartError::Processor)?;
        let listening = listen(config, cpus.len())?;
        let connections = Arc::new(Connections::new(cpus.len(), config.listeners.len()));
        let (mailboxes, inboxes): (Vec<_>, Vec<_>) =
            cpus.iter().map(|_| flume::bounded(limits::MAILBOX)).unzip();
        let (report, reports) = flume::unbounded();
        let connections_max = usize::try_from(config.max_connections).unwrap_or(usize::MAX);
        let mut shards = Self {
            threads: Vec::new(),
            mailboxes,
            reports,
            addresses: listening.addresses,
        };
        let posts = cpus.iter().zip(inboxes).zip(listening.by_shard).enumerate();
        for (shard, ((cpu, inbox), sockets)) in posts {
            let post = Post {
                shard,
                connections_max,
                snapshot: Arc::clone(&snapshot),
                connections: Arc::clone(&connections),
                mailboxes: shards.mailboxes.clone(),
                inbox,
                sockets,
                report: report.clone(),
            };
            let runtime = Runtime {
                cpu: Some(*cpu),
                name: format!("weft-{shard}"),
                ..Runtime::default()
            };
            match runtime.start(move || run::run(post)) {
                Ok(thread) => shards.threads.push(thread),
                Err(error) => {
                    shards.abandon();
                    return Err(StartError::Shard { shard, error });
                }
            }
        }
        Ok(shards)
    }

    /// Where each listener is bound, in the order of the configuration.
    pub fn addresses(&self) -> &[config::Address] {
        &self.addresses
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.threads.len()
    }

    /// Their mailboxes, by number.
    pub fn senders(&self) -> &[Sender<ShardCommand>] {
        &self.mailboxes
    }

    /// Wait until all have drained, and give what each recorded last.
    pub fn join(self) -> Vec<ShardReport> {
        // A shard also ends when nobody can send to it any more; control keeps its own senders.
        drop(self.mailboxes);
        for thread in self.threads {
            // A shard that panicked gives no report, which is all there is to say about it.
            let _ = thread.join();
        }
        self.reports.try_iter().collect()
    }

    fn abandon(self) {
        for mailbox in &self.mailboxes {
            let _ = mailbox.try_send(ShardCommand::Drain {
                deadline: std::time::Duration::ZERO,
            });
        }
        self.join();
    }
}

/// One listening socket per listener and shard.
struct Listening {
    by_shard: Vec<Vec<(ListenerId, OwnedFd)>>,
    /// Where each listener is bound, with the port that the kernel chose for port 0.
    addresses: Vec<config::Address>,
}

fn listen(config: &Config, shard_count: usize) -> Result<Listening, StartError> {
    let mut listening = Listening {
        by_shard: (0..shard_count).map(|_| Vec::new()).collect(),
        addresses: Vec::new(),
    };
    for (id, listener) in (0..).map(ListenerId).zip(&config.listeners) {
        let bound = bind_all(&listener.address, shard_count).map_err(|error| {
            let (listener, address) = (Arc::clone(&listener.name), listener.address.clone());
            StartError::Listen {
                listener,
                address,
                error,
            }
        })?;
        let chosen = bound.first().and_then(|socket| {
            let address = socket2::SockRef::from(socket).local_addr().ok()?;
            address.as_socket().map(config::Address::Tcp)
        });
        let address = chosen.unwrap_or_else(|| listener.address.clone());
        listening.addresses.push(address);
        for (shard, socket) in listening.by_shard.iter_mut().zip(bound) {
            shard.push((id, socket));
        }
    }
    Ok(listening)
}

/// A socket of its own for each shard; for a Unix path, duplicates of one.
fn bind_all(address: &config::Address, count: usize) -> std::io::Result<Vec<OwnedFd>> {
    match address {
        config::Address::Tcp(tcp) => {
            // A port that somebody else shares with SO_REUSEPORT would take half our clients.
            drop(std::net::TcpListener::bind(tcp)?);
            let first = io::bind(&io::Address::Tcp(*tcp), limits::LISTEN_BACKLOG)?;
            // Port 0 lets the kernel choose, once for all shards.
            let chosen = std::net::TcpListener::from(first.try_clone()?).local_addr()?;
            let address = io::Address::Tcp(chosen);
            let others = (1..count).map(|_| io::bind(&address, limits::LISTEN_BACKLOG));
            std::iter::once(Ok(first)).chain(others).collect()
        }
        config::Address::Unix(path) => {
            remove_stale(path)?;
            let socket = io::bind(&io::Address::Unix(path.clone()), limits::LISTEN_BACKLOG)?;
            (0..count).map(|_| socket.try_clone()).collect()
        }
    }
}

/// Remove the socket file of a process that is gone. One that still answers is left, and the bind
/// then says that the address is in use.
fn remove_stale(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Affinity(error) => {
                write!(
                    f,
                    "The processors that weft may use are not known: {error}."
                )
            }
            Self::Processor(cpu) => write!(
                f,
                "shards.cpus names processor {cpu}, which does not exist or is not allowed.\n  \
                 FIX  Take one of `taskset -cp $$`."
            ),
            Self::Listen {
                listener,
                address,
                error,
            } => write!(
                f,
                "Listener {listener} cannot listen on {address}: {error}.\n  FIX  Stop what \
                 listens there, or set another address; ports below 1024 want \
                 CAP_NET_BIND_SERVICE."
            ),
            Self::Shard { shard, error } => write!(
                f,
                "Shard {shard} cannot start: {error}.\n  FIX  `weft doctor` says what is missing."
            ),
        }
    }
}
