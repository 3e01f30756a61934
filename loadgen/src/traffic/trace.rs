//! A trace: requests that were recorded, to be sent again one after the other.
//!
//! A request takes 16 bytes here and shares what it has in common with others: kinds by method,
//! authority and framing, expectations, paths.

use std::collections::HashMap;
use std::hash::Hash;

use crate::expect::Expectation;

use super::DRAWN_BYTES_MAX;
use super::request::Request;

/// One recorded request, in references to what it shares.
#[derive(Clone, Copy, Debug)]
struct Record {
    kind: u32,
    expectation: u32,
    path: u32,
    body_bytes: u32,
}

/// What all requests of one method, authority and framing have in common.
#[derive(Clone, Debug)]
struct Kind {
    request: Request,
    /// The entry that it is reported under.
    entry: usize,
}

/// A request of the trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded<'a> {
    /// What it has in common with others.
    pub request: &'a Request,
    /// Path and query.
    pub path: &'a str,
    /// Bytes of its content.
    pub body_bytes: u64,
    /// What must come back.
    pub expectation: &'a Expectation,
}

/// Recorded requests, in the order in which they are due.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    records: Vec<Record>,
    kinds: Vec<Kind>,
    expectations: Vec<Expectation>,
    paths: Vec<Box<str>>,
    /// By entry: a method, and how many requests have it.
    entries: Vec<(String, u64)>,
    longest: u32,
}

impl Trace {
    /// How many requests.
    pub(crate) fn len(&self) -> u64 {
        self.records.len() as u64
    }

    /// The entries that are reported apart: a method, and how many requests have it.
    pub(crate) fn entries(&self) -> &[(String, u64)] {
        &self.entries
    }

    /// The longest content in bytes.
    pub(crate) fn longest(&self) -> u64 {
        self.longest.into()
    }

    /// The entry that request `number` belongs to.
    pub(crate) fn entry(&self, number: u64) -> usize {
        self.kinds[self.record(number).kind as usize].entry
    }

    /// Request `number`, which is less than [`Self::len`].
    pub(crate) fn get(&self, number: u64) -> Recorded<'_> {
        let record = self.record(number);
        Recorded {
            request: &self.kinds[record.kind as usize].request,
            path: &self.paths[record.path as usize],
            body_bytes: record.body_bytes.into(),
            expectation: &self.expectations[record.expectation as usize],
        }
    }

    fn record(&self, number: u64) -> &Record {
        &self.records[number as usize]
    }
}

/// What tells kinds of requests apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KindKey {
    /// Method.
    pub method: String,
    /// What `Host` is to say, if not what the URL says.
    pub authority: Option<String>,
    /// Does it have content, be it empty?
    pub has_content: bool,
}

/// How many bytes a request took, as far as a log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: it is sent without content.
    Nothing,
    /// Head and content together.
    Whole(u64),
}

/// Makes a trace, request by request.
pub(crate) struct TraceBuilder<'a> {
    trace: Trace,
    /// When each request was, in nanoseconds, whatever they count from.
    times: Vec<u64>,
    kinds: HashMap<KindKey, u32>,
    expectations: HashMap<u16, u32>,
    paths: HashMap<Box<str>, u32>,
    request: &'a dyn Fn(&KindKey) -> Request,
    expectation: &'a dyn Fn(u16) -> Expectation,
}

impl<'a> TraceBuilder<'a> {
    /// An empty trace. `request` makes what requests of a kind have in common, `expectation` what
    /// is expected where this status was recorded.
    pub(crate) fn new(
        request: &'a dyn Fn(&KindKey) -> Request,
        expectation: &'a dyn Fn(u16) -> Expectation,
    ) -> Self {
        Self {
            trace: Trace::default(),
            times: Vec::new(),
            kinds: HashMap::new(),
            expectations: HashMap::new(),
            paths: HashMap::new(),
            request,
            expectation,
        }
    }

