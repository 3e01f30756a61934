//! What discovery costs, with few services and with many.
//!
//! For each size: a proxy whose clusters and routes are that many services, ten instances of each
//! registered through its API, some requests of steady traffic, and changes of endpoints. Out: a
//! table with a column for each size. What it costs to change one endpoint should be the same in
//! all columns.

#![allow(
    clippy::disallowed_methods,
    reason = "plain threads with the system's clock: nothing here runs on a shard"
)]

mod churn;
mod fleet;
mod http;
mod proxy;
mod table;
mod traffic;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use bench::process::Programs;
use churn::Churn;
use fleet::Fleet;
use proxy::Proxy;
use table::Column;
use traffic::Traffic;

const USAGE: &str = "\
scale: what discovery costs, with few services and with many

For each size it starts a proxy with that many services (a route and a cluster for each), registers
their instances through the admin API, and then measures, in this order:

  memory     resident before and after the registrations
  change     CPU time of the control thread and of the whole process for one changed endpoint,
             without traffic, less what they take without changes
  effect     from a registration to the first request that goes to the new address
  traffic    the 99th percentile of response times, without changes and with them
  reload     from SIGHUP to the log line that says that the new configuration is in effect
  clusters   the 99th percentile of traffic while /clusters is read again and again
  start      of the same proxy with its journal, from its start to its first answer

Usage: scale [OPTIONS]

  --services LIST   sizes, one column each                              [10,10000]
  --instances N     instances of each service                           [10]
  --changes RATE    changed endpoints in a second                       [100]
  --rate RATE       requests in a second                                [1000]
  --seconds N       how long each rate is kept up                       [8]
  --effects N       registrations whose effect is waited for            [200]
  --shards N        shards of the proxy                                 [1]
  --weft PATH       the proxy                                           [beside this program]
  --loadgen PATH    the load generator                                  [beside this program]
  --help            this text

Examples:
  cargo build --release -p engine -p loadgen --bins
  cargo run --release -p bench --bin scale
  cargo run --release -p bench --bin scale -- --services 10,100,1000 --seconds 3

All traffic stays on 127.0.0.0/8. Everything is written into a folder of its own among the temporary
files, which is removed at the end. With 10,000 services it needs some 500 MB.";

/// What is to be run.
pub(crate) struct Plan {
    services: Vec<usize>,
    instances: usize,
    changes: u32,
    rate: u32,
    seconds: u64,
    effects: usize,
    shards: usize,
    weft: PathBuf,
    loadgen: PathBuf,
}

/// Why there is no table.
enum Stop {
    /// Help was asked for.
    Help,
    /// Something is wrong.
    Error(String),
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Stop> {
        let mut plan = Self {
            services: vec![10, 10_000],
            instances: 10,
            changes: 100,
            rate: 1000,
            seconds: 8,
            effects: 200,
            shards: 1,
            weft: Programs::default().path("weft"),
            loadgen: Programs::default().path("loadgen"),
        };
        while let Some(option) = words.next() {
            if option == "--help" || option == "-h" {
                return Err(Stop::Help);
            }
            let value = words.next().unwrap_or_default();
            let wrong = || Stop::Error(format!("{option} {value:?}: see --help"));
            let number = || value.parse::<usize>().ok().filter(|number| *number > 0);
            let count = || number().ok_or_else(wrong);
            let rate = || u32::try_from(count()?).map_err(|_| wrong());
            match option.as_str() {
                "--services" => {
                    let sizes = value.split(',').map(|size| size.parse().ok());
                    let sizes: Option<Vec<usize>> = sizes.collect();
                    let sizes = sizes.filter(|sizes| sizes.iter().all(|size| *size > 1));
                    plan.services = sizes.ok_or_else(wrong)?;
                }
                "--instances" => plan.instances = count()?.clamp(1, fleet::INSTANCES_MAX),
                "--changes" => plan.changes = rate()?,
                "--rate" => plan.rate = rate()?,
                "--seconds" => plan.seconds = count()? as u64,
                "--effects" => plan.effects = count()?,
                "--shards" => plan.shards = count()?,
                "--weft" => plan.weft = program(&value).ok_or_else(wrong)?,
                "--loadgen" => plan.loadgen = program(&value).ok_or_else(wrong)?,
                _ => return Err(Stop::Error(format!("{option} is not known: see --help"))),
            }
        }
        Ok(plan)
    }

    /// One size.
    fn column(&self, services: usize) -> Result<Column, String> {
        let step = |what: &str| eprintln!("{services} services: {what}");
        let fleet = Fleet::start(&self.loadgen, services, self.instances)?;
        step("start");
        let mut proxy = Proxy::start(&self.weft, &fleet, self.shards)?;
        let mut column = Column::new(services, services * self.instances);
        column.memory_before = proxy.memory()?;
        step("registrations");
        fleet.register(&proxy)?;
        thread::sleep(Duration::from_secs(2));
        column.memory_after = proxy.memory()?;
        let time = Duration::from_secs(self.seconds);
        let traffic = Traffic::new(&self.loadgen, &proxy, &fleet, self.rate)?;
        let churn = Churn::new(&proxy, &fleet, self.changes);
        step("changes");
        column.cost(&proxy, &churn, time)?;
        step("effects");
        column.effects = churn.effects(self.effects)?;
        step("traffic");
        // The first requests to each cluster make connections and histograms.
        traffic.run(Duration::from_secs(2))?;
        column.quiet = traffic.run(time)?;
        step("traffic with changes");
        column.changing = churn.during(|| traffic.run(time))?;
        step("reload");
        column.reload = proxy.reload()?;
        step("traffic with /clusters");
        column.reading = proxy.reading_clusters(|| traffic.run(time))?;
        step("restart");
        column.start = proxy.restart(&self.weft)?;
        Ok(column)
    }
}

/// A program by its path, also from another folder; one without a slash is looked for in the path.
fn program(path: &str) -> Option<PathBuf> {
    if path.contains('/') {
        std::path::absolute(path).ok()
    } else {
        Some(path.into())
    }
}

fn run() -> Result<(), Stop> {
    let plan = Plan::parse(std::env::args().skip(1))?;
    let mut columns = Vec::new();
    for &services in &plan.services {
        columns.push(plan.column(services).map_err(Stop::Error)?);
    }
    print!("{}", table::table(&columns, plan.changes, plan.rate));
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Help) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(Stop::Error(error)) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}
