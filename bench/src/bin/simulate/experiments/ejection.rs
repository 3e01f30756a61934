//! How soon is an endpoint that fails left out, what do clients see of it, and who is wronged?
//!
//! One endpoint fails for a while and is well again; nothing is tried again, so that every error
//! reaches a client. The ideal sees none: it knows at once. Each shard judges for itself, so errors
//! grow with their number, up to five for each: that is the price of sharing nothing.

use std::time::Duration;

use engine::balance::{Balancing, Policy};
use engine::io::Instant;

use super::super::figures::Figures;
use super::super::scenario::{Change, Chooser, Mode, Scenario};
use super::super::table::Table;
use super::super::world;
use super::{SHARDS, Sizes, name};

/// The fault begins and ends so long after the run.
const FAILS: Duration = Duration::from_secs(5);
const RECOVERS: Duration = Duration::from_secs(25);

const FAULTS: [(&str, Mode); 6] = [
    ("10 x slower", Mode::Slow(10.0)),
    ("503 to all", Mode::Failing(1.0)),
    ("503 to half", Mode::Failing(0.5)),
    ("503 every other second", Mode::Flapping),
    ("process gone", Mode::Refusing),
    ("no answer, 1 s", Mode::Partitioned),
];

/// So many endpoints, of which the first of these number fails.
fn scenario(seed: u64, chooser: Chooser, count: usize, mode: Mode) -> Scenario {
    Scenario {
        warm_up: FAILS,
        time: Duration::from_secs(80),
        timeout: Duration::from_secs(1),
        sample: Duration::from_millis(50),
        changes: vec![
            (FAILS, Change::Mode(0, mode)),
            (RECOVERS, Change::Mode(0, Mode::Well)),
        ],
        ..Scenario::new(seed, chooser, count, 0.3)
    }
}

fn by(policy: Policy, shards: u32) -> Chooser {
    let balancing = Balancing {
        policy,
        ..Balancing::default()
    };
    Chooser::Shards(shards, Box::new(balancing))
}

/// All endpoints are alike: nobody is to be ejected.
fn all_alike(seed: u64, shards: u32, load: f64, errors: f64) -> Scenario {
    let chooser = by(Policy::PeakEwma, shards);
    let alike = (0..20).map(|number| (Duration::ZERO, Change::Mode(number, Mode::Failing(errors))));
    Scenario {
        changes: alike.collect(),
        warm_up: Duration::ZERO,
        time: Duration::from_secs(60),
        sample: Duration::from_millis(50),
        ..Scenario::new(seed, chooser, 20, load)
    }
}

/// Failed requests of a hundred while the fault lasted.
fn failed_percent(figures: &Figures) -> f64 {
    let fault = FAILS.as_secs() as usize..RECOVERS.as_secs() as usize;
    let fault = &figures.seconds[fault];
    let [failed, all] = [
        fault.iter().map(|it| it.failed).sum::<u64>(),
        fault.iter().map(|it| it.requests).sum::<u64>(),
    ];
    failed as f64 * 100.0 / all as f64
}

/// Seconds from `begin` of the run to `at`.
fn seconds(at: Option<Instant>, begin: Duration) -> String {
    at.map_or_else(String::new, |at| {
        let since = world::since_begin(at).saturating_sub(begin);
        format!("{:.2}", since.as_secs_f64())
    })
}

