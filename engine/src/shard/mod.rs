//! One pinned core: a thread with its own ring, listening sockets, pools, timers and recorder.
//!
//! In: a configuration, whose listeners are bound first ([`Doors`]), and its compiled snapshot.
//! Out: [`Shards`], and the mailboxes through which control tells them to accept, asks them for
//! reports, gives them further generations and tells them to drain.
//!
//! Must stay true: nothing mutable is shared between shards but what `mesh` counts; a shard never
//! waits for another or for control. It does not know what a request is: `proxy` does.

mod access_log;
mod doors;
mod drain;
mod mesh;
mod placement;
mod run;

use std::fmt;
use std::io::Error;
use std::sync::Arc;

use flume::{Receiver, Sender};

use crate::io::{Runtime, RuntimeThread};
use crate::limits;
use crate::proxy::{Errands, Snapshot};

pub use doors::{BindError, Door, Doors, remedy};
pub use mesh::{ClusterCounts, ShardCommand, ShardReport};

use mesh::Connections;
use run::Post;

/// The running shards.
#[derive(Debug)]
pub struct Shards {
    threads: Vec<RuntimeThread>,
    mailboxes: Vec<Sender<ShardCommand>>,
    reports: Receiver<ShardReport>,
}

/// Why the shards could not start.
#[derive(Debug)]
pub enum StartError {
    /// The kernel does not say where this process may run.
    Affinity(Error),
    /// The configuration names a processor that does not exist or is not allowed.
    Processor(usize),
    /// A listener cannot have its address.
    Listen(BindError),
    /// The thread, its ring or its memory cannot be had.
    Shard {
        /// The shard's number.
        shard: usize,
        /// What the kernel said.
        error: Error,
    },
}

impl Shards {
    /// Start one thread per shard behind the open `doors`. When this returns, every shard runs, and
    /// accepts as soon as it is told to ([`ShardCommand::Accept`]); until then connections wait in
    /// the kernel's queues.
    ///
    /// *Errors:* the first thing that failed; shards that run already are told to end.
    pub fn start(
        snapshot: Arc<Snapshot>,
        doors: Doors,
        errands: &Errands,
    ) -> Result<Self, StartError> {
        let Doors { cpus, by_shard } = doors;
        let connections = Arc::new(Connections::new(cpus.len()));
        let (mailboxes, inboxes): (Vec<_>, Vec<_>) =
            cpus.iter().map(|_| flume::bounded(limits::MAILBOX)).unzip();
        let (report, reports) = flume::unbounded();
        let mut shards = Self {
            threads: Vec::new(),
            mailboxes,
            reports,
        };
        let posts = cpus.iter().zip(inboxes).zip(by_shard).enumerate();
        for (shard, ((cpu, inbox), doors)) in posts {
            let post = Post {
                shard,
                snapshot: Arc::clone(&snapshot),
                connections: Arc::clone(&connections),
                mailboxes: shards.mailboxes.clone(),
                inbox,
                doors,
                errands: errands.clone(),
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
                 FIX  Take those that `taskset -cp $$` shows."
            ),
            Self::Listen(error) => {
                let fix = remedy(&error.address, &error.error);
                write!(f, "{error}.\n  FIX  {fix}")
            }
            Self::Shard { shard, error } => write!(
                f,
                "Shard {shard} cannot start: {error}.\n  FIX  `weft doctor` says what is missing."
            ),
        }
    }
}
