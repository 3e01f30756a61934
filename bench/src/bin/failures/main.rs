//! What clients see when one of three endpoints fails, behind weft, Envoy, haproxy and nginx.
//!
//! For each fault and each proxy: three `loadgen origin` processes, the proxy in front of them, a
//! steady load; after a while the fault is done to one endpoint, later it is undone. Out: a table
//! of the share of requests that failed, the 99th percentile during and after the fault, and how
//! long after its begin the last request failed or was slow.
//!
//! The configurations are in `bench/failures/`, with the same settings in each proxy's words.

#![allow(
    clippy::disallowed_methods,
    reason = "plain threads with the system's clock: nothing here runs on a shard"
)]

mod fault;
mod load;
mod proxy;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use fault::{Fault, Origins};
use load::Load;
use proxy::Peer;
use table::Cell;

const USAGE: &str = "\
failures [--peers weft,envoy,haproxy,nginx] [--faults killed,stopped,...] [--program NAME=PATH]
         [--rate 300] [--before 1500] [--during 3000] [--after 2500]

Faults: killed, stopped, slowed, refusing, silent, garbage. Times are in milliseconds. weft and
loadgen are taken from beside this program, the others from PATH, unless --program says otherwise.";

/// What is to be run.
struct Plan {
    peers: Vec<Peer>,
    faults: Vec<Fault>,
    programs: Vec<(String, PathBuf)>,
    rate: u32,
    before: Duration,
    during: Duration,
    after: Duration,
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self {
            peers: Peer::ALL.to_vec(),
            faults: Fault::ALL.to_vec(),
            programs: Vec::new(),
            rate: 300,
            before: Duration::from_millis(1500),
            during: Duration::from_millis(3000),
            after: Duration::from_millis(2500),
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            let millis = || value.parse().map(Duration::from_millis);
            match option.as_str() {
                "--peers" => plan.peers = list(&value, Peer::parse)?,
                "--faults" => plan.faults = list(&value, Fault::parse)?,
                "--program" => {
                    let (name, path) = value.split_once('=').ok_or(USAGE)?;
                    plan.programs.push((name.to_owned(), path.into()));
                }
                "--rate" => plan.rate = value.parse().map_err(|_| USAGE)?,
                "--before" => plan.before = millis().map_err(|_| USAGE)?,
                "--during" => plan.during = millis().map_err(|_| USAGE)?,
                "--after" => plan.after = millis().map_err(|_| USAGE)?,
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(plan)
    }

    fn program(&self, name: &str) -> PathBuf {
        let named = self.programs.iter().find(|(known, _)| known == name);
        let beside = || {
            let own = std::env::current_exe().ok()?;
            let path = own.parent()?.join(name);
            path.exists().then_some(path)
        };
        named
            .map(|(_, path)| path.clone())
            .or_else(beside)
            .unwrap_or_else(|| name.into())
    }

    /// One proxy through one fault.
    fn cell(&self, peer: Peer, fault: Fault) -> Result<Cell, String> {
        let mut origins = Origins::start(self.program("loadgen"))?;
        let proxy = peer.start(&self.program(peer.name()), origins.ports())?;
        let begin = Instant::now() + Duration::from_millis(200);
        let all = self.before + self.during + self.after;
        let load = Load::start(proxy.address(), self.rate, begin, all);
        let (fails, recovers) = (begin + self.before, begin + self.before + self.during);
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

fn list<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    let parse = |word: &str| parse(word).ok_or_else(|| format!("`{word}` is not known\n{USAGE}"));
    text.split(',').map(parse).collect()
}

fn sleep_until(at: Instant) {
    thread::sleep(at.saturating_duration_since(Instant::now()));
}

fn run() -> Result<(), String> {
    let plan = Plan::parse(std::env::args().skip(1))?;
    table::head(&plan.peers);
    for &fault in &plan.faults {
        let mut row = Vec::new();
        for &peer in &plan.peers {
            row.push(plan.cell(peer, fault)?);
        }
        table::row(fault, &row);
    }
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
