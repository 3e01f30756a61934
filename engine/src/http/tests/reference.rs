//! The syntax of heads against the reading of `httparse`, over good heads with random faults.

use super::random;
use crate::http::h1::{HeadLimits, Parsed, UnderscoreNames, request, response};
use crate::http::{Fields, HeadError, Method, RequestHead, ResponseHead};

const ROUNDS: usize = 30_000;

const REQUESTS: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /a/b?x=1 HTTP/1.0\r\nhost:example.com:80\r\nContent-Length: \t 5 \t\r\nX-Empty:\r\n\r\n1",
    "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nMax-Forwards: 3\r\nX: a long,\ttabbed value\r\n\r\n",
    "M-SEARCH /0123456789 HTTP/1.1\r\nHost: [::1]:80\r\nUser-Agent: \u{e9}\r\nx-forwarded-a: b\r\n\
     X-Forwarded-For: 192.0.2.1\r\nConnection: close, x\r\n\r\n",
];

const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.0 404 Not  Found\r\nServer:x\r\nContent-Type: \t text/plain \t\r\nX-Empty:\r\n\r\n",
    "HTTP/1.1 304\r\nETag: \"0123456789\"\r\nX: \u{e9}, a long value,\twith a tab\r\n\r\n",
    "HTTP/1.1 500 \r\nConnection: keep-alive\r\nx-forwarded-a: b\r\n\r\n",
];

/// What may be wrong in a head: bytes that mean something, and those beside a border of a class.
const FAULTS: &[u8] =
    b"\0\x08\t\n\n\n\x0b\r\r\r\x0e\x1f  !\"(),-./019::;=?@AHZ[]^_`az{|}~\x7f\x80\xff";

/// One of `heads`, with up to three faults and maybe without its end.
fn faulty(heads: &[&str], next: &mut impl FnMut() -> u64) -> Vec<u8> {
    let mut below = |bound: usize| next() as usize % bound;
    let mut bytes = heads[below(heads.len())].as_bytes().to_vec();
    for _ in 0..below(4) {
        let (at, fault) = (below(bytes.len()), FAULTS[below(FAULTS.len())]);
        match below(3) {
            0 => bytes[at] = fault,
            1 => bytes.insert(at, fault),
            _ => drop(bytes.remove(at)),
        }
    }
    if below(4) == 0 {
        bytes.truncate(below(bytes.len()));
    }
    bytes
}

/// The words of the first line, then names and values in turn; and how long the head is.
type Parts = (Vec<Vec<u8>>, usize);
/// `None`: there is more to come.
type Reading = Result<Option<Parts>, HeadError>;

fn parts(line: [&[u8]; 3], fields: Fields<'_>, length: usize) -> Reading {
    let fields = fields.flat_map(|field| [field.name_bytes, field.value]);
    let all = line.into_iter().chain(fields).map(<[u8]>::to_vec);
    Ok(Some((all.collect(), length)))
}

fn their_parts(
    read: httparse::Result<usize>,
    line: [&[u8]; 3],
    fields: &[httparse::Header<'_>],
) -> Reading {
    let length = match read {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::HeaderName) => return Err(HeadError::FieldName),
        Err(httparse::Error::HeaderValue) => return Err(HeadError::FieldValue),
        Err(httparse::Error::NewLine) => return Err(HeadError::LineEnd),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyFields),
        Err(httparse::Error::Version) => return Err(HeadError::Version),
        Err(httparse::Error::Status | httparse::Error::Token) => return Err(HeadError::Line),
    };
    let fields = fields
        .iter()
        .flat_map(|field| [field.name.as_bytes(), field.value]);
    let all = line.into_iter().chain(fields).map(<[u8]>::to_vec);
    Ok(Some((all.collect(), length)))
}

