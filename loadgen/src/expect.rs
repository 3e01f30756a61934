//! What a right answer looks like: status, body length, body hash.
//!
//! An answer that fails a check is counted under its [`Failure`] and never timed, so a proxy cannot
//! look fast by answering wrongly. The hash is CRC-32 as in gzip and zlib (ISO-HDLC, check value
//! `cbf43926`): it is hardware-assisted, costs a few percent of a memory copy, and
//! `python3 -c 'import sys,zlib;print("%08x"%zlib.crc32(sys.stdin.buffer.read()))'` computes it.
//! It detects mix-ups, truncation and corruption; it is no defence against forgery.

use crate::grpc::{self, Codes, Outcome};
use crate::sample::Failure;

/// What is known about an answer, in whatever protocol it came; about a part of it, if it broke.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status; 0 when none came.
    pub status: u16,
    /// Bytes of the body, as content: without any framing.
    pub body_bytes: u64,
    /// Bytes received for it: head, framing and body.
    pub received_bytes: u64,
    /// CRC-32 of the body; `None` when bodies are not hashed.
    pub body_hash: Option<u32>,
    /// What it said about the call; `None` when none was made.
    pub grpc: Option<Outcome>,
}

/// A set of statuses from 100 to 999.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusSet {
    bits: [u64; 16],
}

impl StatusSet {
    /// Every status.
    pub(crate) const fn any() -> Self {
        Self {
            bits: [u64::MAX; 16],
        }
    }

    /// Parses `200`, `200,204`, `2xx,304`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut set = Self { bits: [0; 16] };
        for part in text.split(',') {
            let (first, count) = match part.strip_suffix("xx") {
                Some(class) => (format!("{class}00"), 100),
                None => (part.to_owned(), 1),
            };
            let first: u16 = first
                .parse()
                .ok()
                .filter(|status| (100..1000).contains(status) && part.len() == 3)
                .ok_or_else(|| format!("`{part}` is not a status; write 200,204 or 2xx"))?;
            for status in first..first + count {
                set.bits[usize::from(status / 64)] |= 1 << (status % 64);
            }
        }
        Ok(set)
    }

    /// Is `status` in it?
    pub(crate) fn contains(&self, status: u16) -> bool {
        self.bits
            .get(usize::from(status / 64))
            .is_some_and(|bits| bits >> (status % 64) & 1 == 1)
    }
}

/// Parses a CRC-32 as eight hexadecimal digits.
pub(crate) fn hash(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("crc32:").unwrap_or(text);
    u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.len() == 8)
        .ok_or_else(|| format!("`{text}` is not a CRC-32; write eight hexadecimal digits"))
}

/// Everything asked of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    /// Statuses that are right.
    pub status: StatusSet,
    /// Length of the body, if it matters.
    pub length: Option<u64>,
    /// CRC-32 of the body, if it matters.
    pub hash: Option<u32>,
    /// gRPC statuses that are right, if calls are made.
    pub grpc: Option<Codes>,
}

impl Expectation {
    /// Holds a complete answer against it.
    pub(crate) fn check(&self, answer: &Answer) -> Result<(), Failure> {
        if !self.status.contains(answer.status) {
            return Err(Failure::Status);
        }
        if let Some(codes) = self.grpc {
            check_call(codes, answer.grpc)?;
        }
        if self
            .length
            .is_some_and(|length| length != answer.body_bytes)
        {
            return Err(Failure::Length);
        }
        if self.hash.is_some() && self.hash != answer.body_hash {
            return Err(Failure::Hash);
        }
        Ok(())
    }
}

/// A call is answered by a code that was expected; if it went well, with one message.
fn check_call(expected: Codes, outcome: Option<Outcome>) -> Result<(), Failure> {
    let code = outcome.and_then(|outcome| outcome.code);
    let code = code
        .filter(|&code| expected.contains(code))
        .ok_or(Failure::Grpc)?;
    if code == grpc::OK && outcome.and_then(|outcome| outcome.messages) != Some(1) {
        return Err(Failure::Malformed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::response::ResponseParser;

    #[test]
    fn status_sets() {
        let set = StatusSet::parse("2xx,304").expect("a set");
        let inside: Vec<u16> = (0..2000).filter(|&status| set.contains(status)).collect();
        assert_eq!(inside, (200..300).chain([304]).collect::<Vec<_>>());
        assert!(StatusSet::parse("999").is_ok());
        for text in [
            "", "20", "2000", "2x", "xx", "abc", "200,", "0xx", "099", "+20", "+1xx",
        ] {
            assert!(StatusSet::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_answer_is_checked_in_full() {
        let mut answer = ResponseParser::new(true);
        answer.expect(false);
        let fed = answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789");
        assert!(fed.is_ok());
        let check = |status: &str, length: Option<u64>, crc: Option<&str>| {
            let hash = crc.map(|crc| hash(crc).expect("a hash"));
            let status = StatusSet::parse(status).expect("a set");
            Expectation {
                status,
                length,
                hash,
                grpc: None,
            }
            .check(&answer.answer())
        };
        assert_eq!(check("2xx", None, None), Ok(()));
        assert_eq!(check("200", Some(9), Some("cbf43926")), Ok(()));
        assert_eq!(check("200", Some(9), Some("crc32:CBF43926")), Ok(()));
        assert_eq!(check("204", Some(9), None), Err(Failure::Status));
        assert_eq!(check("200", Some(8), None), Err(Failure::Length));
        assert_eq!(check("200", None, Some("cbf43927")), Err(Failure::Hash));
        assert!(hash("123").is_err() && hash("12345678z").is_err());
    }
}
