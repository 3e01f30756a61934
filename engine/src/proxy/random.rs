//! Random numbers for choices and identifiers of one shard: fast, not secret.
//!
//! They spread load and tell requests apart. Nothing that must not be guessed may be made of them:
//! who sees some request ids can compute the next ones.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A generator (SplitMix64, Steele et al. 2014), seeded from the process's random keys.
#[derive(Debug)]
pub(super) struct Random(Cell<u64>);

impl Random {
    /// Different for each shard and each start.
    pub(super) fn new(shard: u32) -> Self {
        Self(Cell::new(RandomState::new().hash_one(shard)))
    }

    /// The next number, uniform over all values.
    pub(super) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Writes a request id: 128 random bits in the form of a UUID of version 4 (RFC 9562 §5.4).
    pub(super) fn write_request_id(&self, out: &mut Vec<u8>) {
        /// Where the digits of each byte stand, between the hyphens.
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let high = (self.next() & !0xf000) | 0x4000;
        let low = (self.next() & !(0b11 << 62)) | (0b10 << 62);
        let bits = (u128::from(high) << 64) | u128::from(low);
        let mut id = [b'-'; 36];
        for (place, byte) in PLACES.into_iter().zip(bits.to_be_bytes()) {
            if let Some(pair) = id.get_mut(place..).and_then(<[u8]>::first_chunk_mut) {
                *pair = [hexadecimal(byte >> 4), hexadecimal(byte & 0xf)];
            }
        }
        out.clear();
        out.extend_from_slice(&id);
    }
}

/// The digit for a number below 16.
fn hexadecimal(number: u8) -> u8 {
    number.wrapping_add(if number < 10 { b'0' } else { b'a' - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_uuids_and_differ() {
        let random = Random::new(0);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        random.write_request_id(&mut first);
        random.write_request_id(&mut second);
        assert_ne!(first, second);
        for id in [&first, &second] {
            assert_eq!(id.len(), 36);
            let text = std::str::from_utf8(id).expect("ascii");
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12]);
            assert_eq!(text.as_bytes()[14], b'4');
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
            assert!(
                text.bytes()
                    .all(|it| matches!(it, b'-' | b'0'..=b'9' | b'a'..=b'f'))
            );
        }
    }

    #[test]
    fn shards_draw_different_numbers() {
        assert_ne!(Random::new(0).next(), Random::new(1).next());
    }
}
