//! Options of `loadgen hist`, and the words that teach them.
//!
//! What all its commands share, which series and which stretch of a file are read, is [`Reading`].
//! Clap checks single values; what depends on the files is checked where they are read.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::format::Format;
use crate::compare::options::confidence;
use crate::quantity;

/// The long description.
pub(crate) const LONG: &str = "\
Read, add up, compare, convert and draw histograms of times.

Files are interval logs (.hlog) of any HdrHistogram tool, of `loadgen run --hlog` or of weft's admin
endpoint; percentile spectra (.hgrm); JSON of `loadgen run --json` or `loadgen hist convert`. A folder
that `loadgen compare --out` wrote stands for all its entries, FOLDER/ENTRY for the runs of one.";

/// Examples and exit codes.
pub(crate) const AFTER: &str = "\
Examples:
  loadgen hist show run.hlog --tag - --tag uncorrected --from 10s --to 20s
  loadgen hist merge shard-*.hlog -o all.hlog --aligned
  loadgen hist diff before.hlog after.hlog --fail-if-worse
  loadgen hist convert run.hlog run.csv
  loadgen hist plot run.hlog -o run.html --event 12.5s=reload

Exit codes:
  0  pass     it was done, and `diff --fail-if-worse` found nothing worse
  1  error    wrong usage, a file that is missing or damaged
  2  broken   `diff --fail-if-worse` found something worse";

const DIFF_LONG: &str = "\
Compare two recordings, percentile by percentile, and say which differences are real.

Requests of one run are not independent: a slow second makes all its requests slow. So with one
run a side, blocks of whole intervals are what is shuffled: if A and B did not differ, it would not
matter which of the two a block came from. The p-value is the share of seeded permutations that
separate the sides at least as far; the interval of the ratio is a block bootstrap. A block is as
long as the intervals remember their neighbours.

One run does not know what differs between runs. With several a side (--a, --b, or entries of a
comparison), each run is one observation: Welch's t-test on the logarithms of their percentiles.

Verdicts allow for the number of percentiles that are tested together (Holm).";

const DIFF_AFTER: &str = "\
Examples:
  loadgen hist diff before.hlog after.hlog
  loadgen hist diff --a a1.hlog,a2.hlog,a3.hlog --b b1.hlog,b2.hlog,b3.hlog
  loadgen hist diff result/weft result/nginx --percentiles 50,99
  loadgen hist diff before.hlog after.hlog --fail-if-worse --tolerate 2%

Exit codes: 0 done, 1 error, 2 with --fail-if-worse: B is worse.";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum HistCommand {
    /// Print percentiles and, in a terminal, draw the percentile curve.
    Show(ShowOptions),
    /// Add recordings up, tag by tag, and write the sum.
    Merge(MergeOptions),
    /// Say where two recordings differ, and whether the difference is real.
    #[command(long_about = DIFF_LONG, after_help = DIFF_AFTER)]
    Diff(DiffOptions),
    /// Write a recording in another format.
    Convert(ConvertOptions),
    /// Draw percentile curves, heat maps and lines over time, as SVG or as one HTML page.
    Plot(PlotOptions),
}

/// How files are read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Reading {
    /// Only series with this tag, `-` for the untagged one; repeatable [default: untagged, or all
    /// if every series has a tag].
    #[arg(
        long = "tag",
        value_name = "TAG",
        help_heading = "Reading",
        allow_hyphen_values = true
    )]
    pub tags: Vec<String>,
    /// Leave out intervals that begin earlier, counted from the first.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, help_heading = "Reading")]
    pub from: Option<Duration>,
    /// Leave out intervals that end later.
    #[arg(long, value_name = "TIME", value_parser = quantity::duration, help_heading = "Reading")]
    pub to: Option<Duration>,
    /// Unit of the values in the files [default: ns, in .hgrm ms].
    #[arg(long, value_enum, value_name = "UNIT", help_heading = "Reading")]
    pub values_in: Option<TimeUnit>,
}

