//! From values to places on an axis, and the ticks that let a reader go back.
//!
//! A scale maps values to `0..=1`; whoever draws multiplies by pixels or by characters. Ticks stand
//! at round values only, few enough to be read; bounds are widened to round values by the
//! constructors, so that a curve neither touches the frame nor floats in it.

use super::unit::Unit;

/// Ticks a linear axis aims at.
const TICKS: f64 = 5.0;
/// The same for an axis of time, whose labels are short.
const TIME_TICKS: f64 = 8.0;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    /// Equal distances for equal differences.
    Linear {
        /// The value at 0.
        low: f64,
        /// The value at 1.
        high: f64,
    },
    /// Equal distances for equal factors; the bounds are positive.
    Log {
        /// The value at 0.
        low: f64,
        /// The value at 1.
        high: f64,
    },
    /// Quantiles, by the number of nines: 0, 0.9, 0.99, 0.999, … at equal distances.
    Nines {
        /// How many nines the axis holds.
        count: f64,
    },
}

/// One mark of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    /// Its place, 0 to 1.
    pub place: f64,
    /// What it says; nothing if it only divides.
    pub label: String,
}

impl Scale {
    /// From zero to a round value a little above all of `values`.
    pub(crate) fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let high = values.into_iter().fold(0.0, f64::max);
        Self::between(0.0, high * 1.04)
    }

    /// Round bounds around `low` and `high`.
    pub(crate) fn between(low: f64, high: f64) -> Self {
        let high = if high > low {
            high
        } else {
            low + low.abs().max(1.0)
        };
        let step = round_step((high - low) / TICKS);
        Self::Linear {
            low: (low / step + 1e-9).floor() * step,
            high: (high / step - 1e-9).ceil() * step,
        }
    }

    /// Logarithmic, with round bounds around the positive ones of `values`.
    pub(crate) fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let positive = values.into_iter().filter(|value| *value > 0.0);
        let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return Self::Log {
                low: 1.0,
                high: 10.0,
            };
        }
        let (low, high) = (one_two_five(low, f64::floor), one_two_five(high, f64::ceil));
        Self::Log {
            low,
            high: high.max(low * 2.0),
        }
    }

    /// Quantiles that `count` samples can tell apart: the greatest of them stands for the last
    /// `1/count`.
    pub(crate) fn nines(count: u64) -> Self {
        Self::Nines {
            count: (count.max(10) as f64).log10(),
        }
    }

    /// Where `value` lies: 0 at the lower bound, 1 at the upper one, beyond if it is outside.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match *self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => {
                (value.max(f64::MIN_POSITIVE) / low).ln() / (high / low).ln()
            }
            Self::Nines { count } => -(1.0 - value).max(1e-18).log10() / count,
        }
    }

    /// The value at `place`.
    pub(crate) fn value(&self, place: f64) -> f64 {
        match *self {
            Self::Linear { low, high } => low + place * (high - low),
            Self::Log { low, high } => low * (high / low).powf(place),
            Self::Nines { count } => 1.0 - 10f64.powf(-place * count),
        }
    }

    /// Marks at round values, from low to high.
    pub(crate) fn ticks(&self, unit: &Unit) -> Vec<Tick> {
        let values = match *self {
            Self::Linear { low, high } => linear_ticks(low, high, unit),
            Self::Log { low, high } => log_ticks(low, high),
            Self::Nines { count } => nines_ticks(count),
        };
        let tick = |(value, is_labelled): (f64, bool)| Tick {
            place: self.place(value),
            label: if is_labelled {
                unit.label(value)
            } else {
                String::new()
            },
        };
        values.into_iter().map(tick).collect()
    }
}

fn linear_ticks(low: f64, high: f64, unit: &Unit) -> Vec<(f64, bool)> {
    let span = high - low;
    let step = match unit {
        Unit::Clock => clock_step(span / TIME_TICKS),
        Unit::Seconds => round_step(span / TIME_TICKS),
        _ => round_step(span / TICKS),
    };
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let count = (last - first).clamp(0.0, 100.0) as u32;
    (0..=count)
        .map(|index| ((first + f64::from(index)) * step, true))
        .collect()
}

/// Decades with their parts: the narrower the axis, the more of them have a label.
fn log_ticks(low: f64, high: f64) -> Vec<(f64, bool)> {
    let decades = (high / low).log10();
    let labelled: &[u32] = match decades {
        d if d <= 1.0 => &[1, 2, 3, 4, 5, 7],
        d if d <= 2.5 => &[1, 2, 5],
        d if d <= 4.0 => &[1, 3],
        _ => &[1],
    };
    let parts: &[u32] = match decades {
        d if d <= 6.0 => &[1, 2, 3, 4, 5, 6, 7, 8, 9],
        _ => &[1],
    };
    let exponents = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let within = low * (1.0 - 1e-9)..=high * (1.0 + 1e-9);
    exponents
        .flat_map(|exponent| parts.iter().map(move |&part| (exponent, part)))
        .map(|(exponent, part)| {
            let value = f64::from(part) * 10f64.powi(exponent);
            (value, labelled.contains(&part))
        })
        .filter(|(value, _)| within.contains(value))
        .collect()
}

