//! Waiting on this shard: deadlines, sleeps, new tasks.
//!
//! Two kinds of time: a [`Timer`] is a deadline that rarely passes and is moved often, so it is
//! coarse and moving it is free; a sleep is meant to pass, so it is exact. Both end with the
//! driver's batch, whose clock is read once and is never ahead of the real one.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::clock::{self, Instant};
use super::driver::timer::{self, TimerKey};
use super::driver::{self, Driver};

/// The armed deadline passed before the guarded future was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// A deadline that can be moved at no cost. It fires up to `limits::TIMER_GRAIN` late, never
/// early. Disarmed when new.
#[derive(Debug)]
pub struct Timer {
    driver: Rc<Driver>,
    key: TimerKey,
}

impl Timer {
    /// A disarmed timer.
    #[expect(
        clippy::new_without_default,
        reason = "it belongs to a shard, which Default hides"
    )]
    pub fn new() -> Self {
        let driver = driver::current();
        let key = driver.timers.borrow_mut().insert();
        Self { driver, key }
    }

    /// Set the deadline, in place of the one before.
    pub fn arm(&self, at: Instant) {
        self.arm_exact(timer::coarse(at));
    }

    /// As [`Timer::arm`], but to the kernel's timer slack: for a deadline that is meant to pass.
    pub fn arm_exact(&self, at: Instant) {
        self.driver.timers.borrow_mut().arm(self.key, at);
    }

    /// Never fire, until armed again.
    pub fn disarm(&self) {
        self.arm_exact(Instant::NEVER);
    }

    /// Ready when the deadline has passed, and stays so until it is moved.
    pub fn poll_elapsed(&self, cx: &Context<'_>) -> Poll<()> {
        // The batch's clock is never ahead of the real one, so nothing fires early.
        let mut timers = self.driver.timers.borrow_mut();
        let elapsed = timers.elapsed(self.key, clock::recent(), cx.waker());
        if elapsed {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// What `future` gives, or [`Elapsed`] when the armed deadline passes first. The clock is not
    /// read when the future is ready at once.
    pub async fn guard<F: Future>(&self, future: F) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.poll_elapsed(cx).map(|()| Err(Elapsed))
        })
        .await
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.driver.timers.borrow_mut().remove(self.key);
    }
}

/// Wait until `at`, exactly: to the kernel's timer slack (50 us) and what the shard is busy with.
pub async fn sleep_until(at: Instant) {
    let timer = Timer::new();
    timer.arm_exact(at);
    poll_fn(|cx| timer.poll_elapsed(cx)).await;
}

/// Wait for `duration`, as exactly as [`sleep_until`].
pub async fn sleep(duration: Duration) {
    sleep_until(clock::now() + duration).await;
}

/// Run `future` as a task of this shard until it is done. A panic in it ends only the task.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    driver::current().tasks.spawn(Box::pin(future));
}

/// End this shard at the end of the batch: tasks that are not done are dropped.
pub fn stop() {
    driver::current().stopping.set(true);
}

/// Drop every task of this shard but the one that calls: what they hold is released now.
pub fn end_other_tasks() {
    driver::current().tasks.end_others();
}

/// Tasks of this shard that ended by a panic since this was asked last.
pub fn take_task_panics() -> u64 {
    driver::current().tasks.take_panics()
}

/// Let the other tasks that are ready run first.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
