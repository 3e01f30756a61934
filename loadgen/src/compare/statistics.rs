//! Confidence intervals over rounds, by Student's t-distribution. Pure.
//!
//! The unit of observation is a round: samples inside one share whatever the machine did at the
//! time and are not independent. A ratio is the geometric mean of the ratios within each round,
//! with the interval computed on their logarithms; it is symmetric, so that A to B says the same
//! as B to A.

use serde::{Deserialize, Deserializer, Serialize};

/// A mean with its confidence interval. One observation leaves the interval open on both sides.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Estimate {
    /// The mean; of ratios the geometric one.
    pub mean: f64,
    /// Lower end of the interval; JSON has no infinity, there an open end is `null`.
    #[serde(deserialize_with = "lower")]
    pub low: f64,
    /// Upper end of the interval.
    #[serde(deserialize_with = "upper")]
    pub high: f64,
    /// Rounds it rests on.
    pub rounds: usize,
}

fn lower<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(|end| end.unwrap_or(f64::NEG_INFINITY))
}

fn upper<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::deserialize(deserializer).map(|end| end.unwrap_or(f64::INFINITY))
}

impl Estimate {
    /// Does the interval hold `value`?
    pub(crate) fn holds(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// The mean of values, with its interval; `None` without values.
pub(crate) fn mean(values: &[f64], confidence: f64) -> Option<Estimate> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = match count {
        1 => f64::INFINITY,
        _ => {
            let freedom = (count - 1) as f64;
            t_quantile(freedom, confidence) * (squares / freedom / count as f64).sqrt()
        }
    };
    Some(Estimate {
        mean,
        low: mean - half,
        high: mean + half,
        rounds: count,
    })
}

/// The ratio of pairs `(ours, theirs)`, with its interval; pairs without a ratio are left out.
pub(crate) fn ratio(pairs: &[(f64, f64)], confidence: f64) -> Option<Estimate> {
    let logarithms: Vec<f64> = pairs
        .iter()
        .map(|(ours, theirs)| (ours / theirs).ln())
        .filter(|logarithm| logarithm.is_finite())
        .collect();
    mean(&logarithms, confidence).map(|estimate| Estimate {
        mean: estimate.mean.exp(),
        low: estimate.low.exp(),
        high: estimate.high.exp(),
        rounds: estimate.rounds,
    })
}

/// The `t` that a Student variable stays within, on both sides, with probability `confidence`.
pub(crate) fn t_quantile(freedom: f64, confidence: f64) -> f64 {
    // P(|T| > t) falls from 1 to 0; the bisection halves an interval that holds every quantile for
    // confidences up to 0.9999.
    let (mut low, mut high) = (0.0, 1e5);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if 1.0 - outside(freedom, middle) < confidence {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// P(|T| > t): the regularised incomplete beta function I(x; v/2, 1/2) at x = v / (v + t²).
pub(crate) fn outside(freedom: f64, t: f64) -> f64 {
    incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// I(x; a, b) by its continued fraction (Abramowitz and Stegun 26.5.8), which converges fast for
/// x below (a + 1) / (a + b + 2); the symmetry I(x; a, b) = 1 - I(1 - x; b, a) covers the rest.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let scale = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    // Evaluated from the back: 200 terms are far more than doubles can tell apart.
    let mut fraction = 1.0;
    for term in (1..=200_u32).rev() {
        let m = f64::from(term / 2);
        let numerator = if term % 2 == 0 {
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m))
        } else {
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0))
        };
        fraction = 1.0 + numerator / fraction;
    }
    scale.exp() / (a * fraction)
}

/// The logarithm of the gamma function: Stirling's series, with the argument raised first.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        below += x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + (2.0 * std::f64::consts::PI).ln() / 2.0 + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64, within: f64) {
        assert!((left - right).abs() <= within, "{left} is not {right}");
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, confidence, t) in [
            (1.0, 0.95, 12.706),
            (2.0, 0.95, 4.303),
            (4.0, 0.95, 2.776),
            (6.0, 0.95, 2.447),
            (6.0, 0.99, 3.707),
            (9.0, 0.90, 1.833),
            (30.0, 0.95, 2.042),
            (1_000.0, 0.95, 1.962),
        ] {
            close(t_quantile(freedom, confidence), t, 0.0006);
        }
    }

    #[test]
    fn the_interval_of_a_mean() {
        // Mean 3, standard deviation sqrt(2.5), five rounds: 3 +- 2.776 * sqrt(0.5).
        let estimate = mean(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.95).expect("values");
        close(estimate.mean, 3.0, 1e-12);
        close(estimate.high - 3.0, 1.963, 0.001);
        close(3.0 - estimate.low, 1.963, 0.001);
        assert!(estimate.holds(1.1) && !estimate.holds(5.0));
    }

    #[test]
    fn one_round_proves_nothing() {
        assert_eq!(mean(&[], 0.95), None);
        let estimate = mean(&[7.0], 0.95).expect("a value");
        assert!(estimate.mean == 7.0 && estimate.holds(1e9) && estimate.holds(-1e9));
        let estimate = ratio(&[(1.0, 2.0)], 0.95).expect("a pair");
        assert!(estimate.holds(1e9) && estimate.low == 0.0);
    }

    #[test]
    fn open_ends_survive_json() {
        for values in [&[7.0][..], &[1.0, 2.0]] {
            let estimate = mean(values, 0.95).expect("values");
            let text = serde_json::to_string(&estimate).expect("json");
            assert_eq!(
                serde_json::from_str::<Estimate>(&text).ok(),
                Some(estimate),
                "{text}"
            );
        }
    }

    #[test]
    fn a_ratio_is_the_inverse_of_its_inverse() {
        let pairs = [(8.0, 10.0), (7.0, 10.0), (8.5, 9.9)];
        let turned = pairs.map(|(ours, theirs)| (theirs, ours));
        let (one, other) = (ratio(&pairs, 0.95), ratio(&turned, 0.95));
        let (one, other) = (one.expect("pairs"), other.expect("pairs"));
        close(one.mean * other.mean, 1.0, 1e-12);
        close(one.low * other.high, 1.0, 1e-12);
        assert!(one.low < one.mean && one.mean < one.high);
    }

    #[test]
    fn pairs_share_the_drift_of_their_round() {
        // The machine halves its speed, the ratio stays: paired, the interval is narrow.
        let pairs = [(4.0, 5.0), (8.1, 10.0), (16.0, 20.0), (31.9, 40.0)];
        let estimate = ratio(&pairs, 0.95).expect("pairs");
        assert!(estimate.high - estimate.low < 0.02, "{estimate:?}");
    }

    #[test]
    fn zero_has_no_ratio() {
        assert_eq!(ratio(&[(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)], 0.95), None);
    }
}
