//! Recycled storage for the busy part of a connection's future.
//!
//! A connection that waits for its next request should cost a few hundred bytes; one that runs an
//! exchange needs kilobytes of state. So the busy part is a future of its own, which lives in a
//! [`Place`] that goes back to the shard when the connection is idle again. It never ends, but
//! takes one input after the other: to set a new future into a place would copy all those kilobytes
//! for each request, of which most say nothing yet.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// Storage for a running future that turns one `In` after the other into an `Out`.
pub(super) struct Place<In, Out> {
    inbox: Rc<Inbox<In, Out>>,
    running: Pin<Box<dyn Future<Output = Infallible>>>,
}

/// Where the future of a place gets what it works on, and leaves what came of it.
pub(super) struct Inbox<In, Out> {
    input: Cell<Option<In>>,
    output: Cell<Option<Out>>,
}

impl<In: 'static, Out: 'static> Place<In, Out> {
    /// Storage for what `run` gives: it answers each [`Inbox::next`] by one [`Inbox::answer`].
    pub(super) fn new<F>(run: fn(Rc<Inbox<In, Out>>) -> F) -> Self
    where
        F: Future<Output = Infallible> + 'static,
    {
        let inbox = Rc::new(Inbox {
            input: Cell::new(None),
            output: Cell::new(None),
        });
        Self {
            running: Box::pin(run(Rc::clone(&inbox))),
            inbox,
        }
    }

    /// Has `input` turned into its output. A place whose run was given up is of no more use: it
    /// still works on that.
    pub(super) async fn run(&mut self, input: In) -> Out {
        self.inbox.input.set(Some(input));
        poll_fn(|cx| {
            let Poll::Pending = self.running.as_mut().poll(cx);
            self.inbox.output.take().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl<In, Out> Inbox<In, Out> {
    /// The next input. Nobody has to be woken for it: whoever brings one polls the
    /// future.
    pub(super) async fn next(&self) -> In {
        poll_fn(|_| self.input.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// What came of the last input, which is dropped by now.
    pub(super) fn answer(&self, output: Out) {
        self.output.set(Some(output));
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_place_answers_one_after_the_other() {
        let mut place = Place::new(|inbox: Rc<Inbox<u32, u32>>| async move {
            loop {
                let number = inbox.next().await;
                inbox.answer(number + 1);
            }
        });
        let mut cx = Context::from_waker(Waker::noop());
        for number in [1, 2, 3] {
            let mut run = std::pin::pin!(place.run(number));
            assert_eq!(run.as_mut().poll(&mut cx), Poll::Ready(number + 1));
        }
    }
}
