//! The configuration as written: a tree of values that know where they stand in the file.
//!
//! The readers in `read/` ask a [`Section`] for the keys they know and get values back; whatever
//! does not fit is noted in [`Notes`] with its line, its path and what was expected, and reading
//! goes on with the default. A key nobody asked for is an error: the keys that exist are exactly
//! those the readers ask for. This is the only place that names the file format.

use std::cell::RefCell;
#[cfg(test)]
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{Errors, Located, Problem, near_miss};
use super::scalar;
use super::sources::Sources;
use crate::limits;

/// What was found wrong so far.
pub(super) struct Notes<'i> {
    sources: &'i Sources,
    problems: RefCell<Vec<Located>>,
    /// What a table that is not there is read from.
    empty: DeTable<'static>,
    /// Every key the readers asked for, with `[]` for a place in a list.
    #[cfg(test)]
    pub(super) asked: RefCell<BTreeSet<String>>,
}

/// A table, and the keys that were asked for.
pub(super) struct Section<'a> {
    notes: &'a Notes<'a>,
    pub(super) path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
    retired: Vec<&'static str>,
}

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Field<'a> {
    notes: &'a Notes<'a>,
    pub(super) path: String,
    value: &'a Spanned<DeValue<'a>>,
}

/// Reads `sources` with `read`; the problems when there are any.
///
/// Text that is not TOML is not read at all: what is left of it would only mislead.
pub(super) fn read<T>(
    sources: &Sources,
    read: impl FnOnce(&mut Section<'_>) -> Option<T>,
) -> Result<T, Errors> {
    let notes = Notes::new(sources);
    notes
        .read(read)
        .ok_or_else(|| Errors::new(sources, notes.problems.into_inner()))
}

impl<'i> Notes<'i> {
    pub(super) fn new(sources: &'i Sources) -> Self {
        Self {
            sources,
            problems: RefCell::default(),
            empty: DeTable::new(),
            #[cfg(test)]
            asked: RefCell::default(),
        }
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&mut Section<'_>) -> Option<T>) -> Option<T> {
        let root = self.sources.tree(&mut self.problems.borrow_mut())?;
        let model = Section::read(self, String::new(), 0..0, &root, read);
        model.filter(|_| self.problems.borrow().is_empty())
    }

    fn note(&self, span: Option<Range<usize>>, field: &str, value: Option<String>, text: String) {
        let at = span.map(|span| span.start);
        let located = Located {
            file: at.map_or(0, |at| self.sources.number_at(at)),
            problem: Problem {
                line: at.and_then(|at| self.sources.line_at(at)),
                field: field.to_owned(),
                value,
                message: text,
            },
        };
        // What is read for several others, such as a virtual host of two listeners, is wrong once.
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&located) {
            problems.push(located);
        }
    }

    /// `path` as it is said elsewhere: with its file, if there are several.
    fn place(&self, path: &str, span: &Range<usize>) -> String {
        if !self.sources.are_several() {
            return path.to_owned();
        }
        let file = self.sources.file(self.sources.number_at(span.start));
        format!("{path} of {}", file.display())
    }
}

impl<'a> Section<'a> {
    fn read<T>(
        notes: &'a Notes<'a>,
        path: String,
        span: Range<usize>,
        table: &'a DeTable<'a>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut section = Section {
            notes,
            path,
            span,
            table,
            asked: Vec::new(),
            retired: Vec::new(),
        };
        let value = read(&mut section);
        section.note_unknown_keys();
        value
    }

