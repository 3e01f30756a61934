//! From results to the charts of `plot/`: which figure goes where, and what is said about it. Pure.
//!
//! A chart that would have nothing to show is none. Where a scale could mislead (times that differ
//! by factors, differences beside sizes) the choice is made here, the drawing there.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::compare::document::Document;
use crate::compare::metric::{Metric, Unit as Written};
use crate::compare::summary::spread;
use crate::hist::recording::{Interval, Recording, sum};
use crate::plot::{
    Caption, Column, Curve, HeatMap, IntervalChart, Line, Panel, PercentileChart, Row, TimeChart,
    Unit,
};
use crate::report::IntervalRow;
use crate::report::figures::Times;

use super::measured::Measured;
use super::words::percent;

/// How much larger the largest of compared times may be before their scale is logarithmic.
const LINEAR_FACTOR_MAX: f64 = 20.0;

pub(super) fn caption(title: impl Into<String>, note: impl Into<String>) -> Caption {
    Caption {
        title: title.into(),
        note: note.into(),
        ..Caption::default()
    }
}

/// The percentile curves of a run: of all its times if they are known, else through the few
/// percentiles that it tells.
pub(crate) fn percentiles_of_run(run: &Measured, all: Option<&Recording>) -> String {
    let drawn = |name: &str, tag: Option<&str>, told: &Times| {
        let intervals = all.map_or(&[][..], |all| all.intervals(tag));
        match intervals.is_empty() {
            true => curve(name, told),
            false => Curve::of(name, &sum(intervals.iter().map(|one| &one.times))),
        }
    };
    let mut curves = vec![drawn("response time", None, &run.response_time)];
    if let Some(service) = &run.service_time {
        let name = "service time (uncorrected)";
        curves.push(drawn(name, Some("uncorrected"), service));
    }
    let note = match curves.len() {
        1 => "A closed loop has only one kind of time.",
        _ => "What lies between the two is time that requests waited to be sent.",
    };
    percentiles("How long the slowest took", note, curves)
}

fn percentiles(title: &str, note: &str, curves: Vec<Curve>) -> String {
    let ends = |pick: fn(f64, f64) -> f64, start: f64| {
        let values = curves.iter().flat_map(|curve| &curve.points);
        let values = values.filter(|point| point.0 >= 0.5).map(|point| point.1);
        values.fold(start, pick)
    };
    let (low, high) = (ends(f64::min, f64::INFINITY), ends(f64::max, 0.0));
    PercentileChart {
        caption: caption(title, note),
        measured: "response time".into(),
        is_log: high > low * LINEAR_FACTOR_MAX,
        curves,
    }
    .svg()
}

/// A curve through the percentiles of a JSON, which are few.
fn curve(name: &str, times: &Times) -> Curve {
    let mut points = Vec::new();
    if times.count > 0 {
        let last = 1.0 - 1.0 / times.count as f64;
        points.push((0.0, times.min_ns as f64));
        let known = times.percentiles_ns.iter().filter_map(|(name, &nanos)| {
            let quantile = name.parse::<f64>().ok()? / 100.0;
            (quantile < last).then_some((quantile, nanos as f64))
        });
        points.extend(known);
        points.push((last, times.max_ns as f64));
        points.sort_by(|left, right| left.0.total_cmp(&right.0));
    }
    Curve {
        name: name.into(),
        count: times.count,
        points,
        band: Vec::new(),
    }
}

