//! Endpoints that are found while the proxy runs are checked like those that stand in its
//! configuration, and forgotten when they leave.

use std::fs;
use std::net::SocketAddr;

use serde_json::Value;

use super::{
    Registry,
    dnsmasq::{self, Dnsmasq},
};
use crate::harness::{Origin, Proxy, Setup, ports, wait};

const CHECK: &str = "health_check = { path = \"/healthz\", interval = \"100ms\", \
    changing_interval = \"50ms\", unhealthy_after = 2 }";

/// An origin that answers with `name`, and checks with `health`.
fn named(address: SocketAddr, name: &'static str, health: &'static str) -> Origin {
    Origin::start_at(address, move |peer| {
        while let Some(request) = peer.request() {
            let (status, content) = match request.target() {
                "/healthz" => (health, ""),
                _ => ("200 OK", name),
            };
            let length = content.len();
            peer.send(format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{content}"
            ));
        }
    })
}

/// Everything goes to what `discovery` finds, by turns, on two shards.
fn following(discovery: &str) -> Setup {
    let lines = format!("lb_policy = \"round_robin\"\ndiscovery = {discovery}\n{CHECK}");
    Setup::new()
        .shards(2)
        .route("all", "forward = \"found\"")
        .cluster_with("found", &[], &lines)
}

/// What `/clusters` says of the endpoint at `address`, if it has it.
fn told(proxy: &Proxy, address: SocketAddr) -> Option<Value> {
    let page = proxy.admin_json("/clusters");
    let endpoints = page[0]["endpoints"].as_array().cloned().unwrap_or_default();
    let address = address.to_string();
    endpoints.into_iter().find(|row| row["address"] == address)
}

fn wait_for_state(proxy: &Proxy, origin: &Origin, state: &str) {
    wait::for_(&format!("{} to be {state}", origin.address()), || {
        let row = told(proxy, origin.address());
        row.is_some_and(|row| row["health_check"]["state"] == state && row["state"] == state)
    });
}

fn names(proxy: &Proxy) -> String {
    (0..8).map(|_| proxy.get("/").text()).collect()
}

#[test]
fn an_endpoint_of_a_file_is_checked_when_it_comes_and_forgotten_when_it_leaves() {
    let well = named(ports::free(), "a", "200 OK");
    let ill = named(ports::free(), "b", "503 No");
    let (address, admin) = (ports::free(), ports::free());
    let config = following("{ file = \"found.json\" }").render(address, admin);
    let first = format!("[\"{}\"]", well.address());
    let proxy = Proxy::start_with_file(&config, ("found.json", &first), address, admin);
    wait_for_state(&proxy, &well, "healthy");
    let replace = |text: &str| {
        fs::write(proxy.file("new"), text).expect("written");
        fs::rename(proxy.file("new"), proxy.file("found.json")).expect("renamed");
    };
    replace(&format!("[\"{}\", \"{}\"]", well.address(), ill.address()));
    wait_for_state(&proxy, &ill, "unhealthy");
    assert_eq!(names(&proxy), "aaaaaaaa");
    let row = told(&proxy, ill.address()).expect("a row");
    assert_eq!(
        (&row["reason"], &row["state"]),
        (&"status".into(), &"unhealthy".into())
    );
    assert_eq!(row["health_check"]["detail"], "the status was 503");
    assert!(row["seconds"].as_f64().is_some());
    // It leaves: nobody asks it any more.
    replace(&first);
    let labels = format!("endpoint=\"{}\"", ill.address());
    wait::for_("it to be forgotten", || {
        told(&proxy, ill.address()).is_none() && !proxy.admin("/metrics").text().contains(&labels)
    });
    let asked = ill.requests().len();
    // Its neighbour goes on being asked meanwhile.
    let mark = well.requests().len();
    wait::for_("some checks", || well.requests().len() > mark + 5);
    assert!(
        ill.requests().len() <= asked + 1,
        "one may have been under way"
    );
}

#[test]
fn an_instance_that_registers_is_checked_as_the_cluster_says() {
    let well = named(ports::free(), "a", "200 OK");
    let ill = named(ports::free(), "b", "503 No");
    let setup = following("{ registry = \"orders\" }");
    let registry = Registry::start_with(setup);
    for (id, origin) in [("a", &well), ("b", &ill)] {
        let body = format!("{{\"address\": \"{}\"}}", origin.address());
        assert_eq!(registry.register(id, &body).status(), 201);
    }
    wait_for_state(&registry.proxy, &well, "healthy");
    wait_for_state(&registry.proxy, &ill, "unhealthy");
    assert_eq!(names(&registry.proxy), "aaaaaaaa");
}

#[test]
fn an_address_of_a_name_is_checked() {
    let port = ports::free().port();
    let at = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
    let (well, ill) = (named(at(1), "a", "200 OK"), named(at(2), "b", "500 No"));
    let dns = Dnsmasq::start("127.0.0.1 app.test\n", &[]);
    let setup = following(&format!("{{ dns = [\"app.test:{port}\"] }}"));
    let proxy = Proxy::start(&setup.top(&dnsmasq::asking(dns.address)));
    wait_for_state(&proxy, &well, "healthy");
    dns.set("127.0.0.1 app.test\n127.0.0.2 app.test\n");
    wait_for_state(&proxy, &ill, "unhealthy");
    assert_eq!(names(&proxy), "aaaaaaaa");
}
