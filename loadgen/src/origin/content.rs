//! Bodies: the beginning of one fixed pattern, sent without copying.
//!
//! The pattern is a block of text that repeats. A shard makes the block once; a body is a row of
//! references to it. Equal sizes give equal bytes, on every shard and in every run.

use engine::io::Buf;

use crate::random::Random;
use crate::transport::Wire;

/// Length of the block, and the longest chunk of a chunked body.
const BLOCK_BYTES: usize = 64 * 1024;
/// The most that may be queued on a connection before the origin waits for the client.
const QUEUED_BYTES_MAX: usize = 512 * 1024;
const LINE_BYTES: usize = 64;

/// The pattern.
#[derive(Debug)]
pub(crate) struct Content {
    block: Buf,
}

impl Content {
    /// Makes the block: lines of letters, so that a body can be looked at in a terminal, and no
    /// period shorter than the block, so that mixed-up pieces are noticed.
    pub(crate) fn new() -> Self {
        let mut random = Random::new(0, 0);
        let letter = |at: usize| match (at + 1) % LINE_BYTES {
            0 => b'\n',
            _ => b'a' + (random.below(26) as u8),
        };
        Self {
            block: Buf::from_vec((0..BLOCK_BYTES).map(letter).collect()),
        }
    }

    /// The pattern from byte `from` on: `length` bytes, or fewer where the block ends.
    pub(crate) fn piece(&self, from: u64, length: u64) -> Buf {
        let mut piece = self.block.clone();
        piece.advance((from % BLOCK_BYTES as u64) as usize);
        piece.truncate(
            usize::try_from(length).map_or(piece.len(), |length| length.min(piece.len())),
        );
        piece
    }

    /// Sends `size` bytes, as chunks or plain; returns when at most [`QUEUED_BYTES_MAX`] are left
    /// to send.
    ///
    /// *Errors:* the connection failed.
    pub(crate) async fn send(&self, wire: &Wire, size: u64, chunked: bool) -> std::io::Result<()> {
        let mut left = size;
        while left > 0 {
            let mut piece = self.block.clone();
            piece.truncate(
                usize::try_from(left)
                    .unwrap_or(BLOCK_BYTES)
                    .min(BLOCK_BYTES),
            );
            left -= piece.len() as u64;
            if chunked {
                wire.write(|out| {
                    super::reply::push_hexadecimal(out, piece.len());
                    out.extend_from_slice(b"\r\n");
                });
                wire.push(piece);
                wire.write(|out| out.extend_from_slice(b"\r\n"));
            } else {
                wire.push(piece);
            }
            if wire.queued() > QUEUED_BYTES_MAX {
                wire.drained(QUEUED_BYTES_MAX / 2).await?;
            }
        }
        if chunked {
            wire.write(|out| out.extend_from_slice(b"0\r\n\r\n"));
        }
        Ok(())
    }
}
