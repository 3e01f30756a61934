//! Simulated runs: what is claimed at 95 % must be wrong in about 5 % of the cases, and real
//! differences must be found. Every draw is seeded, so a test passes always or never.

use super::*;
use crate::hist::recording::empty;

const TEST: Test = Test {
    confidence: 0.95,
    seed: 1,
    draws: 399,
    block: None,
};

/// How a made-up target behaves.
#[derive(Clone, Copy)]
struct Target {
    /// Median time in nanoseconds.
    median: f64,
    /// How much an interval is like the one before, 0 to 1.
    memory: f64,
    /// Spread between intervals, as a logarithm.
    wander: f64,
    /// How often a whole interval stalls.
    stalls: f64,
}

const STEADY: Target = Target {
    median: 1e6,
    memory: 0.0,
    wander: 0.1,
    stalls: 0.0,
};

/// About normal, with variance 1.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

/// A run of `count` intervals with 100 requests each.
fn run(random: &mut Random, target: Target, count: usize) -> Vec<Histogram<u64>> {
    let Target {
        median,
        memory,
        wander,
        stalls,
    } = target;
    let mut level = normal(random);
    let fresh = (1.0 - memory * memory).sqrt();
    let interval = |_| {
        level = memory * level + fresh * normal(random);
        let stall = if random.happens(stalls) { 1.5 } else { 0.0 };
        let mut times = empty(2);
        for _ in 0..100 {
            let log = wander * level + stall + 0.3 * normal(random);
            times
                .record((median * log.exp()) as u64)
                .expect("it resizes");
        }
        times
    };
    (0..count).map(interval).collect()
}

/// The share of trials in which A and B are told apart, and in which the interval misses the truth.
fn shares(trials: u64, a: Target, b: Target, count: usize, quantile: f64) -> (f64, f64) {
    let (mut told, mut missed, mut tested) = (0.0, 0.0, 0.0);
    let truth = b.median / a.median;
    for trial in 0..trials {
        let mut random = Random::new(trial, 77);
        let (a, b) = (run(&mut random, a, count), run(&mut random, b, count));
        if let Ok(found) = of_intervals((&a, &b), quantile, &TEST) {
            tested += 1.0;
            told += f64::from(u8::from(found.p_value <= 0.05));
            missed += f64::from(u8::from(!(found.low..=found.high).contains(&truth)));
        }
    }
    assert!(
        tested >= 0.8 * trials as f64,
        "{tested} of {trials} were tested"
    );
    (told / tested, missed / tested)
}

#[test]
fn equal_targets_are_told_apart_as_rarely_as_claimed() {
    for (target, quantile) in [
        (STEADY, 0.5),
        (STEADY, 0.99),
        (
            Target {
                stalls: 0.1,
                ..STEADY
            },
            0.5,
        ),
    ] {
        let (told, missed) = shares(200, target, target, 24, quantile);
        // 5 % of 200 trials, and three standard deviations of chance.
        assert!(told <= 0.05 + 3.0 * 0.0154, "{told} at {quantile}");
        assert!(missed <= 0.05 + 3.0 * 0.0154, "{missed} at {quantile}");
    }
}

/// Neighbours that are alike are the trap: whoever takes each interval for itself is wrong in a
/// quarter of the cases.
#[test]
fn memory_between_intervals_does_not_make_differences() {
    let target = Target {
        memory: 0.6,
        ..STEADY
    };
    let (told, _) = shares(200, target, target, 60, 0.5);
    assert!(told <= 0.11, "{told}");
    let naive = Test {
        block: Some(1),
        ..TEST
    };
    let wrong = (0..100).filter(|&trial| {
        let mut random = Random::new(trial, 77);
        let (a, b) = (run(&mut random, target, 60), run(&mut random, target, 60));
        of_intervals((&a, &b), 0.5, &naive).is_ok_and(|found| found.p_value <= 0.05)
    });
    assert!(wrong.count() > 15, "the target has no memory");
}

#[test]
fn real_differences_are_found() {
    let slower = Target {
        median: 1.15e6,
        ..STEADY
    };
    for quantile in [0.5, 0.9] {
        let (told, missed) = shares(100, STEADY, slower, 30, quantile);
        assert!(told >= 0.95, "{told} at {quantile}");
        assert!(missed <= 0.12, "{missed} at {quantile}");
    }
}

