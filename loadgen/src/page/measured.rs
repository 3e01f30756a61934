//! A run as its JSON tells it, as far as a page shows it.
//!
//! The file may have been written by an older program, or a newer one: what is missing is empty,
//! what is not known is left alone. What was asked for (`run`) is kept as it stands and shown field
//! by field, so that a new option is on the page without a line here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::environment::{Environment, Meanwhile};

/// A run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Measured {
    /// What was asked for.
    pub run: Map<String, Value>,
    /// Where it was made.
    pub environment: Environment,
    /// What the machine did meanwhile.
    #[serde(default)]
    pub meanwhile: Meanwhile,
    /// The measured time.
    pub measured_seconds: f64,
    /// It was ended before that.
    #[serde(default)]
    pub interrupted: bool,
    /// Requests by what became of them.
    pub requests: Requests,
    /// Right answers per second.
    pub answers_per_second: f64,
    /// Bytes of answers.
    #[serde(default)]
    pub received_bytes: u64,
    /// Wrong and missing answers by kind.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// Whole answers by status.
    #[serde(default)]
    pub statuses: BTreeMap<u16, u64>,
    /// From the due time.
    pub response_time: Times,
    /// From sending; open loops only.
    pub service_time: Option<Times>,
    /// How late the generator was; open loops only.
    pub send_lag: Option<Times>,
    /// The generator itself.
    pub generator: Generator,
    /// The process that was watched.
    pub watched: Option<Watched>,
    /// The word for what became of it.
    pub result: String,
    /// Which demands were broken.
    #[serde(default)]
    pub broken: Vec<String>,
    /// What whoever made it says about it.
    pub note: Option<String>,
    /// The target's configuration.
    pub target_configuration: Option<Configuration>,
    /// Second by second.
    #[serde(default)]
    pub intervals: Vec<Interval>,
}

/// A configuration as it was handed over.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Configuration {
    /// Name of its file.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// Requests by what became of them.
#[derive(Clone, Copy, Debug, Deserialize)]
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
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Times {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean_ns: f64,
    /// The shortest.
    pub min_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// By percentile.
    pub percentiles_ns: BTreeMap<String, u64>,
}

/// The generator itself.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Generator {
    /// It was the bottleneck.
    pub bottleneck: bool,
    /// Why.
    pub reasons: Vec<String>,
    /// CPU time per request.
    pub cpu_us_per_request: f64,
    /// Its threads.
    pub threads: Vec<Thread>,
}

/// A thread, in shares of the measured time.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Thread {
    /// Running.
    pub busy_share: f64,
    /// Ready to run, without a processor.
    pub waiting_share: f64,
}

/// The process that was watched, with its children.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Watched {
    /// CPU time per right answer.
    pub cpu_us_per_request: Option<f64>,
    /// From the first to the last reading.
    pub seconds: f64,
    /// CPU time.
    pub cpu_seconds: f64,
    /// Time its threads were ready to run without a processor.
    pub waiting_seconds: f64,
    /// Processes at the end.
    pub process_count: usize,
    /// Threads at the end.
    pub thread_count: usize,
    /// Resident memory at the end.
    pub resident_bytes: u64,
}

/// One interval.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Interval {
    /// From the start of the measured time.
    pub start_seconds: f64,
    /// How long it was.
    pub length_seconds: f64,
    /// Right answers.
    pub answered: u64,
    /// Wrong ones.
    pub failed: u64,
    /// Median of the response time.
    pub p50_ns: u64,
    /// Its 99th percentile.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Measured {
    /// Reads the JSON of a run.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        serde_json::from_str(&text)
            .map_err(|error| format!("{} is not the JSON of a run: {error}", path.display()))
    }

    /// A text of what was asked for; empty if it is not there.
    pub(crate) fn asked(&self, name: &str) -> &str {
        self.run.get(name).and_then(Value::as_str).unwrap_or("")
    }

    /// A number of what was asked for.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.run.get(name).and_then(Value::as_f64)
    }

    /// Its rate, if the loop was open.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.number("rate")
    }
}
