//! RFC 9110 §7.8 and §9.3.6: a tunnel opens only on 101 (or 200 to CONNECT), and then is one.

use crate::harness::{Client, Origin, Peer, Proxy, Setup, client::Ending, ports, wait};

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n";

const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Accepts the upgrade and sends back whatever comes, in upper case.
fn shout(peer: &mut Peer) {
    let Some(head) = peer.head() else { return };
    assert!(
        head.to_ascii_lowercase().contains("upgrade: websocket"),
        "{head}"
    );
    peer.send(SWITCHING);
    while let Some(bytes) = peer.some() {
        peer.send(bytes.to_ascii_uppercase());
    }
}

fn open_tunnel(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    let response = client.exchange(UPGRADE);
    assert_eq!(response.status(), 101);
    assert_eq!(
        response
            .field("Upgrade")
            .map(str::to_ascii_lowercase)
            .as_deref(),
        Some("websocket")
    );
    client
}

#[test]
fn rfc9110_7_8_bytes_flow_both_ways_after_101() {
    let origin = Origin::start(shout);
    let proxy = Proxy::to(origin.address());
    let mut client = open_tunnel(&proxy);
    for turn in 0..20 {
        let text = format!("message {turn}\0\r\n\r\n");
        client.send(&text);
        assert_eq!(
            client.take(text.len()),
            text.to_ascii_uppercase().as_bytes()
        );
    }
}

#[test]
fn rfc9110_7_8_a_tunnel_carries_megabytes() {
    let origin = Origin::start(shout);
    let proxy = Proxy::to(origin.address());
    let mut client = open_tunnel(&proxy);
    let block = vec![b'a'; 64 * 1024];
    for _ in 0..64 {
        client.send(&block);
        assert!(client.take(block.len()).iter().all(|&byte| byte == b'A'));
    }
}

#[test]
fn rfc9110_7_8_a_tunnel_half_closes_in_either_direction() {
    let origin = Origin::start(|peer| {
        peer.head();
        peer.send(SWITCHING);
        // Answers only when the client has closed its side.
        let mut count = 0;
        while let Some(bytes) = peer.some() {
            count += bytes.len();
        }
        peer.send(format!("got {count}"));
    });
    let proxy = Proxy::to(origin.address());
    let mut client = open_tunnel(&proxy);
    client.send("12345").finish();
    let (ending, rest) = client.rest();
    assert_eq!((ending, &rest[..]), (Ending::Closed, &b"got 5"[..]));
}

#[test]
fn rfc9110_7_8_a_closed_tunnel_is_closed_on_the_other_side() {
    let origin = Origin::start(shout);
    let proxy = Proxy::to(origin.address());
    let client = open_tunnel(&proxy);
    drop(client);
    wait::for_("the origin's side to close", || origin.open() == 0);
}

#[test]
fn cve_2026_2833_nothing_passes_before_101() {
    let origin = Origin::start(|peer| {
        while peer.head().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    // Half a request: passed on raw, it would wait at the origin for the next client's.
    client.send(format!("{UPGRADE}GET /smuggled HTTP/1.1\r\nHost: a\r\nX: "));
    assert_eq!(client.response().text(), "ok");
    assert_eq!(proxy.get("/next").text(), "ok");
    let received = origin.received().concat();
    let text = String::from_utf8_lossy(&received);
    assert!(!text.contains("/smuggled"), "{text}");
}

#[test]
fn rfc9110_7_8_bytes_sent_with_the_request_follow_101() {
    let origin = Origin::start(shout);
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send(format!("{UPGRADE}early"));
    assert_eq!(client.response().status(), 101);
    assert_eq!(client.take(5), b"EARLY");
}

#[test]
fn rfc9110_7_8_a_refused_upgrade_is_an_ordinary_exchange() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    assert_eq!(client.exchange(UPGRADE).text(), "/ws");
    assert_eq!(client.get("/after").text(), "/after");
}

#[test]
fn rfc9110_7_8_protocols_that_are_not_configured_are_not_offered() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("upgrades = []"));
    assert_eq!(proxy.connect().exchange(UPGRADE).status(), 200);
    let seen = origin.request();
    assert_eq!(
        (seen.field("Upgrade"), seen.field("Connection")),
        (None, None)
    );
}

#[test]
fn rfc9110_9_3_6_connect_becomes_a_tunnel_when_allowed() {
    let origin = Origin::start(|peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\n\r\n");
        while let Some(bytes) = peer.some() {
            peer.send(bytes.to_ascii_uppercase());
        }
    });
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("allow_connect = true"));
    let mut client = proxy.connect();
    client.send("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n");
    assert_eq!(client.response_to("HEAD").status(), 200);
    client.send("hello");
    assert_eq!(client.take(5), b"HELLO");
}

#[test]
fn rfc9110_9_3_6_what_was_meant_for_a_refused_tunnel_is_not_read_as_requests() {
    let origin = Origin::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    let dead = ports::free();
    for address in [origin.address(), dead] {
        let proxy = Proxy::start(&Setup::to(address).listener("allow_connect = true"));
        let mut client = proxy.connect();
        client.send(
            "CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        );
        let response = client.response();
        assert!(response.status() >= 400, "{}", response.start);
        assert_eq!(response.field("Connection"), Some("close"));
        client.expect_end();
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn rfc9110_9_3_6_the_target_of_connect_is_not_rewritten() {
    let origin = Origin::answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
    for rewrite in ["path = \"/full\"", "path_prefix = \"/prefix\""] {
        let route = format!("forward = \"origin\"\nrewrite = {{ {rewrite} }}");
        let setup = Setup::to(origin.address()).route("all", &route);
        let proxy = Proxy::start(&setup.listener("allow_connect = true"));
        for (head, expected) in [
            (
                "CONNECT far.example:443 HTTP/1.1\r\nHost: a",
                "far.example:443",
            ),
            ("OPTIONS * HTTP/1.1\r\nHost: a", "*"),
            ("OPTIONS http://a HTTP/1.1\r\nHost: a", "*"),
        ] {
            let before = origin.requests().len();
            proxy.connect().exchange(format!("{head}\r\n\r\n"));
            assert_eq!(
                origin.requests()[before].target(),
                expected,
                "{head}, {rewrite}"
            );
        }
    }
}

#[test]
fn rfc9110_7_8_an_upgrade_with_content_has_one_reading() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send(
        "POST /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    let status = client.response_to("POST").status();
    let seen = origin.requests();
    let targets: Vec<_> = seen.iter().map(crate::harness::Message::target).collect();
    match status {
        200 => assert_eq!(targets, ["/ws"]),
        _ => assert_eq!((status, &targets[..]), (400, &[][..])),
    }
}

#[test]
fn rfc9110_7_8_another_protocol_than_was_offered_is_a_502() {
    for switching in [
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: irc\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
    ] {
        let origin = Origin::start(move |peer| {
            peer.head();
            peer.send(switching);
            while peer.some().is_some() {}
        });
        let proxy = Proxy::to(origin.address());
        assert_eq!(
            proxy.connect().exchange(UPGRADE).status(),
            502,
            "{switching}"
        );
    }
}

#[test]
fn an_idle_tunnel_is_closed_on_both_sides() {
    let origin = Origin::start(shout);
    let setup = Setup::to(origin.address()).listener("route_timeouts.idle = \"200ms\"");
    let proxy = Proxy::start(&setup);
    let mut client = open_tunnel(&proxy);
    client.rest();
    wait::for_("the origin's side to close", || origin.open() == 0);
}
