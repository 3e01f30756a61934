//! Steps 7 and 8: which endpoint, how it is reached, and what happens when it is not.

use std::{
    os::unix::net::UnixListener,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::harness::{
    Client, Origin, Proxy, Setup, message, origin::echo_targets, ports, scratch::Scratch, wait,
};

/// An origin that answers with its name.
fn named(name: &str) -> Origin {
    let length = name.len();
    Origin::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}"
    ))
}

#[test]
fn round_robin_takes_turns() {
    let origins = ["a", "b", "c"].map(named);
    let addresses: Vec<_> = origins
        .iter()
        .map(|origin| origin.address().to_string())
        .collect();
    let policy = "lb_policy = \"round_robin\"";
    let proxy = Proxy::start(&Setup::new().cluster_with("origin", &addresses, policy));
    let mut client = proxy.connect();
    let names: String = (0..60).map(|_| client.get("/").text()).collect();
    for name in ["a", "b", "c"] {
        assert_eq!(names.matches(name).count(), 20, "{names}");
    }
}

#[test]
fn round_robin_minds_weights() {
    let origins = ["a", "b", "c"].map(named);
    let [a, b, c] = origins.each_ref().map(Origin::address);
    let endpoints = format!(
        "[[clusters]]\nname = \"origin\"\nlb_policy = \"round_robin\"\n\
         endpoints = [{{ address = \"{a}\", weight = 3 }}, \
         \"{b}\", {{ address = \"{c}\", weight = 0 }}]"
    );
    let (address, admin) = (ports::free(), ports::free());
    let text = format!("{}{endpoints}", Setup::new().render(address, admin));
    let proxy = Proxy::start_with(&text, address, admin);
    let mut client = proxy.connect();
    let names: String = (0..40).map(|_| client.get("/").text()).collect();
    assert_eq!(
        (names.matches('a').count(), names.matches('b').count()),
        (30, 10),
        "{names}"
    );
}

#[test]
fn least_request_avoids_the_busy_endpoint() {
    let busy = Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    });
    let free = named("free");
    let endpoints = [busy.address().to_string(), free.address().to_string()];
    let lines = "lb_policy = \"least_request\"";
    let proxy = Proxy::start(&Setup::new().cluster_with("origin", &endpoints, lines));
    // Two clients that ask until each is caught by the busy endpoint.
    let mut caught = Vec::new();
    while busy.requests().len() < 2 {
        let (before, freed) = (busy.requests().len(), free.requests().len());
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        wait::for_("the request to arrive somewhere", || {
            busy.requests().len() > before || free.requests().len() > freed
        });
        caught.push(client);
    }
    for _ in 0..50 {
        assert_eq!(proxy.get("/").text(), "free", "two choices of two see both");
    }
}

#[test]
fn unix_socket_endpoints() {
    let scratch = Scratch::short();
    let path = scratch.file("origin.sock");
    let listener = UnixListener::bind(&path).expect("a Unix socket");
    let origin = thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut received = Vec::new();
        let mut block = [0; 4096];
        for _ in 0..2 {
            while !matches!(message::request(&received), message::Reading::Complete(_)) {
                let count = stream.read(&mut block).expect("a request");
                assert!(count > 0, "closed early");
                received.extend(&block[..count]);
            }
            received.clear();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nunix")
                .expect("sent");
        }
    });
    let endpoint = [format!("unix:{}", path.display())];
    let proxy = Proxy::start(&Setup::new().cluster_with("origin", &endpoint, ""));
    assert_eq!(proxy.get("/1").text(), "unix");
    assert_eq!(proxy.get("/2").text(), "unix");
    origin.join().expect("both on one connection");
}

