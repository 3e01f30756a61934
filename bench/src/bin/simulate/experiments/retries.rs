//! Do retries make a failing cluster's load worse than the budget says?
//!
//! Every endpoint answers half of its requests with 503, and each request may be tried again three
//! times. Of the requests of any ten seconds, at most a fifth more may reach the endpoints, or ten
//! a second, however many shards there are.

use std::time::Duration;

use engine::balance::{Balancing, Policy};
use engine::config::{Retry, RetryOn};
use engine::route::RetryPolicy;

use super::super::figures::{Figures, Tenth};
use super::super::scenario::{Change, Chooser, Mode, Scenario};
use super::super::table::Table;
use super::super::world;
use super::{SHARDS, Sizes};

const ENDPOINTS: usize = 10;
/// Tenths of a second.
const WINDOW: usize = 100;

fn retries() -> RetryPolicy {
    RetryPolicy::compile(&Retry {
        on: vec![RetryOn::ConnectFailure, RetryOn::GatewayError],
        statuses: Vec::new(),
        count: 3,
        per_try_timeout: None,
        backoff: Duration::from_millis(25),
        max_backoff: Duration::from_millis(250),
        max_retry_after: Duration::from_secs(1),
    })
}

fn figures(seed: u64, shards: u32, rate: f64) -> Figures {
    let balancing = Balancing {
        policy: Policy::PeakEwma,
        ..Balancing::default()
    };
    let chooser = Chooser::Shards(shards, Box::new(balancing));
    let fails = |number| (Duration::ZERO, Change::Mode(number, Mode::Failing(0.5)));
    world::run(&Scenario {
        rate,
        retry: retries(),
        changes: (0..ENDPOINTS as u32).map(fails).collect(),
        warm_up: Duration::ZERO,
        time: Duration::from_secs(30),
        sample: Duration::from_secs(1),
        ..Scenario::new(seed, chooser, ENDPOINTS, 0.3)
    })
}

/// In the worst ten seconds, wherever they begin: retries made for a hundred requests, and those
/// beyond a fifth of the requests and beyond a hundred.
fn worst(figures: &Figures) -> (f64, u64) {
    let windows = figures.tenths.windows(WINDOW);
    let of = |window: &[Tenth]| {
        let requests = window.iter().map(|tenth| tenth.requests).sum::<u64>();
        let retries = window.iter().map(|tenth| tenth.retries).sum::<u64>();
        let allowed = (requests / 5).max(WINDOW as u64);
        let share = retries as f64 * 100.0 / requests.max(1) as f64;
        (share, retries.saturating_sub(allowed))
    };
    let worse = |one: (f64, u64), other: (f64, u64)| (one.0.max(other.0), one.1.max(other.1));
    windows.map(of).fold((0.0, 0), worse)
}

pub(crate) fn print(sizes: Sizes) {
    let mut table = Table::new(&[
        "requests/s",
        "shards",
        "seeds",
        "load on endpoints",
        "worst 10 s",
        "failed %",
    ]);
    for rate in [20.0, 200.0, 1200.0] {
        for shards in SHARDS {
            let seeds = sizes.seed..sizes.seed + 10;
            let runs: Vec<Figures> = seeds.map(|seed| figures(seed, shards, rate)).collect();
            let load = |run: &Figures| run.attempts as f64 / run.requests as f64;
            let most = |of: fn(&Figures) -> f64| runs.iter().map(of).fold(0.0, f64::max);
            let loads = runs.iter().map(load).fold(0.0, f64::max);
            table.row(vec![
                format!("{rate:.0}"),
                shards.to_string(),
                runs.len().to_string(),
                format!("{loads:.3} x"),
                format!("{:.3} x", 1.0 + most(|run| worst(run).0) / 100.0),
                format!("{:.1}", most(Figures::failed_percent)),
            ]);
        }
    }
    table.print();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_fails_half_never_sees_more_than_1_2_times_the_load() {
        for shards in SHARDS {
            for seed in 0..3 {
                let run = figures(seed, shards, 600.0);
                let (share, _) = worst(&run);
                assert!(share <= 20.0, "{shards} shards, seed {seed}: {share} %");
                assert!(
                    share >= 15.0,
                    "{shards} shards, seed {seed}: {share} % only"
                );
                assert!(run.attempts * 10 <= run.requests * 12, "{shards}, {seed}");
            }
        }
    }

    #[test]
    fn with_few_requests_ten_a_second_are_allowed_and_no_more() {
        for shards in SHARDS {
            let run = figures(1, shards, 20.0);
            assert_eq!(worst(&run).1, 0, "{shards} shards");
        }
    }
}
