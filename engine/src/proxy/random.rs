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
        /// Where each four of the digits stand, between the hyphens.
        const PLACES: [usize; 8] = [0, 4, 9, 14, 19, 24, 28, 32];
        let high = (self.next() & !0xf000) | 0x4000;
        let low = (self.next() & !(0b11 << 62)) | (0b10 << 62);
        let digits = [high >> 32, high, low >> 32, low].map(|half| hexadecimal(half as u32));
        let mut id = [b'-'; 36];
        for (place, four) in PLACES
            .into_iter()
            .zip(digits.as_flattened().chunks_exact(4))
        {
            if let Some(into) = id.get_mut(place..).and_then(<[u8]>::first_chunk_mut::<4>) {
                into.copy_from_slice(four);
            }
        }
        out.clear();
        out.extend_from_slice(&id);
    }
}

/// The eight digits of `number`: all at once, each in its byte of one word.
fn hexadecimal(number: u32) -> [u8; 8] {
    let nibbles = u64::from(number);
    let nibbles = (nibbles | (nibbles << 16)) & 0x0000_ffff_0000_ffff;
    let nibbles = (nibbles | (nibbles << 8)) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (nibbles | (nibbles << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    // Six more than ten and up carries into the next four bits: 1 where a letter has to stand.
    let letters = (nibbles.wrapping_add(0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    let to_letters = letters.wrapping_mul(u64::from(b'a' - b'0' - 10));
    nibbles
        .wrapping_add(0x3030_3030_3030_3030)
        .wrapping_add(to_letters)
        .to_be_bytes()
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
    fn hexadecimal_digits_are_those_of_the_formatter() {
        let random = Random::new(0);
        let drawn = std::iter::repeat_with(|| random.next() as u32).take(1_000);
        for number in [0, 9, 10, 0x0123_4567, 0x89ab_cdef, u32::MAX]
            .into_iter()
            .chain(drawn)
        {
            assert_eq!(hexadecimal(number), *format!("{number:08x}").as_bytes());
        }
    }

    #[test]
    fn shards_draw_different_numbers() {
        assert_ne!(Random::new(0).next(), Random::new(1).next());
    }
}
