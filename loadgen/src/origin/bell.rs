//! Ending tasks of a shard from outside: a bell that many tasks can wait for.
//!
//! [`Bell`] is rung once. A task takes a [`Seat`] and runs a future under it; when the bell rings,
//! the future is abandoned and dropped. A seat costs one slot for the task's life, and nothing per
//! poll as long as the task's waker stays the same. One shard only; not `Send`.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use slab::Slab;

/// The bell.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Cell<bool>,
    seats: RefCell<Slab<Option<Waker>>>,
}

impl Bell {
    /// A bell that has not rung.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self::default())
    }

    /// Has it rung?
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.get()
    }

    /// Rings it: every future under a seat is abandoned at its task's next turn.
    pub(crate) fn ring(&self) {
        self.rung.set(true);
        // Waking may run code that takes or leaves a seat, so the slots are not held meanwhile.
        let wakers: Vec<Waker> = self
            .seats
            .borrow_mut()
            .iter_mut()
            .filter_map(|(_, waker)| waker.take())
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A seat for the calling task.
    pub(crate) fn seat(self: &Rc<Self>) -> Seat {
        Seat {
            bell: Rc::clone(self),
            key: self.seats.borrow_mut().insert(None),
        }
    }
}

/// One task's place among those that hear the bell.
#[derive(Debug)]
pub(crate) struct Seat {
    bell: Rc<Bell>,
    key: usize,
}

impl Seat {
    /// Runs `future` until it is ready or, `None`, until the bell has rung.
    pub(crate) async fn until<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if self.bell.is_rung() {
                return Poll::Ready(None);
            }
            self.listen(cx.waker());
            future.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn listen(&self, waker: &Waker) {
        if let Some(slot) = self.bell.seats.borrow_mut().get_mut(self.key) {
            match slot {
                Some(known) if known.will_wake(waker) => {}
                _ => *slot = Some(waker.clone()),
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.bell.seats.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_rung_bell_wakes_every_seat_and_ends_its_future() {
        let (bell, wakes) = (Bell::new(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let (one, two) = (bell.seat(), bell.seat());
        let mut first = Box::pin(one.until(std::future::pending::<()>()));
        let mut second = Box::pin(two.until(std::future::pending::<()>()));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        bell.ring();
        assert_eq!(wakes.0.load(Ordering::Relaxed), 2);
        assert_eq!(first.as_mut().poll(&mut cx), Poll::Ready(None));
        assert_eq!(second.as_mut().poll(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_future_that_is_ready_gives_its_value_and_frees_its_seat() {
        let bell = Bell::new();
        let mut cx = Context::from_waker(Waker::noop());
        let seat = bell.seat();
        let mut ready = Box::pin(seat.until(async { 7 }));
        assert_eq!(ready.as_mut().poll(&mut cx), Poll::Ready(Some(7)));
        drop(ready);
        drop(seat);
        assert!(bell.seats.borrow().is_empty());
    }
}
