//! `loadgen run` with rates that change and arrivals that are not even: is every request that was
//! scheduled sent and accounted for?

mod harness;

use harness::{Measured, Origin, run};

/// The run must account for its whole schedule; the reason it would give otherwise is in its words.
fn assert_complete(measured: &Measured) {
    measured.assert_answered();
    let reasons = measured.get("generator/reasons").to_string();
    assert!(!reasons.contains("accounted for"), "{reasons}");
}

#[test]
fn phases_are_sent_one_after_the_other() {
    let origin = Origin::start(&[]);
    let options = [
        "--rate",
        "100:1s,600:1s,0:1s,100..300:1s",
        "--warmup",
        "200ms",
    ];
    let measured = run(&origin.url("/"), &options);
    assert_complete(&measured);
    assert_eq!(measured.count("requests/due"), 100 + 600 + 200);
    assert_eq!(measured.get("run/rate"), 225.0);
    assert_eq!(measured.get("run/duration_seconds"), 4.0);
    let intervals = measured.get("intervals").as_array().expect("a list");
    let answered: Vec<u64> = intervals
        .iter()
        .filter_map(|interval| interval["answered"].as_u64())
        .collect();
    // An answer counts in the second in which it came: those due just before its end may be late.
    for (second, due) in [100, 600, 0, 200].into_iter().enumerate() {
        let least = due / 2;
        assert!(answered[second] >= least, "{answered:?}");
    }
    assert!(answered[2] < 300, "{answered:?}");
}

#[test]
fn random_arrivals_are_complete_and_repeatable() {
    let origin = Origin::start(&[]);
    let due = |seed: &str, threads: &str| {
        let options = [
            "--rate",
            "800",
            "-d",
            "1s",
            "--arrivals",
            "poisson",
            "--seed",
            seed,
            "-t",
            threads,
        ];
        let measured = run(&origin.url("/"), &options);
        assert_complete(&measured);
        measured.count("requests/due")
    };
    let first = due("1", "1");
    assert!((600..1_000).contains(&first), "{first}");
    assert_eq!(due("1", "2"), first);
    assert_ne!(due("2", "2"), first);
}

#[test]
fn a_burst_is_due_at_once() {
    let origin = Origin::start(&["--delay", "20ms"]);
    // Each burst of 20 finds 4 connections: the last of it waits four times 20 ms.
    let options = [
        "--rate",
        "100",
        "-d",
        "1s",
        "--arrivals",
        "burst:20",
        "-c",
        "4",
    ];
    let measured = run(&origin.url("/"), &options);
    assert_complete(&measured);
    assert_eq!(measured.count("requests/due"), 100);
    let longest = measured.time("response_time/max_ns");
    assert!(
        longest >= std::time::Duration::from_millis(100),
        "{longest:?}"
    );
}
