//! Histograms as JSON: count, extremes, mean and percentiles of each series, in nanoseconds.
//!
//! One document: `{"unit": "nanoseconds", "series": [{"scope", "listener", "route", "cluster",
//! "phase", "count", "sum", "min", "max", "mean", "stdev", "percentiles": {"p50", ...}}]}`; of the
//! three names only those of the series' owner are present. The sum is exact, the rest has the
//! histogram's precision. For whole distributions there are the other formats.

use serde::Serialize;

use super::series::{Owner, Series};
use crate::record::Values as _;

/// The percentiles that are written.
const PERCENTILES: [(&str, f64); 8] = [
    ("p50", 0.5),
    ("p75", 0.75),
    ("p90", 0.9),
    ("p95", 0.95),
    ("p99", 0.99),
    ("p99_9", 0.999),
    ("p99_99", 0.9999),
    ("p100", 1.0),
];

#[derive(Serialize)]
struct Document<'a> {
    unit: &'static str,
    series: Vec<Summary<'a>>,
}

#[derive(Serialize)]
struct Summary<'a> {
    scope: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<&'a str>,
    phase: &'static str,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
    mean: f64,
    stdev: f64,
    percentiles: serde_json::Map<String, serde_json::Value>,
}

/// Appends one JSON document with all series.
pub fn write<'a>(out: &mut String, all: impl Iterator<Item = Series<'a>>) {
    let document = Document {
        unit: "nanoseconds",
        series: all.map(|series| summary(&series)).collect(),
    };
    // Strings and finite numbers only: there is nothing that could fail to be written.
    let text = serde_json::to_string(&document).unwrap_or_default();
    out.push_str(&text);
    out.push('\n');
}

fn summary<'a>(series: &Series<'a>) -> Summary<'a> {
    let histogram = series.histogram();
    let (listener, route, cluster) = match series.owner {
        Owner::Listener(name) => (Some(name), None, None),
        Owner::Route { listener, route } => (Some(listener), Some(route), None),
        Owner::Cluster(name) => (None, None, Some(name)),
    };
    let value = |(name, quantile): (&str, f64)| {
        let value = histogram.value_at_quantile(quantile);
        (name.to_owned(), value.into())
    };
    Summary {
        scope: series.owner.kind(),
        listener,
        route,
        cluster,
        phase: series.phase.label(),
        count: histogram.len(),
        sum: series.values.sum_nanos(),
        min: histogram.min(),
        max: histogram.max(),
        mean: histogram.mean(),
        stdev: histogram.stdev(),
        percentiles: PERCENTILES.into_iter().map(value).collect(),
    }
}
