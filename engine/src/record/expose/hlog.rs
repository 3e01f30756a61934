//! `.hlog`: an interval log of histograms, format 1.3, readable by the HdrHistogram tools.
//!
//! One line per series and interval: `[Tag=name,]start,length,max,histogram`. Start is in seconds
//! since the epoch, the maximum in milliseconds, the histogram in V2 deflate encoding and base64
//! (the plain V2 encoding is not read by the Python and JavaScript readers); its values are
//! nanoseconds. The untagged line, which tools show by default, is phase total of all listeners:
//! every exchange once. It is written for every interval, also an empty one, so that a gap in the
//! log means that the process did not run; tagged series only when they have values.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializeError, V2DeflateSerializer};

use super::print;
use super::series::{Selection, all_listeners, series};
use crate::record::SeriesNames;
use crate::record::book::Book;
use crate::record::times::Phase;

/// When an interval began and how long it was.
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    /// Its beginning, on the wall clock.
    pub start: SystemTime,
    /// Its length.
    pub length: Duration,
}

/// Appends the lines a log begins with. They may occur again in a file that is appended to.
pub fn write_header(out: &mut String, start: SystemTime) {
    let start = since_epoch(start);
    print(
        out,
        format_args!(
            "#[Histogram log format version 1.3]\n\
             #[Values in nanoseconds. Untagged: total of all listeners. Tags: \
             listener.<name>.<phase>, route.<listener>.<name>.<phase>, cluster.<name>.<phase>]\n\
             #[StartTime: {:.3} (seconds since epoch)]\n\
             \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\
             \"Interval_Compressed_Histogram\"\n",
            start.as_secs_f64()
        ),
    );
}

/// Appends the lines of one interval: the untagged series, then those that `selection` asks for.
///
/// *Errors:* only if the encoder fails, which memory and our bounds do not let it.
pub fn write_interval(
    out: &mut String,
    names: &SeriesNames,
    book: &Book,
    selection: &Selection,
    interval: Interval,
) -> Result<(), V2DeflateSerializeError> {
    let mut line = Line {
        serializer: V2DeflateSerializer::new(),
        encoded: Vec::new(),
        interval,
    };
    line.write(out, None, all_listeners(book, Phase::Total).histogram())?;
    for series in series(names, book, selection) {
        line.write(out, Some(&series.tag()), series.histogram())?;
    }
    Ok(())
}

/// What all lines of one interval share.
struct Line {
    serializer: V2DeflateSerializer,
    encoded: Vec<u8>,
    interval: Interval,
}

impl Line {
    fn write(
        &mut self,
        out: &mut String,
        tag: Option<&str>,
        histogram: &Histogram<u64>,
    ) -> Result<(), V2DeflateSerializeError> {
        self.encoded.clear();
        self.serializer.serialize(histogram, &mut self.encoded)?;
        if let Some(tag) = tag {
            print(out, format_args!("Tag={tag},"));
        }
        let start = since_epoch(self.interval.start).as_secs_f64();
        let length = self.interval.length.as_secs_f64();
        let max = Duration::from_nanos(histogram.max()).as_secs_f64() * 1e3;
        print(out, format_args!("{start:.3},{length:.3},{max:.3},"));
        write_base64(out, &self.encoded);
        out.push('\n');
        Ok(())
    }
}

fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// RFC 4648 section 4, with padding.
fn write_base64(out: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let index = (bits >> (18 - 6 * place)) & 63;
            let letter = ALPHABET.get(index as usize).copied().unwrap_or(b'=');
            let is_padding = place as usize > group.len();
            out.push(if is_padding { '=' } else { char::from(letter) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4648_10_test_vectors() {
        let encode = |bytes: &[u8]| {
            let mut out = String::new();
            write_base64(&mut out, bytes);
            out
        };
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, expected) in vectors {
            assert_eq!(encode(bytes.as_bytes()), expected);
        }
        assert_eq!(encode(&[0xfb, 0xff]), "+/8=");
    }
}
