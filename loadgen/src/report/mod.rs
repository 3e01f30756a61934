//! The result of a run, in the forms people and programs read.
//!
//! | form | for | file |
//! |---|---|---|
//! | text | a person at a terminal | `text.rs` |
//! | JSON | scripts; the schema is in README.md and has a version | `json.rs` |
//! | `.hgrm` | HdrHistogram plotters: percentile spectrum of the response time | `hgrm.rs` |
//! | `.hlog` | HdrHistogram log tools: all series, interval by interval | `hlog.rs` |
//!
//! `figures.rs` holds the parts of the JSON that this program reads again.
//! Writers only write: every figure they need is in [`Report`].

pub(crate) mod entries;
pub(crate) mod figures;
pub(crate) mod hgrm;
pub(crate) mod hlog;
pub(crate) mod json;
pub(crate) mod text;

use std::io::{Write as _, stdout};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::entries::EntryResult;
use crate::environment::{Environment, Meanwhile};
use crate::run::options::about::About;
use crate::run::usage::Usage;
use crate::run::watched::Consumption;
use crate::sample::Samples;
use crate::transport::opening::Tally;
use crate::verdict::Verdict;

/// The percentiles that reports show.
pub(crate) const PERCENTILES: [f64; 7] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// Writes to stdout. A reader that has seen enough is no error.
pub(crate) fn print(text: &str) -> Result<(), String> {
    let mut out = stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(format!("cannot print: {error}")),
        Ok(()) => Ok(()),
    }
}

/// What was run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Description {
    /// The URL as given.
    pub url: String,
    /// The Unix socket used instead of the URL's host, if any.
    pub unix: Option<String>,
    /// Requests per second of an open loop, on average; `None` for a closed loop.
    pub rate: Option<f64>,
    /// The schedule of an open loop in words: its rate and how requests are spaced.
    pub schedule: Option<String>,
    /// Start of the random numbers.
    pub seed: u64,
    /// Connections, over all threads.
    pub connections: usize,
    /// What is spoken: `HTTP/1.1`, `HTTP/2`, `gRPC`, or `auto` where TLS was to agree on it.
    pub protocol: &'static str,
    /// Requests that may be under way on a connection at a time.
    pub streams: usize,
    /// Threads.
    pub threads: usize,
    /// The processors they are pinned to; empty if not.
    pub cpus: Vec<usize>,
    /// Seconds before recording.
    pub warmup_seconds: f64,
    /// Seconds of recording asked for.
    pub duration_seconds: f64,
}

/// One interval, in short.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct IntervalRow {
    /// Seconds from the start of the measured time.
    pub start_seconds: f64,
    /// Seconds it lasted.
    pub length_seconds: f64,
    /// Right answers.
    pub answered: u64,
    /// Wrong or broken ones.
    pub failed: u64,
    /// 50th percentile of the response time.
    pub p50_ns: u64,
    /// 99th percentile of the response time.
    pub p99_ns: u64,
    /// The longest response time.
    pub max_ns: u64,
}

/// All that is known about a run.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// What was run.
    pub description: Description,
    /// What is said about it.
    pub about: About,
    /// Where.
    pub environment: Environment,
    /// What was measured.
    pub samples: Samples,
    /// The same by entry of a mix or trace; empty when there is only one.
    pub entries: Vec<EntryResult>,
    /// The same, in short, second by second.
    pub intervals: Vec<IntervalRow>,
    /// The measured time; shorter than asked for when the run was interrupted.
    pub measured: Duration,
    /// Was it interrupted?
    pub interrupted: bool,
    /// By shard: what its thread used in the measured time.
    pub usages: Vec<Usage>,
    /// How opening connections went.
    pub tally: Tally,
    /// What the whole machine did meanwhile.
    pub meanwhile: Meanwhile,
    /// What the watched process consumed, if one was named.
    pub watched: Option<Consumption>,
    /// How it is judged.
    pub verdict: Verdict,
}

impl Report {
    /// Right answers per second.
    fn answered_per_second(&self) -> f64 {
        self.per_second(self.samples.counts.answered)
    }

    fn per_second(&self, count: u64) -> f64 {
        if self.measured.is_zero() {
            0.0
        } else {
            count as f64 / self.measured.as_secs_f64()
        }
    }

    /// CPU time of the whole generator in the measured time.
    fn cpu_total(&self) -> Duration {
        self.usages
            .iter()
            .map(|usage| usage.process)
            .max()
            .unwrap_or_default()
    }

    /// CPU microseconds of the whole generator per request.
    fn cpu_us_per_request(&self) -> f64 {
        self.cpu_total().as_secs_f64() * 1e6 / self.samples.counts.total().max(1) as f64
    }

    /// CPU microseconds of the watched process per right answer. The readings lie a little off the
    /// ends of the measured time, hence shares of time and not sums.
    fn watched_us_per_request(&self) -> Option<f64> {
        let watched = self.watched.filter(|watched| watched.seconds > 0.0)?;
        let rate = self.answered_per_second();
        (rate > 0.0).then(|| watched.cpu_seconds / watched.seconds / rate * 1e6)
    }

    /// The busiest thread: its CPU time and its waiting time.
    fn busiest(&self) -> (Duration, Duration) {
        let busiest = self
            .usages
            .iter()
            .max_by_key(|usage| usage.thread + usage.waiting);
        busiest.map_or_else(Default::default, |usage| (usage.thread, usage.waiting))
    }
}

#[cfg(test)]
mod tests;
