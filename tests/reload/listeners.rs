//! Listeners that come, go, move and are renamed.

use std::net::SocketAddr;

use crate::harness::{Client, Origin, Setup, ports, wait};

use super::{accept, reload, start, text};

/// A second listener at `address`.
fn with_second(text: &str, name: &str, address: SocketAddr) -> String {
    format!(
        "{text}\n[[listeners]]\nname = \"{name}\"\naddress = \"{address}\"\n\
         [[listeners.virtual_hosts]]\nname = \"second\"\nhosts = [\"*\"]\n\
         [[listeners.virtual_hosts.routes]]\nname = \"second\"\nforward = \"origin\"\n"
    )
}

fn refuses(address: SocketAddr) -> bool {
    Client::try_connect(address).is_err()
}

#[test]
fn a_listener_is_added_and_removed_and_its_connections_drain() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2);
    let proxy = start(&setup);
    let (plain, second) = (text(&proxy, &setup), ports::free());
    accept(&proxy, &with_second(&plain, "second", second));
    let mut idle = Client::connect(second);
    assert_eq!(idle.get("/1").text(), "/1");
    let mut busy = Client::connect(second);
    busy.send("POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1");
    wait::for_("the request at the origin", || origin.connections() == 2);
    accept(&proxy, &plain);
    wait::for_("connections to be refused", || refuses(second));
    busy.send("2");
    let response = busy.response();
    assert_eq!((response.status(), &*response.text()), (200, "/2"));
    assert_eq!(response.field("Connection"), Some("close"));
    busy.expect_end();
    idle.expect_end();
    assert_eq!(proxy.get("/3").status(), 200);
    // It may come back.
    accept(&proxy, &with_second(&plain, "second", second));
    assert_eq!(Client::connect(second).get("/4").status(), 200);
}

#[test]
fn a_renamed_listener_keeps_its_socket_and_a_moved_one_drains() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let (plain, second, third) = (text(&proxy, &setup), ports::free(), ports::free());
    accept(&proxy, &with_second(&plain, "second", second));
    let mut client = Client::connect(second);
    assert_eq!(client.get("/1").status(), 200);
    accept(&proxy, &with_second(&plain, "renamed", second));
    assert_eq!(Client::connect(second).get("/2").status(), 200);
    client.expect_end();
    let mut client = Client::connect(second);
    assert_eq!(client.get("/3").status(), 200);
    accept(&proxy, &with_second(&plain, "renamed", third));
    assert_eq!(Client::connect(third).get("/4").status(), 200);
    wait::for_("connections to be refused", || refuses(second));
    client.expect_end();
}

#[test]
fn what_does_not_end_is_cut_after_the_drain() {
    let origin = Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    });
    let setup = Setup::to(origin.address()).drain("1s");
    let proxy = start(&setup);
    let (plain, second) = (text(&proxy, &setup), ports::free());
    accept(&proxy, &with_second(&plain, "second", second));
    let mut client = Client::connect(second);
    client.send("GET /never HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the request at the origin", || origin.requests().len() == 1);
    accept(&proxy, &plain);
    client.rest();
    wait::for_("it to be told as our doing", || {
        proxy.metric(
            "weft_listener_failures_total",
            "listener=\"second\",failure=\"draining\"",
        ) == 1.0
    });
}

#[test]
fn an_address_that_is_taken_is_refused_with_field_and_reason() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let plain = text(&proxy, &setup);
    reload(&proxy, &with_second(&plain, "second", origin.address()));
    let dump = proxy.admin_json("/config_dump");
    assert_eq!(dump["generation"], 1);
    let problem = &dump["last_rejection"]["problems"][0];
    assert_eq!(problem["field"], "listeners[1].address");
    let message = problem["message"].as_str().expect("a reason");
    let expected = "listener second cannot have it: Address already in use";
    assert!(message.contains(expected), "{message}");
    assert_eq!(proxy.get("/").status(), 200);
}

#[test]
fn a_listener_is_widened_narrowed_and_comes_back_at_once() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2);
    let proxy = start(&setup);
    let (plain, second) = (text(&proxy, &setup), ports::free());
    let any = SocketAddr::from(([0, 0, 0, 0], second.port()));
    for address in [second, any, second] {
        accept(&proxy, &with_second(&plain, "second", address));
        assert_eq!(Client::connect(second).get("/").status(), 200, "{address}");
    }
    // It may still be closing.
    accept(&proxy, &plain);
    accept(&proxy, &with_second(&plain, "second", second));
    assert_eq!(Client::connect(second).get("/").status(), 200);
}
