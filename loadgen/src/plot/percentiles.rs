//! The percentile curve: how long the slowest 10 %, 1 %, 0.1 % … take.
//!
//! Across: percentiles with equal room for each nine, since the last percent is where services
//! differ. Up: the time. Each curve ends at its maximum, which stands where its count lets it: one
//! of N samples is the last `1/N`. Bands, if given, are what repeated runs or intervals leave
//! uncertain. Dots at 50, 90, 99, 99.9 … tell their values to a resting pointer.

use hdrhistogram::Histogram;

use super::frame::{Axis, Caption, Sheet};
use super::scale::Scale;
use super::theme;
use super::unit::Unit;

/// Points per halving of the distance to 100 %: smooth at any size.
const POINTS_PER_HALF: u32 = 8;
const HEIGHT: f64 = 340.0;

/// One curve.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// How many samples it stands for.
    pub count: u64,
    /// Quantile and value, both rising; values in nanoseconds.
    pub points: Vec<(f64, f64)>,
    /// Quantile, lower and upper bound; empty if nothing is known.
    pub band: Vec<(f64, f64, f64)>,
}

impl Curve {
    /// The curve of a histogram of nanoseconds.
    pub(crate) fn of(name: impl Into<String>, times: &Histogram<u64>) -> Self {
        let count = times.len();
        let last = 1.0 - 1.0 / count.max(1) as f64;
        let mut points = Vec::new();
        if count > 0 {
            points.push((0.0, times.min() as f64));
            for tick in times.iter_quantiles(POINTS_PER_HALF) {
                let quantile = tick.quantile_iterated_to();
                points.push((quantile.min(last), tick.value_iterated_to() as f64));
            }
        }
        Self {
            name: name.into(),
            count,
            points,
            band: Vec::new(),
        }
    }

    /// The value at a quantile; between two points, on the straight line that the chart draws.
    pub(crate) fn at(&self, quantile: f64) -> Option<f64> {
        let next = self.points.partition_point(|point| point.0 < quantile);
        let &(right, high) = self.points.get(next).or_else(|| self.points.last())?;
        let &(left, low) = self.points.get(next.saturating_sub(1))?;
        let [left, right, place] = [left, right, quantile].map(|q| -(1.0 - q).max(1e-18).ln());
        if right <= left {
            return Some(high);
        }
        Some(low + (high - low) * ((place - left) / (right - left)).clamp(0.0, 1.0))
    }
}

/// A chart of curves.
#[derive(Clone, Debug)]
pub(crate) struct PercentileChart {
    /// What it says about itself; an empty description is made from the curves.
    pub caption: Caption,
    /// What the times are, for the axis.
    pub measured: String,
    /// Logarithmic times: for curves that differ by factors.
    pub is_log: bool,
    /// The curves.
    pub curves: Vec<Curve>,
}

impl PercentileChart {
    /// The chart as SVG.
    pub(crate) fn svg(&self) -> String {
        let caption = Caption {
            description: self.description(),
            ..self.caption.clone()
        };
        let names: Vec<&str> = self.curves.iter().map(|curve| &*curve.name).collect();
        let mut sheet = Sheet::new(&caption, &names, Sheet::panel_room(HEIGHT, true));
        let (x, y) = (self.horizontal(), self.vertical());
        let area = sheet.panel(HEIGHT, (&x, &y), true);
        let at = |(quantile, value): (f64, f64)| {
            (
                area.x(x.scale.place(quantile)),
                area.y(y.scale.place(value)),
            )
        };
        sheet.svg.clipped(area, |svg| {
            for (index, curve) in self.curves.iter().enumerate() {
                let class = format!("f band {}", theme::series(index));
                let side = |pick: fn(&(f64, f64, f64)) -> f64| -> Vec<_> {
                    curve
                        .band
                        .iter()
                        .map(|point| at((point.0, pick(point))))
                        .collect()
                };
                if !curve.band.is_empty() {
                    svg.band(&class, &side(|point| point.2), &side(|point| point.1));
                }
            }
            for (index, curve) in self.curves.iter().enumerate() {
                let points: Vec<_> = curve.points.iter().copied().map(at).collect();
                svg.polyline(&theme::series(index), &points);
            }
        });
        for (index, curve) in self.curves.iter().enumerate() {
            let class = format!("f dot {}", theme::series(index));
            for quantile in told(curve.count) {
                let Some(value) = curve.at(quantile) else {
                    continue;
                };
                let hint = format!(
                    "{}: {} of {} within {}",
                    curve.name,
                    Unit::Quantile.label(quantile),
                    Unit::Count.show(curve.count as f64),
                    Unit::Nanos.show(value)
                );
                sheet.svg.dot(&class, at((quantile, value)), 3.5, &hint);
            }
        }
        sheet.finish()
    }

