//! Recycled storage for the busy part of a connection's future.
//!
//! A connection that waits for its next request should cost a few hundred bytes; one that runs an
//! exchange needs kilobytes of state. So the busy part is a future of its own, which lives in a
//! [`Place`] that goes back to the shard when the connection is idle again. Setting a new future
//! into a place allocates nothing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Storage for one running future that turns an `In` into an `Out`.
pub(super) struct Place<In, Out>(Box<dyn Run<In, Out>>);

impl<In: 'static, Out: 'static> Place<In, Out> {
    /// Storage for the futures that `make` gives. It is known by its type, so that it is inlined
    /// and a future is made where it will lie: a copy is 3 KiB.
    pub(super) fn new<F>(make: impl Fn(In) -> F + 'static) -> Self
    where
        F: Future<Output = Out> + 'static,
    {
        Self(Box::new(Storage {
            make,
            future: Box::pin(None),
        }))
    }

    /// Runs the future for `input` to its end.
    pub(super) async fn run(&mut self, input: In) -> Out {
        self.0.begin(input);
        poll_fn(|cx| self.0.poll(cx)).await
    }
}

/// What is needed of a [`Storage`], whose future has no name.
trait Run<In, Out> {
    fn begin(&mut self, input: In);
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Out>;
}

struct Storage<M, F> {
    make: M,
    future: Pin<Box<Option<F>>>,
}

impl<In, F: Future, M: Fn(In) -> F> Run<In, F::Output> for Storage<M, F> {
    fn begin(&mut self, input: In) {
        let future = (self.make)(input);
        self.future.as_mut().set(Some(future));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = self.future.as_mut().as_pin_mut() else {
            debug_assert!(false, "polled after its end");
            return Poll::Pending;
        };
        let polled = future.poll(cx);
        if polled.is_ready() {
            self.future.as_mut().set(None);
        }
        polled
    }
}

/// Free things of one kind, kept for the next who needs one.
pub(super) struct Spares<T> {
    free: RefCell<Vec<T>>,
    max: usize,
}

impl<T> Spares<T> {
    /// Keeps at most `max`.
    pub(super) const fn new(max: usize) -> Self {
        Self {
            free: RefCell::new(Vec::new()),
            max,
        }
    }

    /// A kept one, or one that `make` makes.
    pub(super) fn take(&self, make: impl FnOnce() -> T) -> T {
        let kept = self.free.borrow_mut().pop();
        kept.unwrap_or_else(make)
    }

    /// Keeps one, if there is room.
    pub(super) fn put(&self, spare: T) {
        let mut free = self.free.borrow_mut();
        if free.len() < self.max {
            free.push(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_place_runs_one_future_after_the_other() {
        let mut place = Place::new(|number: u32| async move { number + 1 });
        let mut cx = Context::from_waker(Waker::noop());
        for number in [1, 2, 3] {
            let mut run = std::pin::pin!(place.run(number));
            assert_eq!(run.as_mut().poll(&mut cx), Poll::Ready(number + 1));
        }
    }

    #[test]
    fn spares_are_bounded() {
        let spares = Spares::new(1);
        spares.put('a');
        spares.put('b');
        assert_eq!(spares.take(|| 'c'), 'a');
        assert_eq!(spares.take(|| 'c'), 'c');
    }
}
