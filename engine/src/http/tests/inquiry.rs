//! Heads that ask about a request: what is in them, and what must never be.

use super::encode::parse_request;
use super::forwarded::forwarded;
use crate::http::FieldPatterns;
use crate::http::h1::encode::{self, RequestEdits};

/// A question about the request.
fn inquiry(text: &str, edits: &RequestEdits<'_>, asked: &[&str]) -> String {
    let mut patterns = FieldPatterns::default();
    for name in asked {
        match name.strip_suffix('*') {
            Some(start) => patterns.add_prefix(start.as_bytes()),
            None => patterns.add_name(name.as_bytes()),
        }
    }
    let head = parse_request(text.as_bytes());
    let mut out = Vec::new();
    encode::inquiry(&mut out, &head.view(text.as_bytes()), edits, &patterns);
    assert!(parse_request(&out).view(&out).body().is_empty());
    String::from_utf8(out).unwrap()
}

#[test]
fn a_question_has_the_fields_that_are_asked_for_and_no_content() {
    let text = "POST /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nAuthorization: t\r\nX-B: 2\r\n\
                Content-Length: 5\r\nExpect: 100-continue\r\nX-Forwarded-For: 10.0.0.1\r\n\
                X-Forwarded-Proto: https\r\nConnection: x-hop\r\nX-Hop: 3\r\n\r\n";
    let asked = ["authorization", "x-hop", "x-a*", "e*", "content-length"];
    assert_eq!(
        inquiry(text, &RequestEdits::default(), &asked),
        "POST /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nAuthorization: t\r\n\
         Content-Length: 0\r\n\r\n"
    );
    // What the client says of itself is told as an upstream is told it.
    let from_anybody = forwarded(0);
    assert_eq!(
        inquiry(text, &from_anybody, &[]),
        "POST /a?b HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.9\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\nContent-Length: 0\r\n\r\n"
    );
    let from_a_hop = inquiry(text, &forwarded(1), &[]);
    assert!(
        from_a_hop.contains("X-Forwarded-For: 10.0.0.1, 10.0.0.9\r\n"),
        "{from_a_hop}"
    );
    assert!(
        from_a_hop.contains("X-Forwarded-Proto: https\r\n"),
        "{from_a_hop}"
    );
}

#[test]
fn rfc9110_7_6_2_nobody_on_the_way_answers_a_question_for_itself() {
    for method in ["OPTIONS", "TRACE"] {
        let text = format!("{method} / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 1\r\n\r\n");
        let asked = inquiry(&text, &RequestEdits::default(), &["max-forwards", "m*"]);
        assert!(!asked.contains("Forwards"), "{asked}");
    }
}
