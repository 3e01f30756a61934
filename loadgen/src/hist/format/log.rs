//! Interval logs (`.hlog`): read leniently, written strictly.
//!
//! A line is `[Tag=name,]start,length,max,histogram`, start and length in seconds. What a start
//! means depends on what stands above it, as the Java tools read it:
//!
//! | above it | a start is |
//! |---|---|
//! | `#[BaseTime: …]` | seconds from there |
//! | `#[StartTime: …]` only | seconds from there if it is a year smaller, else since the epoch |
//! | neither | seconds since the epoch |
//!
//! Both may occur again, in files that were appended to, and hold from there on. Interval maxima
//! are not read: the histogram says it better. A last line without its end is what a program
//! leaves that was killed while writing; it is left out, with a note. Any other line that cannot be
//! read is an error.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use super::codec;
use crate::hist::recording::{Interval, Recording, Series};

const YEAR_SECONDS: f64 = 365.0 * 86_400.0;
/// Before this a start cannot be seconds since the epoch: it is 1973, and logs did not exist.
const EPOCH_LEAST: f64 = 1e8;
const NANOS_PER_MILLI: f64 = 1e6;

/// Reads a log.
///
/// *Errors:* the number of the line, and what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Recording, String> {
    let mut recording = Recording::default();
    let mut clock = Clock::default();
    let last = text.lines().count();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            clock.note(comment);
        } else if !line.is_empty() && !line.starts_with('"') {
            match interval(line, &clock) {
                Ok((tag, interval)) => {
                    recording.series_mut(tag).intervals.push(interval);
                }
                Err(_) if index + 1 == last && !text.ends_with('\n') => {
                    let note = format!("line {last}, the last, is cut off and left out");
                    recording.notes.push(note);
                }
                Err(error) => return Err(format!("line {}: {error}", index + 1)),
            }
        }
    }
    let starts = recording.series.iter().flat_map(|series| &series.intervals);
    let first = starts
        .map(|interval| interval.start_seconds)
        .fold(f64::INFINITY, f64::min);
    recording.began = (first >= EPOCH_LEAST && first.is_finite()).then_some(0.0);
    recording.settle();
    Ok(recording)
}

/// What starts count from.
#[derive(Default)]
struct Clock {
    started: Option<f64>,
    zero: Option<f64>,
}

impl Clock {
    fn note(&mut self, comment: &str) {
        let seconds = |name: &str| {
            let rest = comment.trim().strip_prefix('[')?.strip_prefix(name)?;
            let number = rest.trim_start_matches([':', ' ']);
            let end = number.find(|c: char| !c.is_ascii_digit() && c != '.');
            number[..end.unwrap_or(number.len())].parse::<f64>().ok()
        };
        self.started = seconds("StartTime").or(self.started);
        self.zero = seconds("BaseTime").or(self.zero);
    }

    fn absolute(&self, start: f64) -> f64 {
        match (self.zero, self.started) {
            (Some(zero), _) => zero + start,
            (None, Some(started)) if start < started - YEAR_SECONDS => started + start,
            (None, _) => start,
        }
    }
}

fn interval<'a>(line: &'a str, clock: &Clock) -> Result<(Option<&'a str>, Interval), String> {
    let (tag, rest) = match line.strip_prefix("Tag=") {
        Some(tagged) => {
            let (tag, rest) = tagged
                .split_once(',')
                .ok_or("a tag with nothing behind it")?;
            (Some(tag), rest)
        }
        None => (None, line),
    };
    let mut fields = rest.splitn(4, ',');
    let mut number = |name: &str| {
        let field = fields.next().unwrap_or_default().trim();
        let number = field
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite());
        number.ok_or_else(|| format!("`{field}` is no {name}; start,length,max,histogram expected"))
    };
    let (start, length) = (number("start")?, number("length")?);
    number("maximum")?;
    let encoded = fields.next().ok_or("there is no histogram")?;
    let interval = Interval {
        start_seconds: clock.absolute(start),
        length_seconds: length.max(0.0),
        times: codec::decode(encoded.trim())?,
    };
    Ok((tag, interval))
}

