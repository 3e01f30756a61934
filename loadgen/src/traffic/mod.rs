//! What is sent: for every number of the run a request, its content, and what must come back.
//!
//! Everything here is fixed before the run and the same for all shards; which request a number
//! means is a pure function of the number, so a run can be repeated. Contents are parts of memory
//! that all requests share: sending one neither allocates nor copies them.

pub(crate) mod block;
pub(crate) mod keys;
pub(crate) mod mix;
pub(crate) mod mix_file;
pub(crate) mod request;
pub(crate) mod trace;

use std::sync::Arc;

use bytes::Bytes;
use engine::io::Buf;

use crate::expect::Expectation;

use self::mix::{Content, Mix};
use self::request::Request;
use self::trace::Trace;

/// The most bytes of content whose size is drawn or recorded.
pub(crate) const DRAWN_BYTES_MAX: u64 = 256 << 20;

/// What the requests of a run are.
#[derive(Clone, Debug)]
enum Source {
    /// Chosen by weight from kinds of requests; one kind is a mix as well.
    Mix(Mix),
    /// One after the other, as recorded.
    Trace(Trace),
}

/// What the requests of a run are; cloning it copies nothing.
#[derive(Clone, Debug)]
pub(crate) struct Traffic {
    source: Arc<Source>,
    /// As many bytes as the longest content that is drawn or recorded.
    filler: Bytes,
}

impl Traffic {
    /// Requests of a mix.
    pub(crate) fn mixed(mix: Mix) -> Self {
        Self::new(mix.longest(), Source::Mix(mix))
    }

    /// Requests of a trace.
    pub(crate) fn recorded(trace: Trace) -> Self {
        Self::new(trace.longest(), Source::Trace(trace))
    }

    fn new(longest: u64, source: Source) -> Self {
        let longest = usize::try_from(longest).unwrap_or(usize::MAX);
        Self {
            source: Arc::new(source),
            filler: vec![b'x'; longest].into(),
        }
    }

    /// The entries that are reported apart, by their index: name and weight; of a trace, weights
    /// are counts.
    pub(crate) fn entries(&self) -> Vec<(String, u64)> {
        match &*self.source {
            Source::Mix(mix) => {
                let entries = mix.entries().iter();
                entries
                    .map(|entry| (entry.name.clone(), entry.weight))
                    .collect()
            }
            Source::Trace(trace) => trace.entries().to_vec(),
        }
    }

    /// The entry that request `number` belongs to.
    pub(crate) fn entry(&self, number: u64) -> usize {
        match &*self.source {
            Source::Mix(mix) => mix.choose(number),
            Source::Trace(trace) => trace.entry(number),
        }
    }

    /// Does any answer have to be hashed?
    pub(crate) fn hashes(&self) -> bool {
        match &*self.source {
            Source::Mix(mix) => {
                let mut entries = mix.entries().iter();
                entries.any(|entry| entry.expectation.hash.is_some())
            }
            Source::Trace(_) => false,
        }
    }

    /// Request `number`, which belongs to `entry`.
    pub(crate) fn exchange(&self, entry: usize, number: u64) -> Exchange<'_> {
        match &*self.source {
            Source::Mix(mix) => {
                let kind = &mix.entries()[entry];
                let body = match &kind.content {
                    Content::Same(bytes) => Buf::from_bytes(bytes.clone()),
                    Content::Sized(sizes) => self.fill(mix.size(sizes, number)),
                };
                Exchange {
                    request: &kind.request,
                    body,
                    expectation: &kind.expectation,
                    path: Target::Numbered(number),
                }
            }
            Source::Trace(trace) => {
                let recorded = trace.get(number);
                Exchange {
                    request: recorded.request,
                    body: self.fill(recorded.body_bytes),
                    expectation: recorded.expectation,
                    path: Target::Recorded(recorded.path),
                }
            }
        }
    }

    /// The first `size` bytes of the filler.
    fn fill(&self, size: u64) -> Buf {
        let mut body = Buf::from_bytes(self.filler.clone());
        body.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        body
    }
}

/// Where the path of a request comes from.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    /// From its kind, with its number filled in.
    Numbered(u64),
    /// From a record of its own.
    Recorded(&'a str),
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
    path: Target<'a>,
}

impl Exchange<'_> {
    /// Appends its path and query.
    pub(crate) fn write_path(&self, out: &mut Vec<u8>) {
        match self.path {
            Target::Numbered(number) => self.request.path.write(out, number),
            Target::Recorded(path) => out.extend_from_slice(path.as_bytes()),
        }
    }

    /// Appends its head for HTTP/1.1, with the empty line.
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        let length = self.body.len();
        self.request
            .write_head(out, |out| self.write_path(out), length);
    }

    /// Appends its head for HTTP/2, as a field block.
    pub(crate) fn write_block(&self, out: &mut Vec<u8>) {
        let length = self.body.len();
        self.request
            .write_block(out, |out| self.write_path(out), length);
    }
}
