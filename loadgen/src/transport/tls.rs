//! TLS over a socket: rustls keeps the state, the socket's queue takes the records.
//!
//! *In:* runs of records from the socket, plain bytes from above. *Out:* the reverse. Small writes
//! are gathered until [`Tls::flush`] (receiving flushes too), so that a head and its body share a
//! record; large ones are sealed where they lie. Plain bytes received before an error are handed
//! out before the error is.
//!
//! Dropping it says goodbye (close_notify) as a well-behaved peer does: without that, some peers
//! would not let the session be resumed.
//!
//! ```text
//!   write ─> unsealed ─ seal ─> rustls ─> Stream's queue
//!   recv <── opened <── open ── rustls <─ Stream's runs
//! ```

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{BufRead, Error, ErrorKind, IoSlice, Result, Write};
use std::task::{Context, Poll, Waker, ready};

use engine::io::{Buf, Stream, clock};
use rustls::{Connection, HandshakeKind};

use super::{Handshake, Protocol};

/// The most plain bytes that one record holds (RFC 8446 §5.1).
const RECORD_BYTES_MAX: usize = 1 << 14;

/// How receiving ended.
#[derive(Debug)]
enum End {
    /// With the peer's notice.
    Closed,
    /// The peer closed the socket without notice: what was received may not be the whole.
    Cut,
    /// The socket broke.
    Reset(ErrorKind),
    /// The peer broke TLS, or refused us.
    Refused(rustls::Error),
}

impl End {
    fn told(&self) -> Result<Option<Buf>> {
        match self {
            Self::Closed => Ok(None),
            Self::Cut => Err(ErrorKind::UnexpectedEof.into()),
            Self::Reset(kind) => Err((*kind).into()),
            Self::Refused(error) => Err(Error::new(ErrorKind::InvalidData, error.clone())),
        }
    }
}

/// A socket that speaks TLS, after its handshake.
#[derive(Debug)]
pub(crate) struct Tls {
    stream: Stream,
    records: RefCell<Records>,
    handshake: Handshake,
}

#[derive(Debug)]
struct Records {
    connection: Connection,
    /// Plain bytes that were written and are in no record yet.
    unsealed: Vec<u8>,
    /// Plain bytes received that nobody has taken.
    opened: Vec<u8>,
    end: Option<End>,
}

impl Tls {
    /// Shakes hands over `stream`.
    ///
    /// *Errors:* the connection broke, the peer closed, or one side refused the other (see
    /// [`super::is_tls`]).
    pub(crate) async fn start(stream: Stream, mut connection: Connection) -> Result<Self> {
        // The queue of the socket bounds what is sent, not a second one behind it.
        connection.set_buffer_limit(None);
        let mut records = Records {
            connection,
            unsealed: Vec::new(),
            opened: Vec::new(),
            end: None,
        };
        let begun = clock::now();
        loop {
            records.send(&stream);
            if let Some(end) = &records.end {
                // An end with notice is one too early as well.
                return Err(end
                    .told()
                    .err()
                    .unwrap_or_else(|| ErrorKind::UnexpectedEof.into()));
            }
            if !records.connection.is_handshaking() {
                break;
            }
            match stream.recv().await? {
                Some(run) => records.open(&run),
                None => return Err(ErrorKind::UnexpectedEof.into()),
            }
        }
        let connection = &records.connection;
        let handshake = Handshake {
            took: clock::now().since(begun),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            protocol: connection.alpn_protocol().and_then(Protocol::from_alpn),
        };
        Ok(Self {
            stream,
            records: RefCell::new(records),
            handshake,
        })
    }

    /// How the handshake went.
    pub(crate) const fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// The next run of plain bytes.
    pub(crate) fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<Option<Buf>>> {
        let mut records = self.records.borrow_mut();
        records.flush(&self.stream);
        loop {
            if !records.opened.is_empty() {
                let opened = std::mem::take(&mut records.opened);
                return Poll::Ready(Ok(Some(Buf::from_vec(opened))));
            }
            if let Some(end) = &records.end {
                return Poll::Ready(end.told());
            }
            let received = ready!(self.stream.poll_recv(cx));
            records.receive(received, &self.stream);
        }
    }

    /// Resolves when the peer has said anything since the handshake.
    ///
    /// *Errors:* it was no good word.
    pub(crate) async fn heard(&self) -> Result<()> {
        poll_fn(|cx| {
            let mut records = self.records.borrow_mut();
            if records.is_quiet() {
                let received = ready!(self.stream.poll_recv(cx));
                records.receive(received, &self.stream);
            }
            match &records.end {
                Some(end) => Poll::Ready(end.told().map(drop)),
                None => Poll::Ready(Ok(())),
            }
        })
        .await
    }

