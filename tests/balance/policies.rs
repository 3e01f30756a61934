//! Weights, and the default policy among endpoints of which one is slow.

use std::time::Duration;

use super::{answer, named, names, setup};
use crate::harness::{Origin, Proxy, wait};

#[test]
fn endpoints_get_their_weights_and_one_of_weight_zero_nothing() {
    let origins = ["a", "b", "c"].map(named);
    let weights = ["weight = 1", "weight = 2", "weight = 0"];
    let endpoints: Vec<_> = origins.iter().zip(weights).collect();
    let proxy = Proxy::start(&setup(&endpoints, "lb_policy = \"round_robin\""));
    let found = names(&mut proxy.connect(), 30);
    let count = |name| found.matches(name).count();
    assert_eq!([count("a"), count("b"), count("c")], [10, 20, 0], "{found}");
    assert_eq!(
        proxy.admin_json("/clusters")[0]["endpoints"][2]["state"],
        "off"
    );
}

#[test]
fn by_default_a_slow_endpoint_gets_little() {
    let slow = Origin::start(|peer| {
        while peer.request().is_some() {
            wait::pass(Duration::from_millis(500));
            answer(peer, 200, "s");
        }
    });
    let others = ["a", "b"].map(named);
    let endpoints = [&slow, &others[0], &others[1]].map(|origin| (origin, "weight = 1"));
    let proxy = Proxy::start(&setup(&endpoints, ""));
    let found = names(&mut proxy.connect(), 60);
    // A third would be 20; once it is known, nothing.
    assert!(found.matches('s').count() <= 6, "{found}");
}
