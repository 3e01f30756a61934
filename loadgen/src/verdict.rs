//! Is the run valid, and did it hold what was asked of it? Pure: figures in, verdict out.
//!
//! The generator was the bottleneck, and the run is *invalid*, when
//! 1. open loop: a request of the schedule is missing from the counts (a fault of this program),
//! 2. a shard's thread was busy, or ready and waiting for a CPU, for more than
//!    [`BUSY_SHARE_MAX`] of the measured time (not judged when the wait spins: it is then busy by
//!    design), or
//! 3. open loop: the 99th percentile of the send lag is more than [`LAG_SHARE_MAX`] of the 99th
//!    percentile of the response time: that much of the figure may be the generator's own.
//!
//! Wrong and missing answers break the run whether it is valid or not; a condition on a time or a
//! rate is judged only in a valid run.

use std::time::Duration;

use crate::condition::Condition;
use crate::quantity;
use crate::run::usage::Usage;
use crate::sample::Samples;

/// The share of the time a thread may be busy or waiting for a CPU before it is the bottleneck.
pub(crate) const BUSY_SHARE_MAX: f64 = 0.95;
/// The share of the response time's 99th percentile that the send lag's may reach.
pub(crate) const LAG_SHARE_MAX: f64 = 0.25;

/// What was asked of the run.
#[derive(Clone, Debug)]
pub(crate) struct Demands {
    /// What fails the run; any error does unless one of these speaks of errors.
    pub fail_if: Vec<Condition>,
    /// How many requests the schedule has in the measured time; `None` for a closed loop.
    pub scheduled: Option<u64>,
    /// The wait before a due time spins, so CPU time says nothing.
    pub spins: bool,
}

/// What became of it; the number is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All demands held.
    Pass = 0,
    /// A demand was broken.
    Broken = 2,
    /// The figures describe the generator, not the target.
    Invalid = 3,
}

impl Outcome {
    /// The word for it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Broken => "broken",
            Self::Invalid => "invalid",
        }
    }
}

/// The verdict on a run, with a sentence for every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// What became of it.
    pub outcome: Outcome,
    /// Why the generator was the bottleneck; empty when it was not.
    pub bottleneck: Vec<String>,
    /// Which demands were broken.
    pub broken: Vec<String>,
    /// More requests than allowed got no right answer.
    pub answers_wrong: bool,
}

impl Verdict {
    /// May the figures be taken for the target's? Not when the generator was the bottleneck, and
    /// not when answers were wrong: errors may be faster, or slower, than answers.
    pub(crate) fn is_valid(&self) -> bool {
        self.bottleneck.is_empty() && !self.answers_wrong
    }

    /// Everything that speaks against the run.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = &String> {
        self.bottleneck.iter().chain(&self.broken)
    }
}

/// Judges a run: all samples, and what each shard's thread used in `measured` time.
pub(crate) fn judge(
    demands: &Demands,
    samples: &Samples,
    usages: &[Usage],
    measured: Duration,
) -> Verdict {
    let bottleneck = bottleneck(demands, samples, usages, measured);
    let (about_errors, about_figures): (Vec<_>, Vec<_>) = demands
        .fail_if
        .iter()
        .cloned()
        .partition(Condition::is_about_errors);
    let breaches = |conditions: &[Condition]| -> Vec<String> {
        let breach = |condition| breach(condition, samples, measured);
        conditions.iter().filter_map(breach).collect()
    };
    let mut broken = match about_errors.as_slice() {
        _ if samples.counts.total() == 0 => vec!["no request was due in the measured time".into()],
        [] => breaches(&[Condition::any_error()]),
        given => breaches(given),
    };
    let answers_wrong = !broken.is_empty();
    broken.extend(breaches(&about_figures));
    let outcome = match (bottleneck.is_empty(), broken.is_empty()) {
        _ if answers_wrong => Outcome::Broken,
        (false, _) => Outcome::Invalid,
        (true, false) => Outcome::Broken,
        (true, true) => Outcome::Pass,
    };
    Verdict {
        outcome,
        bottleneck,
        broken,
        answers_wrong,
    }
}

/// Why `condition` fails the run, if it does; what was not measured cannot be shown to be fine.
fn breach(condition: &Condition, samples: &Samples, measured: Duration) -> Option<String> {
    let value = condition.value(samples, measured);
    value.is_none_or(|value| condition.is_met(value)).then(|| {
        let measured = condition.describe(samples, measured);
        format!("{measured} (fails if {condition})")
    })
}

fn bottleneck(
    demands: &Demands,
    samples: &Samples,
    usages: &[Usage],
    measured: Duration,
) -> Vec<String> {
    let mut reasons = Vec::new();
    let total = samples.counts.total();
    if let Some(scheduled) = demands.scheduled.filter(|&scheduled| scheduled != total) {
        reasons.push(format!(
            "{scheduled} requests were scheduled, {total} accounted for"
        ));
    }
    for (shard, usage) in usages.iter().enumerate().filter(|_| !demands.spins) {
        let (busy, waiting) = (
            share(usage.thread, measured),
            share(usage.waiting, measured),
        );
        if busy + waiting > BUSY_SHARE_MAX {
            reasons.push(format!(
                "thread {shard} was busy {:.0} % and waiting for a CPU {:.0} % of the time",
                busy * 100.0,
                waiting * 100.0
            ));
        }
    }
    if let Some(open) = &samples.open {
        let (lag, latency) = (
            open.lag.value_at_percentile(99.0),
            samples.latency.value_at_percentile(99.0),
        );
        if !samples.latency.is_empty() && lag as f64 > latency as f64 * LAG_SHARE_MAX {
            let (lag, latency) = (
                quantity::show_nanos(lag as f64),
                quantity::show_nanos(latency as f64),
            );
            reasons.push(format!(
                "p99 of the send lag is {lag}, of the response time {latency}"
            ));
        }
    }
    reasons
}

/// `part` of `whole`; nothing of nothing is nothing.
pub(crate) fn share(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() {
        0.0
    } else {
        part.as_secs_f64() / whole.as_secs_f64()
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
