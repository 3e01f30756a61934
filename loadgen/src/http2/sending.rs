//! What a connection sends: heads, content as far as the windows allow, trailers, resets.
//!
//! Frames gather in the connection until its owner takes them ([`Connection::take_output`]). The
//! bytes of content stay with the owner: [`Connection::next_piece`] writes the head of a DATA frame
//! and says which bytes must follow it, so that they can be sent from where they lie.

use super::connection::Connection;
use super::frame::{self, Kind, flag};
use super::streams::{Incoming, Outgoing};
use super::{ErrorCode, FRAME_BYTES_MAX, Fault};

/// The highest id of a stream (RFC 9113 §5.1.1).
const ID_MAX: u32 = (1 << 31) - 1;

/// Bytes of content that must be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The stream whose content it is.
    pub key: usize,
    /// Where in the content they begin.
    pub offset: u64,
    /// How many they are.
    pub length: usize,
    /// Is the content complete with them?
    pub last: bool,
}

impl<T: Default> Connection<T> {
    /// May a request be sent now? §5.1.2: not more at a time than the peer takes; §6.8: none after
    /// it has said that it leaves.
    pub(crate) fn may_open(&self) -> bool {
        self.is_greeted() && !self.is_leaving() && self.streams.len() < self.streams_max()
    }

    /// Streams that the peer takes at a time.
    pub(crate) const fn streams_max(&self) -> usize {
        self.peer.streams_max as usize
    }

    /// Can no more streams be opened, now or later: the peer leaves, or ids are used up?
    pub(crate) const fn is_leaving(&self) -> bool {
        self.leaving.is_some() || self.highest >= ID_MAX - 2
    }

    /// Streams that were not let go.
    pub(crate) fn open_count(&self) -> usize {
        self.streams.len()
    }

    /// What the owner keeps with a stream.
    pub(crate) fn owned(&mut self, key: usize) -> Option<&mut T> {
        self.streams.get_mut(key).map(|stream| &mut stream.owned)
    }

    /// The id of a stream.
    pub(crate) fn id(&self, key: usize) -> Option<u32> {
        self.streams.get(key).map(|stream| stream.id)
    }

    /// Lets the streams above `last` go without a word: the peer leaves and has not looked at them
    /// (§6.8), or the connection is over. Gives what was kept with them.
    pub(crate) fn drop_above(&mut self, last: u32) -> Vec<T> {
        let above = self.streams.iter().filter(|(_, stream)| stream.id > last);
        let keys: Vec<usize> = above.map(|(key, _)| key).collect();
        let mut dropped = Vec::with_capacity(keys.len());
        for key in keys {
            self.forget_content(key);
            self.ready.retain(|&ready| ready != key);
            dropped.extend(self.streams.remove(key).map(|stream| stream.owned));
        }
        dropped
    }

    /// Sends the head of a request, with `content` bytes to follow; `is_head` when the method is
    /// HEAD. The caller has asked [`Connection::may_open`].
    pub(crate) fn open(&mut self, block: &[u8], content: u64, is_head: bool, owned: T) -> usize {
        // Clients open odd streams (§5.1.1); 1 is the first.
        let id = if self.highest == 0 {
            1
        } else {
            self.highest + 2
        };
        self.highest = id;
        let key = self.insert(id, owned, Outgoing::Head);
        if let Some(stream) = self.streams.get_mut(key) {
            stream.bodiless = is_head;
        }
        self.push_message(key, id, block, content, false);
        key
    }

    /// Sends the head of an answer, with `content` bytes and perhaps trailers to follow.
    pub(crate) fn answer(&mut self, key: usize, block: &[u8], content: u64, trailers: bool) {
        let head = self
            .streams
            .get(key)
            .filter(|stream| stream.outgoing == Outgoing::Head);
        if let Some(id) = head.map(|stream| stream.id) {
            self.push_message(key, id, block, content, trailers);
        }
    }

