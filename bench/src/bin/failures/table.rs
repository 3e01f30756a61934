//! The table: one row for each fault, one column for each proxy.
//!
//! A cell says, of the requests that were due while the fault lasted, how many of a hundred failed;
//! the 99th percentile of their times, and of those that were due after it; and the time from its
//! begin to the last request that failed or took longer than [`SLOW`].

use std::time::{Duration, Instant};

use super::fault::Fault;
use super::load::Answer;
use super::proxy::Peer;

/// An answer that takes longer has met the fault: one try may take 250 ms.
const SLOW: Duration = Duration::from_millis(200);

/// What clients saw of one fault behind one proxy.
pub(crate) struct Cell {
    requests: usize,
    failed: usize,
    failed_after: usize,
    p99: Duration,
    p99_after: Duration,
    recovery: Duration,
}

impl Cell {
    pub(crate) fn of(answers: &[Answer], failed_at: Instant, recovered_at: Instant) -> Self {
        let during = |answer: &&Answer| (failed_at..recovered_at).contains(&answer.due);
        let after = |answer: &&Answer| answer.due >= recovered_at;
        let is_bad = |answer: &&Answer| !answer.is_right || answer.time > SLOW;
        let met = answers.iter().filter(|answer| answer.due >= failed_at);
        let last = met.filter(is_bad).map(|answer| answer.due + answer.time);
        let last = last.max().unwrap_or(failed_at);
        let failed = |answer: &&Answer| !answer.is_right;
        Self {
            requests: answers.iter().filter(during).count(),
            failed: answers.iter().filter(during).filter(failed).count(),
            failed_after: answers.iter().filter(after).filter(failed).count(),
            p99: p99(answers.iter().filter(during)),
            p99_after: p99(answers.iter().filter(after)),
            recovery: last.saturating_duration_since(failed_at),
        }
    }

    fn text(&self) -> String {
        let share = self.failed as f64 * 100.0 / self.requests.max(1) as f64;
        let after = match self.failed_after {
            0 => String::new(),
            some => format!(" (+{some})"),
        };
        format!(
            "{share:.2} %{after}, {} / {} ms, {:.1} s",
            self.p99.as_millis(),
            self.p99_after.as_millis(),
            self.recovery.as_secs_f64()
        )
    }
}

fn p99<'a>(answers: impl Iterator<Item = &'a Answer>) -> Duration {
    let mut times: Vec<Duration> = answers.map(|answer| answer.time).collect();
    times.sort_unstable();
    let place = times.len().saturating_mul(99) / 100;
    let last = times.last().copied().unwrap_or_default();
    times.get(place).copied().unwrap_or(last)
}

/// The first lines.
pub(crate) fn head(peers: &[Peer]) {
    println!("failed (+ after), p99 during / after, time to recover\n");
    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    println!("| fault | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(peers.len()));
}

/// One line.
pub(crate) fn row(fault: Fault, cells: &[Cell]) {
    let cells: Vec<String> = cells.iter().map(Cell::text).collect();
    println!("| {} | {} |", fault.name(), cells.join(" | "));
}
