//! One connection of HTTP/2, seen from either end (RFC 9113 §5, §6 and §8.1).
//!
//! *In:* frames. *Out:* [`Event`]s for the owner, and answers of the protocol itself (SETTINGS and
//! PING acknowledged, windows opened, streams reset), which gather until the owner sends them.
//! Sending stands in `sending.rs`.
//!
//! What must stay true: every stream is let go by its owner ([`Connection::finish`]), after the
//! event that ended it or at any time; its key is valid until then. Every field block is decoded,
//! also of streams that are over, because the tables of both ends must stay equal.

use std::collections::VecDeque;

use super::fields::{self, Fields, RequestHead, Why};
use super::frame::{self, Frames, Head, Kind, Part, flag, number31};
use super::hpack::decode::Decoder;
use super::settings::{self, Settings};
use super::streams::{Incoming, Outgoing, Stream, Streams};
use super::window::{ReceiveWindow, SendWindow, WINDOW_INITIAL};
use super::{BLOCK_FRAMES_MAX, ErrorCode, FIELDS_BYTES_MAX, Fault, PREFACE};

/// What the peer may send without waiting, on a stream and on the connection: so much that its
/// sending never waits for a WINDOW_UPDATE that is on its way.
pub(crate) const WINDOW: u32 = 1 << 30;

/// Which end this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Sends requests.
    Client,
    /// Answers them, up to so many at a time.
    Origin { streams_max: u32 },
}

/// What has happened. The key names a stream until it is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'run> {
    /// A request has come: see [`Connection::request`].
    Request { key: usize, ended: bool },
    /// The final head of an answer has come: see [`Connection::fields`].
    Answer {
        key: usize,
        status: u16,
        ended: bool,
    },
    /// A piece of content has come.
    Content {
        key: usize,
        bytes: &'run [u8],
        ended: bool,
    },
    /// Trailers have come (see [`Connection::fields`]), and end the message.
    Trailers { key: usize },
    /// The peer ended the stream with this error code.
    Reset { key: usize, code: u32 },
    /// The message broke the rules; the stream was reset.
    Malformed { key: usize, why: Why },
    /// The peer will close, and has not looked at streams above `last`.
    Leaving { last: u32 },
}

/// A field block of which not all frames have come.
#[derive(Clone, Copy, Debug)]
struct Block {
    stream: u32,
    ends: bool,
    frames: u32,
}

/// A DATA frame of which not all has come; without a key its content is nobody's.
#[derive(Clone, Copy, Debug)]
struct Incomplete {
    key: Option<usize>,
    ends: bool,
}

/// One end of a connection; `T` is what the owner keeps with each stream.
#[derive(Debug)]
pub(crate) struct Connection<T> {
    role: Role,
    /// Bytes of the client's preface that have not come.
    preface: &'static [u8],
    /// The peer's SETTINGS have come.
    greeted: bool,
    decoder: Decoder,
    fields: Fields,
    block: Option<Block>,
    block_bytes: Vec<u8>,
    incomplete: Option<Incomplete>,
    receive: ReceiveWindow,
    /// The highest id of a stream that the client has opened.
    pub(super) highest: u32,
    /// The highest id of a stream that we reset: what still comes for such a stream is ignored.
    pub(super) reset: u32,
    /// The last stream that the peer says it will answer.
    pub(super) leaving: Option<u32>,
    pub(super) peer: Settings,
    pub(super) streams: Streams<T>,
    pub(super) send: SendWindow,
    /// Keys of streams with content that their own windows let out.
    pub(super) ready: VecDeque<usize>,
    pub(super) out: Vec<u8>,
}

impl<T: Default> Connection<T> {
    /// One end of a new connection; what it has to say first is ready to be sent.
    pub(crate) fn new(role: Role) -> Self {
        let mut out = Vec::new();
        match role {
            Role::Client => {
                out.extend_from_slice(PREFACE);
                settings::push_client(&mut out, WINDOW);
            }
            Role::Origin { streams_max } => settings::push_origin(&mut out, WINDOW, streams_max),
        }
        frame::push_numbers(&mut out, Kind::WindowUpdate, 0, &[WINDOW - WINDOW_INITIAL]);
        Self {
            role,
            preface: if role == Role::Client { b"" } else { PREFACE },
            greeted: false,
            decoder: Decoder::new(),
            fields: Fields::default(),
            block: None,
            block_bytes: Vec::new(),
            incomplete: None,
            receive: ReceiveWindow::new(WINDOW),
            highest: 0,
            reset: 0,
            leaving: None,
            peer: Settings::initial(),
            streams: Streams::new(),
            send: SendWindow::new(WINDOW_INITIAL),
            ready: VecDeque::new(),
            out,
        }
    }

