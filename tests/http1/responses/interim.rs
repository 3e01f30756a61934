//! RFC 9110 §15.2 and §10.1.1: interim responses, `Expect`, and floods of them.

use super::table::{BadGateway, Case, Either, Passed, open, run};
use crate::harness::{Client, Origin, Proxy};

#[test]
fn rfc9110_15_2_interim_responses_before_the_final_one() {
    run("GET", INTERIM);
}

#[rustfmt::skip]
const INTERIM: &[Case] = &[
    open("rfc9110_15_2_1_continue_then_ok",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Passed(200, "ok")),
    open("rfc8297_2_early_hints_then_ok",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Passed(200, "ok")),
    open("rfc9110_15_2_unknown_interim_then_ok",
        b"HTTP/1.1 199 What\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Passed(200, "ok")),
    open("rfc9110_15_2_interim_with_a_length",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        BadGateway),
    open("rfc9110_15_2_interim_with_length_zero",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Either(200, "ok")),
    open("rfc9110_15_2_2_switching_that_nobody_asked_for",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n",
        BadGateway),
];

#[test]
fn rfc9110_15_2_a_flood_of_interim_responses_is_cut() {
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100_000);
    let origin = Origin::answering(flood);
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send("GET /f HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut interim = 0;
    let last = loop {
        match client.try_response_to("GET") {
            Ok(response) if response.status() < 200 => interim += 1,
            last => break last,
        }
    };
    assert!(
        interim < 10_000,
        "{interim} interim responses were passed on"
    );
    assert!(last.is_err() || last.is_ok_and(|response| response.status() == 502));
}

#[test]
fn rfc8297_2_early_hints_reach_the_client() {
    let origin = Origin::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    );
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    let hints = client.get("/h");
    assert_eq!((hints.status(), hints.field("Link")), (103, Some("</a>")));
    assert_eq!(client.response().status(), 200);
}

#[test]
fn rfc9110_15_2_http_1_0_clients_get_no_interim_response() {
    let origin = Origin::answering(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    );
    let proxy = Proxy::to(origin.address());
    let response = proxy
        .connect()
        .exchange("GET /h HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(response.status(), 200);
}

/// An upload that waits for 100 before it sends its content.
fn waiting_upload(client: &mut Client) {
    client.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
}

#[test]
fn rfc9110_10_1_1_continue_comes_from_the_origin() {
    let origin = Origin::start(|peer| {
        let head = peer.head().expect("a head");
        assert!(
            head.to_ascii_lowercase().contains("expect: 100-continue"),
            "{head}"
        );
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!(peer.until(b"hello").as_deref(), Some(&b"hello"[..]));
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    waiting_upload(&mut client);
    assert_eq!(client.response_to("POST").status(), 100);
    client.send("hello");
    assert_eq!(client.response_to("POST").text(), "ok");
}

#[test]
fn rfc9110_10_1_1_a_final_status_instead_of_continue() {
    let origin = Origin::start(|peer| {
        peer.head().expect("a head");
        peer.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
        peer.some();
    });
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    waiting_upload(&mut client);
    let response = client.response_to("POST");
    assert_eq!(response.status(), 417);
    // The content that was never sent must not be taken for the next request, nor the other way.
    assert_eq!(response.field("Connection"), Some("close"));
    client.expect_end();
}

#[test]
fn rfc9110_10_1_1_unknown_expectation() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let response = proxy
        .connect()
        .exchange("GET /e HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n");
    assert_eq!(response.status(), 417);
    assert!(origin.requests().is_empty());
}
