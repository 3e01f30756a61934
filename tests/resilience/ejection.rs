//! What clients' requests tell of an endpoint, and what becomes of it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use super::setup;
use crate::harness::{Origin, Proxy, wait};

/// What `/clusters` says of an endpoint.
fn told(proxy: &Proxy, endpoint: usize) -> Value {
    proxy.admin_json("/clusters")[0]["endpoints"][endpoint].clone()
}

/// An origin whose responses are cut short.
fn breaking() -> Origin {
    Origin::start(|peer| {
        if peer.request().is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
    })
}

#[test]
fn an_endpoint_whose_responses_break_off_is_left_out() {
    let (well, breaking) = (Origin::echoing_targets(), breaking());
    let proxy = Proxy::start(&setup(&[&well, &breaking], "", ""));
    // In turn: every second one breaks off, and the client's connection with it.
    for _ in 0..10 {
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.rest();
    }
    wait::for_("the endpoint to be left out", || {
        told(&proxy, 1)["state"] == "ejected"
    });
    let row = told(&proxy, 1);
    assert_eq!(row["reason"], "consecutive_gateway_errors");
    assert!(row["seconds"].as_f64().is_some_and(|it| it >= 0.0));
    assert!(
        row["ejected_for_seconds"]
            .as_f64()
            .is_some_and(|it| it > 1.0)
    );
    assert_eq!(breaking.requests().len(), 5);
    for _ in 0..4 {
        assert_eq!(proxy.get("/fine").text(), "/fine");
    }
    assert_eq!(breaking.requests().len(), 5);
}

#[test]
fn while_its_checks_fail_no_request_is_spent_on_a_probe() {
    let is_well = Arc::new(AtomicBool::new(true));
    let answers = Arc::clone(&is_well);
    let failing = Origin::start(move |peer| {
        while peer.request().is_some() {
            let is_well = answers.load(Ordering::SeqCst);
            let status = if is_well { "200 OK" } else { "503 No" };
            peer.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    let well = Origin::echoing_targets();
    // Too few checks to take it out by themselves; an ejection is shorter than two of them.
    let cluster = "outlier_detection = { base_ejection_time = \"100ms\" }\n\
        health_check = { path = \"/healthz\", interval = \"100ms\", unhealthy_after = 1000 }";
    let proxy = Proxy::start(&setup(&[&well, &failing], "", cluster));
    let state = |state: &str| {
        wait::for_(&format!("it to be {state}"), || {
            told(&proxy, 1)["state"] == state
        });
    };
    let served = || {
        let requests = failing.requests();
        let from_clients = requests.iter().filter(|it| it.target() != "/healthz");
        from_clients.count()
    };
    state("healthy");
    is_well.store(false, Ordering::SeqCst);
    state("suspect");
    (0..10).for_each(|_| drop(proxy.get("/")));
    state("ejected");
    assert_eq!(served(), 5);
    let checks = || told(&proxy, 1)["health_check"]["checks"].as_u64().unwrap();
    let before = checks();
    wait::for_("many times of ejection", || {
        assert_eq!(proxy.get("/").text(), "/");
        checks() >= before + 20
    });
    assert_eq!(served(), 5);
    is_well.store(true, Ordering::SeqCst);
    wait::for_("it to be used again", || {
        drop(proxy.get("/"));
        served() > 5
    });
    state("healthy");
}