/// Whether two readings of `bytes` agree.
fn agree(ours: &Reading, theirs: &Reading, bytes: &[u8]) -> bool {
    let is_bare = |head: &[u8]| {
        let before = [0].iter().chain(head);
        before
            .zip(head)
            .any(|pair| pair.0 != &b'\r' && pair.1 == &b'\n')
    };
    match (ours, theirs) {
        // RFC 9112 §2.2: the first line that ends in a bare LF is refused.
        (Err(HeadError::LineEnd), _) if is_bare(bytes) => true,
        (Ok(Some(ours)), Ok(Some(theirs))) => ours == theirs && !is_bare(&bytes[..ours.1]),
        // A version is judged when its line has ended, and may be none.
        (Ok(None), Err(HeadError::Version)) => !bytes.contains(&b'\n') || bytes.len() < 8,
        (Err(HeadError::Line), Err(HeadError::Version)) => true,
        (Ok(None), Ok(None)) => true,
        (Err(ours), Err(theirs)) if ours == theirs => true,
        // Refused for what it says.
        (Err(HeadError::FieldName), Ok(Some(_))) => bytes.contains(&b'_'),
        (Err(HeadError::FieldValue), Ok(Some(_))) => bytes.starts_with(b"OPTIONS"),
        (
            Err(
                HeadError::Target(_)
                | HeadError::Framing(_)
                | HeadError::Connection
                | HeadError::Expectation,
            ),
            Ok(Some(_)),
        ) => true,
        _ => false,
    }
}

#[test]
fn rfc9112_3_requests_are_taken_apart_as_httparse_does() {
    let limits = HeadLimits {
        names: UnderscoreNames::Allow,
        field_count: 5,
        ..HeadLimits::default()
    };
    let mut next = random(1);
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let bytes = faulty(REQUESTS, &mut next);
        if matches!(bytes[..], [b'\r' | b'\n', ..]) {
            continue;
        }
        let mut head = RequestHead::new();
        let ours = request::parse(&bytes, &limits, &mut head).and_then(|parsed| {
            let Parsed::Complete { bytes: length } = parsed else {
                return Ok(None);
            };
            let it = head.view(&bytes);
            let version = it.version().label().as_bytes();
            parts(
                [it.method_bytes(), it.target(), version],
                it.fields(),
                length,
            )
        });
        let mut slots = [httparse::EMPTY_HEADER; 5];
        let mut it = httparse::Request::new(&mut slots);
        let read = it.parse(&bytes);
        let version = if it.version == Some(0) {
            "HTTP/1.0"
        } else {
            "HTTP/1.1"
        };
        let line = [it.method.unwrap_or(""), it.path.unwrap_or(""), version].map(str::as_bytes);
        let theirs = their_parts(read, line, it.headers);
        assert!(
            agree(&ours, &theirs, &bytes),
            "{}: {ours:?}, not {theirs:?}",
            bytes.escape_ascii()
        );
        accepted += usize::from(matches!(ours, Ok(Some(_))));
    }
    assert!(accepted > ROUNDS / 10, "{accepted}");
}

#[test]
fn rfc9112_4_responses_are_taken_apart_as_httparse_does() {
    let limits = HeadLimits {
        field_count: 2,
        ..HeadLimits::default()
    };
    let mut next = random(2);
    let mut accepted = 0;
    for _ in 0..ROUNDS {
        let bytes = faulty(RESPONSES, &mut next);
        if matches!(bytes[..], [b'\r' | b'\n', ..]) {
            continue;
        }
        let mut head = ResponseHead::new();
        let ours = response::parse(&bytes, &limits, Method::Get, &mut head).and_then(|parsed| {
            let Parsed::Complete { bytes: length } = parsed else {
                return Ok(None);
            };
            let it = head.view(&bytes);
            let version = it.version().label().as_bytes();
            let status = it.status().to_string();
            // Theirs is empty if it is not ASCII.
            let reason = Some(it.reason()).filter(|reason| reason.is_ascii());
            let line = [version, status.as_bytes(), reason.unwrap_or_default()];
            parts(line, it.fields(), length)
        });
        let mut slots = [httparse::EMPTY_HEADER; 2];
        let mut it = httparse::Response::new(&mut slots);
        let read = it.parse(&bytes);
        let version = if it.version == Some(0) {
            "HTTP/1.0"
        } else {
            "HTTP/1.1"
        };
        let status = it.code.unwrap_or(0).to_string();
        let line = [version, &status, it.reason.unwrap_or("")].map(str::as_bytes);
        let theirs = their_parts(read, line, it.headers);
        // RFC 9110 §15: there is no class 0.
        let has_class = bytes.get(9) != Some(&b'0');
        assert!(
            agree(&ours, &theirs, &bytes) || (!has_class && ours == Err(HeadError::Line)),
            "{}: {ours:?}, not {theirs:?}",
            bytes.escape_ascii()
        );
        accepted += usize::from(matches!(ours, Ok(Some(_))));
    }
    assert!(accepted > ROUNDS / 10, "{accepted}");
}
