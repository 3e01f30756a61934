//! From a request's path to its route, within a virtual host.
//!
//! Precedence among the matches that hold (Gateway API, `HTTPRouteRule.matches`): exact path, then
//! (its choice left to us) regular expression, then the longest prefix; then a method, then most
//! field conditions, then most query conditions, then the first in the file. Regular expressions
//! stand before prefixes as in nginx and Envoy Gateway: a route for `/` would hide them all
//! otherwise.
//!
//! A prefix stands for whole segments: `/a` is `/a` and `/a/b`, not `/ab`. One pass over the path
//! finds the longest configured prefix; each knows the next shorter one.

use std::collections::BTreeMap;
use std::ops::Range;

use super::hash::{Hash, Table};
use super::matcher::Conditions;
use crate::config::model::{self, PathMatch, Pattern};
use crate::http::Request;

/// The routes of a virtual host by path.
#[derive(Debug)]
pub(super) struct PathTable {
    exact: Table<Range<usize>>,
    regex: Vec<(Pattern, Candidate)>,
    /// From a prefix without its final slash to its place in `prefixes`.
    prefix: Table<usize>,
    prefixes: Vec<Prefix>,
    /// The conditions of exact and prefix matches, those of one path together, in precedence.
    candidates: Vec<Candidate>,
}

#[derive(Debug)]
struct Prefix {
    candidates: Range<usize>,
    /// The longest other prefix that this one begins with.
    shorter: Option<usize>,
}

/// A match whose path holds.
#[derive(Debug)]
struct Candidate {
    conditions: Conditions,
    /// The route's place in the route table.
    route: usize,
}

impl PathTable {
    /// The table of `routes`, of which the first has the number `first`.
    pub(super) fn compile(routes: &[model::Route], first: usize) -> Self {
        let mut exact: BTreeMap<&str, Vec<Candidate>> = BTreeMap::new();
        let mut prefix: BTreeMap<&str, Vec<Candidate>> = BTreeMap::new();
        let mut regex = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            for condition in &route.matches {
                let conditions = Conditions::compile(condition);
                let candidate = Candidate {
                    conditions,
                    route: first + index,
                };
                match &condition.path {
                    PathMatch::Exact(path) => exact.entry(path).or_default().push(candidate),
                    PathMatch::Prefix(path) => {
                        prefix
                            .entry(path.trim_end_matches('/'))
                            .or_default()
                            .push(candidate);
                    }
                    PathMatch::Regex(pattern) => regex.push((pattern.clone(), candidate)),
                }
            }
        }
        // A stable sort keeps the order of the file among equals.
        regex.sort_by_key(|(_, candidate)| candidate.conditions.precedence());
        let mut candidates = Vec::new();
        let entry = |(path, found): (&str, Vec<Candidate>)| {
            (
                hash(path),
                path.as_bytes().into(),
                append(&mut candidates, found),
            )
        };
        let exact = Table::new(exact.into_iter().map(entry).collect());
        let paths: Vec<&str> = prefix.keys().copied().collect();
        let prefixes = prefix.into_iter().map(|(path, found)| Prefix {
            candidates: append(&mut candidates, found),
            shorter: longest_before(path, &paths),
        });
        let prefixes = prefixes.collect();
        let entries = paths.iter().zip(0..);
        let entries = entries.map(|(path, index)| (hash(path), path.as_bytes().into(), index));
        let prefix = Table::new(entries.collect());
        Self {
            exact,
            regex,
            prefix,
            prefixes,
            candidates,
        }
    }

    /// The place of the route for `request` in the route table.
    #[inline]
    pub(super) fn find(&self, request: &Request<'_>) -> Option<usize> {
        let path = request.path();
        let (exact, longest) = self.look_up(path);
        let exact = exact.and_then(|range| self.first_of(range, request));
        exact
            .or_else(|| self.find_regex(path, request))
            .or_else(|| {
                let prefixes =
                    std::iter::successors(longest, |prefix| self.prefixes.get(prefix.shorter?));
                let mut routes = prefixes.map(|prefix| self.first_of(&prefix.candidates, request));
                routes.find_map(|route| route)
            })
    }

    /// What is configured for exactly this path, and the longest configured prefix of it.
    fn look_up(&self, path: &[u8]) -> (Option<&Range<usize>>, Option<&Prefix>) {
        // The empty prefix, written `/`, stands for every request: also for `*` and CONNECT.
        let mut longest = self.prefix.find(Hash::EMPTY, <[u8]>::is_empty);
        let longest_key = self.exact.key_bytes_max.max(self.prefix.key_bytes_max);
        let mut hash = Hash::EMPTY;
        for (index, byte) in path.iter().enumerate() {
            if *byte == b'/' && index > 0 {
                longest = self
                    .find_prefix(hash, path.get(..index).unwrap_or_default())
                    .or(longest);
            }
            if index >= longest_key {
                return (None, longest.and_then(|index| self.prefixes.get(*index)));
            }
            hash = hash.with(*byte);
        }
        longest = self.find_prefix(hash, path).or(longest);
        let exact = self.exact.find(hash, |key| key == path);
        (exact, longest.and_then(|index| self.prefixes.get(*index)))
    }

    #[inline]
    fn find_prefix(&self, hash: Hash, path: &[u8]) -> Option<&usize> {
        self.prefix.find(hash, |key| key == path)
    }

    fn find_regex(&self, path: &[u8], request: &Request<'_>) -> Option<usize> {
        let holds = |(pattern, candidate): &&(Pattern, Candidate)| {
            candidate.conditions.hold(request) && pattern.is_match(path)
        };
        self.regex
            .iter()
            .find(holds)
            .map(|(_, candidate)| candidate.route)
    }

    fn first_of(&self, range: &Range<usize>, request: &Request<'_>) -> Option<usize> {
        let candidates = self.candidates.get(range.clone()).unwrap_or_default();
        let found = candidates
            .iter()
            .find(|candidate| candidate.conditions.hold(request));
        found.map(|candidate| candidate.route)
    }
}

fn hash(path: &str) -> Hash {
    Hash::of(path.bytes())
}

/// Appends `found` in precedence; where it is then.
fn append(candidates: &mut Vec<Candidate>, mut found: Vec<Candidate>) -> Range<usize> {
    // A stable sort keeps the order of the file among equals.
    found.sort_by_key(|candidate| candidate.conditions.precedence());
    let start = candidates.len();
    candidates.append(&mut found);
    start..candidates.len()
}

/// The longest of the sorted `paths` that stands for `path` too and is not `path` itself.
fn longest_before(path: &str, paths: &[&str]) -> Option<usize> {
    let shorter = path
        .rmatch_indices('/')
        .map(|(end, _)| path.get(..end).unwrap_or_default());
    shorter
        .filter_map(|prefix| paths.binary_search(&prefix).ok())
        .next()
}
