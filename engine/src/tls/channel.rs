//! One TLS connection as a [`Cipher`]: records in, content out, and back.
//!
//! The handshake runs in here as well, driven by what arrives; [`Handshake`] is where it tells
//! whoever waits how it went. Received bytes are opened where they lie. A record that is cut by the
//! end of a run is completed in `partial`, with no more than what it lacks, so that the rest of the
//! next run is opened in place again.
//!
//! rustls's next release line drops the unbuffered interface used here: this file is what changes.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::rc::Rc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncryptError, InsufficientSizeError, UnbufferedStatus,
};

use super::error::HandshakeError;
use crate::io::{Cipher, CipherFailed, Opened};

/// Type, version and length before the fragment of a record (RFC 8446 §5.1).
const RECORD_HEADER_BYTES: usize = 5;
/// The types of records (RFC 8446 §5.1), by which TLS is told from other protocols.
const RECORD_TYPES: RangeInclusive<u8> = 20..=23;
/// What sealing adds to a record, with room to spare: header, explicit nonce, type and tag.
const SEALING_BYTES: usize = 48;
/// What somebody is told who speaks HTTP where TLS is spoken.
const PLAINTEXT_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Content-Length: 44\r\nConnection: close\r\n\r\nThis port speaks TLS: use https:// instead.\n";

/// How a handshake went, once it is over: shared by the channel and whoever waits.
pub(super) type Handshake = Rc<RefCell<Option<Result<(), HandshakeError>>>>;

/// Either end of a connection.
pub(super) enum Side {
    /// We accepted it.
    Server(UnbufferedServerConnection),
    /// We opened it.
    Client(UnbufferedClientConnection),
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The library shows nothing of a connection, and its keys are nobody's business.
        f.write_str(match self {
            Self::Server(_) => "Server",
            Self::Client(_) => "Client",
        })
    }
}

/// Does the same with either end.
macro_rules! with_side {
    ($side:expr, $connection:ident => $act:expr) => {
        match &mut *$side.borrow_mut() {
            Side::Server($connection) => $act,
            Side::Client($connection) => $act,
        }
    };
}

/// A connection's TLS.
#[derive(Debug)]
pub(super) struct Channel {
    side: Rc<RefCell<Side>>,
    handshake: Handshake,
    is_established: bool,
    is_broken: bool,
    /// What has arrived of a record or message that is not complete. The library keeps places in it
    /// and must be shown it whenever it is asked for anything.
    partial: Vec<u8>,
}

impl Channel {
    /// A channel before its handshake. `side` stays readable for whoever waits for that.
    pub(super) fn new(side: Rc<RefCell<Side>>, handshake: Handshake) -> Self {
        Self {
            side,
            handshake,
            is_established: false,
            is_broken: false,
            partial: Vec::new(),
        }
    }

    /// Does all that can be done with `bytes`; how many of them are done with.
    fn advance(
        &mut self,
        bytes: &mut [u8],
        plain: &mut Vec<u8>,
        reply: &mut Vec<u8>,
    ) -> (usize, Opened) {
        let turned = with_side!(self.side, connection => turn(connection, bytes, plain, reply));
        if turned.is_established && !self.is_established {
            self.is_established = true;
            self.handshake.replace(Some(Ok(())));
        }
        let opened = match turned.upshot {
            Upshot::More => Opened::More,
            Upshot::Finished => Opened::Finished,
            Upshot::Failed(error) => {
                self.fail(HandshakeError::of(&error));
                self.is_broken = true;
                Opened::Broken
            }
        };
        (turned.used, opened)
    }

    /// Notes why the handshake failed. After it nobody waits for that any more.
    fn fail(&self, error: HandshakeError) {
        self.handshake.borrow_mut().get_or_insert(Err(error));
    }

