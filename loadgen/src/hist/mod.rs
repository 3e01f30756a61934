//! `loadgen hist`: what can be done with histograms once they are files.
//!
//! ```text
//!   files ── source.rs ── Recording ──┬─ show.rs     percentiles as text
//!            format/*                 ├─ merge.rs    sums
//!                                     ├─ diff.rs     differences, judged by significance.rs
//!                                     ├─ convert.rs  other formats
//!                                     └─ picture.rs  charts of plot/
//! ```
//!
//! A recording is series of intervals, whatever format it came in. Values are nanoseconds, instants
//! seconds from the first interval. Nothing here measures anything.

mod convert;
mod diff;
pub(crate) mod format;
mod merge;
pub(crate) mod options;
mod picture;
pub(crate) mod recording;
mod show;
mod significance;
mod source;

use std::fs;
use std::path::Path;

use crate::report::print;
use crate::verdict::Outcome;
use options::HistCommand;

/// Does what was asked.
///
/// *Errors:* a sentence for the user that names the file.
pub(crate) fn run(command: &HistCommand) -> Result<Outcome, String> {
    match command {
        HistCommand::Show(options) => show::run(options).map(|()| Outcome::Pass),
        HistCommand::Merge(options) => merge::run(options).map(|()| Outcome::Pass),
        HistCommand::Diff(options) => diff::run(options),
        HistCommand::Convert(options) => convert::run(options).map(|()| Outcome::Pass),
        HistCommand::Plot(options) => picture::run(options).map(|()| Outcome::Pass),
    }
}

/// Writes a file, or to stdout for `-`.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if path == Path::new("-") {
        return print(text);
    }
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