/// Throughput and times of a run, interval by interval.
pub(crate) fn over_time(run: &Measured) -> String {
    // The last interval may be the grace, in which nothing was due any more.
    let full = |interval: &&IntervalRow| interval.length_seconds > 0.05;
    let intervals: Vec<&IntervalRow> = run.intervals.iter().filter(full).collect();
    let line = |name: &str, value: fn(&IntervalRow) -> f64| Line {
        name: name.into(),
        points: intervals
            .iter()
            .map(|interval| {
                let middle = interval.start_seconds + interval.length_seconds / 2.0;
                (middle, value(interval))
            })
            .collect(),
    };
    let mut panels = vec![
        Panel {
            title: "answers per second".into(),
            unit: Unit::Count,
            is_log: false,
            height: 130.0,
            lines: vec![line("right answers", |interval| {
                interval.answered as f64 / interval.length_seconds
            })],
        },
        Panel {
            title: "response time".into(),
            unit: Unit::Nanos,
            is_log: true,
            height: 200.0,
            lines: vec![
                line("p50", |interval| time(interval, interval.p50_ns)),
                line("p99", |interval| time(interval, interval.p99_ns)),
                line("max", |interval| time(interval, interval.max_ns)),
            ],
        },
    ];
    if intervals.iter().any(|interval| interval.failed > 0) {
        panels.push(Panel {
            title: "failures per second".into(),
            unit: Unit::Count,
            is_log: false,
            height: 90.0,
            lines: vec![line("failures", |interval| {
                interval.failed as f64 / interval.length_seconds
            })],
        });
    }
    let ends = intervals.iter().map(|i| i.start_seconds + i.length_seconds);
    TimeChart {
        caption: caption(
            "Second by second",
            "Times of each second are its own percentiles.",
        ),
        seconds: ends.fold(run.measured_seconds, f64::max),
        panels,
        events: Vec::new(),
    }
    .svg()
}

/// A gap where nothing was timed.
fn time(interval: &IntervalRow, nanos: u64) -> f64 {
    match interval.answered + interval.failed {
        0 => f64::NAN,
        _ => nanos as f64,
    }
}

/// When answers came and how long each took.
pub(crate) fn heat(log: &Recording) -> String {
    let column = |interval: &Interval| {
        Column::of(
            interval.start_seconds,
            interval.length_seconds,
            &interval.times,
        )
    };
    HeatMap {
        caption: caption(
            "When answers came, and how long each took",
            "Shows what percentiles hide: two humps, a stall, a mode that comes and goes.",
        ),
        measured: "response time".into(),
        columns: log.intervals(None).iter().map(column).collect(),
        lines: Vec::new(),
        events: Vec::new(),
    }
    .svg()
}

/// One figure of every entry, with its interval.
pub(crate) fn figures(document: &Document, metric: Metric) -> Option<String> {
    let rows = document.summary.entries.iter().enumerate();
    let rows = rows.filter_map(|(index, line)| {
        let figure = line.figures.get(metric.name())?;
        Some(Row {
            name: line.name.clone(),
            mean: figure.mean,
            low: figure.low,
            high: figure.high,
            series: series(document, index),
        })
    });
    let rows: Vec<Row> = rows.collect();
    if rows.is_empty() {
        return None;
    }
    let (title, unit) = match metric.unit() {
        Written::Micros => ("CPU time per request, in microseconds", Unit::Plain),
        Written::Rate => ("requests per second", Unit::Count),
        Written::Nanos => ("response time", Unit::Nanos),
        Written::Bytes => ("bytes", Unit::Count),
    };
    let note = format!(
        "Means over the rounds that count, with {} confidence. Less is better.",
        percent(document.confidence)
    );
    let chart = IntervalChart {
        caption: caption(metric_title(metric), note),
        measured: title.into(),
        unit,
        from_zero: true,
        rows,
        reference: None,
    };
    Some(chart.svg())
}

const fn metric_title(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuUs => "What a request costs",
        other => other.title(),
    }
}

/// Entries of the same peer share a colour.
fn series(document: &Document, index: usize) -> usize {
    let peer = |index: usize| document.entries.get(index).map(|entry| &entry.peer);
    let mut seen = Vec::new();
    for entry in &document.entries {
        if !seen.contains(&&entry.peer) {
            seen.push(&entry.peer);
        }
    }
    let place = peer(index).and_then(|peer| seen.iter().position(|found| *found == peer));
    place.unwrap_or(index)
}

/// The ratios of one metric, with the spread of the noise beside them.
pub(crate) fn ratios(document: &Document, metric: Metric) -> Option<String> {
    let summary = &document.summary;
    let of_it = summary
        .ratios
        .iter()
        .filter(|ratio| ratio.metric == metric.name());
    let rows: Vec<Row> = of_it
        .map(|ratio| {
            let index = document
                .entries
                .iter()
                .position(|entry| entry.name == ratio.entry);
            Row {
                name: format!("{} ({})", ratio.entry, ratio.word.label()),
                mean: ratio.ratio.mean,
                low: ratio.ratio.low,
                high: ratio.ratio.high,
                series: series(document, index.unwrap_or(0)),
            }
        })
        .collect();
    let to = summary.ratios.first()?.to.clone();
    if rows.is_empty() {
        return None;
    }
    let noise = summary
        .noise
        .iter()
        .find(|ratio| ratio.metric == metric.name());
    let note = noise.map(|noise| spread(&noise.ratio)).map_or_else(
        || "No program was entered twice, so the noise is not known.".into(),
        |spread| match spread.is_finite() {
            true => format!(
                "The same program, entered twice, differed from itself by up to {}: no smaller \
                 difference counts.",
                percent(spread - 1.0)
            ),
            false => "One round: the noise is not known.".into(),
        },
    );
    let chart = IntervalChart {
        caption: caption(format!("{}: ratio to {to}", name(metric)), note),
        measured: format!("ratio to {to}"),
        unit: Unit::Ratio,
        from_zero: false,
        rows,
        reference: Some((1.0, to)),
    };
    Some(chart.svg())
}

