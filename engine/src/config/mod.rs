//! What the operator wrote, turned into what is meant.
//!
//! In: TOML text. Out: a [`Config`] in which every default is filled in and nothing is left to
//! check, or [`Errors`] with every problem of the file at once. `file` is the tree as written,
//! `read` turns it into `model`, `scalar` holds the text forms of single values. The reference
//! for users is `config/README.md`; a test keeps its headings equal to the keys that are read.

mod error;
mod file;
pub mod model;
mod read;
mod scalar;

#[cfg(test)]
mod authentication_tests;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use error::{Errors, Problem};
pub use model::*;
pub use scalar::{format_duration, parse_address};

use crate::limits;

/// The configuration that is used when none is named, as text.
pub const EMBEDDED: &str = include_str!("../../../config/default.toml");

/// The name problems of the embedded configuration are reported under.
const EMBEDDED_NAME: &str = "(embedded)";

/// The configuration in `path`, or the embedded one.
///
/// # Errors
/// Every problem of the file, or the one that kept it from being read.
pub fn load(path: Option<&Path>) -> Result<Config, Errors> {
    let Some(path) = path else {
        return parse(EMBEDDED, Path::new(EMBEDDED_NAME));
    };
    let text = read_text(path).map_err(|message| {
        let problem = Problem {
            line: None,
            field: String::new(),
            value: None,
            message,
        };
        Errors::new(path, vec![problem])
    })?;
    parse(&text, path)
}

/// The configuration in `text`; `file` is the name that problems are reported under.
///
/// # Errors
/// Every problem of the text.
pub fn parse(text: &str, file: &Path) -> Result<Config, Errors> {
    file::read(text, read::config).map_err(|problems| Errors::new(file, problems))
}

/// The endpoints in `text`, which is TOML with `endpoints` alone; `file` is the name that problems
/// are reported under.
///
/// # Errors
/// Every problem of the text.
pub fn parse_endpoints(text: &str, file: &Path) -> Result<Vec<Endpoint>, Errors> {
    file::read(text, |root| Some(read::endpoints(root)))
        .map_err(|problems| Errors::new(file, problems))
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

fn read_text(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut text = String::new();
    file.take(limits::CONFIG_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > limits::CONFIG_FILE_BYTES_MAX {
        return Err(format!(
            "longer than {} bytes",
            limits::CONFIG_FILE_BYTES_MAX
        ));
    }
    Ok(text)
}
