//! The table: one row for each fault, one column for each proxy; then where the first is behind.
//!
//! A cell says, of the requests that were due while the fault lasted, how many of a hundred failed
//! and how many took longer than [`SLOW`]; the 99th percentile of their times, and of those that
//! were due after it; and the time from its begin to the last request that failed or was slow.

use std::time::{Duration, Instant};

use super::fault::Fault;
use super::load::Answer;
use super::proxy::Peer;

/// An answer that takes longer has met the fault: one try may take 250 ms.
const SLOW: Duration = Duration::from_millis(200);

/// What clients saw of one fault behind one proxy.
pub(crate) struct Cell {
    /// Per cent of the requests during the fault.
    failed: f64,
    slow: f64,
    /// Requests after it.
    failed_after: usize,
    p99: Duration,
    p99_after: Duration,
    recovery: Duration,
}

impl Cell {
    pub(crate) fn of(answers: &[Answer], failed_at: Instant, recovered_at: Instant) -> Self {
        let during = |answer: &&Answer| (failed_at..recovered_at).contains(&answer.due);
        let after = |answer: &&Answer| answer.due >= recovered_at;
        let is_slow = |answer: &&Answer| answer.is_right && answer.time > SLOW;
        let failed = |answer: &&Answer| !answer.is_right;
        let met = answers.iter().filter(|answer| answer.due >= failed_at);
        let bad = met.filter(|answer| failed(answer) || is_slow(answer));
        let last = bad.map(|answer| answer.due + answer.time).max();
        let last = last.unwrap_or(failed_at);
        let all = answers.iter().filter(during).count().max(1);
        let share = |count: usize| count as f64 * 100.0 / all as f64;
        Self {
            failed: share(answers.iter().filter(during).filter(failed).count()),
            slow: share(answers.iter().filter(during).filter(is_slow).count()),
            failed_after: answers.iter().filter(after).filter(failed).count(),
            p99: p99(answers.iter().filter(during)),
            p99_after: p99(answers.iter().filter(after)),
            recovery: last.saturating_duration_since(failed_at),
        }
    }

    pub(crate) fn text(&self) -> String {
        let after = match self.failed_after {
            0 => String::new(),
            some => format!(" (+{some})"),
        };
        format!(
            "{:.2}{after}, {:.2} %; {}, {} ms; {:.1} s",
            self.failed,
            self.slow,
            self.p99.as_millis(),
            self.p99_after.as_millis(),
            self.recovery.as_secs_f64()
        )
    }

    /// Its figures, each with its name, its unit, and how much more than another's it may be before
    /// that is a difference and no noise: a factor and an addend.
    fn figures(&self) -> [(&'static str, &'static str, f64, f64, f64); 6] {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        [
            ("failed", "%", self.failed, 1.0, 0.05),
            ("failed after", "", self.failed_after as f64, 1.0, 0.0),
            ("slow", "%", self.slow, 1.25, 0.25),
            ("p99 during", "ms", millis(self.p99), 1.1, 5.0),
            ("p99 after", "ms", millis(self.p99_after), 1.1, 5.0),
            ("recovery", "s", self.recovery.as_secs_f64(), 1.1, 0.25),
        ]
    }
}

fn p99<'a>(answers: impl Iterator<Item = &'a Answer>) -> Duration {
    let mut times: Vec<Duration> = answers.map(|answer| answer.time).collect();
    times.sort_unstable();
    let place = times.len().saturating_mul(99) / 100;
    let last = times.last().copied().unwrap_or_default();
    times.get(place).copied().unwrap_or(last)
}

/// Prints all of it.
pub(crate) fn print(peers: &[Peer], rows: &[(Fault, Vec<Cell>)]) {
    println!("failed (+ requests after), slow; p99 during, after; time to recover\n");
    let names = peers.iter().map(|peer| peer.name().to_owned());
    let mut lines: Vec<Vec<String>> =
        vec![std::iter::once("fault".to_owned()).chain(names).collect()];
    for (fault, cells) in rows {
        let texts = cells.iter().map(Cell::text);
        lines.push(
            std::iter::once(fault.name().to_owned())
                .chain(texts)
                .collect(),
        );
    }
    let width = |column: usize| {
        lines
            .iter()
            .map(|line| line[column].len())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..=peers.len()).map(width).collect();
    for (place, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(text, width)| format!("{text:width$}"))
            .collect();
        println!("| {} |", cells.join(" | "));
        if place == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
            println!("|{}|", rules.join("|"));
        }
    }
    println!();
    judge(peers, rows);
}

/// Says where the first proxy is behind another, by more than noise.
fn judge(peers: &[Peer], rows: &[(Fault, Vec<Cell>)]) {
    let Some(first) = peers.first().map(|peer| peer.name()) else {
        return;
    };
    let mut is_behind = false;
    for (fault, cells) in rows {
        let Some((own, others)) = cells.split_first() else {
            continue;
        };
        for (place, (name, unit, value, factor, addend)) in own.figures().into_iter().enumerate() {
            let theirs = others.iter().map(|cell| cell.figures()[place].2);
            let best = theirs.zip(&peers[1..]).min_by(|a, b| a.0.total_cmp(&b.0));
            if let Some((best, peer)) = best
                && value > best * factor + addend
            {
                is_behind = true;
                let fault = fault.name();
                println!(
                    "- {fault}: {first} is behind in {name}: {value:.2} {unit}, {} {best:.2} {unit}",
                    peer.name()
                );
            }
        }
    }
    if !is_behind && peers.len() > 1 {
        println!("{first} is at least as good as the best of the others in each figure.");
    }
}
