//! Each format as its readers take it.

use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use super::hlog::Interval;
use super::*;
use crate::record::tests::{forwarded, names};
use crate::record::{
    ClusterId, DownstreamFailure, Ledger, ListenerId, Outcome, Phase, PoolEvent, Recorder, names,
};

/// A thousand exchanges of 200 us to 100 ms, one failure, one reused connection.
fn ledger() -> Ledger {
    let mut ledger = Ledger::new(names());
    let mut recorder = Recorder::new(0, ledger.names().counts());
    for step in 1..=1_000 {
        recorder.exchange_started(ListenerId(1));
        recorder.record(&forwarded(100 + step * 100));
    }
    let mut failed = Outcome::new(ListenerId(0));
    failed.failure = Some(DownstreamFailure::HeadTimeout.into());
    recorder.exchange_started(ListenerId(0));
    recorder.record(&failed);
    recorder.pool(ClusterId(0), PoolEvent::Reused);
    recorder.connection_opened(ListenerId(1));
    ledger.absorb(&mut recorder.take(Box::default()));
    ledger
}

fn metrics() -> String {
    let mut out = String::new();
    prometheus::write(&mut out, &ledger());
    out
}

fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn metric_names_follow_the_conventions() {
    let metrics = metrics();
    let mut seen = HashSet::new();
    for line in metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
    {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(seen.insert(name), "{name} twice");
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{name}"
        );
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        assert_eq!(kind == "histogram", name.ends_with("_seconds"), "{name}");
        let help = format!("# HELP {name} ");
        assert!(metrics.contains(&help), "{name} has no help");
    }
    assert!(seen.len() > 20);
}

