//! Response heads. What must hold for any bytes: no panic; the same outcome at once and in two
//! pieces; an accepted head, written for the client and read again, is the same response.

#![no_main]

use engine::http::h1::encode::{self, ConnectionReply, ResponseEdits};
use engine::http::h1::response::parse;
use engine::http::{HeadLimits, Method, Parsed, ResponseHead};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u16, &[u8])| {
    let (choice, split, bytes) = input;
    let method = match choice & 3 {
        0 => Method::Head,
        1 => Method::Connect,
        _ => Method::Get,
    };
    let limits = HeadLimits {
        head_bytes: if choice & 4 == 0 { 64 << 10 } else { 300 },
        field_count: if choice & 8 == 0 { 100 } else { 5 },
        ..HeadLimits::default()
    };
    let mut head = ResponseHead::new();
    let outcome = parse(bytes, &limits, method, &mut head);

    let split = usize::from(split).min(bytes.len());
    let mut halves = ResponseHead::new();
    let mut of_halves = parse(&bytes[..split], &limits, method, &mut halves);
    if of_halves == Ok(Parsed::Partial) {
        of_halves = parse(bytes, &limits, method, &mut halves);
    }
    // An error in the middle of a head may be noticed later when the head comes in pieces.
    if !(of_halves == Ok(Parsed::Partial) && outcome.is_err()) {
        assert_eq!(of_halves, outcome);
    }

    let Ok(Parsed::Complete { bytes: length }) = outcome else {
        return;
    };
    let response = head.view(&bytes[..length]);
    let connection = if response.is_switch() {
        ConnectionReply::Upgrade
    } else {
        ConnectionReply::Persist
    };
    let mut out = Vec::new();
    let edits = ResponseEdits {
        connection,
        ..ResponseEdits::default()
    };
    encode::response(&mut out, &response, &edits);
    let mut again = ResponseHead::new();
    let roomy = HeadLimits {
        head_bytes: 1 << 20,
        field_count: 256,
        ..limits
    };
    let parsed = parse(&out, &roomy, method, &mut again);
    assert_eq!(
        parsed,
        Ok(Parsed::Complete { bytes: out.len() }),
        "{}",
        out.escape_ascii()
    );
    let forwarded = again.view(&out);
    assert_eq!(forwarded.status(), response.status());
    assert_eq!(forwarded.reason(), response.reason());
    assert_eq!(forwarded.body(), response.body());
    assert_eq!(forwarded.described_length(), response.described_length());
    assert_eq!(forwarded.upgrade(), response.upgrade());

    let mut twice = Vec::new();
    encode::response(&mut twice, &forwarded, &edits);
    assert_eq!(
        twice.escape_ascii().to_string(),
        out.escape_ascii().to_string()
    );
});
