//! What the bytes of a connection travel through: a socket, or TLS over a socket.
//!
//! [`Wire`] is one open connection and has the operations of [`Stream`], for the generator and the
//! origin alike; what speaks HTTP above it does not know which it is. The plain side adds nothing
//! to `Stream`: no copy, no allocation, one branch.
//!
//! ```text
//!   Dialer ── open ──┐                        ┌─ Plain: Stream
//!                    ├─> Wire (recv, write …) ┤
//!   Door ─── admit ──┘                        └─ Tls: rustls over Stream (`tls.rs`)
//! ```
//!
//! `dial.rs` opens connections, `opening.rs` paces and counts that, `trust.rs` says whom a client
//! believes and who it says it is, `door.rs` accepts, `identity.rs` holds the origin's certificate,
//! `complaint.rs` words what can go wrong. The TLS is this program's own: it shares nothing with
//! the engine's.

mod complaint;
pub(crate) mod dial;
pub(crate) mod door;
pub(crate) mod identity;
pub(crate) mod opening;
pub(crate) mod options;
mod tls;
pub(crate) mod trust;

use std::future::poll_fn;
use std::io::Result;
use std::task::{Context, Poll};
use std::time::Duration;

use engine::io::{Buf, Stream};

pub(crate) use complaint::{complaint, is_tls};
use tls::Tls;

/// An application protocol that TLS can agree on (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// Its name in the handshake.
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }

    fn from_alpn(name: &[u8]) -> Option<Self> {
        [Self::Http1, Self::Http2]
            .into_iter()
            .find(|protocol| protocol.alpn() == name)
    }
}

/// How a TLS handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// From the first byte sent to the last one needed.
    pub took: Duration,
    /// An earlier session was taken up again.
    pub resumed: bool,
    /// What was agreed on, if anything.
    pub protocol: Option<Protocol>,
}

/// An open connection.
#[derive(Debug)]
pub(crate) enum Wire {
    /// Bytes as they are.
    Plain(Stream),
    /// Bytes in TLS records.
    Tls(Box<Tls>),
}

impl Wire {
    /// How the handshake went; `None` without TLS.
    pub(crate) fn handshake(&self) -> Option<&Handshake> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls.handshake()),
        }
    }

    /// What the handshake agreed on; `None` without TLS or when the peer has no opinion.
    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.handshake().and_then(|handshake| handshake.protocol)
    }

    /// The next run of received bytes; `None` when the peer has ended its side properly. What was
    /// written leaves first.
    ///
    /// *Errors:* the connection broke; under TLS also an end without notice (`UnexpectedEof`), and
    /// whatever [`is_tls`] knows.
    pub(crate) async fn recv(&self) -> Result<Option<Buf>> {
        match self {
            Self::Plain(stream) => stream.recv().await,
            Self::Tls(tls) => poll_fn(|cx| tls.poll_recv(cx)).await,
        }
    }

    /// [`Wire::recv`] for use inside a poll.
    pub(crate) fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<Option<Buf>>> {
        match self {
            Self::Plain(stream) => stream.poll_recv(cx),
            Self::Tls(tls) => tls.poll_recv(cx),
        }
    }

    /// Open, and nothing received that is not the transport's own business.
    pub(crate) fn quiet(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.quiet(),
            Self::Tls(tls) => tls.quiet(),
        }
    }

    /// Queues the bytes that `fill` appends; `fill` must not touch this shard's I/O.
    pub(crate) fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Self::Plain(stream) => stream.write(fill),
            Self::Tls(tls) => tls.write(fill),
        }
    }

    /// Queues a run of bytes, without copying it if there is no TLS.
    pub(crate) fn push(&self, buf: Buf) {
        match self {
            Self::Plain(stream) => stream.push(buf),
            Self::Tls(tls) => tls.push(&buf),
        }
    }

    /// Lets what is queued go. TLS keeps back small writes until then, so that a head and its body
    /// share a record; a task that only writes must say when it has said all.
    pub(crate) fn flush(&self) {
        match self {
            Self::Plain(_) => {}
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Bytes queued that the kernel has not taken, roughly under TLS.
    pub(crate) fn queued(&self) -> usize {
        match self {
            Self::Plain(stream) => stream.queued(),
            Self::Tls(tls) => tls.queued(),
        }
    }

    /// Resolves when at most `below` bytes are queued; what was written leaves first.
    ///
    /// *Errors:* the connection failed.
    pub(crate) async fn drained(&self, below: usize) -> Result<()> {
        match self {
            Self::Plain(stream) => stream.drained(below).await,
            Self::Tls(tls) => tls.drained(below).await,
        }
    }

    /// Drops what is queued, and has the close be a reset: nothing says goodbye.
    pub(crate) fn reset(&self) {
        match self {
            Self::Plain(stream) => stream.reset(),
            Self::Tls(tls) => tls.reset(),
        }
    }

    /// [`Wire::drained`] for use inside a poll; what was written must have been flushed.
    pub(crate) fn poll_drained(&self, cx: &Context<'_>, below: usize) -> Poll<Result<()>> {
        match self {
            Self::Plain(stream) => stream.poll_drained(cx, below),
            Self::Tls(tls) => tls.poll_drained(cx, below),
        }
    }

    /// Ends our side after what is queued: FIN, under TLS with a notice before it.
    pub(crate) fn shutdown_send(&self) {
        match self {
            Self::Plain(stream) => stream.shutdown_send(),
            Self::Tls(tls) => tls.shutdown_send(),
        }
    }
}
