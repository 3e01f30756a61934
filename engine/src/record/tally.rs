//! How often each value of one phase came, on a shard.
//!
//! What is written for every request, some fourteen times: the counters of an [`Histogram`] without
//! what only its readers need (the least and the largest value, the number of all), in a third of
//! its instructions. A value has the counter that the histogram of the same bounds has for it, so
//! that nothing is lost when the control thread adds the one to the other.
//!
//! Counters are `u32`: half the memory, twice as many per cache line.
//!
//! [`Histogram`]: hdrhistogram::Histogram

use super::histogram::{HIGHEST_NANOS, LOWEST_NANOS, Values};

/// Binary digits that are below every value's precision.
const UNIT_BITS: u32 = LOWEST_NANOS.ilog2();

/// How often each value came.
///
/// The first half of the counters is for values that are kept to the unit, 512 ns. Each half of
/// that behind it is for values twice as large as those before, at half the precision:
///
/// ```text
///   counter   0 ..= 2h-1      2h ..= 3h-1      3h ..= 4h-1   ...       h: half of the first range
///   value     0 ..  2h units  2h ..  4h units  4h ..  8h units
///   one for   1 unit          2 units          4 units
/// ```
#[derive(Clone, Debug)]
pub struct Tally {
    counts: Box<[u32]>,
    /// Binary logarithm of `h`.
    half_bits: u32,
    /// Nothing is recorded: what was never touched takes no memory, and is left alone.
    is_empty: bool,
    sum_nanos: u64,
}

impl Tally {
    /// Adds one value.
    #[inline]
    pub(super) fn record(&mut self, nanos: u64) {
        let index = self.index(nanos.min(HIGHEST_NANOS));
        if let Some(count) = self.counts.get_mut(index) {
            *count = count.saturating_add(1);
        }
        self.is_empty = false;
        self.sum_nanos = self.sum_nanos.wrapping_add(nanos);
    }

    /// The counter of `nanos`, a value in range. *Cost:* some eight instructions.
    #[inline]
    fn index(&self, nanos: u64) -> usize {
        let first_bits = UNIT_BITS.wrapping_add(self.half_bits).wrapping_add(1);
        // How often the value has to be halved to fit into the first range.
        let halvings = (nanos | ((1 << first_bits) - 1))
            .ilog2()
            .wrapping_sub(first_bits.wrapping_sub(1));
        let place = nanos >> UNIT_BITS.wrapping_add(halvings);
        let before = u64::from(halvings) << self.half_bits;
        before.wrapping_add(place) as usize
    }

    /// The least value of a counter.
    fn value(&self, index: usize) -> u64 {
        let index = index as u64;
        let halvings = (index >> self.half_bits).saturating_sub(1);
        let place = index.wrapping_sub(halvings << self.half_bits);
        place << (u64::from(UNIT_BITS).wrapping_add(halvings))
    }

    /// What the counters take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.counts)
    }
}

impl Values for Tally {
    fn new(digits: u8) -> Self {
        // Twice the values of so many digits, since precision halves with each range.
        let half_bits = (2 * 10_u32.pow(u32::from(digits))).ilog2();
        let mut tally = Self {
            counts: Box::default(),
            half_bits,
            is_empty: true,
            sum_nanos: 0,
        };
        let last = tally.index(HIGHEST_NANOS);
        // Whole ranges, as the histogram has them.
        let counters = last.wrapping_add(1).next_multiple_of(1 << half_bits);
        tally.counts = vec![0; counters].into_boxed_slice();
        tally
    }

    fn each(&self, mut visit: impl FnMut(u64, u64)) {
        if self.is_empty {
            return;
        }
        for (index, count) in self.counts.iter().enumerate() {
            if *count > 0 {
                visit(self.value(index), u64::from(*count));
            }
        }
    }

    fn sum_nanos(&self) -> u64 {
        self.sum_nanos
    }

    fn is_empty(&self) -> bool {
        self.is_empty
    }

    fn clear(&mut self) {
        if !self.is_empty {
            self.counts.fill(0);
        }
        self.is_empty = true;
        self.sum_nanos = 0;
    }
}

#[cfg(test)]
mod tests {
    use hdrhistogram::Histogram;

    use super::*;

    #[test]
    fn each_value_has_the_counter_that_the_histogram_has_for_it() {
        for digits in [2, 3] {
            let tally = Tally::new(digits);
            let histogram = Histogram::<u32>::new_with_bounds(LOWEST_NANOS, HIGHEST_NANOS, digits);
            let histogram = histogram.expect("valid bounds");
            assert_eq!(tally.counts.len(), histogram.distinct_values());
            let near = |value: u64| [value.saturating_sub(1), value, value + 1];
            let powers = (0..42)
                .map(|bits| 1_u64 << bits)
                .filter(|it| *it < HIGHEST_NANOS);
            let spread = (0..10_000).map(|step| step * step * step);
            for nanos in powers
                .chain(spread)
                .flat_map(near)
                .filter(|it| *it <= HIGHEST_NANOS)
            {
                let value = tally.value(tally.index(nanos));
                assert_eq!(
                    value,
                    histogram.lowest_equivalent(nanos),
                    "{digits}: {nanos}"
                );
            }
        }
    }

    #[test]
    fn what_was_recorded_is_visited_until_it_is_cleared() {
        let mut tally = Tally::new(2);
        for nanos in [0, 5_000, 5_000, u64::MAX] {
            tally.record(nanos);
        }
        let seen = |tally: &Tally| {
            let mut seen = Vec::new();
            tally.each(|value, count| seen.push((value, count)));
            seen
        };
        let [(least, 1), (value, 2), (largest, 1)] = seen(&tally)[..] else {
            panic!("{:?}", seen(&tally));
        };
        assert_eq!(least, 0);
        assert_eq!(value, 5_000 / 512 * 512, "to the unit");
        assert!(
            (HIGHEST_NANOS / 100 * 99..=HIGHEST_NANOS).contains(&largest),
            "{largest}"
        );
        assert_eq!(tally.sum_nanos(), 10_000_u64.wrapping_sub(1));
        tally.clear();
        assert!(tally.is_empty() && seen(&tally).is_empty());
        assert_eq!(tally.sum_nanos(), 0);
    }
}