    fn horizontal(&self) -> Axis {
        let count = self.curves.iter().map(|curve| curve.count).max();
        Axis {
            scale: Scale::nines(count.unwrap_or(0)),
            unit: Unit::Quantile,
            title: "percentile of the samples".into(),
        }
    }

    fn vertical(&self) -> Axis {
        let points = self.curves.iter().flat_map(|curve| &curve.points);
        let bands = self.curves.iter().flat_map(|curve| &curve.band);
        let values = points
            .map(|point| point.1)
            .chain(bands.map(|point| point.2));
        Axis {
            scale: if self.is_log {
                Scale::log(values)
            } else {
                Scale::from_zero(values)
            },
            unit: Unit::Nanos,
            title: self.measured.clone(),
        }
    }

    fn description(&self) -> String {
        if !self.caption.description.is_empty() {
            return self.caption.description.clone();
        }
        let sentence = |curve: &Curve| {
            let values = told(curve.count).into_iter().filter_map(|quantile| {
                let value = Unit::Nanos.show(curve.at(quantile)?);
                Some(format!("{} within {value}", Unit::Quantile.label(quantile)))
            });
            let values: Vec<_> = values.collect();
            let count = Unit::Count.show(curve.count as f64);
            format!("{}, {count} samples: {}.", curve.name, values.join(", "))
        };
        let sentences: Vec<_> = self.curves.iter().map(sentence).collect();
        sentences.join(" ")
    }
}

/// Quantiles worth a dot: the median, then the nines that `count` samples can tell.
fn told(count: u64) -> Vec<f64> {
    let nines = (1..=18).map(|nine| (nine, 10u64.pow(nine)));
    let known = nines.take_while(|(_, needed)| *needed <= count);
    std::iter::once(0.5)
        .filter(|_| count > 0)
        .chain(known.map(|(nine, _)| 1.0 - 10f64.powi(-(nine as i32))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).expect("three digits");
        for value in values {
            histogram.record(value).expect("it resizes");
        }
        histogram
    }

    #[test]
    fn a_curve_holds_the_percentiles_of_its_histogram() {
        let times = histogram((1..=100_000).map(|micros| micros * 1_000));
        let curve = Curve::of("all", &times);
        for quantile in [0.25, 0.5, 0.9, 0.99, 0.999, 0.9999] {
            let value = curve.at(quantile).expect("points");
            let exact = quantile * 100e6;
            assert!((value / exact - 1.0).abs() < 0.02, "{quantile}: {value}");
        }
        let last = curve.points.last().expect("points");
        assert!(last.0 < 1.0 && last.1 >= 100e6, "{last:?}");
        assert!(curve.points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
    }

    #[test]
    fn only_percentiles_that_the_count_can_tell_are_told() {
        assert_eq!(told(0), [0.0; 0]);
        assert_eq!(told(99), [0.5, 0.9]);
        assert_eq!(told(1_000), [0.5, 0.9, 0.99, 0.999]);
    }

    #[test]
    fn nothing_measured_still_makes_a_chart() {
        let chart = PercentileChart {
            caption: Caption::default(),
            measured: "response time".into(),
            is_log: true,
            curves: vec![Curve::of("empty", &histogram([]))],
        };
        assert!(chart.svg().ends_with("</svg>\n"));
    }

    #[test]
    fn the_chart_says_in_words_what_it_shows() {
        let chart = PercentileChart {
            caption: Caption::default(),
            measured: "response time".into(),
            is_log: false,
            curves: vec![Curve::of("weft", &histogram([1_000_000; 200]))],
        };
        let svg = chart.svg();
        assert!(
            svg.contains("<desc>weft, 200 samples: 50 % within 1 ms, 90 %"),
            "{svg}"
        );
        assert_eq!(svg.matches("<circle").count(), 3);
    }
}
