//! The V2 encoding of HdrHistogram, in base64 as logs hold it, to histograms and back.
//!
//! | part | bytes | meaning |
//! |---|---:|---|
//! | cookie | 4 | `1c849303` or, deflated, `1c849304`; its last digit but one is a word size |
//! | length | 4 | of what follows (deflated), or of the counts |
//! | normalizing offset | 4 | 0, but for shifted histograms of Java |
//! | digits | 4 | significant decimal digits, up to 5 |
//! | lowest, highest | 8, 8 | the range |
//! | ratio | 8 | 1.0, but for histograms of floating-point numbers |
//! | counts | | by bucket; zig-zag LEB128; a negative number is a run of empty buckets |
//!
//! The crate's own decoder trusts lengths, so a damaged line could ask for gigabytes or overflow.
//! This one believes nothing: sizes are bounded, counts must fit, and a rest is an error.

use std::io::Read;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

const COOKIE: u32 = 0x1c84_9303;
const COOKIE_DEFLATED: u32 = 0x1c84_9304;
/// The digit of a cookie that is no part of the format's name.
const COOKIE_MASK: u32 = !0xf0;
/// Offset and bits of the ratio as the writer of npm's hdr-histogram-js fills them in: whole ones,
/// where 0 and a floating-point 1 are meant.
const JAVASCRIPT: (u32, u64) = (1, 1);
/// Five digits over the whole range of 64 bits have fewer buckets, of at most nine bytes each.
const PLAIN_BYTES_MAX: u64 = 64 << 20;

/// The histogram that `text` encodes.
///
/// *Errors:* what is wrong with it, to be told after the place where it stands.
pub(crate) fn decode(text: &str) -> Result<Histogram<u64>, String> {
    let bytes = BASE64_STANDARD
        .decode(text)
        .map_err(|error| format!("the histogram is not base64: {error}"))?;
    let mut bytes = Bytes(&bytes);
    match bytes.u32()? & COOKIE_MASK {
        COOKIE => counts(bytes),
        COOKIE_DEFLATED => {
            let length = bytes.u32()?;
            let deflated = bytes.take(length as usize)?;
            let mut plain = Vec::new();
            ZlibDecoder::new(deflated)
                .take(PLAIN_BYTES_MAX)
                .read_to_end(&mut plain)
                .map_err(|error| format!("the histogram cannot be inflated: {error}"))?;
            let mut plain = Bytes(&plain);
            match plain.u32()? & COOKIE_MASK {
                COOKIE => counts(plain),
                cookie => Err(foreign(cookie)),
            }
        }
        cookie => Err(foreign(cookie)),
    }
}

/// `times`, as [`decode`] and all readers of logs take them: V2, deflated.
pub(crate) fn encode(times: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail, and any histogram of this crate has a V2 form.
    let written = V2DeflateSerializer::new().serialize(times, &mut bytes);
    written.map_or_else(|_| String::new(), |_| BASE64_STANDARD.encode(bytes))
}

fn foreign(cookie: u32) -> String {
    match cookie {
        0x1c84_9301 | 0x1c84_9302 | 0x1c84_9308 | 0x1c84_9309 => {
            "the histogram has the encoding V0 or V1 of old Java tools; V2 is expected".into()
        }
        0x0c72_120e | 0x0c72_120f => {
            "the histogram counts floating-point numbers; whole numbers are expected".into()
        }
        _ => format!("the histogram begins with {cookie:08x}, not with a V2 cookie"),
    }
}

/// Everything after the cookie of the plain form.
fn counts(mut bytes: Bytes<'_>) -> Result<Histogram<u64>, String> {
    let length = bytes.u32()?;
    let offset = bytes.u32()?;
    let digits = bytes.u32()?;
    let (lowest, highest) = (bytes.u64()?, bytes.u64()?);
    let ratio = bytes.u64()?;
    if (offset, ratio) != JAVASCRIPT {
        if offset != 0 {
            return Err("the histogram was shifted (normalizing offset), which is not read".into());
        }
        if f64::from_bits(ratio) != 1.0 {
            return Err("the histogram's values have their own scale, which is not read".into());
        }
    }
    let digits = u8::try_from(digits).ok().filter(|digits| *digits <= 5);
    let digits = digits.ok_or("the histogram claims more than five significant digits")?;
    let mut times = Histogram::new_with_bounds(lowest.max(1), highest, digits)
        .map_err(|error| format!("the histogram's range is impossible: {error}"))?;
    // Logs of histograms that grew say less than they hold.
    times.auto(true);
    let buckets = Buckets::new(lowest.max(1), digits);
    let mut counts = Bytes(bytes.take(length as usize)?);
    let mut index: u64 = 0;
    while !counts.0.is_empty() {
        let count = counts.zig_zag()?;
        let skipped = if count < 0 { count.unsigned_abs() } else { 1 };
        if count > 0 {
            let value = buckets
                .value(index)
                .ok_or("the histogram has too many buckets")?;
            times
                .record_n(value, count.unsigned_abs())
                .map_err(|error| format!("the histogram has an impossible bucket: {error}"))?;
        }
        index = index
            .checked_add(skipped)
            .ok_or("the histogram has too many buckets")?;
    }
    Ok(times)
}

