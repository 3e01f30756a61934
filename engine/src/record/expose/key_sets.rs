//! Keys of issuers, for Prometheus: what the control thread knows of them.
//!
//! No shard records these, so they are not in the ledger; whoever asks hands them in. The series
//! are those of the configuration.

use std::time::Duration;

use super::prometheus::{head, sample};
use crate::record::names;

/// What there is to tell of the keys that are fetched from one address.
#[derive(Clone, Copy, Debug)]
pub struct KeySetFigures<'a> {
    /// The address.
    pub url: &'a str,
    /// Usable keys.
    pub keys: usize,
    /// How long ago they were fetched, if they were.
    pub age: Option<Duration>,
    /// Fetches that brought keys, and that did not.
    pub fetched: [u64; 2],
}

/// Appends the metrics of fetched keys.
pub fn write_key_sets<'a>(out: &mut String, all: impl Iterator<Item = KeySetFigures<'a>> + Clone) {
    head(out, names::KEY_SET_KEYS);
    for set in all.clone() {
        let labels = [("url", set.url)];
        sample(out, names::KEY_SET_KEYS.name, &labels, set.keys as u64);
    }
    head(out, names::KEY_SET_AGE);
    for set in all.clone() {
        if let Some(age) = set.age {
            let labels = [("url", set.url)];
            sample(out, names::KEY_SET_AGE.name, &labels, age.as_secs());
        }
    }
    head(out, names::KEY_SET_FETCHES);
    for set in all {
        for (result, count) in ["ok", "error"].into_iter().zip(set.fetched) {
            let labels = [("url", set.url), ("result", result)];
            sample(out, names::KEY_SET_FETCHES.name, &labels, count);
        }
    }
}
