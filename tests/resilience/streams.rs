//! What is long on purpose is cut by no deadline that is about something else.
//!
//! Every deadline that has a default is set far below the length of the exchange, but for the one
//! that is about silence.

use std::time::Duration;

use super::setup;
use crate::harness::{Origin, Proxy, Setup, wait};

const SHORT: &str = "timeouts = { first_byte = \"300ms\" }\n\
    retry = { on = [\"timeout\", \"reset\"], per_try_timeout = \"300ms\" }";

fn with_short_deadlines(origin: &Origin) -> Setup {
    let cluster = "connect_timeout = \"300ms\"\ncircuit_breaker.pending_timeout = \"300ms\"";
    setup(&[origin], SHORT, cluster).listener(
        "timeouts = { header = \"300ms\", body_gap = \"300ms\", send_gap = \"300ms\", \
         idle = \"300ms\" }\nupgrades = [\"websocket\"]",
    )
}

/// Longer than all of them together.
fn a_while() {
    wait::pass(Duration::from_millis(400));
}

#[test]
fn an_event_stream_goes_on() {
    let origin = Origin::start(|peer| {
        peer.request();
        peer.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: \
             chunked\r\n\r\n",
        );
        for _ in 0..4 {
            a_while();
            peer.send("9\r\ndata: x\n\n\r\n");
        }
        peer.send("0\r\n\r\n");
    });
    let proxy = Proxy::start(&with_short_deadlines(&origin));
    let response = proxy.get("/events");
    assert_eq!(response.text(), "data: x\n\n".repeat(4));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_long_download_goes_on() {
    let origin = Origin::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        for _ in 0..4 {
            a_while();
            peer.send("x");
        }
    });
    let proxy = Proxy::start(&with_short_deadlines(&origin));
    assert_eq!(proxy.get("/large").text(), "xxxx");
}

#[test]
fn a_long_upload_goes_on() {
    let origin = Origin::echoing_targets();
    let proxy =
        Proxy::start(&with_short_deadlines(&origin).listener("route_timeouts.idle = \"1m\""));
    let mut client = proxy.connect();
    client.send("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 80\r\n\r\n");
    client.trickle(&[b'x'; 80], Duration::from_millis(10));
    // One attempt takes 300 ms at most, but this one waits for the client.
    let status = client.response_to("PUT").status();
    assert_eq!(status, 200);
}

#[test]
fn a_websocket_goes_on() {
    let origin = Origin::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
        while let Some(bytes) = peer.some() {
            peer.send(bytes);
        }
    });
    let proxy = Proxy::start(&with_short_deadlines(&origin));
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 101 "));
    for _ in 0..3 {
        a_while();
        client.send("ping");
        assert_eq!(client.take(4), b"ping");
    }
}