/// Which values a bucket counts.
struct Buckets {
    unit_magnitude: u32,
    half_magnitude: u32,
}

impl Buckets {
    fn new(lowest: u64, digits: u8) -> Self {
        let parts = (2 * 10u64.pow(u32::from(digits))).next_power_of_two();
        Self {
            unit_magnitude: lowest.ilog2(),
            half_magnitude: parts.ilog2() - 1,
        }
    }

    /// The least value of a bucket. The first `2 · half` buckets have equal widths; from there on,
    /// each `half` buckets are twice as wide as those before.
    fn value(&self, index: u64) -> Option<u64> {
        let half = 1u64 << self.half_magnitude;
        let (doublings, part) = match index >> self.half_magnitude {
            0 => (0, index),
            row => (row - 1, (index & (half - 1)) + half),
        };
        let shift = u32::try_from(doublings)
            .ok()?
            .checked_add(self.unit_magnitude)?;
        (shift < 64 && part.leading_zeros() >= shift).then(|| part << shift)
    }
}

/// Bytes not yet read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or("the histogram is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, String> {
        let bytes = self.take(4)?;
        Ok(bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
    }

    fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from(self.u32()?) << 32 | u64::from(self.u32()?))
    }

    /// LEB128 whose ninth byte, if it comes to that, has eight bits.
    fn zig_zag(&mut self) -> Result<i64, String> {
        let mut coded = 0;
        for place in 0..9 {
            let byte = self.take(1)?.first().copied().map_or(0, u64::from);
            if place == 8 {
                coded |= byte << 56;
                break;
            }
            coded |= (byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok((coded >> 1) as i64 ^ -((coded & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::V2Serializer;

    use super::*;
    use crate::random::Random;

    fn sample(lowest: u64, digits: u8) -> Histogram<u64> {
        let mut times = Histogram::new_with_bounds(lowest, 1 << 45, digits).expect("a histogram");
        let mut random = Random::new(3, lowest);
        for _ in 0..5_000 {
            let value = random.next() >> (20 + random.below(43));
            times.saturating_record(value);
        }
        times
    }

    #[test]
    fn what_the_crate_encodes_is_decoded_alike() {
        for (lowest, digits) in [(1, 0), (1, 2), (1, 3), (1_000, 3), (1, 5)] {
            let times = sample(lowest, digits);
            let decoded = decode(&encode(&times)).expect("deflated");
            assert!(decoded == times, "{lowest} {digits}");
            let mut plain = Vec::new();
            V2Serializer::new()
                .serialize(&times, &mut plain)
                .expect("it fits");
            let plain = decode(&BASE64_STANDARD.encode(plain)).expect("plain");
            assert!(plain == times && plain.max() == times.max() && plain.min() == times.min());
        }
        let empty = Histogram::<u64>::new(3).expect("three digits");
        assert_eq!(decode(&encode(&empty)).map(|times| times.len()), Ok(0));
    }

    #[test]
    fn damage_is_named_and_never_believed() {
        let plain = |header: [u32; 4], counts: &[u8]| {
            let mut bytes = Vec::new();
            let [cookie, length, offset, digits] = header;
            for part in [
                cookie,
                length,
                offset,
                digits,
                0,
                1,
                0,
                1 << 30,
                0x3ff0_0000,
                0,
            ] {
                bytes.extend(part.to_be_bytes());
            }
            bytes.extend(counts);
            BASE64_STANDARD.encode(bytes)
        };
        assert_eq!(
            decode(&plain([0x1c84_9313, 1, 0, 3], &[4])).map(|times| times.len()),
            Ok(2)
        );
        let huge = [0xff; 9];
        for (text, complaint) in [
            ("HISTF*".to_owned(), "not base64"),
            ("HIST".to_owned(), "cut off"),
            (plain([0x1c84_9301, 1, 0, 3], &[4]), "V0 or V1"),
            (plain([0x0c72_124e, 1, 0, 3], &[4]), "floating-point"),
            (plain([0x1234_5678, 1, 0, 3], &[4]), "begins with"),
            (plain([0x1c84_9313, u32::MAX, 0, 3], &[4]), "cut off"),
            (plain([0x1c84_9313, 1, 7, 3], &[4]), "shifted"),
            (plain([0x1c84_9313, 1, 0, 9], &[4]), "five significant"),
            (plain([0x1c84_9313, 1, 0, 3], &[0x80]), "cut off"),
            (
                plain([0x1c84_9313, 18, 0, 3], &[huge, huge].concat()),
                "too many",
            ),
        ] {
            let error = decode(&text).expect_err(complaint);
            assert!(error.contains(complaint), "{error} is not {complaint}");
        }
    }

    #[test]
    fn no_change_of_a_byte_does_harm() {
        let text = encode(&sample(1, 2));
        let bytes = BASE64_STANDARD.decode(&text).expect("our own");
        let mut random = Random::new(11, 0);
        for _ in 0..2_000 {
            let mut damaged = bytes.clone();
            let at = random.below(damaged.len() as u64) as usize;
            damaged[at] = random.next() as u8;
            damaged.truncate(1 + random.below(damaged.len() as u64) as usize);
            // Whatever it says, it must say so without a panic.
            let _ = decode(&BASE64_STANDARD.encode(damaged));
        }
    }
}