/// 0, 50 and 75 % and then every nine.
fn nines_ticks(count: f64) -> Vec<(f64, bool)> {
    let nines = (1..=count.floor() as i32).map(|nine| 1.0 - 10f64.powi(-nine));
    [0.0, 0.5, 0.75]
        .into_iter()
        // With many nines there is no room for what lies below the first.
        .filter(|quantile| count <= 5.5 || *quantile != 0.75)
        .chain(nines)
        .map(|quantile| (quantile, true))
        .collect()
}

/// The least of 1, 2, 2.5, 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|part| part * power);
    step.into_iter()
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

/// As [`round_step`], in steps of a clock.
fn clock_step(least: f64) -> f64 {
    const STEPS: [f64; 13] = [
        5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0,
    ];
    let step = STEPS.into_iter().find(|step| *step >= least);
    step.unwrap_or_else(|| (least / 86400.0).ceil() * 86400.0)
}

/// `value` rounded to 1, 2 or 5 times a power of ten, downwards or upwards.
fn one_two_five(value: f64, round: fn(f64) -> f64) -> f64 {
    let up = round(0.5) > 0.5;
    let power = 10f64.powf(value.log10().floor());
    let mut parts = [1.0, 2.0, 5.0, 10.0].map(|part| part * power).into_iter();
    let close = value * 1e-9;
    if up {
        parts.find(|part| *part >= value - close)
    } else {
        parts.rfind(|part| *part <= value + close)
    }
    .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, unit: &Unit) -> Vec<String> {
        let ticks = scale.ticks(unit).into_iter().map(|tick| tick.label);
        ticks.filter(|label| !label.is_empty()).collect()
    }

    #[test]
    fn bounds_are_round_and_hold_the_values() {
        let scale = Scale::from_zero([3.0, 17.0]);
        assert_eq!(
            scale,
            Scale::Linear {
                low: 0.0,
                high: 20.0
            }
        );
        assert_eq!(labels(scale, &Unit::Count), ["0", "5", "10", "15", "20"]);
        let scale = Scale::log([0.0, 130e3, 4.2e6]);
        assert_eq!(
            scale,
            Scale::Log {
                low: 100e3,
                high: 5e6
            }
        );
        assert_eq!(
            labels(scale, &Unit::Nanos),
            ["100 µs", "200 µs", "500 µs", "1 ms", "2 ms", "5 ms"]
        );
        assert_eq!(
            Scale::log([]),
            Scale::Log {
                low: 1.0,
                high: 10.0
            }
        );
    }

    #[test]
    fn a_single_value_still_has_an_axis() {
        for scale in [
            Scale::from_zero([0.0]),
            Scale::between(7.0, 7.0),
            Scale::log([5.0]),
        ] {
            assert!(labels(scale, &Unit::Count).len() >= 2, "{scale:?}");
            assert!(scale.place(1.0).is_finite());
        }
    }

    #[test]
    fn every_nine_takes_the_same_room() {
        let scale = Scale::nines(10_000);
        let place = |quantile| scale.place(quantile);
        assert!((place(0.9) - 0.25).abs() < 1e-9 && (place(0.999) - 0.75).abs() < 1e-9);
        assert_eq!(
            labels(scale, &Unit::Quantile),
            ["0 %", "50 %", "75 %", "90 %", "99 %", "99.9 %", "99.99 %"]
        );
        assert!((scale.value(scale.place(0.995)) - 0.995).abs() < 1e-12);
    }

    #[test]
    fn places_and_values_are_inverse() {
        for scale in [
            Scale::between(-3.0, 9.0),
            Scale::log([20.0, 900.0]),
            Scale::nines(777),
        ] {
            for place in [0.0, 0.1, 0.5, 0.99] {
                assert!(
                    (scale.place(scale.value(place)) - place).abs() < 1e-9,
                    "{scale:?}"
                );
            }
        }
    }

    #[test]
    fn time_goes_in_steps_of_a_clock() {
        let scale = Scale::Linear {
            low: 0.0,
            high: 200.0,
        };
        assert_eq!(
            labels(scale, &Unit::Clock),
            ["0:00", "0:30", "1:00", "1:30", "2:00", "2:30", "3:00"]
        );
        let scale = Scale::Linear {
            low: 0.0,
            high: 9.3,
        };
        assert_eq!(labels(scale, &Unit::Seconds), ["0", "2", "4", "6", "8"]);
    }
}
