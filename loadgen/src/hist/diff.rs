//! `hist diff`: where two recordings differ, in words.
//!
//! [`significance`](super::significance) judges; this file finds the two sides and prints. Longer
//! times are worse. A verdict needs certainty in the sense of the test, not size: what is certain
//! and small is still called worse, and `--tolerate` says what may be.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::options::{DiffOptions, Reading};
use super::recording::{Recording, Series, sum};
use super::significance::{self, Difference, Test, Unknown};
use super::source::{self, Source};
use super::{print, write};
use crate::plot::{self, Caption, IntervalChart, Unit};
use crate::quantity::show_nanos;
use crate::verdict::Outcome;

/// Permutations: the least p-value is one in five thousand.
const DRAWS: usize = 4_999;

/// Reads, compares, prints.
///
/// *Errors:* sides that cannot be compared.
pub(crate) fn run(options: &DiffOptions) -> Result<Outcome, String> {
    let (a, b) = match options.sides.as_slice() {
        [a, b] => (open(&[a], &options.reading)?, open(&[b], &options.reading)?),
        _ => (
            open(&options.a, &options.reading)?,
            open(&options.b, &options.reading)?,
        ),
    };
    if options.svg.is_some() && options.reading.tags.len() > 1 {
        return Err("--svg draws one series; choose it with one --tag".into());
    }
    let tags: Vec<Vec<String>> = match options.reading.tags.as_slice() {
        [] => vec![Vec::new()],
        tags => tags.iter().map(|tag| vec![tag.clone()]).collect(),
    };
    let mut outcome = Outcome::Pass;
    let mut text = String::new();
    for tag in &tags {
        let table = Table::new([&a, &b], tag, options)?;
        if options.fail_if_worse && table.is_worse(1.0 + options.tolerate) {
            outcome = Outcome::Broken;
        }
        text.push_str(&table.text(options));
        if let Some(path) = &options.svg {
            write(path, &table.chart(options).svg())?;
        }
    }
    print(&text)?;
    Ok(outcome)
}

/// One side: a name and its runs.
struct Side {
    name: String,
    runs: Vec<Recording>,
}

fn open<P: AsRef<std::path::Path>>(paths: &[P], reading: &Reading) -> Result<Side, String> {
    let sources = source::open_all(paths, reading)?;
    let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
    Ok(Side {
        name: names.join(", "),
        runs: sources
            .into_iter()
            .flat_map(|source: Source| source.runs)
            .collect(),
    })
}

/// What became of one percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Better,
    Worse,
    NoDifference,
    Unknown(Unknown),
}

impl Verdict {
    const fn label(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no significant difference",
            Self::Unknown(Unknown::Samples) => "unknown: too few samples beyond it",
            Self::Unknown(Unknown::Intervals) => "unknown: too few independent intervals",
        }
    }
}

/// One percentile of both sides.
struct Row {
    percentile: f64,
    /// The value of each side, over all its runs.
    values: [f64; 2],
    difference: Option<Difference>,
    verdict: Verdict,
}

/// The comparison of one series.
struct Table {
    /// A line about each side.
    sides: [String; 2],
    rows: Vec<Row>,
    compares_runs: bool,
}

impl Table {
    fn new(sides: [&Side; 2], tag: &[String], options: &DiffOptions) -> Result<Self, String> {
        let observations = sides.map(|side| observations(side, tag));
        let [a, b] = observations;
        let (a, b) = (a?, b?);
        let [runs_a, runs_b] = sides.map(|side| side.runs.len());
        let compares_runs = runs_a > 1 && runs_b > 1;
        if !compares_runs && runs_a.max(runs_b) > 1 {
            return Err(format!(
                "A has {runs_a} run(s) and B {runs_b}: compare one with one, or several with several"
            ));
        }
        let test = Test {
            confidence: options.confidence,
            seed: options.seed,
            draws: DRAWS,
            block: options.block.map(|block| block as usize),
        };
        let both = (a.as_slice(), b.as_slice());
        let totals = [&a, &b].map(|side| sum(side.iter()).len());
        let differences: Vec<_> = options
            .percentiles
            .iter()
            .map(|percentile| match compares_runs {
                true => significance::of_runs(both, percentile / 100.0, options.confidence),
                false => significance::of_intervals(both, percentile / 100.0, &test),
            })
            .collect();
        let unit = if compares_runs { "runs" } else { "intervals" };
        let line = |name: &str, side: &Side, observations: &[Histogram<u64>], total: u64| {
            let count = observations.len();
            format!("{name}  {}: {total} samples in {count} {unit}", side.name)
        };
        Ok(Self {
            sides: [
                line("A", sides[0], &a, totals[0]),
                line("B", sides[1], &b, totals[1]),
            ],
            rows: rows(
                &options.percentiles,
                &differences,
                [&a, &b],
                options.confidence,
            ),
            compares_runs,
        })
    }

