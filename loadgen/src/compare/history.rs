//! The histograms of an entry: one interval log with a line per round and series.
//!
//! Each run leaves a log of its own, second by second. Rounds are short, so what a second of one
//! says is little; a line per round says the same in a third of the space, and an entry is one file
//! that every HdrHistogram tool reads. The lines stand in the order of the rounds, each at the
//! time it was measured, counted from the first round of the comparison.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::hist::format::read_log;
use crate::hist::recording::{Interval, Recording, sum};
use crate::report::hlog::{RESPONSE_TIME, Sink};
use crate::sample::{OpenSeries, Samples};

/// Writes the log of an entry from those of its runs, each with the seconds it began at.
pub(crate) fn write(
    path: &Path,
    (entry, began): (&str, SystemTime),
    runs: &[(f64, PathBuf)],
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let mut sink = Sink::create(path).map_err(failed)?;
    let title = format!("loadgen compare: {entry}, a line per round and series");
    let mut lines = sink.begin(&title, RESPONSE_TIME, began).map_err(failed)?;
    for (at_seconds, run) in runs {
        let log = read_log(run)?;
        let start = Duration::from_secs_f64(at_seconds.max(0.0));
        let ends = log.intervals(None).iter().map(Interval::end_seconds);
        let length = Duration::from_secs_f64(ends.fold(0.0, f64::max));
        lines.write(&samples(&log), start, length).map_err(failed)?;
    }
    Ok(())
}

/// All of a run, as one interval.
fn samples(log: &Recording) -> Samples {
    let series = |tag: Option<&str>| sum(log.intervals(tag).iter().map(|interval| &interval.times));
    let mut samples = Samples::new(false);
    samples.latency = series(None);
    let is_open = log.series(Some("uncorrected")).is_some();
    samples.open = is_open.then(|| OpenSeries {
        service: series(Some("uncorrected")),
        lag: series(Some("send_lag")),
    });
    samples
}
