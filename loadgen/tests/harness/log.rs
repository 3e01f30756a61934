//! Reads the interval logs that `loadgen` writes.

use std::path::Path;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

/// All intervals of one series of a log, added up.
pub(crate) fn sum_of_series(log: &Path, tag: Option<&str>) -> Histogram<u64> {
    let log = std::fs::read(log).expect("a log");
    let mut sum = Histogram::new(3).expect("three digits");
    for entry in IntervalLogIterator::new(&log) {
        let LogEntry::Interval(interval) = entry.expect("a line") else {
            continue;
        };
        if interval.tag().map(|tag| tag.as_str()) == tag {
            let bytes = base64(interval.encoded_histogram());
            let part = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice());
            sum.add(part.expect("a histogram"))
                .expect("a histogram that grows");
        }
    }
    sum
}

/// Decodes base64 (RFC 4648 §4).
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |digit: u8| ALPHABET.iter().position(|&letter| letter == digit);
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for digit in text.bytes().map_while(value) {
        bits = bits << 6 | digit as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