    /// Is B certainly worse anywhere, by more than `factor`?
    fn is_worse(&self, factor: f64) -> bool {
        let is_beyond = |found: Difference| found.ratio > factor;
        self.rows
            .iter()
            .any(|row| row.verdict == Verdict::Worse && row.difference.is_some_and(is_beyond))
    }

    fn text(&self, options: &DiffOptions) -> String {
        let [a, b] = &self.sides;
        let interval = format!("{} % interval", options.confidence * 100.0);
        let mut text = format!(
            "{a}\n{b}\n\n{:10}{:>10}{:>10}{:>9}  {interval:<18}{:>8}  B is\n",
            "", "A", "B", "B/A", "p"
        );
        for row in &self.rows {
            let [a, b] = row.values.map(show_nanos);
            let name = format!("p{}", row.percentile);
            // A string takes everything.
            let _ = write!(text, "{name:10}{a:>10}{b:>10}");
            match row.difference {
                Some(found) => {
                    let (low, high) = (show_ratio(found.low), show_ratio(found.high));
                    let span = format!("[{low}, {high}]");
                    let (ratio, p) = (show_ratio(found.ratio), found.p_value);
                    let _ = write!(text, "{ratio:>8}x  {span:<18}{p:>8.4}");
                }
                None => {
                    let _ = write!(text, "{:>9}  {:<18}{:>8}", "-", "-", "-");
                }
            }
            let _ = writeln!(text, "  {}", row.verdict.label());
        }
        text.push_str(&self.footnote());
        text
    }

    /// The ratios with their intervals. What is certain has a colour.
    fn chart(&self, options: &DiffOptions) -> IntervalChart {
        let row = |row: &Row| {
            let found = row.difference?;
            Some(plot::Row {
                name: format!("p{}, {}", row.percentile, row.verdict.label()),
                mean: found.ratio,
                low: found.low,
                high: found.high,
                series: match row.verdict {
                    Verdict::Worse => 1,
                    Verdict::Better => 2,
                    Verdict::NoDifference | Verdict::Unknown(_) => 0,
                },
            })
        };
        let [a, b] = &self.sides;
        IntervalChart {
            caption: Caption {
                title: "How many times as long B takes".into(),
                note: format!("{a}; {b}"),
                description: String::new(),
            },
            measured: format!("B to A, with {} % intervals", options.confidence * 100.0),
            unit: Unit::Ratio,
            from_zero: false,
            rows: self.rows.iter().filter_map(row).collect(),
            reference: Some((1.0, "no difference".into())),
        }
    }

    /// What the reader must know about the test.
    fn footnote(&self) -> String {
        let found = self.rows.iter().filter_map(|row| row.difference);
        let blocks: Vec<usize> = found.filter_map(|found| found.block).collect();
        match (
            self.compares_runs,
            blocks.iter().min().zip(blocks.iter().max()),
        ) {
            (true, _) => "\nEach run is one observation: geometric means over runs, Welch's t-test on logarithms.\n"
                    .into(),
            (false, Some((least, most))) => format!(
                "\nShuffled in blocks of {least} to {most} intervals. What differs from run to run \
                 cannot be seen in one\nrun a side: give several with --a and --b.\n"
            ),
            (false, None) => {
                "\nNothing could be tested: longer runs, or several with --a and --b, may tell.\n"
                    .into()
            }
        }
    }
}

