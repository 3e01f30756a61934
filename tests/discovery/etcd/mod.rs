//! Registries that are shared through etcd: what registers with one proxy is routed by all,
//! whatever happens to etcd, to the proxies and to what lies between them.
//!
//! Two proxies, A where instances register and B which only hears of them, and the real etcd.
//! `cargo test -p tests --test integration -- --nocapture from_a_registration` prints how long it
//! takes from a registration at A to the first request that B routes.

mod access;
mod outages;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Registry, orders,
    registration::{at, named},
};
use crate::harness::{
    Client, Origin, Setup,
    etcd::{Etcd, base64},
    gate::Gate,
    wait,
};

/// The registration of an origin that stays for an hour.
fn long(origin: &Origin) -> String {
    at(origin.address()).replace('}', ", \"ttl\": \"1h\"}")
}

/// A proxy that shares its registry through these members.
fn sharing(members: &[String]) -> Registry {
    sharing_as(members, "")
}

fn sharing_as(members: &[String], more: &str) -> Registry {
    start(orders(), &etcd_table(members, more))
}

/// A proxy whose registry has more keys.
fn start(setup: Setup, more: &str) -> Registry {
    let registry = format!("registry = {{ path = \"registry\", token_file = \"token\"{more} }}");
    Registry::start_with_registry(setup, &registry)
}

fn etcd_table(members: &[String], more: &str) -> String {
    let members = members.join(", ");
    format!(", etcd = {{ endpoints = [{members}], lease_ttl = \"5s\", timeout = \"1s\"{more} }}")
}

/// A and B.
fn two(etcd: &Etcd) -> (Registry, Registry) {
    let members = [etcd.url()];
    let (a, b) = (sharing(&members), sharing(&members));
    wait::for_("A and B to reach etcd", || {
        is_connected(&a) && is_connected(&b)
    });
    (a, b)
}

fn is_connected(registry: &Registry) -> bool {
    registry.proxy.metric("weft_etcd_connected", "") > 0.0
}

fn through(gate: &Gate) -> String {
    format!("\"http://{}\"", gate.address())
}

/// What a dozen requests are answered with.
fn answers(registry: &Registry) -> BTreeSet<String> {
    (0..12).map(|_| registry.proxy.get("/").text()).collect()
}

/// Waits until requests to a proxy are answered by these, and by nobody else.
fn expect(registry: &Registry, names: &[&str]) {
    let names: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
    wait::for_(&format!("answers of {names:?}"), || {
        // Both: a dozen requests may miss one that is there.
        endpoints(registry) == names.len() && answers(registry) == names
    });
}

/// Endpoints of the cluster.
fn endpoints(registry: &Registry) -> usize {
    let page = registry.proxy.admin_json("/clusters");
    page[0]["endpoints"].as_array().map_or(0, Vec::len)
}

fn has(registry: &Registry, id: &str) -> bool {
    let found = registry.ask("GET", &format!("orders/instances/{id}"), "");
    found.status() == 200
}

/// The row of the registry in the page of the cluster.
fn source(registry: &Registry) -> Value {
    registry.proxy.admin_json("/clusters")[0]["discovery"][0].clone()
}

fn metric(registry: &Registry, name: &str, labels: &str) -> u32 {
    registry.proxy.metric(name, labels) as u32
}

/// The key of an instance of `orders`.
fn key(id: &str) -> String {
    format!("/weft/services/orders/{id}")
}

/// Requests that go to a proxy all the time, each of which must be answered by an instance.
struct Flow {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Vec<String>)>,
}

impl Flow {
    fn to(registry: &Registry) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let address = registry.proxy.address();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut answered, mut failed) = (0, Vec::new());
            while !stopped.load(Ordering::SeqCst) {
                match Client::try_connect(address).map(|mut client| client.get("/")) {
                    Ok(response) if response.status() == 200 => answered += 1,
                    Ok(response) => {
                        failed.push(format!("{} {}", response.status(), response.text()));
                    }
                    Err(error) => failed.push(error.to_string()),
                }
                wait::pass(Duration::from_millis(5));
            }
            (answered, failed)
        });
        Self { stop, thread }
    }

    /// None has failed.
    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        let (answered, failed) = self.thread.join().expect("a thread that ends");
        assert!(answered > 0);
        assert_eq!(failed, [""; 0], "{answered} were answered");
    }
}

