//! What another process consumes while it is measured: the proxy, with all its children.
//!
//! CPU time is read from the process clocks (`clock_getcpuclockid`): the sum of what
//! `/proc/PID/task/*/schedstat` says, in nanoseconds, plus the threads that have ended, which that
//! folder forgets. Time spent waiting for a processor is the second figure of `schedstat`; a large
//! one says that something else ran on the same processors. A child that ends counts with its last
//! reading. Memory is read once, at the end.
//!
//! The kernel brings the clock of a thread that runs up to date at each tick, so that a figure is
//! exact to a few milliseconds per running thread, over the whole measured time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use engine::io::Instant;
use nix::time::ClockId;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What the process and its children consumed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Consumption {
    /// The process that was named.
    pub pid: u32,
    /// From the first to the last reading.
    pub seconds: f64,
    /// CPU time in between.
    pub cpu_seconds: f64,
    /// Time in between that threads were ready to run without a processor, summed up.
    pub waiting_seconds: f64,
    /// Processes at the end.
    pub process_count: usize,
    /// Threads at the end.
    pub thread_count: usize,
    /// Resident memory at the end, the sum over the processes (`VmRSS`).
    pub resident_bytes: u64,
    /// The same with shared pages divided among those who share them; zero if it is not told.
    pub proportional_bytes: u64,
}

/// Watches a tree of processes from one instant to another.
#[derive(Debug)]
pub(crate) struct Watched {
    pid: u32,
    begin: Option<Reading>,
    latest: Reading,
    end: Option<Consumption>,
}

/// One look at the tree; processes that are gone keep their last figures.
#[derive(Clone, Debug, Default)]
struct Reading {
    at: Instant,
    by_process: BTreeMap<u32, Spent>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    cpu: Duration,
    waiting: Duration,
}

impl Watched {
    /// Watches `pid`, which must be running.
    pub(crate) fn new(pid: u32) -> Result<Self, String> {
        if cpu_time(pid).is_none() {
            return Err(format!("there is no process {pid} to watch"));
        }
        Ok(Self {
            pid,
            begin: None,
            latest: Reading::default(),
            end: None,
        })
    }

    /// Looks at the tree at `now`, which lies in a measured time of `from` to `to` or outside it.
    pub(crate) fn look(&mut self, now: Instant, from: Instant, to: Instant) {
        if now < from || self.end.is_some() {
            return;
        }
        self.latest.at = now;
        for pid in tree(self.pid) {
            if let Some(cpu) = cpu_time(pid) {
                let waiting = waiting_time(&Path::new("/proc").join(pid.to_string()));
                self.latest.by_process.insert(pid, Spent { cpu, waiting });
            }
        }
        let begin = self.begin.get_or_insert_with(|| self.latest.clone());
        if now >= to {
            self.end = Some(consumption(self.pid, begin, &self.latest));
        }
    }

    /// What was consumed, if the end has been seen.
    pub(crate) const fn consumption(&self) -> Option<Consumption> {
        self.end
    }
}

fn consumption(pid: u32, begin: &Reading, end: &Reading) -> Consumption {
    let (mut cpu, mut waiting) = (Duration::ZERO, Duration::ZERO);
    for (process, spent) in &end.by_process {
        let before = begin.by_process.get(process).copied().unwrap_or_default();
        cpu += spent.cpu.saturating_sub(before.cpu);
        waiting += spent.waiting.saturating_sub(before.waiting);
    }
    let mut total = Consumption {
        pid,
        seconds: end.at.since(begin.at).as_secs_f64(),
        cpu_seconds: cpu.as_secs_f64(),
        waiting_seconds: waiting.as_secs_f64(),
        ..Consumption::default()
    };
    for process in tree(pid) {
        let status = read(process, "status");
        total.process_count += 1;
        total.thread_count += threads(&status);
        total.resident_bytes += kibibytes(&status, "VmRSS:") * 1024;
        total.proportional_bytes += kibibytes(&read(process, "smaps_rollup"), "Pss:") * 1024;
    }
    total
}

