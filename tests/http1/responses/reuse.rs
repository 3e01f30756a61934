//! §9: connections to the origin are used again only when nothing is in doubt.

use super::table::{Case, Passed, PassedOnce, closed, open, run};
use crate::harness::{Origin, Peer, Proxy, Setup, wait};

#[test]
fn rfc9112_9_3_connections_in_doubt_are_not_used_again() {
    run("GET", DOUBT);
}

#[rustfmt::skip]
const DOUBT: &[Case] = &[
    open("rfc9112_9_3_nothing_in_doubt",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Passed(200, "ok")),
    open("rfc9112_9_6_close_was_said",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        PassedOnce(200, "ok")),
    open("rfc9112_9_6_close_in_a_list",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: foo, CLOSE\r\n\r\nok",
        PassedOnce(200, "ok")),
    open("rfc9112_9_3_http_1_0",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", PassedOnce(200, "ok")),
    open("response_queue_poisoning",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        PassedOnce(200, "ok")),
    open("response_queue_poisoning_behind_chunks",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        PassedOnce(200, "ok")),
    open("one_byte_too_many",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", PassedOnce(200, "ok")),
    open("an_empty_line_too_many",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", PassedOnce(200, "ok")),
    closed("closed_after_a_whole_response",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", PassedOnce(200, "ok")),
];

#[test]
fn pool_a_connection_is_used_again() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    for turn in 0..20 {
        let target = format!("/{turn}");
        // Each from a client of its own: the pool is behind the shard, not behind a client.
        assert_eq!(proxy.get(&target).text(), target);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn pool_the_connection_used_last_is_used_first() {
    // Two requests at once open two connections; then one is enough and the other stays idle.
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request() {
            let number = peer.number().to_string();
            if request.target() == "/both" {
                // Answers come only when both requests are there.
                peer.send("HTTP/1.1 103 Early Hints\r\n\r\n");
                peer.wait_for_connections(2);
            }
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}"
            ));
        }
    });
    let proxy = Proxy::to(origin.address());
    let (mut first, mut second) = (proxy.connect(), proxy.connect());
    assert_eq!(first.get("/both").status(), 103);
    assert_eq!(second.get("/both").status(), 103);
    first.response();
    second.response();
    let last = proxy.get("/one").text();
    for _ in 0..5 {
        assert_eq!(proxy.get("/one").text(), last);
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn pool_bytes_on_an_idle_connection_spoil_it() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            if request.target() == "/spoil" {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            }
        }
    });
    let proxy = Proxy::to(origin.address());
    assert_eq!(proxy.get("/spoil").text(), "ok");
    // What comes only behind the next request is that one's response, as far as anybody can tell.
    wait::for_("the spoiled connection to be closed", || origin.open() == 0);
    for _ in 0..3 {
        assert_eq!(proxy.get("/next").text(), "ok");
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn pool_an_idle_connection_that_the_origin_closes_is_dropped_at_once() {
    let origin = Origin::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let proxy = Proxy::to(origin.address());
    for turn in 1..=5 {
        assert_eq!(proxy.get("/").text(), "ok");
        wait::for_("the proxy to close its side", || {
            origin.connections() == turn && origin.open() == 0
        });
    }
}

#[test]
fn pool_idle_connections_are_closed_in_time() {
    let origin = Origin::echoing_targets();
    let endpoint = [origin.address().to_string()];
    let lines = "pool.idle_timeout = \"100ms\"";
    let proxy = Proxy::start(&Setup::new().cluster_with("origin", &endpoint, lines));
    assert_eq!(proxy.get("/").status(), 200);
    wait::for_("the idle connection to be closed", || origin.open() == 0);
    assert_eq!(proxy.get("/").status(), 200);
    assert_eq!(origin.connections(), 2);
}

/// Answers once, then closes the moment the next request arrives, without a byte.
fn close_on_second(peer: &mut Peer) {
    peer.request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    if peer.some().is_some() {
        peer.finish();
    }
}

#[test]
fn rfc9112_9_3_1_the_keep_alive_race_is_not_the_clients() {
    let origin = Origin::start(close_on_second);
    let proxy = Proxy::to(origin.address());
    for _ in 0..20 {
        let response = proxy.get("/race");
        assert_eq!((response.status(), &*response.text()), (200, "ok"));
    }
}

#[test]
fn rfc9112_9_3_1_the_race_by_reset() {
    let origin = Origin::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        if peer.some().is_some() {
            peer.reset();
        }
    });
    let proxy = Proxy::to(origin.address());
    for _ in 0..20 {
        assert_eq!(proxy.get("/race").status(), 200);
    }
}

#[test]
fn rfc9110_9_2_2_an_idempotent_request_is_repeated_with_its_content() {
    let origin = Origin::start(|peer| {
        if let Some(request) = peer.request() {
            let text = request.text();
            let length = text.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"
            ));
        }
        if peer.some().is_some() {
            peer.finish();
        }
    });
    let proxy = Proxy::to(origin.address());
    for (turn, framing) in ["Content-Length: 5\r\n\r\nhello", CHUNKED_HELLO]
        .iter()
        .enumerate()
    {
        for _ in 0..5 {
            let put = format!("PUT /{turn} HTTP/1.1\r\nHost: a\r\n{framing}");
            let response = proxy.connect().exchange(put);
            assert_eq!(
                (response.status(), &*response.text()),
                (200, "hello"),
                "{framing}"
            );
        }
    }
}

const CHUNKED_HELLO: &str = "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";

#[test]
fn pool_holds_no_more_idle_connections_than_configured() {
    let origin = Origin::start(|peer| {
        while peer.request().is_some() {
            // All eight are in use at once.
            peer.wait_for_connections(8);
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let endpoint = [origin.address().to_string()];
    let setup = Setup::new().cluster_with("origin", &endpoint, "pool.max_idle = 3");
    let proxy = Proxy::start(&setup);
    let mut clients: Vec<_> = (0..8).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.response().status(), 200);
    }
    wait::for_("the others to be closed", || origin.open() == 3);
}

#[test]
fn rfc9110_9_2_2_a_post_is_not_sent_twice() {
    let origin = Origin::start(close_on_second);
    let proxy = Proxy::to(origin.address());
    let post = "POST /once HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1";
    assert_eq!(proxy.connect().exchange(post).status(), 200);
    let status = proxy.connect().exchange(post).status();
    let posts = origin.requests().len();
    assert_eq!(
        (status, posts),
        (502, 2),
        "the second went out once and was not repeated"
    );
}

#[test]
fn a_fresh_connection_that_is_closed_without_an_answer_is_a_502() {
    let origin = Origin::start(|peer| {
        peer.request();
    });
    let proxy = Proxy::to(origin.address());
    assert_eq!(proxy.get("/").status(), 502);
    assert!(origin.connections() <= 2, "retried at most once");
}
