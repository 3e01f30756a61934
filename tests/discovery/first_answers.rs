//! A start and a reload wait for what their sources say first, and not for ever.

use std::fs;
use std::net::SocketAddr;

use super::{
    dnsmasq::{Dnsmasq, asking, following},
    sources::named,
};
use crate::harness::{Client, Proxy, Setup, ports, wait};

/// What `/readyz` says: its status and its text.
fn ready(proxy: &Proxy) -> Option<(u16, String)> {
    let mut client = Client::try_connect(proxy.admin_address()).ok()?;
    client.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let response = client.try_response_to("GET").ok()?;
    Some((response.status(), response.text()))
}

/// A proxy whose start waits for the addresses of `app.test`, which nobody tells yet; its
/// configuration, and where it asks.
fn waiting_for_dns(port: u16) -> (Proxy, String, SocketAddr) {
    let (address, admin, server) = (ports::free(), ports::free(), ports::free());
    let setup = following(&format!(
        "{{ dns = [\"app.test:{port}\"], initial_fetch_timeout = \"10m\" }}"
    ));
    let config = setup.top(&asking(server)).render(address, admin);
    let proxy = Proxy::start_unready(&config, address, admin);
    (proxy, config, server)
}

#[test]
fn a_start_waits_for_the_dns_that_comes_late() {
    let origin = named(ports::free(), "a");
    let port = origin.address().port();
    let (mut proxy, _, server) = waiting_for_dns(port);
    let (status, told) = wait::until("the admin interface", || ready(&proxy));
    assert_eq!(status, 503, "{told}");
    assert_eq!(
        told,
        format!("waiting for the first answers of dns:app.test:{port}\n")
    );
    // Who comes now waits for the answer, instead of being told that nobody is there.
    let mut early = proxy.connect();
    early.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!proxy.stderr().contains("Started."));
    let _dns = Dnsmasq::start_at(server, "127.0.0.1 app.test\n", &[]);
    proxy.wait_until_ready();
    assert_eq!(early.response().text(), "a");
    assert_eq!(
        proxy.get("/").text(),
        "a",
        "the first request after it is ready"
    );
    assert!(proxy.stderr().contains("Started."));
    assert!(!proxy.stderr().contains("have not answered"));
}

#[test]
fn a_source_that_does_not_answer_holds_up_a_start_no_longer_than_allowed() {
    let (address, admin, silent) = (ports::free(), ports::free(), ports::free());
    let setup = following("{ dns = [\"app.test:80\"], initial_fetch_timeout = \"100ms\" }");
    let config = setup.top(&asking(silent)).render(address, admin);
    let proxy = Proxy::start_with(&config, address, admin);
    assert_eq!(proxy.get("/").status(), 503);
    let told = proxy.stderr();
    assert!(
        told.contains("Sources of endpoints have not answered"),
        "{told}"
    );
    assert!(told.contains("sources=dns:app.test:80"), "{told}");
}

#[test]
fn a_start_that_waits_can_be_ended() {
    let (address, admin, silent) = (ports::free(), ports::free(), ports::free());
    let setup = following("{ dns = [\"app.test:80\"], initial_fetch_timeout = \"10m\" }");
    let config = setup.top(&asking(silent)).render(address, admin);
    let mut proxy = Proxy::start_unready(&config, address, admin);
    wait::for_("the admin interface", || ready(&proxy).is_some());
    proxy.terminate();
    assert!(proxy.wait().success());
}

#[test]
fn a_reload_takes_effect_when_a_new_source_has_answered() {
    let (a, b) = (named(ports::free(), "a"), named(ports::free(), "b"));
    let (address, admin) = (ports::free(), ports::free());
    let config = Setup::to(a.address()).render(address, admin);
    let proxy = Proxy::start_with(&config, address, admin);
    assert_eq!(proxy.get("/").text(), "a");
    let next = following("{ file = \"late.json\", initial_fetch_timeout = \"10m\" }");
    let replace = |name: &str, text: &str| {
        fs::write(proxy.file("new"), text).expect("written");
        fs::rename(proxy.file("new"), proxy.file(name)).expect("renamed");
    };
    replace("weft.toml", &next.render(address, admin));
    // The file is looked for, so the reload is under way; requests go by what was before.
    wait::for_("the file to be missed", || {
        proxy.stderr().contains("An endpoint file cannot be used")
    });
    assert_eq!(proxy.get("/").text(), "a");
    replace("late.json", &format!("[\"{}\"]", b.address()));
    wait::for_("the new configuration", || {
        let answer = proxy.get("/");
        assert_eq!(answer.status(), 200, "no request finds nobody");
        answer.text() == "b"
    });
}

#[test]
fn what_changes_while_a_start_waits_is_read_when_it_has_ended() {
    let origin = named(ports::free(), "a");
    let (mut proxy, config, server) = waiting_for_dns(origin.address().port());
    wait::for_("the admin interface", || ready(&proxy).is_some());
    let next = config.replace("drain = \"20s\"", "drain = \"21s\"");
    assert_ne!(next, config);
    fs::write(proxy.file("weft.toml"), next).expect("written");
    let _dns = Dnsmasq::start_at(server, "127.0.0.1 app.test\n", &[]);
    proxy.wait_until_ready();
    wait::for_("the change", || {
        proxy.admin_json("/config_dump")["config"]["drain"] == "21s"
    });
}
