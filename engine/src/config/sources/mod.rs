//! The files that one configuration is written in, joined into one tree.
//!
//! In: the path of the main file. Out: one tree of values in which the span of every value says in
//! which file it stands, so that whoever reads it need not know that there are several. The files
//! lie one after the other on one axis of offsets; nothing is copied together.

mod include;
mod merge;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

pub use include::Include;

use super::error::{Errors, Located, Problem};
use super::model::Config;
use super::{EMBEDDED, EMBEDDED_NAME, file, read, scalar};
use crate::limits;

/// The text of a configuration.
#[derive(Debug)]
pub struct Sources {
    /// The main file, then what it includes, in the order in which they are joined.
    sources: Vec<Source>,
    includes: Vec<Include>,
    /// What kept a file from being read.
    unread: Vec<Located>,
}

/// One file, and where its text begins on the axis of all.
#[derive(Debug)]
struct Source {
    file: Arc<Path>,
    start: usize,
    text: String,
}

/// Where a configuration is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The files that it was read from, the main one first.
    pub read: Vec<PathBuf>,
    /// Which others belong to it as soon as they are there.
    pub includes: Vec<Include>,
}

impl Sources {
    /// Reads `path` and what it includes, or takes the embedded configuration.
    ///
    /// What cannot be read is told by [`Sources::config`], together with the rest.
    #[must_use]
    pub fn gather(path: Option<&Path>) -> Self {
        let Some(path) = path else {
            return Self::of_text(EMBEDDED, Path::new(EMBEDDED_NAME));
        };
        let mut sources = Self {
            sources: Vec::new(),
            includes: Vec::new(),
            unread: Vec::new(),
        };
        let mut room = limits::CONFIG_FILE_BYTES_MAX;
        sources.add(path, &mut room);
        sources.includes = sources.inclusions(path);
        for place in 0..sources.includes.len() {
            sources.include(path, place, &mut room);
        }
        sources
    }

    /// Takes `text` for all there is; `file` is the name that problems are reported under.
    #[must_use]
    pub fn of_text(text: &str, file: &Path) -> Self {
        let source = Source {
            file: file.into(),
            start: 0,
            text: text.to_owned(),
        };
        Self {
            sources: vec![source],
            includes: Vec::new(),
            unread: Vec::new(),
        }
    }

