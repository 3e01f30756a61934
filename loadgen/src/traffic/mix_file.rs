//! The file of a mix: TOML, a table for each kind of request. README.md is the reference of its
//! keys.
//!
//! Unknown keys are mistakes, and all mistakes are reported together. A request takes from the
//! command line what it does not say itself: the path of the URL, the fields of `--header`, the
//! statuses of `--expect-status`.

use std::fs;
use std::path::Path as FilePath;

use bytes::Bytes;
use toml::{Table, Value};

use crate::distribution::Sizes;
use crate::expect::{self, Expectation, StatusSet};
use crate::grpc::Codes;
use crate::quantity;
use crate::target::{self, Field, Url};

use super::DRAWN_BYTES_MAX;
use super::keys::{Keys, text, text_or_number};
use super::mix::{Content, Entry};
use super::request::{Path, Request};

/// The most requests in a file: each has a histogram on each shard.
const ENTRIES_MAX: usize = 256;
/// The largest weight.
const WEIGHT_MAX: i64 = 1_000_000;

/// What requests have that do not say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults<'a> {
    /// Gives host and path.
    pub url: &'a Url,
    /// Fields of every request.
    pub fields: &'a [Field],
    /// Statuses that are right.
    pub status: &'a StatusSet,
    /// gRPC statuses that are right, if calls are made.
    pub grpc: Option<Codes>,
}

/// Reads a file.
///
/// *Errors:* a line for each mistake.
pub(crate) fn read(path: &FilePath, defaults: Defaults<'_>) -> Result<Vec<Entry>, String> {
    let name = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let table: Table = text.parse().map_err(|error| format!("{name}: {error}"))?;
    let folder = path.parent().unwrap_or_else(|| FilePath::new(""));
    parse(table, &name.to_string(), folder, defaults)
}

fn parse(
    table: Table,
    file: &str,
    folder: &FilePath,
    defaults: Defaults<'_>,
) -> Result<Vec<Entry>, String> {
    let mut mistakes = Vec::new();
    let mut keys = Keys::new(table, file.into(), &mut mistakes);
    let tables = keys.take("request", tables).unwrap_or_default();
    keys.finish();
    if tables.is_empty() && mistakes.is_empty() {
        mistakes.push(format!("{file}: it has no [[request]]"));
    }
    if tables.len() > ENTRIES_MAX {
        let count = tables.len();
        mistakes.push(format!("{file}: {count} requests; at most {ENTRIES_MAX}"));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(tables.len());
    for (at, table) in tables.into_iter().enumerate() {
        let place = format!("{file}: request {}", at + 1);
        let keys = Keys::new(table, place.clone(), &mut mistakes);
        let entry = entry(keys, folder, defaults);
        if let Some(first) = entries.iter().position(|other| other.name == entry.name) {
            let (name, first) = (&entry.name, first + 1);
            mistakes.push(format!(
                "{place}: name = {name:?}: request {first} has that name"
            ));
        }
        entries.push(entry);
    }
    if mistakes.is_empty() {
        Ok(entries)
    } else {
        Err(mistakes.join("\n"))
    }
}

fn tables(value: &Value) -> Result<Vec<Table>, String> {
    let tables = value
        .as_array()
        .map(|values| values.iter().map(Value::as_table));
    tables
        .and_then(|tables| tables.map(|table| table.cloned()).collect())
        .ok_or_else(|| "tables were expected; write [[request]]".into())
}

/// The request of a table; what is wrong in it is left out, and noted as a mistake.
fn entry(mut keys: Keys<'_>, folder: &FilePath, defaults: Defaults<'_>) -> Entry {
    let name = keys.take("name", |value| text(value).map(str::to_owned));
    if let Some(name) = &name {
        keys.call(name);
    }
    let weight = keys.take("weight", weight).unwrap_or(1);
    let method = keys.take("method", |value| text(value).and_then(target::method));
    let method = method.unwrap_or_else(|| "GET".into());
    let path = keys.take("path", path);
    let fields = fields(&mut keys, defaults.fields);
    let content = content(&mut keys, folder);
    let expectation = expectation(&mut keys, defaults);
    keys.finish();
    let (path, path_text) =
        path.unwrap_or_else(|| (defaults.url.path(), defaults.url.target().into()));
    Entry {
        name: name.unwrap_or_else(|| format!("{method} {path_text}")),
        weight,
        request: Request::new(defaults.url, &method, path, &fields, content.is_some()),
        content: content.unwrap_or(Content::Same(Bytes::new())),
        expectation,
    }
}

fn weight(value: &Value) -> Result<u64, String> {
    let weight = value
        .as_integer()
        .filter(|weight| (1..=WEIGHT_MAX).contains(weight));
    weight
        .and_then(|weight| u64::try_from(weight).ok())
        .ok_or_else(|| format!("a whole number from 1 to {WEIGHT_MAX} was expected"))
}

fn path(value: &Value) -> Result<(Path, String), String> {
    let path = text(value)?;
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a path begins with / and has no blanks; percent-encode them".into());
    }
    Ok((Path::numbered(path), path.into()))
}