#[test]
fn what_registers_with_one_proxy_is_routed_by_the_other_until_it_leaves() {
    let (x, y) = (named("x"), named("y"));
    let etcd = Etcd::start();
    let (a, b) = two(&etcd);
    assert_eq!(b.proxy.get("/").status(), 503, "nobody is there yet");
    let body = format!(
        "{{\"address\": \"{}\", \"weight\": 3, \"metadata\": {{\"zone\": \"z\"}}}}",
        x.address()
    );
    assert_eq!(a.register("x", &body).status(), 201);
    expect(&b, &["x"]);
    let found = b.ask("GET", "orders/instances/x", "").text();
    for expected in ["\"weight\":3", "{\"zone\":\"z\"}", "\"owner\":\"remote\""] {
        assert!(found.contains(expected), "{found}");
    }
    assert_eq!(
        b.proxy.admin_json("/clusters")[0]["endpoints"][0]["weight"],
        3
    );
    // In the other direction, and both know both.
    assert_eq!(b.register("y", &at(y.address())).status(), 201);
    expect(&a, &["x", "y"]);
    assert_eq!(metric(&b, "weft_etcd_remote_instances", ""), 1);
    // What B did not register it cannot renew, drain or take out, and says whose it is.
    assert_eq!(b.ask("POST", "orders/instances/x/renew", "").status(), 404);
    for (method, verb) in [("POST", "/drain"), ("DELETE", "")] {
        let refused = b.ask(method, &format!("orders/instances/x{verb}"), "");
        assert_eq!(refused.status(), 409);
        let told = refused.text();
        assert!(told.contains("registered_elsewhere"), "{told}");
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        assert!(
            told.contains(&format!("another proxy, that of {host},")),
            "{told}"
        );
    }
    expect(&b, &["x", "y"]);
    assert_eq!(a.ask("POST", "orders/instances/x/drain", "").status(), 200);
    expect(&b, &["y"]);
    assert!(
        b.ask("GET", "orders/instances/x", "")
            .text()
            .contains("draining")
    );
    assert_eq!(a.ask("DELETE", "orders/instances/x", "").status(), 204);
    wait::for_("x to be gone at B", || !has(&b, "x"));
    assert_eq!(b.ask("DELETE", "orders/instances/y", "").status(), 204);
    wait::for_("y to be gone at A", || a.proxy.get("/").status() == 503);
    assert_eq!(source(&a)["last_error"], Value::Null);
}

#[test]
fn an_instance_that_stops_renewing_or_fails_its_check_is_gone_for_all() {
    let (x, y) = (named("x"), named("y"));
    let is_well = Arc::new(AtomicBool::new(true));
    let answer = Arc::clone(&is_well);
    let checked = Origin::start(move |peer| {
        while peer.request().is_some() {
            let status = if answer.load(Ordering::SeqCst) {
                200
            } else {
                503
            };
            peer.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 1\r\n\r\nz"));
        }
    });
    let etcd = Etcd::start();
    let (a, b) = two(&etcd);
    let short = |origin: &Origin, ttl: &str| {
        format!(
            "{{\"address\": \"{}\", \"ttl\": \"{ttl}\"}}",
            origin.address()
        )
    };
    a.register("x", &short(&x, "1s"));
    a.register("y", &short(&y, "1h"));
    let check = "{\"http\": \"/healthz\", \"interval\": \"1s\", \"timeout\": \"1s\"}";
    let body = format!(
        "{{\"address\": \"{}\", \"check\": {check}}}",
        checked.address()
    );
    a.register("z", &body.replace("}}", "}, \"ttl\": \"1h\"}"));
    // However long its lease is, x is not renewed; B hears of its end.
    wait::for_("x to be gone at B", || {
        has(&b, "y") && has(&b, "z") && !has(&b, "x")
    });
    expect(&b, &["y", "z"]);
    is_well.store(false, Ordering::SeqCst);
    expect(&b, &["y"]);
    is_well.store(true, Ordering::SeqCst);
    expect(&b, &["y", "z"]);
}

#[test]
fn an_instance_that_registers_elsewhere_has_moved() {
    let (old, new) = (named("old"), named("new"));
    let etcd = Etcd::start();
    let (a, b) = two(&etcd);
    a.register("x", &at(old.address()).replace('}', ", \"ttl\": \"1h\"}"));
    expect(&b, &["old"]);
    assert_eq!(
        b.register("x", &at(new.address())).status(),
        200,
        "in its place"
    );
    expect(&b, &["new"]);
    expect(&a, &["new"]);
    assert_eq!(a.ask("POST", "orders/instances/x/renew", "").status(), 404);
    assert!(
        a.proxy
            .stderr()
            .contains("has registered with another proxy")
    );
    assert_eq!(b.ask("DELETE", "orders/instances/x", "").status(), 204);
    wait::for_("its end at A", || a.proxy.get("/").status() == 503);
}

