//! The bell that tells a shard's tasks to finish.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Rung once; whoever waits is woken, whoever comes later does not wait.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// What `future` gives, or `None` when the bell rings first.
    pub(super) async fn or<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if self.rung.get() {
                return Poll::Ready(None);
            }
            // A task waits again and again (a listener, for each connection it accepts), but is
            // listed once.
            let mut waiting = self.waiting.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}
