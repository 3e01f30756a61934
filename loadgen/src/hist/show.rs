//! `hist show`: percentiles of every series as a table, and the curve of it.
//!
//! A line for each series, a column for each figure. The curve is drawn below where stdout is a
//! terminal, so that a script reads the table alone.

use std::fmt::Write as _;
use std::io::{IsTerminal, stdout};

use hdrhistogram::Histogram;

use super::options::{ShowOptions, TimeUnit};
use super::recording::{Recording, Series, names};
use super::{print, source};
use crate::plot::Curve;
use crate::plot::terminal::{self, Screen};
use crate::quantity::show_nanos;

/// Width of a figure.
const COLUMN: usize = 10;
/// Width of the terminal plot if the terminal does not say its own.
const WIDTH: usize = 100;
const PLOT_LINES: usize = 16;

/// Reads and prints.
///
/// *Errors:* files that cannot be read, tags that are not there.
pub(crate) fn run(options: &ShowOptions) -> Result<(), String> {
    let sources = source::open_all(&options.input.files, &options.input.reading)?;
    let recordings: Vec<Recording> = sources.into_iter().map(source::Source::joined).collect();
    let mut shown = Vec::new();
    for recording in &recordings {
        let series = match options.all_tags {
            true => recording.series.iter().collect(),
            false => recording.select(&options.input.reading.tags)?,
        };
        shown.extend(series.into_iter().map(|series| (recording, series)));
    }
    let mut text = table(&shown, options);
    let is_terminal = stdout().is_terminal();
    if is_terminal || options.plot {
        let curves = names(&shown).into_iter().zip(&shown);
        let curves: Vec<Curve> = curves
            .map(|(name, (_, series))| Curve::of(name, &series.total()))
            .collect();
        let screen = Screen {
            width: WIDTH,
            height: PLOT_LINES,
            has_colour: is_terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        text.push('\n');
        text.push_str(&terminal::plot(&curves, screen));
    }
    print(&text)
}

fn table(shown: &[(&Recording, &Series)], options: &ShowOptions) -> String {
    let names = names(shown);
    let width = names
        .iter()
        .map(|name| name.chars().count())
        .max()
        .unwrap_or(0)
        .max(8);
    let mut text = String::new();
    let unit = options.units.map_or("", TimeUnit::symbol);
    let mut head = |column: &str| {
        let _ = write!(text, "{column:>COLUMN$}");
    };
    ["samples", "seconds", "mean"]
        .into_iter()
        .for_each(&mut head);
    for percentile in &options.percentiles {
        head(&format!("p{percentile}"));
    }
    head("max");
    let mut lines = format!("{unit:width$}{text}\n");
    for ((_, series), name) in shown.iter().zip(names) {
        let times = series.total();
        let _ = write!(lines, "{name:width$}{:>COLUMN$}", times.len());
        let _ = write!(lines, "{:>COLUMN$}", length(series));
        for figure in figures(&times, options) {
            let _ = write!(lines, "{figure:>COLUMN$}");
        }
        lines.push('\n');
    }
    lines
}

/// Mean, percentiles and maximum as they are printed.
fn figures(times: &Histogram<u64>, options: &ShowOptions) -> Vec<String> {
    if times.is_empty() {
        return vec!["-".into(); options.percentiles.len() + 2];
    }
    let percentiles = options.percentiles.iter();
    let values = percentiles.map(|&percentile| times.value_at_percentile(percentile) as f64);
    std::iter::once(times.mean())
        .chain(values)
        .chain(std::iter::once(times.max() as f64))
        .map(|nanos| match options.units {
            Some(unit) => in_unit(nanos, unit),
            None => show_nanos(nanos),
        })
        .collect()
}

/// A number that means the same at any size: as many digits as three significant ones need.
fn in_unit(nanos: f64, unit: TimeUnit) -> String {
    let value = nanos / unit.nanos() as f64;
    let places = match value {
        v if v >= 100.0 || unit == TimeUnit::Ns => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        v if v >= 0.01 => 4,
        _ => 6,
    };
    format!("{value:.places$}")
}

/// Seconds of all intervals, if they say.
fn length(series: &Series) -> String {
    let lengths = series
        .intervals
        .iter()
        .map(|interval| interval.length_seconds);
    match lengths.sum::<f64>() {
        0.0 => "-".into(),
        seconds => format!("{seconds:.1}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_in_a_fixed_unit_keep_three_digits() {
        let shown = [1_234_567_890.0, 45_678_901.0, 1_234_567.0, 12_345.0, 850.0]
            .map(|nanos| in_unit(nanos, TimeUnit::Ms));
        assert_eq!(shown, ["1235", "45.7", "1.23", "0.0123", "0.000850"]);
        assert_eq!(in_unit(85.0, TimeUnit::Ns), "85");
    }
}
