//! What clients see when one of three endpoints fails, behind weft, Envoy, haproxy and nginx.
//!
//! For each fault and each proxy: three `loadgen origin` processes, the proxy in front of them, a
//! steady load; after a while the fault is done to one endpoint, later it is undone. Out: a table
//! of the shares of requests that failed and that were slow, the 99th percentile during and after
//! the fault, and how long after its begin the last request failed or was slow; then in which rows
//! the first proxy is behind another.
//!
//! The configurations are in `bench/failures/`, with the same settings in each proxy's words, and
//! what has no equivalent in a comment.

#![allow(
    clippy::disallowed_methods,
    reason = "plain threads with the system's clock: nothing here runs on a shard"
)]

mod fault;
mod load;
mod proxy;
mod table;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bench::process::{Programs, list};
use fault::{Fault, Origins};
use load::Load;
use proxy::Peer;
use table::Cell;

const USAGE: &str = "\
failures [--peers weft,envoy,haproxy,nginx] [--faults killed,stopped,...] [--program NAME=PATH]
         [--rate 300] [--seconds 10]

Faults: killed, stopped, slowed, refusing, silent, garbage. --seconds is for each fault and proxy: a
tenth before the fault, six during it, three after it. weft and loadgen are taken from beside this
program, the others from PATH, unless --program says otherwise. The table goes to the standard
output, in Markdown.";

/// What is to be run.
struct Plan {
    peers: Vec<Peer>,
    faults: Vec<Fault>,
    programs: Programs,
    rate: u32,
    /// A tenth of the time of one cell.
    tenth: Duration,
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self {
            peers: Peer::ALL.to_vec(),
            faults: Fault::ALL.to_vec(),
            programs: Programs::default(),
            rate: 300,
            tenth: Duration::from_secs(1),
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            match option.as_str() {
                "--peers" => plan.peers = list(&value, Peer::parse, USAGE)?,
                "--faults" => plan.faults = list(&value, Fault::parse, USAGE)?,
                "--program" => plan.programs.note(&value).ok_or(USAGE)?,
                "--rate" => plan.rate = value.parse().map_err(|_| USAGE)?,
                "--seconds" => {
                    let seconds = value.parse().map_err(|_| USAGE)?;
                    plan.tenth = Duration::from_secs(seconds) / 10;
                }
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(plan)
    }

    /// One proxy through one fault.
    fn cell(&self, peer: Peer, fault: Fault) -> Result<Cell, String> {
        let mut origins = Origins::start(self.programs.path("loadgen"))?;
        let proxy = peer.start(&self.programs.path(peer.name()), origins.ports())?;
        let begin = Instant::now() + Duration::from_millis(200);
        let load = Load::start(proxy.address(), self.rate, begin, self.tenth * 10);
        let (fails, recovers) = (begin + self.tenth, begin + self.tenth * 7);
        sleep_until(fails);
        origins.fail(fault)?;
        let failed_at = Instant::now();
        sleep_until(recovers);
        origins.recover(fault)?;
        let recovered_at = Instant::now();
        let answers = load.finish();
        Ok(Cell::of(&answers, failed_at, recovered_at))
    }
}

fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}

fn run() -> Result<(), String> {
    let plan = Plan::parse(std::env::args().skip(1))?;
    let mut rows = Vec::new();
    for &fault in &plan.faults {
        let mut cells = Vec::new();
        for &peer in &plan.peers {
            let cell = plan.cell(peer, fault)?;
            eprintln!("{}, {}: {}", fault.name(), peer.name(), cell.text());
            cells.push(cell);
        }
        rows.push((fault, cells));
    }
    let versions = plan.peers.iter().map(|peer| {
        let version = peer.version(&plan.programs.path(peer.name()));
        format!("{} {version}", peer.name())
    });
    let versions: Vec<String> = versions.collect();
    println!(
        "{}; {} requests/s, {:.1} s before, {:.1} s during, {:.1} s after the fault\n",
        versions.join(", "),
        plan.rate,
        plan.tenth.as_secs_f64(),
        (plan.tenth * 6).as_secs_f64(),
        (plan.tenth * 3).as_secs_f64(),
    );
    table::print(&plan.peers, &rows);
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
