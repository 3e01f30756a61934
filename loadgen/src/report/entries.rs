//! Results by entry: the requests of a mix, the methods of a trace.
//!
//! An entry counts and times as the whole run does (response time, from when a request was due),
//! so that the entries add up to it.

use std::collections::BTreeMap;
use std::fmt::{Formatter, Result};

use serde::Serialize;

use super::json::{Series, series};
use crate::quantity::show_nanos;
use crate::sample::{Failure, Samples};
use crate::traffic::Traffic;

/// The longest name that a table shows whole.
const NAME_WIDTH: usize = 24;

/// What became of the requests of one entry.
#[derive(Clone, Debug)]
pub(crate) struct EntryResult {
    /// Its name.
    pub name: String,
    /// How often it was to be sent, in proportion to the others.
    pub weight: u64,
    /// What was measured.
    pub samples: Samples,
}

impl EntryResult {
    /// The entries of `traffic`, without results; none when there is only one.
    pub(crate) fn of(traffic: &Traffic) -> Vec<Self> {
        let entries = traffic.entries();
        if entries.len() < 2 {
            return Vec::new();
        }
        let empty = |(name, weight)| Self {
            name,
            weight,
            samples: Samples::new(false),
        };
        entries.into_iter().map(empty).collect()
    }
}

/// An entry in JSON.
#[derive(Serialize)]
pub(super) struct Entry<'a> {
    name: &'a str,
    weight: u64,
    due: u64,
    answered: u64,
    failed: u64,
    unanswered: u64,
    received_bytes: u64,
    errors: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<usize, u64>,
    response_time: Series,
}

/// The entry as JSON has it.
pub(super) fn entry(result: &EntryResult) -> Entry<'_> {
    let counts = &result.samples.counts;
    Entry {
        name: &result.name,
        weight: result.weight,
        due: counts.total(),
        answered: counts.answered,
        failed: counts.failed_total(),
        unanswered: counts.unanswered,
        received_bytes: counts.received_bytes,
        errors: Failure::ALL
            .map(|failure| (failure.label(), counts.failed(failure)))
            .into(),
        statuses: counts.statuses().collect(),
        response_time: series(&result.samples.latency),
    }
}

/// A table with a line for each entry; nothing when there is none.
pub(super) fn table(f: &mut Formatter<'_>, entries: &[EntryResult]) -> Result {
    if entries.is_empty() {
        return Ok(());
    }
    let name = format!("{:<NAME_WIDTH$}", "response time of");
    write!(
        f,
        "\n{name}{:>10}{:>10}{:>8}{:>11}",
        "due", "answered", "failed", "unanswered"
    )?;
    for title in ["p50", "p99", "max"] {
        write!(f, "{title:>9}")?;
    }
    writeln!(f)?;
    for EntryResult { name, samples, .. } in entries {
        let (counts, latency) = (&samples.counts, &samples.latency);
        write!(f, "{:<NAME_WIDTH$}", shortened(name))?;
        write!(
            f,
            "{:>10}{:>10}{:>8}{:>11}",
            counts.total(),
            counts.answered,
            counts.failed_total(),
            counts.unanswered
        )?;
        if latency.is_empty() {
            writeln!(f, "  no samples")?;
            continue;
        }
        let times = [
            latency.value_at_percentile(50.0),
            latency.value_at_percentile(99.0),
            latency.max(),
        ];
        for time in times {
            write!(f, "{:>9}", show_nanos(time as f64))?;
        }
        writeln!(f)?;
    }
    Ok(())
}

/// A name that leaves a blank behind it in its column.
fn shortened(name: &str) -> String {
    if name.chars().count() < NAME_WIDTH {
        return name.into();
    }
    let kept: String = name.chars().take(NAME_WIDTH - 4).collect();
    format!("{kept}...")
}
