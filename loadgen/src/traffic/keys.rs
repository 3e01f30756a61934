//! Reads TOML tables key by key, and says of every mistake where it is and what was expected.
//!
//! All mistakes of a file are gathered, so that they can be mended at once. Each is one line:
//!
//! ```text
//! shop.toml: request 2 "upload": body.size = "5XB": `5XB` is not a size; write 1024, 64KiB, 1MB
//! ```

use toml::{Table, Value};

/// A table whose keys are taken out one by one; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    table: Table,
    /// What stands before a key: the place of the table, and its own key with a dot.
    place: String,
    prefix: String,
    known: Vec<&'static str>,
    /// Was there no key from the beginning?
    was_empty: bool,
    mistakes: &'a mut Vec<String>,
}

impl<'a> Keys<'a> {
    /// The keys of a table at `place`; mistakes are added to `mistakes`.
    pub(crate) fn new(table: Table, place: String, mistakes: &'a mut Vec<String>) -> Self {
        Self {
            was_empty: table.is_empty(),
            table,
            place,
            prefix: String::new(),
            known: Vec::new(),
            mistakes,
        }
    }

    /// Makes later mistakes name what the table is about, too.
    pub(crate) fn call(&mut self, name: &str) {
        self.place = format!("{} {name:?}", self.place);
    }

    /// Was there no key from the beginning?
    pub(crate) const fn was_empty(&self) -> bool {
        self.was_empty
    }

    /// The value of `key`, if it is there and `read` understands it.
    pub(crate) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.table.remove(key)?;
        match read(&value) {
            Ok(read) => Some(read),
            Err(expected) => {
                self.mistake(&format!("{key} = {value}"), &expected);
                None
            }
        }
    }

    /// The keys of the table that `key` is, if it is there.
    pub(crate) fn table(&mut self, key: &'static str) -> Option<Keys<'_>> {
        let table = self.take(key, |value| match value {
            Value::Table(table) => Ok(table.clone()),
            other => Err(unexpected("a table", other)),
        })?;
        Some(Keys {
            was_empty: table.is_empty(),
            table,
            place: self.place.clone(),
            prefix: format!("{}{key}.", self.prefix),
            known: Vec::new(),
            mistakes: self.mistakes,
        })
    }

    /// All keys that are left, whatever they are called.
    pub(crate) fn rest(&mut self) -> Table {
        std::mem::take(&mut self.table)
    }

    /// A mistake about `what`.
    pub(crate) fn mistake(&mut self, what: &str, expected: &str) {
        let Self { place, prefix, .. } = self;
        self.mistakes
            .push(format!("{place}: {prefix}{what}: {expected}"));
    }

    /// Nothing else may be there.
    pub(crate) fn finish(mut self) {
        for (key, value) in self.rest() {
            let known = self.known.join(", ");
            self.mistake(
                &format!("{key} = {value}"),
                &format!("no such key; there are {known}"),
            );
        }
    }
}

/// A string.
pub(crate) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| unexpected("a string", value))
}

/// A string, or a whole number written without quotes.
pub(crate) fn text_or_number(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        other => Err(unexpected("a string or a whole number", other)),
    }
}

fn unexpected(expected: &str, value: &Value) -> String {
    format!("{expected} was expected; its type is {}", value.type_str())
}
