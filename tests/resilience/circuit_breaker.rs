//! How much of a cluster may be in use, who waits, and who is refused.

use std::thread;

use super::setup;
use crate::harness::{Client, Origin, Proxy, wait};

/// Answers a request when the target says so, and holds the others until their client leaves.
fn holding() -> Origin {
    Origin::start(|peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/held" {
                while peer.some().is_some() {}
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    })
}

fn held(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    client
}

#[test]
fn who_waits_is_served_when_a_place_is_free() {
    let origin = holding();
    let proxy = Proxy::start(&setup(&[&origin], "", "circuit_breaker.max_requests = 1"));
    let holder = held(&proxy);
    wait::for_("the holder", || origin.requests().len() == 1);
    let address = proxy.address();
    let waiting: Vec<_> = (0..3)
        .map(|_| thread::spawn(move || Client::connect(address).get("/").text()))
        .collect();
    wait::for_("three to wait", || {
        proxy.admin_json("/clusters")[0]["requests_pending"] == 3
    });
    assert_eq!(origin.requests().len(), 1);
    drop(holder);
    for client in waiting {
        assert_eq!(client.join().expect("a client"), "ok");
    }
    let cluster = &proxy.admin_json("/clusters")[0];
    assert_eq!(cluster["requests_queued"], 3, "{cluster}");
    assert_eq!(cluster["requests_pending"], 0, "{cluster}");
}

#[test]
fn a_full_queue_and_a_long_wait_are_503_with_their_reason() {
    let origin = holding();
    let breaker =
        "circuit_breaker = { max_requests = 1, max_pending = 1, pending_timeout = \"1s\" }";
    let setup =
        setup(&[&origin], "", breaker).top("[access_log]\npath = \"access.log\"\nflush = \"10ms\"");
    let proxy = Proxy::start(&setup);
    let _holder = held(&proxy);
    wait::for_("the holder", || origin.requests().len() == 1);
    let mut waiting = proxy.connect();
    waiting.send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("one to wait", || {
        proxy.admin_json("/clusters")[0]["requests_pending"] == 1
    });
    assert_eq!(proxy.get("/refused").status(), 503);
    assert_eq!(waiting.response_to("GET").status(), 503);
    assert_eq!(
        waiting.get("/again").status(),
        503,
        "the connection persists"
    );
    proxy.expect_count("weft_cluster_response_flags_total", "flag=\"UO\"", 3);
    let cluster = &proxy.admin_json("/clusters")[0];
    assert_eq!(cluster["refused_by_max_pending"], 1, "{cluster}");
    assert_eq!(cluster["refused_by_pending_timeout"], 2, "{cluster}");
    let log = wait::until("the log", || {
        let log = std::fs::read_to_string(proxy.file("access.log")).ok()?;
        (log.lines().count() >= 3).then_some(log)
    });
    assert!(log.contains("\"detail\":\"pending_full\""), "{log}");
    assert!(log.contains("\"detail\":\"pending_timeout\""), "{log}");
}

#[test]
fn who_leaves_the_queue_is_not_forwarded() {
    let origin = holding();
    let proxy = Proxy::start(&setup(&[&origin], "", "circuit_breaker.max_requests = 1"));
    let holder = held(&proxy);
    wait::for_("the holder", || origin.requests().len() == 1);
    let leaving = held(&proxy);
    wait::for_("one to wait", || {
        proxy.admin_json("/clusters")[0]["requests_pending"] == 1
    });
    let linger = Some(std::time::Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(leaving.stream(), linger).expect("a reset");
    drop(leaving);
    wait::for_("it to leave", || {
        proxy.admin_json("/clusters")[0]["requests_pending"] == 0
    });
    drop(holder);
    assert_eq!(proxy.get("/").text(), "ok");
    assert_eq!(origin.requests().len(), 2, "the holder and the last one");
}

#[test]
fn idle_connections_make_room_for_one_to_another_endpoint() {
    let origins = [holding(), holding(), holding()];
    let all: Vec<&Origin> = origins.iter().collect();
    let proxy = Proxy::start(&setup(&all, "", "circuit_breaker.max_connections = 1"));
    let mut client = proxy.connect();
    for _ in 0..9 {
        assert_eq!(client.get("/").text(), "ok");
    }
    wait::for_("all connections but one to end", || {
        origins.iter().map(Origin::open).sum::<usize>() <= 1
    });
    for origin in &origins {
        assert_eq!(origin.requests().len(), 3);
    }
}
