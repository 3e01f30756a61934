//! The histograms of an entry: one interval log with a line per round and series.
//!
//! Each run leaves a log of its own, second by second. Rounds are short, so what a second of one
//! says is little; a line per round says the same in a third of the space, and an entry is one file
//! that every HdrHistogram tool reads. The lines stand in the order of the rounds, each at the
//! time it was measured, counted from the first round of the comparison.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::page::logs::{Log, sum};
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
        let log = Log::read(run)?;
        let start = Duration::from_secs_f64(at_seconds.max(0.0));
        lines
            .write(&samples(&log), start, log.length())
            .map_err(failed)?;
    }
    Ok(())
}

/// All of a run, as one interval.
fn samples(log: &Log) -> Samples {
    let series = |tag: &'static str| sum(log.of(tag).map(|stretch| &stretch.times));
    let mut samples = Samples::new(false);
    samples.latency = series("");
    let is_open = log.of("uncorrected").next().is_some();
    samples.open = is_open.then(|| OpenSeries {
        service: series("uncorrected"),
        lag: series("send_lag"),
    });
    samples
}
