//! Malformed request heads, each with the section that refuses it.

use super::request::refused;
use crate::http::{FramingError, HeadError, TargetError};

/// Malformed heads: the section that refuses it, the head, the error.
const MALFORMED: &[(&str, &str, HeadError)] = &[
    (
        "9112 2.2 bare LF after the request line",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF after a field",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF as the empty line",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF before the empty line",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 only bare LF",
        "GET / HTTP/1.1\nHost: a\n\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 LF after an empty value",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\nY: b\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare LF first",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare CR first",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 many empty lines",
        "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 bare CR in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9112 2.2 CR CR LF",
        "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9112 2.2 bare CR in the line",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.2 whitespace before the first field",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 3 two spaces before the target",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3 two spaces after the target",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3 trailing space",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 3 leading space",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3 tab as separator",
        "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3 vertical tab in the target",
        "GET /\u{b}a HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3 space in the target",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3 no target",
        "GET HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    ("9112 3 HTTP/0.9", "GET /\r\n\r\n", HeadError::Line),
    (
        "9112 3.1 method with a separator",
        "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3.1 empty method",
        "/ HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3.1 NUL in the method",
        "G\0T / HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 3.2 NUL in the target",
        "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9110 2.5 HTTP/2.0",
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        HeadError::Version,
    ),
    (
        "9113 3.4 the HTTP/2 preface",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        HeadError::Version,
    ),
    (
        "9110 2.5 HTTP/1.2",
        "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        HeadError::Version,
    ),
    (
        "9110 2.5 HTTP/0.9",
        "GET / HTTP/0.9\r\nHost: a\r\n\r\n",
        HeadError::Version,
    ),
    (
        "9110 2.5 HTTP/1.10",
        "GET / HTTP/1.10\r\nHost: a\r\n\r\n",
        HeadError::LineEnd,
    ),
    (
        "9112 2.3 lower case",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 2.3 other protocol",
        "GET / ICY/1.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 2.3 HTTP/01.1",
        "GET / HTTP/01.1\r\nHost: a\r\n\r\n",
        HeadError::Line,
    ),
    (
        "9112 5.1 space before the colon",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.1 tab before the colon",
        "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.1 no colon",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.1 empty name",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.1 NUL in a name",
        "GET / HTTP/1.1\r\nHost: a\r\nX\0Y: b\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.1 obs-text in a name",
        "GET / HTTP/1.1\r\nHost: a\r\nX\u{e9}: b\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.1 quote in a name",
        "GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.2 folded with a space",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.2 folded with a tab",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9112 5.2 folded empty value",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\r\n c\r\n\r\n",
        HeadError::FieldName,
    ),
    (
        "9110 5.5 NUL in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\0\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9110 5.5 DEL in a value",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\u{7f}\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9110 5.5 vertical tab",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\u{b}b\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9110 7.6.1 Connection no token",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n",
        HeadError::Connection,
    ),
    (
        "9110 7.6.1 Connection quoted",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: \"close\"\r\n\r\n",
        HeadError::Connection,
    ),
    (
        "9110 7.6.2 Max-Forwards no number",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9110 7.6.2 Max-Forwards twice",
        "TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 2\r\n\r\n",
        HeadError::FieldValue,
    ),
    (
        "9110 10.1.1 other expectation",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n",
        HeadError::Expectation,
    ),
    (
        "9110 10.1.1 empty expectation",
        "GET / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n",
        HeadError::Expectation,
    ),
    (
        "9112 6.1 gzip, chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        HeadError::Framing(FramingError::CodingUnsupported),
    ),
    (
        "9112 6.1 TE on two lines",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
         transfer-encoding: chunked\r\n\r\n",
        HeadError::Framing(FramingError::CodingInvalid),
    ),
    (
        "9112 6.1 TE identity",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        HeadError::Framing(FramingError::CodingInvalid),
    ),
    (
        "9112 6.1 TE empty",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n",
        HeadError::Framing(FramingError::CodingInvalid),
    ),
    (
        "9112 6.1 TE in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::Framing(FramingError::CodingInHttp10),
    ),
    (
        "9112 6.3 CL and TE",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::Framing(FramingError::LengthAndCoding),
    ),
    (
        "9112 6.3 two CL",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        HeadError::Framing(FramingError::LengthRepeated),
    ),
    (
        "9112 6.3 CL list",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n",
        HeadError::Framing(FramingError::LengthRepeated),
    ),
    (
        "9112 6.3 CL with sign",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n",
        HeadError::Framing(FramingError::LengthInvalid),
    ),
    (
        "9110 9.3.8 TRACE with a body",
        "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        HeadError::Framing(FramingError::BodyForbidden),
    ),
    (
        "9110 9.3.6 CONNECT with a body",
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n",
        HeadError::Framing(FramingError::BodyForbidden),
    ),
    (
        "9112 3.2 no Host",
        "GET / HTTP/1.1\r\n\r\n",
        HeadError::Target(TargetError::HostMissing),
    ),
    (
        "9112 3.2 two Host",
        "GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n",
        HeadError::Target(TargetError::HostRepeated),
    ),
    (
        "9112 3.2 two Host in HTTP/1.0",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        HeadError::Target(TargetError::HostRepeated),
    ),
    (
        "9112 3.2 Host list",
        "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
        HeadError::Target(TargetError::HostInvalid),
    ),
    (
        "9112 3.2 empty Host",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        HeadError::Target(TargetError::HostInvalid),
    ),
];

/// Malformed heads, each with the section that refuses it.
#[test]
fn rfc9112_2_malformed_heads_are_refused() {
    for (section, text, error) in MALFORMED {
        assert_eq!(refused(text), *error, "RFC {section}");
    }
}
