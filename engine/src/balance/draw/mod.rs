//! What an endpoint is picked from, and by what chance.
//!
//! [`level`] says which endpoints a pick sees, [`roster`] draws one of them by weight, and
//! [`round_robin`] says whose turn it is. The random numbers of one pick are all drawn from the one
//! that the caller gives.

mod fenwick;
pub(in crate::balance) mod level;
pub(in crate::balance) mod roster;
pub(in crate::balance) mod round_robin;

/// A sequence of random numbers (SplitMix64, Steele et al. 2014).
#[derive(Debug)]
pub(in crate::balance) struct Draws(u64);

impl Draws {
    /// The sequence that begins at `seed`.
    pub(in crate::balance) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, uniform over all values.
    pub(in crate::balance) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number from 0 to `end` without it; 0 if `end` is 0. Multiply-shift instead of a
    /// remainder: no division, and a bias below `end` / 2^64.
    pub(in crate::balance) fn below(&mut self, end: u64) -> u64 {
        let scaled = (u128::from(self.next()).saturating_mul(u128::from(end))) >> 64;
        u64::try_from(scaled).unwrap_or(0)
    }

    /// True in `share` of all cases, 0.0 to 1.0.
    pub(in crate::balance) fn chance(&mut self, share: f64) -> bool {
        // 53 bits: what a float holds exactly.
        let point = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        point < share
    }
}

/// Spreads the bits of `value` over the whole number.
pub(in crate::balance) const fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
