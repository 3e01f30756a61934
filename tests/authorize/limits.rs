//! Rate limits: exact, told to the client, kept apart by caller.

use std::{collections::BTreeMap, fs, thread};

use super::ask;
use crate::harness::{Client, Origin, Proxy, Setup, wait};

/// How many of these responses have each status.
fn statuses(found: &[u16]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for status in found {
        *counts.entry(*status).or_default() += 1;
    }
    counts
}

#[test]
fn a_limit_is_exact_on_however_many_shards() {
    for shards in [1, 2] {
        let origin = Origin::echoing_targets();
        let setup = Setup::to(origin.address())
            .shards(shards)
            .listener("rate_limits = [{ name = \"all\", requests = 100, per = \"1h\" }]");
        let proxy = Proxy::start(&setup);
        // 16 connections spread over the shards, 25 requests on each, all at once.
        let address = proxy.address();
        let clients: Vec<_> = (0..16)
            .map(|_| {
                thread::spawn(move || {
                    let mut client = Client::connect(address);
                    (0..25)
                        .map(|_| client.get("/").status())
                        .collect::<Vec<u16>>()
                })
            })
            .collect();
        let found: Vec<u16> = clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"))
            .collect();
        assert_eq!(
            statuses(&found),
            BTreeMap::from([(200, 100), (429, 300)]),
            "{shards}"
        );
        assert_eq!(origin.requests().len(), 100);
        let decisions = "weft_rate_limit_decisions_total";
        proxy.expect_count(decisions, "limit=\"all\",decision=\"allow\"", 100);
        proxy.expect_count(decisions, "limit=\"all\",decision=\"deny\"", 300);
        proxy.expect_count("weft_listener_response_flags_total", "flag=\"RL\"", 300);
        if shards == 2 {
            let busy = |shard| proxy.metric("weft_shard_requests_total", shard);
            assert!(
                busy("shard=\"0\"") > 0.0 && busy("shard=\"1\"") > 0.0,
                "both shards served"
            );
        }
    }
}

#[test]
fn who_passes_is_told_what_is_left_where_that_is_asked_for() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).listener(
        "rate_limits = [\
         { name = \"hourly\", requests = 60, per = \"1h\", burst = 3, always_tell = true },\
         { name = \"silent\", requests = 1000, per = \"1h\" },\
         { name = \"daily\", requests = 100, per = \"1d\", always_tell = true }]",
    );
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    for left in [2, 1, 0] {
        let passed = client.get("/");
        assert_eq!(passed.status(), 200);
        let policies = ["\"hourly\";q=60;w=3600, \"daily\";q=100;w=86400"];
        assert_eq!(passed.fields("ratelimit-policy"), policies);
        let told = passed.field("ratelimit").expect("what is left");
        let hourly = format!("\"hourly\";r={left};t=");
        assert!(told.starts_with(&hourly), "{told}");
        let daily = format!(", \"daily\";r={};t=", 97 + left);
        assert!(told.contains(&daily), "{told}");
    }
    let refused = client.get("/");
    assert_eq!(refused.status(), 429);
    assert_eq!(
        refused.fields("ratelimit-policy"),
        ["\"hourly\";q=60;w=3600"]
    );
}

#[test]
fn who_is_limited_is_told_when_to_come_again() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address())
        .top("access_log = { path = \"access.log\", flush = \"1ms\" }")
        .listener("rate_limits = [{ name = \"hourly\", requests = 60, per = \"1h\", burst = 2 }]");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    for _ in 0..2 {
        let passed = client.get("/");
        assert_eq!((passed.status(), passed.field("RateLimit")), (200, None));
    }
    let refused = client.get("/");
    assert_eq!(
        (refused.status(), refused.text().as_str()),
        (429, "429 Too Many Requests\n")
    );
    // A token a minute; draft-ietf-httpapi-ratelimit-headers-10 §3 and §4.
    let wait: u64 = refused
        .field("Retry-After")
        .expect("a wait")
        .parse()
        .expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        refused.field("RateLimit-Policy"),
        Some("\"hourly\";q=60;w=3600")
    );
    let left = format!("\"hourly\";r=0;t={wait}");
    assert_eq!(refused.field("RateLimit"), Some(left.as_str()));
    // The connection goes on.
    assert_eq!(client.get("/").status(), 429);
    let log = wait::until("four lines of the access log", || {
        let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
        (text.lines().count() == 4).then_some(text)
    });
    assert_eq!(
        log.matches("\"limit\":\"listener/hourly\"").count(),
        2,
        "{log}"
    );
    assert_eq!(log.matches("\"flags\":\"RL\"").count(), 2, "{log}");
}

#[test]
fn callers_are_told_apart_by_address_header_and_route() {
    let origin = Origin::echoing_targets();
    let setup = Setup::new()
        .listener(
            "fields.trusted_hops = 1\n\
             rate_limits = [{ name = \"each\", requests = 3, per = \"1h\", key = [\"client\"] }]",
        )
        .route(
            "tenants",
            "matches = [{ path = { prefix = \"/tenants\" } }]\nforward = \"origin\"\n\
             rate_limits = [{ name = \"tenant\", requests = 1, per = \"1h\", \
             key = [\"client\", \"header:x-tenant\"] }]",
        )
        .route("rest", "forward = \"origin\"")
        .cluster("origin", &[origin.address()]);
    let proxy = Proxy::start(&setup);
    let from = |client: &str, path: &str, more: &str| {
        let fields = format!("Host: a.test\r\nX-Forwarded-For: {client}\r\n{more}");
        ask(&proxy, &format!("GET {path}"), &fields)
    };
    let found: Vec<u16> = (0..5).map(|_| from("192.0.2.1", "/", "")).collect();
    assert_eq!(found, [200, 200, 200, 429, 429]);
    // Of an IPv6 address the first 64 bits count: the rest is the subscriber's own.
    let found: Vec<u16> = (0..5)
        .map(|host| from(&format!("2001:db8::{host}"), "/", ""))
        .collect();
    assert_eq!(found, [200, 200, 200, 429, 429]);
    assert_eq!(from("2001:db8:0:1::1", "/", ""), 200);
    // IPv4 written as IPv6 is the same client.
    assert_eq!(from("::ffff:192.0.2.1", "/", ""), 429);
    // Both limits count.
    assert_eq!(from("192.0.2.2", "/tenants", "X-Tenant: a\r\n"), 200);
    assert_eq!(from("192.0.2.2", "/tenants", "X-Tenant: a\r\n"), 429);
    assert_eq!(from("192.0.2.2", "/tenants", "x-tenant: b\r\n"), 200);
    assert_eq!(
        from("192.0.2.2", "/", ""),
        429,
        "refused by the route, counted by the listener"
    );
    // Who is denied takes nothing from anybody.
    assert_eq!(origin.requests().len(), 3 + 3 + 1 + 2);
}
