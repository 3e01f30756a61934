//! Answers that a client takes late or never, asked for one at a time.
//!
//! What one client leaves unread is bounded, and what was promised to it arrives: neither the idle
//! timeout nor the end of its own sending side may cut an answer that it is still reading.

use std::time::Duration;

use crate::harness::{Client, Proxy, Setup, wait};

const BODY: usize = 60 << 10;

const REQUEST: &str = "GET /60k HTTP/1.1\r\nHost: a\r\n\r\n";

/// A proxy that answers everything with [`BODY`] bytes of its own.
fn proxy(timeouts: &str) -> Proxy {
    let body = "a".repeat(BODY);
    let setup = Setup::new()
        .listener("limits.requests_per_connection = \"unlimited\"")
        .listener(timeouts)
        .route(
            "60k",
            &format!("direct_response = {{ status = 200, body = \"{body}\" }}"),
        );
    Proxy::start(&setup)
}

fn answered(proxy: &Proxy) -> f64 {
    proxy.metric("weft_listener_requests_total", "")
}

/// Asks at most `most` times, each time after the last answer was given, and reads nothing. Gives
/// the number of answers.
fn ask_without_reading(proxy: &Proxy, client: &mut Client, most: usize) -> usize {
    let before = answered(proxy);
    for asked in 0..most {
        client.send(REQUEST);
        let is_answered =
            || answered(proxy) > before + f64::from(u32::try_from(asked).expect("few"));
        if !(0..40).any(|_| {
            is_answered() || {
                wait::pass(Duration::from_millis(10));
                false
            }
        }) {
            return asked;
        }
    }
    most
}

#[test]
fn requests_one_by_one_whose_answers_nobody_reads_stop_being_read() {
    let proxy = proxy("timeouts.send_gap = \"1s\"");
    let mut client = proxy.connect();
    let most = (32 << 20) / BODY;
    let answers = ask_without_reading(&proxy, &mut client, most);
    assert!(
        answers < most,
        "{answers} answers wait for a client that reads none"
    );
    wait::for_("the client to be dropped", || {
        proxy.metric("weft_listener_connections_closed_total", "") > 0.0
    });
}

/// Leaves answers with a client so that the kernel does not take all of the last one, lets `then`
/// happen, and reads them.
fn read_late(timeouts: &str, then: impl FnOnce(&mut Client)) {
    let proxy = proxy(timeouts);
    let most = (32 << 20) / BODY;
    let kept = ask_without_reading(&proxy, &mut proxy.connect(), most);
    let mut client = proxy.connect();
    let answers = ask_without_reading(&proxy, &mut client, kept);
    then(&mut client);
    for answer in 0..answers {
        let response = client.response();
        assert_eq!(response.body.len(), BODY, "answer {answer} of {answers}");
    }
}

#[test]
fn the_idle_timeout_does_not_cut_an_answer_that_is_being_read() {
    // Longer than one answer takes to be counted.
    let timeouts = "timeouts.idle = \"1s\"\ntimeouts.send_gap = \"20s\"";
    read_late(timeouts, |_| wait::pass(Duration::from_millis(1500)));
}

#[test]
fn rfc9112_9_6_a_half_closed_client_gets_the_answer_that_it_reads_late() {
    read_late("timeouts.send_gap = \"20s\"", |client| {
        client.finish();
        wait::pass(Duration::from_millis(200));
    });
}