    /// Open, with nothing received but what TLS itself had to say (tickets, new keys).
    pub(crate) fn quiet(&self) -> bool {
        let mut records = self.records.borrow_mut();
        while !self.stream.quiet() && records.is_quiet() {
            match self.stream.poll_recv(&Context::from_waker(Waker::noop())) {
                Poll::Ready(received) => records.receive(received, &self.stream),
                Poll::Pending => break,
            }
        }
        records.is_quiet() && self.stream.quiet()
    }

    /// Gathers what `fill` appends.
    pub(crate) fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut records = self.records.borrow_mut();
        fill(&mut records.unsealed);
        if records.unsealed.len() >= RECORD_BYTES_MAX {
            records.flush(&self.stream);
        }
    }

    /// Gathers a short run, seals a long one with what was gathered before it.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut records = self.records.borrow_mut();
        if records.unsealed.len() + bytes.len() < RECORD_BYTES_MAX {
            records.unsealed.extend_from_slice(bytes);
        } else {
            records.seal(bytes);
            records.send(&self.stream);
        }
    }

    /// Seals what was gathered.
    pub(crate) fn flush(&self) {
        self.records.borrow_mut().flush(&self.stream);
    }

    /// Bytes that the kernel has not taken: plain ones not sealed yet, and records.
    pub(crate) fn queued(&self) -> usize {
        self.records.borrow().unsealed.len() + self.stream.queued()
    }

    /// Resolves when at most `below` bytes of records are queued.
    pub(crate) async fn drained(&self, below: usize) -> Result<()> {
        self.flush();
        self.stream.drained(below).await
    }

    /// Drops what is queued; what is written from now on, the goodbye included, goes nowhere.
    pub(crate) fn reset(&self) {
        self.records.borrow_mut().unsealed.clear();
        self.stream.reset();
    }

    /// Ready when at most `below` bytes of records are queued.
    pub(crate) fn poll_drained(&self, cx: &Context<'_>, below: usize) -> Poll<Result<()>> {
        self.stream.poll_drained(cx, below)
    }

    /// Says goodbye after what is queued, and closes our side.
    pub(crate) fn shutdown_send(&self) {
        self.records.borrow_mut().part(&self.stream);
        self.stream.shutdown_send();
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.records.borrow_mut().part(&self.stream);
    }
}

impl Records {
    fn is_quiet(&self) -> bool {
        self.opened.is_empty() && self.end.is_none()
    }

    /// Seals `bytes` behind what was gathered.
    fn seal(&mut self, bytes: &[u8]) {
        let mut parts = [IoSlice::new(&self.unsealed), IoSlice::new(bytes)];
        let mut parts = &mut parts[..];
        while !parts.is_empty() {
            // Writing to memory without a limit takes all; after a failure there is no reader.
            match self.connection.writer().write_vectored(parts) {
                Ok(0) | Err(_) => break,
                Ok(count) => IoSlice::advance_slices(&mut parts, count),
            }
        }
        self.unsealed.clear();
    }

    fn flush(&mut self, stream: &Stream) {
        if !self.unsealed.is_empty() {
            self.seal(&[]);
        }
        self.send(stream);
    }

    /// Moves finished records to the socket's queue.
    fn send(&mut self, stream: &Stream) {
        if self.connection.wants_write() {
            stream.write(|out| {
                // Writing to memory does not fail.
                while self.connection.wants_write() && self.connection.write_tls(out).is_ok() {}
            });
        }
    }

    /// Says goodbye, once.
    fn part(&mut self, stream: &Stream) {
        self.connection.send_close_notify();
        self.flush(stream);
    }

    /// Takes what the socket gave.
    fn receive(&mut self, received: Result<Option<Buf>>, stream: &Stream) {
        match received {
            Ok(Some(run)) => self.open(&run),
            Ok(None) => self.end = Some(End::Cut),
            Err(error) => self.end = Some(End::Reset(error.kind())),
        }
        // An alert, or new keys.
        self.send(stream);
    }

    /// Opens records; what is not a whole one yet waits for more.
    fn open(&mut self, mut run: &[u8]) {
        while !run.is_empty() && self.end.is_none() {
            match self.connection.read_tls(&mut run) {
                // Whatever follows the peer's goodbye is not of interest.
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => self.end = Some(End::Reset(error.kind())),
            }
            match self.connection.process_new_packets() {
                Ok(state) if state.peer_has_closed() => self.end = Some(End::Closed),
                Ok(_) => {}
                Err(error) => self.end = Some(End::Refused(error)),
            }
            self.take();
        }
    }

    /// Takes the plain bytes that rustls holds.
    fn take(&mut self) {
        let mut reader = self.connection.reader();
        // An error says only that there are none.
        while let Ok(bytes) = reader.fill_buf()
            && !bytes.is_empty()
        {
            let count = bytes.len();
            self.opened.extend_from_slice(bytes);
            reader.consume(count);
        }
    }
}
