//! Figures and findings in words, as somebody who was not there needs them. Pure.
//!
//! A finding says the ratio, its interval and what follows: less, more, or that the two are not
//! told apart and why. Numbers have as many digits as they are worth.

use crate::compare::metric::{Metric, Unit};
use crate::compare::statistics::Estimate;
use crate::compare::summary::{Ratio, Word};
use crate::quantity::{show_bytes, show_nanos};

use super::markup::Tone;

/// A figure with half the width of its interval, where that has ends.
pub(crate) fn figure(estimate: &Estimate, unit: Unit) -> (String, String) {
    let half = (estimate.high - estimate.low) / 2.0;
    let note = match half.is_finite() {
        true => format!("± {}", plain(half, unit)),
        false => String::new(),
    };
    (number(estimate.mean, unit), note)
}

/// A number with its unit.
pub(crate) fn number(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Micros => format!("{value:.2} µs"),
        Unit::Rate => count(value),
        Unit::Nanos => nanos(value),
        Unit::Bytes if value.abs() < 10_240.0 => format!("{value:.0} B"),
        Unit::Bytes => format!("{:.1} MiB", value / 1_048_576.0),
    }
}

/// The same beside a number that has the unit.
fn plain(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Micros => format!("{value:.2}"),
        Unit::Rate | Unit::Nanos | Unit::Bytes => number(value, unit),
    }
}

/// A whole number in groups of three digits.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", &*digits),
    };
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A list of figures, which breaks between them only.
pub(crate) fn unbroken(figures: &str) -> String {
    let figures = figures.split("; ");
    let figures: Vec<_> = figures.map(|it| it.replace(' ', "\u{a0}")).collect();
    figures.join("; ")
}

/// A share as percent.
pub(crate) fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent != 0.0 && percent.abs() < 10.0 => format!("{percent:.1}\u{a0}%"),
        percent => format!("{percent:.0}\u{a0}%"),
    }
}

/// Bytes.
pub(crate) fn bytes(count: u64) -> String {
    show_bytes(count as f64)
}

/// A ratio with its interval.
pub(crate) fn ratio(estimate: &Estimate) -> (String, String) {
    let interval = match estimate.high.is_finite() {
        true => format!("[{:.2}, {:.2}]", estimate.low, estimate.high),
        false => "one round".into(),
    };
    (format!("{:.2}", estimate.mean), interval)
}

/// A time.
pub(crate) fn nanos(nanos: f64) -> String {
    show_nanos(nanos).replace("us", "µs")
}

/// The word for a difference and whether it is the better way round.
pub(crate) fn judged(ratio: &Ratio) -> (Tone, &'static str) {
    let less_is_better = ratio.metric != Metric::RequestsPerSecond.name();
    let tone = match ratio.word {
        Word::Tie => Tone::Neutral,
        Word::Less if less_is_better => Tone::Good,
        Word::More if !less_is_better => Tone::Good,
        Word::Less | Word::More => Tone::Bad,
    };
    (tone, ratio.word.label())
}

/// What a ratio says, in a sentence; `spread` is how far apart, as a factor, the same program
/// seemed from itself.
pub(crate) fn finding(ratio: &Ratio, spread: Option<f64>, confidence: f64) -> String {
    let Some(what) = Metric::find(&ratio.metric).ok().and_then(subject) else {
        return String::new();
    };
    let (entry, to) = (&ratio.entry, &ratio.to);
    let Estimate {
        mean, low, high, ..
    } = ratio.ratio;
    if !high.is_finite() {
        return format!("{entry} and {to}: one round tells nothing about {what}.");
    }
    let interval = format!(
        "[{low:.2}, {high:.2}] with {} confidence",
        percent(confidence)
    );
    let begin = format!("{entry}: {mean:.2} of {to}'s {what}, {interval}");
    match ratio.word {
        Word::Less => format!("{begin}: {} less.", percent(1.0 - mean)),
        Word::More => format!("{begin}: {} more.", percent(mean - 1.0)),
        Word::Tie if ratio.ratio.holds(1.0) => {
            format!("{begin}. The interval holds 1, so the two are not told apart.")
        }
        Word::Tie => {
            let spread = spread.filter(|spread| spread.is_finite());
            let noise = spread.map_or_else(
                || "how far is not known".into(),
                |spread| format!("by up to {}", percent(spread - 1.0)),
            );
            format!(
                "{begin}. No larger than the noise: the same program, entered twice, differed from \
                 itself {noise}."
            )
        }
    }
}

