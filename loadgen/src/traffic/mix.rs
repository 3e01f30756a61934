//! A mix: kinds of requests, and which one a number means.

use crate::expect::Expectation;

use super::request::Request;

/// One kind of request, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What is sent.
    pub request: Request,
    /// The content; may be empty.
    pub body: Vec<u8>,
    /// What must come back.
    pub expectation: Expectation,
}

/// Kinds of requests.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    entries: Vec<Entry>,
}

impl Mix {
    /// Nothing but this.
    pub(crate) fn only(entry: Entry) -> Self {
        Self {
            entries: vec![entry],
        }
    }

    /// The kinds.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The kind that request `number` is of.
    pub(crate) const fn choose(&self, _number: u64) -> usize {
        0
    }
}
