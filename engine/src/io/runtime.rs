//! One shard's thread: a glommio executor, pinned where asked, with the driver as its main task.
//!
//! In: where to run, how large a receive pool, and what to do first. Out: a running thread, or the
//! reason why the kernel refuses it, known before `start` returns. glommio gives placement, the
//! executor and files; sockets, timers and tasks are the driver's.

use std::future::Future;
use std::io::{Error, Result};
use std::sync::mpsc;

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use super::driver::Driver;
use crate::limits;

/// How to start a shard.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The processor to pin to; `None` = wherever the kernel puts the thread.
    pub cpu: Option<usize>,
    /// The thread's name, for `top -H` and panic messages.
    pub name: String,
    /// Blocks of the receive pool; a power of two.
    pub buffer_count: u16,
    /// Bytes of a block.
    pub buffer_bytes: u32,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            cpu: None,
            name: String::from("shard"),
            buffer_count: limits::BUFFER_COUNT,
            buffer_bytes: limits::BUFFER_BYTES,
        }
    }
}

/// A running shard.
#[derive(Debug)]
pub struct RuntimeThread {
    thread: ExecutorJoinHandle<()>,
}

impl RuntimeThread {
    /// Wait until the shard's last task has ended.
    ///
    /// *Errors:* the thread ended by a panic.
    pub fn join(self) -> Result<()> {
        self.thread.join().map_err(Error::other)
    }
}

impl Runtime {
    /// Start the thread and, on it, the task that `root` makes. The shard ends when this task and
    /// all that it spawned have ended, or when one of them calls `stop`.
    ///
    /// *Errors:* the processor does not exist, or the kernel refuses the ring or its memory. They
    /// are known when this returns.
    pub fn start<R, F>(self, root: R) -> Result<RuntimeThread>
    where
        R: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let placement = self.cpu.map_or(Placement::Unbound, Placement::Fixed);
        let (started, result) = mpsc::sync_channel(1);
        let thread = LocalExecutorBuilder::new(placement)
            .name(&self.name)
            .io_memory(limits::FOREIGN_IO_MEMORY)
            .ring_depth(limits::FOREIGN_RING_DEPTH)
            .spawn(move || async move {
                match Driver::new(self.buffer_count, self.buffer_bytes) {
                    Ok(driver) => {
                        let _ = started.send(Ok(()));
                        driver.tasks.spawn(Box::pin(async move { root().await }));
                        driver.run().await;
                    }
                    Err(error) => {
                        let _ = started.send(Err(error));
                    }
                }
            })
            .map_err(Error::other)?;
        result
            .recv()
            .map_err(|_| Error::other("the shard's thread ended before it started"))??;
        Ok(RuntimeThread { thread })
    }
}