/// What a metric is, within a sentence.
const fn subject(metric: Metric) -> Option<&'static str> {
    match metric {
        Metric::CpuUs => Some("CPU time per request"),
        Metric::RequestsPerSecond => Some("requests per second"),
        Metric::P50 => Some("median response time"),
        Metric::P99 => Some("99th percentile of the response time"),
        Metric::P999 => Some("99.9th percentile of the response time"),
        Metric::Resident => Some("resident memory"),
        Metric::ResidentPerConnection => Some("resident memory per connection"),
        Metric::ServiceP50 | Metric::ServiceP99 | Metric::ServiceP999 => None,
    }
}

/// An instant of the calendar, in UTC.
pub(crate) fn instant(unix_seconds: u64) -> String {
    if unix_seconds == 0 {
        return String::new();
    }
    let (date, time) = (crate::calendar::date(unix_seconds), unix_seconds % 86_400);
    let (hours, minutes) = (time / 3_600, time / 60 % 60);
    format!("{date} {hours:02}:{minutes:02} UTC")
}

/// A command line as it is typed.
pub(crate) fn command(arguments: &[String]) -> String {
    let plain = |argument: &String| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        match !argument.is_empty() && argument.chars().all(allowed) {
            true => argument.clone(),
            false => format!("'{}'", argument.replace('\'', "'\\''")),
        }
    };
    arguments.iter().map(plain).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(metric: Metric, low: f64, high: f64, word: Word) -> Ratio {
        Ratio {
            entry: "weft".into(),
            to: "nginx".into(),
            metric: metric.name().into(),
            ratio: Estimate {
                mean: (low + high) / 2.0,
                low,
                high,
                rounds: 7,
            },
            word,
        }
    }

    #[test]
    fn findings_say_what_is_known_and_what_not() {
        let less = finding(&with(Metric::CpuUs, 0.7, 0.8, Word::Less), None, 0.95);
        assert_eq!(
            less,
            "weft: 0.75 of nginx's CPU time per request, [0.70, 0.80] with 95\u{a0}% confidence: \
             25\u{a0}% less."
        );
        let holds = finding(&with(Metric::P99, 0.9, 1.2, Word::Tie), Some(1.5), 0.95);
        assert!(holds.contains("holds 1"), "{holds}");
        let noise = finding(&with(Metric::CpuUs, 0.8, 0.9, Word::Tie), Some(1.25), 0.95);
        assert!(noise.contains("up to 25\u{a0}%"), "{noise}");
        let one = with(Metric::CpuUs, 0.0, f64::INFINITY, Word::Tie);
        assert!(finding(&one, None, 0.95).contains("one round"));
    }

    #[test]
    fn more_requests_are_better_and_more_time_is_worse() {
        let tone = |metric, word| judged(&with(metric, 0.5, 0.6, word)).0;
        assert_eq!(tone(Metric::CpuUs, Word::Less), Tone::Good);
        assert_eq!(tone(Metric::CpuUs, Word::More), Tone::Bad);
        assert_eq!(tone(Metric::RequestsPerSecond, Word::More), Tone::Good);
        assert_eq!(tone(Metric::P99, Word::Tie), Tone::Neutral);
    }

    #[test]
    fn commands_can_be_pasted() {
        let arguments = ["loadgen", "http://h/?a=1&b", "it's", ""].map(str::to_owned);
        assert_eq!(
            command(&arguments),
            "loadgen 'http://h/?a=1&b' 'it'\\''s' ''"
        );
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(count(1_234_567.4), "1,234,567");
        assert_eq!(
            (count(-1_000.0), count(999.0)),
            ("-1,000".into(), "999".into())
        );
        assert_eq!(
            (percent(0.034), percent(0.5)),
            ("3.4\u{a0}%".into(), "50\u{a0}%".into())
        );
        assert_eq!(instant(1_795_406_747), "2026-11-23 04:05 UTC");
        let estimate = Estimate {
            mean: 12.345,
            low: 12.0,
            high: 12.7,
            rounds: 7,
        };
        let (value, note) = figure(&estimate, Unit::Micros);
        assert_eq!((&*value, &*note), ("12.35 µs", "± 0.35"));
    }
}
