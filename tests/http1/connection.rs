//! RFC 9112 §9: how connections to clients persist, pipeline, end by halves and end early.

use std::time::Duration;

use crate::harness::{Origin, Peer, Proxy, Setup, client::Ending, wait};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn rfc9112_9_3_http_1_1_persists() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    for turn in 0..50 {
        let target = format!("/{turn}");
        let response = client.get(&target);
        assert_eq!(response.text(), target);
        assert_eq!(response.field("Connection"), None);
    }
}

#[test]
fn rfc9112_9_3_http_1_0_persists_only_when_asked_to() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    let keep = "GET /k HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    for _ in 0..3 {
        let response = client.exchange(keep);
        assert_eq!(response.status(), 200);
        let persists = response.field("Connection").unwrap_or_default();
        assert!(persists.eq_ignore_ascii_case("keep-alive"), "{persists}");
    }
    assert_eq!(
        client
            .exchange("GET /k HTTP/1.0\r\nHost: a\r\n\r\n")
            .status(),
        200
    );
    client.expect_end();
}

#[test]
fn rfc9112_7_http_1_0_clients_get_no_chunks() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send("GET /c HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    let (_, bytes) = client.rest();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.ends_with("\r\n\r\nok"), "{text}");
    assert!(
        !text.to_ascii_lowercase().contains("transfer-encoding"),
        "{text}"
    );
}

#[test]
fn rfc9112_9_6_close_is_honoured_and_answered() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    let response = client.exchange("GET /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(response.field("Connection"), Some("close"));
    assert_eq!(client.expect_end(), Ending::Closed);
}

#[test]
fn rfc9112_9_6_a_client_that_asked_for_the_close_is_not_lingered_for() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    for head in [
        "HTTP/1.1\r\nHost: a\r\nConnection: close",
        "HTTP/1.0\r\nHost: a",
    ] {
        let mut client = proxy.connect();
        client.send(format!("GET /c {head}\r\n\r\n"));
        assert_eq!(client.response().text(), "/c");
        assert_eq!(client.expect_end(), Ending::Closed);
        // Closed on both sides, not only finished: the first byte is answered by a reset.
        let _ = client.try_send("x");
        wait::pass(Duration::from_millis(5));
        assert!(
            client.try_send("x").is_err(),
            "somebody reads after {head:?}"
        );
    }
}

#[test]
fn rfc9112_9_6_what_comes_after_close_does_not_destroy_the_response() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let request = "POST /c HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    for too_much in ["\r\n".to_owned(), "GET /d HTTP/1.1\r\n".repeat(20_000)] {
        for _ in 0..10 {
            let mut client = proxy.connect();
            client.send(format!("{request}{too_much}"));
            assert_eq!(client.response_to("POST").text(), "/c");
            assert_eq!(client.expect_end(), Ending::Closed);
        }
    }
    assert_eq!(origin.requests().len(), 20);
}

#[test]
fn rfc9112_9_3_2_pipelined_requests_are_answered_in_order() {
    // The first answer takes until the second request is at the proxy, if not at the origin.
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    let count = 40;
    let all: String = (0..count)
        .map(|turn| format!("GET /{turn} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send_in_pieces(all.as_bytes(), 7);
    for turn in 0..count {
        assert_eq!(client.response().text(), format!("/{turn}"));
    }
}

#[test]
fn rfc9112_9_3_2_pipelining_ends_at_close() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send(
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n\
         GET /3 HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(client.response().text(), "/1");
    assert_eq!(client.response().text(), "/2");
    client.expect_end();
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn half_closed_clients_get_their_answer() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client
        .send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
        .finish();
    assert_eq!(client.response().text(), "/half");
    assert_eq!(client.expect_end(), Ending::Closed);
}

#[test]
fn half_closed_origins_are_read_to_their_end() {
    // The origin closes its sending side at once and goes on reading.
    let origin = Origin::start(|peer: &mut Peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
        peer.finish();
        while peer.some().is_some() {}
    });
    let proxy = Proxy::to(origin.address());
    assert_eq!(proxy.get("/").text(), "until the end");
}

#[test]
fn a_client_that_leaves_takes_its_request_with_it() {
    let origin = Origin::start(|peer: &mut Peer| {
        peer.request();
        // Never answers; ends when the proxy gives up.
        while peer.some().is_some() {}
    });
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request at the origin", || origin.requests().len() == 1);
    drop(client);
    wait::for_("the proxy to hang up", || origin.open() == 0);
}

#[test]
fn an_upload_cut_short_is_not_completed() {
    for head in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let origin = Origin::echoing_targets();
        let proxy = Proxy::to(origin.address());
        let mut client = proxy.connect();
        client.send(format!(
            "POST /cut HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n5\r\nhello\r\n"
        ));
        wait::for_("the start at the origin", || origin.connections() == 1);
        drop(client);
        wait::for_("the proxy to hang up", || origin.open() == 0);
        assert!(
            origin.requests().is_empty(),
            "{head}: a whole request at the origin"
        );
    }
}

