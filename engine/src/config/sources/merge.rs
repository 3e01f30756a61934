//! One tree from the trees of several files.
//!
//! Lists are appended, tables are merged key by key, and what is neither may stand in one file
//! only: which one would win is nothing that an operator should have to know.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::include;
use crate::config::file::quoted_key;

/// A value that may not stand where it does.
pub(super) struct Clash {
    pub(super) path: String,
    /// Where the same is already; nothing when it may not be there at all.
    pub(super) first: Option<Range<usize>>,
    pub(super) second: Range<usize>,
}

/// `table` as if its text began at `by`.
pub(super) fn moved(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let entries = table.into_iter().map(|(key, value)| {
        let span = key.span();
        let key = Spanned::new(span.start + by..span.end + by, key.into_inner());
        (key, moved_value(value, by))
    });
    entries.collect()
}

fn moved_value(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::Table(table) => DeValue::Table(moved(table, by)),
        DeValue::Array(list) => {
            DeValue::Array(list.into_iter().map(|it| moved_value(it, by)).collect())
        }
        value => value,
    };
    Spanned::new(span.start + by..span.end + by, value)
}

/// Adds what an included file says to `tree`.
pub(super) fn join<'a>(
    tree: &mut DeTable<'a>,
    mut fragment: DeTable<'a>,
    clashes: &mut Vec<Clash>,
) {
    if let Some(value) = fragment.remove(include::KEY) {
        clashes.push(Clash {
            path: include::KEY.to_owned(),
            first: None,
            second: value.span(),
        });
    }
    join_at("", tree, fragment, clashes);
}

fn join_at<'a>(path: &str, into: &mut DeTable<'a>, from: DeTable<'a>, clashes: &mut Vec<Clash>) {
    for (key, value) in from {
        let name = key.get_ref().as_ref();
        let Some(first) = into.get_mut(name) else {
            into.insert(key, value);
            continue;
        };
        let path = match path {
            "" => quoted_key(name),
            path => format!("{path}.{}", quoted_key(name)),
        };
        let (first_span, second) = (first.span(), value.span());
        match (first.get_mut(), value.into_inner()) {
            (DeValue::Table(into), DeValue::Table(from)) => join_at(&path, into, from, clashes),
            (DeValue::Array(into), DeValue::Array(from)) => {
                from.into_iter().for_each(|element| into.push(element));
            }
            _ => clashes.push(Clash {
                path,
                first: Some(first_span),
                second,
            }),
        }
    }
}

/// The first key of a path such as `a."b.c"[1].d`, and what follows it.
pub(super) fn first_key(path: &str) -> Option<(String, &str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(quoted) = path.strip_prefix('"') {
        let (key, rest) = quoted.split_once('"')?;
        return Some((key.to_owned(), rest));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (key, rest) = path.split_at(end);
    (!key.is_empty()).then(|| (key.to_owned(), rest))
}

/// The place in a list with which a path begins, and what follows it.
pub(super) fn first_place(path: &str) -> Option<(usize, &str)> {
    let (place, rest) = path.strip_prefix('[')?.split_once(']')?;
    Some((place.parse().ok()?, rest))
}
