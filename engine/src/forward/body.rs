//! A body on its way: what belongs to it, and how it is framed for the next hop.
//!
//! In: received runs, in order. Out: pieces of payload, as slices of the very same runs. [`Body`]
//! knows where the message ends, [`Outgoing`] writes the payload with the framing of the other
//! side. A chunked body is never forwarded as it came: the chunk sizes are validated, dropped and
//! written anew, so that both sides can only read it one way (RFC 9112 §11.2).
//!
//! Invariants: a sized body yields exactly its size; bytes behind the end are given back; no more
//! than the limit is let through.

use crate::http::BodyLength;
use crate::http::h1::chunked::{self, ChunkError, Decoder, Event};
use crate::io::{Buf, Stream};
use crate::limits;

/// Why a body is not read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than allowed.
    TooLarge,
    /// Its chunked coding is broken.
    Chunk(ChunkError),
}

/// What is left of a body that is being received.
#[derive(Debug)]
pub(super) struct Body {
    rest: Rest,
    /// Payload bytes let through so far.
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug)]
enum Rest {
    Sized(u64),
    Chunked(Decoder),
    UntilClose,
    Nothing,
}

/// One run, taken apart.
#[derive(Debug)]
pub(super) struct Taken {
    /// Payload.
    pub payload: Option<Buf>,
    /// What follows: more of the body, or the next message when the body has ended.
    pub rest: Option<Buf>,
}

impl Body {
    /// A body delimited by `length`, of at most `bytes_max` bytes.
    pub(super) fn new(length: BodyLength, bytes_max: u64) -> Self {
        let rest = match length {
            BodyLength::None | BodyLength::Sized(0) => Rest::Nothing,
            BodyLength::Sized(bytes) => Rest::Sized(bytes),
            BodyLength::Chunked => Rest::Chunked(Decoder::new()),
            BodyLength::UntilClose => Rest::UntilClose,
        };
        Self {
            rest,
            bytes: 0,
            bytes_max,
        }
    }

    /// All of it has been taken.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Payload bytes taken so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The sender closed its side. Ends a body that is delimited by that; says whether the body is
    /// whole.
    pub(super) fn close(&mut self) -> bool {
        if matches!(self.rest, Rest::UntilClose) {
            self.rest = Rest::Nothing;
        }
        self.is_ended()
    }

    /// Takes the next piece off the front of `run`. Call again with what is left until nothing is
    /// or the body has ended.
    pub(super) fn take(&mut self, mut run: Buf) -> Result<Taken, BodyError> {
        let taken = match &mut self.rest {
            Rest::Nothing => Taken {
                payload: None,
                rest: Some(run),
            },
            Rest::UntilClose => Taken {
                payload: Some(run),
                rest: None,
            },
            Rest::Sized(left) => {
                let taken = cut(run, usize::try_from(*left).unwrap_or(usize::MAX));
                let payload = taken.payload.as_ref().map_or(0, |payload| payload.len());
                *left = left.saturating_sub(payload as u64);
                if *left == 0 {
                    self.rest = Rest::Nothing;
                }
                taken
            }
            Rest::Chunked(decoder) => match decoder.decode(&run).map_err(BodyError::Chunk)? {
                Event::Data { skip, len } => {
                    run.advance(skip);
                    cut(run, len)
                }
                Event::Partial { .. } => Taken {
                    payload: None,
                    rest: None,
                },
                Event::End { consumed } => {
                    run.advance(consumed);
                    self.rest = Rest::Nothing;
                    Taken {
                        payload: None,
                        rest: Some(run).filter(|run| !run.is_empty()),
                    }
                }
            },
        };
        let payload = taken.payload.as_ref().map_or(0, |payload| payload.len());
        self.bytes = self.bytes.saturating_add(payload as u64);
        // A chunk that is announced too large is refused at once, not when it has arrived.
        let announced = match &self.rest {
            Rest::Chunked(decoder) => decoder.announced(),
            Rest::Sized(_) | Rest::UntilClose | Rest::Nothing => 0,
        };
        if self.bytes.saturating_add(announced) > self.bytes_max {
            return Err(BodyError::TooLarge);
        }
        Ok(taken)
    }
}

/// `run` cut behind its first `len` bytes.
fn cut(mut run: Buf, len: usize) -> Taken {
    if len >= run.len() {
        return Taken {
            payload: Some(run),
            rest: None,
        };
    }
    let payload = run.split_to(len);
    Taken {
        payload: Some(payload),
        rest: Some(run),
    }
}

