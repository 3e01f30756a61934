//! Are endpoints that have just started flooded, and what do clients see of a rolling restart?
//!
//! Every endpoint is replaced by a new one, one a second. A new one is five times slower at first
//! and gets warm over five seconds. It looks idle to a policy that goes by requests in flight, and
//! unknown to one that goes by latency: what it gets in its first second is compared with an equal
//! share.

use std::time::Duration;

use engine::balance::{Balancing, OutlierPolicy, Policy};

use super::super::figures::Figures;
use super::super::scenario::{Change, Chooser, Scenario};
use super::super::table::Table;
use super::super::world;
use super::{POLICIES, SHARDS, Sizes, name};

const ENDPOINTS: u32 = 20;
const BEGIN: u64 = 5;

fn figures(seed: u64, chooser: Chooser) -> Figures {
    let replace = |number| {
        let at = Duration::from_secs(BEGIN + u64::from(number));
        (at, Change::Replace(number, 5.0, Duration::from_secs(5)))
    };
    world::run(&Scenario {
        changes: (0..ENDPOINTS).map(replace).collect(),
        warm_up: Duration::from_secs(BEGIN - 1),
        time: Duration::from_secs(BEGIN + u64::from(ENDPOINTS) + 5),
        ..Scenario::new(seed, chooser, ENDPOINTS as usize, 0.4)
    })
}

fn by(policy: Policy, shards: u32, slow_start: Duration) -> Chooser {
    let balancing = Balancing {
        policy,
        slow_start,
        outlier: OutlierPolicy::OFF,
        ..Balancing::default()
    };
    Chooser::Shards(shards, Box::new(balancing))
}

/// What new endpoints got in their first second, of an equal share: on average, and the most.
fn shares(figures: &Figures) -> (f64, f64) {
    let equal = figures.attempts as f64 / figures.seconds.len().saturating_sub(4) as f64;
    let equal = equal / f64::from(ENDPOINTS);
    let of = |number: u32| {
        let begin = 10 * (BEGIN as usize + number as usize);
        let endpoint = figures.by_endpoint.get((ENDPOINTS + number) as usize);
        let tenths = endpoint.map(|it| it.attempts_by_tenth.iter().skip(begin).take(10));
        tenths.map_or(0.0, |it| f64::from(it.sum::<u32>())) / equal
    };
    let shares: Vec<f64> = (0..ENDPOINTS).map(of).collect();
    let mean = shares.iter().sum::<f64>() / f64::from(ENDPOINTS);
    (mean, shares.into_iter().fold(0.0, f64::max))
}

pub(crate) fn print(sizes: Sizes) {
    let mut table = Table::new(&[
        "policy",
        "slow start",
        "shards",
        "first second",
        "at most",
        "p99 ms",
        "p99.9 ms",
    ]);
    let mut row = |name: &str, slow_start: &str, shards: &str, figures: &Figures| {
        let (mean, most) = shares(figures);
        table.row(vec![
            name.to_owned(),
            slow_start.to_owned(),
            shards.to_owned(),
            format!("{mean:.2} x"),
            format!("{most:.2} x"),
            format!("{:.1}", figures.millis(99.0)),
            format!("{:.1}", figures.millis(99.9)),
        ]);
    };
    for policy in POLICIES {
        for (text, slow_start) in [("off", Duration::ZERO), ("10s", Duration::from_secs(10))] {
            for shards in SHARDS {
                let figures = figures(sizes.seed, by(policy, shards, slow_start));
                row(name(policy), text, &shards.to_string(), &figures);
            }
        }
    }
    row("ideal", "off", "1", &figures(sizes.seed, Chooser::Ideal));
    table.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_choices_bound_what_a_newcomer_gets_and_slow_start_makes_it_little() {
        for policy in [Policy::LeastRequest, Policy::PeakEwma] {
            for shards in [1, 4] {
                let by = |slow_start| by(policy, shards, Duration::from_secs(slow_start));
                let (mean, most) = shares(&figures(1, by(0)));
                assert!(
                    mean < 1.5 && most < 2.2,
                    "{policy:?} {shards}: {mean} {most}"
                );
                let (mean, most) = shares(&figures(1, by(10)));
                assert!(
                    mean < 0.3 && most < 0.5,
                    "{policy:?} {shards}: {mean} {most}"
                );
            }
        }
    }
}