/// Files, and how they are read.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Input {
    /// What to read.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// How.
    #[command(flatten)]
    pub reading: Reading,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeUnit {
    /// Nanoseconds.
    Ns,
    /// Microseconds.
    Us,
    /// Milliseconds.
    Ms,
    /// Seconds.
    S,
}

impl TimeUnit {
    /// Its nanoseconds.
    pub(crate) const fn nanos(self) -> u64 {
        match self {
            Self::Ns => 1,
            Self::Us => 1_000,
            Self::Ms => 1_000_000,
            Self::S => 1_000_000_000,
        }
    }

    /// Its symbol.
    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Ns => "ns",
            Self::Us => "us",
            Self::Ms => "ms",
            Self::S => "s",
        }
    }
}

impl Reading {
    /// The range in seconds, if one was asked for.
    pub(crate) fn range(&self) -> Result<Option<(f64, f64)>, String> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        let from = self.from.map_or(0.0, |from| from.as_secs_f64());
        let to = self.to.map_or(f64::INFINITY, |to| to.as_secs_f64());
        match from < to {
            true => Ok(Some((from, to))),
            false => Err("--from must lie before --to".into()),
        }
    }
}

/// Options of `hist show`.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// What to read, and how.
    #[command(flatten)]
    pub input: Input,
    /// All series of each file, whatever their tags.
    #[arg(long, conflicts_with = "tags", help_heading = "Reading")]
    pub all_tags: bool,
    /// Percentiles to print.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = percentile,
        default_value = "50,75,90,99,99.9,99.99", help_heading = "Output")]
    pub percentiles: Vec<f64>,
    /// Print all times in this unit, without its name [default: each in the unit that suits it].
    #[arg(long, value_enum, value_name = "UNIT", help_heading = "Output")]
    pub units: Option<TimeUnit>,
    /// Draw the curve even if stdout is no terminal.
    #[arg(long, help_heading = "Output")]
    pub plot: bool,
}

/// Options of `hist merge`.
#[derive(Debug, Args)]
pub(crate) struct MergeOptions {
    /// What to read, and how. Without --tag all series are merged, each with those of the same tag.
    #[command(flatten)]
    pub input: Input,
    /// Where to write the sum; the extension says in which format.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub out: PathBuf,
    /// Keep intervals: add the first of each file, the second of each file, and so on. Without it,
    /// everything becomes one interval.
    #[arg(long, help_heading = "Output")]
    pub aligned: bool,
}

/// Options of `hist diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffOptions {
    /// The two sides, A and B, if they are one recording each.
    #[arg(value_names = ["A", "B"], num_args = 2, required_unless_present_all = ["a", "b"])]
    pub sides: Vec<PathBuf>,
    /// Runs of side A.
    #[arg(
        long,
        value_name = "FILES",
        value_delimiter = ',',
        requires = "b",
        conflicts_with = "sides",
        help_heading = "Sides"
    )]
    pub a: Vec<PathBuf>,
    /// Runs of side B.
    #[arg(
        long,
        value_name = "FILES",
        value_delimiter = ',',
        requires = "a",
        conflicts_with = "sides",
        help_heading = "Sides"
    )]
    pub b: Vec<PathBuf>,
    /// How they are read.
    #[command(flatten)]
    pub reading: Reading,
    /// Percentiles to compare.
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = percentile,
        default_value = "50,75,90,99,99.9", help_heading = "Test")]
    pub percentiles: Vec<f64>,
    /// Confidence of verdicts and intervals.
    #[arg(long, value_name = "SHARE", value_parser = confidence, default_value = "95%",
        help_heading = "Test")]
    pub confidence: f64,
    /// Intervals to a block [default: as many as they remember].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..),
        help_heading = "Test")]
    pub block: Option<u32>,
    /// Seed of the permutations: the same seed gives the same result.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Test")]
    pub seed: u64,
    /// Draw the ratios and their intervals into this file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub svg: Option<PathBuf>,
    /// Exit with 2 if B is worse at some percentile.
    #[arg(long, help_heading = "Output")]
    pub fail_if_worse: bool,
    /// By how much B may be worse before that fails, even if it is certain.
    #[arg(long, value_name = "SHARE", value_parser = quantity::share, default_value = "0",
        requires = "fail_if_worse", help_heading = "Output")]
    pub tolerate: f64,
}

