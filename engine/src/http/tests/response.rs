//! Response heads: what is read, what is refused, and that splits do not matter.

use std::time::Duration;

use crate::http::h1::response::parse;
use crate::http::h1::{HeadLimits, Parsed};
use crate::http::{BodyLength, FieldName, FramingError, HeadError, Method, ResponseHead, Version};

type Outcome = Result<Option<(usize, String)>, HeadError>;

fn finish(parsed: Result<Parsed, HeadError>, bytes: &[u8], head: &ResponseHead) -> Outcome {
    let Parsed::Complete { bytes: length } = parsed? else {
        return Ok(None);
    };
    let response = head.view(bytes);
    let fields: Vec<_> = head
        .fields
        .iter()
        .map(|line| (line.forward, line.value))
        .collect();
    let reading = format!(
        "{:?} {} {:?} {:?} {:?} keep={} {:?} {:?} {fields:?}",
        response.version(),
        response.status(),
        response.reason(),
        response.body(),
        response.described_length(),
        response.keep_alive(),
        response.keep_alive_timeout(),
        response.upgrade(),
    );
    Ok(Some((length, reading)))
}

/// Parses at once, at every split in two and one byte at a time; all must agree.
fn read(method: Method, text: &str) -> Result<(ResponseHead, Vec<u8>), HeadError> {
    let bytes = text.as_bytes();
    let limits = HeadLimits::default();
    let mut whole = ResponseHead::new();
    let outcome = finish(parse(bytes, &limits, method, &mut whole), bytes, &whole);
    for split in 1..bytes.len() {
        let mut head = ResponseHead::new();
        let of_split = match parse(&bytes[..split], &limits, method, &mut head) {
            Ok(Parsed::Partial) => finish(parse(bytes, &limits, method, &mut head), bytes, &head),
            early => finish(early, bytes, &head),
        };
        assert_eq!(of_split, outcome, "{text:?} split at {split}");
    }
    let mut head = ResponseHead::new();
    let of_trickle = (1..=bytes.len())
        .map(|length| {
            finish(
                parse(&bytes[..length], &limits, method, &mut head),
                bytes,
                &head,
            )
        })
        .find(|outcome| *outcome != Ok(None));
    assert_eq!(
        of_trickle.unwrap_or(Ok(None)),
        outcome,
        "{text:?} byte by byte"
    );
    match outcome? {
        Some(_) => Ok((whole, bytes.to_vec())),
        None => panic!("{text:?} is incomplete"),
    }
}

fn accepted(text: &str) -> (ResponseHead, Vec<u8>) {
    read(Method::Get, text).unwrap_or_else(|error| panic!("refused {text:?}: {error:?}"))
}

#[test]
fn rfc9112_4_a_response_is_read() {
    let (head, bytes) = accepted(
        "HTTP/1.1 404 Not  Found\r\nServer: x\r\nContent-Length: 3\r\n\
         Keep-Alive: timeout=5, max=100\r\nConnection: x-a\r\nX-A: 1\r\n\r\nabc",
    );
    let response = head.view(&bytes);
    assert_eq!(response.version(), Version::Http11);
    assert_eq!(response.status(), 404);
    assert_eq!(response.reason(), b"Not  Found");
    assert_eq!(response.body(), BodyLength::Sized(3));
    assert!(response.keep_alive());
    assert!(!response.is_interim() && !response.is_switch());
    assert_eq!(response.keep_alive_timeout(), Some(Duration::from_secs(5)));
    assert_eq!(response.field(FieldName::Server), Some(&b"x"[..]));
    let forwarded = head.fields.iter().filter(|line| line.forward).count();
    assert_eq!(forwarded, 1);
}

