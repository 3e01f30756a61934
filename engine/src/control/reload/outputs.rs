//! Files that a configuration would have written: whether they can be.
//!
//! A start that cannot write a log goes on without one, and counts the lines; a reload that was to
//! change where it goes would lose one that works.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tokio::task::spawn_blocking;

use crate::config::{Config, Problem};

/// Opens what `next` writes elsewhere than what runs; a file that is not there is made.
///
/// # Errors
/// What cannot be opened.
pub(super) async fn can_be_written(running: &Config, next: &Config) -> Result<(), Vec<Problem>> {
    let access_log = |config: &Config| config.access_log.as_ref().map(|it| it.path.clone());
    let dump = |config: &Config| config.histograms.dump.as_ref().map(|it| it.path.clone());
    let mut problems = Vec::new();
    for (field, before, path) in [
        ("access_log.path", access_log(running), access_log(next)),
        ("histograms.dump.path", dump(running), dump(next)),
    ] {
        let Some(path) = path.filter(|path| Some(path) != before.as_ref()) else {
            continue;
        };
        if let Err(message) = open(path.clone()).await {
            problems.push(Problem {
                line: None,
                field: field.to_owned(),
                value: Some(format!("\"{}\"", path.display())),
                message,
            });
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems),
    }
}

/// A disk that hangs holds up this reload and nothing else.
async fn open(path: PathBuf) -> Result<(), String> {
    let opened = spawn_blocking(move || try_open(&path)).await;
    let opened = opened.unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()));
    opened.map_err(|error| format!("cannot be opened: {error}"))
}

fn try_open(path: &Path) -> std::io::Result<()> {
    // A pipe without a reader must not be waited for.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.append(true).create(true).custom_flags(flags);
    options.open(path).map(drop)
}
