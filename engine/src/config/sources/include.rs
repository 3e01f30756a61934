//! Which other files belong to a configuration.
//!
//! A path, or a folder and a pattern for names in it. Relative ones begin at the folder of the main
//! file. Files that a pattern fits are taken in the order of their names; a folder that is not
//! there has none, so that it can appear later.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::limits;

/// The key that names other files.
pub(super) const KEY: &str = "include";

/// Files that are to be read as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    folder: PathBuf,
    /// The name of a file, in which `*` stands for any letters.
    pattern: String,
}

impl Include {
    /// What is expected of one, for messages.
    pub(in crate::config) const EXPECTED: &'static str =
        "a path whose last part may have `*`, such as \"config.d/*.toml\"";

    /// Understands one as it is written.
    pub(in crate::config) fn parse(text: &str) -> Option<Self> {
        let (folder, pattern) = match text.rsplit_once('/') {
            Some(("", pattern)) => ("/", pattern),
            Some(parts) => parts,
            None => ("", text),
        };
        let is_usable = !pattern.is_empty()
            && !matches!(pattern, "." | "..")
            && !text.contains('\0')
            && !folder.contains('*');
        is_usable.then(|| Self {
            folder: PathBuf::from(folder),
            pattern: pattern.to_owned(),
        })
    }

    /// The same, seen from where the main file is.
    pub(super) fn beside(self, main: &Path) -> Self {
        let beside = main.parent().unwrap_or_else(|| Path::new(""));
        Self {
            folder: beside.join(self.folder),
            ..self
        }
    }

    /// The folder in which a file may appear.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match self.folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => &self.folder,
        }
    }

    /// The files that are meant now, in order. A path without a pattern is meant whether it is
    /// there or not; the main file and hidden ones never fit a pattern.
    ///
    /// # Errors
    /// The folder cannot be listed, or holds too many of them.
    pub fn found(&self, main: &Path) -> Result<Vec<PathBuf>, String> {
        if !self.pattern.contains('*') {
            return Ok(vec![self.folder.join(&self.pattern)]);
        }
        let cannot = |error: io::Error| {
            let folder = self.folder().display();
            format!("{folder} cannot be listed: {error}")
        };
        let entries = match fs::read_dir(self.folder()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(cannot(error)),
        };
        let mut found = Vec::new();
        for (count, entry) in entries.enumerate() {
            if count == limits::INCLUDE_FOLDER_ENTRIES_MAX {
                let folder = self.folder().display();
                return Err(format!("{folder} has more than {count} entries"));
            }
            let name = entry.map_err(cannot)?.file_name();
            let path = self.folder.join(&name);
            if name.to_str().is_some_and(|name| self.fits(name)) && path != main {
                found.push(path);
            }
        }
        if found.len() > limits::INCLUDED_FILES_MAX {
            let most = limits::INCLUDED_FILES_MAX;
            return Err(format!("fits {} files, at most {most}", found.len()));
        }
        found.sort();
        Ok(found)
    }

    /// Whether the pattern fits a name.
    pub(super) fn fits(&self, name: &str) -> bool {
        let is_hidden = name.starts_with('.') && !self.pattern.starts_with('.');
        let Some((first, rest)) = self.pattern.split_once('*') else {
            return self.pattern == name;
        };
        let Some(mut name) = name.strip_prefix(first).filter(|_| !is_hidden) else {
            return false;
        };
        let mut parts: Vec<&str> = rest.split('*').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let Some((_, after)) = name.split_once(part) else {
                return false;
            };
            name = after;
        }
        name.ends_with(last)
    }
}
