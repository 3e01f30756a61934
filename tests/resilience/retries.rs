//! Which requests are tried again, where, when, and how often.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::setup;
use crate::harness::{Client, Origin, Peer, Proxy, ports, wait};

/// An origin that answers each request, of all connections, as `answer` says for its number.
fn numbered(answer: impl Fn(usize, &mut Peer) -> bool + Send + Sync + 'static) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(move |peer| {
        while peer.request().is_some() {
            if !answer(count.fetch_add(1, Ordering::SeqCst), peer) {
                return;
            }
        }
    })
}

fn ok(peer: &mut Peer) -> bool {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
}

fn unavailable(peer: &mut Peer, fields: &str) -> bool {
    peer.send(format!(
        "HTTP/1.1 503 No\r\n{fields}Content-Length: 4\r\n\r\nbusy"
    ))
}

/// Fails the first request, answers the others.
fn fails_once(fail: impl Fn(&mut Peer) -> bool + Send + Sync + 'static) -> Origin {
    numbered(move |number, peer| if number == 0 { fail(peer) } else { ok(peer) })
}

#[test]
fn a_listed_status_is_tried_again_over_the_same_connection() {
    let origin = fails_once(|peer| unavailable(peer, ""));
    let retry = "retry = { on = [\"gateway_error\"] }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    assert_eq!(proxy.get("/").text(), "ok");
    assert_eq!(origin.requests().len(), 2);
    assert_eq!(origin.connections(), 1, "what was thrown away was whole");
    proxy.expect_count("weft_cluster_retry_reasons_total", "reason=\"status\"", 1);
}

#[test]
fn a_body_that_nobody_wants_is_not_read_to_its_end() {
    let origin = fails_once(|peer| {
        peer.send("HTTP/1.1 503 No\r\nContent-Length: 1000000000\r\n\r\nbusy");
        peer.some().is_some()
    });
    let retry = "retry = { on = [\"5xx\"] }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    assert_eq!(proxy.get("/").text(), "ok");
    wait::for_("the first connection to end", || origin.open() <= 1);
    assert_eq!(origin.connections(), 2);
}