#[test]
fn values_that_nobody_could_have_registered_change_nothing() {
    let x = named("x");
    let etcd = Etcd::start();
    let (a, b) = two(&etcd);
    a.register("x", &at(x.address()).replace('}', ", \"ttl\": \"1h\"}"));
    expect(&b, &["x"]);
    let instance = format!("\"instance\":{{\"address\":\"{}\"}}", x.address());
    let good = format!("{{\"weft\":1,\"state\":\"serving\",{instance}}}");
    let large = format!("{{\"weft\":1,\"padding\":\"{}\"}}", "x".repeat(70_000));
    let future = good.replace(":1,", ":2,");
    let bad = [
        ("orders/a", "not JSON"),
        (
            "orders/b",
            "{\"weft\":1,\"state\":\"serving\",\"instance\":{}}",
        ),
        ("orders/c", "[[[["),
        ("orders/d/e", &good),
        ("or ders/f", &good),
        ("orders/g", &large),
        ("orders/h", &future),
        // One that was good stays as it was.
        ("orders/x", "\u{1}"),
    ];
    for (name, value) in bad {
        etcd.put(&format!("/weft/services/{name}"), value);
    }
    // Somebody may well write one by hand.
    etcd.put(&key("hand"), &good);
    wait::for_("the good one", || has(&b, "hand"));
    let skipped = |reason: &str| metric(&b, "weft_etcd_skipped_total", reason);
    assert_eq!(
        (
            skipped("malformed"),
            skipped("oversized"),
            skipped("version")
        ),
        (6, 1, 1)
    );
    assert_eq!(metric(&b, "weft_etcd_remote_instances", ""), 2);
    expect(&b, &["x"]);
    let log = b.proxy.stderr();
    assert!(log.contains("key=/weft/services/orders/a"), "{log}");
    // A proxy that begins now reads the same, but for what its owner has written again.
    wait::for_("the good one to be written again", || {
        etcd.lease(&key("x")).is_some()
    });
    let c = sharing(&[etcd.url()]);
    expect(&c, &["x"]);
    assert_eq!(metric(&c, "weft_etcd_skipped_total", ""), 7);
    etcd.delete(&key("hand"));
    wait::for_("the end of the good one", || !has(&b, "hand"));
}

/// Writes so many instances of `many`, as another proxy would.
fn put_many(etcd: &Etcd, count: usize) {
    etcd.ask("/v3/lease/grant", &json!({"ID": "77", "TTL": "3600"}));
    let put = |turn: usize| {
        let value = format!(
            "{{\"weft\":1,\"state\":\"serving\",\"instance\":{{\"address\":\"{}\"}}}}",
            SocketAddr::from(([127, 0, 1, (turn % 250) as u8], 9))
        );
        let name = format!("/weft/services/many/i{turn:04}");
        json!({"requestPut": {"key": base64(&name), "value": base64(&value), "lease": "77"}})
    };
    for first in (0..count).step_by(100) {
        let changes: Vec<Value> = (first..first + 100).map(put).collect();
        etcd.ask("/v3/kv/txn", &json!({"success": changes}));
    }
}

#[test]
fn an_etcd_with_more_than_fits_is_read_page_by_page_and_within_bounds() {
    let x = named("x");
    let etcd = Etcd::start();
    put_many(&etcd, 1200);
    let a = sharing(&[etcd.url()]);
    wait::for_("all of them", || {
        metric(&a, "weft_etcd_remote_instances", "") == 1200
    });
    a.register("x", &at(x.address()).replace('}', ", \"ttl\": \"1h\"}"));
    let more = etcd_table(&[etcd.url()], "");
    let b = start(orders(), &format!(", max_instances = 1000{more}"));
    wait::for_("what fits", || {
        metric(&b, "weft_etcd_remote_instances", "") == 1000
    });
    wait::for_("the rest to be told", || {
        metric(&b, "weft_etcd_skipped_total", "full") >= 201
    });
    assert_eq!(b.register("y", &at(x.address())).status(), 507);
    assert!(b.proxy.stderr().contains("does not fit the bounds"));
}

#[test]
fn from_a_registration_at_one_proxy_to_the_first_request_that_the_other_routes() {
    const ROUNDS: usize = 50;
    let x = named("x");
    let etcd = Etcd::start();
    let (a, b) = two(&etcd);
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        // A connection takes a thousand requests.
        let mut client = b.proxy.connect();
        let id = format!("r{round}");
        assert_eq!(client.get("/").status(), 503);
        let begun = Instant::now();
        assert_eq!(a.register(&id, &at(x.address())).status(), 201);
        // Without a pause between two looks: what is measured is below the grain of one.
        for turn in 1.. {
            if client.get("/").status() == 200 {
                break;
            }
            if turn % 900 == 0 {
                client = b.proxy.connect();
            }
            assert!(begun.elapsed() < wait::PATIENCE, "round {round}");
        }
        times.push(begun.elapsed());
        assert_eq!(
            a.ask("DELETE", &format!("orders/instances/{id}"), "")
                .status(),
            204
        );
        wait::for_("the farewell", || b.proxy.get("/").status() == 503);
    }
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("registration at one proxy to the first request routed by the other, {ROUNDS} times:");
    println!(
        "  min {:.1} ms, p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(0),
        at(50),
        at(90),
        at(99),
        at(100)
    );
}
