//! One generation on all shards, or on none.
//!
//! Every shard builds what it needs and says so; only when all have, they are told to use it. Until
//! then each can be told to forget it. A shard that has prepared commits without a step that could
//! fail.

use std::collections::BTreeSet;
use std::sync::Arc;

use flume::Sender;
use tokio::time::{Instant, timeout_at};

use crate::limits::PREPARE_PATIENCE;
use crate::proxy::Snapshot;
use crate::shard::{Door, ShardCommand};

/// Prepares and commits `snapshot`; each shard gets its part of `doors`.
///
/// # Errors
/// The shards that did not prepare in time; then nothing has changed.
pub(super) async fn swap(
    shards: &[Sender<ShardCommand>],
    snapshot: &Arc<Snapshot>,
    doors: Vec<Vec<Door>>,
) -> Result<(), BTreeSet<usize>> {
    let deadline = Instant::now() + PREPARE_PATIENCE;
    let (ready, answers) = flume::unbounded();
    let mut silent: BTreeSet<usize> = (0..shards.len()).collect();
    for (shard, doors) in shards.iter().zip(doors) {
        let command = ShardCommand::Prepare {
            snapshot: Arc::clone(snapshot),
            doors,
            ready: ready.clone(),
        };
        // A shard that has no room for it will not answer either.
        let _full_or_gone = timeout_at(deadline, shard.send_async(command)).await;
    }
    drop(ready);
    while !silent.is_empty()
        && let Ok(Ok(shard)) = timeout_at(deadline, answers.recv_async()).await
    {
        silent.remove(&shard);
    }
    if !silent.is_empty() {
        tell(shards, || ShardCommand::Abort).await;
        return Err(silent);
    }
    let generation = snapshot.generation;
    tell(shards, || ShardCommand::Commit { generation }).await;
    Ok(())
}

/// Tells all shards. One that has ended need not know; one that is busy has room again in a moment.
async fn tell(shards: &[Sender<ShardCommand>], command: impl Fn() -> ShardCommand) {
    for shard in shards {
        let _ended = shard.send_async(command()).await;
    }
}
