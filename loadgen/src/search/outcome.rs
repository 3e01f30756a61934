//! What a search came to, in the forms people and programs read: text and JSON.
//!
//! Only words: every figure is in [`Searched`]. The steps are listed in the order they were made,
//! each condition with the span of its figure over the windows; the result stands last.

use std::fmt::{self, Display, Formatter};

use crate::environment::Environment;
use crate::quantity::show_rate;
use crate::verdict::Outcome;

use super::decide::{Ending, Probe};
use super::document::{Document, SCHEMA, StepRow};
use super::options::SearchOptions;
use super::repeats::{Verdict, Window};
use super::slo::{Seen, Slo};

/// One tested rate.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The rate, and why it was tested.
    pub probe: Probe,
    /// What is held of it.
    pub verdict: Verdict,
    /// The windows, in their order.
    pub windows: Vec<Seen>,
}

impl Step {
    /// The same for programs.
    fn row(&self) -> StepRow {
        StepRow {
            rate: self.probe.rate,
            purpose: self.probe.purpose.label().into(),
            verdict: self.verdict.label().into(),
            windows: self.windows.iter().map(Seen::row).collect(),
        }
    }
}

/// A search that is over.
pub(crate) struct Searched<'a> {
    /// What was asked.
    pub options: &'a SearchOptions,
    /// Where, as it was before the first step.
    pub environment: Environment,
    /// What had to hold.
    pub slo: &'a Slo,
    /// What was tested.
    pub steps: Vec<Step>,
    /// How it ended; `None` if a signal ended it.
    pub ending: Option<Ending>,
    /// The highest rate that kept the SLO and the lowest that broke it, as far as is known.
    pub interval: (Option<f64>, Option<f64>),
}

impl Searched<'_> {
    /// What it means for whoever called.
    pub(crate) const fn outcome(&self) -> Outcome {
        match self.ending {
            Some(Ending::Found { .. } | Ending::AtMaximum { .. }) => Outcome::Pass,
            Some(Ending::NeverKept) => Outcome::Broken,
            Some(Ending::Generator { .. } | Ending::Unsettled { .. }) | None => Outcome::Invalid,
        }
    }

    /// The highest rate that keeps the SLO and the lowest known to break it.
    fn rates(&self) -> (Option<f64>, Option<f64>) {
        match self.ending {
            Some(Ending::Found { low, high }) => (Some(low), Some(high)),
            Some(Ending::AtMaximum { low }) => (Some(low), None),
            Some(Ending::Generator { low }) => (low, None),
            Some(Ending::NeverKept) => (None, self.interval.1),
            Some(Ending::Unsettled { low, high }) => (low, high),
            None => self.interval,
        }
    }

    const fn label(&self) -> &'static str {
        match self.ending {
            Some(Ending::Found { .. }) => "found",
            Some(Ending::AtMaximum { .. }) => "kept at the highest rate",
            Some(Ending::Generator { .. }) => "generator was the bottleneck",
            Some(Ending::NeverKept) => "never kept",
            Some(Ending::Unsettled { .. }) => "unsettled",
            None => "interrupted",
        }
    }

    /// Why the lowest rates above the result did not keep the SLO: from the last such window.
    fn reasons(&self) -> Option<(f64, &[String])> {
        let (low, _) = self.rates();
        let above = |step: &&Step| low.is_none_or(|low| step.probe.rate > low);
        let lowest = self
            .steps
            .iter()
            .rev()
            .filter(above)
            .filter(|step| step.verdict != Verdict::Kept)
            .min_by(|one, other| one.probe.rate.total_cmp(&other.probe.rate))?;
        let mut windows = lowest.windows.iter().rev();
        let last = windows.find(|seen| seen.window != Window::Kept)?;
        Some((lowest.probe.rate, &last.reasons))
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let (low, high) = self.rates();
        let document = Document {
            schema: SCHEMA,
            url: self.options.request.url.clone(),
            slo: self
                .slo
                .conditions()
                .iter()
                .map(ToString::to_string)
                .collect(),
            connections: self.options.generator.connections,
            arrivals: self.options.arrivals.to_string(),
            seed: self.options.seed,
            precision: self.options.precision,
            confidence: self.options.confidence,
            window_seconds: self.options.step_duration.as_secs_f64(),
            warmup_seconds: self.options.step_warmup.as_secs_f64(),
            environment: self.environment.clone(),
            steps: self.steps.iter().map(Step::row).collect(),
            result: self.label().into(),
            rate: low,
            broken_rate: high,
            reasons: self
                .reasons()
                .map_or_else(Vec::new, |(_, reasons)| reasons.to_vec()),
            valid: self.outcome() != Outcome::Invalid,
            exit_code: self.outcome() as u8,
        };
        // Numbers, strings and maps with plain keys: there is nothing that could fail.
        serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
    }
}