    fn push_message(&mut self, key: usize, id: u32, block: &[u8], left: u64, trailers: bool) {
        let outgoing = match (left, trailers) {
            (0, false) => Outgoing::Ended,
            (0, true) => Outgoing::Trailers,
            _ => Outgoing::Content {
                sent: 0,
                left,
                trailers,
            },
        };
        let ends = outgoing == Outgoing::Ended;
        frame::push_block(&mut self.out, id, block, ends, self.peer.frame_bytes_max);
        if left > 0 {
            self.ready.push_back(key);
        }
        if let Some(stream) = self.streams.get_mut(key) {
            stream.outgoing = outgoing;
        }
    }

    /// Sends the trailers of an answer that was announced with them.
    pub(crate) fn trailers(&mut self, key: usize, block: &[u8]) {
        let waiting = |outgoing| outgoing == Outgoing::Trailers;
        let stream = self.streams.get_mut(key);
        if let Some(stream) = stream.filter(|stream| waiting(stream.outgoing)) {
            stream.outgoing = Outgoing::Ended;
            let most = self.peer.frame_bytes_max;
            frame::push_block(&mut self.out, stream.id, block, true, most);
        }
    }

    /// Writes the head of the next DATA frame, of at most `most` bytes, and says what must follow
    /// it at once; `None` when there is no content or no window is open. Streams take turns.
    pub(crate) fn next_piece(&mut self, most: usize) -> Option<Piece> {
        let most = most.min(self.peer.frame_bytes_max).min(4 * FRAME_BYTES_MAX);
        while let Some(&key) = self.ready.front() {
            if self.send.allows(most) == 0 {
                return None;
            }
            self.ready.pop_front();
            let Some(stream) = self.streams.get_mut(key) else {
                continue;
            };
            let Outgoing::Content {
                sent,
                left,
                trailers,
            } = stream.outgoing
            else {
                continue;
            };
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(most);
            // A stream whose own window is shut comes back with its WINDOW_UPDATE (§6.9).
            let length = stream.send.allows(self.send.allows(wanted));
            if length == 0 {
                continue;
            }
            stream.send.sent(length);
            self.send.sent(length);
            let after = left - length as u64;
            stream.outgoing = match (after, trailers) {
                (0, true) => Outgoing::Trailers,
                (0, false) => Outgoing::Ended,
                (left, _) => Outgoing::Content {
                    sent: sent + length as u64,
                    left,
                    trailers,
                },
            };
            let ends = stream.outgoing == Outgoing::Ended;
            let flags = if ends { flag::END_STREAM } else { 0 };
            frame::push_head(&mut self.out, Kind::Data, flags, stream.id, length);
            if after > 0 {
                self.ready.push_back(key);
            }
            return Some(Piece {
                key,
                offset: sent,
                length,
                last: after == 0,
            });
        }
        None
    }

    /// Lets a stream go; gives what was kept with it. If either side is not done with it, it is
    /// reset with `code`.
    pub(crate) fn finish(&mut self, key: usize, code: ErrorCode) -> Option<T> {
        let stream = self.streams.remove(key)?;
        self.forget_content(key);
        if !self.ready.is_empty() {
            self.ready.retain(|&ready| ready != key);
        }
        if stream.outgoing != Outgoing::Ended || stream.incoming != Incoming::Ended {
            self.push_reset(stream.id, code);
        }
        Some(stream.owned)
    }

    pub(super) fn push_reset(&mut self, id: u32, code: ErrorCode) {
        self.reset = self.reset.max(id);
        frame::push_numbers(&mut self.out, Kind::Reset, id, &[code as u32]);
    }

    /// Says that we leave: requests that have come are answered, others are not (§6.8).
    pub(crate) fn leave(&mut self) {
        self.push_go_away(ErrorCode::NoError);
    }

    /// Says why the connection is over (§5.4.1).
    pub(crate) fn fail(&mut self, fault: &Fault) {
        self.push_go_away(fault.code);
    }

    fn push_go_away(&mut self, code: ErrorCode) {
        // A client has looked at no stream of the peer, as it may open none.
        let last = if self.is_client() { 0 } else { self.highest };
        frame::push_numbers(&mut self.out, Kind::GoAway, 0, &[last, code as u32]);
    }

    /// Is there anything to send?
    pub(crate) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Where the owner appends the bytes of a small piece.
    pub(crate) const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Moves what is to be sent to the end of `to`.
    pub(crate) fn take_output(&mut self, to: &mut Vec<u8>) {
        to.append(&mut self.out);
    }
}
