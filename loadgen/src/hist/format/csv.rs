//! CSV: a row for each interval and series, for spreadsheets.
//!
//! It holds figures and no histograms, so it is written and never read. Times are whole
//! nanoseconds; a field of an interval without samples is empty.

use std::fmt::Write;

use crate::hist::recording::Recording;

const QUANTILES: [(&str, f64); 7] = [
    ("p50_ns", 0.5),
    ("p75_ns", 0.75),
    ("p90_ns", 0.9),
    ("p95_ns", 0.95),
    ("p99_ns", 0.99),
    ("p99.9_ns", 0.999),
    ("p99.99_ns", 0.9999),
];

/// The figures of every interval. An interval without samples has empty fields.
pub(crate) fn write(recording: &Recording) -> String {
    let names = QUANTILES.map(|(name, _)| name).join(",");
    let mut out = format!("tag,start_seconds,length_seconds,count,mean_ns,min_ns,{names},max_ns\n");
    for series in &recording.series {
        let tag = series.tag.as_deref().unwrap_or_default();
        for interval in &series.intervals {
            let times = &interval.times;
            let (start, length) = (interval.start_seconds, interval.length_seconds);
            let figures = match times.len() {
                0 => ",".repeat(QUANTILES.len() + 2),
                _ => {
                    let values = QUANTILES.map(|(_, quantile)| times.value_at_quantile(quantile));
                    let values = values.map(|value| value.to_string()).join(",");
                    format!(
                        "{:.0},{},{values},{}",
                        times.mean(),
                        times.min(),
                        times.max()
                    )
                }
            };
            // A string takes everything.
            let _ = writeln!(
                out,
                "{},{start:.3},{length:.3},{},{figures}",
                quoted(tag),
                times.len()
            );
        }
    }
    out
}

/// A field as RFC 4180 has it, and never the beginning of a formula.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !field.contains(['"', ',', '\n', '\r']) {
        return field.to_owned();
    }
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::recording::{Interval, empty};

    #[test]
    fn every_row_has_as_many_fields_as_the_head() {
        let mut recording = Recording::default();
        for (tag, count) in [(None, 3), (Some("=HYPERLINK()"), 0)] {
            let mut times = empty(3);
            times.record_n(1_500, count).expect("it resizes");
            let interval = Interval {
                start_seconds: 2.0,
                length_seconds: 1.0,
                times,
            };
            recording.series_mut(tag).intervals.push(interval);
        }
        let text = write(&recording);
        let fields: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(fields, [14, 14, 14], "{text}");
        assert!(text.contains("\n,2.000,1.000,3,1500,1500,1500,"), "{text}");
        assert!(text.contains("\n\"'=HYPERLINK()\",2.000,"), "{text}");
    }
}
