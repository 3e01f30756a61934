//! Answers that go wrong: commits a [`Fault`] on a connection.
//!
//! What precedes the fault is sent as the answer would have been, and has left before the
//! connection breaks. An answer without a body (HEAD, 204, size 0) that is to break in its body
//! breaks in its head. Every fault but a slow body ends the connection.

use std::time::Duration;

use engine::io;

use super::exchange::{Connection, End};
use super::fault::{Fault, Pace};
use super::plan::Reply;
use super::reply::{BodyFraming, push_hexadecimal};

/// A head that ends in the name of a field.
const CUT_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Ty";
/// The zeros are letters.
const BAD_STATUS: &[u8] = b"HTTP/1.1 2OO OK\r\nContent-Length: 3\r\n\r\nabc";
const BAD_CHUNK: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n";
/// By one framing the body is `3`, a line end and `a`; by the other it is `abc`.
const TWO_FRAMINGS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\
    Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

impl Connection<'_> {
    /// Commits `fault` instead of sending `reply`, framed by `framing`.
    pub(super) async fn misbehave(
        &self,
        fault: Fault,
        reply: &Reply,
        framing: BodyFraming,
        close: bool,
    ) -> Result<(), End> {
        let has_body = self.sends_body(framing) && reply.size > 0;
        match fault {
            Fault::Reset => return Err(self.reset()),
            Fault::Close => return Err(End::Close),
            Fault::ResetHead | Fault::ResetBody | Fault::CloseBody if !has_body => {
                self.bytes(CUT_HEAD);
            }
            Fault::ResetHead => self.head(reply.status, framing, close),
            Fault::ResetBody | Fault::CloseBody => {
                self.half(reply, framing, close)
                    .await
                    .map_err(|_| End::Gone)?;
            }
            Fault::CutHead => self.bytes(CUT_HEAD),
            Fault::BadStatus => self.bytes(BAD_STATUS),
            Fault::BadChunk => self.bytes(BAD_CHUNK),
            Fault::TwoFramings | Fault::Malformed => self.bytes(TWO_FRAMINGS),
            Fault::Stall => return Err(self.stall().await),
            Fault::SlowBody => {
                self.head(reply.status, framing, close);
                if has_body {
                    let chunked = framing == BodyFraming::Chunked;
                    let sent = self.slowly(reply.size, reply.pace, chunked).await;
                    sent.map_err(|_| End::Gone)?;
                }
                return Ok(());
            }
        }
        self.wire.drained(0).await.map_err(|_| End::Gone)?;
        match fault {
            Fault::ResetHead | Fault::ResetBody => Err(self.reset()),
            _ => Err(End::Close),
        }
    }

    /// The close that follows will be a reset.
    fn reset(&self) -> End {
        self.wire.reset();
        End::Gone
    }

    fn bytes(&self, bytes: &[u8]) {
        self.wire.write(|out| out.extend_from_slice(bytes));
    }

    /// The head and half of the body; of a chunked one, half of its only chunk.
    async fn half(&self, reply: &Reply, framing: BodyFraming, close: bool) -> std::io::Result<()> {
        self.head(reply.status, framing, close);
        if framing == BodyFraming::Chunked {
            let size = usize::try_from(reply.size).unwrap_or(usize::MAX);
            self.wire.write(|out| {
                push_hexadecimal(out, size);
                out.extend_from_slice(b"\r\n");
            });
        }
        let half = reply.size / 2;
        self.origin.content.send(self.wire, half, false).await
    }

    /// Takes what comes and says nothing, until the client gives up or the origin drains.
    async fn stall(&self) -> End {
        let seat = self.origin.bell.seat();
        while let Some(Ok(Some(_))) = seat.until(self.wire.recv()).await {}
        self.reset()
    }

    async fn slowly(&self, size: u64, pace: Pace, chunked: bool) -> std::io::Result<()> {
        let mut sent = 0;
        while sent < size {
            if sent > 0 {
                io::sleep(pace.every.max(Duration::from_micros(1))).await;
            }
            let piece = self.origin.content.piece(sent, pace.bytes.min(size - sent));
            sent += piece.len() as u64;
            if chunked {
                self.wire.write(|out| {
                    push_hexadecimal(out, piece.len());
                    out.extend_from_slice(b"\r\n");
                });
            }
            self.wire.push(piece);
            if chunked {
                self.bytes(b"\r\n");
            }
            self.wire.drained(0).await?;
        }
        if chunked {
            self.bytes(b"0\r\n\r\n");
        }
        Ok(())
    }
}