/// One stall makes B's p99 many times A's, and yet says nothing: it had to be on one of the sides.
#[test]
fn a_single_stall_proves_nothing() {
    let stalled = Target {
        median: 50e6,
        ..STEADY
    };
    let single = Test {
        block: Some(1),
        ..TEST
    };
    let told = (0..60).filter(|&trial| {
        let mut random = Random::new(trial, 5);
        let a = run(&mut random, STEADY, 20);
        let mut b = run(&mut random, STEADY, 20);
        b[7] = run(&mut random, stalled, 1).remove(0);
        let found = of_intervals((&a, &b), 0.99, &single).expect("enough intervals");
        assert!(found.ratio > 5.0, "{found:?}");
        found.p_value <= 0.05
    });
    let share = told.count() as f64 / 60.0;
    assert!(share <= 0.05 + 3.0 * 0.028, "{share}");
}

#[test]
fn what_cannot_be_known_is_not_claimed() {
    let mut random = Random::new(1, 0);
    let few = run(&mut random, STEADY, 5);
    let many = run(&mut random, STEADY, 12);
    let ask = |a: &[_], b: &[_], quantile| of_intervals((a, b), quantile, &TEST);
    assert_eq!(ask(&few, &many, 0.5), Err(Unknown::Intervals));
    assert_eq!(ask(&many, &many, 0.9999), Err(Unknown::Samples));
    // Intervals that follow each other for longer than a sixth of the run.
    let target = Target {
        memory: 0.95,
        wander: 0.5,
        ..STEADY
    };
    let unknown = (0..20).filter(|&trial| {
        let mut random = Random::new(trial, 2);
        let alike = run(&mut random, target, 24);
        ask(&alike, &run(&mut random, STEADY, 24), 0.5) == Err(Unknown::Intervals)
    });
    assert!(unknown.count() >= 14);
}

#[test]
fn the_same_recording_does_not_differ_and_a_seed_decides() {
    let mut random = Random::new(9, 0);
    let (a, b) = (run(&mut random, STEADY, 20), run(&mut random, STEADY, 20));
    let same = of_intervals((&a, &a), 0.9, &TEST).expect("enough");
    assert_eq!((same.ratio, same.p_value), (1.0, 1.0));
    let [one, again] = [(); 2].map(|()| of_intervals((&a, &b), 0.9, &TEST));
    assert_eq!(one, again);
    let turned = of_intervals((&b, &a), 0.9, &TEST).expect("enough");
    let one = one.expect("enough");
    assert!((one.ratio * turned.ratio - 1.0).abs() < 1e-9);
}

#[test]
fn runs_are_observations() {
    let constant = |nanos: u64| {
        let mut times = empty(3);
        times.record_n(nanos, 1_000).expect("it resizes");
        times
    };
    let a = [1_000, 1_010, 990].map(constant);
    let b = [1_200, 1_190, 1_215].map(constant);
    let found = of_runs((&a, &b), 0.5, 0.95).expect("three runs a side");
    // Logarithms -0.00 ± 0.01 and 0.1834 ± 0.0104: t = 21.8 on 4 degrees of freedom.
    assert!((found.ratio - 1.2014).abs() < 0.002, "{found:?}");
    assert!(
        found.low > 1.17 && found.high < 1.24 && found.p_value < 1e-4,
        "{found:?}"
    );
    let same = of_runs((&a, &a), 0.5, 0.95).expect("three runs a side");
    assert!((same.ratio, same.p_value) == (1.0, 1.0), "{same:?}");
    assert_eq!(of_runs((&a[..1], &b), 0.5, 0.95), Err(Unknown::Intervals));
}

#[test]
fn runs_that_wander_are_told_apart_as_rarely_as_claimed() {
    let told = (0..400).filter(|&trial| {
        let mut random = Random::new(trial, 3);
        let mut side = || -> Vec<Histogram<u64>> {
            let level = |random: &mut Random| 1e6 * (0.2 * normal(random)).exp();
            (0..4)
                .map(|_| {
                    let median = level(&mut random);
                    run(&mut random, Target { median, ..STEADY }, 1).remove(0)
                })
                .collect()
        };
        let (a, b) = (side(), side());
        of_runs((&a, &b), 0.5, 0.95).is_ok_and(|found| found.p_value <= 0.05)
    });
    let share = told.count() as f64 / 400.0;
    assert!((0.01..=0.083).contains(&share), "{share}");
}

#[test]
fn holm_allows_for_the_number_of_tests() {
    assert_eq!(significant(&[0.04, 0.04], 0.95), [false, false]);
    assert_eq!(significant(&[0.04, 0.02], 0.95), [true, true]);
    assert_eq!(significant(&[0.2, 0.001, 0.03], 0.95), [false, true, false]);
    assert!(significant(&[], 0.95).is_empty());
}
