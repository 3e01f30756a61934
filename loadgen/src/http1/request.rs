//! Requests: what the origin reads.
//!
//! [`RequestParser`] takes runs of received bytes, first as far as the end of the head, then as
//! far as the end of the body; between the two the origin can answer `Expect: 100-continue`.
//! Method and target are kept, the body is counted and, if asked, hashed where it lies. One parser
//! serves one connection for its whole life.
//!
//! Ambiguous framing is [`Malformed`] (RFC 9112 §6.3), as for responses: this origin is used to
//! see what a proxy lets through.

use memchr::memchr;

use super::chunked::Chunked;
use super::{Framing, Lines, Malformed, Progress};

/// Where the parser is in a request.
#[derive(Clone, Copy, Debug)]
enum Place {
    RequestLine,
    Fields,
    Sized { left: u64 },
    Chunked(Chunked),
    End,
}

/// Reads the requests of one connection, one after the other.
#[derive(Debug)]
pub(crate) struct RequestParser {
    place: Place,
    lines: Lines,
    framing: Framing,
    http11: bool,
    is_head: bool,
    target: Vec<u8>,
    body_bytes: u64,
    hash: Option<crc32fast::Hasher>,
}

impl RequestParser {
    /// A parser before its first request.
    pub(crate) fn new() -> Self {
        Self {
            place: Place::RequestLine,
            lines: Lines::default(),
            framing: Framing::default(),
            http11: true,
            is_head: false,
            target: Vec::new(),
            body_bytes: 0,
            hash: None,
        }
    }

    /// Forgets the last request; buffers stay.
    pub(crate) fn reset(&mut self) {
        self.place = Place::RequestLine;
        self.lines.reset();
        self.framing = Framing::default();
        self.target.clear();
        self.body_bytes = 0;
        self.hash = None;
    }

    /// Reads on towards the end of the head.
    pub(crate) fn feed_head(&mut self, run: &[u8]) -> Result<Progress, Malformed> {
        let mut bytes = run;
        loop {
            let Some(line) = self.lines.next(&mut bytes)? else {
                return Ok(Progress::Partial);
            };
            match self.place {
                // RFC 9112 §2.2: empty lines before a request line are skipped.
                Place::RequestLine if line.is_empty() => self.lines.reset(),
                Place::RequestLine => {
                    let (method, target, http11) = request_line(line)?;
                    self.target.extend_from_slice(target);
                    self.is_head = method == b"HEAD";
                    self.http11 = http11;
                    self.place = Place::Fields;
                }
                _ if !line.is_empty() => self.framing.field(line)?,
                _ => {
                    self.place = self.body()?;
                    return Ok(Progress::Complete {
                        used: run.len() - bytes.len(),
                    });
                }
            }
        }
    }

    /// Reads on towards the end of the body; the head must be complete.
    pub(crate) fn feed_body(&mut self, run: &[u8]) -> Result<Progress, Malformed> {
        let mut bytes = run;
        let (hash, body_bytes) = (&mut self.hash, &mut self.body_bytes);
        let mut data = |data: &[u8]| {
            *body_bytes += data.len() as u64;
            if let Some(hash) = hash {
                hash.update(data);
            }
        };
        let ended = match &mut self.place {
            Place::RequestLine | Place::Fields => false,
            Place::Sized { left } => {
                let most = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                data(&bytes[..most]);
                bytes = &bytes[most..];
                *left -= most as u64;
                *left == 0
            }
            Place::Chunked(chunked) => chunked.feed(&mut bytes, data)?,
            Place::End => true,
        };
        if !ended {
            return Ok(Progress::Partial);
        }
        self.place = Place::End;
        Ok(Progress::Complete {
            used: run.len() - bytes.len(),
        })
    }

    /// Hashes the body of this request; to be asked for between head and body.
    pub(crate) fn hash_body(&mut self) {
        self.hash = Some(crc32fast::Hasher::new());
    }

    /// CRC-32 of the body, if it was hashed.
    pub(crate) fn body_hash(&self) -> Option<u32> {
        self.hash.as_ref().map(|hash| hash.clone().finalize())
    }

    /// Bytes of the body, without chunk framing.
    pub(crate) const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// The part of the target after the first `?`; empty when there is none.
    pub(crate) fn query(&self) -> &[u8] {
        memchr(b'?', &self.target).map_or(&[], |at| &self.target[at + 1..])
    }

    /// Was it HEAD? Then the answer has no body.
    pub(crate) const fn is_head(&self) -> bool {
        self.is_head
    }

    /// Does the client wait for `100 Continue`?
    pub(crate) const fn expects_continue(&self) -> bool {
        self.framing.expects_continue && self.http11
    }

    /// May another request follow?
    pub(crate) const fn keeps_open(&self) -> bool {
        self.framing.persists(self.http11)
    }

