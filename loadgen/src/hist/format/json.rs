//! JSON: results of `loadgen run`, and recordings as `loadgen hist convert` writes them.
//!
//! Both hold histograms in the V2 encoding of logs, deflated and in base64. A run has the totals of
//! its three series; a recording has everything a log has:
//!
//! ```json
//! { "schema": 1, "began_unix_seconds": 1500000000.25,
//!   "series": [ { "tag": null, "intervals": [
//!     { "start_seconds": 0.0, "length_seconds": 1.0, "count": 5, "histogram": "HISTFAAA…" }
//!   ] } ] }
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::codec;
use crate::hist::recording::{Interval, Recording};

/// Version of the schema.
const SCHEMA: u32 = 1;
/// The series of a run, and their tags in a log.
const RUN_SERIES: [(&str, Option<&str>); 3] = [
    ("response_time", None),
    ("service_time", Some("uncorrected")),
    ("send_lag", Some("send_lag")),
];

#[derive(Deserialize, Serialize)]
struct Document {
    schema: u32,
    began_unix_seconds: Option<f64>,
    series: Vec<JsonSeries>,
}

#[derive(Deserialize, Serialize)]
struct JsonSeries {
    tag: Option<String>,
    intervals: Vec<JsonInterval>,
}

#[derive(Deserialize, Serialize)]
struct JsonInterval {
    start_seconds: f64,
    length_seconds: f64,
    count: u64,
    histogram: String,
}

/// Reads either document.
///
/// *Errors:* where it is damaged, or that it is neither.
pub(crate) fn read(text: &str) -> Result<Recording, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match (value.get("series"), value.get("response_time")) {
        (Some(_), _) => document(value),
        (None, Some(_)) => run(&value),
        (None, None) => Err("it is neither the result of a run nor a recording".into()),
    }
}

fn run(value: &Value) -> Result<Recording, String> {
    let mut recording = Recording::default();
    let seconds = value.get("measured_seconds").and_then(Value::as_f64);
    for (name, tag) in RUN_SERIES {
        let series = value.get(name).filter(|series| !series.is_null());
        let Some(series) = series else { continue };
        let encoded = series
            .get("histogram")
            .and_then(Value::as_str)
            .ok_or_else(|| {
                format!(
                    "`{name}` has no `histogram`: write it again, or read the run's --hlog file"
                )
            })?;
        recording.series_mut(tag).intervals.push(Interval {
            start_seconds: 0.0,
            length_seconds: seconds.unwrap_or(0.0),
            times: codec::decode(encoded).map_err(|error| format!("{name}.histogram: {error}"))?,
        });
    }
    let note = "the result of a run holds totals only; its --hlog file has every interval";
    recording.notes.push(note.into());
    Ok(recording)
}

fn document(value: Value) -> Result<Recording, String> {
    let document: Document = serde_json::from_value(value).map_err(|error| error.to_string())?;
    if document.schema != SCHEMA {
        return Err(format!("schema {} is not {SCHEMA}", document.schema));
    }
    let mut recording = Recording {
        began: document.began_unix_seconds,
        ..Recording::default()
    };
    for (at, series) in document.series.into_iter().enumerate() {
        for (number, interval) in series.intervals.into_iter().enumerate() {
            let times = codec::decode(&interval.histogram)
                .map_err(|error| format!("series[{at}].intervals[{number}]: {error}"))?;
            let series = recording.series_mut(series.tag.as_deref());
            series.intervals.push(Interval {
                start_seconds: interval.start_seconds,
                length_seconds: interval.length_seconds,
                times,
            });
        }
    }
    recording.settle();
    Ok(recording)
}

/// A recording with all its intervals.
pub(crate) fn write(recording: &Recording) -> String {
    let interval = |interval: &Interval| JsonInterval {
        start_seconds: interval.start_seconds,
        length_seconds: interval.length_seconds,
        count: interval.times.len(),
        histogram: codec::encode(&interval.times),
    };
    let series = recording.series.iter().map(|series| JsonSeries {
        tag: series.tag.clone(),
        intervals: series.intervals.iter().map(interval).collect(),
    });
    let document = Document {
        schema: SCHEMA,
        began_unix_seconds: recording.began,
        series: series.collect(),
    };
    // Numbers and strings: there is nothing that could fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::recording::empty;

    #[test]
    fn a_recording_survives() {
        let mut recording = Recording {
            began: Some(1.5e9),
            ..Recording::default()
        };
        for (tag, start_seconds) in [(None, 0.0), (None, 1.0), (Some("lag"), 0.0)] {
            let mut times = empty(3);
            times
                .record(1_000 + start_seconds as u64)
                .expect("it resizes");
            let interval = Interval {
                start_seconds,
                length_seconds: 1.0,
                times,
            };
            recording.series_mut(tag).intervals.push(interval);
        }
        let again = read(&write(&recording)).expect("our own");
        assert_eq!(again.began, recording.began);
        assert_eq!(again.series.len(), 2);
        assert_eq!(again.series[0].intervals.len(), 2);
        assert_eq!(again.series[0].total(), recording.series[0].total());
    }

    #[test]
    fn a_run_without_histograms_is_told_what_to_do() {
        let old = r#"{"response_time": {"count": 5}, "measured_seconds": 1.0}"#;
        assert!(read(old).is_err_and(|error| error.contains("--hlog")));
        assert!(read("{}").is_err_and(|error| error.contains("neither")));
        assert!(read("{\n\"a\": }").is_err_and(|error| error.contains("line 2")));
        let broken = r#"{"response_time": {"histogram": "HISTF"}}"#;
        assert!(read(broken).is_err_and(|error| error.starts_with("response_time.histogram:")));
    }
}
