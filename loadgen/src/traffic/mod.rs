//! What is sent: for every number of the run a request, its content, and what must come back.
//!
//! Everything here is fixed before the run and the same for all shards; which request a number
//! means is a pure function of the number, so a run can be repeated.

pub(crate) mod mix;
pub(crate) mod request;

use engine::io::Buf;

use crate::expect::Expectation;

use self::mix::Mix;
use self::request::Request;

/// What the requests of a run are.
#[derive(Clone, Debug)]
pub(crate) enum Traffic {
    /// Chosen by weight from kinds of requests; one kind is a mix as well.
    Mix(Mix),
}

impl Traffic {
    /// The entry that request `number` belongs to.
    pub(crate) fn entry(&self, number: u64) -> usize {
        match self {
            Self::Mix(mix) => mix.choose(number),
        }
    }

    /// Does any answer have to be hashed?
    pub(crate) fn hashes(&self) -> bool {
        match self {
            Self::Mix(mix) => {
                let mut entries = mix.entries().iter();
                entries.any(|entry| entry.expectation.hash.is_some())
            }
        }
    }
}

/// One request as it is to be sent, and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct Exchange<'a> {
    /// What it has in common with others.
    pub request: &'a Request,
    /// Its content; may be empty. A reference, not a copy.
    pub body: Buf,
    /// What must come back.
    pub expectation: &'a Expectation,
    number: u64,
}

impl Exchange<'_> {
    /// Appends its path and query.
    pub(crate) fn write_path(&self, out: &mut Vec<u8>) {
        self.request.path.write(out, self.number);
    }

    /// Appends its head for HTTP/1.1, with the empty line.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        let length = self.body.len();
        self.request
            .write_head(out, |out| self.write_path(out), length);
    }
}

/// The contents of one shard's requests, in memory that sending only refers to.
#[derive(Debug)]
pub(crate) struct Contents {
    /// By entry.
    bodies: Vec<Buf>,
}

impl Contents {
    /// Makes them.
    pub(crate) fn new(traffic: &Traffic) -> Self {
        let bodies = match traffic {
            Traffic::Mix(mix) => {
                let bodies = mix.entries().iter().map(|entry| entry.body.clone());
                bodies.map(Buf::from_vec).collect()
            }
        };
        Self { bodies }
    }

    /// Request `number`, which belongs to `entry`.
    pub(crate) fn exchange<'a>(
        &self,
        traffic: &'a Traffic,
        entry: usize,
        number: u64,
    ) -> Exchange<'a> {
        match traffic {
            Traffic::Mix(mix) => {
                let kind = &mix.entries()[entry];
                Exchange {
                    request: &kind.request,
                    body: self.bodies[entry].clone(),
                    expectation: &kind.expectation,
                    number,
                }
            }
        }
    }
}
