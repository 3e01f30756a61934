//! Parts of a response that never end are cut, and cost a bounded amount of memory.

use crate::harness::{Origin, Peer, Proxy};

/// What a client may cost while its origin misbehaves.
const GROWTH_MAX: u64 = 8 << 20;

/// An origin that sends `start`, then `more` for ever; what the client gets.
fn endless(start: &'static str, more: &'static str) -> Result<u16, String> {
    let origin = Origin::start(move |peer: &mut Peer| {
        peer.request();
        peer.send(start);
        let block = more.repeat(1000);
        while peer.send(&block) {}
    });
    let proxy = Proxy::to(origin.address());
    let before = proxy.resident_bytes();
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let got = client
        .try_response_to("GET")
        .map(|response| response.status());
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes for one response");
    got
}

#[test]
fn rfc9112_4_endless_reason() {
    assert_eq!(endless("HTTP/1.1 200 ", "aaaaaaaaaa"), Ok(502));
}

#[test]
fn rfc9112_5_endless_field() {
    assert_eq!(endless("HTTP/1.1 200 OK\r\nX: ", "aaaaaaaaaa"), Ok(502));
}

#[test]
fn rfc9112_5_endless_fields() {
    assert_eq!(endless("HTTP/1.1 200 OK\r\n", "X: a\r\n"), Ok(502));
}

#[test]
fn rfc9112_2_2_endless_empty_lines() {
    assert_eq!(endless("", "\r\n"), Ok(502));
}

#[test]
fn rfc9112_7_1_1_endless_extension() {
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=";
    let got = endless(start, "aaaaaaaaaa");
    assert!(got.is_err() || got == Ok(502), "{got:?}");
}

#[test]
fn rfc9112_7_1_2_endless_trailers() {
    let start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
    let got = endless(start, "X: a\r\n");
    assert!(got.is_err() || got == Ok(502), "{got:?}");
}