#[test]
fn rfc9112_9_5_an_early_answer_to_an_unfinished_upload() {
    let origin = Origin::start(|peer: &mut Peer| {
        peer.head();
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig");
        while peer.some().is_some() {}
    });
    let setup = Setup::to(origin.address()).listener("limits.body_bytes = \"unlimited\"");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    client.send(vec![b'a'; 1000]);
    let response = client.response_to("POST");
    assert_eq!((response.status(), &*response.text()), (413, "big"));
    // What is left of the upload must not be read as the next request.
    assert_eq!(response.field("Connection"), Some("close"));
    client.send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
    client.expect_end();
    wait::for_("the origin's connection to end", || origin.open() == 0);
    let received = origin.received().concat();
    assert!(
        !received.starts_with(b"GET "),
        "{}",
        String::from_utf8_lossy(&received)
    );
    assert_eq!(origin.connections(), 1);
}

#[test]
fn rfc9112_9_5_an_early_answer_and_a_closed_connection() {
    let origin = Origin::start(|peer: &mut Peer| {
        peer.head();
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    });
    let setup = Setup::to(origin.address()).listener("limits.body_bytes = \"unlimited\"");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    client.send(vec![b'a'; 100_000]);
    let response = client.response_to("POST");
    assert_eq!((response.status(), &*response.text()), (403, "no"));
}

#[test]
fn rfc9112_9_5_an_early_answer_is_whole_although_the_client_ceases_to_send() {
    // The client was told `Connection: close`, and does what it should: it sends no more.
    for half_closes in [false, true] {
        let origin = Origin::start(|peer: &mut Peer| {
            peer.head();
            peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 40\r\n\r\n");
            for _ in 0..8 {
                wait::pass(Duration::from_millis(100));
                peer.send("12345");
            }
            while peer.some().is_some() {}
        });
        let setup = Setup::to(origin.address()).listener("timeouts.body_gap = \"200ms\"");
        let proxy = Proxy::start(&setup);
        let mut client = proxy.connect();
        client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello");
        wait::for_("the answer to begin", || origin.open() == 1);
        wait::pass(Duration::from_millis(50));
        if half_closes {
            client.finish();
        }
        let response = client.response_to("POST");
        assert_eq!(response.field("Connection"), Some("close"));
        assert_eq!((response.status(), response.body.len()), (413, 40));
        client.expect_end();
        assert_eq!(
            proxy.metric("weft_listener_failures_total", ""),
            0.0,
            "half-closes: {half_closes}"
        );
    }
}

#[test]
fn rfc9112_9_6_a_refusal_is_readable_while_the_client_still_sends() {
    let origin = Origin::answering(OK);
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("limits.body_bytes = \"1KiB\""));
    for _ in 0..20 {
        let mut client = proxy.connect();
        client.send("POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n");
        client.send(vec![b'a'; 500_000]);
        assert_eq!(client.response_to("POST").status(), 413);
    }
}

#[test]
fn rfc9110_9_3_7_options_with_max_forwards() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let options = |hops| format!("OPTIONS /o HTTP/1.1\r\nHost: a\r\nMax-Forwards: {hops}\r\n\r\n");
    let response = proxy.connect().exchange(options(0));
    assert!(
        [200, 204].contains(&response.status()),
        "{}",
        response.start
    );
    assert!(origin.requests().is_empty(), "answered here");
    assert_eq!(proxy.connect().exchange(options(5)).status(), 200);
    assert_eq!(origin.request().field("Max-Forwards"), Some("4"));
}

#[test]
fn rfc9110_9_3_8_trace_with_max_forwards_zero_is_answered_here() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let trace = "TRACE /t HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\nCookie: secret=1\r\n\r\n";
    let response = proxy.connect().exchange(trace);
    assert!(
        [200, 405, 501].contains(&response.status()),
        "{}",
        response.start
    );
    assert!(!response.text().contains("secret"), "{}", response.text());
    assert!(origin.requests().is_empty());
}
