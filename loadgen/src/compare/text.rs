//! The table of a comparison, for a person.
//!
//! Figures are means over the rounds that count, with half the width of their interval; what
//! qualifies them (discarded rounds, a busy generator, errors) stands below the table and is never
//! left out.

use std::fmt::{Display, Formatter, Result};

use super::document::Document;
use super::metric::{Metric, Unit};
use super::remarks;
use super::statistics::Estimate;
use super::summary::{Ratio, Summary, spread};
use crate::quantity::show_nanos;

/// The columns of ratios; the others are in the JSON.
const RATIO_METRICS: [Metric; 5] = [
    Metric::CpuUs,
    Metric::RequestsPerSecond,
    Metric::P50,
    Metric::P99,
    Metric::Resident,
];

/// Shows a comparison as text.
#[derive(Debug)]
pub(crate) struct Text<'a>(pub &'a Document);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.title(f)?;
        self.figures(f)?;
        self.ratios(f)?;
        self.syscalls(f)?;
        self.remarks(f)
    }
}

impl Text<'_> {
    fn title(&self, f: &mut Formatter<'_>) -> Result {
        let Document {
            scenario, machine, ..
        } = self.0;
        writeln!(f, "{}", scenario.describe())?;
        writeln!(
            f,
            "{} of {} s, {} on CPU {:?}, {} on CPU {:?}\n",
            self.0.rounds(),
            scenario.load.duration.as_secs_f64(),
            scenario.compares.plural(),
            machine.proxy_cpus,
            scenario.compares.others(),
            machine.load_cpus
        )
    }

    fn figures(&self, f: &mut Formatter<'_>) -> Result {
        let lines = &self.0.summary.entries;
        let shown: Vec<Metric> = Metric::ALL
            .into_iter()
            .filter(|metric| self.0.shows(*metric))
            .filter(|metric| {
                lines
                    .iter()
                    .any(|line| line.figures.contains_key(metric.name()))
            })
            .collect();
        write!(f, "{:<14}", "entry")?;
        for metric in &shown {
            write!(f, "{:>16}", metric.title())?;
        }
        writeln!(f, "{:>8}", "errors")?;
        for line in lines {
            write!(f, "{:<14}", line.name)?;
            for metric in &shown {
                let figure = line.figures.get(metric.name());
                let mut text =
                    figure.map_or_else(|| "-".into(), |figure| show(figure, metric.unit()));
                if line.is_marked(*metric) {
                    text.push('*');
                }
                write!(f, "{text:>16}")?;
            }
            writeln!(f, "{:>8}", line.errors.values().sum::<u64>())?;
        }
        Ok(())
    }

    fn ratios(&self, f: &mut Formatter<'_>) -> Result {
        let summary = &self.0.summary;
        let columns = columns(summary);
        if let Some(first) = summary.ratios.first() {
            let confidence = self.0.confidence * 100.0;
            writeln!(
                f,
                "\nratio to {}, with {confidence} % confidence over rounds",
                first.to
            )?;
            ratio_head(f, &columns)?;
            for line in &summary.entries {
                ratio_row(f, &columns, &line.name, &summary.ratios, true)?;
            }
        }
        let Some(first) = summary.noise.first() else {
            return Ok(());
        };
        writeln!(
            f,
            "\nnoise: {} to {}, the same program",
            first.entry, first.to
        )?;
        if summary.ratios.is_empty() {
            ratio_head(f, &columns)?;
        }
        ratio_row(f, &columns, &first.entry, &summary.noise, false)?;
        write!(f, "{:<14}", "spread")?;
        for metric in columns {
            let found = summary
                .noise
                .iter()
                .find(|ratio| ratio.metric == metric.name());
            let spread = found.map_or(f64::INFINITY, |ratio| spread(&ratio.ratio));
            let text = match spread.is_finite() {
                true => format!("+-{:.1} %", (spread - 1.0) * 100.0),
                false => "unknown".into(),
            };
            write!(f, "{text:>26}")?;
        }
        writeln!(f)
    }

    fn syscalls(&self, f: &mut Formatter<'_>) -> Result {
        if self.0.syscalls.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nsystem calls per request (strace, a run of its own)")?;
        for calls in &self.0.syscalls {
            write!(f, "{:<14}{:>8.2} ", calls.entry, calls.per_request)?;
            for (name, per_request) in calls.largest() {
                write!(f, "  {name} {per_request:.2}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn remarks(&self, f: &mut Formatter<'_>) -> Result {
        let remarks = remarks::of(self.0);
        if !remarks.is_empty() {
            writeln!(f)?;
        }
        remarks
            .iter()
            .try_for_each(|remark| writeln!(f, "{remark}"))
    }
}

/// The columns of ratios that there are: a generator that has ended has no memory.
fn columns(summary: &Summary) -> Vec<Metric> {
    let all = || summary.ratios.iter().chain(&summary.noise);
    let found = |metric: &Metric| all().any(|ratio| ratio.metric == metric.name());
    RATIO_METRICS.into_iter().filter(found).collect()
}

fn ratio_head(f: &mut Formatter<'_>, columns: &[Metric]) -> Result {
    write!(f, "{:<14}", "entry")?;
    for metric in columns {
        write!(f, "{:>26}", metric.title())?;
    }
    writeln!(f)
}

/// The ratios of one entry; nothing if it has none.
fn ratio_row(
    f: &mut Formatter<'_>,
    columns: &[Metric],
    entry: &str,
    ratios: &[Ratio],
    words: bool,
) -> Result {
    if !ratios.iter().any(|ratio| ratio.entry == entry) {
        return Ok(());
    }
    write!(f, "{entry:<14}")?;
    for metric in columns {
        let is_it = |ratio: &&Ratio| ratio.entry == entry && ratio.metric == metric.name();
        let text = ratios.iter().find(is_it).map_or_else(
            || "-".into(),
            |ratio| {
                let Estimate {
                    mean, low, high, ..
                } = ratio.ratio;
                let word = if words { ratio.word.label() } else { "" };
                match high.is_finite() {
                    true => format!("{mean:.2} [{low:.2}, {high:.2}] {word:>4}"),
                    false => format!("{mean:.2} (one round)"),
                }
            },
        );
        write!(f, "{text:>26}")?;
    }
    writeln!(f)
}

fn show(figure: &Estimate, unit: Unit) -> String {
    let half = (figure.high - figure.low) / 2.0;
    match unit {
        Unit::Micros if half.is_finite() => format!("{:.2} +-{half:.2}", figure.mean),
        Unit::Micros => format!("{:.2}", figure.mean),
        Unit::Rate if half.is_finite() => format!("{:.0} +-{half:.0}", figure.mean),
        Unit::Rate => format!("{:.0}", figure.mean),
        Unit::Nanos => show_nanos(figure.mean),
        Unit::Bytes if figure.mean < 10_240.0 => format!("{:.0} B", figure.mean),
        Unit::Bytes => format!("{:.1} MiB", figure.mean / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_carry_their_uncertainty() {
        let figure = |mean: f64, half: f64| Estimate {
            mean,
            low: mean - half,
            high: mean + half,
            rounds: 2,
        };
        assert_eq!(show(&figure(12.345, 0.5), Unit::Micros), "12.35 +-0.50");
        assert_eq!(show(&figure(12.345, f64::INFINITY), Unit::Micros), "12.35");
        assert_eq!(show(&figure(41_000.4, 99.6), Unit::Rate), "41000 +-100");
        assert_eq!(show(&figure(1_500_000.0, 1.0), Unit::Nanos), "1.50 ms");
        assert_eq!(show(&figure(1_048_576.0, 1.0), Unit::Bytes), "1.0 MiB");
        assert_eq!(show(&figure(900.0, 1.0), Unit::Bytes), "900 B");
    }
}