    /// How many of `fresh` to add to what is partial.
    fn missing(&self, fresh: &[u8]) -> usize {
        let byte = |at: usize| match at.checked_sub(self.partial.len()) {
            None => self.partial.get(at).copied(),
            Some(at) => fresh.get(at).copied(),
        };
        match (byte(3), byte(4)) {
            (Some(high), Some(low)) if self.is_established => {
                let fragment = usize::from(u16::from_be_bytes([high, low]));
                let missing = (RECORD_HEADER_BYTES + fragment).saturating_sub(self.partial.len());
                // A whole record that is still here is the beginning of a longer message.
                if missing == 0 {
                    fresh.len()
                } else {
                    missing.min(fresh.len())
                }
            }
            // A handshake message may span records, and has to lie in one piece.
            _ => fresh.len(),
        }
    }

    fn write(
        &mut self,
        sealed: &mut Vec<u8>,
        room: usize,
        writing: Writing<'_>,
    ) -> Result<(), CipherFailed> {
        if self.is_broken {
            return Err(CipherFailed);
        }
        let partial = &mut self.partial;
        with_side!(self.side, connection => write(connection, partial, sealed, room, writing))
    }

    /// Answers somebody who does not speak TLS; in HTTP, if it is that.
    fn refuse_plaintext(&mut self, bytes: &[u8], reply: &mut Vec<u8>) -> Opened {
        reply.extend_from_slice(plaintext_answer(bytes));
        self.fail(HandshakeError::NotTls);
        self.is_broken = true;
        Opened::Broken
    }
}

/// What somebody is told who does not speak TLS: in HTTP, if `bytes` begin like that.
pub(super) fn plaintext_answer(bytes: &[u8]) -> &'static [u8] {
    match bytes.first().is_some_and(u8::is_ascii_uppercase) {
        true => PLAINTEXT_ANSWER,
        false => &[],
    }
}

impl Cipher for Channel {
    fn open(&mut self, sealed: &mut [u8], plain: &mut Vec<u8>, reply: &mut Vec<u8>) -> Opened {
        let is_first = !self.is_established && self.partial.is_empty();
        let is_server = matches!(&*self.side.borrow(), Side::Server(_));
        let is_record = |&first: &u8| RECORD_TYPES.contains(&first);
        if is_first && is_server && !sealed.first().is_none_or(is_record) {
            return self.refuse_plaintext(sealed, reply);
        }
        let mut fresh = sealed;
        let was_partial = !self.partial.is_empty();
        while !self.partial.is_empty() && !fresh.is_empty() {
            let (now, later) = fresh.split_at_mut(self.missing(fresh));
            self.partial.extend_from_slice(now);
            fresh = later;
            let mut partial = std::mem::take(&mut self.partial);
            let (used, opened) = self.advance(&mut partial, plain, reply);
            if opened != Opened::More {
                return opened;
            }
            if used < partial.len() {
                partial.drain(..used);
                self.partial = partial;
            }
        }
        if was_partial && fresh.is_empty() {
            return Opened::More;
        }
        let (used, opened) = self.advance(fresh, plain, reply);
        self.partial.extend_from_slice(&fresh[used..]);
        opened
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), CipherFailed> {
        self.write(sealed, plain.len() + SEALING_BYTES, Writing::Content(plain))
    }

    fn finish(&mut self, sealed: &mut Vec<u8>) {
        // Before the end of the handshake there is nothing to finish.
        let _ = self.write(sealed, SEALING_BYTES, Writing::Notice);
    }
}

/// What is to be sealed.
#[derive(Clone, Copy)]
enum Writing<'a> {
    Content(&'a [u8]),
    /// `close_notify` (RFC 8446 §6.1).
    Notice,
}

/// What both ends of a connection can do.
trait Records {
    type End;
    fn next<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::End>;
}

impl Records for UnbufferedServerConnection {
    type End = ServerConnectionData;
    fn next<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::End> {
        self.process_tls_records(bytes)
    }
}

impl Records for UnbufferedClientConnection {
    type End = ClientConnectionData;
    fn next<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::End> {
        self.process_tls_records(bytes)
    }
}

/// What a turn came to.
struct Turned {
    used: usize,
    is_established: bool,
    upshot: Upshot,
}

enum Upshot {
    More,
    Finished,
    Failed(rustls::Error),
}