    /// How many requests there are.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Adds a request. Content that is longer than [`DRAWN_BYTES_MAX`] is cut.
    pub(crate) fn push(&mut self, time: u64, key: KindKey, path: &str, told: Told, status: u16) {
        let trace = &mut self.trace;
        let (method, has_content) = (key.method.clone(), key.has_content);
        let make = |key: &KindKey| Kind {
            request: (self.request)(key),
            entry: entry(&mut trace.entries, &method),
        };
        let kind = index(&mut self.kinds, &mut trace.kinds, key, make);
        trace.entries[trace.kinds[kind as usize].entry].1 += 1;
        let make = |status: &u16| (self.expectation)(*status);
        let expectation = index(
            &mut self.expectations,
            &mut trace.expectations,
            status,
            make,
        );
        let path_index = match self.paths.get(path) {
            Some(&index) => index,
            None => index(&mut self.paths, &mut trace.paths, path.into(), Box::clone),
        };
        let body = match told {
            Told::Whole(bytes) if has_content => trace.kinds[kind as usize]
                .request
                .content_of(bytes, path.len()),
            Told::Whole(_) | Told::Nothing => 0,
        };
        let body_bytes = u32::try_from(body.min(DRAWN_BYTES_MAX)).unwrap_or(u32::MAX);
        trace.longest = trace.longest.max(body_bytes);
        trace.records.push(Record {
            kind,
            expectation,
            path: path_index,
            body_bytes,
        });
        self.times.push(time);
    }

    /// The trace in the order of time, and when each request is due after the first.
    pub(crate) fn finish(self) -> (Trace, Vec<u64>) {
        let Self {
            mut trace, times, ..
        } = self;
        let mut sorted: Vec<(u64, Record)> = times.into_iter().zip(trace.records).collect();
        // Stable: what was logged at the same time stays in the order of the log.
        sorted.sort_by_key(|&(time, _)| time);
        let first = sorted.first().map_or(0, |&(time, _)| time);
        let times = sorted.iter().map(|&(time, _)| time - first).collect();
        trace.records = sorted.into_iter().map(|(_, record)| record).collect();
        (trace, times)
    }
}

/// The index of the value of `key` in `values`, where it is put if it is new.
fn index<K: Hash + Eq, T>(
    known: &mut HashMap<K, u32>,
    values: &mut Vec<T>,
    key: K,
    make: impl FnOnce(&K) -> T,
) -> u32 {
    if let Some(&index) = known.get(&key) {
        return index;
    }
    // There are no more values than requests, and their number is bounded.
    let index = u32::try_from(values.len()).unwrap_or(u32::MAX);
    values.push(make(&key));
    known.insert(key, index);
    index
}

fn entry(entries: &mut Vec<(String, u64)>, method: &str) -> usize {
    let known = entries.iter().position(|(name, _)| name == method);
    known.unwrap_or_else(|| {
        entries.push((method.into(), 0));
        entries.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::StatusSet;
    use crate::target::Url;

    #[test]
    fn requests_are_put_in_order_and_share_what_they_can() {
        let url = Url::parse("http://h/").expect("a URL");
        let request =
            |key: &KindKey| Request::new(&url, &key.method, url.path(), &[], key.has_content);
        let expectation = |status: u16| Expectation {
            status: StatusSet::parse(&status.to_string()).expect("a set"),
            length: None,
            hash: None,
            grpc: None,
        };
        let mut builder = TraceBuilder::new(&request, &expectation);
        let key = |method: &str| KindKey {
            method: method.into(),
            authority: None,
            has_content: method == "POST",
        };
        builder.push(1_500, key("GET"), "/b", Told::Whole(99), 200);
        builder.push(1_000, key("GET"), "/a", Told::Nothing, 404);
        builder.push(1_500, key("POST"), "/b", Told::Whole(1_000), 200);
        assert_eq!(builder.len(), 3);
        let (trace, times) = builder.finish();
        assert_eq!(times, [0, 500, 500]);
        let paths: Vec<&str> = (0..trace.len())
            .map(|number| trace.get(number).path)
            .collect();
        assert_eq!(paths, ["/a", "/b", "/b"]);
        assert_eq!(trace.entries(), [("GET".into(), 2), ("POST".into(), 1)]);
        assert_eq!((trace.entry(1), trace.entry(2)), (0, 1));
        assert_eq!(
            (
                trace.paths.len(),
                trace.kinds.len(),
                trace.expectations.len()
            ),
            (2, 2, 2)
        );
        assert!(trace.get(0).expectation.status.contains(404));
        // As many bytes as were received, head and content together.
        let post = trace.get(2);
        let mut sent = Vec::new();
        let path = |out: &mut Vec<u8>| out.extend_from_slice(post.path.as_bytes());
        post.request
            .write_head(&mut sent, path, post.body_bytes as usize);
        assert_eq!(sent.len() as u64 + post.body_bytes, 1_000);
        assert_eq!(trace.longest(), post.body_bytes);
    }
}
