//! Do shards that know nothing of each other all send to the same endpoint at once?
//!
//! The same load over 1, 4 and 64 shards. If shards herded, the longest queue and the 99th
//! percentile would grow with their number beyond what chance alone makes of them, which is the row
//! of the policy `random`: it decides by nothing that shards could have in common.

use std::time::Duration;

use super::super::figures::Figures;
use super::super::scenario::{Chooser, Scenario};
use super::super::table::Table;
use super::super::world;
use super::{POLICIES, SHARDS, Sizes, name};

const LOAD: f64 = 0.7;

fn figures(sizes: Sizes, chooser: Chooser) -> Figures {
    world::run(&scenario(sizes, chooser))
}

fn scenario(sizes: Sizes, chooser: Chooser) -> Scenario {
    Scenario {
        sample: Duration::from_millis(100),
        ..Scenario::new(sizes.seed, chooser, sizes.endpoints, LOAD)
    }
}

/// Endpoints of different weights, each of which can bear its own.
fn weighted(sizes: Sizes, chooser: Chooser) -> Figures {
    let mut scenario = scenario(sizes, chooser);
    for (plan, weight) in scenario.endpoints.iter_mut().zip((1..=5).cycle()) {
        plan.weight = weight;
        plan.concurrency = 2 * weight;
    }
    scenario.rate = scenario.capacity() * LOAD;
    world::run(&scenario)
}

pub(crate) fn print(sizes: Sizes) {
    let mut table = Table::new(&[
        "policy",
        "shards",
        "queue mean",
        "deviation",
        "longest",
        "busiest",
        "p50 ms",
        "p99 ms",
    ]);
    let mut row = |name: &str, shards: &str, figures: &Figures| {
        table.row(vec![
            name.to_owned(),
            shards.to_owned(),
            format!("{:.2}", figures.queues.mean()),
            format!("{:.2}", figures.queues.deviation()),
            format!("{:.1}", figures.queues.longest()),
            format!("{:.2} x", figures.busiest()),
            format!("{:.1}", figures.millis(50.0)),
            format!("{:.1}", figures.millis(99.0)),
        ]);
    };
    for policy in POLICIES {
        for shards in SHARDS {
            let figures = figures(sizes, Chooser::by(policy, shards));
            row(name(policy), &shards.to_string(), &figures);
        }
    }
    row("ideal", "1", &figures(sizes, Chooser::Ideal));
    for policy in POLICIES {
        for shards in SHARDS {
            let figures = weighted(sizes, Chooser::by(policy, shards));
            let name = format!("{}, weights 1 to 5", name(policy));
            row(&name, &shards.to_string(), &figures);
        }
    }
    row(
        "ideal, weights 1 to 5",
        "1",
        &weighted(sizes, Chooser::Ideal),
    );
    table.print();
}

#[cfg(test)]
mod tests {
    use engine::balance::Policy;

    use super::*;

    fn figures(policy: Policy, shards: u32) -> Figures {
        let sizes = Sizes {
            seed: 1,
            endpoints: 50,
        };
        super::figures(sizes, Chooser::by(policy, shards))
    }

    #[test]
    fn policies_are_better_than_chance_on_one_shard_and_no_worse_on_many() {
        let random = figures(Policy::Random, 1);
        for policy in [Policy::RoundRobin, Policy::LeastRequest, Policy::PeakEwma] {
            for shards in SHARDS {
                let found = figures(policy, shards);
                let bound = if shards == 1 { 0.9 } else { 1.0 };
                let (p99, most) = (found.millis(99.0), random.millis(99.0) * bound);
                assert!(p99 <= most, "{policy:?} {shards}: p99 {p99} of {most}");
                let (longest, most) = (found.queues.longest(), random.queues.longest() * bound);
                assert!(longest <= most, "{policy:?} {shards}: {longest} of {most}");
            }
        }
    }
}