/// Options of `hist convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertOptions {
    /// What to read.
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// What to write; `-` for stdout.
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// How it is read. Without --tag all series are written; a spectrum takes the untagged one.
    #[command(flatten)]
    pub reading: Reading,
    /// The format, instead of what the extension of OUT says.
    #[arg(
        long = "format",
        value_enum,
        value_name = "FORMAT",
        help_heading = "Output"
    )]
    pub format: Option<Format>,
}

/// Options of `hist plot`.
#[derive(Debug, Args)]
pub(crate) struct PlotOptions {
    /// What to read, and how.
    #[command(flatten)]
    pub input: Input,
    /// Where to write: `.svg` for one chart, `.html` for a page with all.
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub out: PathBuf,
    /// The chart of an SVG.
    #[arg(
        long,
        value_enum,
        default_value = "percentiles",
        help_heading = "Output"
    )]
    pub chart: Chart,
    /// Title instead of the names of the files.
    #[arg(long, value_name = "TEXT", help_heading = "Output")]
    pub title: Option<String>,
    /// Linear instead of logarithmic times.
    #[arg(long, help_heading = "Output")]
    pub linear: bool,
    /// Something that happened, as in `12.5s=reload`; repeatable.
    #[arg(long = "event", value_name = "TIME=WHAT", value_parser = event, help_heading = "Events")]
    pub events: Vec<crate::plot::Event>,
    /// A file of events, one a line, as with --event; `#` begins a comment.
    #[arg(long = "events", value_name = "FILE", help_heading = "Events")]
    pub event_file: Option<PathBuf>,
}

/// What an SVG shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Chart {
    /// How long the slowest 10 %, 1 %, 0.1 % … take.
    Percentiles,
    /// When requests were recorded and how long they took; of the first file.
    Heat,
    /// Rate and percentiles over time; of the first file.
    Time,
}

/// Parses a percentile, from 0 to 100.
fn percentile(text: &str) -> Result<f64, String> {
    let number = text.trim_start_matches('p').parse::<f64>().ok();
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| format!("`{text}` is not a percentile; write 50, 99, 99.9"))
}

/// Parses an event.
pub(crate) fn event(text: &str) -> Result<crate::plot::Event, String> {
    let (time, label) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not an event; write TIME=WHAT, as in 12.5s=reload"))?;
    Ok(crate::plot::Event {
        at_seconds: quantity::duration(time.trim())?.as_secs_f64(),
        label: label.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::CommandLine;

    #[test]
    fn values_are_checked() {
        let parse = |line: &str| {
            let parsed = CommandLine::try_parse_from(format!("loadgen hist {line}").split(' '));
            parsed.map(|_| ()).map_err(|error| error.to_string())
        };
        for line in [
            "show a.hlog --tag - --from 1s --to 2s --units us --percentiles 50,p99.9",
            "diff a b --fail-if-worse --tolerate 2%",
            "diff --a a1,a2 --b b1,b2",
            "plot a.hlog -o a.html --event 12.5s=reload",
        ] {
            assert_eq!(parse(line), Ok(()), "{line}");
        }
        for (line, complaint) in [
            ("show", "FILE"),
            ("show a --percentiles 101", "not a percentile"),
            ("diff a", "2 values"),
            ("diff a b --a c --b d", "cannot be used"),
            ("diff a b --tolerate 1%", "--fail-if-worse"),
            ("diff a b --block 0", "1.."),
            ("plot a -o b --event reload", "not an event"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(complaint), "{line}: {error}");
        }
    }

    #[test]
    fn a_range_has_a_beginning_before_its_end() {
        let second = |seconds| Some(Duration::from_secs(seconds));
        let range = |from, to| {
            Reading {
                from,
                to,
                ..Reading::default()
            }
            .range()
        };
        assert_eq!(range(None, None), Ok(None));
        assert_eq!(range(second(1), None), Ok(Some((1.0, f64::INFINITY))));
        assert!(range(second(2), second(2)).is_err());
    }
}
