//! Refusals for the sake of others: who gets them, what they say, and what goes on.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::setup;
use crate::harness::proxy::{loadgen, output};
use crate::harness::{Client, Origin, Proxy, wait};

const HEALTH: &str = "matches = [{ path = { exact = \"/healthz\" } }]\n\
    direct_response = { status = 200, body = \"fine\" }";

const UNLIMITED: &str = "limits.requests_per_connection = \"unlimited\"";

/// One request at a time, and none that waits.
const ONE_PLACE: &str = "circuit_breaker = { max_requests = 1, max_pending = 0 }";

/// An origin that reads a request and never answers.
fn silent() -> Origin {
    Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    })
}

/// Takes the only place in the cluster, for as long as the client is kept.
fn hold(proxy: &Proxy, origin: &Origin) -> Client {
    let mut holder = proxy.connect();
    holder.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the holder", || origin.requests().len() == 1);
    holder
}

#[test]
fn a_shortage_of_memory_is_503_with_retry_after_while_health_and_admin_go_on() {
    let origin = Origin::echoing_targets();
    let setup = setup(&[&origin], "", "")
        .route("health", HEALTH)
        .listener(UNLIMITED)
        .overload("max_memory = \"1MiB\"");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    wait::for_("requests to be refused", || client.get("/").status() == 503);
    let refused = client.get("/");
    assert_eq!(refused.status(), 503, "the connection persists");
    assert_eq!(refused.field("Retry-After"), Some("1"));
    assert_eq!(client.get("/healthz").text(), "fine");
    assert_eq!(proxy.admin("/readyz").status(), 200);
    assert!(proxy.metric("weft_listener_response_flags_total", "flag=\"OM\"") >= 2.0);
    assert!(proxy.stderr().contains("the process runs short"));
}

#[test]
fn a_shortage_of_descriptors_passes() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&setup(&[&origin], "", "").listener(UNLIMITED));
    assert_eq!(proxy.get("/").status(), 200);
    // As many as there are, and one for who looks.
    proxy.limit_descriptors(proxy.descriptors() + 2);
    let mut client = proxy.connect();
    wait::for_("requests to be refused", || client.get("/").status() == 503);
    proxy.limit_descriptors(4096);
    wait::for_("requests to be taken", || client.get("/").status() == 200);
}

#[test]
fn who_cannot_wait_is_told_when_to_come_again() {
    let origin = silent();
    let proxy = Proxy::start(&setup(&[&origin], "", ONE_PLACE));
    let _holder = hold(&proxy, &origin);
    let refused = proxy.get("/");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.field("Retry-After"), Some("1"));
}

/// Policies that are all tried with each request, which makes a shard slow.
fn slow() -> String {
    let mut slow = "authorization.default = \"allow\"\n".to_owned();
    let policies = (0..500).map(|number| {
        format!("{{ name = \"p{number}\", action = \"deny\", headers = [{{ name = \"x\", exact = \"{number}\" }}] }}")
    });
    let policies: Vec<String> = policies.collect();
    write!(slow, "authorization.policies = [{}]", policies.join(", ")).expect("text");
    slow
}

/// As many as make a shard lag when they come back at once.
const MANY: u64 = 1500;
const SECONDS: u64 = 4;

/// So many clients that ask again as soon as they are answered, for some seconds. Gives how many
/// answers were 200, and how many 503.
fn hurry(url: &str, clients: u64) -> (u64, u64) {
    let clients = clients.to_string();
    let duration = format!("{SECONDS}s");
    let arguments = [
        "run",
        url,
        "--quiet",
        "--json",
        "-",
        "--connections",
        &clients,
    ];
    let report = output(loadgen().args(arguments).args(["--duration", &duration])).stdout;
    let report: Value = serde_json::from_slice(&report).expect("a report as JSON");
    let count = |status: &str| report["statuses"][status].as_u64().unwrap_or(0);
    (count("200"), count("503"))
}

#[test]
fn a_shard_with_a_queue_refuses_a_few_and_serves_the_others() {
    let origin = Origin::echoing_targets();
    let setup = setup(&[&origin], "", "circuit_breaker.max_pending = 10_000")
        .route("health", HEALTH)
        .listener(UNLIMITED)
        .listener(&slow())
        .overload("max_lag = \"5ms\"");
    let proxy = Proxy::start(&setup);
    let url = format!("http://{}/", proxy.address());
    let load = thread::spawn(move || hurry(&url, 200));
    wait::for_("somebody to be refused", || {
        proxy.metric("weft_listener_response_flags_total", "flag=\"OM\"") >= 1.0
    });
    assert_eq!(proxy.get("/healthz").text(), "fine");
    assert_eq!(proxy.admin("/readyz").status(), 200);
    let (served, refused) = load.join().expect("loadgen runs");
    assert!(refused > 0);
    assert!(
        served + 40 >= 20 * refused,
        "{served} served, {refused} refused"
    );
    // It is over with the queue.
    wait::for_("requests to be taken", || proxy.get("/").status() == 200);
}

#[test]
fn who_comes_back_at_once_to_a_shard_that_lags_is_held_to_retry_after() {
    let origin = silent();
    let setup = setup(&[&origin], "", ONE_PLACE)
        .route("health", HEALTH)
        .listener(UNLIMITED)
        .listener(&slow())
        .overload("max_lag = \"off\"");
    let proxy = Proxy::start(&setup);
    let _holder = hold(&proxy, &origin);
    let url = format!("http://{}/", proxy.address());
    let load = thread::spawn(move || hurry(&url, MANY));
    let refused = || proxy.metric("weft_listener_response_flags_total", "flag=\"UO\"");
    wait::for_("each to be refused", || refused() >= MANY as f64);
    // Some more are before the shard is seen to lag.
    wait::pass(Duration::from_secs(1));
    let (begin, before) = (Instant::now(), refused());
    wait::pass(Duration::from_secs(2));
    assert_eq!(proxy.get("/healthz").text(), "fine");
    let (refused, seconds) = (refused() - before, begin.elapsed().as_secs_f64());
    assert!(refused <= MANY as f64 * (seconds + 1.0), "{refused}");
    let (served, _) = load.join().expect("loadgen runs");
    assert_eq!(served, 0);
    assert_eq!(proxy.get("/healthz").text(), "fine");
}
