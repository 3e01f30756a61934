//! Trust that ends while it is relied upon: an authority leaves a bundle, a peer is revoked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::HANDSHAKES;
use crate::harness::{
    Client, Load, Origin, Peer, Proxy, Setup,
    certificates::{Authority, Certificate},
    scratch::Scratch,
    wait,
};

const CLOSED: &str = "weft_listener_connections_closed_total";
const UPSTREAM: &str = "weft_cluster_connection_events_total";
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Answers requests; a tunnel gives back what it gets, and `/endless` a response that never ends.
fn origin() -> Origin {
    Origin::forgetful(|peer: &mut Peer| {
        while let Some(request) = peer.request() {
            match request.target() {
                "/ws" => {
                    peer.send(SWITCHING);
                    while let Some(bytes) = peer.some() {
                        peer.send(bytes);
                    }
                    return;
                }
                "/endless" => {
                    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nfirst");
                    // Says nothing more until it is left.
                    while peer.some().is_some() {}
                    return;
                }
                _ => {
                    if !peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
                        return;
                    }
                }
            }
        }
    })
}

/// A file with authorities, which come and go.
struct Bundle {
    scratch: Scratch,
}

impl Bundle {
    fn of(authorities: &[&Authority]) -> Self {
        let bundle = Self {
            scratch: Scratch::new(),
        };
        bundle.hold(authorities);
        bundle
    }

    fn path(&self) -> PathBuf {
        self.scratch.file("bundle.pem")
    }

    fn hold(&self, authorities: &[&Authority]) {
        let read = |authority: &&Authority| fs::read_to_string(authority.ca()).expect("PEM");
        let text: String = authorities.iter().map(read).collect();
        let fresh = self.scratch.write("bundle.next", &text);
        fs::rename(fresh, self.path()).expect("renamed");
    }
}

/// A proxy that serves clients whose authorities are in `clients`.
fn serving(own: &Certificate, clients: &Bundle, origin: &Origin) -> Proxy {
    let tls = format!(
        "tls = {{ certificates = [{}], client_certificate = \"required\", client_ca = \"{}\" }}\n\
         upgrades = [\"websocket\"]",
        own.toml(),
        clients.path().display()
    );
    Proxy::start(&Setup::to(origin.address()).drain("1s").listener(&tls))
}

/// A proxy that calls `to`, whose authority is in `trusted`, as `shown`.
fn calling(to: &Proxy, trusted: &Path, shown: &Certificate) -> Proxy {
    let cluster = format!(
        "tls = {{ server_name = \"a.test\", ca = \"{}\", certificate = {} }}",
        trusted.display(),
        shown.toml()
    );
    Proxy::start(
        &Setup::new()
            .drain("1s")
            .top("access_log = { path = \"access.log\", flush = \"20ms\" }")
            .listener("upgrades = [\"websocket\"]")
            .cluster_with("origin", &[to.address().to_string()], &cluster),
    )
}

/// A tunnel through `proxy`, which works.
fn tunnel(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    assert_eq!(client.exchange(UPGRADE).status(), 101);
    echo(&mut client);
    client
}

fn get(client: &mut Client) -> u16 {
    let response = client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    response.status()
}

fn echo(client: &mut Client) {
    client.send("hello");
    assert_eq!(client.take(5), b"hello");
}

#[test]
fn clients_of_an_authority_that_is_removed_are_closed_and_others_are_not_disturbed() {
    let (own, one, two) = (Authority::new(), Authority::new(), Authority::new());
    let bundle = Bundle::of(&[&one, &two]);
    let origin = origin();
    let served = serving(&own.issue("own", "DNS:a.test"), &bundle, &origin);
    let removed = calling(&served, &own.ca(), &one.issue("one", "DNS:one.test"));
    let stays = calling(&served, &own.ca(), &two.issue("two", "DNS:two.test"));
    let load = Load::start(stays.address(), "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    load.goes_on(20);
    let (mut cut, mut other) = (tunnel(&removed), tunnel(&stays));
    // Beside the tunnel there is a connection that idles.
    assert_eq!(get(&mut removed.connect()), 200);
    bundle.hold(&[&two]);
    // Who waits on the tunnel is told without having to say anything.
    cut.rest();
    served.expect_count(CLOSED, "reason=\"proof_revoked\"", 2);
    wait::for_("the next handshake to be refused", || {
        get(&mut removed.connect()) >= 500
            && served.metric(HANDSHAKES, "result=\"certificate_unknown_issuer\"") > 0.0
    });
    load.goes_on(50);
    echo(&mut other);
    // It is trusted again.
    bundle.hold(&[&one, &two]);
    wait::for_("recovery", || get(&mut removed.connect()) == 200);
    echo(&mut tunnel(&removed));
    load.goes_on(50);
    echo(&mut other);
    load.end();
}

#[test]
fn tunnels_and_downloads_from_an_endpoint_that_is_not_trusted_any_more_are_cut() {
    let (one, two, clients) = (Authority::new(), Authority::new(), Authority::new());
    let trusted = Bundle::of(&[&one, &two]);
    let known = Bundle::of(&[&clients]);
    let shown = clients.issue("client", "DNS:client.test");
    let origin = origin();
    let (first, second) = (
        serving(&one.issue("one", "DNS:a.test"), &known, &origin),
        serving(&two.issue("two", "DNS:a.test"), &known, &origin),
    );
    let to_first = calling(&first, &trusted.path(), &shown);
    let to_second = calling(&second, &trusted.path(), &shown);
    let (mut cut, mut stays) = (tunnel(&to_first), tunnel(&to_second));
    let mut download = to_first.connect();
    download.send("GET /endless HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert!(download.head().starts_with("HTTP/1.1 200"));
    assert_eq!(download.take(5), b"first");
    trusted.hold(&[&two]);
    cut.rest();
    download.rest();
    to_first.expect_count(UPSTREAM, "event=\"untrusted\"", 2);
    wait::for_("both to be told as our doing", || {
        let log = fs::read_to_string(to_first.file("access.log")).expect("a log");
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["detail"] == "untrusted").count() == 2
    });
    assert_eq!(get(&mut to_first.connect()), 503);
    // Nothing of the first is left at its end either.
    wait::for_("the first to be left", || {
        first.metric("weft_listener_connections_active", "") == 0.0
    });
    echo(&mut stays);
    assert_eq!(get(&mut to_second.connect()), 200);
    assert_eq!(to_second.metric(UPSTREAM, "event=\"untrusted\""), 0.0);
    // What was still trusted after one change is looked at again at the next.
    let (third, fourth) = (Authority::new(), &two);
    trusted.hold(&[&third, fourth]);
    wait::for_("the change", || {
        to_second.metric("weft_config_generation", "") > 2.0
    });
    echo(&mut stays);
    trusted.hold(&[&third]);
    stays.rest();
    to_second.expect_count(UPSTREAM, "event=\"untrusted\"", 1);
}
