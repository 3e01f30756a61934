//! Is the difference of a percentile real? Pure; seeded where it draws.
//!
//! The observations are never requests: those of one second share whatever happened in it.
//!
//! - **One run a side.** Blocks of consecutive intervals are shuffled between the sides. If A and B
//!   did not differ, a block could have come from either, so the share of shuffles that separate
//!   the sides at least as far as they are is the p-value, whatever the distribution looks like.
//!   The interval of the ratio is Student's, with the spread of a block bootstrap.
//! - **Several runs a side.** A run is one observation: Welch's t-test on the logarithms of the
//!   runs' percentiles.
//!
//! A block has to be longer than intervals remember. Carlstein's rule for a first-order
//! autoregression (Annals of Statistics 14, 1986) says how long: `(2r / (1 - r²))^(2/3) n^(1/3)`
//! for `n` intervals of autocorrelation `r`. Where that leaves too few blocks, nothing is claimed.
//! What several tests together may claim is bounded by Holm's procedure.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::compare::statistics::{outside, t_quantile};
use crate::random::Random;

/// Blocks without which a side proves nothing: fewer could hardly be shuffled in different ways.
const BLOCKS_MIN: usize = 6;
/// More blocks cost time and add nothing.
const BLOCKS_MAX: usize = 64;
/// Samples that must lie beyond a percentile before it is more than one accident.
const SAMPLES_BEYOND: f64 = 10.0;

/// How to test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Test {
    /// Confidence of the intervals.
    pub confidence: f64,
    /// Seed of permutations and bootstrap.
    pub seed: u64,
    /// Permutations, and bootstrap samples.
    pub draws: usize,
    /// Intervals to a block; otherwise as many as they remember.
    pub block: Option<usize>,
}

/// B to A at one percentile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    /// How many times as long B takes.
    pub ratio: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// How often chance alone separates the sides as far.
    pub p_value: f64,
    /// Intervals to a block; none where runs were compared.
    pub block: Option<usize>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// A side has too few samples beyond the percentile.
    Samples,
    /// A side has too few intervals that are independent.
    Intervals,
}

/// Compares the intervals of one run a side at a quantile.
pub(crate) fn of_intervals(
    (a, b): (&[Histogram<u64>], &[Histogram<u64>]),
    quantile: f64,
    test: &Test,
) -> Result<Difference, Unknown> {
    let counts = [a, b].map(|side| side.iter().map(Histogram::len).sum::<u64>());
    if !counts.iter().all(|count| is_told(*count, quantile)) {
        return Err(Unknown::Samples);
    }
    let block = block_length((a, b), quantile, test.block)?;
    let blocks = Blocks::new((a, b), block);
    let observed = blocks.log_ratio(&blocks.order(), quantile);
    let p_value = blocks.p_value(observed, quantile, test);
    let freedom = (blocks.sparse.len() - 2) as f64;
    let half = t_quantile(freedom, test.confidence) * blocks.deviation(quantile, test);
    Ok(Difference {
        ratio: observed.exp(),
        low: (observed - half).exp(),
        high: (observed + half).exp(),
        p_value,
        block: Some(block),
    })
}

/// Compares several runs a side at a quantile.
pub(crate) fn of_runs(
    (a, b): (&[Histogram<u64>], &[Histogram<u64>]),
    quantile: f64,
    confidence: f64,
) -> Result<Difference, Unknown> {
    let is_known = |run: &Histogram<u64>| is_told(run.len(), quantile);
    if !a.iter().chain(b).all(is_known) {
        return Err(Unknown::Samples);
    }
    if a.len() < 2 || b.len() < 2 {
        return Err(Unknown::Intervals);
    }
    let [a, b] = [a, b].map(|side| {
        let logs = side.iter().map(|run| log_of(run, quantile));
        Moments::of(&logs.collect::<Vec<_>>())
    });
    let [share_a, share_b] = [&a, &b].map(|side| side.variance / side.count);
    let deviation = (share_a + share_b).sqrt();
    let difference = b.mean - a.mean;
    let freedom = (share_a + share_b).powi(2)
        / (share_a.powi(2) / (a.count - 1.0) + share_b.powi(2) / (b.count - 1.0));
    // Runs that agree to the last digit have no spread to compare with.
    let (p_value, half) = match deviation > 0.0 {
        true => (
            outside(freedom, difference / deviation),
            t_quantile(freedom, confidence) * deviation,
        ),
        false => (if difference == 0.0 { 1.0 } else { 0.0 }, 0.0),
    };
    Ok(Difference {
        ratio: difference.exp(),
        low: (difference - half).exp(),
        high: (difference + half).exp(),
        p_value,
        block: None,
    })
}