    pub(super) fn is_client(&self) -> bool {
        self.role == Role::Client
    }

    /// Have the peer's SETTINGS come? Before that its limits are not known.
    pub(crate) const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// The fields of the last head or trailers.
    pub(crate) const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The head of the last request.
    pub(crate) fn request(&self) -> Option<RequestHead<'_>> {
        fields::request_head(&self.fields).ok()
    }

    /// The next event in `run`; `None` when it is used up. To be called until then.
    ///
    /// *Errors:* the connection is over: see [`Connection::fail`].
    pub(crate) fn next<'run>(
        &mut self,
        frames: &mut Frames,
        run: &mut &'run [u8],
    ) -> Result<Option<Event<'run>>, Fault> {
        self.read_preface(run)?;
        while let Some(part) = frames.next(run)? {
            let event = match part {
                Part::Frame(head, payload) => self.frame(&head, payload)?,
                Part::Data(head) => self.begin_content(&head)?,
                Part::Content { bytes, last } => self.content(bytes, last),
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// §3.4: the client's first bytes.
    fn read_preface(&mut self, run: &mut &[u8]) -> Result<(), Fault> {
        let length = self.preface.len().min(run.len());
        let (bytes, rest) = run.split_at(length);
        let (expected, missing) = self.preface.split_at(length);
        if bytes != expected {
            return Err(Fault::protocol("not the preface of HTTP/2"));
        }
        (*run, self.preface) = (rest, missing);
        Ok(())
    }

    /// A whole frame that is not DATA.
    fn frame<'run>(&mut self, head: &Head, payload: &[u8]) -> Result<Option<Event<'run>>, Fault> {
        self.check_order(head)?;
        match head.kind {
            Kind::Headers => self.headers(head, payload),
            Kind::Continuation => self.continuation(head, payload),
            Kind::Settings => self.settings(head, payload).map(|()| None),
            Kind::WindowUpdate => self.window_update(head, payload),
            Kind::Reset => self.peer_resets(head, payload),
            Kind::GoAway => self.go_away(head, payload).map(Some),
            Kind::Ping => self.ping(head, payload).map(|()| None),
            // §8.4: we announced that we want none, and clients never push.
            Kind::PushPromise => Err(Fault::protocol("PUSH_PROMISE that nobody asked for")),
            // §5.3.2: priorities are not followed, but still have their form (§6.3).
            Kind::Priority if head.stream == 0 => Err(Fault::protocol("PRIORITY of stream 0")),
            Kind::Priority if payload.len() != 5 => Err(Fault::frame_size("PRIORITY not 5 bytes")),
            Kind::Priority | Kind::Unknown | Kind::Data => Ok(None),
        }
    }

    /// What may come at all here: SETTINGS first (§3.4), and nothing between the frames of a field
    /// block (§4.3).
    fn check_order(&self, head: &Head) -> Result<(), Fault> {
        let is_settings = head.kind == Kind::Settings && !head.has(flag::ACK);
        if !self.greeted && !is_settings {
            return Err(Fault::protocol("the first frame is not SETTINGS"));
        }
        if self.block.is_some() != (head.kind == Kind::Continuation) {
            return Err(Fault::protocol(
                "a field block that is interrupted, or goes on alone",
            ));
        }
        Ok(())
    }

    // DATA (§6.1).

    fn begin_content<'run>(&mut self, head: &Head) -> Result<Option<Event<'run>>, Fault> {
        self.check_order(head)?;
        if head.stream == 0 {
            return Err(Fault::protocol("DATA of stream 0"));
        }
        self.receive.received(head.length)?;
        if let Some(more) = self.receive.refill() {
            frame::push_numbers(&mut self.out, Kind::WindowUpdate, 0, &[more]);
        }
        let ends = head.has(flag::END_STREAM);
        let key = self.streams.find(head.stream);
        self.incomplete = Some(Incomplete { key, ends });
        let Some((key, stream)) = key.and_then(|key| Some((key, self.streams.get_mut(key)?)))
        else {
            self.check_over(head.stream)?;
            return Ok(None);
        };
        match stream.incoming {
            Incoming::Head => {
                return Ok(Some(self.malformed(
                    key,
                    ErrorCode::Protocol,
                    "content before a head",
                )));
            }
            Incoming::Ended => {
                let why = "content after the end";
                return Ok(Some(self.malformed(key, ErrorCode::StreamClosed, why)));
            }
            Incoming::Content => {}
        }
        stream.receive.received(head.length)?;
        if !ends && let Some(more) = stream.receive.refill() {
            frame::push_numbers(&mut self.out, Kind::WindowUpdate, head.stream, &[more]);
        }
        Ok(None)
    }

    fn content<'run>(&mut self, bytes: &'run [u8], last: bool) -> Option<Event<'run>> {
        let Incomplete { key, ends } = self.incomplete?;
        if last {
            self.incomplete = None;
        }
        let (key, ended) = (key?, ends && last);
        let stream = self.streams.get_mut(key)?;
        stream.content += bytes.len() as u64;
        let too_much = stream
            .content_length
            .is_some_and(|length| stream.content > length);
        if (stream.bodiless && stream.content > 0) || too_much {
            return Some(self.malformed(
                key,
                ErrorCode::Protocol,
                "more content than there can be",
            ));
        }
        if ended && let Err(why) = end(stream) {
            return Some(self.malformed(key, ErrorCode::Protocol, why));
        }
        (ended || !bytes.is_empty()).then_some(Event::Content { key, bytes, ended })
    }

    // HEADERS and CONTINUATION (§6.2, §6.10).

    fn headers<'run>(&mut self, head: &Head, payload: &[u8]) -> Result<Option<Event<'run>>, Fault> {
        if head.stream == 0 {
            return Err(Fault::protocol("HEADERS of stream 0"));
        }
        let bytes = head.block(payload)?;
        let ends = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            self.decoder.decode(bytes, &mut self.fields)?;
            return self.fields_came(head.stream, ends);
        }
        self.block_bytes.clear();
        self.block_bytes.extend_from_slice(bytes);
        self.block = Some(Block {
            stream: head.stream,
            ends,
            frames: 1,
        });
        Ok(None)
    }

    fn continuation<'run>(
        &mut self,
        head: &Head,
        payload: &[u8],
    ) -> Result<Option<Event<'run>>, Fault> {
        let Some(block) = self
            .block
            .as_mut()
            .filter(|block| block.stream == head.stream)
        else {
            return Err(Fault::protocol("CONTINUATION of another stream"));
        };
        block.frames += 1;
        self.block_bytes.extend_from_slice(payload);
        if block.frames > BLOCK_FRAMES_MAX || self.block_bytes.len() > FIELDS_BYTES_MAX {
            return Err(Fault::calm("a field block longer than is accepted"));
        }
        if !head.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let Block { stream, ends, .. } = *block;
        self.block = None;
        self.decoder.decode(&self.block_bytes, &mut self.fields)?;
        self.fields_came(stream, ends)
    }

    fn fields_came<'run>(&mut self, id: u32, ends: bool) -> Result<Option<Event<'run>>, Fault> {
        if let Some(key) = self.streams.find(id) {
            return Ok(self.message(key, ends));
        }
        let Role::Origin { streams_max } = self.role else {
            return self.check_over(id).map(|()| None);
        };
        if id <= self.highest {
            return self.check_over(id).map(|()| None);
        }
        // §5.1.1: clients open odd streams.
        if id.is_multiple_of(2) {
            return Err(Fault::protocol("a request on an even stream"));
        }
        self.highest = id;
        if self.streams.len() >= streams_max as usize {
            // §5.1.2; the request was not looked at.
            self.push_reset(id, ErrorCode::RefusedStream);
            return Ok(None);
        }
        let key = self.insert(id, T::default(), Outgoing::Head);
        Ok(self.message(key, ends))
    }

    /// The fields of a stream that is not over: a head, or trailers (§8.1).
    fn message<'run>(&mut self, key: usize, ends: bool) -> Option<Event<'run>> {
        let stream = self.streams.get_mut(key)?;
        let event = match (stream.incoming, self.role) {
            (Incoming::Head, Role::Client) => answer(&self.fields, stream, key, ends),
            (Incoming::Head, Role::Origin { .. }) => request(&self.fields, stream, key, ends),
            (Incoming::Content, _) if !ends => Err("trailers that do not end the message"),
            (Incoming::Content, _) => fields::trailers(&self.fields)
                .and_then(|()| end(stream))
                .map(|()| Some(Event::Trailers { key })),
            (Incoming::Ended, _) => Err("fields after the end"),
        };
        event.unwrap_or_else(|why| Some(self.malformed(key, ErrorCode::Protocol, why)))
    }

    // The others.

    fn settings(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("SETTINGS of a stream"));
        }
        if head.has(flag::ACK) {
            let is_empty = payload.is_empty();
            return is_empty
                .then_some(())
                .ok_or(Fault::frame_size("SETTINGS ACK with content"));
        }
        let before = self.peer.window;
        self.peer.apply(payload, !self.is_client())?;
        self.greeted = true;
        // §6.9.2: the change moves the windows of all streams.
        let change = i64::from(self.peer.window) - i64::from(before);
        for (key, stream) in self.streams.iter_mut() {
            if widen(stream, change)? && !self.ready.contains(&key) {
                self.ready.push_back(key);
            }
        }
        frame::push_head(&mut self.out, Kind::Settings, flag::ACK, 0, 0);
        Ok(())
    }

    fn ping(&mut self, head: &Head, payload: &[u8]) -> Result<(), Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("PING of a stream"));
        }
        if payload.len() != 8 {
            return Err(Fault::frame_size("PING not 8 bytes"));
        }
        if !head.has(flag::ACK) {
            frame::push_head(&mut self.out, Kind::Ping, flag::ACK, 0, payload.len());
            self.out.extend_from_slice(payload);
        }
        Ok(())
    }

    fn go_away<'run>(&mut self, head: &Head, payload: &[u8]) -> Result<Event<'run>, Fault> {
        if head.stream != 0 {
            return Err(Fault::protocol("GOAWAY of a stream"));
        }
        let Some((&last, [_, _, _, _, ..])) = payload.split_first_chunk() else {
            return Err(Fault::frame_size("GOAWAY shorter than 8 bytes"));
        };
        let last = number31(last);
        if self.leaving.is_some_and(|before| last > before) {
            return Err(Fault::protocol("GOAWAY that takes back an earlier one"));
        }
        self.leaving = Some(last);
        Ok(Event::Leaving { last })
    }

    fn window_update<'run>(
        &mut self,
        head: &Head,
        payload: &[u8],
    ) -> Result<Option<Event<'run>>, Fault> {
        let bytes = payload.try_into();
        let more = number31(bytes.map_err(|_| Fault::frame_size("WINDOW_UPDATE not 4 bytes"))?);
        if more == 0 {
            return Err(Fault::protocol("WINDOW_UPDATE by nothing"));
        }
        if head.stream == 0 {
            return self.send.change(i64::from(more)).map(|()| None);
        }
        self.check_not_idle(head.stream)?;
        let key = self.streams.find(head.stream);
        if let Some((key, stream)) = key.and_then(|key| Some((key, self.streams.get_mut(key)?)))
            && widen(stream, i64::from(more))?
            && !self.ready.contains(&key)
        {
            self.ready.push_back(key);
        }
        Ok(None)
    }

    fn peer_resets<'run>(
        &mut self,
        head: &Head,
        payload: &[u8],
    ) -> Result<Option<Event<'run>>, Fault> {
        let code = payload.try_into();
        let code = code.map_err(|_| Fault::frame_size("RST_STREAM not 4 bytes"))?;
        self.check_not_idle(head.stream)?;
        let key = self.streams.find(head.stream);
        let Some((key, stream)) = key.and_then(|key| Some((key, self.streams.get_mut(key)?)))
        else {
            return Ok(None);
        };
        (stream.incoming, stream.outgoing) = (Incoming::Ended, Outgoing::Ended);
        let code = u32::from_be_bytes(code);
        Ok(Some(Event::Reset { key, code }))
    }

    // Rules on streams.

    /// §5.1: WINDOW_UPDATE and RST_STREAM are for streams that exist or existed.
    fn check_not_idle(&self, id: u32) -> Result<(), Fault> {
        if id == 0 || id.is_multiple_of(2) || id > self.highest {
            return Err(Fault::protocol(
                "a frame for a stream that was never opened",
            ));
        }
        Ok(())
    }

    /// §5.1: DATA and HEADERS for a stream that is over are ignored if we reset it.
    fn check_over(&self, id: u32) -> Result<(), Fault> {
        self.check_not_idle(id)?;
        if id > self.reset {
            return Err(Fault::new(
                ErrorCode::StreamClosed,
                "a frame for a stream that is over",
            ));
        }
        Ok(())
    }

    /// §8.1.1: a malformed message is an error of its stream.
    fn malformed<'run>(&mut self, key: usize, code: ErrorCode, why: Why) -> Event<'run> {
        if let Some(stream) = self.streams.get_mut(key) {
            (stream.incoming, stream.outgoing) = (Incoming::Ended, Outgoing::Ended);
            let id = stream.id;
            self.push_reset(id, code);
        }
        self.forget_content(key);
        Event::Malformed { key, why }
    }

    /// What is left of the stream's DATA frame is nobody's any more.
    pub(super) fn forget_content(&mut self, key: usize) {
        if let Some(incomplete) = self
            .incomplete
            .as_mut()
            .filter(|frame| frame.key == Some(key))
        {
            incomplete.key = None;
        }
    }

    pub(super) fn insert(&mut self, id: u32, owned: T, outgoing: Outgoing) -> usize {
        self.streams.insert(Stream {
            id,
            owned,
            incoming: Incoming::Head,
            outgoing,
            receive: ReceiveWindow::new(WINDOW),
            send: SendWindow::new(self.peer.window),
            content_length: None,
            content: 0,
            bodiless: false,
        })
    }
}