/// A log with all series, interval by interval; starts count from the beginning of the recording.
pub(crate) fn write(recording: &Recording) -> Result<String, String> {
    let began = Duration::from_secs_f64(recording.began.unwrap_or(0.0).max(0.0));
    let began: SystemTime = UNIX_EPOCH + began;
    let mut serializer = V2DeflateSerializer::new();
    let mut out = Vec::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[Values in nanoseconds]")
        .with_start_time(began)
        .with_base_time(began)
        .with_max_value_divisor(NANOS_PER_MILLI)
        .begin_log_with(&mut out, &mut serializer)
        .map_err(|error| error.to_string())?;
    let mut lines: Vec<(&Series, &Interval)> = recording
        .series
        .iter()
        .flat_map(|series| {
            series
                .intervals
                .iter()
                .map(move |interval| (series, interval))
        })
        .collect();
    // Stable: the series of one interval keep their order.
    lines.sort_by(|one, other| one.1.start_seconds.total_cmp(&other.1.start_seconds));
    for (series, interval) in lines {
        let tag = match &series.tag {
            Some(name) => {
                let complaint = || format!("`{name}` cannot be a tag: no comma, no blank");
                Some(Tag::new(name).ok_or_else(complaint)?)
            }
            None => None,
        };
        let seconds = |seconds: f64| Duration::from_secs_f64(seconds.max(0.0));
        let (start, length) = (interval.start_seconds, interval.length_seconds);
        log.write_histogram(&interval.times, seconds(start), seconds(length), tag)
            .map_err(|error| error.to_string())?;
    }
    String::from_utf8(out).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::recording::empty;

    fn encoded(values: &[u64]) -> String {
        let mut times = empty(3);
        for value in values {
            times.record(*value).expect("it resizes");
        }
        codec::encode(&times)
    }

    fn starts(text: &str) -> (Option<f64>, Vec<f64>) {
        let recording = read(text).expect(text);
        let starts = recording.series.iter().flat_map(|series| &series.intervals);
        (
            recording.began,
            starts.map(|interval| interval.start_seconds).collect(),
        )
    }

    #[test]
    fn starts_count_from_what_stands_above_them() {
        let line = |start: &str| format!("{start},1.0,2.0,{}\n", encoded(&[5]));
        let lines = line("10.5") + &line("11.5");
        let late = line("1441812279.474") + &line("1441812280.474");
        let zero = |text: String, began: Option<f64>| {
            let (found, starts) = starts(&text);
            assert_eq!(starts, [0.0, 1.0], "{text}");
            let close = found
                .zip(began)
                .is_none_or(|(one, other)| (one - other).abs() < 1e-6);
            assert!(
                close && found.is_some() == began.is_some(),
                "{found:?} {text}"
            );
        };
        let started = "#[StartTime: 1441812279.000 (seconds since epoch), Wed Sep 09]\n";
        let based = "#[BaseTime: 1441812200.000 (seconds since epoch)]\n";
        zero(lines.clone(), None);
        zero(late.clone(), Some(1_441_812_279.474));
        zero(format!("{started}{late}"), Some(1_441_812_279.474));
        zero(format!("{started}{lines}"), Some(1_441_812_289.5));
        zero(format!("{started}{based}{lines}"), Some(1_441_812_210.5));
        let again = format!(
            "{based}{}#[BaseTime: 1441812300 (x)]\n{}",
            line("1"),
            line("1")
        );
        assert_eq!(starts(&again).1, [0.0, 100.0]);
    }

    #[test]
    fn tags_legend_and_empty_lines() {
        let text = format!(
            "#[Histogram log format version 1.3]\r\n\r\n\"StartTimestamp\",\"Interval_Length\",\
             \"Interval_Max\",\"Interval_Compressed_Histogram\"\r\n\
             Tag=a,0.1,1,0,{0}\r\n0.1,1,0,{0}\r\nTag=a,1.1,1,0,{0}\r\n",
            encoded(&[1, 2, 3])
        );
        let recording = read(&text).expect("a log");
        let names: Vec<_> = recording.series.iter().map(Series::name).collect();
        assert_eq!(names, ["untagged", "a"]);
        assert_eq!(recording.series[1].intervals.len(), 2);
        assert!(recording.notes.is_empty());
    }

    #[test]
    fn a_damaged_line_is_named_unless_it_is_a_cut_off_end() {
        let good = format!("0,1,0,{}\n", encoded(&[7]));
        let error = read(&format!("{good}0,1,0,HISTFAAA\n")).expect_err("damaged");
        assert!(
            error.starts_with("line 2: the histogram is cut off"),
            "{error}"
        );
        let error = read(&format!("#x\nnonsense\n{good}")).expect_err("damaged");
        assert!(
            error.starts_with("line 2: `nonsense` is no start"),
            "{error}"
        );
        let cut = format!("{good}{}", &good[..good.len() - 8]);
        let recording = read(&cut).expect("the whole lines");
        assert_eq!(recording.series[0].total().len(), 1);
        assert_eq!(
            recording.notes,
            ["line 2, the last, is cut off and left out"]
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = format!(
            "#[BaseTime: 1500000000.250 (x)]\n0.5,1.000,0,{}\nTag=lag,0.5,1.000,0,{}\n",
            encoded(&[1_000, 2_000_000]),
            encoded(&[3])
        );
        let once = read(&text).expect("a log");
        let twice = read(&write(&once).expect("it is written")).expect("our own log");
        assert_eq!(twice.began, Some(1_500_000_000.75));
        for (one, other) in once.series.iter().zip(&twice.series) {
            assert_eq!((&one.tag, one.total()), (&other.tag, other.total()));
        }
        let mut bad = once;
        let intervals = bad.series[0].intervals.clone();
        bad.series_mut(Some("a b")).intervals = intervals;
        assert!(write(&bad).is_err_and(|error| error.contains("cannot be a tag")));
    }
}
