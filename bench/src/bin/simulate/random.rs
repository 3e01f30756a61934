//! Random numbers that a seed repeats: SplitMix64 (Steele et al. 2014) and what is made of it.
//!
//! Each part of a simulation draws from its own sequence, so that two policies that pick
//! differently meet the same arrivals.

use std::time::Duration;

use super::scenario::Shape;

/// A sequence of random numbers.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The sequence named `name` of a run with this seed.
    pub(crate) fn of(seed: u64, name: u64) -> Self {
        let mut random = Self(seed ^ name.wrapping_mul(0xd1b5_4a32_d192_ed03));
        random.next();
        random
    }

    /// Uniform over all values.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end` without it.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// Over 0 up to 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64
    }

    /// True in `share` of all cases.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.unit() <= share
    }

    /// A time of this mean, distributed as `shape` says.
    pub(crate) fn time(&mut self, mean: Duration, shape: Shape) -> Duration {
        mean.mul_f64(match shape {
            Shape::Exponential => -self.unit().ln(),
            Shape::LogNormal(deviation) => {
                (deviation * self.normal() - deviation * deviation / 2.0).exp()
            }
        })
    }

    /// By Box and Muller (1958).
    fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_their_mean_and_a_seed_repeats_them() {
        let mean = Duration::from_millis(10);
        for shape in [Shape::Exponential, Shape::LogNormal(1.0)] {
            let mut random = Random::of(1, 2);
            let sum: Duration = (0..100_000).map(|_| random.time(mean, shape)).sum();
            let found = sum.as_secs_f64() / 100_000.0;
            assert!((found / 0.01 - 1.0).abs() < 0.03, "{shape:?}: {found}");
        }
        let draws = |seed, name| Random::of(seed, name).next();
        assert_eq!(draws(1, 2), draws(1, 2));
        assert!(draws(1, 2) != draws(2, 2) && draws(1, 2) != draws(1, 3));
    }
}