impl Display for Searched<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let options = self.options;
        writeln!(f, "{}", options.request.url)?;
        write!(f, "SLO")?;
        for condition in self.slo.conditions() {
            write!(f, "  {condition}")?;
        }
        writeln!(
            f,
            "\n{} connections, {} arrivals; windows of {:?} after {:?}; precision {:.1} %, \
             confidence {} %\n",
            options.generator.connections,
            options.arrivals,
            options.step_duration,
            options.step_warmup,
            options.precision * 100.0,
            options.confidence * 100.0
        )?;
        self.table(f)?;
        self.result(f)
    }
}

impl Searched<'_> {
    fn table(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>10}  {:<8}{:>8}  {:<13}",
            "rate/s", "step", "windows", "verdict"
        )?;
        for condition in self.slo.conditions() {
            write!(f, "  {:<22}", condition.to_string())?;
        }
        writeln!(f)?;
        for step in self.steps.iter().map(Step::row) {
            write!(
                f,
                "{:>10}  {:<8}{:>8}  {:<13}",
                step.rate,
                step.purpose,
                step.windows.len(),
                step.verdict
            )?;
            for (at, condition) in self.slo.conditions().iter().enumerate() {
                write!(f, "  {:<22}", condition.show_span(step.span(at)))?;
            }
            writeln!(f)?;
        }
        writeln!(f)
    }

    fn result(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (low, high) = self.rates();
        let low = low.map(show_rate);
        match (self.ending, &low) {
            (Some(Ending::Found { high, .. }), Some(low)) => {
                let high = show_rate(high);
                writeln!(
                    f,
                    "{low} keeps the SLO, {high} does not: the knee lies between them"
                )?;
            }
            (Some(Ending::AtMaximum { .. }), Some(low)) => {
                writeln!(f, "at least {low}: the highest rate to try keeps the SLO")?;
            }
            (Some(Ending::Generator { .. }), Some(low)) => {
                writeln!(
                    f,
                    "at least {low}: above it the generator was the bottleneck"
                )?;
            }
            (Some(Ending::NeverKept), _) => {
                let min = show_rate(self.options.min_rate.per_second());
                writeln!(
                    f,
                    "the SLO does not hold even at {min}, the lowest rate to try"
                )?;
            }
            (Some(Ending::Unsettled { .. }), _) => {
                let [low, high] =
                    [low, high.map(show_rate)].map(|one| one.unwrap_or_else(|| "?".into()));
                writeln!(
                    f,
                    "retests contradicted the steps before them again and again: between {low} \
                     and {high}, but not to be relied on"
                )?;
            }
            (None, Some(low)) => writeln!(f, "interrupted; {low} kept the SLO")?,
            (None | Some(_), _) => writeln!(f, "no rate was shown to keep the SLO")?,
        }
        if let Some((rate, reasons)) = self.reasons() {
            for reason in reasons {
                writeln!(f, "at {}: {reason}", show_rate(rate))?;
            }
        }
        writeln!(f, "result         {}", self.label())
    }
}
