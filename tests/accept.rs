//! Step 1: connections are admitted, spread over the shards, counted and cheap.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::harness::{Client, Origin, Proxy, Setup, wait};

/// Connections of the listener on each shard.
fn by_shard(proxy: &Proxy) -> Vec<u64> {
    let listeners = proxy.admin_json("/listeners");
    let counts = listeners[0]["connections_active_by_shard"].as_array();
    let counts = counts
        .expect("connections by shard")
        .iter()
        .map(Value::as_u64);
    counts.map(|count| count.expect("a count")).collect()
}

fn active(proxy: &Proxy) -> u64 {
    by_shard(proxy).iter().sum()
}

#[test]
fn few_connections_are_spread_evenly_over_four_shards() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).shards(4));
    for _ in 0..3 {
        let mut clients: Vec<Client> = (0..16).map(|_| proxy.connect()).collect();
        for client in &mut clients {
            assert_eq!(client.get("/").status(), 200);
        }
        // A page shows the last figures of a shard that is too busy to answer it.
        wait::for_("all to be counted", || active(&proxy) == 16);
        let counts = by_shard(&proxy);
        assert_eq!(
            (counts.len(), counts.iter().sum::<u64>()),
            (4, 16),
            "{counts:?}"
        );
        assert!(
            counts.iter().all(|&count| count <= 5),
            "mean 4, at most one above: {counts:?}"
        );
        for client in &mut clients {
            assert_eq!(client.get("/").status(), 200, "also after a hand-over");
        }
        drop(clients);
        wait::for_("the connections to be gone", || active(&proxy) == 0);
    }
}

#[test]
fn connections_beyond_the_process_bound_are_refused() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).top("max_connections = 3"));
    let mut clients: Vec<Client> = (0..3).map(|_| proxy.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/").status(), 200);
    }
    let (_, bytes) = proxy
        .connect()
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .rest();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 503 "),
        "{text}"
    );
    wait::for_("the refusal to be counted", || {
        proxy.metric("weft_listener_connections_refused_total", "") >= 1.0
    });
    for client in &mut clients {
        assert_eq!(client.get("/").status(), 200, "the others are served");
    }
    clients.pop();
    wait::for_("the place to be free", || active(&proxy) == 2);
    assert_eq!(proxy.get("/").status(), 200);
}

#[test]
fn connections_beyond_the_listeners_bound_are_refused() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener("max_connections = 1"));
    let mut first = proxy.connect();
    assert_eq!(first.get("/").status(), 200);
    let (_, bytes) = proxy
        .connect()
        .send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .rest();
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.is_empty() || text.starts_with("HTTP/1.1 503 "),
        "{text}"
    );
    assert_eq!(first.get("/").status(), 200);
}

const IDLE: usize = 10_000;
/// Bytes of resident memory for each idle connection.
const IDLE_BYTES_MAX: u64 = 2 * 1024;

/// Lets this process open as many descriptors as it may.
fn raise_descriptor_limit(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    assert!(
        allowed >= wanted,
        "this test needs {wanted} descriptors, the hard limit is {allowed}"
    );
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("raising a limit to its maximum is allowed");
}

#[test]
fn ten_thousand_idle_connections_take_two_kibibytes_each() {
    raise_descriptor_limit(IDLE as u64 + 1000);
    let origin = Origin::forgetful(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let setup = Setup::to(origin.address())
        .shards(2)
        .top("max_connections = 12000")
        .listener("timeouts.idle = \"1h\"");
    let proxy = Proxy::start(&setup);
    // What a first use allocates once is not a connection's.
    let mut warm: Vec<Client> = (0..200).map(|_| proxy.connect()).collect();
    for client in &mut warm {
        assert_eq!(client.get("/").status(), 200);
    }
    drop(warm);
    wait::for_("the first connections to be gone", || active(&proxy) == 0);
    let before = proxy.resident_bytes();
    let mut clients = Vec::with_capacity(IDLE);
    for _ in 0..IDLE {
        let mut client = proxy.connect();
        assert_eq!(client.get("/").status(), 200);
        clients.push(client);
    }
    wait::for_("all to be counted", || active(&proxy) == IDLE as u64);
    let each = proxy.resident_bytes().saturating_sub(before) / IDLE as u64;
    println!("{each} bytes of resident memory for each of {IDLE} idle connections");
    assert!(
        each <= IDLE_BYTES_MAX,
        "{each} bytes for each of {IDLE} idle connections"
    );
    for client in clients.iter_mut().step_by(97) {
        assert_eq!(client.get("/").status(), 200, "they are alive");
    }
}

/// Connections that end in every way there is.
fn come_and_go(proxy: &Proxy, count: usize) {
    for turn in 0..count {
        let mut client = proxy.connect();
        match turn % 5 {
            // Never says anything.
            0 => {}
            1 => assert_eq!(client.get("/").status(), 200),
            2 => assert_eq!(client.exchange("BAD\r\n\r\n").status(), 400),
            // Leaves before its answer.
            3 => drop(client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
            _ => drop(client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhal")),
        }
    }
    wait::for_("the connections to be gone", || active(proxy) == 0);
}

#[test]
fn connections_that_have_ended_leave_nothing_behind() {
    let origin = Origin::forgetful(|peer| {
        while peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let proxy = Proxy::to(origin.address());
    come_and_go(&proxy, 2000);
    let (bytes, descriptors) = (proxy.resident_bytes(), proxy.descriptors());
    come_and_go(&proxy, 4000);
    let grown = proxy.resident_bytes().saturating_sub(bytes);
    assert!(grown < 1 << 20, "{grown} bytes more after 4000 connections");
    // A few pooled connections to the origin more or less.
    wait::for_("the descriptors to be closed", || {
        proxy.descriptors() <= descriptors + 8
    });
}
