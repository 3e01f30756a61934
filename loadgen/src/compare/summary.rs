//! From runs to figures with intervals, ratios and the word for each difference. Pure.
//!
//! A ratio pairs the runs of one round. The two entries of the peer that was entered twice give the
//! *spread*: the larger end of the interval of their ratio, on either side. A difference is a tie
//! when the interval of its ratio holds 1, or when the ratio lies within the spread.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metric::{Metric, Place};
use super::others::Others;
use super::round::{Measured, Worth};
use super::statistics::{self, Estimate};
use crate::verdict::Outcome;

/// One run of one entry.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    /// Round, from 0.
    pub round: usize,
    /// Place of the entry in the table, from 0.
    pub entry: usize,
    /// When it began, from the start of the first one.
    pub at_seconds: f64,
    /// What was measured.
    pub measured: Measured,
    /// What it is worth.
    pub worth: Worth,
    /// Resident memory of its process when the load began; of a generator, none.
    #[serde(default)]
    pub resident_bytes_at_start: Option<u64>,
    /// What others took of the processors meanwhile.
    #[serde(default)]
    pub others: Others,
    /// How many times it was measured before, in vain: others disturbed it.
    #[serde(default)]
    pub repeats: usize,
}

/// What an entry came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Line {
    /// Its name.
    pub name: String,
    /// Figures over the rounds that count, by metric.
    pub figures: BTreeMap<String, Estimate>,
    /// Rounds that count.
    pub rounds: usize,
    /// Rounds that count in which the generator was the bottleneck.
    pub generator_bound_rounds: usize,
    /// Those of them in which it was so only by sending late.
    #[serde(default)]
    pub only_late_rounds: usize,
    /// Why rounds do not count.
    pub discarded: Vec<String>,
    /// Wrong and missing answers by kind, over all rounds.
    pub errors: BTreeMap<String, u64>,
    /// Whole answers by status, over all rounds.
    pub statuses: BTreeMap<u16, u64>,
    /// The largest share of a round that the proxy's threads waited for a processor.
    pub waiting_share_max: f64,
    /// Runs that were measured again, since others disturbed them.
    #[serde(default)]
    pub repeats: usize,
}

impl Line {
    /// Does the figure describe the generator in some of the rounds that count?
    pub(crate) fn is_marked(&self, metric: Metric) -> bool {
        let worst = Worth {
            discarded: None,
            generator_bound: self.generator_bound_rounds > 0,
            only_disturbed: false,
            only_late: self.generator_bound_rounds == self.only_late_rounds,
        };
        !metric.stands(&worst)
    }
}

/// The word for a difference.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Word {
    /// Significantly less.
    Less,
    /// Significantly more.
    More,
    /// Not told apart.
    Tie,
}

impl Word {
    /// As it is printed.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Less => "less",
            Self::More => "more",
            Self::Tie => "tie",
        }
    }
}

/// One entry to another, by one metric.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Ratio {
    /// The entry.
    pub entry: String,
    /// The entry it is to.
    pub to: String,
    /// The metric.
    pub metric: String,
    /// The ratio.
    pub ratio: Estimate,
    /// What it means.
    pub word: Word,
}

/// All figures of a comparison.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Summary {
    /// The entries.
    pub entries: Vec<Line>,
    /// The peer that was entered twice, to itself.
    pub noise: Vec<Ratio>,
    /// The other entries to the chosen one.
    pub ratios: Vec<Ratio>,
}

impl Summary {
    /// Wrong answers break a comparison; an entry without a round that counts makes it invalid.
    pub(crate) fn outcome(&self) -> Outcome {
        let lines = &self.entries;
        match () {
            () if lines.iter().any(|line| !line.errors.is_empty()) => Outcome::Broken,
            () if lines.iter().any(|line| line.rounds == 0) => Outcome::Invalid,
            () => Outcome::Pass,
        }
    }
}

/// What runs are summed up by.
#[derive(Clone, Debug)]
pub(crate) struct Frame<'a> {
    /// The entries' names, in the order of the table.
    pub names: &'a [String],
    /// Connections that the memory of a process grows by.
    pub connections: usize,
    /// The entry that ratios are to.
    pub ratio_to: Option<usize>,
    /// The two entries of the same peer.
    pub twice: Option<[usize; 2]>,
    /// Confidence of all intervals.
    pub confidence: f64,
}