fn rows(
    percentiles: &[f64],
    differences: &[Result<Difference, Unknown>],
    sides: [&[Histogram<u64>]; 2],
    confidence: f64,
) -> Vec<Row> {
    let p_values: Vec<f64> = differences
        .iter()
        .filter_map(|found| found.ok().map(|found| found.p_value))
        .collect();
    let mut significant = significance::significant(&p_values, confidence).into_iter();
    let mut verdict = |found: &Result<Difference, Unknown>| match found {
        Err(unknown) => Verdict::Unknown(*unknown),
        Ok(found) => match (significant.next(), found.ratio > 1.0) {
            (Some(true), true) => Verdict::Worse,
            (Some(true), false) => Verdict::Better,
            _ => Verdict::NoDifference,
        },
    };
    percentiles
        .iter()
        .zip(differences)
        .map(|(&percentile, found)| Row {
            percentile,
            values: sides.map(|side| match found {
                Ok(Difference { block: None, .. }) => mean_of_runs(side, percentile),
                _ => sum(side.iter()).value_at_percentile(percentile) as f64,
            }),
            difference: found.ok(),
            verdict: verdict(found),
        })
        .collect()
}

/// A ratio as far as it can be trusted.
fn show_ratio(ratio: f64) -> String {
    match ratio {
        r if r >= 100.0 => ">100".into(),
        r if r < 0.01 => "<0.01".into(),
        r if r >= 10.0 => format!("{r:.1}"),
        r => format!("{r:.3}"),
    }
}

/// The geometric mean of a percentile over runs: what the ratio compares.
fn mean_of_runs(runs: &[Histogram<u64>], percentile: f64) -> f64 {
    let values = runs.iter().map(|run| run.value_at_percentile(percentile));
    let logarithms = values.map(|value| (value.max(1) as f64).ln());
    (logarithms.sum::<f64>() / runs.len().max(1) as f64).exp()
}

/// What is independent on one side: its runs, or the intervals of its only run.
fn observations(side: &Side, tag: &[String]) -> Result<Vec<Histogram<u64>>, String> {
    let series = |run: &Recording| -> Result<Series, String> {
        match run.select(tag)?.as_slice() {
            [series] => Ok((*series).clone()),
            _ => Err(format!(
                "{} has several tags: choose one with --tag",
                run.name
            )),
        }
    };
    match side.runs.as_slice() {
        [run] => Ok(whole(&series(run)?)),
        runs => runs.iter().map(|run| Ok(series(run)?.total())).collect(),
    }
}

/// The intervals that are as long as the others: the last one may be a short rest, which would
/// count as much as a whole one.
fn whole(series: &Series) -> Vec<Histogram<u64>> {
    let mut lengths: Vec<f64> = series
        .intervals
        .iter()
        .map(|interval| interval.length_seconds)
        .collect();
    lengths.sort_by(f64::total_cmp);
    let half = lengths
        .get(lengths.len() / 2)
        .map_or(0.0, |median| median / 2.0);
    let intervals = series.intervals.iter();
    intervals
        .filter(|interval| interval.length_seconds >= half)
        .map(|interval| interval.times.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::recording::{Interval, empty};

    fn found(ratio: f64, p_value: f64) -> Result<Difference, Unknown> {
        Ok(Difference {
            ratio,
            low: ratio,
            high: ratio,
            p_value,
            block: Some(1),
        })
    }

    #[test]
    fn verdicts_need_certainty_in_all_tests_together() {
        let differences = [
            found(1.2, 0.001),
            Err(Unknown::Samples),
            found(0.8, 0.002),
            found(1.3, 0.06),
        ];
        let rows = rows(&[50.0, 75.0, 90.0, 99.0], &differences, [&[], &[]], 0.95);
        let verdicts: Vec<_> = rows.iter().map(|row| row.verdict).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Worse,
                Verdict::Unknown(Unknown::Samples),
                Verdict::Better,
                Verdict::NoDifference
            ]
        );
        let table = Table {
            sides: [String::new(), String::new()],
            rows,
            compares_runs: false,
        };
        assert!(table.is_worse(1.0) && table.is_worse(1.1) && !table.is_worse(1.25));
    }

    #[test]
    fn a_short_rest_is_no_interval() {
        let mut recording = Recording::default();
        for (at, length_seconds) in [1.0, 1.0, 1.001, 0.02].into_iter().enumerate() {
            recording.series_mut(None).intervals.push(Interval {
                start_seconds: at as f64,
                length_seconds,
                times: empty(3),
            });
        }
        assert_eq!(whole(&recording.series[0]).len(), 3);
    }
}