    /// May the answer be chunked?
    pub(crate) const fn reads_chunked(&self) -> bool {
        self.http11
    }

    /// RFC 9112 §6.3, for requests.
    fn body(&self) -> Result<Place, Malformed> {
        match self.framing {
            Framing { chunked: true, .. } if !self.http11 => Err(Malformed::TransferEncoding),
            Framing { chunked: true, .. } => Ok(Place::Chunked(Chunked::new())),
            Framing {
                content_length: Some(left @ 1..),
                ..
            } => Ok(Place::Sized { left }),
            Framing { .. } => Ok(Place::End),
        }
    }
}

/// `GET /path HTTP/1.1`: method, target and whether it is 1.1 (RFC 9112 §3).
fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], bool), Malformed> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed::StartLine);
    };
    let is_token = !method.is_empty() && method.iter().copied().all(super::is_token_byte);
    let is_target = !target.is_empty() && target.iter().all(u8::is_ascii_graphic);
    let http11 = match version {
        b"HTTP/1.1" => true,
        b"HTTP/1.0" => false,
        _ => return Err(Malformed::StartLine),
    };
    (is_token && is_target)
        .then_some((method, target, http11))
        .ok_or(Malformed::StartLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads one request from `runs`: bytes left over after it.
    fn read(parser: &mut RequestParser, runs: [&[u8]; 2]) -> Result<Option<usize>, Malformed> {
        parser.reset();
        let (mut in_body, mut done) = (false, None);
        for run in runs {
            let mut rest = run;
            if let Some(left) = done {
                done = Some(left + rest.len());
                continue;
            }
            if !in_body {
                let Progress::Complete { used } = parser.feed_head(rest)? else {
                    continue;
                };
                parser.hash_body();
                in_body = true;
                rest = &rest[used..];
            }
            if let Progress::Complete { used } = parser.feed_body(rest)? {
                done = Some(rest.len() - used);
            }
        }
        Ok(done)
    }

    fn whole(input: &str, target: &str, body: &str, left: usize) {
        let mut parser = RequestParser::new();
        for at in 0..=input.len() {
            let (first, second) = input.as_bytes().split_at(at);
            assert_eq!(
                read(&mut parser, [first, second]),
                Ok(Some(left)),
                "{input:?} at {at}"
            );
            assert_eq!(parser.target, target.as_bytes());
            assert_eq!(parser.body_bytes(), body.len() as u64);
            assert_eq!(parser.body_hash(), Some(crc32fast::hash(body.as_bytes())));
        }
    }

    #[test]
    fn rfc9112_6_3_requests_at_every_split() {
        whole("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "/", "", 0);
        whole("\r\n\r\nGET /x?y HTTP/1.0\r\n\r\nnext", "/x?y", "", 4);
        whole(
            "POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcd",
            "/a",
            "abc",
            1,
        );
        whole(
            "PUT * HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            "*",
            "hi",
            0,
        );
        whole("PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "/", "", 0);
    }

    #[test]
    fn rfc9112_3_broken_requests_are_refused() {
        let refused = |input: &str, why: Malformed| {
            let mut parser = RequestParser::new();
            for at in 0..=input.len() {
                let (first, second) = input.as_bytes().split_at(at);
                assert_eq!(
                    read(&mut parser, [first, second]),
                    Err(why),
                    "{input:?} at {at}"
                );
            }
        };
        for line in [
            "GET",
            "GET /",
            "GET  / HTTP/1.1",
            "G@T / HTTP/1.1",
            "GET / HTTP/1.1 ",
            " / HTTP/1.1",
            "GET / HTTP/2.0",
            "GET /\u{1} HTTP/1.1",
            "GET /\u{e9} HTTP/1.1",
        ] {
            refused(&format!("{line}\r\n\r\n"), Malformed::StartLine);
        }
        let head = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        refused(
            &head("Content-Length: 1\r\nContent-Length: 2"),
            Malformed::ContentLength,
        );
        refused(
            &head("Content-Length: 1\r\nTransfer-Encoding: chunked"),
            Malformed::ContentLength,
        );
        refused(
            &head("Transfer-Encoding: identity"),
            Malformed::TransferEncoding,
        );
        refused(
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Malformed::TransferEncoding,
        );
        refused("GET / HTTP/1.1\nHost: a\n\n", Malformed::FieldLine);
    }

    #[test]
    fn says_what_the_client_wants() {
        let mut parser = RequestParser::new();
        let request = b"HEAD /?a=1&b HTTP/1.1\r\nExpect: 100-Continue\r\nConnection: close\r\n\r\n";
        assert_eq!(read(&mut parser, [request, b""]), Ok(Some(0)));
        assert!(parser.is_head() && parser.expects_continue() && !parser.keeps_open());
        assert_eq!(parser.query(), b"a=1&b");
    }
}