#[test]
fn rfc9112_4_the_reason_may_be_empty_missing_or_obs_text() {
    for (line, reason) in [
        ("HTTP/1.1 200", ""),
        ("HTTP/1.1 200 ", ""),
        ("HTTP/1.1 200 OK", "OK"),
        (
            "HTTP/1.0 200 d'accord, \u{e9}t\u{e9}\t!",
            "d'accord, \u{e9}t\u{e9}\t!",
        ),
    ] {
        let (head, bytes) = accepted(&format!("{line}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(head.view(&bytes).reason(), reason.as_bytes(), "{line}");
    }
}

/// Malformed heads: the section that refuses it, the head, the error.
const MALFORMED: &[(&str, &str, HeadError)] = &[
    (
        "9112 2.2 empty line first",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF",
        "HTTP/1.1 200 OK\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF, no reason",
        "HTTP/1.1 200\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF after a field",
        "HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF last",
        "HTTP/1.1 200 OK\r\nA: b\r\n\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 only bare LF",
        "HTTP/1.1 200 OK\nA: b\n\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare CR in the reason",
        "HTTP/1.1 200 O\rK\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 4 NUL in the reason",
        "HTTP/1.1 200 O\0K\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 4 two spaces",
        "HTTP/1.1  200 OK\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 4 two digits",
        "HTTP/1.1 20 OK\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 4 four digits",
        "HTTP/1.1 2000 OK\r\n\r\n",
        HeadError::Line,
    ),
    ("9112 4 signed", "HTTP/1.1 +20 OK\r\n\r\n", HeadError::Line),
    ("9112 4 tab", "HTTP/1.1\t200\tOK\r\n\r\n", HeadError::Line),
    (
        "9112 4 no status",
        "HTTP/1.1\r\nA: b\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 4 garbage",
        "<html>hello</html>\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 4 a request",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9110 15 below 100",
        "HTTP/1.1 099 X\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9110 2.5 HTTP/2.0",
        "HTTP/2.0 200 OK\r\n\r\n",
        HeadError::Version,
    ),
    (
        "9110 2.5 HTTP/1.2",
        "HTTP/1.2 200 OK\r\n\r\n",
        HeadError::Version,
    ),
    (
        "9112 2.3 lower case",
        "http/1.1 200 OK\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 5.1 space before the colon",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.2 folded",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.2 folded first",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9110 5.5 NUL in a value",
        "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9110 5.5 bare CR in a value",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9110 7.6.1 Connection",
        "HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n",
        HeadError::Connection,
    ),
    (
        "9110 15.2.2 101 to nothing",
        "HTTP/1.1 101 S\r\nConnection: upgrade\r\n\r\n",
        HeadError::Connection,
    ),
    (
        "9112 6.3 CL and TE",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::Framing(FramingError::LengthAndCoding),
    ),
    (
        "9112 6.3 two CL",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        HeadError::Framing(FramingError::LengthRepeated),
    ),
    (
        "9112 6.3 bad CL",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        HeadError::Framing(FramingError::LengthInvalid),
    ),
    (
        "9112 6.1 TE in HTTP/1.0",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::Framing(FramingError::CodingInHttp10),
    ),
    (
        "9112 6.1 gzip, chunked",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        HeadError::Framing(FramingError::CodingUnsupported),
    ),
    (
        "9112 6.3 gzip until close",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        HeadError::Framing(FramingError::CodingInvalid),
    ),
];

#[test]
fn rfc9112_4_malformed_responses_are_refused() {
    for (section, text, error) in MALFORMED {
        match read(Method::Get, text) {
            Err(found) => assert_eq!(found, *error, "RFC {section}"),
            Ok(_) => panic!("RFC {section}: accepted {text:?}"),
        }
    }
}

#[test]
fn rfc9110_15_unknown_statuses_are_final_responses() {
    for status in [200, 299, 399, 499, 599, 600, 999] {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\n");
        let (head, bytes) = accepted(&text);
        assert_eq!(head.view(&bytes).status(), status);
        assert_eq!(head.view(&bytes).body(), BodyLength::Sized(1));
    }
}

#[test]
fn rfc9112_6_3_the_body_depends_on_method_and_status() {
    let body = |method, status: u16, fields: &str| {
        let text = format!("HTTP/1.1 {status} X\r\n{fields}\r\n");
        let (head, bytes) = read(method, &text).unwrap();
        (
            head.view(&bytes).body(),
            head.view(&bytes).described_length(),
        )
    };
    let length = "Content-Length: 7\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    assert_eq!(body(Method::Get, 200, length), (BodyLength::Sized(7), None));
    assert_eq!(body(Method::Get, 200, chunked), (BodyLength::Chunked, None));
    assert_eq!(body(Method::Get, 200, ""), (BodyLength::UntilClose, None));
    assert_eq!(body(Method::Head, 200, length), (BodyLength::None, Some(7)));
    assert_eq!(body(Method::Head, 404, chunked), (BodyLength::None, None));
    assert_eq!(body(Method::Get, 304, length), (BodyLength::None, Some(7)));
    assert_eq!(body(Method::Get, 204, length), (BodyLength::None, None));
    assert_eq!(body(Method::Get, 103, chunked), (BodyLength::None, None));
    assert_eq!(body(Method::Connect, 200, length), (BodyLength::None, None));
    assert_eq!(
        body(Method::Connect, 502, length),
        (BodyLength::Sized(7), None)
    );
}

#[test]
fn rfc9110_15_2_2_interim_responses_and_101() {
    let (head, bytes) = accepted("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    assert!(head.view(&bytes).is_interim());
    let (head, bytes) = accepted("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    assert!(head.view(&bytes).is_interim());
    let (head, bytes) =
        accepted("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    let response = head.view(&bytes);
    assert!(response.is_switch() && !response.is_interim());
    assert_eq!(response.upgrade(), Some(&b"websocket"[..]));
    let old = "HTTP/1.0 101 X\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(read(Method::Get, old).err(), Some(HeadError::Connection));
    let (head, bytes) = accepted("HTTP/1.1 426 X\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(head.view(&bytes).upgrade(), None);
}

#[test]
fn rfc9112_9_3_reuse_of_the_upstream_connection() {
    for (line, fields, reusable) in [
        ("HTTP/1.1", "Content-Length: 0\r\n", true),
        (
            "HTTP/1.1",
            "Content-Length: 0\r\nConnection: close\r\n",
            false,
        ),
        ("HTTP/1.1", "", false),
        ("HTTP/1.1", "Transfer-Encoding: chunked\r\n", true),
        ("HTTP/1.0", "Content-Length: 0\r\n", false),
        (
            "HTTP/1.0",
            "Content-Length: 0\r\nConnection: keep-alive\r\n",
            true,
        ),
        ("HTTP/1.0", "Connection: keep-alive\r\n", false),
    ] {
        let (head, bytes) = accepted(&format!("{line} 200 OK\r\n{fields}\r\n"));
        assert_eq!(head.view(&bytes).keep_alive(), reusable, "{line} {fields}");
    }
}

#[test]
fn keep_alive_timeout_is_read_when_it_is_sound() {
    for (value, seconds) in [
        ("timeout=5", Some(5)),
        ("max=3, Timeout = 60", Some(60)),
        ("timeout", None),
        ("timeout=", None),
        ("timeout=x", None),
        ("timeouts=5", None),
        ("timeout=99999999999", None),
        ("", None),
    ] {
        let (head, bytes) = accepted(&format!("HTTP/1.1 200 OK\r\nKeep-Alive: {value}\r\n\r\n"));
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(head.view(&bytes).keep_alive_timeout(), expected, "{value}");
    }
}

#[test]
fn rfc9110_5_4_limits_hold_for_responses() {
    let limits = HeadLimits {
        head_bytes: 100,
        field_count: 2,
        ..HeadLimits::default()
    };
    let mut head = ResponseHead::new();
    let mut read = |text: &str| parse(text.as_bytes(), &limits, Method::Get, &mut head);
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(100));
    assert_eq!(read(&long), Err(HeadError::HeadTooLarge));
    let many = "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n";
    assert_eq!(read(many), Err(HeadError::TooManyFields));
}
