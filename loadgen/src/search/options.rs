//! Options of `loadgen search`, and the words that teach them.
//!
//! What is asked and who asks are the options of `loadgen run`. Clap checks single values,
//! [`SearchOptions::check`] checks them against each other.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::condition::Condition;
use crate::quantity::{self, Rate};
use crate::run::options::{AboutOptions, GeneratorOptions, RequestOptions, RunOptions};
use crate::schedule::{Arrivals, Pace};
use crate::target::Url;

use super::decide::Bounds;

/// The long description.
pub(crate) const LONG: &str = "\
Find the highest rate at which a target keeps an SLO.

The rate is doubled until the SLO breaks and then bisected. Every step repeats short runs, windows,
until its verdict is significant; one that windows keep disagreeing about is called inconclusive.
The rate that is found is tested once more, and so is the one just above it: the first has to keep
the SLO, the second has to break it, or the search goes on.

When the SLO breaks because the generator was late, that is said: the result is then a lower bound.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Examples:
  loadgen search http://127.0.0.1:8080/ --slo 'p99<5ms'
  loadgen search http://127.0.0.1:8080/ --slo 'p99.9<20ms' --slo 'errors<=0.1%' --precision 2%
  loadgen search http://h/ --slo 'p99<5ms' --start-rate 20k --max-rate 100k --cpus 1
  loadgen search http://h/ --slo 'p99<5ms' --arrivals poisson       requests as from many users

An SLO is FIGURE RELATION BOUND, as in --fail-if of `loadgen run`; unless one speaks of errors, no
error is allowed. All of them must hold.

Exit codes:
  0  a rate was found, or --max-rate keeps the SLO
  1  wrong usage, no connection at all
  2  the SLO does not hold even at --min-rate
  3  the generator was the bottleneck (\"at least R\"), retests contradicted each other, or it was
     interrupted: then the steps that had ended are reported";

/// Options of `loadgen search`.
#[derive(Debug, Args)]
pub(crate) struct SearchOptions {
    /// Who asks.
    #[command(flatten)]
    pub generator: GeneratorOptions,
    /// What is asked.
    #[command(flatten)]
    pub request: RequestOptions,

    /// What must hold, as in 'p99<5ms', 'service.max<1s', 'errors<=0.1%'; repeatable.
    #[arg(long, value_name = "CONDITION", value_parser = Condition::parse, required = true,
        help_heading = "Search")]
    pub slo: Vec<Condition>,
    /// The rate to begin with, in requests per second.
    #[arg(long, value_name = "R", value_parser = Rate::parse, default_value = "1k",
        help_heading = "Search")]
    pub start_rate: Rate,
    /// The lowest rate to try.
    #[arg(long, value_name = "R", value_parser = Rate::parse, default_value = "1",
        help_heading = "Search")]
    pub min_rate: Rate,
    /// The highest rate to try.
    #[arg(long, value_name = "R", value_parser = Rate::parse, default_value = "10M",
        help_heading = "Search")]
    pub max_rate: Rate,
    /// How far apart the highest rate that keeps the SLO and one that breaks it may be at the end.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "5%",
        help_heading = "Search")]
    pub precision: f64,
    /// How often the result is to be right.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "95%",
        help_heading = "Search")]
    pub confidence: f64,
    /// How long a window is measured.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, default_value = "2s",
        help_heading = "Search")]
    pub step_duration: Duration,
    /// How long to send before each window.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, default_value = "500ms",
        help_heading = "Search")]
    pub step_warmup: Duration,

    /// How requests are spaced: `constant`, `poisson` or `burst:100`, as for `loadgen run`.
    #[arg(long, value_name = "LAW", value_parser = Arrivals::parse, default_value = "constant",
        help_heading = "Search")]
    pub arrivals: Arrivals,
    /// Start of the random numbers; each window has its own.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Search")]
    pub seed: u64,

    /// Write the result as JSON; `-` writes it instead of the text.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
    /// Show no progress.
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
}

impl SearchOptions {
    /// Checks values against each other; gives the URL, taken apart.
    pub(crate) fn check(&self) -> Result<Url, String> {
        let (min, max) = (self.min_rate.per_second(), self.max_rate.per_second());
        if min > max {
            return Err(format!("--min-rate {min} is above --max-rate {max}"));
        }
        if !(0.005..=1.0).contains(&self.precision) {
            return Err("--precision lies between 0.5% and 100%".into());
        }
        if !(0.5..=0.9999).contains(&self.confidence) {
            return Err("--confidence lies between 50% and 99.99%".into());
        }
        if self.step_duration.is_zero() {
            return Err("--step-duration must not be zero".into());
        }
        self.generator.check()?;
        self.request.check(&self.generator.connection)
    }

    /// Where to search.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            start: self.start_rate.per_second(),
            min: self.min_rate.per_second(),
            max: self.max_rate.per_second(),
            precision: self.precision,
        }
    }

    /// Window `number` as a run. Windows are taken as independent, so what is drawn is drawn anew.
    pub(crate) fn window(&self, rate: Rate, number: u64) -> RunOptions {
        RunOptions {
            generator: self.generator.clone(),
            rate: Some(Pace::from(rate)),
            arrivals: self.arrivals,
            seed: self.seed.wrapping_add(number),
            duration: Some(self.step_duration),
            warmup: self.step_warmup,
            watch_pid: None,
            request: self.request.clone(),
            fail_if: Vec::new(),
            json: None,
            hgrm: None,
            hlog: None,
            about: AboutOptions::default(),
            quiet: true,
            plain: false,
        }
    }
}
