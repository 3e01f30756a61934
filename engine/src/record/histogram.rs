//! HDR histograms of phases.
//!
//! Values are nanoseconds from 1 us to 1 h, clamped into that range, so recording cannot fail and
//! memory is fixed. Listeners keep all phases at 3 significant digits (error at most 0.1 %); routes
//! and clusters, of which there may be hundreds, keep the phases that tell them apart at 2 digits
//! (1 %). A shard counts in a [`Tally`], which the control thread adds to its
//! histograms long before a counter is full.
//!
//! A series costs nothing until its first exchange. Then, per shard and per record (there are two,
//! one being filled and one spare):
//!
//! | series | phases | counters each | bytes |
//! |---|--:|--:|--:|
//! | listener | 7 | 24,576 | 688,128 |
//! | route | 3 | 3,456 | 41,472 |
//! | cluster | 4 | 3,456 | 55,296 |

use hdrhistogram::Histogram;

use super::tally::Tally;
use super::times::{Phase, PhaseTimes};

/// Shorter than this is recorded as this: what a proxy does takes microseconds, and the clock's
/// own cost is 20 ns.
pub(super) const LOWEST_NANOS: u64 = 1_000;

/// Longer than this is recorded as this: one hour.
pub(super) const HIGHEST_NANOS: u64 = 3_600_000_000_000;

/// Which phases a series keeps, and how precisely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub(super) phases: &'static [Phase],
    digits: u8,
}

impl Shape {
    /// All phases, precise.
    pub const LISTENER: Self = Self {
        phases: &Phase::ALL,
        digits: 3,
    };

    /// How long, how much of it was the proxy, how long the upstream took.
    pub const ROUTE: Self = Self {
        phases: &[Phase::Total, Phase::Added, Phase::FirstByte],
        digits: 2,
    };

    /// As a route, and how long connections took to be made.
    pub const CLUSTER: Self = Self {
        phases: &[Phase::Total, Phase::Added, Phase::Connect, Phase::FirstByte],
        digits: 2,
    };

    /// Significant digits of the values.
    pub const fn digits(self) -> u8 {
        self.digits
    }
}

/// What the values of one phase of one series are kept in.
pub trait Values {
    /// Without any, for values with `digits` significant digits.
    fn new(digits: u8) -> Self;

    /// Calls `visit` with each value that was recorded, to the precision kept, and how often.
    fn each(&self, visit: impl FnMut(u64, u64));

    /// The exact sum of the values.
    fn sum_nanos(&self) -> u64;

    /// Is nothing recorded?
    fn is_empty(&self) -> bool;

    /// Forgets all values and keeps the memory.
    fn clear(&mut self);
}

/// One phase of one series, to be read.
#[derive(Clone, Debug)]
pub struct PhaseHistogram {
    histogram: Histogram<u64>,
    sum_nanos: u64,
}

impl PhaseHistogram {
    /// The values, in nanoseconds, to the histogram's precision.
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// Adds all values of another one, whatever its precision.
    pub fn absorb(&mut self, other: &impl Values) -> &mut Self {
        other.each(|value, count| self.histogram.saturating_record_n(value, count));
        self.sum_nanos = self.sum_nanos.wrapping_add(other.sum_nanos());
        self
    }
}

impl Values for PhaseHistogram {
    fn new(digits: u8) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "the bounds are constants; a test makes each shape"
        )]
        let histogram = Histogram::new_with_bounds(LOWEST_NANOS, HIGHEST_NANOS, digits)
            .expect("bounds that hdrhistogram takes");
        Self {
            histogram,
            sum_nanos: 0,
        }
    }

    fn each(&self, mut visit: impl FnMut(u64, u64)) {
        for step in self.histogram.iter_recorded() {
            visit(step.value_iterated_to(), step.count_since_last_iteration());
        }
    }

    fn sum_nanos(&self) -> u64 {
        self.sum_nanos
    }

    fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    fn clear(&mut self) {
        if !self.histogram.is_empty() {
            self.histogram.reset();
        }
        self.sum_nanos = 0;
    }
}

