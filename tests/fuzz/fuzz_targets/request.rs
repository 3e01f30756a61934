//! Request heads. What must hold for any bytes: no panic; the same outcome at once and in two
//! pieces; an accepted head, written for the upstream and read again, is the same request; the
//! written head holds nothing a second reader could take differently.

#![no_main]

use engine::http::h1::encode::{self, RequestEdits};
use engine::http::h1::request::parse;
use engine::http::{
    Encoded, HeadLimits, Parsed, Request, RequestHead, TargetRules, UnderscoreNames,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (choice, split, bytes) = input;
    let limits = limits(choice);
    let mut head = RequestHead::new();
    let outcome = parse(bytes, &limits, &mut head);

    let split = usize::from(split).min(bytes.len());
    let mut halves = RequestHead::new();
    let mut of_halves = parse(&bytes[..split], &limits, &mut halves);
    if of_halves == Ok(Parsed::Partial) {
        of_halves = parse(bytes, &limits, &mut halves);
    }
    // An error in the middle of a head may be noticed later when the head comes in pieces.
    if !(of_halves == Ok(Parsed::Partial) && outcome.is_err()) {
        assert_eq!(of_halves, outcome);
    }

    let Ok(Parsed::Complete { bytes: length }) = outcome else {
        return;
    };
    let request = head.view(&bytes[..length]);
    assert_eq!(facts(&halves.view(bytes)), facts(&request));

    let mut out = Vec::new();
    encode::request(
        &mut out,
        &request,
        &RequestEdits {
            upgrade: true,
            ..RequestEdits::default()
        },
    );
    assert_sound(&out);
    if request.authority().is_empty() {
        // HTTP/1.0 without Host: the proxy has to name one.
        return;
    }
    let mut again = RequestHead::new();
    // What is added may exceed a limit that the head just met.
    let roomy = HeadLimits {
        head_bytes: 1 << 20,
        field_count: 256,
        ..limits
    };
    let parsed = parse(&out, &roomy, &mut again);
    assert_eq!(
        parsed,
        Ok(Parsed::Complete { bytes: out.len() }),
        "{:?}",
        out.escape_ascii()
    );
    let forwarded = again.view(&out);
    assert_eq!(forwarded.path(), request.path());
    assert_eq!(forwarded.query(), request.query());
    assert_eq!(forwarded.authority(), request.authority());
    assert_eq!(forwarded.method_bytes(), request.method_bytes());
    assert_eq!(forwarded.body(), request.body());
    assert_eq!(forwarded.upgrade(), request.upgrade());
    assert_eq!(forwarded.expects_continue(), request.expects_continue());

    // Forwarded once more, only Max-Forwards changes.
    let mut twice = Vec::new();
    let edits = RequestEdits {
        upgrade: true,
        ..RequestEdits::default()
    };
    encode::request(&mut twice, &forwarded, &edits);
    if request.max_forwards().is_none() {
        assert_eq!(
            twice.escape_ascii().to_string(),
            out.escape_ascii().to_string()
        );
    }
});

fn limits(choice: u8) -> HeadLimits {
    let encoded = |bit: u8| {
        if choice & bit == 0 {
            Encoded::Refuse
        } else {
            Encoded::Keep
        }
    };
    HeadLimits {
        head_bytes: if choice & 1 == 0 { 64 << 10 } else { 300 },
        request_line_bytes: if choice & 2 == 0 { 8 << 10 } else { 60 },
        field_count: if choice & 4 == 0 { 100 } else { 5 },
        names: if choice & 8 == 0 {
            UnderscoreNames::Refuse
        } else {
            UnderscoreNames::Allow
        },
        target: TargetRules {
            merge_slashes: choice & 16 == 0,
            encoded_separators: encoded(32),
            encoded_nul: encoded(64),
        },
    }
}

/// What was understood.
fn facts(request: &Request<'_>) -> String {
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        request.method_bytes(),
        request.path(),
        request.query(),
        request.authority(),
        request.host(),
        request.body(),
        request.keep_alive(),
        request.expects_continue(),
        request.upgrade(),
        request.fields().collect::<Vec<_>>(),
    )
}

/// Every line ends in CRLF, there is one empty line and it is the last.
fn assert_sound(head: &[u8]) {
    let text = head
        .strip_suffix(b"\r\n\r\n")
        .expect("ends with an empty line");
    let mut previous = 0;
    for (at, &byte) in text.iter().enumerate() {
        assert!(byte != 0);
        if byte == b'\n' {
            assert_eq!(text[at - 1], b'\r');
            assert!(at - previous > 2, "an empty line inside");
            previous = at;
        }
        if byte == b'\r' {
            assert_eq!(text.get(at + 1), Some(&b'\n'));
        }
    }
}
