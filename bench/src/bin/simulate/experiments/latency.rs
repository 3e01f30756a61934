//! Which policy gives clients the lowest latency when endpoints are not equal, or are?
//!
//! Shares of load are of the capacity of all endpoints together. A policy is judged by the 99th
//! percentile against round robin's and the ideal's.

use std::time::Duration;

use super::super::figures::Figures;
use super::super::scenario::{Change, Chooser, Mode, Plan, Scenario, Shape};
use super::super::table::Table;
use super::super::world;
use super::{POLICIES, Sizes, name};

/// A case: its name, and what differs from equal endpoints.
type Case = (&'static str, fn(u64, Chooser) -> Scenario);

const CASES: [Case; 8] = [
    ("equal, load 30 %", |seed, chooser| {
        Scenario::new(seed, chooser, 20, 0.3)
    }),
    ("equal, load 80 %", |seed, chooser| {
        Scenario::new(seed, chooser, 20, 0.8)
    }),
    ("equal, heavy tail, 50 %", |seed, chooser| Scenario {
        shape: Shape::LogNormal(1.5),
        ..Scenario::new(seed, chooser, 20, 0.5)
    }),
    ("one of 10 is 3 x slower, 30 %", |seed, chooser| {
        slower(seed, chooser, 3.0, 0.3)
    }),
    ("one of 10 is 10 x slower, 50 %", |seed, chooser| {
        slower(seed, chooser, 10.0, 0.5)
    }),
    ("equal, 0.02 % are 503, 70 %", |seed, chooser| {
        failing(seed, chooser, 0.0002)
    }),
    ("equal, 2 % are 503, 70 %", |seed, chooser| {
        failing(seed, chooser, 0.02)
    }),
    ("speeds 1, 2, 4, 50 %", |seed, chooser| {
        let mut scenario = Scenario::new(seed, chooser, 30, 0.5);
        for (plan, slowness) in scenario
            .endpoints
            .iter_mut()
            .zip([1.0, 2.0, 4.0].iter().cycle())
        {
            plan.slowness = *slowness;
        }
        scenario.rate = scenario.capacity() * 0.5;
        scenario
    }),
];

/// All endpoints fail now and then.
fn failing(seed: u64, chooser: Chooser, share: f64) -> Scenario {
    let fail = |number| (Duration::ZERO, Change::Mode(number, Mode::Failing(share)));
    Scenario {
        changes: (0..20).map(fail).collect(),
        warm_up: Duration::from_secs(10),
        time: Duration::from_secs(20),
        ..Scenario::new(seed, chooser, 20, 0.7)
    }
}

fn slower(seed: u64, chooser: Chooser, slowness: f64, load: f64) -> Scenario {
    let mut scenario = Scenario::new(seed, chooser, 10, load);
    scenario.endpoints[0] = Plan {
        slowness,
        ..Plan::PLAIN
    };
    scenario.rate = scenario.capacity() * load;
    scenario
}

fn figures((_, scenario): &Case, seed: u64, chooser: Chooser) -> Figures {
    world::run(&scenario(seed, chooser))
}

pub(crate) fn print(sizes: Sizes) {
    let mut table = Table::new(&[
        "case",
        "policy",
        "p50 ms",
        "p99, 1 shard",
        "4 shards",
        "16 shards",
    ]);
    for case in &CASES {
        for policy in POLICIES {
            let by = |shards| figures(case, sizes.seed, Chooser::by(policy, shards));
            let [one, four, sixteen] = [1, 4, 16].map(by);
            table.row(vec![
                case.0.to_owned(),
                name(policy).to_owned(),
                format!("{:.1}", one.millis(50.0)),
                format!("{:.1}", one.millis(99.0)),
                format!("{:.1}", four.millis(99.0)),
                format!("{:.1}", sixteen.millis(99.0)),
            ]);
        }
        let ideal = figures(case, sizes.seed, Chooser::Ideal);
        table.row(vec![
            case.0.to_owned(),
            "ideal".to_owned(),
            format!("{:.1}", ideal.millis(50.0)),
            format!("{:.1}", ideal.millis(99.0)),
            String::new(),
            String::new(),
        ]);
    }
    table.print();
}

#[cfg(test)]
mod tests {
    use engine::balance::Policy;

    use super::*;

    #[test]
    fn the_default_is_never_worse_than_round_robin() {
        for case in &CASES {
            for shards in [1, 4] {
                let p99 = |policy| {
                    let figures = figures(case, 1, Chooser::by(policy, shards));
                    figures.millis(99.0)
                };
                let (found, most) = (p99(Policy::PeakEwma), p99(Policy::RoundRobin));
                assert!(found <= most * 1.05, "{}: {found} of {most}", case.0);
            }
        }
    }
}
