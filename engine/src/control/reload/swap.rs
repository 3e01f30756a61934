//! One generation on all shards, or on none.
//!
//! Every shard builds what it needs and says so; only when all have, they are told to use it. Until
//! then each can be told to forget it. A shard that has prepared commits without a step that could
//! fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flume::Sender;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::control;
use crate::proxy::Snapshot;
use crate::shard::{Door, ShardCommand};

/// Prepares and commits `snapshot`; each shard gets its part of `doors`. All of them have to have
/// prepared after `patience`.
///
/// # Errors
/// The shards that did not prepare in time; then nothing has changed.
pub(super) async fn swap(
    shards: &[Sender<ShardCommand>],
    snapshot: &Arc<Snapshot>,
    doors: Vec<Vec<Door>>,
    patience: Duration,
) -> Result<(), BTreeSet<usize>> {
    let deadline = Instant::now() + patience;
    let (ready, answers) = flume::unbounded();
    let mut silent: BTreeSet<usize> = (0..shards.len()).collect();
    let prepare = doors.into_iter().map(|doors| ShardCommand::Prepare {
        snapshot: Arc::clone(snapshot),
        doors,
        ready: ready.clone(),
    });
    // A shard that has no room for it in time will not answer either.
    tell(shards, prepare, Some(deadline)).await;
    drop(ready);
    while !silent.is_empty()
        && let Ok(Ok(shard)) = timeout_at(deadline, answers.recv_async()).await
    {
        silent.remove(&shard);
    }
    if !silent.is_empty() {
        // Whatever they have prepared, or will when they come to it.
        control::tell(shards, || ShardCommand::Abort);
        return Err(silent);
    }
    let generation = snapshot.generation;
    // One that has ended need not know; one that has prepared has room again in a moment.
    let commit = shards.iter().map(|_| ShardCommand::Commit { generation });
    tell(shards, commit, None).await;
    Ok(())
}

/// Sends each shard its command, to all of them at once: who has no room keeps nobody waiting. Who
/// has none until then is not told.
async fn tell(
    shards: &[Sender<ShardCommand>],
    commands: impl Iterator<Item = ShardCommand>,
    until: Option<Instant>,
) {
    let mut sending = JoinSet::new();
    for (shard, command) in shards.iter().zip(commands) {
        let shard = shard.clone();
        sending.spawn_local(async move { shard.send_async(command).await.is_ok() });
    }
    let all = async { while sending.join_next().await.is_some() {} };
    match until {
        None => all.await,
        Some(until) => {
            let _in_time = timeout_at(until, all).await;
            sending.shutdown().await;
        }
    }
}

#[cfg(test)]
#[path = "swap_tests.rs"]
mod tests;
