//! Figures of a run that are written by `json.rs` and read again: by comparisons, which keep them,
//! and by pages.
//!
//! The file may have been written by an older program: what it did not know yet is zero or empty.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::run::watched::Consumption;

/// Requests by what became of them.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Requests {
    /// All of the measured time.
    pub due: u64,
    /// Right answers.
    pub answered: u64,
    /// Wrong answers and broken connections.
    pub failed: u64,
    /// No answer at all.
    pub unanswered: u64,
    /// Due while no connection was free.
    #[serde(default)]
    pub waited_for_connection: u64,
}

/// A series of times, in nanoseconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Times {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean_ns: f64,
    /// Their standard deviation.
    pub stdev_ns: f64,
    /// The shortest.
    pub min_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// By percentile.
    pub percentiles_ns: BTreeMap<String, u64>,
}

impl Times {
    /// What is told of `times`.
    pub(super) fn of(times: &Histogram<u64>) -> Self {
        let at = |percentile: f64| {
            let time = times.value_at_percentile(percentile);
            (format!("{percentile}"), time)
        };
        Self {
            count: times.len(),
            mean_ns: times.mean(),
            stdev_ns: times.stdev(),
            min_ns: times.min(),
            max_ns: times.max(),
            percentiles_ns: super::PERCENTILES.map(at).into(),
        }
    }

    /// A percentile, `"99"`.
    pub(crate) fn at(&self, percentile: &str) -> Option<f64> {
        let time = self.percentiles_ns.get(percentile);
        time.map(|&nanos| nanos as f64)
    }
}

/// The generator itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Generator {
    /// It was the bottleneck.
    pub bottleneck: bool,
    /// Why.
    pub reasons: Vec<String>,
    /// CPU time per request.
    pub cpu_us_per_request: f64,
    /// CPU time.
    pub cpu_seconds: f64,
    /// Its threads.
    pub threads: Vec<Thread>,
}

/// A thread, in shares of the measured time.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Thread {
    /// Running.
    pub busy_share: f64,
    /// Ready to run, without a processor.
    pub waiting_share: f64,
}

/// The process that was watched, with its children.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Watched {
    /// CPU time per right answer; `None` without answers.
    pub cpu_us_per_request: Option<f64>,
    /// All it consumed.
    #[serde(flatten)]
    pub consumption: Consumption,
}