/// The fields of the table, and those of every request that it does not name.
fn fields(keys: &mut Keys<'_>, everywhere: &[Field]) -> Vec<Field> {
    let mut fields = Vec::new();
    if let Some(mut keys) = keys.table("headers") {
        for (name, value) in keys.rest() {
            match field(&name, &value) {
                Ok(read) => fields.extend(read),
                Err(expected) => keys.mistake(&format!("{name} = {value}"), &expected),
            }
        }
    }
    let others = everywhere.iter();
    let others: Vec<Field> = others
        .filter(|other| !fields.iter().any(|field| field.is(other.name())))
        .cloned()
        .collect();
    [fields, others].concat()
}

fn field(name: &str, value: &Value) -> Result<Vec<Field>, String> {
    let one = |value: &Value| Field::parse(&format!("{name}: {}", text(value)?));
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => one(value).map(|field| vec![field]),
    }
}

fn content(keys: &mut Keys<'_>, folder: &FilePath) -> Option<Content> {
    let mut keys = keys.table("body")?;
    let same = |bytes: Vec<u8>| Content::Same(bytes.into());
    let contents = [
        keys.take("text", |value| text(value).map(|text| same(text.into()))),
        keys.take("file", |value| {
            let path = folder.join(text(value)?);
            let bytes = fs::read(&path);
            bytes
                .map(same)
                .map_err(|error| format!("cannot read it: {error}"))
        }),
        keys.take("size", |value| sizes(value).map(Content::Sized)),
    ];
    let found = contents.iter().flatten().count();
    if found > 1 || (found == 0 && keys.was_empty()) {
        keys.mistake("text, file, size", "exactly one of them was expected");
    }
    keys.finish();
    contents.into_iter().flatten().next()
}

fn sizes(value: &Value) -> Result<Sizes, String> {
    let sizes = Sizes::parse(&text_or_number(value)?)?;
    let longest = sizes.longest();
    (longest <= DRAWN_BYTES_MAX)
        .then_some(sizes)
        .ok_or_else(|| {
            let longest = quantity::show_bytes(longest as f64);
            format!("it can be {longest}; content goes up to 256MiB")
        })
}

fn expectation(keys: &mut Keys<'_>, defaults: Defaults<'_>) -> Expectation {
    let mut expectation = Expectation {
        status: defaults.status.clone(),
        length: None,
        hash: None,
        grpc: defaults.grpc,
    };
    let Some(mut keys) = keys.table("expect") else {
        return expectation;
    };
    let statuses = |value: &Value| StatusSet::parse(&text_or_number(value)?);
    if let Some(status) = keys.take("status", statuses) {
        expectation.status = status;
    }
    expectation.length = keys.take("length", |value| quantity::size(&text_or_number(value)?));
    expectation.hash = keys.take("hash", |value| expect::hash(text(value)?));
    keys.finish();
    expectation
}

#[cfg(test)]
#[path = "mix_file_tests.rs"]
mod tests;
