//! Tests of the report writers against what their readers accept.

use std::time::{Duration, SystemTime};

use engine::io::Instant;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::*;
use crate::sample::{Failure, Times};
use crate::verdict::Outcome;

const fn at(nanos: u64) -> Instant {
    Instant::from_nanos(nanos)
}

/// A thousand answers of 1 to 1000 us response time, sent 10 us late, and one wrong one.
fn samples() -> Samples {
    let mut samples = Samples::new(true);
    for micros in 1..=1_000 {
        let times = Times {
            due: at(0),
            free: at(0),
            sent: at(10_000),
        };
        samples.answered(&times, at(micros * 1_000 + 10_000), 200);
    }
    let times = Times {
        due: at(0),
        free: at(5),
        sent: at(10_000),
    };
    samples.wrong(&times, Failure::Status, 503);
    samples
}

fn report(samples: Samples) -> Report {
    let usage = Usage {
        thread: Duration::from_millis(500),
        waiting: Duration::from_millis(10),
        process: Duration::from_millis(501),
    };
    Report {
        description: Description {
            url: "http://h/".into(),
            unix: None,
            rate: Some(500.5),
            schedule: Some("500.5 requests/s".into()),
            seed: 1,
            connections: 4,
            protocol: "HTTP/1.1",
            streams: 1,
            threads: 1,
            cpus: vec![3],
            warmup_seconds: 0.0,
            duration_seconds: 2.0,
        },
        about: About::default(),
        environment: Environment::read(),
        samples,
        entries: Vec::new(),
        intervals: Vec::new(),
        measured: Duration::from_secs(2),
        interrupted: false,
        usages: vec![usage],
        tally: Tally::new(),
        watched: None,
        meanwhile: Meanwhile::default(),
        verdict: Verdict {
            outcome: Outcome::Broken,
            bottleneck: Vec::new(),
            answers_wrong: true,
            broken: vec!["1 of 1001 requests got no right answer".into()],
        },
    }
}

#[test]
fn text_names_every_figure() {
    let text = text::Text(&report(samples())).to_string();
    for expected in [
        "open loop at 500.5 requests/s, HTTP/1.1, 4 connections, 1 thread(s) on processors [3]",
        "1001 due: 1000 answered, 1 failed, 0 unanswered",
        "1 were due while no connection was free",
        "500.0 answers/s",
        "response time",
        "service time",
        "send lag",
        "errors         status 1",
        "statuses       200: 1000 503: 1",
        "500.5 us CPU per request; busiest thread 25 % busy, 0.5 % waiting",
        "1 of 1001 requests got no right answer",
        "result         broken",
    ] {
        assert!(text.contains(expected), "{expected:?} in\n{text}");
    }
    let closed = text::Text(&report(Samples::new(false))).to_string();
    assert!(closed.contains("no samples") && !closed.contains("send lag"));
}

#[test]
fn json_has_the_documented_fields() {
    let document = json::document(&report(samples()));
    let value: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(value["schema"], 2);
    assert_eq!(value["requests"]["answered"], 1_000);
    assert_eq!(value["errors"]["status"], 1);
    assert_eq!(value["statuses"]["503"], 1);
    assert_eq!(value["exit_code"], 2);
    assert_eq!(value["valid"], false);
    assert_eq!(value["reasons"], value["broken"]);
    assert!(value["environment"]["kernel"].is_string() && value["meanwhile"].is_object());
    assert_eq!(value["send_lag"]["count"], 1_001);
    assert_eq!(value["generator"]["threads"][0]["busy_share"], 0.25);
    let p99 = value["service_time"]["percentiles_ns"]["99"]
        .as_u64()
        .expect("a number");
    assert!((989_000..=991_000).contains(&p99), "{p99}");
    let closed = json::document(&report(Samples::new(false)));
    let closed: serde_json::Value = serde_json::from_str(&closed).expect("JSON");
    assert!(closed["service_time"].is_null() && closed["send_lag"].is_null());
}

#[test]
fn hgrm_rows_are_what_plotters_accept() {
    let mut out = Vec::new();
    hgrm::write(&mut out, &samples().latency).expect("memory takes all");
    let text = String::from_utf8(out).expect("text");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .skip(2)
        .filter(|line| !line.starts_with('#'))
        .inspect(|line| assert!(line.starts_with(' '), "{line}"))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let (last, others) = rows.split_last().expect("rows");
    assert!(others.iter().all(|row| row.len() == 4));
    assert_eq!(last.len(), 3);
    assert_eq!(last[1..], ["1.000000000000", "1000"]);
    assert!(
        rows.iter()
            .flatten()
            .all(|cell| cell.parse::<f64>().is_ok_and(f64::is_finite))
    );
    let half = rows
        .iter()
        .find(|row| row[1] == "0.500000000000")
        .expect("the median");
    let median: f64 = half[0].parse().expect("a number");
    assert!((0.509..0.512).contains(&median), "{median} ms");
    assert!(text.contains("#[Max     =") && text.contains("Total count    =         1000]"));
    assert!(text.contains("SubBuckets     =         2048]"), "{text}");
}

#[test]
fn hlog_is_read_back_with_its_tags() {
    let samples = samples();
    let mut sink = hlog::Sink::in_memory();
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_250);
    let mut log = sink
        .begin("a\ncommand", hlog::RESPONSE_TIME, start)
        .expect("memory takes all");
    for second in 0..2 {
        let (from, length) = (Duration::from_secs(second), Duration::from_millis(1_000));
        log.write(&samples, from, length).expect("memory takes all");
    }
    let text = sink.text();
    assert!(text.starts_with("#[Histogram log format version 1.3]\n#[a command]\n"));
    assert!(text.contains("#[StartTime: 1700000000.250 "));
    assert_eq!(text.matches("MaxValueDivisor").count(), 1);
    let mut tags = Vec::new();
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        let LogEntry::Interval(interval) = entry.expect("a line") else {
            continue;
        };
        // The first bytes of V2 with deflate; other readers take nothing else.
        assert!(interval.encoded_histogram().starts_with("HISTFAAA"));
        tags.push((
            interval.start_timestamp().as_secs(),
            interval.tag().map(|tag| tag.as_str()),
        ));
        assert_eq!(interval.duration(), Duration::from_secs(1));
    }
    let series = [None, Some("uncorrected"), Some("send_lag")];
    let expected: Vec<_> = (0..2)
        .flat_map(|second| series.map(|tag| (second, tag)))
        .collect();
    assert_eq!(tags, expected);
}

#[test]
fn hlog_histograms_are_unchanged() {
    let samples = samples();
    let mut bytes = Vec::new();
    let mut serializer = hdrhistogram::serialization::V2DeflateSerializer::new();
    hdrhistogram::serialization::Serializer::serialize(
        &mut serializer,
        &samples.latency,
        &mut bytes,
    )
    .expect("memory takes all");
    let read: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .expect("a histogram");
    assert_eq!(read, samples.latency);
}
