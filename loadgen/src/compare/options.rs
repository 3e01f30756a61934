//! Options of `loadgen compare`, and the words that teach them.
//!
//! What the command line says takes the place of what the scenario says; [`CompareOptions::amend`]
//! puts it there and checks the whole.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::scenario::Scenario;
use crate::placement::{CpuList, cpu_list};
use crate::quantity;

/// The long description.
pub(crate) const LONG: &str = "\
Measure proxies side by side on this machine, and say which differences are real; or load
generators, in a scenario that says so.

Starts an origin, and for some rounds one peer of the scenario after the other, forwards and
backwards: pinned alike (proxies on their processors, origin and generator on others), each time in
a process of its own, which must answer rightly before the load begins. One peer is entered twice:
what separates these two is noise, and no smaller difference is called one.

CPU us/request is the CPU time of the proxy's whole process tree in the measured time. It is the one
figure that stands when the generator is the bottleneck. A run in which other programs took more
than a tenth of the processors is measured again, a limited number of times; compare on a quiet
machine.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Examples:
  loadgen compare h1-1k                                   bench/scenarios/h1-1k.toml
  loadgen compare h1-16k --rounds 3 --duration 1s --peers weft,nginx
  loadgen compare h1-1k --peers weft --entry before=weft:../before/weft --to before
  loadgen compare paced-5000 --out result --syscalls
  loadgen compare generator-h1                            this program, wrk and h2load

bench/README.md says how a scenario and a peer are written.

Exit codes:
  0  pass     every entry has rounds that count
  1  error    wrong usage, a program that is missing or does not start
  2  broken   a proxy answered wrongly or not at all
  3  invalid  an entry has no round that counts: the generator did not reach the rate, or other
              programs disturbed all of them (--busy-machine counts these); or it was interrupted

SIGINT (Ctrl-C) or SIGTERM ends it with a report of the rounds that were whole; a second one ends it
at once.";

/// Options of `loadgen compare`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompareOptions {
    /// A scenario's file, or its name in bench/scenarios.
    pub scenario: String,
    /// Processors of the proxies, one shard for each; of generators, if these are compared.
    #[arg(long, value_name = "LIST", value_parser = cpu_list, default_value = "0",
        help_heading = "Placement")]
    pub proxy_cpus: CpuList,
    /// Processors of the origin and of the generator, one thread of each on each.
    #[arg(long, value_name = "LIST", value_parser = cpu_list, default_value = "1",
        help_heading = "Placement")]
    pub load_cpus: CpuList,

    /// Rounds, instead of the scenario's.
    #[arg(long, value_name = "N", help_heading = "Scenario")]
    pub rounds: Option<usize>,
    /// Measured time of a round, instead of the scenario's.
    #[arg(short, long, value_name = "TIME", value_parser = quantity::duration,
        help_heading = "Scenario")]
    pub duration: Option<Duration>,
    /// Peers, instead of the scenario's.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Scenario"
    )]
    pub peers: Vec<String>,
    /// The entry that ratios are to, instead of the scenario's.
    #[arg(long = "to", value_name = "ENTRY", help_heading = "Scenario")]
    pub ratio_to: Option<String>,
    /// The program of a peer; repeatable.
    #[arg(long = "program", value_name = "PEER=PATH", value_parser = program,
        help_heading = "Scenario")]
    pub programs: Vec<(String, PathBuf)>,
    /// One more entry: a peer with another program; repeatable.
    #[arg(long = "entry", value_name = "NAME=PEER:PATH", value_parser = entry,
        help_heading = "Scenario")]
    pub entries: Vec<(String, String, PathBuf)>,

    /// Count system calls per request with strace, in a run of its own after the rounds.
    #[arg(long, help_heading = "Measurement")]
    pub syscalls: bool,
    /// Count runs that others disturbed: for a machine that always has something else to do.
    #[arg(long, help_heading = "Measurement")]
    pub busy_machine: bool,
    /// Confidence of the intervals.
    #[arg(long, value_name = "SHARE", value_parser = confidence, default_value = "95%",
        help_heading = "Measurement")]
    pub confidence: f64,

    /// Write page, table, JSON, histograms and configurations into this folder.
    #[arg(long, value_name = "FOLDER", help_heading = "Output")]
    pub out: Option<PathBuf>,
    /// A sentence that the result carries: what was tried, and why.
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub note: Option<String>,
    /// Print JSON instead of the table.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// Show no progress (it is shown only on a terminal anyway).
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
}

impl CompareOptions {
    /// The scenario with what the command line puts in its place.
    pub(crate) fn amend(&self, scenario: &mut Scenario) -> Result<(), String> {
        scenario.rounds = self.rounds.unwrap_or(scenario.rounds);
        scenario.load.duration = self.duration.unwrap_or(scenario.load.duration);
        if !self.peers.is_empty() {
            scenario.peers.clone_from(&self.peers);
            let gone = |peer: &Option<String>| {
                peer.as_ref().is_some_and(|peer| !self.peers.contains(peer))
            };
            // What the scenario says about a peer that was left out is left out as well.
            if gone(&scenario.twice) {
                scenario.twice = self.peers.first().cloned();
            }
            if gone(&scenario.ratio_to) {
                scenario.ratio_to = None;
            }
        }
        if let Some(to) = &self.ratio_to {
            let extra = self.entries.iter().any(|(name, ..)| name == to);
            if !extra && !scenario.peers.contains(to) {
                return Err(format!("--to {to}: there is no such entry"));
            }
            if !extra {
                scenario.ratio_to = Some(to.clone());
            }
        }
        if scenario.load.duration.is_zero() {
            return Err("--duration must not be zero".into());
        }
        if let Some(cpu) = self
            .proxy_cpus
            .0
            .iter()
            .find(|cpu| self.load_cpus.0.contains(cpu))
        {
            return Err(format!(
                "processor {cpu} would belong to proxies and load: set --proxy-cpus and --load-cpus"
            ));
        }
        scenario.check()
    }
}

/// Parses a peer with its program.
pub(crate) fn program(text: &str) -> Result<(String, PathBuf), String> {
    let (peer, path) = text.split_once('=').ok_or("write PEER=PATH")?;
    Ok((peer.to_owned(), PathBuf::from(path)))
}

fn entry(text: &str) -> Result<(String, String, PathBuf), String> {
    let expected = "write NAME=PEER:PATH, as in before=weft:../before/weft";
    let (name, rest) = text.split_once('=').ok_or(expected)?;
    let (peer, path) = rest.split_once(':').ok_or(expected)?;
    let plain = |text: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !text.is_empty() && text.bytes().all(allowed)
    };
    if !plain(name) {
        return Err(format!("`{name}` is not a name: letters, digits, - _ ."));
    }
    Ok((name.to_owned(), peer.to_owned(), PathBuf::from(path)))
}

/// Parses a confidence: more than even, less than certain.
pub(crate) fn confidence(text: &str) -> Result<f64, String> {
    let share = quantity::share(text)?;
    let range = 0.5..=0.9999;
    match range.contains(&share) {
        true => Ok(share),
        false => Err("a confidence lies between 50% and 99.99%".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_programs() {
        let (name, peer, path) = entry("before=weft:../x/weft").expect("an entry");
        assert_eq!(
            (&*name, &*peer, path),
            ("before", "weft", "../x/weft".into())
        );
        assert!(entry("weft").is_err() && entry("a=weft").is_err() && entry("a/b=w:x").is_err());
        assert!(program("weft").is_err());
        assert_eq!(confidence("95%"), Ok(0.95));
        assert!(confidence("0.1").is_err() && confidence("1").is_err());
    }
}