    fn note_unknown_keys(&self) {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.contains(&name) || self.retired.contains(&name) {
                continue;
            }
            let message = match near_miss(name, &self.asked) {
                Some(near) => format!("unknown key, did you mean `{near}`?"),
                None => format!("unknown key, expected one of {}", quoted_list(&self.asked)),
            };
            self.notes
                .note(Some(key.span()), &self.child(name), None, message);
        }
    }

    /// The path of the table as it is said elsewhere.
    pub(super) fn place(&self) -> String {
        self.notes.place(&self.path, &self.span)
    }

    fn child(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => quoted_key(key),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{}", quoted_key(key)),
        }
    }

    /// The value of `key`, if it is there.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.asked.push(key);
        #[cfg(test)]
        let path = without_indexes(&self.child(key));
        #[cfg(test)]
        self.notes.asked.borrow_mut().insert(path);
        self.peek(key)
    }

    /// The value of `key`, which must be there.
    pub(super) fn required(&mut self, key: &'static str, expected: &str) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            self.missing(key, expected);
        }
        field
    }

    /// Notes that `key` is missing.
    pub(super) fn missing(&self, key: &str, expected: &str) {
        let message = format!("missing, expected {expected}");
        self.notes
            .note(Some(self.span.clone()), &self.child(key), None, message);
    }

    /// Notes that `key` cannot be what it is, and why.
    ///
    /// Without a key, it is the table as a whole.
    pub(super) fn refuse(&self, key: &str, message: &str) {
        if let Some(field) = self.peek(key) {
            field.refuse::<()>(message);
            return;
        }
        let (span, field) = (Some(self.span.clone()), self.child(key));
        self.notes.note(span, &field, None, message.to_owned());
    }

    /// The value of `key`, which does not count as read.
    pub(super) fn peek(&self, key: &str) -> Option<Field<'a>> {
        self.table.get(key).map(|value| Field {
            notes: self.notes,
            path: self.child(key),
            value,
        })
    }

    /// Refuses `key`, which is not a key any more, and says what to write instead of its text.
    pub(super) fn retired(&mut self, key: &'static str, instead: impl FnOnce(&str) -> String) {
        self.retired.push(key);
        if let Some(value) = self.table.get(key) {
            let text = match value.get_ref() {
                DeValue::String(text) => instead(text),
                _ => instead(""),
            };
            self.refuse(key, &format!("is no key any more: write {text}"));
        }
    }

    /// Whether `key` is there, without reading it.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(field) = self.field(key) else {
            return default;
        };
        match field.value.get_ref() {
            DeValue::Boolean(value) => *value,
            _ => field.expected("true or false").unwrap_or(default),
        }
    }

    /// One of a closed set of words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        choices: &[(&str, T)],
    ) -> T {
        let Some(field) = self.field(key) else {
            return default;
        };
        let words: Vec<&str> = choices.iter().map(|choice| choice.0).collect();
        let found = field
            .text()
            .and_then(|text| choices.iter().find(|choice| choice.0 == text));
        match found {
            Some(choice) => choice.1,
            None => field
                .expected(&format!("one of {}", quoted_list(&words)))
                .unwrap_or(default),
        }
    }

    /// A whole number.
    pub(super) fn count(
        &mut self,
        key: &'static str,
        default: u32,
        range: RangeInclusive<u32>,
    ) -> u32 {
        self.field(key)
            .and_then(|field| field.count(range))
            .unwrap_or(default)
    }

    /// A whole number from 1, or `"unlimited"`.
    pub(super) fn count_limit(&mut self, key: &'static str, default: Option<u32>) -> Option<u32> {
        let Some(field) = self.field(key) else {
            return default;
        };
        if field.is_unlimited() {
            return None;
        }
        match field.number().and_then(|number| u32::try_from(number).ok()) {
            Some(count) => Some(count),
            None => field
                .expected("a whole number from 1, or \"unlimited\"")
                .or(default),
        }
    }

    /// A size within `range`, in bytes.
    pub(super) fn size(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        let Some(field) = self.field(key) else {
            return default;
        };
        field
            .bytes()
            .filter(|bytes| range.contains(bytes))
            .unwrap_or_else(|| {
                let (least, most) = (range.start(), range.end());
                let (least, most) = (scalar::format_size(*least), scalar::format_size(*most));
                let expected = format!("a size from {least} to {most}, such as \"64KiB\"");
                field.expected(&expected).unwrap_or(default)
            })
    }

    /// A size in bytes, or `"unlimited"`.
    pub(super) fn size_limit(&mut self, key: &'static str, default: Option<u64>) -> Option<u64> {
        let Some(field) = self.field(key) else {
            return default;
        };
        if field.is_unlimited() {
            return None;
        }
        field.bytes().or_else(|| {
            field
                .expected("a size such as \"1MiB\", or \"unlimited\"")
                .or(default)
        })
    }

    /// A duration that is not zero.
    pub(super) fn duration(&mut self, key: &'static str, default: Duration) -> Duration {
        let Some(field) = self.field(key) else {
            return default;
        };
        field.duration().unwrap_or_else(|| {
            let most = scalar::format_duration(limits::DURATION_MAX);
            let expected = format!("a duration from 1ms to {most}, such as \"250ms\" or \"1h30m\"");
            field.expected(&expected).unwrap_or(default)
        })
    }

    /// A duration that is not zero, or `"off"`.
    pub(super) fn duration_limit(
        &mut self,
        key: &'static str,
        default: Option<Duration>,
    ) -> Option<Duration> {
        let Some(field) = self.field(key) else {
            return default;
        };
        if field.text() == Some("off") {
            return None;
        }
        field.duration().or_else(|| {
            let most = scalar::format_duration(limits::DURATION_MAX);
            let expected = format!("a duration from 1ms to {most}, such as \"30s\", or \"off\"");
            field.expected(&expected).or(default)
        })
    }

    /// The table under `key`, if it is there.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> Option<T> {
        self.field(key)?.section(read)
    }

    /// The table under `key`; read as if it were empty when it is not there.
    pub(super) fn section_or_empty<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let (path, span) = (self.child(key), self.span.clone());
        let (span, table) = match self.field(key).map(|field| field.table()) {
            Some(Some((span, table))) => (span, table),
            _ => (span, &self.notes.empty),
        };
        Section::read(self.notes, path, span, table, read)
    }

    /// The elements of the list under `key`, if it is there.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<Field<'a>> {
        self.field(key)
            .map(|field| field.list())
            .unwrap_or_default()
    }

    /// The elements of the list under `key`, of which there must be one.
    pub(super) fn some_list(&mut self, key: &'static str, expected: &str) -> Vec<Field<'a>> {
        let Some(field) = self.required(key, expected) else {
            return Vec::new();
        };
        if field.is_empty_list() {
            field.expected::<()>(expected);
        }
        field.list()
    }
}

