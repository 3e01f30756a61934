//! SIGTERM: stop accepting, finish what was begun, exit 0; a second one ends at once.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use rustix::process::Signal;

use crate::harness::{Client, Origin, Proxy, Setup, wait};

#[test]
fn an_exchange_in_progress_is_finished() {
    let origin = Origin::holding_slow();
    let mut proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request at the origin", || origin.requests().len() == 1);
    proxy.terminate();
    wait::for_("new connections to be refused", || {
        Client::try_connect(proxy.address()).is_err()
    });
    let _released = origin.release();
    let response = client.response();
    assert_eq!((response.status(), &*response.text()), (200, "done"));
    assert_eq!(response.field("Connection"), Some("close"));
    client.expect_end();
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn not_ready_while_draining() {
    let origin = Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    });
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request at the origin", || origin.requests().len() == 1);
    proxy.terminate();
    wait::for_("readyz to say so", || {
        proxy.admin("/readyz").status() == 503
    });
    assert_eq!(proxy.admin("/livez").status(), 200);
}

#[test]
fn idle_connections_do_not_hold_it_up() {
    let origin = Origin::echoing_targets();
    let mut proxy = Proxy::to(origin.address());
    let mut idle = proxy.connect();
    assert_eq!(idle.get("/").status(), 200);
    let never_used = proxy.connect();
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    idle.expect_end();
    drop(never_used);
}

#[test]
fn an_exchange_that_takes_too_long_is_cut_at_the_bound() {
    let origin = Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    });
    let mut proxy = Proxy::start(&Setup::to(origin.address()).drain("300ms"));
    let mut client = proxy.connect();
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request at the origin", || origin.requests().len() == 1);
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0), "bounded, and no failure");
}

#[test]
fn a_second_signal_ends_at_once() {
    let origin = Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    });
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let before = origin.requests().len();
        let mut proxy = Proxy::to(origin.address());
        let mut client = proxy.connect();
        client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
        wait::for_("the request at the origin", || {
            origin.requests().len() > before
        });
        proxy.signal(signal);
        wait::for_("the drain to begin", || {
            Client::try_connect(proxy.address()).is_err()
        });
        proxy.signal(signal);
        assert_eq!(proxy.wait().code(), Some(code));
    }
}

/// Asks on one connection until the proxy says that it closes; how many answers came.
fn ask_until_closed(mut client: Client, answers: &AtomicUsize) -> Result<(), String> {
    loop {
        client.send("GET /load HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.try_response_to("GET")?;
        if response.status() != 200 || response.text() != "/load" {
            return Err(format!("{} {}", response.start, response.text()));
        }
        answers.fetch_add(1, Ordering::Relaxed);
        if response.field("Connection") == Some("close") {
            return Ok(());
        }
    }
}

#[test]
fn no_request_is_lost_under_load() {
    let origin = Origin::echoing_targets();
    let unlimited = "limits.requests_per_connection = \"unlimited\"";
    for _ in 0..5 {
        let setup = Setup::to(origin.address()).shards(2).listener(unlimited);
        let mut proxy = Proxy::start(&setup);
        let answers = AtomicUsize::new(0);
        let lost: Vec<String> = thread::scope(|scope| {
            let clients: Vec<_> = (0..8)
                .map(|_| {
                    let client = proxy.connect();
                    scope.spawn(|| ask_until_closed(client, &answers))
                })
                .collect();
            wait::for_("load", || answers.load(Ordering::Relaxed) > 200);
            proxy.terminate();
            let results = clients
                .into_iter()
                .map(|client| client.join().expect("a client"));
            results.filter_map(Result::err).collect()
        });
        assert!(lost.is_empty(), "after {answers:?} answers: {lost:?}");
        assert_eq!(proxy.wait().code(), Some(0));
    }
}
