//! Tests of the verdict: which figures make which outcome.

use engine::io::Instant;

use super::*;
use crate::sample::{Failure, Times};

const SECOND: Duration = Duration::from_secs(1);

fn samples(lag: u64, latency: u64, count: usize) -> Samples {
    let mut samples = Samples::new(true);
    let zero = Instant::from_nanos(0);
    let times = Times {
        due: zero,
        free: zero,
        sent: Instant::from_nanos(lag),
    };
    for _ in 0..count {
        samples.answered(&times, Instant::from_nanos(latency), 200);
    }
    samples
}

fn demands(limits: &[&str]) -> Demands {
    let parse = |text: &&str| Limit::parse(text).expect("a limit");
    Demands {
        error_share_max: 0.0,
        scheduled: None,
        limits: limits.iter().map(parse).collect(),
        spins: false,
    }
}

fn busy(millis: u64, waiting: u64) -> Usage {
    let (thread, waiting) = (
        Duration::from_millis(millis),
        Duration::from_millis(waiting),
    );
    Usage {
        thread,
        waiting,
        process: thread,
    }
}

fn outcome(demands: &Demands, samples: &Samples, usage: Usage) -> Outcome {
    judge(demands, samples, &[usage], SECOND).outcome
}

#[test]
fn limits_are_upper_bounds() {
    let fine = samples(0, 1_000_000, 100);
    assert_eq!(
        outcome(&demands(&["p99=2ms", "max=2ms"]), &fine, busy(100, 0)),
        Outcome::Pass
    );
    assert_eq!(
        outcome(&demands(&["p99.9=999us"]), &fine, busy(100, 0)),
        Outcome::Broken
    );
    assert_eq!(
        outcome(&demands(&["mean=1us"]), &fine, busy(100, 0)),
        Outcome::Broken
    );
    for text in ["p99", "p101=1s", "median=1s", "p99=1", "p=1s"] {
        assert!(Limit::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_busy_or_starved_generator_makes_the_run_invalid() {
    let fine = samples(0, 1_000_000, 100);
    assert_eq!(outcome(&demands(&[]), &fine, busy(940, 0)), Outcome::Pass);
    assert_eq!(
        outcome(&demands(&[]), &fine, busy(960, 0)),
        Outcome::Invalid
    );
    assert_eq!(
        outcome(&demands(&[]), &fine, busy(500, 460)),
        Outcome::Invalid
    );
    assert_eq!(
        outcome(&demands(&["max=1us"]), &fine, busy(960, 0)),
        Outcome::Invalid
    );
    let spinning = Demands {
        spins: true,
        ..demands(&[])
    };
    assert_eq!(outcome(&spinning, &fine, busy(1_000, 0)), Outcome::Pass);
}

#[test]
fn a_lost_request_makes_the_run_invalid() {
    let scheduled = |count| Demands {
        scheduled: Some(count),
        ..demands(&[])
    };
    assert_eq!(
        outcome(&scheduled(9), &samples(0, 1_000, 9), busy(0, 0)),
        Outcome::Pass
    );
    assert_eq!(
        outcome(&scheduled(10), &samples(0, 1_000, 9), busy(0, 0)),
        Outcome::Invalid
    );
}

#[test]
fn send_lag_may_not_make_up_the_figure() {
    assert_eq!(
        outcome(&demands(&[]), &samples(200, 1_000, 9), busy(0, 0)),
        Outcome::Pass
    );
    assert_eq!(
        outcome(&demands(&[]), &samples(300, 1_000, 9), busy(0, 0)),
        Outcome::Invalid
    );
}

#[test]
fn a_wrong_answer_breaks_the_run_even_an_invalid_one() {
    let mut wrong = samples(0, 1_000, 99);
    let zero = Instant::from_nanos(0);
    wrong.wrong(
        &Times {
            due: zero,
            free: zero,
            sent: zero,
        },
        Failure::Status,
        503,
    );
    assert_eq!(outcome(&demands(&[]), &wrong, busy(0, 0)), Outcome::Broken);
    assert_eq!(
        outcome(&demands(&[]), &wrong, busy(999, 0)),
        Outcome::Broken
    );
    let tolerant = Demands {
        error_share_max: 0.01,
        ..demands(&[])
    };
    assert_eq!(outcome(&tolerant, &wrong, busy(0, 0)), Outcome::Pass);
    let mut open = samples(0, 1_000, 9);
    open.unanswered(zero, None, Instant::from_nanos(5));
    assert_eq!(outcome(&demands(&[]), &open, busy(0, 0)), Outcome::Broken);
    assert_eq!(
        outcome(&demands(&[]), &Samples::new(true), busy(0, 0)),
        Outcome::Broken
    );
}
