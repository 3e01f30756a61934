//! Endpoints that fail are left out, which is visible, and come back by a single probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use super::{answer, named, names, setup, switched};
use crate::harness::{Origin, Proxy, wait};

fn endpoint(proxy: &Proxy, number: usize) -> Value {
    proxy.admin_json("/clusters")[0]["endpoints"][number].clone()
}

/// A proxy in front of an origin that answers 503 at first and of two that are well.
fn start(failing: &Origin, others: &[Origin; 2], ejection: &str) -> Proxy {
    let endpoints = [failing, &others[0], &others[1]].map(|origin| (origin, "weight = 1"));
    let lines = format!(
        "lb_policy = \"round_robin\"\n\
         outlier_detection = {{ base_ejection_time = \"{ejection}\", max_ejection_time = \"2h\" }}"
    );
    Proxy::start(&setup(&endpoints, &lines))
}

#[test]
fn five_errors_in_a_row_eject_an_endpoint_and_say_why_and_for_how_long() {
    let failing = switched("x", &Arc::new(AtomicBool::new(false)));
    let others = ["a", "b"].map(named);
    let proxy = start(&failing, &others, "1h");
    let mut client = proxy.connect();
    let found = names(&mut client, 60);
    assert_eq!(found.matches('x').count(), 5, "{found}");
    assert_eq!(names(&mut client, 30).matches('x').count(), 0);
    let told = endpoint(&proxy, 0);
    assert_eq!(told["state"], "ejected");
    assert_eq!(told["reason"], "consecutive_gateway_errors");
    assert_eq!(told["ejected_by_shards"], 1);
    assert_eq!(
        (&told["failures"], &told["attempts"]),
        (&5.into(), &5.into())
    );
    let left = told["ejected_for_seconds"].as_f64().expect("a time");
    let since = told["seconds"].as_f64().expect("a time");
    // An hour, and up to a fifth more.
    assert!((3600.0..=4320.0).contains(&(left + since)), "{told}");
    assert_eq!(proxy.metric("weft_cluster_endpoints_ejected", ""), 1.0);
}

#[test]
fn one_probe_at_a_time_decides_when_the_time_is_over() {
    let (holds, probes) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let (is_held, count) = (Arc::clone(&holds), Arc::clone(&probes));
    // Fails five times; the next answer waits until it is let go, and is good.
    let failing = Origin::start(move |peer| {
        while peer.request().is_some() {
            let number = count.fetch_add(1, Ordering::SeqCst);
            if number < 5 {
                answer(peer, 503, "x");
                continue;
            }
            wait::long("the probe to be let go", || !is_held.load(Ordering::SeqCst));
            answer(peer, 200, "x");
        }
    });
    holds.store(true, Ordering::SeqCst);
    let others = ["a", "b"].map(named);
    let proxy = start(&failing, &others, "200ms");
    let mut client = proxy.connect();
    assert_eq!(names(&mut client, 15).matches('x').count(), 5);
    let prober = proxy.address();
    let probe = std::thread::spawn(move || {
        let mut client = crate::harness::Client::connect(prober);
        // Its time may not be over yet.
        wait::until("an answer of the probe", || {
            Some(client.get("/").text()).filter(|name| name == "x")
        });
    });
    wait::for_("the probe", || probes.load(Ordering::SeqCst) == 6);
    assert_eq!(endpoint(&proxy, 0)["state"], "probing");
    assert_eq!(
        names(&mut client, 30).matches('x').count(),
        0,
        "one at a time"
    );
    assert_eq!(probes.load(Ordering::SeqCst), 6);
    holds.store(false, Ordering::SeqCst);
    probe.join().expect("the probe was answered");
    assert_eq!(endpoint(&proxy, 0)["state"], "unknown");
    assert_eq!(endpoint(&proxy, 0)["ejected_by_shards"], 0);
    assert_eq!(names(&mut client, 30).matches('x').count(), 10);
}

#[test]
fn of_one_endpoint_none_is_ejected_and_of_two_one() {
    let is_well = Arc::new(AtomicBool::new(false));
    let (one, other) = (switched("x", &is_well), switched("y", &is_well));
    for (origins, most) in [(vec![&one], 0.0), (vec![&one, &other], 1.0)] {
        let endpoints: Vec<_> = origins
            .iter()
            .map(|origin| (*origin, "weight = 1"))
            .collect();
        let lines = "lb_policy = \"round_robin\"\npanic_threshold = 0";
        let proxy = Proxy::start(&setup(&endpoints, lines));
        assert_eq!(names(&mut proxy.connect(), 40).len(), 40);
        assert_eq!(proxy.metric("weft_cluster_endpoints_ejected", ""), most);
    }
}
