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

fn demands(fail_if: &[&str]) -> Demands {
    let parse = |text: &&str| Condition::parse(text).expect("a condition");
    Demands {
        fail_if: fail_if.iter().map(parse).collect(),
        scheduled: None,
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
fn a_condition_that_is_met_fails_the_run_and_is_said_in_words() {
    let fine = samples(0, 1_000_000, 100);
    let judge = |fail_if: &[&str]| judge(&demands(fail_if), &fine, &[busy(100, 0)], SECOND);
    assert_eq!(judge(&["p99>2ms", "rate<100"]).outcome, Outcome::Pass);
    let broken = judge(&["p99.9>999us", "mean>1s", "rate<=100"]);
    assert_eq!(broken.outcome, Outcome::Broken);
    assert_eq!(
        broken.broken,
        [
            "p99.9 of the response time is 1.00 ms (fails if p99.9>999us)",
            "the rate is 100.0 answers/s (fails if rate<=100)"
        ]
    );
}

#[test]
fn what_was_not_measured_is_not_taken_for_fine() {
    let mut only_failures = Samples::new(true);
    let zero = Instant::from_nanos(0);
    let times = Times {
        due: zero,
        free: zero,
        sent: zero,
    };
    only_failures.wrong(&times, Failure::Status, 503);
    let fail_if = demands(&["errors>100%", "p99>1s"]);
    let verdict = judge(&fail_if, &only_failures, &[busy(0, 0)], SECOND);
    assert_eq!(
        verdict.broken,
        ["p99 of the response time was not measured (fails if p99>1s)"]
    );
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
        outcome(&demands(&["max>1us"]), &fine, busy(960, 0)),
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
    let tolerant = demands(&["errors>1%"]);
    assert_eq!(outcome(&tolerant, &wrong, busy(0, 0)), Outcome::Pass);
    // A failure test wants errors: too few are a breach of the same kind.
    let wants_some = demands(&["errors<2%"]);
    assert_eq!(outcome(&wants_some, &wrong, busy(999, 0)), Outcome::Broken);
    let mut open = samples(0, 1_000, 9);
    open.unanswered(zero, None, Instant::from_nanos(5));
    assert_eq!(outcome(&demands(&[]), &open, busy(0, 0)), Outcome::Broken);
    assert_eq!(
        outcome(&demands(&[]), &Samples::new(true), busy(0, 0)),
        Outcome::Broken
    );
}
