//! `hist merge`: recordings added up, tag by tag.
//!
//! Without alignment a tag becomes one interval, from its first beginning to its longest end. With
//! it, intervals that began equally long after the beginning of their file are added: what several
//! generators measured at the same time stays a recording over time.

use std::collections::BTreeMap;

use super::format::{self, Format};
use super::options::MergeOptions;
use super::recording::{Interval, Recording, sum};
use super::source;
use super::write;

/// Reads, adds and writes.
///
/// *Errors:* an unknown format, or a tag that is in no file.
pub(crate) fn run(options: &MergeOptions) -> Result<(), String> {
    let format = Format::of_name(&options.out).ok_or_else(|| {
        let path = options.out.display();
        format!("{path}: write a .hlog, .json, .hgrm or .csv file")
    })?;
    let sources = source::open_all(&options.input.files, &options.input.reading)?;
    let mut recordings: Vec<Recording> =
        sources.into_iter().flat_map(|source| source.runs).collect();
    if !options.input.reading.tags.is_empty() {
        for recording in &mut recordings {
            let series = recording.select(&options.input.reading.tags)?;
            recording.series = series.into_iter().cloned().collect();
        }
    }
    let merged = merged(&recordings, options.aligned);
    write(&options.out, &format::write(&merged, format)?)
}

/// The sum of recordings.
fn merged(recordings: &[Recording], is_aligned: bool) -> Recording {
    let length = interval_length(recordings);
    // By tag and number of the interval. Without times to tell intervals apart, there is only one.
    let mut groups: BTreeMap<(Option<&str>, u64), Vec<&Interval>> = BTreeMap::new();
    for series in recordings.iter().flat_map(|recording| &recording.series) {
        for interval in &series.intervals {
            let number = match is_aligned && length > 0.0 {
                true => (interval.start_seconds / length).round() as u64,
                false => 0,
            };
            let key = (series.tag.as_deref(), number);
            groups.entry(key).or_default().push(interval);
        }
    }
    let began = recordings.iter().filter_map(|recording| recording.began);
    let mut merged = Recording {
        began: began.reduce(f64::min),
        ..Recording::default()
    };
    for ((tag, _), intervals) in groups {
        let starts = intervals.iter().map(|interval| interval.start_seconds);
        let ends = intervals.iter().map(|interval| interval.end_seconds());
        let start = starts.fold(f64::INFINITY, f64::min);
        merged.series_mut(tag).intervals.push(Interval {
            start_seconds: start,
            length_seconds: ends.fold(start, f64::max) - start,
            times: sum(intervals.iter().map(|interval| &interval.times)),
        });
    }
    merged
}

/// The length that most intervals have: the median, since the last one may be cut short.
fn interval_length(recordings: &[Recording]) -> f64 {
    let series = recordings.iter().flat_map(|recording| &recording.series);
    let intervals = series.flat_map(|series| &series.intervals);
    let mut lengths: Vec<f64> = intervals.map(|interval| interval.length_seconds).collect();
    lengths.sort_by(f64::total_cmp);
    lengths.get(lengths.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::recording::empty;

    /// Seconds with one sample each; the last lasts only a tenth.
    fn recording(began: f64, value: u64, count: usize) -> Recording {
        let mut recording = Recording {
            began: Some(began),
            ..Recording::default()
        };
        for at in 0..count {
            let mut times = empty(3);
            times.record(value).expect("it resizes");
            let length_seconds = if at + 1 == count { 0.1 } else { 1.0 };
            // Clocks of intervals wander by a millisecond.
            let start_seconds = at as f64 + if at == 1 { 0.001 } else { 0.0 };
            let interval = Interval {
                start_seconds,
                length_seconds,
                times,
            };
            recording
                .series_mut(Some("x"))
                .intervals
                .push(interval.clone());
            recording.series_mut(None).intervals.push(interval);
        }
        recording
    }

    #[test]
    fn nothing_is_lost_and_nothing_is_doubled() {
        let recordings = [recording(50.0, 10, 3), recording(40.0, 20, 5)];
        for (is_aligned, intervals) in [(false, 1), (true, 5)] {
            let merged = merged(&recordings, is_aligned);
            assert_eq!(merged.began, Some(40.0));
            for series in &merged.series {
                assert_eq!(series.intervals.len(), intervals, "{}", series.name());
                assert_eq!(series.total().len(), 8);
                assert!((series.end_seconds() - 4.1).abs() < 1e-9);
            }
        }
        let merged = merged(&recordings, true);
        let counts = merged.series[0]
            .intervals
            .iter()
            .map(|interval| interval.times.len());
        assert_eq!(counts.collect::<Vec<_>>(), [2, 2, 2, 1, 1]);
    }
}
