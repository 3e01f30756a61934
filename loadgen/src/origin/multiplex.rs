//! One HTTP/2 connection of the origin: requests in, answers out, many at a time.
//!
//! One task serves them all. As on HTTP/1.1, a request is read to the end of its content before its
//! delay begins, and answered as its origin draws or it wishes. A drain, or an answer that wishes
//! to close, sends GOAWAY: what has come is answered, and then the connection ends (RFC 9113 §6.8).
//!
//! gRPC calls are recognised by their content type; `call.rs` says how they are answered.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::poll_fn;
use std::io::Result;
use std::task::{Context, Poll};

use engine::io::{Buf, Instant, Timer, clock};

use super::bell::Seat;
use super::call::Call;
use super::exchange::{End, Origin, Served};
use super::plan::Reply;
use super::reply::push_decimal;
use crate::grpc;
use crate::http2::connection::{Connection, Event, Role};
use crate::http2::frame::Frames;
use crate::http2::hpack::encode::{push_field, push_made, push_named, push_status};
use crate::http2::hpack::table::name;
use crate::http2::sending::Piece;
use crate::http2::{ErrorCode, Fault};
use crate::transport::Wire;

/// Requests that a client may have open on one connection.
const STREAMS_MAX: u32 = 1000;
/// Bytes queued beyond which no content is added, and nothing is read.
const QUEUED_BYTES_MAX: usize = 512 * 1024;
/// Pieces up to this length are copied behind the head of their frame.
const COPIED_BYTES_MAX: usize = 2048;

/// One request and its answer.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// What was drawn; `None` when the request wishes what cannot be.
    reply: Option<Reply>,
    is_head: bool,
    /// When the request was whole, if requests are recorded.
    received: Option<Instant>,
    bytes: u64,
    hash: Option<crc32fast::Hasher>,
    call: Option<Call>,
    body: Body,
}

/// The content of an answer.
#[derive(Debug, Default)]
pub(super) enum Body {
    /// The beginning of the pattern.
    #[default]
    Pattern,
    /// The same as a gRPC message of this size, prefix first.
    Message(u64),
    /// These bytes.
    Own(Buf),
}

enum Wake {
    Received(Result<Option<Buf>>),
    /// An answer is due, or the queue has room.
    Other,
}

/// A connection and what is to be answered on it.
pub(super) struct Multiplex<'a> {
    origin: &'a Origin,
    wire: &'a Wire,
    pub(super) connection: Connection<Exchange>,
    frames: Frames,
    /// When the delayed answers are due: instant, stream, key.
    delayed: BinaryHeap<Reverse<(Instant, u32, usize)>>,
    due: Timer,
    /// No more requests are taken.
    left: bool,
    /// The connection is to end now, with nobody told.
    pub(super) is_broken: bool,
    /// The queue was too long when it was looked at last.
    is_full: bool,
    /// The field block that is written at the moment.
    block: Vec<u8>,
}

/// Serves one connection until it ends; `first` was received already.
pub(super) async fn serve(origin: &Origin, wire: &Wire, seat: &Seat, first: Option<Buf>) -> End {
    let role = Role::Origin {
        streams_max: STREAMS_MAX,
    };
    let mut multiplex = Multiplex {
        origin,
        wire,
        connection: Connection::new(role),
        frames: Frames::default(),
        delayed: BinaryHeap::new(),
        due: Timer::new(),
        left: false,
        is_broken: false,
        is_full: false,
        block: Vec::new(),
    };
    let mut run = first;
    loop {
        if let Some(run) = run.take()
            && let Err(fault) = multiplex.read(&run)
        {
            multiplex.connection.fail(&fault);
            multiplex.refuse();
            multiplex.flush();
            return End::Close;
        }
        multiplex.advance();
        if multiplex.is_broken {
            return End::Gone;
        }
        if multiplex.left && multiplex.connection.open_count() == 0 {
            return End::Close;
        }
        let wake = match multiplex.left {
            true => Some(multiplex.wait().await),
            false => seat.until(multiplex.wait()).await,
        };
        match wake {
            Some(Wake::Received(Ok(Some(more)))) => run = Some(more),
            Some(Wake::Received(Ok(None) | Err(_))) => return End::Gone,
            Some(Wake::Other) => {}
            None => multiplex.leave(),
        }
    }
}

