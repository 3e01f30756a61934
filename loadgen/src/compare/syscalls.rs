//! System calls per request, counted by strace in a run of its own.
//!
//! strace slows the proxy down several times, so nothing else of that run is used; at an open rate
//! the proxy may not keep up, and the count per answer is still right. It needs strace, and the
//! permission to trace.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use super::child::{Launch, Running};
use super::generator::Call;
use super::options::CompareOptions;
use super::round;
use super::scenario::Scenario;
use super::stage::{Entry, Part, Stage};
use crate::run::watched::tree;

/// How long to count.
const COUNTED: Duration = Duration::from_secs(2);
/// How long strace may take to attach: it says so for each thread.
const ATTACH_LIMIT: Duration = Duration::from_secs(5);
/// How many kinds of calls the table names.
const NAMED_MAX: usize = 6;

/// What one entry calls.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Calls {
    /// The entry.
    pub entry: String,
    /// All calls per answer.
    pub per_request: f64,
    /// By name, the most frequent first.
    pub by_name: Vec<(String, f64)>,
}

impl Calls {
    /// The most frequent calls.
    pub(crate) fn largest(&self) -> &[(String, f64)] {
        let count = self.by_name.len().min(NAMED_MAX);
        self.by_name.get(..count).unwrap_or_default()
    }
}

/// Counts the calls of one entry under the scenario's load.
pub(crate) fn count(
    stage: &Stage,
    entry: &Entry,
    scenario: &Scenario,
    options: &CompareOptions,
    stop: &AtomicBool,
) -> Result<Calls, String> {
    let table = stage.scratch.file("strace.table");
    let mut short = scenario.clone();
    short.load.warmup = Duration::ZERO;
    short.load.duration = scenario.load.duration.min(COUNTED);
    let answered = match &entry.part {
        Part::Generator(call) => of_generator(call, stage, &short, options, &table, stop)?,
        Part::Proxy(start) => {
            let proxy = stage.open(start, &short, stop)?;
            let strace = attach(stage, &proxy.running, options, &table)?;
            let measured = round::measure(stage, &proxy, &short, options, "strace", stop)?;
            detach(strace, stop)?;
            measured.requests.answered
        }
    };
    let text = fs::read_to_string(&table).map_err(|error| format!("strace: {error}"))?;
    let by_name = parse(&text, answered.max(1) as f64);
    Ok(Calls {
        entry: entry.name.clone(),
        per_request: by_name.iter().map(|(_, calls)| calls).sum(),
        by_name,
    })
}

/// Runs a generator under strace; what it was answered.
fn of_generator(
    call: &Call,
    stage: &Stage,
    scenario: &Scenario,
    options: &CompareOptions,
    table: &Path,
    stop: &AtomicBool,
) -> Result<u64, String> {
    let arguments = ["-c", "-f", "-o", &table.display().to_string(), "--"].map(str::to_owned);
    let traced = call.under(program()?, &arguments);
    let measured = traced.measure(stage, scenario, options, "strace", stop)?;
    Ok(measured.requests.answered)
}

fn program() -> Result<PathBuf, String> {
    super::peer::find("strace").ok_or_else(|| "--syscalls needs strace".into())
}

/// Has strace count what a proxy calls, from now on.
fn attach(
    stage: &Stage,
    proxy: &Running,
    options: &CompareOptions,
    table: &Path,
) -> Result<Running, String> {
    let pids: Vec<String> = tree(proxy.pid()).iter().map(ToString::to_string).collect();
    let arguments: Vec<String> = ["-c", "-f", "-o", &table.display().to_string(), "-p"]
        .into_iter()
        .map(str::to_owned)
        .chain([pids.join(",")])
        .collect();
    let strace = Running::start(&Launch {
        name: "strace",
        program: &program()?,
        arguments: &arguments,
        cpus: &options.proxy_cpus.0,
        log: stage.scratch.file("strace.log"),
    })?;
    attached(&strace, &stage.scratch.file("strace.log"))?;
    Ok(strace)
}

/// Has strace write its table, which it does when it is interrupted; the proxy goes on.
fn detach(mut strace: Running, stop: &AtomicBool) -> Result<(), String> {
    strace.signal(Signal::INT);
    strace.wait(ATTACH_LIMIT, stop).map(drop)
}

fn attached(strace: &Running, log: &Path) -> Result<(), String> {
    let pause = Duration::from_millis(20);
    for _ in 0..ATTACH_LIMIT.as_millis() / pause.as_millis() {
        if strace.ends_within(pause) {
            return Err(strace.complaint("cannot count system calls"));
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        if said.contains("attached") {
            return Ok(());
        }
    }
    Err(strace.complaint("does not attach"))
}

/// Reads the table of `strace -c`: `% time, seconds, usecs/call, calls, [errors,] syscall`.
fn parse(table: &str, answers: f64) -> Vec<(String, f64)> {
    let mut calls: Vec<(String, f64)> = table
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [percent, _, _, count, .., name] = words[..] else {
                return None;
            };
            percent.parse::<f64>().ok()?;
            let count = count.parse::<f64>().ok()?;
            (name != "total").then(|| (name.to_owned(), count / answers))
        })
        .collect();
    calls.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    calls
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn straces_table_is_read() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.012000           3      4000       100 sendmsg
 40.00    0.008000           1      8000           io_uring_enter
  0.00    0.000000           0         2           read
------ ----------- ----------- --------- --------- ----------------
100.00    0.020000           1     12002       100 total
";
        let expected = [("io_uring_enter", 2.0), ("sendmsg", 1.0), ("read", 0.0005)];
        let calls = parse(table, 4_000.0);
        let calls: Vec<_> = calls
            .iter()
            .map(|(name, calls)| (&**name, *calls))
            .collect();
        assert_eq!(calls, expected);
        assert!(parse("", 1.0).is_empty());
    }
}
