//! A simulator of load balancing, with the engine's own balancers, ejection and retry budget.
//!
//! `cargo run --release -p bench --bin simulate -- --help` says what it answers. Time is virtual
//! and chance comes from a seed: the same command prints the same figures.

mod agenda;
mod experiments;
mod figures;
mod random;
mod scenario;
mod shards;
mod table;
mod upstream;
mod world;

use clap::{Parser, ValueEnum};
use experiments::{Sizes, ejection, herding, latency, redeploy, retries};

/// Judges how endpoints are picked, left out and tried again, against the ideal.
///
/// Shards are simulated, each with a balancer and a retry budget of its own as in the proxy, and
/// endpoints: queues of which four requests at once are served, in ten milliseconds on average.
/// Requests arrive by a Poisson process. Endpoints are slow, fail, are gone, do not answer, or are
/// replaced. The balancers are the engine's own code; only the clock and the network are not real.
///
/// The ideal is one that sees every queue and every fault at once and sends each request to where
/// it will be over first. No proxy can be that; how far one is from it is what its figures are to
/// be read by.
#[derive(Parser)]
#[command(name = "simulate", after_help = EXAMPLES)]
struct Arguments {
    /// What to find out; everything when nothing is said.
    experiments: Vec<Experiment>,
    /// The beginning of all chance: the same seed gives the same figures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Endpoints of the experiment `herding`; the others have sizes of their own.
    #[arg(long, default_value_t = 500)]
    endpoints: usize,
}

const EXAMPLES: &str = "\
Examples:
  simulate                              everything, a minute or two
  simulate herding --endpoints 5000     longer queues with more shards?
  simulate ejection retries --seed 7    again, with other chance";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Experiment {
    /// Do shards that know nothing of each other send to the same endpoint at once?
    Herding,
    /// Which policy gives the lowest latency, with equal endpoints and with unequal ones?
    Latency,
    /// How soon is a failing endpoint left out, and what do clients see of it?
    Ejection,
    /// How much more load do retries put on a cluster that fails?
    Retries,
    /// Are endpoints that have just started flooded?
    Redeploy,
}

impl Experiment {
    fn print(self, sizes: Sizes) {
        match self {
            Self::Herding => herding::print(sizes),
            Self::Latency => latency::print(sizes),
            Self::Ejection => ejection::print(sizes),
            Self::Retries => retries::print(sizes),
            Self::Redeploy => redeploy::print(sizes),
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    let sizes = Sizes {
        seed: arguments.seed,
        endpoints: arguments.endpoints.max(1),
    };
    let all = Experiment::value_variants();
    let chosen =
        |it: &&Experiment| arguments.experiments.is_empty() || arguments.experiments.contains(it);
    println!("seed {}", sizes.seed);
    for experiment in all.iter().filter(chosen) {
        let value = experiment.to_possible_value();
        let help = value.as_ref().and_then(|value| value.get_help());
        let help = help.map_or_else(String::new, ToString::to_string);
        println!("\n{help}\n");
        experiment.print(sizes);
    }
}