/// Which of the p-values are significant together, so that the chance of any false one stays below
/// `1 - confidence`: Holm's step-down procedure.
pub(crate) fn significant(p_values: &[f64], confidence: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&one, &other| p_values[one].total_cmp(&p_values[other]));
    let mut found = vec![false; p_values.len()];
    for (rank, index) in order.into_iter().enumerate() {
        if p_values[index] > (1.0 - confidence) / (p_values.len() - rank) as f64 {
            break;
        }
        found[index] = true;
    }
    found
}

fn is_told(count: u64, quantile: f64) -> bool {
    count as f64 * (1.0 - quantile).min(0.5) >= SAMPLES_BEYOND
}

fn log_of(times: &Histogram<u64>, quantile: f64) -> f64 {
    (times.value_at_quantile(quantile).max(1) as f64).ln()
}

/// As many intervals as a block needs, for both sides the same.
fn block_length(
    (a, b): (&[Histogram<u64>], &[Histogram<u64>]),
    quantile: f64,
    wanted: Option<usize>,
) -> Result<usize, Unknown> {
    let count = a.len().min(b.len());
    let needed = wanted.unwrap_or_else(|| {
        let longest = [a, b].map(|side| memory(side, quantile).ceil());
        longest.into_iter().fold(1.0, f64::max) as usize
    });
    // Both sides in blocks of one length, even where one side has very many.
    let block = needed.max(
        a.len()
            .max(b.len())
            .div_ceil(BLOCKS_MAX)
            .min(count / BLOCKS_MIN),
    );
    match block >= 1 && count / block >= BLOCKS_MIN {
        true => Ok(block),
        false => Err(Unknown::Intervals),
    }
}

/// For how many intervals they are alike, by Carlstein's rule.
fn memory(intervals: &[Histogram<u64>], quantile: f64) -> f64 {
    let filled = intervals.iter().filter(|times| !times.is_empty());
    let logs: Vec<f64> = filled.map(|times| log_of(times, quantile)).collect();
    let count = logs.len() as f64;
    let moments = Moments::of(&logs);
    if moments.variance <= 0.0 || count < 3.0 {
        return 1.0;
    }
    let products = logs.windows(2).map(|pair| match pair {
        [one, next] => (one - moments.mean) * (next - moments.mean),
        _ => 0.0,
    });
    let found = products.sum::<f64>() / (moments.variance * (count - 1.0));
    // Short series look less correlated than they are (Kendall 1954).
    let correlation = (found + (1.0 + 3.0 * found) / count).clamp(0.0, 0.98);
    let memory = 2.0 * correlation / (1.0 - correlation.powi(2));
    memory.powf(2.0 / 3.0) * count.cbrt()
}

/// Mean and variance of a few numbers.
struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            count,
            mean,
            variance: squares / (count - 1.0).max(1.0),
        }
    }
}

/// Blocks of both sides, those of A first, on one grid of values.
struct Blocks {
    /// Logarithms of the values that occur, rising.
    logs: Vec<f64>,
    /// By block: place on the grid and count.
    sparse: Vec<Vec<(usize, u64)>>,
    /// How many of the blocks are A's.
    of_a: usize,
    /// By place: samples of all blocks.
    total: Vec<u64>,
}