/// Resident memory of one process.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    kibibytes(&read(pid, "status"), "VmRSS:") * 1024
}

/// CPU time that a process and its children have used so far.
pub(crate) fn tree_cpu_time(pid: u32) -> Duration {
    tree(pid).into_iter().filter_map(cpu_time).sum()
}

/// A file of a process; empty when it is gone.
fn read(pid: u32, name: &str) -> String {
    let path = Path::new("/proc").join(pid.to_string()).join(name);
    fs::read_to_string(path).unwrap_or_default()
}

/// CPU time of all threads a process has and had; `None` when there is no such process.
fn cpu_time(pid: u32) -> Option<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    let time = ClockId::pid_cpu_clock_id(pid).ok()?.now().ok()?;
    let seconds = u64::try_from(time.tv_sec()).ok()?;
    Some(Duration::new(seconds, u32::try_from(time.tv_nsec()).ok()?))
}

/// Time that the threads a process has were ready to run but had no processor.
fn waiting_time(folder: &Path) -> Duration {
    let Ok(tasks) = fs::read_dir(folder.join("task")) else {
        return Duration::ZERO;
    };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| super::usage::parse_schedstat(&text))
        .map(|(_, waiting)| waiting)
        .sum()
}

/// The process and everything that descends from it, itself first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return vec![root];
    };
    let mut parents = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        parents.extend(parent(&stat).map(|parent| (pid, parent)));
    }
    descendants(root, &parents)
}

fn descendants(root: u32, parents: &[(u32, u32)]) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        let children = parents
            .iter()
            .filter(|&&(pid, of)| of == parent && pid != root);
        found.extend(children.map(|&(pid, _)| pid));
        next += 1;
    }
    found
}

/// The fourth field of `/proc/PID/stat`; the second is a name in brackets that may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn threads(status: &str) -> usize {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

/// The number of a line like `VmRSS:     1234 kB`.
fn kibibytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use engine::io::clock;

    use super::*;

    #[test]
    fn a_name_in_brackets_may_hold_anything() {
        assert_eq!(parent("7 (nginx: w) R) S 5 7 7 0"), Some(5));
        assert_eq!(parent("7 (a) S"), None);
        assert_eq!(parent(""), None);
    }

    #[test]
    fn descendants_are_found_in_any_order() {
        let parents = [(1, 0), (9, 4), (4, 2), (3, 2), (2, 1), (8, 7)];
        assert_eq!(descendants(2, &parents), [2, 4, 3, 9]);
        assert_eq!(descendants(8, &parents), [8]);
        // Process 0 is its own parent nowhere, but a cycle must not hang.
        assert_eq!(descendants(5, &[(5, 5)]), [5]);
    }

    #[test]
    fn lines_of_status_files() {
        let text = "Name:\tx\nVmRSS:\t    1234 kB\nThreads:\t3\n";
        assert_eq!((kibibytes(text, "VmRSS:"), threads(text)), (1234, 3));
        assert_eq!((kibibytes("", "VmRSS:"), threads("")), (0, 0));
    }

    #[test]
    fn a_thread_that_ends_in_between_is_counted() {
        const WORK: Duration = Duration::from_millis(40);
        let mut watched = Watched::new(std::process::id()).expect("it runs");
        let from = clock::now();
        let to = from + Duration::from_millis(1);
        watched.look(from, from, to);
        let spinner = std::thread::Builder::new().spawn(|| {
            let mut sum = 0_u64;
            while super::super::usage::Usage::read().thread < WORK {
                sum = std::hint::black_box(sum + 1);
            }
        });
        spinner.expect("a thread").join().expect("it ends");
        assert!(watched.consumption().is_none());
        watched.look(clock::now(), from, to);
        let seen = watched.consumption().expect("the end was seen");
        assert!(seen.cpu_seconds >= 0.9 * WORK.as_secs_f64(), "{seen:?}");
        assert!(
            seen.resident_bytes > 1 << 20 && seen.thread_count > 0,
            "{seen:?}"
        );
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(Watched::new(u32::MAX).is_err());
    }
}