impl<'a> Field<'a> {
    /// Notes that something else was expected here. `None`, to be returned in place of a value.
    pub(super) fn expected<T>(&self, what: &str) -> Option<T> {
        self.refuse(&format!("expected {what}"))
    }

    /// Notes that the value cannot be used, and why.
    pub(super) fn refuse<T>(&self, message: &str) -> Option<T> {
        let value = Some(self.as_written()).filter(|value| !value.is_empty());
        self.notes.note(
            Some(self.value.span()),
            &self.path,
            value,
            message.to_owned(),
        );
        None
    }

    /// The value as it stands in the file, cut to what is readable in one line.
    ///
    /// A table that is written under a header stands for its header, which is no value: nothing.
    fn as_written(&self) -> String {
        let text = self.notes.sources.text(self.value.span());
        let header = if self.is_list() { "[[" } else { "[" };
        if self.is_table() && text.starts_with(header) {
            return String::new();
        }
        scalar::cut(text)
    }

    /// The path of the value as it is said elsewhere.
    pub(super) fn place(&self) -> String {
        self.notes.place(&self.path, &self.value.span())
    }

    pub(super) fn is_table(&self) -> bool {
        match self.value.get_ref() {
            DeValue::Table(_) => true,
            DeValue::Array(array) => array
                .iter()
                .any(|value| matches!(value.get_ref(), DeValue::Table(_))),
            _ => false,
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(_))
    }

