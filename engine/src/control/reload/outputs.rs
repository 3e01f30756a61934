//! Files that a configuration would have written: whether they can be.
//!
//! A start that could not would run without what it was told to write, and a reload would lose what
//! works. Whether it can be done later is another matter: lines that a full disk does not take are
//! counted.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::config::{Config, Problem};
use crate::control::aside::aside;

/// A file, and the field that names it.
type Output = (&'static str, PathBuf);

/// Opens what the configuration of a start writes; a file that is not there is made.
///
/// # Errors
/// What cannot be opened.
pub(in crate::control) fn can_be_written(config: &Config) -> Result<(), Vec<Problem>> {
    open(outputs(config))
}

/// The same of what `next` writes elsewhere than what runs. A disk that hangs holds up this reload
/// and nothing else.
pub(super) async fn can_be_changed(running: &Config, next: &Config) -> Result<(), Vec<Problem>> {
    let before: Vec<Output> = outputs(running).collect();
    let new = outputs(next).filter(|output| !before.contains(output));
    let new: Vec<Output> = new.collect();
    aside(move || open(new.into_iter())).await
}

fn outputs(config: &Config) -> impl Iterator<Item = Output> {
    let log = config.access_log.as_ref().map(|it| it.path.clone());
    let dump = config.histograms.dump.as_ref().map(|it| it.path.clone());
    let named = [("access_log.path", log), ("histograms.dump.path", dump)];
    let named = named.into_iter();
    named.filter_map(|(field, path)| Some((field, path?)))
}

fn open(outputs: impl Iterator<Item = Output>) -> Result<(), Vec<Problem>> {
    let problems = outputs.filter_map(|(field, path)| {
        let error = try_open(&path).err()?;
        Some(Problem {
            line: None,
            field: field.to_owned(),
            value: Some(format!("\"{}\"", path.display())),
            message: format!("cannot be opened: {error}"),
        })
    });
    let problems: Vec<Problem> = problems.collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems),
    }
}

fn try_open(path: &Path) -> std::io::Result<()> {
    // A pipe without a reader must not be waited for.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let mut options = OpenOptions::new();
    options.append(true).create(true).custom_flags(flags);
    options.open(path).map(drop)
}
