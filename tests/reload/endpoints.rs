//! What a request, a connection and a counter keep when the configuration around them changes.

use crate::harness::{Origin, Setup, wait};

use super::{accept, generation, start, text};

#[test]
fn the_next_request_on_a_connection_goes_by_the_new_configuration() {
    let (one, other) = (
        Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"),
        Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother"),
    );
    let proxy = start(&Setup::to(one.address()));
    let mut client = proxy.connect();
    assert_eq!(client.get("/").text(), "one");
    accept(&proxy, &text(&proxy, &Setup::to(other.address())));
    assert_eq!(client.get("/").text(), "other");
}

#[test]
fn a_request_that_spans_a_reload_sees_one_generation() {
    let origin = Origin::holding_slow();
    let fields = |value: &str| {
        let lines =
            format!("forward = \"origin\"\nresponse_headers.set = {{ X-Rule = \"{value}\" }}");
        Setup::to(origin.address()).route("all", &lines)
    };
    let proxy = start(&fields("before"));
    let mut client = proxy.connect();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request at the origin", || origin.requests().len() == 1);
    accept(&proxy, &text(&proxy, &fields("after")));
    assert_eq!(
        proxy.metric("weft_config_generations_alive", ""),
        2.0,
        "the request holds its own"
    );
    let _released = origin.release();
    let response = client.response();
    assert_eq!(response.field("X-Rule"), Some("before"));
    wait::for_("the old generation to be freed", || {
        proxy.metric("weft_config_generations_alive", "") == 1.0
    });
}

#[test]
fn a_cluster_that_did_not_change_keeps_its_connections_and_its_counts() {
    let (origin, other) = (Origin::echoing_targets(), Origin::echoing_targets());
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    assert_eq!(proxy.get("/1").status(), 200);
    accept(
        &proxy,
        &text(&proxy, &setup.cluster("other", &[other.address()])),
    );
    assert_eq!(proxy.get("/2").status(), 200);
    assert_eq!(origin.connections(), 1, "the same connection");
    let clusters = proxy.admin_json("/clusters");
    assert_eq!(clusters[0]["endpoints"][0]["attempts"], 2);
    assert_eq!(
        proxy.metric(
            "weft_cluster_requests_total",
            "cluster=\"origin\",code_class=\"2xx\""
        ),
        2.0
    );
}

#[test]
fn an_endpoint_that_stays_keeps_its_connections_when_others_come_and_go() {
    let (stays, leaves) = (Origin::echoing_targets(), Origin::echoing_targets());
    let setup = |endpoints: &[&Origin]| {
        let addresses: Vec<_> = endpoints.iter().map(|origin| origin.address()).collect();
        Setup::new().cluster("origin", &addresses)
    };
    let proxy = start(&setup(&[&leaves, &stays]));
    wait::for_("requests at both", || {
        assert_eq!(proxy.get("/").status(), 200);
        stays.connections() == 1 && leaves.connections() == 1
    });
    accept(&proxy, &text(&proxy, &setup(&[&stays])));
    wait::for_("the idle connection to be closed", || leaves.open() == 0);
    for _ in 0..10 {
        assert_eq!(proxy.get("/").status(), 200);
    }
    assert_eq!(
        stays.connections(),
        1,
        "it has another place now, and the same connection"
    );
    assert_eq!(
        proxy.metric("weft_cluster_connection_events_total", "event=\"replaced\""),
        1.0
    );
}

#[test]
fn what_is_removed_counts_until_it_ends_and_is_then_forgotten() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let both = setup.clone().cluster("gone", &[origin.address()]);
    let both = both.route(
        "gone",
        "matches = [{ path = { exact = \"/gone\" } }]\nforward = \"gone\"",
    );
    let both = both.route("all", "forward = \"origin\"");
    let proxy = start(&both);
    assert_eq!(proxy.get("/gone").status(), 200);
    assert_eq!(proxy.get("/stays").status(), 200);
    let count = |name: &str| {
        proxy.metric(
            "weft_cluster_requests_total",
            &format!("cluster=\"{name}\""),
        )
    };
    for name in ["gone", "origin"] {
        let label = format!("cluster=\"{name}\"");
        proxy.expect_count("weft_cluster_requests_total", &label, 1);
    }
    accept(&proxy, &text(&proxy, &setup));
    // The ids are given back when the next configuration comes.
    accept(&proxy, &text(&proxy, &setup.clone().drain("21s")));
    let metrics = proxy.admin("/metrics").text();
    assert!(!metrics.contains("cluster=\"gone\""), "{metrics}");
    assert_eq!(count("origin"), 1.0);
    // Their next user begins at zero.
    accept(
        &proxy,
        &text(&proxy, &setup.cluster("new", &[origin.address()])),
    );
    assert_eq!((count("new"), count("origin")), (0.0, 1.0));
    assert_eq!(generation(&proxy), 4);
}
