//! A run as its JSON tells it, as far as a page shows it.
//!
//! The file may have been written by an older program, or a newer one: what is missing is empty,
//! what is not known is left alone. What was asked for (`run`) is kept as it stands and shown field
//! by field, so that a new option is on the page without a line here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::environment::{Environment, Meanwhile};
use crate::report::IntervalRow;
use crate::report::figures::{Generator, Requests, Times, Watched};
use crate::run::options::about::About;

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
    #[serde(flatten)]
    pub about: About,
    /// Second by second.
    #[serde(default)]
    pub intervals: Vec<IntervalRow>,
}

impl Measured {
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
