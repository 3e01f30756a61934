//! Seeded random numbers: the same seed draws the same, so that a run can be repeated.

/// A small, fast, seeded generator of random numbers (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The sequence of `seed`; each `stream` of a seed is another sequence.
    pub(crate) const fn new(seed: u64, stream: u64) -> Self {
        Self {
            state: seed ^ stream.wrapping_mul(0xD134_2543_DE82_EF95),
        }
    }

    /// Even over all values.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Even in `[0, 1)`, with 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Even in `0..bound`, up to a bias that no test here could see.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// True with probability `share`.
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        share > 0.0 && self.unit() < share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_streams_differ() {
        let mut draws = [(1, 0), (1, 0), (1, 1), (2, 0)].map(|(seed, stream)| {
            let mut random = Random::new(seed, stream);
            [random.next(), random.next()]
        });
        assert_eq!(draws[0], draws[1]);
        draws.sort_unstable();
        assert_eq!(
            draws.windows(2).filter(|pair| pair[0] == pair[1]).count(),
            1
        );
    }
}
