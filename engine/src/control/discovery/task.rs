//! A task of the control thread that ends with its owner.

use tokio::task::{JoinHandle, spawn_local};

/// Ends its task when it is dropped.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    /// Begins `work`. Inside a `LocalSet`.
    pub(super) fn start(work: impl Future<Output = ()> + 'static) -> Self {
        Self(spawn_local(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
