//! Timeouts: each ends what it is about, with its own status, and nothing else.
//!
//! None of these tests measures time. Deadlines are set short and waited for; what must not be
//! ended in the meantime is checked to be alive.

use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

use crate::harness::{Client, Origin, Peer, Proxy, Setup, client::Ending, ports, wait};

fn silent(peer: &mut Peer) {
    while peer.some().is_some() {}
}

#[test]
fn header_timeout_is_408() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("timeouts.header = \"200ms\""));
    let mut client = proxy.connect();
    client.send("GET /slow HTTP/1.1\r\nHost:");
    assert_eq!(client.response().status(), 408);
    client.expect_end();
    assert!(origin.requests().is_empty());
}

#[test]
fn header_timeout_is_for_the_whole_head_not_for_each_byte() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("timeouts.header = \"300ms\""));
    let mut client = proxy.connect();
    let endless = "GET /slow HTTP/1.1\r\nHost: a\r\nX: ".to_owned() + &"a".repeat(4000);
    client.trickle(endless.as_bytes(), Duration::from_millis(10));
    assert_eq!(client.response().status(), 408);
}

#[test]
fn a_connection_without_a_byte_is_closed() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("timeouts.header = \"200ms\""));
    let (_, bytes) = proxy.connect().rest();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 408 "),
        "{text}"
    );
}

#[test]
fn body_gap_is_408() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).listener("timeouts.body_gap = \"200ms\"");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.response_to("POST").status(), 408);
    client.expect_end();
    wait::for_("the origin's connection to end", || origin.open() == 0);
    assert!(origin.requests().is_empty());
}

#[test]
fn a_client_that_stops_sending_is_to_blame_also_when_the_route_is_the_stricter() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).listener("route_timeouts.idle = \"200ms\"");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    client.send("POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello");
    assert_eq!(client.response_to("POST").status(), 408);
}

#[test]
fn a_client_that_stops_reading_is_to_blame_also_when_the_route_is_the_stricter() {
    let origin = Origin::forgetful(|peer| {
        peer.request();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            64 << 20
        ));
        let block = vec![b'a'; 1 << 20];
        while peer.send(&block) {}
    });
    let setup = Setup::to(origin.address()).listener("route_timeouts.idle = \"300ms\"");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let failures = "weft_listener_failures_total";
    wait::for_("the stalled client to be dropped", || {
        proxy.metric(failures, "") > 0.0
    });
    assert_eq!(proxy.metric(failures, "read_stalled"), 1.0);
}

#[test]
fn an_idle_connection_is_closed_between_requests() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("timeouts.idle = \"200ms\""));
    let mut client = proxy.connect();
    assert_eq!(client.get("/1").status(), 200);
    assert_eq!(
        client.expect_end(),
        Ending::Closed,
        "no status: nothing was asked"
    );
}

#[test]
fn first_byte_timeout_is_504() {
    let origin = Origin::start(silent);
    let setup = Setup::to(origin.address()).listener("route_timeouts.first_byte = \"200ms\"");
    let proxy = Proxy::start(&setup);
    assert_eq!(proxy.get("/").status(), 504);
    wait::for_("the origin's connection to end", || origin.open() == 0);
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"UT\"", 1);
}

#[test]
fn request_timeout_is_504_before_the_response() {
    let origin = Origin::start(silent);
    let setup = Setup::to(origin.address()).route(
        "all",
        "forward = \"origin\"\ntimeouts = { request = \"200ms\" }",
    );
    let proxy = Proxy::start(&setup);
    assert_eq!(proxy.get("/").status(), 504);
}

#[test]
fn request_timeout_cuts_a_response_that_has_started() {
    let origin = Origin::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart");
        silent(peer);
    });
    let setup = Setup::to(origin.address()).route(
        "all",
        "forward = \"origin\"\ntimeouts = { request = \"300ms\" }",
    );
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let cut = client.try_response_to("GET").expect_err("cut");
    assert!(cut.contains("start"), "{cut}");
}

#[test]
fn idle_timeout_cuts_a_response_that_stalls() {
    let origin = Origin::start(|peer| {
        peer.request();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstart\r\n");
        silent(peer);
    });
    let setup = Setup::to(origin.address()).listener("route_timeouts.idle = \"300ms\"");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let cut = client.try_response_to("GET").expect_err("cut");
    assert!(cut.contains("start"), "{cut}");
    wait::for_("the origin's connection to end", || origin.open() == 0);
}

#[test]
fn connect_timeout_is_504() {
    // A socket whose queue is full answers no SYN.
    let address = ports::free();
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&full, &address).expect("bound");
    listen(&full, 0).expect("listening");
    let _first = Client::connect(address);
    let setup = Setup::new().cluster_with(
        "origin",
        &[address.to_string()],
        "connect_timeout = \"200ms\"",
    );
    let proxy = Proxy::start(&setup);
    assert_eq!(proxy.get("/").status(), 504);
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"UF\"", 1);
}

#[test]
fn a_client_that_does_not_read_is_dropped_while_others_are_served() {
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 64 << 20);
    let origin = Origin::forgetful(move |peer| {
        while let Some(request) = peer.request() {
            if request.target() == "/large" {
                peer.send(&large);
                let block = vec![b'a'; 1 << 20];
                while peer.send(&block) {}
                return;
            }
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let setup = Setup::to(origin.address()).listener("timeouts.send_gap = \"500ms\"");
    let proxy = Proxy::start(&setup);
    let before = proxy.resident_bytes();
    let stalled: Vec<Client> = (0..8)
        .map(|_| {
            let mut client = proxy.connect();
            client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    wait::for_("the stalled downloads to start", || {
        origin.connections() >= 8
    });
    let mut others = 0;
    wait::for_("the stalled clients to be dropped", || {
        assert_eq!(proxy.get("/small").text(), "ok");
        others += 1;
        proxy.metric("weft_listener_connections_closed_total", "") >= f64::from(others) + 8.0
    });
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for eight stalled clients");
    for mut client in stalled {
        let (_, received) = client.rest();
        assert!(
            received.len() < 64 << 20,
            "the whole response although it was not read"
        );
    }
}

#[test]
fn clients_that_send_byte_by_byte_are_dropped_while_others_are_served() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("timeouts.header = \"500ms\""));
    let address = proxy.address();
    let slow: Vec<_> = (0..50)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let endless = "GET /slow HTTP/1.1\r\nHost: a\r\nX: ".to_owned() + &"a".repeat(4000);
                client.trickle(endless.as_bytes(), Duration::from_millis(10));
                client
                    .try_response_to("GET")
                    .map(|response| response.status())
            })
        })
        .collect();
    while !slow.iter().all(|thread| thread.is_finished()) {
        assert_eq!(proxy.get("/fast").text(), "/fast");
    }
    for thread in slow {
        assert_eq!(thread.join().expect("a slow client"), Ok(408));
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.target() == "/fast")
    );
}