/// The phases of one series, in the order of its shape.
#[derive(Clone, Debug)]
pub struct PhaseHistograms<H = PhaseHistogram> {
    shape: Shape,
    series: Vec<H>,
}

impl<H: Values> PhaseHistograms<H> {
    /// Empty histograms for each phase of `shape`.
    pub fn new(shape: Shape) -> Self {
        let empty = |_: &Phase| H::new(shape.digits);
        Self {
            shape,
            series: shape.phases.iter().map(empty).collect(),
        }
    }

    /// The phase's histogram, if the series keeps it.
    pub fn phase(&self, phase: Phase) -> Option<&H> {
        let place = self.shape.phases.iter().position(|kept| *kept == phase)?;
        self.series.get(place)
    }

    /// All phases of the series.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, &H)> {
        self.shape.phases.iter().copied().zip(&self.series)
    }

    /// Forgets all values and keeps the memory.
    pub fn clear(&mut self) {
        for histogram in &mut self.series {
            histogram.clear();
        }
    }
}

impl PhaseHistograms<Tally> {
    /// Adds what one exchange took, phase by phase.
    pub fn record(&mut self, phases: &PhaseTimes) {
        for (phase, tally) in self.shape.phases.iter().zip(&mut self.series) {
            if let Some(nanos) = phases.nanos(*phase) {
                tally.record(nanos);
            }
        }
    }
}

impl PhaseHistograms {
    /// Adds another series of the same shape.
    pub fn absorb(&mut self, other: &PhaseHistograms<impl Values>) {
        debug_assert_eq!(self.shape, other.shape, "series of different shapes");
        for (mine, theirs) in self.series.iter_mut().zip(&other.series) {
            mine.absorb(theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(shape: Shape) -> usize {
        let tallies = PhaseHistograms::<Tally>::new(shape);
        tallies.iter().map(|(_, tally)| tally.bytes()).sum()
    }

    #[test]
    fn memory_is_as_documented() {
        assert_eq!(bytes(Shape::LISTENER), 688_128);
        assert_eq!(bytes(Shape::ROUTE), 41_472);
        assert_eq!(bytes(Shape::CLUSTER), 55_296);
    }

    #[test]
    fn values_outside_the_range_are_clamped() {
        let mut tally = Tally::new(2);
        tally.record(0);
        tally.record(u64::from(u32::MAX) * 1_000_000);
        let mut histogram = PhaseHistogram::new(2);
        histogram.absorb(&tally);
        assert_eq!(histogram.histogram().len(), 2);
        let max = histogram.histogram().max();
        assert!(
            (HIGHEST_NANOS..HIGHEST_NANOS * 101 / 100).contains(&max),
            "{max}"
        );
    }

    #[test]
    fn precision_is_kept_when_absorbed() {
        let mut shard = Tally::new(3);
        for micros in 1..=10_000 {
            shard.record(micros * 1_000);
        }
        let mut total = PhaseHistogram::new(3);
        total.absorb(&shard).absorb(&shard);
        assert_eq!(total.histogram().len(), 20_000);
        assert_eq!(total.sum_nanos(), 2 * 1_000 * (10_000 * 10_001 / 2));
        for quantile in [0.5, 0.9, 0.99, 0.999, 1.0] {
            let own = total.histogram().value_at_quantile(quantile);
            let exact = quantile * 10_000_000.0;
            assert!(
                (own as f64 / exact - 1.0).abs() < 0.001,
                "{quantile}: {own}"
            );
        }
    }

    #[test]
    fn a_series_keeps_only_its_phases() {
        let series = PhaseHistograms::<Tally>::new(Shape::ROUTE);
        assert!(series.phase(Phase::Added).is_some());
        assert!(series.phase(Phase::Connect).is_none());
    }
}