#[test]
fn no_series_is_written_twice() {
    let metrics = metrics();
    let mut seen = HashSet::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(seen.insert(series), "{series}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

#[test]
fn counters_and_gauges_are_exposed() {
    let metrics = metrics();
    let get = |series: &str| value(&metrics, series);
    let requests = "weft_listener_requests_total{listener=\"web\",code_class=\"2xx\"}";
    assert_eq!(get(requests), Some(1_000.0));
    let zero = "weft_listener_requests_total{listener=\"web\",code_class=\"5xx\"}";
    assert_eq!(get(zero), Some(0.0));
    let failure = "weft_listener_failures_total{listener=\"admin\",failure=\"head_timeout\",\
                   fault=\"downstream\"}";
    assert_eq!(get(failure), Some(1.0));
    let flag = "weft_listener_response_flags_total{listener=\"admin\",flag=\"DT\"}";
    assert_eq!(get(flag), Some(1.0));
    assert_eq!(
        get("weft_listener_connections_active{listener=\"web\"}"),
        Some(1.0)
    );
    assert_eq!(get("weft_shard_requests_total{shard=\"0\"}"), Some(1_001.0));
    let pool = "weft_cluster_connection_events_total{cluster=\"service\",event=\"reused\"}";
    assert_eq!(get(pool), Some(1.0));
    let escaped = "weft_route_requests_total{listener=\"web\",route=\"a,b \\\"c\\\"\\\\\",\
                   code_class=\"2xx\"}";
    assert_eq!(get(escaped), Some(1_000.0));
}

#[test]
fn buckets_are_counted_from_the_histogram() {
    let metrics = metrics();
    let prefix = "weft_listener_duration_seconds_bucket{listener=\"web\",phase=\"total\",le=\"";
    let bucket = |le: &str| value(&metrics, &format!("{prefix}{le}\"}}")).unwrap();
    // Totals are 200 us, 300 us, ... 100.1 ms: 0.1 % off at most, never more than the true count.
    let exact = |micros: f64| (micros / 100.0 - 1.0).clamp(0.0, 1_000.0);
    for (nanos, le) in names::BUCKETS {
        let (counted, exact) = (bucket(le), exact(nanos as f64 / 1_000.0).floor());
        assert!(
            counted <= exact && counted >= exact - 1.0 - exact * 0.001,
            "{le}: {counted}"
        );
    }
    assert_eq!(bucket("+Inf"), 1_000.0);
    let sum = value(
        &metrics,
        "weft_listener_duration_seconds_sum{listener=\"web\",phase=\"total\"}",
    );
    let exact: f64 = (1..=1_000)
        .map(|step| (100.0 + f64::from(step) * 100.0) / 1e6)
        .sum();
    assert!((sum.unwrap() - exact).abs() < 1e-6);
}

#[test]
fn bucket_bounds_are_ordered_and_labelled_in_seconds() {
    for pair in names::BUCKETS.windows(2) {
        assert!(pair[0].0 < pair[1].0);
    }
    for (nanos, label) in names::BUCKETS {
        let seconds: f64 = label.parse().unwrap();
        assert_eq!((seconds * 1e9).round() as u64, nanos, "{label}");
    }
}

#[test]
fn series_are_selected_by_owner_and_phase() {
    let ledger = ledger();
    let tags = |selection: Selection| -> Vec<String> {
        let all = series(ledger.names(), ledger.total(), &selection);
        all.map(|series| series.tag()).collect()
    };
    // No connect phase: every connection came from the pool.
    assert_eq!(tags(Selection::default()).len(), 6 + 3 + 3);
    let listener = Selection {
        listener: Some("web".into()),
        phase: Some(Phase::Added),
        ..Selection::default()
    };
    assert_eq!(tags(listener), ["listener.web.added"]);
    let route = Selection {
        route: Some("a,b \"c\"\\".into()),
        ..Selection::default()
    };
    assert_eq!(tags(route)[0], "route.web.a_b_\"c\"\\.total");
    let cluster = Selection {
        cluster: Some("service".into()),
        phase: Some(Phase::Connect),
        ..Selection::default()
    };
    assert!(tags(cluster).is_empty());
}

#[test]
fn a_spectrum_has_the_rows_that_its_readers_want() {
    let ledger = ledger();
    let mut out = String::new();
    hgrm::write(
        &mut out,
        all_listeners(ledger.total(), Phase::Total).histogram(),
    );
    let rows: Vec<Vec<f64>> = out
        .lines()
        .filter(|line| line.starts_with(' ') && !line.contains("Value"))
        .map(|line| {
            line.split_whitespace()
                .map(|word| word.parse().unwrap())
                .collect()
        })
        .collect();
    let (last, rows) = rows.split_last().unwrap();
    assert!(
        rows.iter().all(|row| row.len() == 4),
        "value, percentile, count, 1/(1-p)"
    );
    assert_eq!((last.len(), last[1], last[2]), (3, 1.0, 1_000.0));
    assert!(
        (last[0] / 100.1 - 1.0).abs() < 0.001,
        "milliseconds: {}",
        last[0]
    );
    for pair in rows.windows(2) {
        assert!(pair[0][0] <= pair[1][0] && pair[0][1] < pair[1][1] && pair[0][2] <= pair[1][2]);
    }
    let median = rows.iter().find(|row| row[1] == 0.5).unwrap();
    assert!(
        (median[0] / 50.1 - 1.0).abs() < 0.001 && median[3] == 2.0,
        "{median:?}"
    );
    assert!(out.contains("#[Mean    =") && out.contains(", StdDeviation   ="));
    assert!(out.contains(", Total count    =         1000]"));
    assert!(out.contains("SubBuckets     =         2048]"));
}

#[test]
fn several_spectra_are_named() {
    let ledger = ledger();
    let selection = Selection {
        phase: Some(Phase::Added),
        ..Selection::default()
    };
    let mut out = String::new();
    hgrm::write_series(&mut out, series(ledger.names(), ledger.total(), &selection));
    assert!(out.starts_with("#[listener.web.added, milliseconds]\n"));
    assert!(out.contains("\n#[cluster.service.added, milliseconds]\n"));
}

#[test]
fn an_interval_log_is_read_back() {
    let ledger = ledger();
    let mut out = String::new();
    let start = UNIX_EPOCH + Duration::from_millis(1_795_398_213_120);
    hlog::write_header(&mut out, start);
    let interval = Interval {
        start,
        length: Duration::from_secs(10),
    };
    let all = Selection::default();
    hlog::write_interval(&mut out, ledger.names(), ledger.interval(), &all, interval).unwrap();
    assert!(out.starts_with("#[Histogram log format version 1.3]\n"));
    assert!(out.contains("#[StartTime: 1795398213.120 (seconds since epoch)]\n\"StartTimestamp\""));

    let (mut lines, mut untagged) = (0, 0);
    for entry in IntervalLogIterator::new(out.replace('"', "#\"").as_bytes()) {
        let LogEntry::Interval(line) = entry.unwrap() else {
            continue;
        };
        lines += 1;
        assert_eq!(
            line.start_timestamp(),
            Duration::from_millis(1_795_398_213_120)
        );
        assert_eq!(line.duration(), Duration::from_secs(10));
        assert!(
            line.encoded_histogram().starts_with("HISTFAAA"),
            "V2 deflate"
        );
        if line.tag().is_none() {
            untagged += 1;
            assert!(
                (line.max() - 100.1).abs() < 0.1,
                "milliseconds: {}",
                line.max()
            );
        }
    }
    assert_eq!((lines, untagged), (1 + 12, 1));
}

#[test]
fn an_empty_interval_still_has_its_untagged_line() {
    let ledger = Ledger::new(names());
    let mut out = String::new();
    let interval = Interval {
        start: UNIX_EPOCH,
        length: Duration::from_secs(1),
    };
    let all = Selection::default();
    hlog::write_interval(&mut out, ledger.names(), ledger.interval(), &all, interval).unwrap();
    assert_eq!(out.lines().count(), 1);
    assert!(out.starts_with("0.000,1.000,0.000,HISTFAAA"));
}

#[test]
fn an_encoded_histogram_has_the_values_it_was_made_of() {
    use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};
    let sum = all_listeners(ledger().total(), Phase::Total);
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(sum.histogram(), &mut bytes)
        .unwrap();
    let back: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
    assert_eq!(&back, sum.histogram());
}

#[test]
fn json_has_one_summary_for_each_series() {
    let ledger = ledger();
    let mut out = String::new();
    json::write(
        &mut out,
        series(ledger.names(), ledger.total(), &Selection::default()),
    );
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["unit"], "nanoseconds");
    let all = value["series"].as_array().unwrap();
    assert_eq!(all.len(), 12);
    let total = &all[0];
    assert_eq!(
        (&total["scope"], &total["listener"]),
        (&"listener".into(), &"web".into())
    );
    assert_eq!(
        (&total["phase"], &total["count"]),
        (&"total".into(), &1_000.into())
    );
    let median = total["percentiles"]["p50"].as_f64().unwrap();
    assert!((median / 50_100_000.0 - 1.0).abs() < 0.001, "{median}");
    let route = all.iter().find(|each| each["scope"] == "route").unwrap();
    assert_eq!(
        (&route["listener"], route["cluster"].is_null()),
        (&"web".into(), true)
    );
}

#[test]
fn statistics_show_what_happened() {
    let mut out = String::new();
    stats::write(&mut out, &ledger());
    let lines: Vec<&str> = out.lines().collect();
    for expected in [
        "listener.web.connections.active: 1",
        "listener.web.requests.2xx: 1000",
        "listener.admin.failures.head_timeout: 1",
        "cluster.service.connection_events.reused: 1",
        "shard.0.requests: 1001",
    ] {
        assert!(lines.contains(&expected), "{expected}");
    }
    assert!(!out.contains("5xx"), "zeros are left out");
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("listener.web.added_us: count=1000 p50="))
    );
}
