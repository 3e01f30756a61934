//! The formats that recordings come in and go out as.
//!
//! | format | read | written | holds |
//! |---|---|---|---|
//! | `hlog` | yes | yes | everything |
//! | `json` | results of runs, recordings | recordings | everything; of runs the totals |
//! | `hgrm` | yes | one series | counts at some percentiles |
//! | `csv` | no | yes | figures of every interval |
//!
//! The extension says which it is; a file with another one is looked into.

mod codec;
mod csv;
mod json;
mod log;
mod spectrum;

use std::fs;
use std::path::Path;

use clap::ValueEnum;

pub(crate) use codec::encode;

use super::recording::Recording;

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Interval log.
    Hlog,
    /// Percentile spectrum of one series.
    Hgrm,
    /// Every interval, with its histogram.
    Json,
    /// Figures of every interval.
    Csv,
}

impl Format {
    /// What the extension says.
    pub(crate) fn of_name(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Self::from_str(extension, true).ok()
    }

    /// What the text looks like.
    fn of_text(text: &str) -> Self {
        let first = text.trim_start();
        let is_log = |line: &str| line.contains(",HIST");
        match first {
            first if first.starts_with('{') => Self::Json,
            first if first.starts_with("#[") || first.lines().any(is_log) => Self::Hlog,
            _ => Self::Hgrm,
        }
    }
}

/// Reads `text`, which a file at `path` holds. `unit_nanos` is the unit of its values, where the
/// reader knows better than the format's custom: nanoseconds, in spectra milliseconds.
pub(crate) fn read(path: &Path, text: &str, unit_nanos: Option<u64>) -> Result<Recording, String> {
    let format = Format::of_name(path).unwrap_or_else(|| Format::of_text(text));
    let recording = match format {
        Format::Hlog => log::read(text),
        Format::Json => json::read(text),
        Format::Hgrm => spectrum::read(text, unit_nanos.unwrap_or(1_000_000)),
        Format::Csv => Err("csv holds figures and no histograms, so it cannot be read".into()),
    };
    let mut recording = recording.map_err(|error| format!("{}: {error}", path.display()))?;
    if format != Format::Hgrm {
        recording.scale(unit_nanos.unwrap_or(1));
    }
    if recording.series.is_empty() {
        return Err(format!("{}: there is no histogram in it", path.display()));
    }
    Ok(recording)
}

/// Reads the interval log at `path`, which may be empty: a run without an answer leaves it so.
pub(crate) fn read_log(path: &Path) -> Result<Recording, String> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let bytes = fs::read(path).map_err(|error| failed(&error))?;
    // A damaged byte is damage of its line, where the line is known.
    log::read(&String::from_utf8_lossy(&bytes)).map_err(|error| failed(&error))
}

/// The text of a file in `format`.
pub(crate) fn write(recording: &Recording, format: Format) -> Result<String, String> {
    match format {
        Format::Hlog => log::write(recording),
        Format::Hgrm => spectrum::write(recording),
        Format::Json => Ok(json::write(recording)),
        Format::Csv => Ok(csv::write(recording)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_known_extension_is_looked_into() {
        assert_eq!(Format::of_name(Path::new("a/b.HLOG")), Some(Format::Hlog));
        assert_eq!(Format::of_name(Path::new("a.txt")), None);
        assert_eq!(Format::of_text(" {\"series\": []}"), Format::Json);
        assert_eq!(Format::of_text("#[StartTime: 5]\n"), Format::Hlog);
        assert_eq!(
            Format::of_text("\"StartTimestamp\"\n1,2,3,HISTFAAA\n"),
            Format::Hlog
        );
        assert_eq!(Format::of_text("  Value  Percentile\n"), Format::Hgrm);
    }

    #[test]
    fn errors_name_the_file() {
        let error = read(Path::new("a.hlog"), "x\n", None).expect_err("no log");
        assert!(error.starts_with("a.hlog: line 1:"), "{error}");
        assert!(
            read(Path::new("a.hlog"), "", None).is_err_and(|error| error.contains("no histogram"))
        );
        assert!(
            read(Path::new("a.csv"), "", None).is_err_and(|error| error.contains("cannot be read"))
        );
    }
}