#[test]
fn ipv6_endpoints_and_listeners() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        // Containers often have no IPv6 at all; nothing can be shown there.
        println!("not shown: this machine has no ::1");
        return;
    }
    let port = |address: std::net::SocketAddr| format!("[::1]:{}", address.port());
    let listen: std::net::SocketAddr = port(ports::free()).parse().expect("an address");
    let origin_address = port(ports::free()).parse().expect("an address");
    let _origin = Origin::start_at(origin_address, echo_targets);
    let admin = ports::free();
    let text = Setup::to(origin_address).render(listen, admin);
    let proxy = Proxy::start_with(&text, listen, admin);
    assert_eq!(proxy.get("/six").text(), "/six");
}

#[test]
fn a_cluster_without_endpoints_is_503() {
    let proxy = Proxy::start(&Setup::new().cluster("origin", &[]));
    let mut client = proxy.connect();
    assert_eq!(client.get("/").status(), 503);
    assert_eq!(client.get("/").status(), 503, "the connection persists");
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"UH\"", 2);
}

#[test]
fn an_endpoint_that_refuses_is_503_or_passed_over() {
    let nobody = ports::free();
    let proxy = Proxy::to(nobody);
    assert_eq!(proxy.get("/").status(), 503);
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"UF\"", 1);
    let origin = named("a");
    let proxy = Proxy::start(&Setup::new().cluster("origin", &[nobody, origin.address()]));
    for _ in 0..10 {
        assert_eq!(proxy.get("/").text(), "a", "another endpoint is tried");
    }
}

#[test]
fn connections_of_a_cluster_are_bounded() {
    let origin = Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    });
    let endpoint = [origin.address().to_string()];
    let breaker = "circuit_breaker = { max_connections = 2, max_pending = 0 }";
    let proxy = Proxy::start(&Setup::new().cluster_with("origin", &endpoint, breaker));
    let _held: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = proxy.connect();
            client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            client
        })
        .collect();
    wait::for_("both requests at the origin", || {
        origin.requests().len() == 2
    });
    assert_eq!(proxy.get("/").status(), 503);
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"UO\"", 1);
}

/// GETs in a loop until told to stop; every status that came.
fn load(proxy: &Proxy, stop: &AtomicBool) -> Vec<u16> {
    let mut statuses = Vec::new();
    let mut client = proxy.connect();
    while !stop.load(Ordering::Relaxed) {
        client.send("GET /load HTTP/1.1\r\nHost: a\r\n\r\n");
        match client.try_response_to("GET") {
            Ok(response) => {
                statuses.push(response.status());
                if response.field("Connection") == Some("close") {
                    client = proxy.connect();
                }
            }
            Err(why) => panic!("a client was let down: {why}"),
        }
    }
    statuses
}

#[test]
fn an_origin_killed_and_restarted_under_load() {
    let origin = Origin::echoing_targets();
    let address = origin.address();
    // Connections with many requests, so that none ends while the load runs.
    let setup = Setup::to(address).listener("limits.requests_per_connection = \"unlimited\"");
    let proxy = Proxy::start(&setup);
    let stop = AtomicBool::new(false);
    let (statuses, after) = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| load(&proxy, &stop)))
            .collect();
        wait::for_("load", || origin.requests().len() > 100);
        origin.kill();
        wait::for_("refusals", || {
            proxy.metric("weft_listener_response_flags_total", "flag=\"UF\"") > 20.0
        });
        let again = Origin::start_at(address, echo_targets);
        wait::for_("recovery", || again.requests().len() > 100);
        let after: Vec<u16> = (0..20).map(|_| proxy.get("/after").status()).collect();
        stop.store(true, Ordering::Relaxed);
        let all = clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"));
        (all.collect::<Vec<u16>>(), after)
    });
    assert_eq!(after, [200; 20]);
    let count = |status| statuses.iter().filter(|&&found| found == status).count();
    assert_eq!(count(200) + count(502) + count(503), statuses.len());
    // Only what was in flight at the moment of the kill may be a 502.
    assert!(
        count(502) <= 4,
        "{} of {} were 502",
        count(502),
        statuses.len()
    );
}