impl Frame<'_> {
    /// Sums up.
    pub(crate) fn summary(&self, runs: &[Run]) -> Summary {
        let name = |entry: usize| self.names.get(entry).cloned().unwrap_or_default();
        let noise: Vec<Ratio> = match self.twice {
            Some([first, second]) => self.compare(runs, second, first, |_| 1.0),
            None => Vec::new(),
        };
        let spread = |metric: &str| {
            let found = noise.iter().find(|ratio| ratio.metric == metric);
            found.map_or(1.0, |ratio| spread(&ratio.ratio))
        };
        let ratios = match self.ratio_to {
            Some(to) => (0..self.names.len())
                .filter(|&entry| entry != to)
                .flat_map(|entry| self.compare(runs, entry, to, spread))
                .collect(),
            None => Vec::new(),
        };
        Summary {
            entries: (0..self.names.len())
                .map(|entry| self.line(runs, entry, name(entry)))
                .collect(),
            noise,
            ratios,
        }
    }

    /// One entry to another by all metrics; `spread` of a metric is a factor of at least 1.
    pub(crate) fn compare(
        &self,
        runs: &[Run],
        entry: usize,
        to: usize,
        spread: impl Fn(&str) -> f64,
    ) -> Vec<Ratio> {
        let ratio = |metric: Metric| {
            let pairs = self.pairs(runs, entry, to, metric);
            let ratio = statistics::ratio(&pairs, self.confidence)?;
            Some(Ratio {
                entry: self.names.get(entry)?.clone(),
                to: self.names.get(to)?.clone(),
                metric: metric.name().into(),
                word: word(&ratio, spread(metric.name())),
                ratio,
            })
        };
        Metric::ALL.into_iter().filter_map(ratio).collect()
    }

    /// The figures of two entries in the rounds that count for both.
    fn pairs(&self, runs: &[Run], entry: usize, to: usize, metric: Metric) -> Vec<(f64, f64)> {
        let theirs: BTreeMap<usize, f64> = self.figures(runs, to, metric).collect();
        self.figures(runs, entry, metric)
            .filter_map(|(round, ours)| Some((ours, *theirs.get(&round)?)))
            .collect()
    }

    /// The figures of an entry by round, where the round counts.
    fn figures<'b>(
        &'b self,
        runs: &'b [Run],
        entry: usize,
        metric: Metric,
    ) -> impl Iterator<Item = (usize, f64)> + 'b {
        runs.iter()
            .filter(move |run| run.entry == entry && metric.counts(&run.worth))
            .filter_map(move |run| {
                let place = Place {
                    resident_at_start: run.resident_bytes_at_start.unwrap_or_default(),
                    connections: self.connections,
                };
                Some((run.round, metric.of(&run.measured, &place)?))
            })
    }

    fn line(&self, runs: &[Run], entry: usize, name: String) -> Line {
        let mut line = Line {
            name,
            figures: BTreeMap::new(),
            rounds: 0,
            generator_bound_rounds: 0,
            only_late_rounds: 0,
            discarded: Vec::new(),
            errors: BTreeMap::new(),
            statuses: BTreeMap::new(),
            waiting_share_max: 0.0,
            repeats: 0,
        };
        for metric in Metric::ALL {
            let values: Vec<f64> = self
                .figures(runs, entry, metric)
                .map(|(_, value)| value)
                .collect();
            let estimate = statistics::mean(&values, self.confidence);
            line.figures
                .extend(estimate.map(|estimate| (metric.name().to_owned(), estimate)));
        }
        for run in runs.iter().filter(|run| run.entry == entry) {
            match &run.worth.discarded {
                Some(why) => line
                    .discarded
                    .push(format!("round {}: {why}", run.round + 1)),
                None => {
                    line.rounds += 1;
                    line.generator_bound_rounds += usize::from(run.worth.generator_bound);
                    line.only_late_rounds += usize::from(run.worth.only_late);
                }
            }
            for (kind, &count) in run.measured.errors.iter().filter(|(_, count)| **count > 0) {
                *line.errors.entry(kind.clone()).or_default() += count;
            }
            for (&status, &count) in &run.measured.statuses {
                *line.statuses.entry(status).or_default() += count;
            }
            if run.measured.requests.unanswered > 0 {
                let unanswered = line.errors.entry("unanswered".into()).or_default();
                *unanswered += run.measured.requests.unanswered;
            }
            line.repeats += run.repeats;
            let waiting = run.measured.proxy_waiting_share().unwrap_or_default();
            line.waiting_share_max = line.waiting_share_max.max(waiting);
        }
        line
    }
}

/// How far apart, as a factor, two entries of the same program may seem to be.
pub(crate) fn spread(noise: &Estimate) -> f64 {
    noise.high.max(1.0 / noise.low).max(1.0)
}

fn word(ratio: &Estimate, spread: f64) -> Word {
    let within = ratio.mean <= spread && ratio.mean >= 1.0 / spread;
    match () {
        () if within || ratio.holds(1.0) => Word::Tie,
        () if ratio.mean < 1.0 => Word::Less,
        () => Word::More,
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