/// How a body is framed towards the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outgoing {
    /// As it is: its length is in the head, or the close ends it.
    Plain,
    /// In chunks (RFC 9112 §7.1).
    Chunked,
}

impl Outgoing {
    /// The framing towards the next hop for a body that is announced as `length`.
    pub(super) fn of(length: BodyLength) -> Self {
        match length {
            BodyLength::Chunked => Self::Chunked,
            BodyLength::None | BodyLength::Sized(_) | BodyLength::UntilClose => Self::Plain,
        }
    }

    /// Queues a piece of payload. Small pieces are copied: that is cheaper than a segment of their
    /// own, and lets their block go back to the kernel.
    pub(super) fn send(self, to: &Stream, payload: Buf) {
        if payload.is_empty() {
            return;
        }
        if payload.len() <= limits::BODY_COPY_BYTES_MAX {
            self.send_copy(to, &payload);
            return;
        }
        if self == Self::Chunked {
            to.write(|out| chunked::write_size(out, payload.len()));
            to.push(payload);
            to.write(|out| out.extend_from_slice(chunked::DATA_END));
        } else {
            to.push(payload);
        }
    }

    /// Queues a copy of a piece of payload.
    pub(super) fn send_copy(self, to: &Stream, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        to.write(|out| match self {
            Self::Plain => out.extend_from_slice(payload),
            Self::Chunked => {
                chunked::write_size(out, payload.len());
                out.extend_from_slice(payload);
                out.extend_from_slice(chunked::DATA_END);
            }
        });
    }

    /// Queues what says that the body is whole.
    pub(super) fn finish(self, to: &Stream) {
        if self == Self::Chunked {
            to.write(|out| out.extend_from_slice(chunked::BODY_END));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` cut at `cut`; gives the payload and what lies behind the end.
    fn feed(length: BodyLength, bytes: &[u8], cut: usize) -> (Vec<u8>, Vec<u8>, bool) {
        let mut body = Body::new(length, u64::MAX);
        let (mut payload, mut behind) = (Vec::new(), Vec::new());
        for part in [&bytes[..cut], &bytes[cut..]] {
            let mut next = Some(Buf::from_vec(part.to_vec())).filter(|run| !run.is_empty());
            while let Some(run) = next.take() {
                if body.is_ended() {
                    behind.extend_from_slice(&run);
                    continue;
                }
                let taken = body.take(run).expect("valid");
                payload.extend_from_slice(taken.payload.as_deref().unwrap_or_default());
                next = taken.rest;
            }
        }
        (payload, behind, body.is_ended())
    }

    #[test]
    fn rfc9112_6_2_a_sized_body_is_exactly_its_size_at_every_cut() {
        let bytes = b"0123456789NEXT";
        for cut in 0..=bytes.len() {
            let (payload, behind, ended) = feed(BodyLength::Sized(10), bytes, cut);
            assert_eq!(payload, b"0123456789", "cut at {cut}");
            assert_eq!(behind, b"NEXT", "cut at {cut}");
            assert!(ended);
        }
    }

    #[test]
    fn rfc9112_7_1_a_chunked_body_ends_with_its_last_chunk_at_every_cut() {
        let bytes = b"5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\nNEXT";
        for cut in 0..=bytes.len() {
            let (payload, behind, ended) = feed(BodyLength::Chunked, bytes, cut);
            assert_eq!(payload, b"hello!", "cut at {cut}");
            assert_eq!(behind, b"NEXT", "cut at {cut}");
            assert!(ended);
        }
    }

    #[test]
    fn an_unfinished_body_is_not_whole() {
        let (payload, _, ended) = feed(BodyLength::Sized(10), b"0123", 2);
        assert_eq!((payload.as_slice(), ended), (&b"0123"[..], false));
        let mut body = Body::new(BodyLength::Sized(10), u64::MAX);
        assert!(!body.close());
        let mut body = Body::new(BodyLength::UntilClose, u64::MAX);
        assert!(!body.is_ended() && body.close());
    }

    #[test]
    fn a_body_beyond_its_limit_is_refused_also_when_chunked() {
        let mut body = Body::new(BodyLength::Chunked, 4);
        let run = Buf::from_vec(b"5\r\nhello\r\n".to_vec());
        assert_eq!(body.take(run).err(), Some(BodyError::TooLarge));
    }

    #[test]
    fn a_chunk_beyond_the_limit_is_refused_when_it_is_announced() {
        let mut body = Body::new(BodyLength::Chunked, 4);
        let run = Buf::from_vec(b"100000005\r\nh".to_vec());
        assert_eq!(body.take(run).err(), Some(BodyError::TooLarge));
    }
}
