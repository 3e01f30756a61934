//! What the operator wrote, turned into what is meant.
//!
//! In: TOML text. Out: a [`Config`] in which every default is filled in and nothing is left to
//! check, or [`Errors`] with every problem at once. `sources` are the files it is written in,
//! `file` is the tree as written, `read` turns it into `model`, `scalar` holds the text forms of
//! single values. The reference for users is `config/README.md`; a test keeps its headings equal to
//! the keys that are read.

mod error;
mod file;
pub mod model;
mod read;
mod scalar;
mod sources;

#[cfg(test)]
mod authentication_tests;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use error::{Errors, Problem};
pub use model::*;
pub(crate) use scalar::cut;
pub use scalar::{format_duration, parse_address};
pub use sources::{Files, Include, Sources};

/// The configuration that is used when none is named, as text.
pub const EMBEDDED: &str = include_str!("../../../config/default.toml");

/// The name problems of the embedded configuration are reported under.
const EMBEDDED_NAME: &str = "(embedded)";

/// The configuration in `path` and in what it includes, or the embedded one.
///
/// # Errors
/// Every problem of the files.
pub fn load(path: Option<&Path>) -> Result<Config, Errors> {
    Sources::gather(path).config()
}

/// The configuration in `text`; `file` is the name that problems are reported under. What it
/// includes is not read.
///
/// # Errors
/// Every problem of the text.
pub fn parse(text: &str, file: &Path) -> Result<Config, Errors> {
    Sources::of_text(text, file).config()
}

/// The endpoints in `text`, which is TOML with `endpoints` alone; `file` is the name that problems
/// are reported under.
///
/// # Errors
/// Every problem of the text.
pub fn parse_endpoints(text: &str, file: &Path) -> Result<Vec<Endpoint>, Errors> {
    let sources = Sources::of_text(text, file);
    file::read(&sources, |root| Some(read::endpoints(root)))
}

/// The duration that `text` is, as it is written in configurations: `"1h30m"`.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    scalar::parse_duration(text)
}

/// The name that `text` is, as one is written in configurations.
#[must_use]
pub fn parse_name(text: &str) -> Option<Arc<str>> {
    read::name(text)
}

/// The embedded configuration: two echo endpoints behind 127.0.0.1:8080.
///
/// # Panics
/// Never in a build whose tests pass: the text is part of the binary.
#[must_use]
pub fn embedded() -> Config {
    match load(None) {
        Ok(config) => config,
        Err(errors) => unreachable!("{errors}"),
    }
}