impl Blocks {
    fn new((a, b): (&[Histogram<u64>], &[Histogram<u64>]), length: usize) -> Self {
        let block = |block: &[Histogram<u64>]| {
            let mut counts = BTreeMap::<u64, u64>::new();
            for step in block.iter().flat_map(Histogram::iter_recorded) {
                *counts.entry(step.value_iterated_to()).or_default() +=
                    step.count_since_last_iteration();
            }
            counts
        };
        // What is left over at the end is no whole block.
        let [a, b] = [a, b].map(|side| side.chunks_exact(length).map(block));
        let of_a = a.len();
        let blocks: Vec<BTreeMap<u64, u64>> = a.chain(b).collect();
        let mut values: Vec<u64> = blocks
            .iter()
            .flat_map(|block| block.keys().copied())
            .collect();
        values.sort_unstable();
        values.dedup();
        let place = |value: &u64| values.binary_search(value).unwrap_or_default();
        let sparse: Vec<Vec<(usize, u64)>> = blocks
            .iter()
            .map(|block| {
                block
                    .iter()
                    .map(|(value, count)| (place(value), *count))
                    .collect()
            })
            .collect();
        let mut total = vec![0; values.len()];
        for &(place, count) in sparse.iter().flatten() {
            total[place] += count;
        }
        Self {
            logs: values
                .iter()
                .map(|value| (*value).max(1) as f64)
                .map(f64::ln)
                .collect(),
            sparse,
            of_a,
            total,
        }
    }

    /// The blocks as they are.
    fn order(&self) -> Vec<usize> {
        (0..self.sparse.len()).collect()
    }

    /// B to A if the first blocks of `order` were A's and the rest B's.
    fn log_ratio(&self, order: &[usize], quantile: f64) -> f64 {
        let a = self.sum(order[..self.of_a].iter().copied());
        let b: Vec<u64> = self.total.iter().zip(&a).map(|(all, a)| all - a).collect();
        self.log_quantile(&b, quantile) - self.log_quantile(&a, quantile)
    }

    fn p_value(&self, observed: f64, quantile: f64, test: &Test) -> f64 {
        let mut random = Random::new(test.seed, 1);
        let mut order = self.order();
        let as_far = (0..test.draws).filter(|_| {
            // Fisher and Yates, as far as A reaches.
            for place in 0..self.of_a {
                let other = place + random.below((order.len() - place) as u64) as usize;
                order.swap(place, other);
            }
            self.log_ratio(&order, quantile).abs() >= observed.abs() - 1e-12
        });
        // What was observed is one of the orders that chance could have made.
        (as_far.count() + 1) as f64 / (test.draws + 1) as f64
    }

    /// The standard deviation of the logarithm of the ratio, by drawing blocks of each side anew.
    fn deviation(&self, quantile: f64, test: &Test) -> f64 {
        let mut random = Random::new(test.seed, 2);
        let mut variance = 0.0;
        for (from, to) in [(0, self.of_a), (self.of_a, self.sparse.len())] {
            let count = to - from;
            let drawn: Vec<f64> = (0..test.draws)
                .map(|_| {
                    let picks = (0..count).map(|_| from + random.below(count as u64) as usize);
                    self.log_quantile(&self.sum(picks), quantile)
                })
                .collect();
            // Blocks drawn with replacement spread less than those they were drawn from.
            variance += Moments::of(&drawn).variance * count as f64 / (count - 1) as f64;
        }
        variance.sqrt()
    }

    fn sum(&self, blocks: impl Iterator<Item = usize>) -> Vec<u64> {
        let mut sum = vec![0; self.logs.len()];
        for block in blocks {
            for &(place, count) in &self.sparse[block] {
                sum[place] += count;
            }
        }
        sum
    }

    /// The logarithm of a quantile of counts on the grid.
    fn log_quantile(&self, counts: &[u64], quantile: f64) -> f64 {
        let total: u64 = counts.iter().sum();
        let rank = ((quantile * total as f64).ceil() as u64).max(1);
        let mut below = 0;
        let place = counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        place
            .and_then(|place| self.logs.get(place))
            .copied()
            .unwrap_or(0.0)
    }
}

#[cfg(test)]
#[path = "significance_tests.rs"]
mod tests;