/// The head of an answer; interim ones (1xx) are skipped (§8.1).
fn answer<'run, T>(
    fields: &Fields,
    stream: &mut Stream<T>,
    key: usize,
    ended: bool,
) -> Result<Option<Event<'run>>, Why> {
    let head = fields::answer_head(fields)?;
    let status = head.status;
    if status < 200 {
        return if ended {
            Err("an interim answer that ends the stream")
        } else {
            Ok(None)
        };
    }
    stream.incoming = Incoming::Content;
    stream.content_length = head.content_length;
    stream.bodiless |= matches!(status, 204 | 304);
    if ended {
        end(stream)?;
    }
    Ok(Some(Event::Answer { key, status, ended }))
}

/// The head of a request.
fn request<'run, T>(
    fields: &Fields,
    stream: &mut Stream<T>,
    key: usize,
    ended: bool,
) -> Result<Option<Event<'run>>, Why> {
    stream.content_length = fields::request_head(fields)?.content_length;
    stream.incoming = Incoming::Content;
    if ended {
        end(stream)?;
    }
    Ok(Some(Event::Request { key, ended }))
}

/// The peer's message is complete: §8.1.1, its content has the length it was said to have.
fn end<T>(stream: &mut Stream<T>) -> Result<(), Why> {
    let length = stream.content_length.filter(|_| !stream.bodiless);
    if length.is_some_and(|length| length != stream.content) {
        return Err("less content than was announced");
    }
    stream.incoming = Incoming::Ended;
    Ok(())
}

/// Moves the window of a stream; true when content that it held back can go on.
fn widen<T>(stream: &mut Stream<T>, change: i64) -> Result<bool, Fault> {
    let was_shut = stream.send.allows(1) == 0;
    stream.send.change(change)?;
    let has_content = matches!(stream.outgoing, Outgoing::Content { left: 1.., .. });
    Ok(was_shut && has_content && stream.send.allows(1) == 1)
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
