//! What is wrong with a configuration: which file, which field, what stands there, what would be
//! right.
//!
//! Reading goes on after a problem, so that one look at the output is enough to fix them all.
//! They are printed in the order of the file.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::sources::Sources;

/// Every problem found in one configuration; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    problems: Vec<Problem>,
    /// The file of each problem.
    files: Vec<Arc<Path>>,
}

/// A problem, and the number of the file that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) file: usize,
    pub(super) problem: Problem,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1, if the problem has a place in the file.
    pub line: Option<usize>,
    /// The path of the field, such as `listeners[0].address`; empty for the file as a whole.
    pub field: String,
    /// What stands there, as written; `None` when the field is missing or the value says nothing.
    pub value: Option<String>,
    /// What is wrong or what was expected, as the end of a sentence.
    pub message: String,
}

impl Errors {
    pub(super) fn new(sources: &Sources, mut located: Vec<Located>) -> Self {
        debug_assert!(!located.is_empty(), "errors without a problem");
        located.sort_by_key(|it| (it.file, it.problem.line));
        Self {
            files: located.iter().map(|it| sources.file(it.file)).collect(),
            problems: located.into_iter().map(|it| it.problem).collect(),
        }
    }

    /// The problems, in the order of the files and of the lines in them.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The problems, each with its file (or `(embedded)`) and the line in it.
    pub fn located(&self) -> impl Iterator<Item = (&Path, Option<usize>, &Problem)> {
        let problems = self.files.iter().zip(&self.problems);
        problems.map(|(file, problem)| (&**file, problem.line, problem))
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (file, line, problem) in self.located() {
            write!(out, "{}", file.display())?;
            if let Some(line) = line {
                write!(out, ":{line}")?;
            }
            writeln!(out, ": {problem}")?;
        }
        match self.problems.len() {
            1 => write!(out, "1 error"),
            count => write!(out, "{count} errors"),
        }
    }
}

impl std::error::Error for Errors {}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field.as_str(), &self.value) {
            ("", None) => write!(out, "{}", self.message),
            ("", Some(value)) => write!(out, "{value}: {}", self.message),
            (field, None) => write!(out, "{field}: {}", self.message),
            (field, Some(value)) => write!(out, "{field} = {value}: {}", self.message),
        }
    }
}

/// The candidate that `written` was most likely meant to be, if any is near.
pub(super) fn near_miss<'a>(written: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (edit_distance(written, candidate), *candidate))
        // One edit in three letters: `adress` is near `address`, `port` is not near `path`.
        .filter(|(distance, candidate)| distance * 3 <= candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance over bytes, hyphens and underscores being the same.
fn edit_distance(left: &str, right: &str) -> usize {
    let letter = |byte: u8| {
        if byte == b'-' {
            b'_'
        } else {
            byte.to_ascii_lowercase()
        }
    };
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(letter(a) != letter(b));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        let keys = ["address", "name", "profile", "virtual_hosts", "limits"];
        for (written, expected) in [
            ("adress", Some("address")),
            ("virtual-hosts", Some("virtual_hosts")),
            ("Name", Some("name")),
            ("limit", Some("limits")),
            ("nope", None),
            ("x", None),
        ] {
            assert_eq!(near_miss(written, &keys), expected, "{written}");
        }
    }
}
