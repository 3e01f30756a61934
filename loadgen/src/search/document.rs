//! A search as its JSON tells it: written at its end, read again for its page.
//!
//! Only data: `outcome.rs` fills it, `page/search.rs` shows it. What an older program did not
//! write is empty.

use serde::{Deserialize, Serialize};

use crate::environment::Environment;

/// The version of the document.
pub(super) const SCHEMA: u32 = 1;

/// All of a search.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Document {
    /// The version of the document.
    pub schema: u32,
    /// What was asked.
    pub url: String,
    /// What had to hold.
    pub slo: Vec<String>,
    /// Connections of the generator.
    pub connections: usize,
    /// How requests were spaced.
    #[serde(default)]
    pub arrivals: String,
    /// Start of the random numbers.
    #[serde(default)]
    pub seed: u64,
    /// How far apart the two rates may be at the end, as a share.
    pub precision: f64,
    /// How often the result is to be right, as a share.
    pub confidence: f64,
    /// How long a window was measured.
    pub window_seconds: f64,
    /// How long was sent before each.
    pub warmup_seconds: f64,
    /// Where.
    pub environment: Environment,
    /// The steps, in their order.
    pub steps: Vec<StepRow>,
    /// The word for how it ended.
    pub result: String,
    /// The highest rate that keeps the SLO.
    pub rate: Option<f64>,
    /// The lowest rate known to break it.
    pub broken_rate: Option<f64>,
    /// The generator was not the bottleneck, and the search came to an end.
    pub valid: bool,
    /// Why the lowest rate above the result did not keep the SLO.
    pub reasons: Vec<String>,
    /// What the program ended with.
    pub exit_code: u8,
}

/// One tested rate.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StepRow {
    /// The rate.
    pub rate: f64,
    /// Why it was tested.
    pub purpose: String,
    /// What is held of it.
    pub verdict: String,
    /// The windows, in their order.
    pub windows: Vec<WindowRow>,
}

/// One window.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct WindowRow {
    /// What it showed.
    pub result: String,
    /// The figure of each condition; none where nothing was measured.
    pub figures: Vec<Option<f64>>,
    /// In words: which conditions did not hold, and why the generator is to blame.
    pub reasons: Vec<String>,
}

impl StepRow {
    /// The least and the most of a condition's figure over the windows, if any has one.
    pub(crate) fn span(&self, condition: usize) -> Option<(f64, f64)> {
        let figures = self.windows.iter();
        let figures = figures.filter_map(|window| *window.figures.get(condition)?);
        let span = figures.fold((f64::INFINITY, f64::NEG_INFINITY), |span, figure| {
            (span.0.min(figure), span.1.max(figure))
        });
        (span.0 <= span.1).then_some(span)
    }
}
