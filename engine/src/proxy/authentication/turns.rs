//! Whose password is verified next.
//!
//! All shards share one thread for passwords and its queue. Each lets only a few of one client into
//! it at a time; the others wait here, first in, first out, within the patience that every password
//! has. So a client that tries many passwords fills its own line: somebody else's waits behind a
//! few of them, and a site whose users come from one address has the thread to itself while nobody
//! else asks.
//!
//! Invariant: a turn that is given back goes to who has waited longest; a wait that is given up
//! hands on the turn that it was given.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::config::IpNetwork;
use crate::limits;

/// The lines of one shard.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Turns {
    lines: RefCell<HashMap<Client, Line>>,
}

/// Who stands in one line: an address, or the part of it that one subscriber has; nobody in
/// particular over a Unix socket.
type Client = Option<IpAddr>;

#[derive(Debug, Default)]
struct Line {
    active: usize,
    waiting: VecDeque<Rc<Ticket>>,
}

#[derive(Debug, Default)]
struct Ticket {
    is_called: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// The right to have one password verified, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    client: Client,
}

/// A place in a line.
struct Wait<'a> {
    turns: &'a Turns,
    client: Client,
    ticket: Rc<Ticket>,
}

impl Turns {
    /// A turn of `client`, as soon as it is there; `None` when too many of it wait.
    pub(super) async fn take(&self, client: Option<IpAddr>) -> Option<Turn<'_>> {
        let client = client.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            address @ IpAddr::V6(_) => IpNetwork::of(address, limits::SUBSCRIBER_BITS).address(),
        });
        let turn = || Turn {
            turns: self,
            client,
        };
        let wait = {
            let mut lines = self.lines.borrow_mut();
            let line = lines.entry(client).or_default();
            if line.active < limits::PASSWORDS_PER_CLIENT {
                line.active = line.active.saturating_add(1);
                return Some(turn());
            }
            if line.waiting.len() >= limits::PASSWORD_QUEUE {
                return None;
            }
            let ticket = Rc::new(Ticket::default());
            line.waiting.push_back(Rc::clone(&ticket));
            Wait {
                turns: self,
                client,
                ticket,
            }
        };
        poll_fn(|cx| wait.poll(cx)).await;
        Some(turn())
    }

    fn give_back(&self, client: Client) {
        let mut lines = self.lines.borrow_mut();
        let Some(line) = lines.get_mut(&client) else {
            return;
        };
        if let Some(next) = line.waiting.pop_front() {
            next.is_called.set(true);
            let waker = next.waker.take();
            waker.into_iter().for_each(Waker::wake);
            return;
        }
        line.active = line.active.saturating_sub(1);
        if line.active == 0 {
            lines.remove(&client);
        }
    }
}

impl Wait<'_> {
    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        if self.ticket.is_called.take() {
            return Poll::Ready(());
        }
        *self.ticket.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    /// It gave up, or has its turn.
    fn drop(&mut self) {
        if self.ticket.is_called.take() {
            self.turns.give_back(self.client);
            return;
        }
        let mut lines = self.turns.lines.borrow_mut();
        if let Some(line) = lines.get_mut(&self.client) {
            line.waiting.retain(|it| !Rc::ptr_eq(it, &self.ticket));
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.give_back(self.client);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};

    use super::*;

    fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
        let mut cx = Context::from_waker(Waker::noop());
        match future.poll(&mut cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    fn address(text: &str) -> Option<IpAddr> {
        text.parse().ok()
    }

    #[test]
    fn a_client_waits_for_itself_and_nobody_else_does() {
        let turns = Turns::default();
        let one = || turns.take(address("192.0.2.1"));
        let first: Vec<_> = (0..limits::PASSWORDS_PER_CLIENT)
            .map(|_| poll(pin!(one())).flatten().expect("room"))
            .collect();
        let (mut second, mut third) = (pin!(one()), pin!(one()));
        assert!(poll(second.as_mut()).is_none() && poll(third.as_mut()).is_none());
        let other = poll(pin!(turns.take(address("192.0.2.2"))));
        assert!(other.flatten().is_some(), "another client");
        let nobody = poll(pin!(turns.take(None)));
        assert!(nobody.flatten().is_some(), "a client without an address");
        drop(first);
        let second = poll(second.as_mut()).flatten().expect("its turn");
        let third = poll(third.as_mut()).flatten().expect("its turn");
        drop((second, third));
        assert!(turns.lines.borrow().is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_turn_is_not_lost_with_who_gave_up() {
        let turns = Turns::default();
        let one = || Box::pin(turns.take(address("2001:db8::1")));
        let mut first: Vec<_> = (0..limits::PASSWORDS_PER_CLIENT)
            .map(|_| poll(one().as_mut()).flatten().expect("room"))
            .collect();
        // A subscriber's addresses are one client.
        let mut second = Box::pin(turns.take(address("2001:db8::2")));
        let (mut third, mut fourth) = (one(), one());
        for wait in [&mut third, &mut fourth] {
            assert!(poll(wait.as_mut()).is_none());
        }
        assert!(poll(second.as_mut()).is_none());
        // One gives up before it is called, one after.
        drop(fourth);
        drop(first.pop());
        drop(third);
        assert!(poll(second.as_mut()).flatten().is_some());
        drop(second);
        drop(first);
        assert!(turns.lines.borrow().is_empty());
    }

    #[test]
    fn a_line_is_bounded() {
        let turns = Turns::default();
        let mut waits: Vec<_> = (0..limits::PASSWORDS_PER_CLIENT + limits::PASSWORD_QUEUE)
            .map(|_| Box::pin(turns.take(None)))
            .collect();
        let _turns: Vec<_> = waits.iter_mut().map(|wait| poll(wait.as_mut())).collect();
        assert!(matches!(poll(pin!(turns.take(None))), Some(None)));
    }
}
