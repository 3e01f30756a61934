//! Work that takes as long as a configuration or a cluster is large, beside the control thread:
//! meanwhile the admin interface answers, health is checked and leases are renewed. And tasks that
//! must not outlive who needs them.

use std::future::pending;
use std::panic::resume_unwind;

use tokio::task::{JoinHandle, spawn_blocking};

/// A task that ends with this.
#[derive(Debug)]
pub(super) struct Task(pub(super) JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What `work` gives, which is done on a thread of its own. Its panic is one of the control thread.
pub(super) async fn aside<T, Work>(work: Work) -> T
where
    T: Send + 'static,
    Work: FnOnce() -> T + Send + 'static,
{
    match spawn_blocking(work).await.map_err(|it| it.try_into_panic()) {
        Ok(done) => done,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime ends, and nobody waits any more.
        Err(Err(_never_begun)) => pending().await,
    }
}