impl Multiplex<'_> {
    /// Takes requests out of a run of bytes.
    fn read(&mut self, mut run: &[u8]) -> std::result::Result<(), Fault> {
        while let Some(event) = self.connection.next(&mut self.frames, &mut run)? {
            match event {
                Event::Request { key, ended } => self.request(key, ended),
                Event::Content { key, bytes, ended } => {
                    if let Some(exchange) = self.connection.owned(key) {
                        exchange.content(bytes);
                    }
                    if ended {
                        self.complete(key);
                    }
                }
                Event::Trailers { key } => self.complete(key),
                Event::Reset { key, .. } => drop(self.connection.finish(key, ErrorCode::NoError)),
                Event::Malformed { key, .. } => {
                    self.connection.finish(key, ErrorCode::Protocol);
                    self.refuse();
                }
                // The client leaves: what it asked is answered, and it closes. And never an answer.
                Event::Leaving { .. } | Event::Answer { .. } => {}
            }
        }
        Ok(())
    }

    /// The head of a request came: draws its answer.
    fn request(&mut self, key: usize, ended: bool) {
        if self.left {
            // It came after our GOAWAY, or crossed it.
            self.connection.finish(key, ErrorCode::RefusedStream);
            return;
        }
        let fields = self.connection.fields();
        let Some(head) = self.connection.request() else {
            return;
        };
        let path = head.path;
        let mut wishes = match path.iter().position(|&byte| byte == b'?') {
            Some(at) => path[at + 1..].to_vec(),
            None => Vec::new(),
        };
        let content_type = fields.get(b"content-type").unwrap_or_default();
        let is_call = content_type.starts_with(grpc::CONTENT_TYPE);
        // Clients of gRPC have no say in the query, but in metadata.
        if let Some(more) = fields.get(b"x-wish").filter(|_| is_call) {
            wishes.push(b'&');
            wishes.extend_from_slice(more);
        }
        let is_head = head.method == b"HEAD";
        let reply = self.origin.draw(&wishes);
        let hashes = reply.is_some_and(|reply| reply.echo);
        if let Some(exchange) = self.connection.owned(key) {
            exchange.reply = reply;
            exchange.is_head = is_head;
            exchange.hash = hashes.then(crc32fast::Hasher::new);
            exchange.call = is_call.then(Call::default);
        }
        if ended {
            self.complete(key);
        }
    }

    /// A request is complete: its delay begins.
    fn complete(&mut self, key: usize) {
        let received = self.origin.now();
        let Some(exchange) = self.connection.owned(key) else {
            return;
        };
        exchange.received = received;
        let delay = exchange
            .reply
            .map_or_else(Default::default, |reply| reply.delay);
        if delay.is_zero() {
            self.answer(key);
        } else if let Some(id) = self.connection.id(key) {
            self.delayed.push(Reverse((clock::now() + delay, id, key)));
        }
    }

    fn answer(&mut self, key: usize) {
        let Some(exchange) = self.connection.owned(key) else {
            return;
        };
        let reply = exchange.reply;
        self.origin.note(exchange.received);
        if let Some((fault, reply)) = reply.and_then(|reply| Some((reply.fault?, reply))) {
            self.origin.count(Served::request(&reply));
            return self.misbehave(key, fault, &reply);
        }
        self.block.clear();
        let (content, trailers) = match (&mut exchange.call, reply) {
            (Some(call), reply) => {
                let size = call.push_head(&mut self.block, reply.as_ref());
                exchange.body = call.take_message(reply.as_ref());
                (size, size > 0)
            }
            (None, None) => {
                push_status(&mut self.block, 400);
                (0, false)
            }
            (None, Some(reply)) => (
                exchange.push_head(&mut self.block, &reply, self.origin),
                false,
            ),
        };
        match &reply {
            None => self.refuse(),
            Some(reply) => self.origin.count(Served::request(reply)),
        }
        self.connection.answer(key, &self.block, content, trailers);
        if content == 0 {
            self.connection.finish(key, ErrorCode::NoError);
        }
        if reply.is_some_and(|reply| reply.close) {
            self.leave();
        }
    }

    /// Answers what is due, and sends what there is room for.
    fn advance(&mut self) {
        let now = clock::now();
        while let Some(&Reverse((due, id, key))) = self.delayed.peek() {
            if due > now {
                break;
            }
            self.delayed.pop();
            // The client may have given the stream up, and its key be that of another.
            if self.connection.id(key) == Some(id) {
                self.answer(key);
            }
        }
        match self.delayed.peek() {
            Some(&Reverse((due, ..))) => self.due.arm_exact(due),
            None => self.due.disarm(),
        }
        while self.has_room()
            && let Some(piece) = self.connection.next_piece(usize::MAX)
        {
            self.send(&piece);
        }
        self.is_full = !self.has_room();
        self.flush();
        self.wire.flush();
    }

    /// Sends a piece of content behind the head of its frame.
    fn send(&mut self, piece: &Piece) {
        let Some(exchange) = self.connection.owned(piece.key) else {
            return;
        };
        let (size, is_call) = match exchange.body {
            Body::Message(size) => (size, true),
            Body::Pattern => (0, false),
            Body::Own(ref bytes) => {
                let mut bytes = bytes.clone();
                bytes.advance(usize::try_from(piece.offset).unwrap_or(usize::MAX));
                bytes.truncate(piece.length);
                self.push(bytes);
                self.end_piece(piece);
                return;
            }
        };
        let (mut offset, mut left) = (piece.offset, piece.length);
        if is_call {
            let prefix = grpc::prefix(usize::try_from(size).unwrap_or(usize::MAX));
            let begun = usize::try_from(offset).map_or(prefix.len(), |at| at.min(prefix.len()));
            let rest = &prefix[begun..prefix.len().min(begun + left)];
            self.connection.output().extend_from_slice(rest);
            left -= rest.len();
            offset = (offset + rest.len() as u64) - prefix.len() as u64;
        }
        while left > 0 {
            let part = self.origin.content.piece(offset, left as u64);
            (offset, left) = (offset + part.len() as u64, left - part.len());
            self.push(part);
        }
        self.end_piece(piece);
    }

    fn push(&mut self, bytes: Buf) {
        if bytes.len() <= COPIED_BYTES_MAX {
            self.connection.output().extend_from_slice(&bytes);
        } else {
            self.flush();
            self.wire.push(bytes);
        }
    }

    /// After the last piece of an answer come its trailers, if it has any.
    fn end_piece(&mut self, piece: &Piece) {
        if !piece.last {
            return;
        }
        if self
            .connection
            .owned(piece.key)
            .is_some_and(|exchange| exchange.call.is_some())
        {
            self.block.clear();
            push_field(&mut self.block, b"grpc-status", b"0");
            self.connection.trailers(piece.key, &self.block);
        }
        self.connection.finish(piece.key, ErrorCode::NoError);
    }

    fn leave(&mut self) {
        if !std::mem::replace(&mut self.left, true) {
            self.connection.leave();
        }
    }

    fn refuse(&self) {
        self.origin.count(Served::refused());
    }

    fn has_room(&self) -> bool {
        self.wire.queued() <= QUEUED_BYTES_MAX
    }

    fn flush(&mut self) {
        if self.connection.has_output() {
            let connection = &mut self.connection;
            self.wire.write(|out| connection.take_output(out));
        }
    }

    async fn wait(&mut self) -> Wake {
        poll_fn(|cx| self.poll_wake(cx)).await
    }

    fn poll_wake(&mut self, cx: &Context<'_>) -> Poll<Wake> {
        if !self.is_full {
            if let Poll::Ready(received) = self.wire.poll_recv(cx) {
                return Poll::Ready(Wake::Received(received));
            }
        } else if let Poll::Ready(drained) = self.wire.poll_drained(cx, QUEUED_BYTES_MAX / 2) {
            self.is_full = false;
            let failed = drained.err().map(|error| Wake::Received(Err(error)));
            return Poll::Ready(failed.unwrap_or(Wake::Other));
        }
        self.due.poll_elapsed(cx).map(|()| Wake::Other)
    }
}

impl Exchange {
    fn content(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        if let Some(call) = &mut self.call {
            call.content(bytes);
        }
    }

    /// Appends the head of an answer that is no call's; gives the length of its content.
    fn push_head(&mut self, out: &mut Vec<u8>, reply: &Reply, origin: &Origin) -> u64 {
        push_status(out, reply.status);
        origin.with_date(|date| push_named(out, name::DATE, date.text()));
        if matches!(reply.status, 204 | 304) {
            return 0;
        }
        let mut size = reply.size;
        if reply.echo {
            let hash = self.hash.take().unwrap_or_default().finalize();
            let told = format!("{} {hash:08x}\n", self.bytes).into_bytes();
            size = told.len() as u64;
            self.body = Body::Own(Buf::from_vec(told));
        }
        push_named(out, name::CONTENT_TYPE, b"text/plain");
        // A chunked body is one whose length is not told beforehand.
        if !reply.chunked || reply.echo {
            push_made(out, name::CONTENT_LENGTH, |out| push_decimal(out, size));
        }
        if self.is_head { 0 } else { size }
    }
}
