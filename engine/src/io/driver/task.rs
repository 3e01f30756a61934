//! Tasks of one shard: a slab of futures, a queue of those that can go on, and their wakers.
//!
//! A waker is an ordinary [`Waker`]. Woken on its own shard it costs a flag and a push to a
//! thread-local queue; woken from another thread it goes through a locked queue and an eventfd
//! that the shard's ring watches. A task that panics is dropped, and with it its connection; the
//! shard goes on and counts it.

#![expect(
    clippy::disallowed_types,
    reason = "locked only when another thread wakes a task"
)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use rustix::event::{EventfdFlags, eventfd};
use slab::Slab;

/// How many polls one batch may take before queued bytes leave and completions are collected.
const BATCH_POLLS: usize = 4096;

type TaskKey = u32;

/// A task of a shard: never sent to another thread.
pub(crate) type TaskFuture = Pin<Box<dyn Future<Output = ()>>>;

thread_local! {
    /// Which shard this thread is; 0 = none. Wakers compare it to choose their queue.
    static SHARD: Cell<u64> = const { Cell::new(0) };
    static READY: RefCell<VecDeque<TaskKey>> = const { RefCell::new(VecDeque::new()) };
}

/// Wake-ups that come from other threads.
#[derive(Debug)]
pub(crate) struct Remote {
    #[expect(
        clippy::disallowed_types,
        reason = "taken only when another thread wakes a task"
    )]
    woken: Mutex<Vec<TaskKey>>,
    eventfd: OwnedFd,
}

impl Remote {
    fn new() -> std::io::Result<Self> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            woken: Mutex::default(),
            eventfd,
        })
    }

    pub(crate) fn eventfd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    fn push(&self, task: TaskKey) {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        woken.push(task);
        if woken.len() == 1 {
            self.ring();
        }
    }

    /// Have the ring tell of it, behind what it has to tell already.
    pub(crate) fn ring(&self) {
        // The count can only be too large to add to when a wake-up is pending already.
        let _ = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
    }

    /// Move what other threads woke to this shard's queue.
    pub(crate) fn collect(&self) {
        let _ = rustix::io::read(&self.eventfd, &mut [0_u8; 8]);
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        READY.with_borrow_mut(|ready| ready.extend(woken.drain(..)));
    }
}

#[derive(Debug)]
struct TaskWaker {
    shard: u64,
    task: TaskKey,
    /// Already in a queue; cleared just before the task is polled.
    queued: AtomicBool,
    remote: Arc<Remote>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        if SHARD.get() == self.shard {
            READY.with_borrow_mut(|ready| ready.push_back(self.task));
        } else {
            self.remote.push(self.task);
        }
    }
}

struct Task {
    /// `None` while it is being polled.
    future: Option<TaskFuture>,
    waker: Waker,
    shared: Arc<TaskWaker>,
}

/// The tasks of the shard that made it.
pub(crate) struct Tasks {
    slots: RefCell<Slab<Task>>,
    shard: u64,
    remote: Arc<Remote>,
    panics: Cell<u64>,
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tasks")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl Tasks {
    /// Make this thread a shard.
    pub(crate) fn new() -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let shard = NEXT.fetch_add(1, Ordering::Relaxed);
        SHARD.set(shard);
        READY.with_borrow_mut(VecDeque::clear);
        Ok(Self {
            slots: RefCell::default(),
            shard,
            remote: Arc::new(Remote::new()?),
            panics: Cell::new(0),
        })
    }

    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Count a panic that ended a connection outside of its task.
    pub(crate) fn count_panic(&self) {
        self.panics.set(self.panics.get() + 1);
    }

    /// Tasks that ended by a panic since this was asked last.
    pub(crate) fn take_panics(&self) -> u64 {
        self.panics.take()
    }

    pub(crate) fn spawn(&self, future: TaskFuture) {
        let mut slots = self.slots.borrow_mut();
        let entry = slots.vacant_entry();
        let shared = Arc::new(TaskWaker {
            shard: self.shard,
            task: TaskKey::try_from(entry.key()).unwrap_or(TaskKey::MAX),
            queued: AtomicBool::new(false),
            remote: Arc::clone(&self.remote),
        });
        let waker = Waker::from(Arc::clone(&shared));
        entry.insert(Task {
            future: Some(future),
            waker,
            shared: Arc::clone(&shared),
        });
        shared.wake_by_ref();
    }

    /// Whether a task could go on now.
    pub(crate) fn ready(&self) -> bool {
        READY.with_borrow(|ready| !ready.is_empty())
    }

    /// Poll what is ready, and what that makes ready, up to the bound of a batch.
    pub(crate) fn run(&self) {
        for _ in 0..BATCH_POLLS {
            let Some(task) = READY.with_borrow_mut(VecDeque::pop_front) else {
                return;
            };
            self.poll(task);
        }
    }

    fn poll(&self, task: TaskKey) {
        let Some((mut future, waker)) = self.begin(task) else {
            return;
        };
        // The waker is borrowed from outside the slab: the task may spawn, which moves the slab.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        }));
        match polled {
            Ok(Poll::Pending) => {
                if let Some(slot) = self.slots.borrow_mut().get_mut(task as usize) {
                    slot.future = Some(future);
                    slot.waker = waker;
                }
            }
            Ok(Poll::Ready(())) => self.end(task, future),
            Err(_) => {
                self.panics.set(self.panics.get() + 1);
                self.end(task, future);
            }
        }
    }

    fn begin(&self, task: TaskKey) -> Option<(TaskFuture, Waker)> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(task as usize)?;
        slot.shared.queued.store(false, Ordering::Release);
        let future = slot.future.take()?;
        Some((
            future,
            std::mem::replace(&mut slot.waker, Waker::noop().clone()),
        ))
    }

    /// Drops run outside the borrow (they may touch the slab), and a panic in one stays here.
    fn end(&self, task: TaskKey, future: TaskFuture) {
        let slot = self.slots.borrow_mut().try_remove(task as usize);
        self.discard((slot, future));
    }

    fn discard(&self, task: impl Sized) {
        if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
            self.panics.set(self.panics.get() + 1);
        }
    }

    /// Drop all tasks but the one that is being polled, whose future is not in its slot.
    pub(crate) fn end_others(&self) {
        let mut slots = self.slots.borrow_mut();
        let others: Vec<usize> = slots
            .iter()
            .filter_map(|(key, task)| task.future.is_some().then_some(key))
            .collect();
        let others: Vec<Task> = others
            .into_iter()
            .filter_map(|key| slots.try_remove(key))
            .collect();
        drop(slots);
        for task in others {
            self.discard(task);
        }
    }

    /// Drop all tasks. For the end of a shard.
    pub(crate) fn clear(&self) {
        for (_, task) in self.slots.take() {
            self.discard(task);
        }
        READY.with_borrow_mut(VecDeque::clear);
        SHARD.set(0);
    }
}