    /// The configuration.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn config(&self) -> Result<Config, Errors> {
        file::read(self, read::config)
    }

    /// Where the configuration is found.
    #[must_use]
    pub fn files(&self) -> Files {
        let read = self.sources.iter().map(|source| source.file.to_path_buf());
        Files {
            read: read.collect(),
            includes: self.includes.clone(),
        }
    }

    /// Problems that were found after the files had been read; at least one. Their fields are paths
    /// in the configuration as a whole, and are told with the file and the line that they stand in.
    #[must_use]
    pub fn errors(&self, problems: Vec<Problem>) -> Errors {
        let mut unreadable = Vec::new();
        let tree = self.tree(&mut unreadable).unwrap_or_default();
        let located = problems.into_iter().map(|problem| match problem.line {
            Some(_) => Located { file: 0, problem },
            None => self.locate(&tree, problem),
        });
        Errors::new(self, located.collect())
    }

    /// The files, by number.
    pub(super) fn file(&self, number: usize) -> Arc<Path> {
        let source = self.sources.get(number).or_else(|| self.sources.first());
        source.map_or_else(|| Path::new("").into(), |source| Arc::clone(&source.file))
    }

    /// Whether there is more than one file, so that a place has to say in which one it is.
    pub(super) const fn are_several(&self) -> bool {
        self.sources.len() > 1
    }

    /// The number of the file in which `offset` is.
    pub(super) fn number_at(&self, offset: usize) -> usize {
        let after = self.sources.partition_point(|it| it.start <= offset);
        after.saturating_sub(1)
    }

    /// The line, from 1, at `offset` in its file.
    pub(super) fn line_at(&self, offset: usize) -> Option<usize> {
        let source = self.sources.get(self.number_at(offset))?;
        let before = source.text.get(..offset.checked_sub(source.start)?)?;
        Some(before.matches('\n').count() + 1)
    }

    /// What stands in `span`.
    pub(super) fn text(&self, span: Range<usize>) -> &str {
        let source = self.sources.get(self.number_at(span.start));
        let text = source.and_then(|source| {
            let place = |offset: usize| offset.checked_sub(source.start);
            source.text.get(place(span.start)?..place(span.end)?)
        });
        text.unwrap_or_default()
    }

    /// All files as one tree; nothing when one of them cannot be read or is not TOML, or when they
    /// contradict each other, which is added to `problems`.
    pub(super) fn tree(&self, problems: &mut Vec<Located>) -> Option<DeTable<'_>> {
        problems.extend(self.unread.iter().cloned());
        let mut tree: Option<DeTable<'_>> = None;
        let mut clashes = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            let (root, errors) = DeTable::parse_recoverable(&source.text);
            let mut found: Vec<Located> = Vec::new();
            for error in errors {
                let at = error.span().map(|span| span.start + source.start);
                let problem = Problem {
                    line: at.and_then(|at| self.line_at(at)),
                    field: String::new(),
                    value: None,
                    message: format!("not TOML: {}", error.message()),
                };
                found.push(Located {
                    file: number,
                    problem,
                });
            }
            // What follows the first problem of a line mostly follows from it.
            found.sort_by_key(|it| it.problem.line);
            found.dedup_by_key(|it| it.problem.line);
            problems.append(&mut found);
            match &mut tree {
                None => tree = Some(root.into_inner()),
                Some(tree) => {
                    let fragment = merge::moved(root.into_inner(), source.start);
                    merge::join(tree, fragment, &mut clashes);
                }
            }
        }
        if problems.is_empty() {
            problems.extend(clashes.into_iter().map(|clash| self.told(clash)));
        }
        tree.filter(|_| problems.is_empty())
    }

    /// What is wrong with a value that another file has, too.
    fn told(&self, clash: merge::Clash) -> Located {
        let message = match clash.first {
            None => "only the main file can include others".to_owned(),
            Some(first) => {
                let file = self.file(self.number_at(first.start));
                let line = self.line_at(first.start).unwrap_or(1);
                format!("already set in {}:{line}", file.display())
            }
        };
        let problem = Problem {
            line: self.line_at(clash.second.start),
            field: clash.path,
            value: Some(scalar::cut(self.text(clash.second.clone()))),
            message,
        };
        Located {
            file: self.number_at(clash.second.start),
            problem,
        }
    }

    /// Reads a file, as much as there is room for.
    fn add(&mut self, path: &Path, room: &mut u64) {
        let number = self.sources.len();
        let start = self.sources.last().map_or(0, |it| {
            // Nothing of one file is at the place of another, the end of its text neither.
            it.start + it.text.len() + 1
        });
        let text = read_text(path, *room).unwrap_or_else(|message| {
            self.refuse(number, None, String::new(), message);
            String::new()
        });
        *room = room.saturating_sub(text.len() as u64);
        self.sources.push(Source {
            file: path.into(),
            start,
            text,
        });
    }

    fn refuse(&mut self, file: usize, line: Option<usize>, field: String, message: String) {
        let problem = Problem {
            line,
            field,
            value: None,
            message,
        };
        self.unread.push(Located { file, problem });
    }

    /// What the main file includes, as far as it can be understood: what cannot is told when all is
    /// read.
    fn inclusions(&self, main: &Path) -> Vec<Include> {
        let Some(source) = self.sources.first() else {
            return Vec::new();
        };
        // Most configurations are one file, which need not be parsed twice.
        if !source.text.contains(include::KEY) {
            return Vec::new();
        }
        let (root, _) = DeTable::parse_recoverable(&source.text);
        let Some(DeValue::Array(list)) = root.get_ref().get(include::KEY).map(Spanned::get_ref)
        else {
            return Vec::new();
        };
        let written = list.iter().filter_map(|value| match value.get_ref() {
            DeValue::String(text) => Include::parse(text),
            _ => None,
        });
        written.map(|include| include.beside(main)).collect()
    }

    /// Reads what one place in the list of inclusions stands for now.
    fn include(&mut self, main: &Path, place: usize, room: &mut u64) {
        let Some(include) = self.includes.get(place) else {
            return;
        };
        let found = match include.found(main) {
            Ok(found) => found,
            Err(message) => {
                let field = format!("{}[{place}]", include::KEY);
                return self.refuse(0, None, field, message);
            }
        };
        for path in found {
            // What two patterns fit belongs to the first.
            if !self.sources.iter().any(|source| *source.file == *path) {
                self.add(&path, room);
            }
        }
    }

    /// Says where the field of a problem is: its file, its line, and its path within the file,
    /// where lists begin anew.
    fn locate(&self, tree: &DeTable<'_>, mut problem: Problem) -> Located {
        let mut at = None;
        let mut path = String::new();
        let mut rest = problem.field.as_str();
        let mut table = Some(tree);
        while let Some((key, after)) = merge::first_key(rest)
            && let Some(value) = table.and_then(|table| table.get(key.as_str()))
        {
            path.push_str(rest.strip_suffix(after).unwrap_or_default());
            let mut value = value;
            rest = after;
            while let Some((place, after)) = merge::first_place(rest)
                && let DeValue::Array(list) = value.get_ref()
                && let Some(element) = list.get(place)
            {
                path.push_str(&format!("[{}]", self.place_in_file(list, place)));
                (value, rest) = (element, after);
            }
            at = Some(value.span().start);
            table = match value.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            };
        }
        let Some(at) = at else {
            return Located { file: 0, problem };
        };
        path.push_str(rest);
        problem.field = path;
        problem.line = self.line_at(at);
        Located {
            file: self.number_at(at),
            problem,
        }
    }

    /// The place of an element among those of its own file.
    fn place_in_file(&self, list: &DeArray<'_>, place: usize) -> usize {
        let number = |element: &Spanned<DeValue<'_>>| self.number_at(element.span().start);
        let own = list.get(place).map(number);
        let before = list.iter().take(place);
        before
            .filter(|element| Some(number(element)) == own)
            .count()
    }
}

fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}"))?;
    let mut text = String::new();
    file.take(bytes_max.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > bytes_max {
        let most = limits::CONFIG_FILE_BYTES_MAX;
        return Err(match bytes_max == most {
            true => format!("longer than {most} bytes"),
            false => format!("longer than {most} bytes together with the files before it"),
        });
    }
    Ok(text)
}
