//! `loadgen search` against origins whose knee is known, and against targets without one.
//!
//! A target that waits a fixed time before each answer, over a fixed number of connections, cannot
//! answer more than connections / time: above that its response times grow without end.

mod harness;

use harness::{Measured, Origin};

/// Windows short enough for a test.
const QUICK: [&str; 4] = ["--step-duration", "300ms", "--step-warmup", "100ms"];

fn search(origin: &Origin, path: &str, options: &[&str]) -> Measured {
    harness::command(&["search", &origin.url(path)], &[&QUICK, options].concat())
}

#[test]
fn a_knee_that_is_known_is_found() {
    let origin = Origin::start(&[]);
    // Two connections and 20 ms: a hundred requests per second, and no more.
    let options = [
        "--slo",
        "p90<60ms",
        "-c",
        "2",
        "--start-rate",
        "40",
        "--precision",
        "20%",
        "--confidence",
        "80%",
        "--max-rate",
        "1k",
        "--arrivals",
        "burst:2",
    ];
    let found = search(&origin, "/?delay=20ms", &options);
    assert_eq!(found.code, 0, "{}", found.text());
    assert_eq!(found.get("result"), "found");
    assert_eq!(found.get("arrivals"), "burst:2");
    let [low, high] = ["rate", "broken_rate"].map(|name| found.get(name).as_f64().expect(name));
    // The machine may be slower than the clock says, never faster. Above a hundred the queue grows,
    // but for a while a window is over before it has grown to the limit.
    assert!(
        (40.0..=120.0).contains(&low) && low < high && high <= 200.0,
        "{low} to {high}"
    );
    let reasons = found.get("reasons").to_string();
    assert!(reasons.contains("(asked: p90<60ms)"), "{reasons}");
    let steps = found.get("steps").as_array().expect("a list");
    let purposes: Vec<&str> = steps
        .iter()
        .filter_map(|step| step["purpose"].as_str())
        .collect();
    assert_eq!(purposes[0], "grow");
    assert_eq!(purposes[purposes.len() - 2..], ["confirm", "refute"]);
    for step in steps {
        let windows = step["windows"].as_array().expect("a list");
        assert!(windows.len() >= 2, "{step}");
    }
}

#[test]
fn ends_without_a_knee_have_exit_codes_of_their_own() {
    // Long enough that a busy machine makes no generator late by a quarter of it.
    let origin = Origin::start(&["--delay", "200ms"]);
    let quick = [
        "--confidence",
        "50%",
        "--min-rate",
        "20",
        "--max-rate",
        "40",
        "--start-rate",
        "20",
    ];
    let at = |slo: &str, path: &str| search(&origin, path, &[&quick[..], &["--slo", slo]].concat());
    let generous = at("p50<10s", "/");
    assert_eq!(
        (generous.code, generous.get("rate").as_f64()),
        (0, Some(40.0))
    );
    let impossible = at("min<1us", "/");
    assert_eq!(impossible.code, 2);
    assert!(impossible.get("rate").is_null());
    assert_eq!(impossible.get("result"), "never kept");
    // Without a word about errors there may be none.
    let wrong = at("p50<10s", "/?status=503");
    assert_eq!(wrong.code, 2);
    let reasons = wrong.get("reasons").to_string();
    assert!(reasons.contains("got no right answer"), "{reasons}");
    assert_eq!(at("errors<=100%", "/?status=503").code, 0);
}

#[test]
fn usage_errors_and_dead_targets_exit_with_1() {
    let origin = Origin::start(&[]);
    for (options, complaint) in [
        (&["--slo", "p99"][..], "in quotes"),
        (&[], "--slo"),
        (
            &["--slo", "p99<1s", "--min-rate", "10", "--max-rate", "5"],
            "above --max-rate",
        ),
        (&["--slo", "p99<1s", "--precision", "0"], "--precision"),
        (&["--slo", "p99<1s", "--confidence", "1"], "--confidence"),
    ] {
        let refused = search(&origin, "/", options);
        assert_eq!(refused.code, 1, "{options:?}");
        assert!(
            refused.complaint.contains(complaint),
            "{}",
            refused.complaint
        );
    }
    let url = origin.url("/");
    assert!(origin.drain().0);
    let gone = harness::command(&["search", &url], &["--slo", "p99<1s"]);
    assert_eq!(gone.code, 1);
    assert!(
        gone.complaint.contains("cannot connect"),
        "{}",
        gone.complaint
    );
}
