//! Responses: what the generator reads.
//!
//! [`ResponseParser`] takes runs of received bytes and says when the answer is complete. It keeps
//! status, body length and (if asked) the CRC-32 of the body; the body itself is never copied.
//! Interim answers (1xx) are skipped. One parser serves one connection for its whole life: call
//! [`ResponseParser::expect`] before each request.
//!
//! Body length follows RFC 9112 §6.3; where that lets a client guess, this one reports
//! [`Malformed`]: the point is to notice.

use super::chunked::Chunked;
use super::{Framing, Lines, Malformed, Progress};
use crate::expect::Answer;

/// Where the parser is in an answer.
#[derive(Clone, Copy, Debug)]
enum Place {
    StatusLine,
    Fields,
    Sized { left: u64 },
    Chunked(Chunked),
    UntilClose,
    End,
}

/// Reads the answers of one connection, one after the other.
#[derive(Debug)]
pub(crate) struct ResponseParser {
    place: Place,
    lines: Lines,
    framing: Framing,
    status: u16,
    http11: bool,
    bodiless: bool,
    received_bytes: u64,
    body_bytes: u64,
    hash: Option<crc32fast::Hasher>,
}

impl ResponseParser {
    /// A parser; `hashes` says whether bodies are hashed.
    pub(crate) fn new(hashes: bool) -> Self {
        Self {
            place: Place::StatusLine,
            lines: Lines::default(),
            framing: Framing::default(),
            status: 0,
            http11: true,
            bodiless: false,
            received_bytes: 0,
            body_bytes: 0,
            hash: hashes.then(crc32fast::Hasher::new),
        }
    }

    /// Prepares for the next answer; `bodiless` when the request was HEAD (RFC 9112 §6.3 rule 1).
    pub(crate) fn expect(&mut self, bodiless: bool) {
        self.place = Place::StatusLine;
        self.lines.reset();
        self.framing = Framing::default();
        self.bodiless = bodiless;
        self.received_bytes = 0;
        self.body_bytes = 0;
        if let Some(hash) = &mut self.hash {
            hash.reset();
        }
    }

    /// Reads the next run of received bytes.
    pub(crate) fn feed(&mut self, run: &[u8]) -> Result<Progress, Malformed> {
        let mut bytes = run;
        self.received_bytes += run.len() as u64;
        loop {
            match &mut self.place {
                Place::StatusLine | Place::Fields => {
                    let Some(line) = self.lines.next(&mut bytes)? else {
                        return Ok(Progress::Partial);
                    };
                    if matches!(self.place, Place::StatusLine) {
                        (self.http11, self.status) = status_line(line)?;
                        self.place = Place::Fields;
                    } else if !line.is_empty() {
                        self.framing.field(line)?;
                    } else {
                        self.place = self.body()?;
                    }
                }
                Place::Sized { left: 0 } => self.place = Place::End,
                Place::Sized { left } => {
                    let most = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len());
                    let (data, rest) = bytes.split_at(most);
                    *left -= most as u64;
                    let partial = *left > 0;
                    bytes = rest;
                    self.content(data);
                    if partial {
                        return Ok(Progress::Partial);
                    }
                }
                Place::Chunked(chunked) => {
                    let (hash, body_bytes) = (&mut self.hash, &mut self.body_bytes);
                    let ended = chunked.feed(&mut bytes, |data| {
                        *body_bytes += data.len() as u64;
                        if let Some(hash) = hash {
                            hash.update(data);
                        }
                    })?;
                    if !ended {
                        return Ok(Progress::Partial);
                    }
                    self.place = Place::End;
                }
                Place::UntilClose => {
                    self.content(bytes);
                    return Ok(Progress::Partial);
                }
                Place::End => {
                    self.received_bytes -= bytes.len() as u64;
                    return Ok(Progress::Complete {
                        used: run.len() - bytes.len(),
                    });
                }
            }
        }
    }

    /// The peer has closed its side: a whole answer only if it was to be read until the close.
    pub(crate) fn finish(&mut self) -> Result<(), Malformed> {
        match self.place {
            Place::UntilClose | Place::End => Ok(()),
            Place::StatusLine | Place::Fields | Place::Sized { .. } | Place::Chunked(_) => {
                Err(Malformed::Truncated)
            }
        }
    }

    /// What is known about the answer so far.
    pub(crate) fn answer(&self) -> Answer {
        Answer {
            status: self.status,
            body_bytes: self.body_bytes,
            received_bytes: self.received_bytes,
            body_hash: self.body_hash(),
            grpc: None,
        }
    }

    /// Status of the answer.
    pub(crate) const fn status(&self) -> u16 {
        self.status
    }

    /// Bytes of the body, as content: without chunk framing.
    pub(crate) const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// CRC-32 of the body; `None` when bodies are not hashed.
    pub(crate) fn body_hash(&self) -> Option<u32> {
        self.hash.as_ref().map(|hash| hash.clone().finalize())
    }

    /// May the next request go out on this connection?
    pub(crate) const fn keeps_open(&self) -> bool {
        self.framing.persists(self.http11) && !matches!(self.place, Place::UntilClose)
    }

    fn content(&mut self, data: &[u8]) {
        self.body_bytes += data.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(data);
        }
    }

    /// The head is complete: how long is the body? RFC 9112 §6.3.
    fn body(&mut self) -> Result<Place, Malformed> {
        let framing = self.framing;
        match self.status {
            // No upgrade was asked for, so none may be granted (RFC 9110 §15.2.2).
            101 => return Err(Malformed::Upgrade),
            // Interim: the real answer follows; it starts with a clean slate.
            100..=199 => {
                self.lines.reset();
                self.framing = Framing::default();
                return Ok(Place::StatusLine);
            }
            // Rule 1.
            204 | 304 => return Ok(Place::End),
            _ if self.bodiless => return Ok(Place::End),
            _ => {}
        }
        Ok(match framing.content_length {
            // Rule 4; an HTTP/1.0 peer cannot mean it (RFC 9112 §6.1).
            _ if framing.chunked && !self.http11 => return Err(Malformed::TransferEncoding),
            _ if framing.chunked => Place::Chunked(Chunked::new()),
            // Rule 6.
            Some(left) => Place::Sized { left },
            // Rule 8.
            None => Place::UntilClose,
        })
    }
}

/// `HTTP/1.1 200 OK`: whether it is 1.1, and the status (RFC 9112 §4). The blank before an empty
/// reason may be missing: several servers leave it out and nothing can be misread.
fn status_line(line: &[u8]) -> Result<(bool, u16), Malformed> {
    let (http11, rest) = match line.strip_prefix(b"HTTP/1.").and_then(<[u8]>::split_first) {
        Some((b'1', rest)) => (true, rest),
        Some((b'0', rest)) => (false, rest),
        _ => return Err(Malformed::StartLine),
    };
    match *rest {
        [
            b' ',
            a @ b'1'..=b'9',
            b @ b'0'..=b'9',
            c @ b'0'..=b'9',
            ref reason @ ..,
        ] if reason.is_empty() || reason.starts_with(b" ") => {
            let digit = |byte: u8| u16::from(byte - b'0');
            Ok((http11, digit(a) * 100 + digit(b) * 10 + digit(c)))
        }
        _ => Err(Malformed::StartLine),
    }
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
