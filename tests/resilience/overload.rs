//! Refusals for the sake of others: who gets them, what they say, and what goes on.

use super::setup;
use crate::harness::{Origin, Proxy, wait};

const HEALTH: &str = "matches = [{ path = { exact = \"/healthz\" } }]\n\
    direct_response = { status = 200, body = \"fine\" }";

const UNLIMITED: &str = "limits.requests_per_connection = \"unlimited\"";

#[test]
fn a_shortage_of_memory_is_503_with_retry_after_while_health_and_admin_go_on() {
    let origin = Origin::echoing_targets();
    let setup = setup(&[&origin], "", "")
        .route("health", HEALTH)
        .listener(UNLIMITED)
        .top("[overload]\nmax_memory = \"1MiB\"");
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
    let origin = Origin::start(|peer| {
        peer.request();
        while peer.some().is_some() {}
    });
    let breaker = "circuit_breaker = { max_requests = 1, max_pending = 0 }";
    let proxy = Proxy::start(&setup(&[&origin], "", breaker));
    let mut holder = proxy.connect();
    holder.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the holder", || origin.requests().len() == 1);
    let refused = proxy.get("/");
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.field("Retry-After"), Some("1"));
}
