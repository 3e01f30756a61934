//! What is left of a proxy's goodput when it is offered twice what can be served.
//!
//! Two cases. *shard*: the proxy is what cannot keep up; busy neighbours on its processor make it
//! slow, so that the load generator beside it is not. *upstream*: what is behind it cannot; the
//! origin takes its time, and a bound on the requests under way makes that a capacity.
//!
//! For each case and proxy: the peak, in closed loops; then open loops at half of it, evenly and
//! in bursts, which must be served without a refusal; then one at twice the peak. Meanwhile the
//! health route and the admin interface are asked, ten times a second, over new connections. Out: a
//! table in Markdown. The configurations are in `bench/overload/`.

#![allow(
    clippy::disallowed_methods,
    reason = "plain threads with the system's clock: nothing here runs on a shard"
)]

mod load;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use bench::process::{Programs, list};
use load::{Load, Run};
use stage::{Case, Neighbours, Peer, Stage};

const USAGE: &str = "\
overload [--peers weft,nginx,haproxy] [--cases shard,upstream] [--program NAME=PATH]
         [--seconds 4] [--connections 4000] [--neighbours 3] [--proxy-cpu 0] [--load-cpu 1]

--seconds is for each of five loads of a case and proxy, at least 2: the first is not counted. weft and
loadgen are taken from beside this program, the others from PATH, unless --program says otherwise.";

/// Connections of the closed loops of which the best is the peak.
const PEAK_CONNECTIONS: [u32; 2] = [256, 1024];

/// The shortest load of which a second counts.
const SECONDS_MIN: u64 = 2;

/// What is to be run.
struct Plan {
    peers: Vec<Peer>,
    cases: Vec<Case>,
    programs: Programs,
    seconds: u64,
    connections: u32,
    neighbours: usize,
    proxy_cpu: usize,
    load_cpu: usize,
}

impl Plan {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self {
            peers: Peer::ALL.to_vec(),
            cases: Case::ALL.to_vec(),
            programs: Programs::default(),
            seconds: 4,
            connections: 4000,
            neighbours: 3,
            proxy_cpu: 0,
            load_cpu: 1,
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or(USAGE)?;
            let wrong = |_| USAGE;
            match option.as_str() {
                "--peers" => plan.peers = list(&value, Peer::parse, USAGE)?,
                "--cases" => plan.cases = list(&value, Case::parse, USAGE)?,
                "--program" => plan.programs.note(&value).ok_or(USAGE)?,
                "--seconds" => plan.seconds = value.parse().map_err(wrong)?,
                "--connections" => plan.connections = value.parse().map_err(wrong)?,
                "--neighbours" => plan.neighbours = value.parse().map_err(wrong)?,
                "--proxy-cpu" => plan.proxy_cpu = value.parse().map_err(wrong)?,
                "--load-cpu" => plan.load_cpu = value.parse().map_err(wrong)?,
                _ => return Err(USAGE.to_owned()),
            }
        }
        if plan.seconds < SECONDS_MIN {
            let seconds = plan.seconds;
            return Err(format!(
                "--seconds {seconds}: the first second is not counted, so that at least \
                 {SECONDS_MIN} are needed"
            ));
        }
        Ok(plan)
    }

    /// One proxy in one case, as a row of the table.
    fn row(&self, case: Case, peer: Peer) -> Result<String, String> {
        let loadgen = self.programs.path("loadgen");
        let stage = Stage::start(
            (case, peer),
            (&loadgen, self.load_cpu),
            (&self.programs.path(peer.name()), self.proxy_cpu),
        )?;
        let load = Load {
            loadgen,
            cpu: self.load_cpu,
            to: stage.address(),
            admin: stage.admin(),
            connections: self.connections,
            time: Duration::from_secs(self.seconds),
        };
        let neighbours = match case {
            Case::Shard => self.neighbours,
            Case::Upstream => 0,
        };
        let _neighbours = Neighbours::start(neighbours, self.proxy_cpu)?;
        // As many as keep it busy, and no more than may wait for the origin.
        let mut peak = load.closed(PEAK_CONNECTIONS[0])?;
        for connections in &PEAK_CONNECTIONS[1..] {
            let next = load.closed(*connections)?;
            if next.goodput > peak.goodput {
                peak = next;
            }
        }
        let half = load.open(peak.goodput / 2.0, "constant")?;
        let bursts = load.open(peak.goodput / 2.0, "burst:1000")?;
        let before = stage.failures();
        let twice = load.open(peak.goodput * 2.0, "constant")?;
        let reasons = stage.reasons(&before);
        let refused = |run: &Run| format!("{} / {}", run.refused, run.sent);
        Ok(format!(
            "| {} | {} | {:.0} | {} | {} | {:.0} | {:.0} % | {} | {}{} | {} | {} |",
            case.name(),
            peer.name(),
            peak.goodput,
            refused(&half),
            refused(&bursts),
            twice.goodput,
            twice.goodput * 100.0 / peak.goodput.max(1.0),
            twice.times,
            refused(&twice),
            reasons,
            twice.health,
            twice.admin,
        ))
    }
}

fn run() -> Result<(), String> {
    let plan = Plan::parse(std::env::args().skip(1))?;
    println!(
        "Peak: right answers per second, the best of closed loops; open loops have {} connections. \
         Refused: another answer than 200, or none within 5 s, of those sent. Served: times from \
         sending, p50 / p99. Health, admin: asked / not answered within 2 s, slowest.\n",
        plan.connections
    );
    println!(
        "| case | proxy | peak/s | refused at half | in bursts | goodput at twice | of the peak | \
         served in ms | refused | health | admin |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|---|---|---|");
    for &case in &plan.cases {
        for &peer in &plan.peers {
            println!("{}", plan.row(case, peer)?);
        }
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
