//! What clients' requests tell of an endpoint, and what becomes of it.

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
