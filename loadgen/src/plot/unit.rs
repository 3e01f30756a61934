//! What the numbers of an axis are, and how they are written beside it.
//!
//! Labels are short and exact: a tick stands at a round value, so its label has as many digits as
//! the value needs and no more. The axis title names what is measured; where every label carries
//! its unit (`20 ms`), the title need not.

/// The unit of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Unit {
    /// Nanoseconds, written in the unit a reader wants: `20 ms`.
    Nanos,
    /// Seconds of a short time axis.
    Seconds,
    /// Seconds of a long time axis, written `m:ss` or `h:mm:ss`.
    Clock,
    /// How many.
    Count,
    /// A share of 1 below which so many samples lie, written as a percentile.
    Quantile,
    /// A ratio to a reference: `0.8x`.
    Ratio,
    /// A number whose unit the axis title names.
    Plain,
}

impl Unit {
    /// The unit for a time axis that ends after `seconds`.
    pub(crate) fn of_time(seconds: f64) -> Self {
        if seconds <= 120.0 {
            Self::Seconds
        } else {
            Self::Clock
        }
    }

    /// `value` as a tick says it.
    pub(crate) fn label(&self, value: f64) -> String {
        match self {
            Self::Nanos => nanos(value),
            Self::Clock => clock(value),
            Self::Count => count(value),
            Self::Quantile => format!("{} %", digits(value * 100.0)),
            Self::Ratio => format!("{}×", digits(value)),
            Self::Seconds | Self::Plain => digits(value),
        }
    }

    /// `value` with three digits, where it need not be round.
    pub(crate) fn show(&self, value: f64) -> String {
        let magnitude = match value.abs() {
            v if v > 0.0 => v.log10().floor() as i32,
            _ => 0,
        };
        let unit = 10f64.powi(2 - magnitude);
        let rounded = (value * unit).round() / unit;
        match self {
            Self::Quantile | Self::Clock => self.label(value),
            Self::Count if value.abs() < 10_000.0 => digits(value.round()),
            _ => self.label(rounded),
        }
    }
}

fn nanos(value: f64) -> String {
    let (divisor, unit) = match value.abs() {
        0.0 => return "0".into(),
        v if v < 1e3 => (1.0, "ns"),
        v if v < 1e6 => (1e3, "µs"),
        v if v < 1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    format!("{} {unit}", digits(value / divisor))
}

fn count(value: f64) -> String {
    match value.abs() {
        v if v < 1e4 => digits(value),
        v if v < 1e6 => format!("{}k", digits(value / 1e3)),
        v if v < 1e9 => format!("{}M", digits(value / 1e6)),
        _ => format!("{}G", digits(value / 1e9)),
    }
}

fn clock(value: f64) -> String {
    let seconds = value.round().max(0.0) as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// The shortest decimal that is right to nine significant digits: 0.30000000000000004 is 0.3.
fn digits(value: f64) -> String {
    let magnitude = match value.abs() {
        v if v > 0.0 => v.log10().floor() as i32,
        _ => return "0".into(),
    };
    let places = usize::try_from(8 - magnitude).unwrap_or(0).min(12);
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_have_as_many_digits_as_they_need() {
        for (unit, value, label) in [
            (Unit::Nanos, 0.0, "0"),
            (Unit::Nanos, 2.5e6, "2.5 ms"),
            (Unit::Nanos, 300e9, "300 s"),
            (Unit::Plain, 0.1 + 0.2, "0.3"),
            (Unit::Plain, -12.5, "-12.5"),
            (Unit::Count, 9_500.0, "9500"),
            (Unit::Count, 25_000.0, "25k"),
            (Unit::Quantile, 0.99999, "99.999 %"),
            (Unit::Quantile, 1.0 - 1e-7, "99.99999 %"),
            (Unit::Clock, 75.0, "1:15"),
            (Unit::Clock, 3_675.0, "1:01:15"),
            (Unit::Ratio, 0.8, "0.8×"),
        ] {
            assert_eq!(unit.label(value), label);
        }
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(Unit::Nanos.show(1_234_567.0), "1.23 ms");
        assert_eq!(Unit::Plain.show(12.3456), "12.3");
        assert_eq!(Unit::Count.show(4_321.4), "4321");
        assert_eq!(Unit::Count.show(43_214.0), "43.2k");
        assert_eq!(Unit::Plain.show(0.0), "0");
    }
}
