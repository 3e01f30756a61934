//! Host patterns and regular expressions that are known to be valid.
//!
//! A [`HostPattern`] is in lower case and has no port. A [`Pattern`] is compiled, bounded in size,
//! and always matches the whole of a value. Not here: which of several patterns wins (`route`).

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};
use serde::{Serialize, Serializer};

use crate::limits;

/// Which hosts a virtual host answers for. Names are in lower case, without port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `*`: every host.
    Any,
    /// One host, a name or an IP literal.
    Exact(String),
    /// `*.example.com`: any name with at least one more label. Holds `example.com`.
    Wildcard(String),
}

impl fmt::Display for HostPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("*"),
            Self::Exact(host) => out.write_str(host),
            Self::Wildcard(suffix) => write!(out, "*.{suffix}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A regular expression that must match the whole value.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles `text`, bounded in size by [`limits::REGEX_BYTES_MAX`].
    ///
    /// # Errors
    /// The regex crate's own description, which points at the place.
    pub fn parse(text: &str) -> Result<Self, regex::Error> {
        // Alone first: a pattern must not be able to close the group it is wrapped in.
        Self::compile(text)?;
        let regex = Self::compile(&format!(r"\A(?:{text})\z"))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    fn compile(text: &str) -> Result<Regex, regex::Error> {
        // Paths and field values are bytes, not text: classes are ASCII, `.` is any byte.
        RegexBuilder::new(text)
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(limits::REGEX_BYTES_MAX)
            .build()
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn is_match(&self, value: &[u8]) -> bool {
        self.regex.is_match(value)
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, out)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
