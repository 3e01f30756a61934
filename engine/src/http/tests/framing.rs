//! Body lengths: RFC 9112 §6.3, rule by rule.

use crate::http::collect::Notes;
use crate::http::framing::{BodyLength, FramingError, of_request, of_response};
use crate::http::head::Span;
use crate::http::{FieldName, Method, Version};

/// Notes of a message with these values of the two fields.
fn announced_by(lengths: &[&str], codings: &[&str]) -> (Notes, Vec<u8>) {
    let mut notes = Notes::default();
    let mut bytes = Vec::new();
    for (values, name) in [
        (lengths, FieldName::ContentLength),
        (codings, FieldName::TransferEncoding),
    ] {
        for value in values {
            let span = Span::new(bytes.len(), value.len());
            notes.field(name, Span::default(), span);
            bytes.extend_from_slice(value.as_bytes());
        }
    }
    (notes, bytes)
}

fn request(lengths: &[&str], codings: &[&str]) -> Result<BodyLength, FramingError> {
    let (notes, bytes) = announced_by(lengths, codings);
    of_request(Method::Post, Version::Http11, &notes, &bytes)
}

fn response(
    method: Method,
    status: u16,
    lengths: &[&str],
    codings: &[&str],
) -> Result<(BodyLength, Option<u64>), FramingError> {
    let (notes, bytes) = announced_by(lengths, codings);
    of_response(method, status, Version::Http11, &notes, &bytes)
}

#[test]
fn rfc9112_6_3_rule_1_some_responses_have_no_body() {
    for status in [100, 103, 199, 204] {
        let length = response(Method::Get, status, &["5"], &[]);
        assert_eq!(length, Ok((BodyLength::None, None)), "{status}");
    }
    let described = Ok((BodyLength::None, Some(5)));
    assert_eq!(response(Method::Head, 200, &["5"], &[]), described);
    assert_eq!(response(Method::Get, 304, &["5"], &[]), described);
    let nothing = Ok((BodyLength::None, None));
    assert_eq!(response(Method::Head, 200, &[], &["chunked"]), nothing);
    assert_eq!(response(Method::Head, 200, &[], &[]), nothing);
}

#[test]
fn rfc9112_6_3_rule_2_a_successful_connect_is_a_tunnel() {
    let tunnel = Ok((BodyLength::None, None));
    assert_eq!(response(Method::Connect, 200, &["5"], &["chunked"]), tunnel);
    assert_eq!(
        response(Method::Connect, 403, &["5"], &[]),
        Ok((BodyLength::Sized(5), None))
    );
}

#[test]
fn rfc9112_6_3_rule_3_cl_and_te_refused() {
    let both = FramingError::LengthAndCoding;
    assert_eq!(request(&["5"], &["chunked"]), Err(both));
    assert_eq!(request(&["0"], &["chunked"]), Err(both));
    assert_eq!(request(&["x"], &["identity"]), Err(both));
    assert_eq!(response(Method::Get, 200, &["5"], &["chunked"]), Err(both));
    assert_eq!(response(Method::Head, 200, &["5"], &["chunked"]), Err(both));
}

#[test]
fn rfc9112_6_3_rule_4_te_is_exactly_chunked() {
    for value in ["chunked", "Chunked", "CHUNKED"] {
        assert_eq!(request(&[], &[value]), Ok(BodyLength::Chunked), "{value}");
    }
    for value in [
        "",
        ",",
        "identity",
        "gzip",
        "chunked, gzip",
        "chunked, chunked",
        "chunked,",
        "xchunked",
        ",chunked",
        "chunked;q=1",
        "chunked x",
        "\"chunked\"",
        "gzip, , chunked",
        "\u{b}chunked",
        "gzip;x=1, chunked",
        "chunke",
        "chunked\u{a0}",
    ] {
        assert_eq!(
            request(&[], &[value]),
            Err(FramingError::CodingInvalid),
            "{value}"
        );
    }
    for value in [
        "gzip, chunked",
        "gzip,deflate,\tchunked",
        "identity, chunked",
    ] {
        let refused = request(&[], &[value]);
        assert_eq!(refused, Err(FramingError::CodingUnsupported), "{value}");
    }
    let twice = request(&[], &["chunked", "chunked"]);
    assert_eq!(twice, Err(FramingError::CodingInvalid));
    assert_eq!(FramingError::CodingUnsupported.status(), 501);
}

#[test]
fn rfc9112_6_1_te_in_http10_refused() {
    let (notes, bytes) = announced_by(&[], &["chunked"]);
    let refused = Err(FramingError::CodingInHttp10);
    assert_eq!(
        of_request(Method::Post, Version::Http10, &notes, &bytes),
        refused
    );
    let response = of_response(Method::Get, 200, Version::Http10, &notes, &bytes);
    assert_eq!(response, Err(FramingError::CodingInHttp10));
}

#[test]
fn rfc9112_6_3_rule_5_only_one_valid_length() {
    for values in [&["5", "5"][..], &["5", "6"], &["5, 5"], &["5,"], &["5,6"]] {
        assert_eq!(
            request(values, &[]),
            Err(FramingError::LengthRepeated),
            "{values:?}"
        );
    }
    for value in [
        "",
        "+5",
        "-1",
        "0x5",
        "5 5",
        "5;",
        "\u{b}5",
        "1e3",
        "5.0",
        "٥",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        assert_eq!(
            request(&[value], &[]),
            Err(FramingError::LengthInvalid),
            "{value}"
        );
    }
}

#[test]
fn rfc9112_6_3_rule_6_a_valid_length() {
    for (value, length) in [
        ("0", 0),
        ("5", 5),
        ("007", 7),
        ("9223372036854775807", i64::MAX as u64),
    ] {
        assert_eq!(request(&[value], &[]), Ok(BodyLength::Sized(length)));
    }
}

#[test]
fn rfc9112_6_3_rules_7_and_8_without_a_length() {
    assert_eq!(request(&[], &[]), Ok(BodyLength::None));
    let until_close = Ok((BodyLength::UntilClose, None));
    assert_eq!(response(Method::Get, 200, &[], &[]), until_close);
}

/// All pairs of values of the two fields: a length is decided only when one field occurs,
/// once, with a sound value.
#[test]
fn rfc9112_11_2_no_pair_of_lengths_has_two_readings() {
    let lengths = ["0", "5", "05", "+5", "5,5", "0x5", ""];
    let codings = [
        "chunked",
        "CHUNKED",
        "gzip, chunked",
        "chunked, x",
        "identity",
        "",
    ];
    for length in lengths {
        for coding in codings {
            assert!(request(&[length], &[coding]).is_err(), "{length} {coding}");
            assert!(response(Method::Get, 200, &[length], &[coding]).is_err());
            let twice = request(&[], &[coding, "chunked"]);
            assert_eq!(twice, Err(FramingError::CodingInvalid), "{coding}");
        }
        assert!(request(&[length, "5"], &[]).is_err(), "{length}");
    }
}

#[test]
fn rfc9110_9_3_6_and_9_3_8_connect_and_trace_have_no_body() {
    for method in [Method::Connect, Method::Trace] {
        for (lengths, codings) in [(&["1"][..], &[][..]), (&[], &["chunked"])] {
            let (notes, bytes) = announced_by(lengths, codings);
            let refused = of_request(method, Version::Http11, &notes, &bytes);
            assert_eq!(refused, Err(FramingError::BodyForbidden));
        }
        let (notes, bytes) = announced_by(&["0"], &[]);
        let body = of_request(method, Version::Http11, &notes, &bytes);
        assert_eq!(body, Ok(BodyLength::None));
    }
}
