//! Histograms of a result, read from its interval logs.
//!
//! A run's log has an interval for each second, an entry's in the folder of a comparison one for
//! each round. Series other than the response time carry a tag, as `report/hlog.rs` writes them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

/// The histograms of a run, interval by interval.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    lines: Vec<(String, Stretch)>,
}

/// One interval of one series.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    /// From the start of the measured time.
    pub start_seconds: f64,
    /// How long it was.
    pub length_seconds: f64,
    /// Times in nanoseconds.
    pub times: Histogram<u64>,
}

impl Log {
    /// Reads a log.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = fs::read(path).map_err(|error| failed(&error))?;
        let mut deserializer = Deserializer::new();
        let mut lines = Vec::new();
        for entry in IntervalLogIterator::new(&bytes) {
            let LogEntry::Interval(line) =
                entry.map_err(|_| failed(&"not an interval log of HdrHistogram"))?
            else {
                continue;
            };
            let bytes = base64(line.encoded_histogram())
                .ok_or_else(|| failed(&"a histogram is not base64"))?;
            let times = deserializer
                .deserialize(&mut &*bytes)
                .map_err(|error| failed(&error))?;
            let tag = line.tag().map_or("", |tag| tag.as_str());
            let stretch = Stretch {
                start_seconds: line.start_timestamp().as_secs_f64(),
                length_seconds: line.duration().as_secs_f64(),
                times,
            };
            lines.push((tag.to_owned(), stretch));
        }
        Ok(Self { lines })
    }

    /// The intervals of a series, in order; the response time has no tag.
    pub(crate) fn of(&self, tag: &str) -> impl Iterator<Item = &Stretch> {
        self.lines
            .iter()
            .filter(move |(found, _)| found == tag)
            .map(|(_, stretch)| stretch)
    }

    /// All response times together.
    pub(crate) fn total(&self) -> Histogram<u64> {
        sum(self.of("").map(|stretch| &stretch.times))
    }

    /// From the start to the end of the last interval.
    pub(crate) fn length(&self) -> Duration {
        let ends = self
            .of("")
            .map(|stretch| stretch.start_seconds + stretch.length_seconds);
        Duration::from_secs_f64(ends.fold(0.0, f64::max))
    }
}

/// The histograms of an entry of a comparison, one for each round; none if there is no log.
pub(crate) fn rounds(folder: &Path, entry: &str) -> Vec<Histogram<u64>> {
    let path = folder.join(crate::compare::document::log_name(entry));
    let log = Log::read(&path).unwrap_or_default();
    log.of("").map(|stretch| stretch.times.clone()).collect()
}

/// The sum of histograms of nanoseconds.
pub(crate) fn sum<'a>(all: impl IntoIterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut total = crate::sample::histogram();
    for times in all {
        // Values above an hour count as one hour, here as everywhere.
        for step in times.iter_recorded() {
            total.saturating_record_n(step.value_iterated_to(), step.count_since_last_iteration());
        }
    }
    total
}

/// Decodes base64 with its padding, RFC 4648 §4.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').bytes();
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}