pub(crate) fn print(sizes: Sizes) {
    let mut table = Table::new(&[
        "fault of 1 of 10",
        "policy",
        "shards",
        "failed",
        "% of the time",
        "first after s",
        "all after s",
        "back after s",
        "p99 ms",
    ]);
    for (fault, mode) in FAULTS {
        for policy in [Policy::PeakEwma, Policy::RoundRobin] {
            for shards in SHARDS {
                let run = world::run(&scenario(sizes.seed, by(policy, shards), 10, mode));
                let failing = &run.by_endpoint[0];
                table.row(vec![
                    fault.to_owned(),
                    name(policy).to_owned(),
                    shards.to_string(),
                    run.failed.to_string(),
                    format!("{:.3}", failed_percent(&run)),
                    seconds(failing.ejected_first, FAILS),
                    seconds(failing.ejected_by_all, FAILS),
                    seconds(failing.is_back, RECOVERS),
                    format!("{:.1}", run.millis(99.0)),
                ]);
            }
        }
    }
    table.print();
    println!("\nall of 20 alike, a minute: who is ejected without a reason");
    let mut table = Table::new(&["errors", "load", "shards", "ejections", "at once at most"]);
    for (errors, load) in [(0.0, 0.5), (0.0, 0.9), (0.02, 0.5), (0.1, 0.5)] {
        for shards in SHARDS {
            let run = world::run(&all_alike(sizes.seed, shards, load, errors));
            let ejections = run.by_endpoint.iter().map(|it| it.ejections).sum::<u32>();
            table.row(vec![
                format!("{:.0} %", errors * 100.0),
                format!("{:.0} %", load * 100.0),
                shards.to_string(),
                ejections.to_string(),
                run.ejected_most.to_string(),
            ]);
        }
    }
    table.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 1;

    fn failing(shards: u32, mode: Mode, seconds: u64) -> Figures {
        world::run(&Scenario {
            time: Duration::from_secs(seconds),
            ..scenario(SEED, by(Policy::RoundRobin, shards), 10, mode)
        })
    }

    #[test]
    fn each_shard_pays_five_errors_for_what_fails_and_one_for_each_probe() {
        for mode in [Mode::Failing(1.0), Mode::Refusing, Mode::Partitioned] {
            for shards in [1, 4] {
                let run = failing(shards, mode, 12);
                // Those that were under way count besides; in a second without an answer, 120.
                let under_way = if mode == Mode::Partitioned { 130 } else { 20 };
                let most = u64::from(shards) * 5 + under_way;
                assert!(
                    run.failed <= most,
                    "{mode:?} {shards}: {} of {most}",
                    run.failed
                );
                let by_all = run.by_endpoint[0].ejected_by_all.expect("an ejection");
                let after = world::since_begin(by_all).saturating_sub(FAILS);
                assert!(
                    after <= Duration::from_secs(2),
                    "{mode:?} {shards}: {after:?}"
                );
                assert_eq!(run.ejected_most, 1, "{mode:?} {shards}");
            }
        }
    }

    #[test]
    fn who_is_well_again_comes_back_after_its_time_by_one_probe() {
        let run = failing(1, Mode::Failing(1.0), 45);
        let endpoint = &run.by_endpoint[0];
        let (out, back) = (endpoint.ejected_first.unwrap(), endpoint.is_back.unwrap());
        let lasted = back.since(out);
        assert!(lasted >= Duration::from_secs(30) && lasted <= Duration::from_secs(37));
        // Five, and those that came while answers of before were still on their way.
        assert!(endpoint.ejections == 1 && endpoint.errors <= 15);
    }

    #[test]
    fn of_one_endpoint_none_is_ejected_and_of_two_or_three_one() {
        for (count, most) in [(1, 0), (2, 1), (3, 1), (9, 4)] {
            for shards in [1, 4] {
                let mut scenario = scenario(
                    SEED,
                    by(Policy::PeakEwma, shards),
                    count,
                    Mode::Failing(1.0),
                );
                // All of them fail.
                scenario.changes = (0..count as u32)
                    .map(|number| (FAILS, Change::Mode(number, Mode::Failing(1.0))))
                    .collect();
                scenario.time = Duration::from_secs(20);
                let run = world::run(&scenario);
                assert_eq!(run.ejected_most, most, "{count} {shards}");
                assert_eq!(run.left_least, count - most, "{count} {shards}");
            }
        }
    }

    #[test]
    fn nobody_is_ejected_when_all_are_alike() {
        for (errors, load) in [(0.0, 0.9), (0.02, 0.5)] {
            for shards in [1, 4] {
                let mut scenario = all_alike(SEED, shards, load, errors);
                scenario.time = Duration::from_secs(25);
                let run = world::run(&scenario);
                assert_eq!(run.ejected_most, 0, "{errors} {load} {shards}");
            }
        }
    }
}