/// Lets the connection do all it can with `bytes`.
fn turn<R: Records>(
    connection: &mut R,
    bytes: &mut [u8],
    plain: &mut Vec<u8>,
    reply: &mut Vec<u8>,
) -> Turned {
    let mut used = 0;
    let mut upshot = Upshot::More;
    let is_established = loop {
        let UnbufferedStatus { mut discard, state } = connection.next(&mut bytes[used..]);
        let mut pause = None;
        match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(Ok(record)) = traffic.next_record() {
                    discard += record.discard;
                    plain.extend_from_slice(record.payload);
                }
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                let _ = append(reply, 0, |out| data.encode(out).map_err(encode_lacks));
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => upshot = Upshot::Finished,
            Ok(ConnectionState::BlockedHandshake) => pause = Some(false),
            Ok(ConnectionState::WriteTraffic(_)) => pause = Some(true),
            Ok(ConnectionState::Closed) => (upshot, pause) = (Upshot::Finished, Some(true)),
            // Early data is never accepted, and other states are not known.
            Ok(_) => {
                (upshot, pause) = (
                    Upshot::Failed(rustls::Error::HandshakeNotComplete),
                    Some(false),
                )
            }
            Err(error) => (upshot, pause) = (Upshot::Failed(error), Some(false)),
        }
        used += discard;
        if let Some(is_established) = pause {
            break is_established;
        }
    };
    if matches!(upshot, Upshot::Failed(_)) {
        say_why(connection, &mut bytes[used..], reply);
    }
    Turned {
        used,
        is_established,
        upshot,
    }
}

/// Appends the alert that a failed connection has for its peer, which comes before anything else.
/// Asked once: `rest` begins with what made it fail, and must not be looked at again.
fn say_why<R: Records>(connection: &mut R, rest: &mut [u8], reply: &mut Vec<u8>) {
    if let Ok(ConnectionState::EncodeTlsData(mut data)) = connection.next(rest).state {
        let _ = append(reply, 0, |out| data.encode(out).map_err(encode_lacks));
    }
}

/// Has the connection append something of about `room` bytes, after what it has to say itself.
fn write<R: Records>(
    connection: &mut R,
    partial: &mut Vec<u8>,
    sealed: &mut Vec<u8>,
    room: usize,
    writing: Writing<'_>,
) -> Result<(), CipherFailed> {
    loop {
        let UnbufferedStatus { discard, state } = connection.next(partial);
        match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                return append(sealed, room, |out| match writing {
                    Writing::Content(plain) => traffic.encrypt(plain, out).map_err(encrypt_lacks),
                    Writing::Notice => traffic.queue_close_notify(out).map_err(encrypt_lacks),
                });
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                append(sealed, 0, |out| data.encode(out).map_err(encode_lacks))?;
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::PeerClosed) => {}
            Ok(_) | Err(_) => return Err(CipherFailed),
        }
        partial.drain(..discard);
    }
}

/// Appends what `fill` writes, with `room` for it or as much as it says it needs.
fn append(
    out: &mut Vec<u8>,
    room: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, Lack>,
) -> Result<(), CipherFailed> {
    let start = out.len();
    let mut room = room;
    loop {
        out.resize(start + room, 0);
        match fill(&mut out[start..]) {
            Ok(written) => {
                out.truncate(start + written);
                return Ok(());
            }
            Err(Lack::Room(needed)) if needed > room => room = needed,
            Err(Lack::Room(_) | Lack::Everything) => {
                out.truncate(start);
                return Err(CipherFailed);
            }
        }
    }
}

/// Why nothing was written.
enum Lack {
    Room(usize),
    Everything,
}

fn encode_lacks(error: EncodeError) -> Lack {
    match error {
        EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Lack::Room(required_size)
        }
        EncodeError::AlreadyEncoded => Lack::Everything,
    }
}

fn encrypt_lacks(error: EncryptError) -> Lack {
    match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Lack::Room(required_size)
        }
        EncryptError::EncryptExhausted => Lack::Everything,
    }
}
