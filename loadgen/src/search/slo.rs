//! Did a window keep the SLO? Pure: a run's report in, the window's outcome and its figures out.
//!
//! All conditions must hold, and unless one speaks of errors there must be none. A window that
//! keeps the SLO counts even if the generator was late: its lateness is in the response times, so
//! the target did better still. One that does not keep it says nothing of the target then.

use crate::condition::Condition;
use crate::report::Report;

use super::document::WindowRow;
use super::repeats::Window;

/// What is known of one window.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What it showed.
    pub window: Window,
    /// The figure of each condition, in its order; `None` where nothing was measured.
    pub figures: Vec<Option<f64>>,
    /// In words: which conditions did not hold, and why the generator is to blame.
    pub reasons: Vec<String>,
}

/// The conditions of a search.
#[derive(Clone, Debug)]
pub(crate) struct Slo {
    conditions: Vec<Condition>,
}

impl Slo {
    /// These conditions.
    pub(crate) const fn new(conditions: Vec<Condition>) -> Self {
        Self { conditions }
    }

    /// Holds a window's report against it.
    pub(crate) fn judge(&self, report: &Report) -> Seen {
        let (samples, measured) = (&report.samples, report.measured);
        let value = |condition: &Condition| condition.value(samples, measured);
        let figures: Vec<Option<f64>> = self.conditions.iter().map(value).collect();
        let mut reasons = Vec::new();
        for (condition, figure) in self.conditions.iter().zip(&figures) {
            if !figure.is_some_and(|value| condition.is_met(value)) {
                let described = condition.describe(samples, measured);
                reasons.push(format!("{described} (asked: {condition})"));
            }
        }
        let any_error = Condition::any_error();
        if !self.conditions.iter().any(Condition::is_about_errors)
            && value(&any_error).is_none_or(|share| any_error.is_met(share))
        {
            reasons.push(any_error.describe(samples, measured));
        }
        let bottleneck = &report.verdict.bottleneck;
        let window = match (reasons.is_empty(), bottleneck.is_empty()) {
            (true, _) => Window::Kept,
            (false, true) => Window::Broken,
            (false, false) => Window::Generator,
        };
        if window == Window::Generator {
            reasons.extend(bottleneck.iter().cloned());
        }
        Seen {
            window,
            figures,
            reasons,
        }
    }

    /// A window in which no connection could be opened.
    pub(crate) fn unreachable(&self, error: String) -> Seen {
        Seen {
            window: Window::Broken,
            figures: vec![None; self.conditions.len()],
            reasons: vec![error],
        }
    }

    /// Its conditions.
    pub(crate) fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Seen {
    /// The same for programs.
    pub(crate) fn row(&self) -> WindowRow {
        let result = match self.window {
            Window::Kept => "kept",
            Window::Broken => "broken",
            Window::Generator => "generator",
        };
        WindowRow {
            result: result.into(),
            figures: self.figures.clone(),
            reasons: self.reasons.clone(),
        }
    }
}