const fn name(metric: Metric) -> &'static str {
    match metric {
        Metric::CpuUs => "CPU time per request",
        Metric::RequestsPerSecond => "Requests per second",
        Metric::P50 => "Median response time",
        Metric::P99 => "99th percentile of the response time",
        Metric::Resident => "Resident memory",
        other => other.title(),
    }
}

/// The percentile curve of every entry over all its rounds, with what the rounds spread over.
pub(crate) fn percentiles_of_entries(logs: &[(String, Vec<Histogram<u64>>)]) -> Option<String> {
    let curves: Vec<Curve> = logs
        .iter()
        .filter(|(_, rounds)| !rounds.is_empty())
        .map(|(name, rounds)| with_band(name, rounds))
        .collect();
    (!curves.is_empty()).then(|| {
        percentiles(
            "How long the slowest took",
            "All rounds that count together; the bands hold what single rounds measured.",
            curves,
        )
    })
}

fn with_band(name: &str, rounds: &[Histogram<u64>]) -> Curve {
    let mut curve = Curve::of(name, &sum(rounds.iter()));
    let singles: Vec<Curve> = rounds.iter().map(|round| Curve::of("", round)).collect();
    // Beyond its own count a round knows nothing.
    let least = rounds.iter().map(Histogram::len).min().unwrap_or(0);
    let last = 1.0 - 1.0 / least.max(1) as f64;
    if rounds.len() > 1 {
        let within = curve.points.iter().filter(|point| point.0 <= last);
        let band = within.filter_map(|&(quantile, _)| {
            let values = singles.iter().filter_map(|single| single.at(quantile));
            let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
            (low <= high).then_some((quantile, low, high))
        });
        curve.band = band.collect();
    }
    curve
}

/// CPU time per request of every run at the time it was made: drift, and rounds that stand out.
pub(crate) fn drift(document: &Document) -> Option<String> {
    let mut lines: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for run in &document.runs {
        let figure = run
            .measured
            .watched
            .and_then(|watched| watched.cpu_us_per_request);
        if let Some(figure) = figure {
            let points = lines.entry(run.entry).or_default();
            points.push((run.at_seconds, figure));
        }
    }
    let end = lines.values().flatten().map(|point| point.0);
    let end = end.fold(0.0, f64::max) + document.scenario.load.duration.as_secs_f64();
    let lines: Vec<Line> = lines
        .into_iter()
        .filter_map(|(entry, points)| {
            let name = document.entries.get(entry)?.name.clone();
            Some(Line { name, points })
        })
        .collect();
    if lines.iter().all(|line| line.points.len() < 2) {
        return None;
    }
    let chart = TimeChart {
        caption: caption(
            "Round by round",
            "If all rise together the machine drifted, which ratios within a round cancel.",
        ),
        seconds: end,
        panels: vec![Panel {
            title: "CPU time per request, in microseconds".into(),
            unit: Unit::Plain,
            is_log: false,
            height: 180.0,
            lines,
        }],
        events: Vec::new(),
    };
    Some(chart.svg())
}

/// Claims beside their limits: name, and the figure as a share of what the claim allows.
pub(crate) fn claims(rows: Vec<Row>) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let chart = IntervalChart {
        caption: caption(
            "How far from the limit",
            "Each figure divided by what its claim allows. Left of the line the claim holds; an \
             interval that crosses it leaves the claim open.",
        ),
        measured: "measured ÷ claimed".into(),
        unit: Unit::Ratio,
        from_zero: false,
        rows,
        reference: Some((1.0, "limit".into())),
    };
    Some(chart.svg())
}
