//! The streams of a connection that are not over (RFC 9113 §5.1).
//!
//! A stream stays here until its owner lets it go, under a key that is small and used again. Ids
//! only grow, so a sorted list finds them; a few hundred streams move in no time when one leaves.

use slab::Slab;

use super::window::{ReceiveWindow, SendWindow};

/// What may still come from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// The head of the message.
    Head,
    /// Content, then perhaps trailers.
    Content,
    /// Nothing.
    Ended,
}

/// What is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// The head of the message.
    Head,
    /// Content of which `sent` bytes are out and `left` are not, then perhaps trailers.
    Content {
        sent: u64,
        left: u64,
        trailers: bool,
    },
    /// Trailers.
    Trailers,
    /// Nothing.
    Ended,
}

/// One stream; `T` is what its owner keeps with it.
#[derive(Debug)]
pub(crate) struct Stream<T> {
    /// Its id.
    pub(super) id: u32,
    pub(super) owned: T,
    pub(super) incoming: Incoming,
    pub(super) outgoing: Outgoing,
    /// What the peer may send.
    pub(super) receive: ReceiveWindow,
    /// What we may send.
    pub(super) send: SendWindow,
    /// The length that the content is said to have.
    pub(super) content_length: Option<u64>,
    /// Bytes of content that came.
    pub(super) content: u64,
    /// No content may come, whatever its length is said to be: the answer to HEAD, 204, 304.
    pub(super) bodiless: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Streams<T> {
    slots: Slab<Stream<T>>,
    /// Id and key, in the order of ids.
    order: Vec<(u32, usize)>,
}

impl<T> Streams<T> {
    /// None yet.
    pub(crate) const fn new() -> Self {
        Self {
            slots: Slab::new(),
            order: Vec::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The key of the stream `id`.
    pub(crate) fn find(&self, id: u32) -> Option<usize> {
        let place = self.order.binary_search_by_key(&id, |&(id, _)| id);
        place.ok().map(|at| self.order[at].1)
    }

    /// Adds one, whose id is higher than all before.
    pub(crate) fn insert(&mut self, stream: Stream<T>) -> usize {
        let id = stream.id;
        let key = self.slots.insert(stream);
        self.order.push((id, key));
        key
    }

    /// Lets one go.
    pub(crate) fn remove(&mut self, key: usize) -> Option<Stream<T>> {
        let stream = self.slots.try_remove(key)?;
        if let Ok(at) = self.order.binary_search_by_key(&stream.id, |&(id, _)| id) {
            self.order.remove(at);
        }
        Some(stream)
    }

    /// The stream under `key`.
    pub(crate) fn get(&self, key: usize) -> Option<&Stream<T>> {
        self.slots.get(key)
    }

    /// The stream under `key`.
    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut Stream<T>> {
        self.slots.get_mut(key)
    }

    /// Each key and stream.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Stream<T>)> {
        self.slots.iter()
    }

    /// Each key and stream.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut Stream<T>)> {
        self.slots.iter_mut()
    }
}