    pub(super) fn is_empty_list(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(list) if list.is_empty())
    }

    /// The text, if the value is a string.
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The text as `parse` reads it.
    pub(super) fn parse<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        self.text()
            .and_then(parse)
            .or_else(|| self.expected(expected))
    }

    /// The same for what stands in place of a secret: by mistake it may be the secret itself, which
    /// no log and no page shows.
    pub(super) fn parse_hidden<T>(
        &self,
        expected: &str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Option<T> {
        self.text().and_then(parse).or_else(|| {
            let message = format!("expected {expected}");
            self.notes
                .note(Some(self.value.span()), &self.path, None, message);
            None
        })
    }

    /// A whole number within `range`.
    pub(super) fn count(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let count = self.number().and_then(|number| u32::try_from(number).ok());
        count.filter(|count| range.contains(count)).or_else(|| {
            let (least, most) = (range.start(), range.end());
            if *most == u32::MAX {
                self.expected(&format!("a whole number from {least}"))
            } else {
                self.expected(&format!("a whole number from {least} to {most}"))
            }
        })
    }

    /// A whole number that is not negative, if the value is one.
    pub(super) fn number(&self) -> Option<u64> {
        match self.value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }

    fn bytes(&self) -> Option<u64> {
        self.text()
            .map_or_else(|| self.number(), scalar::parse_size)
    }

    fn is_unlimited(&self) -> bool {
        self.text() == Some("unlimited") || self.bytes() == Some(0)
    }

    fn duration(&self) -> Option<Duration> {
        let range = limits::DURATION_MIN..=limits::DURATION_MAX;
        self.text()
            .and_then(scalar::parse_duration)
            .filter(|duration| range.contains(duration))
    }

    /// The value of `key`, which does not count as read, if this is a table that has it.
    pub(super) fn peek(&self, key: &str) -> Option<Self> {
        let DeValue::Table(table) = self.value.get_ref() else {
            return None;
        };
        table.get(key).map(|value| Self {
            notes: self.notes,
            path: format!("{}.{}", self.path, quoted_key(key)),
            value,
        })
    }

    /// The table, read with `read`.
    pub(super) fn section<T>(self, read: impl FnOnce(&mut Section<'a>) -> T) -> Option<T> {
        let (span, table) = self.table()?;
        Some(Section::read(self.notes, self.path, span, table, read))
    }

    fn table(&self) -> Option<(Range<usize>, &'a DeTable<'a>)> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some((self.value.span(), table)),
            _ => self.expected("a table"),
        }
    }

    /// The elements of the list.
    pub(super) fn list(self) -> Vec<Self> {
        let DeValue::Array(array) = self.value.get_ref() else {
            match self.as_written().as_str() {
                "" => self.expected::<()>("a list"),
                written => self.expected(&format!("a list, as in [{written}]")),
            };
            return Vec::new();
        };
        // Elements are numbered within their file.
        let (mut number, mut index) = (0, 0);
        let elements = array.iter().map(|value| {
            let file = self.notes.sources.number_at(value.span().start);
            index = if file == number { index } else { 0 };
            number = file;
            index += 1;
            Self {
                notes: self.notes,
                path: format!("{}[{}]", self.path, index - 1),
                value,
            }
        });
        elements.collect()
    }

    /// The entries of a table whose keys are the user's own words.
    pub(super) fn entries(self) -> Vec<(&'a str, Self)> {
        let DeValue::Table(table) = self.value.get_ref() else {
            self.expected::<()>("a table");
            return Vec::new();
        };
        let entries = table.iter().map(|(key, value)| {
            let key = key.get_ref().as_ref();
            let path = format!("{}.{}", self.path, quoted_key(key));
            (
                key,
                Self {
                    notes: self.notes,
                    path,
                    value,
                },
            )
        });
        entries.collect()
    }
}

/// A key as it has to be written.
pub(super) fn quoted_key(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if key.bytes().all(bare) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

/// `a`, `b` and `c` as "`a`, `b`, `c`".
fn quoted_list(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

#[cfg(test)]
fn without_indexes(path: &str) -> String {
    let mut parts = path.split('[');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('[');
        text.push_str(part.trim_start_matches(|letter: char| letter.is_ascii_digit()));
    }
    text
}