#[test]
fn a_status_that_is_not_listed_is_passed_on() {
    let origin = fails_once(|peer| unavailable(peer, ""));
    let proxy = Proxy::start(&setup(&[&origin], "retry = { statuses = [429] }", ""));
    let response = proxy.get("/");
    assert_eq!((response.status(), response.text()), (503, "busy".into()));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn another_endpoint_comes_first() {
    let bad = numbered(|_, peer| unavailable(peer, ""));
    let good = numbered(|_, peer| ok(peer));
    let retry = "retry = { on = [\"gateway_error\"] }";
    let proxy = Proxy::start(&setup(&[&bad, &good], retry, ""));
    let mut client = proxy.connect();
    for _ in 0..20 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert!(!bad.requests().is_empty());
    assert_eq!(good.requests().len(), 20);
}

#[test]
fn the_last_answer_is_passed_on_and_the_limit_flagged() {
    let origin = numbered(|_, peer| unavailable(peer, ""));
    let retry = "retry = { on = [\"gateway_error\"], count = 2, backoff = \"1ms\" }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    let response = proxy.get("/");
    assert_eq!((response.status(), response.text()), (503, "busy".into()));
    assert_eq!(origin.requests().len(), 3);
    proxy.expect_count("weft_cluster_response_flags_total", "flag=\"URX\"", 1);
    proxy.expect_count("weft_cluster_retries_total", "", 2);
}

#[test]
fn rfc9110_9_2_2_a_post_that_may_have_been_processed_is_not_repeated() {
    let origin = numbered(|_, peer| unavailable(peer, ""));
    let retry = "retry = { on = [\"5xx\", \"reset\", \"timeout\"], count = 3 }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(proxy.connect().exchange(post).status(), 503);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_post_that_was_never_sent_goes_elsewhere() {
    let good = numbered(|_, peer| ok(peer));
    let endpoints = [ports::free().to_string(), good.address().to_string()];
    let setup = crate::harness::Setup::new().cluster_with(
        "origin",
        &endpoints,
        "lb_policy = \"round_robin\"",
    );
    let proxy = Proxy::start(&setup);
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    let mut client = proxy.connect();
    for _ in 0..10 {
        assert_eq!(client.exchange(post).text(), "ok");
    }
    assert_eq!(good.requests().len(), 10);
    let labels = "reason=\"connect_failure\"";
    assert!(proxy.metric("weft_cluster_retry_reasons_total", labels) > 0.0);
}

#[test]
fn bodies_are_sent_again_whole() {
    for framing in ["Content-Length: 60000", "Transfer-Encoding: chunked"] {
        let origin = fails_once(|peer| unavailable(peer, ""));
        let retry = "retry = { on = [\"gateway_error\"] }";
        let proxy = Proxy::start(&setup(&[&origin], retry, ""));
        let body = "0123456789".repeat(6000);
        let body = if framing.starts_with("Transfer") {
            format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
        } else {
            body
        };
        let put = format!("PUT / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n{body}");
        assert_eq!(proxy.connect().exchange(put).text(), "ok", "{framing}");
        let [first, second] = &origin.requests()[..] else {
            panic!("two requests")
        };
        assert_eq!(first.body.len(), 60_000);
        assert!(first.body == second.body, "{framing}: not the same body");
    }
}

#[test]
fn a_body_that_was_too_large_to_keep_is_not_sent_again() {
    let origin = numbered(|_, peer| unavailable(peer, ""));
    let retry = "retry = { on = [\"gateway_error\"] }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    let body = "a".repeat(100_000);
    let put = format!("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{body}");
    assert_eq!(proxy.connect().exchange(put).status(), 503);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn each_reason_is_tried_again_where_it_is_listed_only() {
    type Fail = fn(&mut Peer) -> bool;
    let reset: Fail = |peer| {
        peer.reset();
        false
    };
    let stall: Fail = |peer| peer.some().is_some();
    let garbage: Fail = |peer| peer.send("SSH-2.0-OpenSSH\r\n");
    let cut: Fail = |peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Le");
        false
    };
    for (word, reason, status, fail) in [
        ("reset", "reset", 502, reset),
        ("timeout", "timeout", 504, stall),
        ("bad_response", "bad_response", 502, garbage),
        ("bad_response", "bad_response", 502, cut),
    ] {
        let origin = fails_once(fail);
        let retry = format!(
            "retry = {{ on = [\"{word}\"], per_try_timeout = \"300ms\", backoff = \"1ms\" }}"
        );
        let proxy = Proxy::start(&setup(&[&origin], &retry, ""));
        assert_eq!(proxy.get("/").text(), "ok", "{word}");
        let labels = format!("reason=\"{reason}\"");
        proxy.expect_count("weft_cluster_retry_reasons_total", &labels, 1);
        let origin = fails_once(fail);
        let retry = "retry = { per_try_timeout = \"300ms\" }";
        let proxy = Proxy::start(&setup(&[&origin], retry, ""));
        assert_eq!(proxy.get("/").status(), status, "{word} is not listed");
        assert_eq!(origin.requests().len(), 1, "{word} is not listed");
    }
}

#[test]
fn rfc9112_9_3_1_a_stale_connection_is_replaced_without_a_word() {
    let origin = numbered(|number, peer| {
        if number == 1 {
            peer.reset();
            return false;
        }
        ok(peer)
    });
    let proxy = Proxy::start(&setup(&[&origin], "", ""));
    assert_eq!(proxy.get("/").text(), "ok");
    assert_eq!(proxy.get("/").text(), "ok");
    assert_eq!(origin.requests().len(), 3);
    let labels = "reason=\"stale_connection\"";
    proxy.expect_count("weft_cluster_retry_reasons_total", labels, 1);
}

#[test]
fn rfc9110_10_2_3_retry_after_is_waited_for_or_passed_on() {
    let origin = fails_once(|peer| unavailable(peer, "Retry-After: 1\r\n"));
    let retry = "retry = { on = [\"gateway_error\"], max_retry_after = \"2s\" }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    assert_eq!(proxy.get("/").text(), "ok");
    for value in ["60", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let field = format!("Retry-After: {value}\r\n");
        let origin = fails_once(move |peer| unavailable(peer, &field));
        let proxy = Proxy::start(&setup(&[&origin], retry, ""));
        let response = proxy.get("/");
        assert_eq!(response.status(), 503);
        assert_eq!(response.field("Retry-After"), Some(value));
        assert_eq!(origin.requests().len(), 1);
    }
}

#[test]
fn the_total_bounds_all_attempts_and_waits() {
    let origin = numbered(|_, peer| unavailable(peer, "Retry-After: 1\r\n"));
    let retry = "retry = { on = [\"gateway_error\"], max_retry_after = \"2s\" }\n\
                 timeouts = { request = \"500ms\" }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    assert_eq!(proxy.get("/").status(), 503, "no time to come again");
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_wait_ends_when_the_client_leaves() {
    let origin = fails_once(|peer| unavailable(peer, "Retry-After: 50\r\n"));
    let retry = "retry = { on = [\"gateway_error\"], max_retry_after = \"1m\" }";
    let proxy = Proxy::start(&setup(&[&origin], retry, ""));
    let mut client = proxy.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait::for_("the first attempt", || origin.requests().len() == 1);
    let linger = Some(std::time::Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(client.stream(), linger).expect("a reset");
    drop(client);
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"DC\"", 1);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn the_budget_bounds_what_a_failing_cluster_sees() {
    let origin = numbered(|_, peer| unavailable(peer, ""));
    let retry = "retry = { on = [\"gateway_error\"], count = 3, backoff = \"1ms\" }";
    let budget = "retry_budget = { percent = 20, min_per_second = 0 }";
    let proxy = Proxy::start(
        &setup(&[&origin], retry, budget)
            .listener("limits.requests_per_connection = \"unlimited\""),
    );
    let mut client: Client = proxy.connect();
    for _ in 0..500 {
        assert_eq!(client.get("/").status(), 503);
    }
    let seen = origin.requests().len();
    assert!(
        (580..=600).contains(&seen),
        "{seen} attempts of 500 requests"
    );
    let exhausted = proxy.metric("weft_cluster_retry_budget_exhausted_total", "");
    assert!(exhausted >= 400.0, "{exhausted}");
}
