//! One open HTTP/2 connection of the generator: the wire, and the protocol's state over it.
//!
//! Sends requests and their content, gives events. What is written leaves with
//! [`Link::flush`], once for a batch; content follows as far as the peer's windows and the socket's
//! queue have room.

use std::io::Result;
use std::task::{Context, Poll, ready};

use engine::io::Buf;

use crate::grpc::{self, PREFIX_BYTES};
use crate::http2::connection::{Connection, Role};
use crate::http2::frame::Frames;
use crate::http2::{ErrorCode, Fault};
use crate::traffic::Exchange;
use crate::transport::Wire;

/// Bytes queued on the wire beyond which no content is added, and nothing is read: the answers to
/// a peer's PINGs must not pile up when it does not take them.
const QUEUED_BYTES_MAX: usize = 256 * 1024;
/// Pieces up to this length are copied behind the head of their frame: cheaper than a run of bytes
/// of their own.
const COPIED_BYTES_MAX: usize = 2048;

/// An open connection; each stream keeps the number of its lane.
#[derive(Debug)]
pub(super) struct Link {
    /// Tells it from the connections before it.
    pub number: u64,
    /// Requests that it still gets.
    pub left: u64,
    /// The state of the protocol.
    pub connection: Connection<usize>,
    /// Cuts what is received.
    pub frames: Frames,
    wire: Wire,
    /// The queue was too long when it was looked at last.
    is_full: bool,
    /// The field block that is written at the moment.
    block: Vec<u8>,
}

impl Link {
    /// Begins to speak HTTP/2, for so many requests.
    pub(super) fn new(number: u64, wire: Wire, left: u64) -> Self {
        let mut link = Self {
            number,
            left,
            connection: Connection::new(Role::Client),
            frames: Frames::default(),
            wire,
            is_full: false,
            block: Vec::new(),
        };
        link.flush();
        link
    }

    /// Sends a request on a stream of its own; its key.
    pub(super) fn open(&mut self, exchange: &Exchange<'_>, lane: usize) -> usize {
        self.left = self.left.saturating_sub(1);
        self.block.clear();
        exchange.write_block(&mut self.block);
        let request = exchange.request;
        let prefix = if request.is_call { PREFIX_BYTES } else { 0 };
        let length = (prefix + exchange.body.len()) as u64;
        self.connection
            .open(&self.block, length, request.is_head, lane)
    }

    /// Sends content as far as there is room; `exchange` gives what a lane sends.
    pub(super) fn pump<'a>(&mut self, exchange: impl Fn(usize) -> Option<Exchange<'a>>) {
        while self.has_room()
            && let Some(piece) = self.connection.next_piece(usize::MAX)
        {
            let lane = self.connection.owned(piece.key).map(|lane| *lane);
            let Some(exchange) = lane.and_then(&exchange) else {
                return;
            };
            let mut offset = usize::try_from(piece.offset).unwrap_or(usize::MAX);
            let mut length = piece.length;
            if exchange.request.is_call {
                let prefix = grpc::prefix(exchange.body.len());
                let begun = &prefix[offset.min(PREFIX_BYTES)..];
                let part = &begun[..begun.len().min(length)];
                self.connection.output().extend_from_slice(part);
                length -= part.len();
                offset = (offset + part.len()).saturating_sub(PREFIX_BYTES);
            }
            self.push(exchange.body, offset, length);
        }
        self.is_full = !self.has_room();
    }

    /// Sends `length` bytes of `bytes` from `offset` on.
    fn push(&mut self, mut bytes: Buf, offset: usize, length: usize) {
        bytes.advance(offset);
        bytes.truncate(length);
        if bytes.len() <= COPIED_BYTES_MAX {
            self.connection.output().extend_from_slice(&bytes);
        } else {
            self.flush();
            self.wire.push(bytes);
        }
    }

    /// Is the queue short enough to add to it?
    fn has_room(&self) -> bool {
        self.wire.queued() <= QUEUED_BYTES_MAX
    }

    /// Hands what was written to the wire.
    pub(super) fn flush(&mut self) {
        if self.connection.has_output() {
            let connection = &mut self.connection;
            self.wire.write(|out| connection.take_output(out));
        }
    }

    /// Lets TLS seal what was handed to it.
    pub(super) fn seal(&self) {
        self.wire.flush();
    }

    /// Ready with what was received, or with `None` when a full queue has become short.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Option<Buf>>>> {
        if !self.is_full {
            return self.wire.poll_recv(cx).map(Some);
        }
        let drained = ready!(self.wire.poll_drained(cx, QUEUED_BYTES_MAX / 2));
        self.is_full = false;
        Poll::Ready(drained.err().map(Err))
    }

    /// Gives a request up.
    pub(super) fn cancel(&mut self, key: usize) {
        self.connection.finish(key, ErrorCode::Cancel);
    }

    /// Says goodbye: why the connection is over, or that nothing more is wanted.
    pub(super) fn part(mut self, fault: Option<&Fault>) {
        match fault {
            Some(fault) => self.connection.fail(fault),
            None => self.connection.leave(),
        }
        self.flush();
        self.seal();
    }
}
