//! A swap over mailboxes that answer, late or never.

use flume::Receiver;
use tokio::task::{LocalSet, spawn_local};

use super::*;
use crate::config;

/// Long enough for a shard that answers, on any machine that runs the tests.
const PATIENCE: Duration = Duration::from_secs(2);

fn snapshot(generation: u64) -> Arc<Snapshot> {
    let mut snapshot = Snapshot::compile(&config::embedded()).expect("it compiles");
    snapshot.generation = generation;
    Arc::new(snapshot)
}

/// Runs on a thread as the control thread is one.
fn on_control_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    LocalSet::new().block_on(&runtime.expect("a runtime"), test);
}

/// A shard that answers at once, and what it was told.
fn answering(number: usize) -> (Sender<ShardCommand>, Receiver<String>) {
    let (mailbox, inbox) = flume::bounded(4);
    let (told, tells) = flume::unbounded();
    spawn_local(async move {
        while let Ok(command) = inbox.recv_async().await {
            if let ShardCommand::Prepare { ready, .. } = &command {
                let _too_late = ready.send(number);
            }
            told.send(name(&command)).expect("the test lives");
        }
    });
    (mailbox, tells)
}

fn name(command: &ShardCommand) -> String {
    match command {
        ShardCommand::Prepare { snapshot, .. } => format!("prepare {}", snapshot.generation),
        ShardCommand::Commit { generation } => format!("commit {generation}"),
        ShardCommand::Abort => "abort".to_owned(),
        other => format!("{other:?}"),
    }
}

async fn next(tells: &Receiver<String>) -> String {
    let told = tokio::time::timeout(10 * PATIENCE, tells.recv_async()).await;
    told.expect("in time").expect("the shard lives")
}

fn doors(count: usize) -> Vec<Vec<Door>> {
    (0..count).map(|_| Vec::new()).collect()
}

#[test]
fn all_shards_commit_when_all_have_prepared() {
    on_control_thread(async {
        let shards = [answering(0), answering(1)];
        let mailboxes = shards.each_ref().map(|(mailbox, _)| mailbox.clone());
        let swapped = swap(&mailboxes, &snapshot(7), doors(2), PATIENCE).await;
        assert_eq!(swapped, Ok(()));
        for (_, told) in &shards {
            assert_eq!(
                (&*next(told).await, &*next(told).await),
                ("prepare 7", "commit 7")
            );
        }
    });
}

#[test]
fn a_shard_that_does_not_answer_aborts_the_swap_and_its_late_answer_is_ignored() {
    on_control_thread(async {
        let (answers, told) = answering(0);
        let (stuck, inbox) = flume::bounded(4);
        let mailboxes = [answers, stuck];
        let short = Duration::from_millis(200);
        // The one that answers may be late as well where the machine is busy.
        let silent = swap(&mailboxes, &snapshot(2), doors(2), short).await;
        assert!(silent.is_err_and(|silent| silent.contains(&1)));
        assert_eq!(
            (&*next(&told).await, &*next(&told).await),
            ("prepare 2", "abort")
        );
        // It wakes up, answers what nobody waits for any more, and finds that it is over.
        let Ok(ShardCommand::Prepare { ready, .. }) = inbox.try_recv() else {
            panic!("prepare comes first")
        };
        assert!(ready.send(1).is_err(), "nobody hears it");
        assert!(matches!(inbox.try_recv(), Ok(ShardCommand::Abort)));
        // The next generation is not mistaken for that one.
        let late = spawn_local(async move {
            let Ok(ShardCommand::Prepare { ready, .. }) = inbox.recv_async().await else {
                panic!("prepare comes first")
            };
            ready.send(1).expect("somebody waits");
            inbox.recv_async().await.map(|command| name(&command))
        });
        let swapped = swap(&mailboxes, &snapshot(2), doors(2), 10 * PATIENCE).await;
        assert_eq!(swapped, Ok(()));
        assert_eq!(
            (&*next(&told).await, &*next(&told).await),
            ("prepare 2", "commit 2")
        );
        assert_eq!(late.await.expect("it ends").as_deref(), Ok("commit 2"));
    });
}

#[test]
fn a_shard_without_room_for_a_message_does_not_keep_the_others_waiting() {
    on_control_thread(async {
        let (answers, told) = answering(1);
        let (stuck, inbox) = flume::bounded(1);
        stuck.send(ShardCommand::ReopenLog).expect("room for one");
        let short = Duration::from_millis(200);
        let silent = swap(&[stuck, answers], &snapshot(2), doors(2), short).await;
        assert!(silent.is_err_and(|silent| silent.contains(&0)));
        assert_eq!(next(&told).await, "prepare 2");
        assert_eq!(next(&told).await, "abort");
        let first = inbox.recv_async().await.map(|command| name(&command));
        assert_eq!(first.as_deref(), Ok("ReopenLog"));
        let second = inbox.recv_async().await.map(|command| name(&command));
        assert_eq!(second.as_deref(), Ok("abort"));
    });
}

#[test]
fn all_shards_prepare_while_one_has_no_room_for_the_message() {
    on_control_thread(async {
        let (answers, told) = answering(1);
        let (late, inbox) = flume::bounded(1);
        late.send(ShardCommand::ReopenLog).expect("room for one");
        let swapping = spawn_local(async move {
            swap(&[late, answers], &snapshot(2), doors(2), 10 * PATIENCE).await
        });
        assert_eq!(next(&told).await, "prepare 2");
        let first = inbox.recv_async().await.map(|command| name(&command));
        assert_eq!(first.as_deref(), Ok("ReopenLog"));
        let Ok(ShardCommand::Prepare { ready, .. }) = inbox.recv_async().await else {
            panic!("prepare comes next")
        };
        ready.send(0).expect("somebody waits");
        let committed = inbox.recv_async().await.map(|command| name(&command));
        assert_eq!(committed.as_deref(), Ok("commit 2"));
        assert_eq!(next(&told).await, "commit 2");
        assert_eq!(swapping.await.expect("it ends"), Ok(()));
    });
}
