//! Endpoint files and DNS: what changes is followed, what fails keeps the last good answer.

use std::{fs, net::SocketAddr};

use rustix::process::Signal;
use serde_json::Value;

use super::dnsmasq::{Dnsmasq, following};
use crate::harness::{Origin, Proxy, ports, wait};

/// An origin that answers with `name`.
pub(super) fn named(address: SocketAddr, name: &str) -> Origin {
    let length = name.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
    Origin::start_at(address, move |peer| {
        while peer.request().is_some() && peer.send(&answer) {}
    })
}

/// The row of the cluster's first source.
fn source(proxy: &Proxy) -> Value {
    proxy.admin_json("/clusters")[0]["discovery"][0].clone()
}

fn endpoints(proxy: &Proxy) -> usize {
    let page = proxy.admin_json("/clusters");
    page[0]["endpoints"].as_array().map_or(0, Vec::len)
}

#[test]
fn an_endpoint_file_is_followed_and_a_bad_one_changes_nothing() {
    let (a, b) = (named(ports::free(), "a"), named(ports::free(), "b"));
    let (address, admin) = (ports::free(), ports::free());
    let config = following("{ file = \"found.json\" }").render(address, admin);
    let first = format!("[\"{}\"]", a.address());
    let proxy = Proxy::start_with_file(&config, ("found.json", &first), address, admin);
    wait::for_("the first list", || proxy.get("/").text() == "a");
    let replace = |text: &str| {
        fs::write(proxy.file("new"), text).expect("written");
        fs::rename(proxy.file("new"), proxy.file("found.json")).expect("renamed");
    };
    replace(&format!(
        "{{\"endpoints\": [{{\"address\": \"{}\"}}]}}",
        b.address()
    ));
    wait::for_("the second list", || proxy.get("/").text() == "b");
    replace("[\"10.0.0.1:80\", {\"adress\": 1}]");
    wait::for_("the bad list to be told", || {
        source(&proxy)["last_error"]
            .to_string()
            .contains("did you mean `address`?")
    });
    assert_eq!(proxy.get("/").text(), "b", "the last good one");
    assert!(proxy.stderr().contains("the last good one stays in effect"));
    fs::remove_file(proxy.file("found.json")).expect("removed");
    wait::for_("the missing file to be told", || {
        source(&proxy)["last_error"]
            .to_string()
            .contains("cannot be opened")
    });
    assert_eq!(proxy.get("/").text(), "b");
    replace(&first);
    wait::for_("the third list", || proxy.get("/").text() == "a");
    assert_eq!(source(&proxy)["last_error"], Value::Null);
}

#[test]
fn the_addresses_of_a_name_are_followed_and_kept_while_it_cannot_be_resolved() {
    let port = ports::free().port();
    let at = |last: u8| SocketAddr::from(([127, 0, 0, last], port));
    let (_a, _b) = (named(at(1), "a"), named(at(2), "b"));
    let mut dns = Dnsmasq::start("127.0.0.1 app.test\n", &[]);
    let proxy = dns.proxy(&format!("{{ dns = [\"app.test:{port}\"] }}"));
    wait::for_("the first address", || proxy.get("/").text() == "a");
    dns.set("127.0.0.2 app.test\n");
    wait::for_("the second address", || proxy.get("/").text() == "b");
    // The name is gone: an empty cluster would be worse than an old one.
    dns.set("127.0.0.9 other.test\n");
    wait::for_("the loss to be told", || {
        !source(&proxy)["last_error"].is_null()
    });
    assert_eq!(proxy.get("/").text(), "b");
    dns.set("127.0.0.1 app.test\n");
    wait::for_("the name to be back", || proxy.get("/").text() == "a");
    assert_eq!(source(&proxy)["last_error"], Value::Null);
    // A server that does not answer, and one that is not there.
    dns.signal(Signal::STOP);
    wait::for_("the silence to be told", || {
        !source(&proxy)["last_error"].is_null()
    });
    assert_eq!(proxy.get("/").text(), "a");
    dns.signal(Signal::KILL);
    dns.child.wait().expect("ended");
    assert_eq!(proxy.get("/").text(), "a");
    dns.scratch.write("hosts", "127.0.0.2 app.test\n");
    dns.child = Dnsmasq::launch(dns.address, &dns.scratch, &dns.more);
    wait::for_("the next server", || proxy.get("/").text() == "b");
    let failures = proxy.metric("weft_discovery_failures_total", "source=\"dns:app.test");
    assert!(failures >= 2.0, "{failures}");
}

#[test]
fn an_answer_that_does_not_fit_a_datagram_is_fetched_over_tcp() {
    let hosts: String = (1..=200)
        .map(|last| format!("127.0.1.{last} many.test\n"))
        .collect();
    let dns = Dnsmasq::start(&hosts, &["--edns-packet-max=512"]);
    let proxy = dns.proxy("{ dns = [\"many.test:9\"] }");
    wait::for_("all addresses", || endpoints(&proxy) == 200);
}

#[test]
fn rfc2782_srv_records_tell_hosts_ports_and_the_best_priority() {
    let (a, b) = (named(ports::free(), "a"), named(ports::free(), "b"));
    let srv = |priority: u16, origin: &Origin| {
        let port = origin.address().port();
        format!("--srv-host=_http._tcp.app.test,host.test,{port},{priority},5")
    };
    let dns = Dnsmasq::start("127.0.0.1 host.test\n", &[&srv(1, &a), &srv(2, &b)]);
    let proxy = dns.proxy("{ srv = [\"_http._tcp.app.test\"] }");
    wait::for_("the best target", || proxy.get("/").text() == "a");
    assert_eq!(endpoints(&proxy), 1);
}

#[test]
fn rfc2782_a_target_that_cannot_be_resolved_keeps_no_other_from_coming_and_going() {
    let (a, b) = (named(ports::free(), "a"), named(ports::free(), "b"));
    let srv = |host: &str, origin: &Origin| {
        let port = origin.address().port();
        format!("--srv-host=_http._tcp.app.test,{host}.test,{port},1,5")
    };
    let more = [&*srv("a", &a), &*srv("b", &b), &*srv("gone", &b)];
    let dns = Dnsmasq::start("127.0.0.1 a.test\n", &more);
    let proxy = dns.proxy("{ srv = [\"_http._tcp.app.test\"] }");
    wait::for_("the target that there is", || proxy.get("/").text() == "a");
    assert_eq!(endpoints(&proxy), 1);
    dns.set("127.0.0.1 a.test\n127.0.0.1 b.test\n");
    wait::for_("another one", || endpoints(&proxy) == 2);
    // What was found stays while it cannot be found.
    dns.set("127.0.0.1 b.test\n127.0.0.2 b.test\n");
    wait::for_("a third one", || endpoints(&proxy) == 3);
    assert!(
        proxy
            .stderr()
            .contains("A target of SRV records cannot be resolved")
    );
}
