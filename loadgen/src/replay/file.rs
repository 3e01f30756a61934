//! Reads a whole access log into a trace, and keeps account of every line.
//!
//! The file is read line by line; what is kept of a request is some 30 bytes and, once each, its
//! path. Requests are put in the order of their beginning, which is not the order of the log: a
//! server logs an exchange when it ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::traffic::trace::{KindKey, Told, Trace, TraceBuilder};

use super::log::{self, Line, Logged};

/// The most requests that are taken from a file: some 300 MB.
const REQUESTS_MAX: usize = 10_000_000;
/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// How many lines that are not understood are shown.
const SHOWN_MAX: usize = 5;

/// What became of the lines of a file.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Lines that are not empty.
    pub lines: u64,
    /// Lines that are understood and hold no request that could be sent.
    pub without_request: u64,
    /// Requests whose query the log left out.
    pub without_query: u64,
    /// Lines that are not understood.
    pub bad: u64,
    /// The first of them: number and reason.
    pub shown: Vec<(u64, &'static str)>,
}

impl Account {
    fn bad(&mut self, number: u64, why: &'static str) {
        self.bad += 1;
        if self.shown.len() < SHOWN_MAX {
            self.shown.push((number, why));
        }
    }

    /// The share of lines that are not understood.
    pub(super) fn bad_share(&self) -> f64 {
        self.bad as f64 / self.lines.max(1) as f64
    }
}

/// A log, read.
#[derive(Debug)]
pub(super) struct Recording {
    /// Its requests.
    pub trace: Trace,
    /// When each is due after the first, in nanoseconds.
    pub times: Vec<u64>,
    /// What became of its lines.
    pub account: Account,
}

/// Reads `path`; `keep_host` keeps what the log says of `Host`.
///
/// *Errors:* the file cannot be read, or has too many requests.
pub(super) fn read(
    path: &Path,
    keep_host: bool,
    builder: TraceBuilder<'_>,
) -> Result<Recording, String> {
    let cannot = |error| format!("cannot read {}: {error}", path.display());
    let input = BufReader::new(File::open(path).map_err(cannot)?);
    read_lines(input, keep_host, builder)
        .map_err(cannot)?
        .ok_or_else(|| {
            format!(
                "{} has more than {REQUESTS_MAX} requests, the most that are kept in memory; \
                 split it",
                path.display()
            )
        })
}

/// Reads lines to the end; `None` if there are too many requests.
fn read_lines(
    mut input: impl BufRead,
    keep_host: bool,
    mut builder: TraceBuilder<'_>,
) -> std::io::Result<Option<Recording>> {
    let mut account = Account::default();
    let (mut line, mut are_seconds) = (Vec::new(), true);
    for number in 1.. {
        line.clear();
        let mut limited = input.by_ref().take(LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let is_whole = line.ends_with(b"\n") || (line.len() as u64) < LINE_BYTES_MAX;
        if !is_whole {
            input.skip_until(b'\n')?;
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        account.lines += 1;
        match log::read(text) {
            _ if !is_whole => account.bad(number, "it is longer than 64 KiB"),
            Err(why) => account.bad(number, why),
            Ok(Line::NoRequest) => account.without_request += 1,
            Ok(Line::Request(_)) if builder.len() == REQUESTS_MAX => return Ok(None),
            Ok(Line::Request(logged)) => {
                account.without_query += u64::from(logged.lacks_query);
                are_seconds &= logged.is_whole_second;
                push(&mut builder, logged, keep_host);
            }
        }
    }
    let (trace, mut times) = builder.finish();
    if are_seconds {
        spread(&mut times);
    }
    Ok(Some(Recording {
        trace,
        times,
        account,
    }))
}

fn push(builder: &mut TraceBuilder<'_>, logged: Logged<'_>, keep_host: bool) {
    let told = logged.received_bytes.map_or(Told::Nothing, Told::Whole);
    let key = KindKey {
        authority: logged.authority.filter(|_| keep_host).map(Into::into),
        // The methods whose requests have content, be it empty (RFC 9110 §8.6).
        has_content: matches!(&*logged.method, "POST" | "PUT" | "PATCH"),
        method: logged.method.into(),
    };
    builder.push(logged.time, key, &logged.path, told, logged.status);
}

/// Spreads requests of the same second evenly over it.
fn spread(times: &mut [u64]) {
    const SECOND: u64 = 1_000_000_000;
    for second in times.chunk_by_mut(|one, other| one == other) {
        let count = second.len() as u64;
        for (place, time) in (0..).zip(second) {
            *time += place * SECOND / count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expect::{Expectation, StatusSet};
    use crate::target::Url;
    use crate::traffic::request::Request;

    fn recording(log: &[u8]) -> Recording {
        let url = Url::parse("http://h/").expect("a URL");
        let request =
            |key: &KindKey| Request::new(&url, &key.method, url.path(), &[], key.has_content);
        let expectation = |_| Expectation {
            status: StatusSet::any(),
            length: None,
            hash: None,
            grpc: None,
        };
        let builder = TraceBuilder::new(&request, &expectation);
        let read = read_lines(log, false, builder).expect("memory is read");
        read.expect("few requests")
    }

    #[test]
    fn every_line_is_accounted_for() {
        let long = format!("{}\n", "x".repeat(70_000));
        let log = [
            "\n",
            "hello\r\n",
            r#"h - - [10/Oct/2000:13:55:36 -0700] "-" 400 0"#,
            "\n",
            &long,
            r#"{"time":"2026-11-23T01:43:33.500Z","method":"GET","path":"/b","total_us":100000}"#,
            "\n",
            r#"{"time":"2026-11-23T01:43:33.600Z","method":"POST","path":"/a?[redacted]","total_us":300000,"received_bytes":5000}"#,
        ]
        .concat();
        let Recording {
            trace,
            times,
            account,
        } = recording(log.as_bytes());
        assert_eq!(
            (account.lines, account.bad, account.without_request),
            (5, 2, 1)
        );
        assert_eq!(account.without_query, 1);
        assert_eq!(account.bad_share(), 0.4);
        let numbers: Vec<u64> = account.shown.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 4]);
        // In the order in which they began, not in which they ended.
        assert_eq!(times, [0, 100_000_000]);
        assert_eq!((trace.get(0).path, trace.get(1).path), ("/a", "/b"));
        assert!((4_900..5_000).contains(&trace.get(0).body_bytes));
    }

    #[test]
    fn requests_of_a_second_are_spread_over_it() {
        let line = |second: u64| {
            format!("h - - [10/Oct/2000:13:55:3{second} -0700] \"GET / HTTP/1.1\" 200 1\n")
        };
        let log: String = [1, 1, 1, 1, 3, 4, 4].map(line).concat();
        let millis: Vec<u64> = recording(log.as_bytes())
            .times
            .iter()
            .map(|nanos| nanos / 1_000_000)
            .collect();
        assert_eq!(millis, [0, 250, 500, 750, 2_000, 3_000, 3_500]);
    }
}
