//! Prometheus text exposition, format 0.0.4.
//!
//! Every metric has its `HELP` and `TYPE` once, followed by all its series. Counters whose label
//! is a closed enum are written only where they are not zero (flags, failures, reasons, events),
//! except the request classes, so that a rate of errors exists before the first error.
//!
//! Buckets are counted from the HDR histogram, bucket by bucket, never interpolated: an HDR bucket
//! counts below a bound when all of it does. The bound is therefore off by less than one HDR
//! bucket (0.1 % for listeners, 1 % for routes and clusters, 1 us at least), always towards the
//! slower side. The sum is exact.

use std::sync::Arc;

use hdrhistogram::Histogram;

use super::print;
use crate::authorize::external::ExternalResult;
use crate::record::counters::{
    CloseReason, ConnectionCounters, Counters, Decision, Handshake, PoolEvent, Refusal,
};
use crate::record::failure::Failure;
use crate::record::flag::ResponseFlag;
use crate::record::histogram::{PhaseHistogram, PhaseHistograms, Values as _};
use crate::record::ledger::Ledger;
use crate::record::names::{self, Metric};
use crate::record::outcome::CodeClass;
use crate::route::RetryReason;

/// The content type of this format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends all metrics.
pub fn write(out: &mut String, ledger: &Ledger) {
    write_listeners(out, ledger);
    write_connections(out, ledger);
    write_handshakes(out, ledger);
    write_routes(out, ledger);
    write_policies(out, ledger);
    write_limits(out, ledger);
    write_external(out, ledger);
    write_clusters(out, ledger);
    write_process(out, ledger);
}

/// Appends one metric that no shard records, with all its series.
pub fn write_metric<'a>(
    out: &mut String,
    metric: Metric,
    series: impl IntoIterator<Item = (Labels<'a>, u64)>,
) {
    head(out, metric);
    for (labels, value) in series {
        sample(out, metric.name, labels, value);
    }
}

/// Keys and values of the labels of one series.
pub type Labels<'a> = &'a [(&'a str, &'a str)];
/// Appends what active health checks say of endpoints.
pub fn write_health(out: &mut String, endpoints: &[EndpointHealth]) {
    let columns: [(Metric, Column); 3] = [
        (names::ENDPOINT_HEALTHY, |it| u64::from(it.is_healthy)),
        (names::ENDPOINT_CHECKS, |it| it.checks),
        (names::ENDPOINT_CHECK_FAILURES, |it| it.failures),
    ];
    for (metric, value) in columns {
        head(out, metric);
        for endpoint in endpoints {
            let labels = [
                ("cluster", &*endpoint.cluster),
                ("endpoint", &*endpoint.endpoint),
            ];
            sample(out, metric.name, &labels, value(endpoint));
        }
    }
}

/// A figure of an endpoint.
type Column = fn(&EndpointHealth) -> u64;

/// What active health checks say of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The endpoint's address.
    pub endpoint: String,
    /// It is not held to be unfit.
    pub is_healthy: bool,
    /// Checks that ended.
    pub checks: u64,
    /// Those of them that failed.
    pub failures: u64,
}
/// A metric that the control thread keeps: its samples, each with at most one label.
#[derive(Debug)]
pub struct Figure<'a> {
    /// Which metric.
    pub metric: Metric,
    /// The name of the label; none for a metric with one sample.
    pub label: Option<&'static str>,
    /// The label's values, and what was counted.
    pub samples: Vec<(&'a str, u64)>,
}

/// Appends figures of the control thread.
pub fn write_figures(out: &mut String, figures: &[Figure<'_>]) {
    for figure in figures.iter().filter(|figure| !figure.samples.is_empty()) {
        head(out, figure.metric);
        for (value, count) in &figure.samples {
            let label = figure.label.map(|label| [(label, *value)]);
            let labels = label.as_ref().map_or(&[][..], |label| &label[..]);
            sample(out, figure.metric.name, labels, *count);
        }
    }
}

fn write_listeners(out: &mut String, ledger: &Ledger) {
    let listeners = || {
        let series = ledger.names().listeners.of(&ledger.total().listeners);
        series.map(|(name, series)| (&**name, series))
    };
    head(out, names::LISTENER_REQUESTS);
    for (name, series) in listeners() {
        let labels = [("listener", name)];
        write_classes(out, names::LISTENER_REQUESTS, &labels, &series.counters);
    }
    head(out, names::LISTENER_REQUESTS_ACTIVE);
    for (id, name) in ledger.names().listeners.iter() {
        let active = ledger.gauges(id).requests_active;
        let labels = [("listener", &**name)];
        sample(out, names::LISTENER_REQUESTS_ACTIVE.name, &labels, active);
    }
    head(out, names::LISTENER_FLAGS);
    for (name, series) in listeners() {
        let labels = [("listener", name)];
        write_flags(out, names::LISTENER_FLAGS, &labels, &series.counters);
    }
    head(out, names::LISTENER_FAILURES);
    for (name, series) in listeners() {
        for failure in Failure::ALL {
            let (label, fault) = (failure.label(), failure.fault().label());
            let labels = [("listener", name), ("failure", label), ("fault", fault)];
            let count = series.failures(failure);
            unless_zero(out, names::LISTENER_FAILURES, &labels, count);
        }
    }
    head(out, names::LISTENER_RECEIVED);
    for (name, series) in listeners() {
        let bytes = series.counters.received_bytes;
        sample(
            out,
            names::LISTENER_RECEIVED.name,
            &[("listener", name)],
            bytes,
        );
    }
    head(out, names::LISTENER_SENT);
    for (name, series) in listeners() {
        let bytes = series.counters.sent_bytes;
        sample(out, names::LISTENER_SENT.name, &[("listener", name)], bytes);
    }
    head(out, names::LISTENER_DURATION);
    for (name, series) in listeners() {
        let histograms = series.histograms.as_ref();
        write_phases(
            out,
            names::LISTENER_DURATION,
            &[("listener", name)],
            histograms,
        );
    }
}

fn write_connections(out: &mut String, ledger: &Ledger) {
    let listeners = || connections(ledger);
    head(out, names::CONNECTIONS_ACCEPTED);
    for (name, counters) in listeners() {
        let labels = [("listener", name)];
        sample(
            out,
            names::CONNECTIONS_ACCEPTED.name,
            &labels,
            counters.accepted,
        );
    }
    head(out, names::CONNECTIONS_ACTIVE);
    for (id, name) in ledger.names().listeners.iter() {
        let active = ledger.gauges(id).connections_active;
        sample(
            out,
            names::CONNECTIONS_ACTIVE.name,
            &[("listener", name)],
            active,
        );
    }
    head(out, names::CONNECTIONS_REFUSED);
    for (name, counters) in listeners() {
        for reason in Refusal::ALL {
            let labels = [("listener", name), ("reason", reason.label())];
            let count = counters.refused(reason);
            unless_zero(out, names::CONNECTIONS_REFUSED, &labels, count);
        }
    }
    head(out, names::CONNECTIONS_CLOSED);
    for (name, counters) in listeners() {
        for reason in CloseReason::ALL {
            let labels = [("listener", name), ("reason", reason.label())];
            let count = counters.closed(reason);
            unless_zero(out, names::CONNECTIONS_CLOSED, &labels, count);
        }
    }
    head(out, names::CONNECTIONS_HANDED_OVER);
    for (name, counters) in listeners() {
        let labels = [("listener", name)];
        sample(
            out,
            names::CONNECTIONS_HANDED_OVER.name,
            &labels,
            counters.handed_over,
        );
    }
    head(out, names::CONNECTION_REQUESTS);
    for (name, counters) in listeners() {
        let requests = counters.requests_when_closed;
        sample(
            out,
            names::CONNECTION_REQUESTS.name,
            &[("listener", name)],
            requests,
        );
    }
}

fn write_handshakes(out: &mut String, ledger: &Ledger) {
    head(out, names::HANDSHAKES);
    for (name, counters) in connections(ledger) {
        for handshake in Handshake::all() {
            let labels = [("listener", name), ("result", handshake.label())];
            let count = counters.handshakes(handshake);
            unless_zero(out, names::HANDSHAKES, &labels, count);
        }
    }
}

/// What each listener counted of its connections.
fn connections(ledger: &Ledger) -> impl Iterator<Item = (&str, &ConnectionCounters)> {
    let series = ledger.names().listeners.of(&ledger.total().listeners);
    series.map(|(name, series)| (&**name, &series.connections))
}

fn write_routes(out: &mut String, ledger: &Ledger) {
    let routes = || {
        let series = ledger.names().routes.of(&ledger.total().routes);
        series.map(|(label, series)| {
            let labels = [("listener", &*label.listener), ("route", &*label.route)];
            (labels, series)
        })
    };
    head(out, names::ROUTE_REQUESTS);
    for (labels, series) in routes() {
        write_classes(out, names::ROUTE_REQUESTS, &labels, &series.counters);
    }
    head(out, names::ROUTE_FLAGS);
    for (labels, series) in routes() {
        write_flags(out, names::ROUTE_FLAGS, &labels, &series.counters);
    }
    head(out, names::ROUTE_DURATION);
    for (labels, series) in routes() {
        write_phases(
            out,
            names::ROUTE_DURATION,
            &labels,
            series.histograms.as_ref(),
        );
    }
}

fn write_policies(out: &mut String, ledger: &Ledger) {
    head(out, names::POLICY_DECISIONS);
    for (label, counters) in ledger.names().policies.of(&ledger.total().policies) {
        for decision in Decision::ALL {
            let labels = [
                ("listener", &*label.listener),
                ("level", &*label.level),
                ("policy", &*label.policy),
                ("decision", decision.label()),
            ];
            let count = counters.decided(decision);
            unless_zero(out, names::POLICY_DECISIONS, &labels, count);
        }
    }
}

fn write_limits(out: &mut String, ledger: &Ledger) {
    head(out, names::LIMIT_DECISIONS);
    for (label, counters) in ledger.names().limits.of(&ledger.total().limits) {
        for decision in [Decision::Allow, Decision::Deny] {
            let labels = [
                ("listener", &*label.listener),
                ("level", &*label.level),
                ("limit", &*label.policy),
                ("decision", decision.label()),
            ];
            let count = counters.decided(decision);
            unless_zero(out, names::LIMIT_DECISIONS, &labels, count);
        }
    }
}

fn write_external(out: &mut String, ledger: &Ledger) {
    head(out, names::EXTERNAL_AUTHORIZATIONS);
    for (name, series) in ledger.names().listeners.of(&ledger.total().listeners) {
        for result in ExternalResult::ALL {
            let labels = [("listener", &**name), ("result", result.label())];
            let count = series.external(result);
            unless_zero(out, names::EXTERNAL_AUTHORIZATIONS, &labels, count);
        }
    }
}

fn write_clusters(out: &mut String, ledger: &Ledger) {
    let clusters = || {
        let series = ledger.names().clusters.of(&ledger.total().clusters);
        series.map(|(name, series)| ([("cluster", &**name)], series))
    };
    head(out, names::CLUSTER_REQUESTS);
    for (labels, series) in clusters() {
        write_classes(out, names::CLUSTER_REQUESTS, &labels, &series.counters);
    }
    head(out, names::CLUSTER_FLAGS);
    for (labels, series) in clusters() {
        write_flags(out, names::CLUSTER_FLAGS, &labels, &series.counters);
    }
    head(out, names::CLUSTER_RETRIES);
    for (labels, series) in clusters() {
        let retries = series.counters.retries;
        sample(out, names::CLUSTER_RETRIES.name, &labels, retries);
    }
    head(out, names::CLUSTER_RETRY_REASONS);
    for ([cluster], series) in clusters() {
        for reason in RetryReason::ALL {
            let labels = [cluster, ("reason", reason.label())];
            let count = series.retries(reason);
            unless_zero(out, names::CLUSTER_RETRY_REASONS, &labels, count);
        }
    }
    head(out, names::CLUSTER_RETRY_BUDGET);
    for (labels, series) in clusters() {
        let exhausted = series.retry_budget_exhausted;
        sample(out, names::CLUSTER_RETRY_BUDGET.name, &labels, exhausted);
    }
    head(out, names::CLUSTER_POOL);
    for ([cluster], series) in clusters() {
        for event in PoolEvent::ALL {
            let labels = [cluster, ("event", event.label())];
            unless_zero(out, names::CLUSTER_POOL, &labels, series.pool(event));
        }
    }
    head(out, names::CLUSTER_DURATION);
    for (labels, series) in clusters() {
        write_phases(
            out,
            names::CLUSTER_DURATION,
            &labels,
            series.histograms.as_ref(),
        );
    }
}

fn write_process(out: &mut String, ledger: &Ledger) {
    let total = ledger.total();
    head(out, names::SHARD_REQUESTS);
    for (number, shard) in ledger.shards().iter().enumerate() {
        let labels = [("shard", &*number.to_string())];
        sample(out, names::SHARD_REQUESTS.name, &labels, shard.requests);
    }
    head(out, names::SHARD_CONNECTIONS_ACTIVE);
    for (number, shard) in ledger.shards().iter().enumerate() {
        let active = shard
            .gauges
            .iter()
            .map(|each| each.connections_active)
            .sum();
        let labels = [("shard", &*number.to_string())];
        sample(out, names::SHARD_CONNECTIONS_ACTIVE.name, &labels, active);
    }
    let single = [
        (names::ACCESS_LOG_LINES, total.access_log_written),
        (names::ACCESS_LOG_DROPPED, total.access_log_dropped),
        (names::TASK_PANICS, total.task_panics),
        (names::WITHOUT_HISTOGRAM, total.without_histogram),
    ];
    for (metric, value) in single {
        head(out, metric);
        sample(out, metric.name, &[], value);
    }
}

fn write_classes(out: &mut String, metric: Metric, labels: Labels<'_>, counters: &Counters) {
    for class in CodeClass::ALL {
        let count = counters.requests(class);
        sample(
            out,
            metric.name,
            &with(labels, "code_class", class.label()),
            count,
        );
    }
}

fn write_flags(out: &mut String, metric: Metric, labels: Labels<'_>, counters: &Counters) {
    for flag in ResponseFlag::ALL {
        let labels = with(labels, "flag", flag.code());
        unless_zero(out, metric, &labels, counters.flags(flag));
    }
}

fn write_phases(
    out: &mut String,
    metric: Metric,
    labels: Labels<'_>,
    histograms: Option<&PhaseHistograms>,
) {
    for (phase, values) in histograms.into_iter().flat_map(PhaseHistograms::iter) {
        let labels = with(labels, "phase", phase.label());
        write_buckets(out, metric.name, &labels, values);
    }
}

fn write_buckets(out: &mut String, name: &str, labels: Labels<'_>, values: &PhaseHistogram) {
    // A scrape is mostly these lines: what they share is made once.
    let mut start = String::new();
    write_name(
        &mut start,
        &format!("{name}_bucket"),
        &with(labels, "le", ""),
    );
    let start = start.trim_end_matches("\"}");
    let histogram = values.histogram();
    let (mut from, mut below) = (0, 0u64);
    for (bound, text) in names::BUCKETS {
        let to = last_whole(histogram, bound);
        below = below.saturating_add(histogram.count_between(from, to));
        from = to.saturating_add(1);
        print(out, format_args!("{start}{text}\"}} {below}\n"));
    }
    let count = histogram.len();
    print(out, format_args!("{start}+Inf\"}} {count}\n"));
    let nanos = values.sum_nanos();
    write_name(out, &format!("{name}_sum"), labels);
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    print(out, format_args!(" {seconds}.{rest:09}\n"));
    sample(out, &format!("{name}_count"), labels, count);
}

/// The last value of the last HDR bucket that lies below `bound` with all of its values.
fn last_whole(histogram: &Histogram<u64>, bound: u64) -> u64 {
    if histogram.highest_equivalent(bound) == bound {
        bound
    } else {
        histogram.lowest_equivalent(bound).saturating_sub(1)
    }
}

fn with<'a>(labels: Labels<'a>, key: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut more = labels.to_vec();
    more.push((key, value));
    more
}

pub(super) fn head(out: &mut String, metric: Metric) {
    let Metric { name, kind, help } = metric;
    print(
        out,
        format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.label()),
    );
}

fn unless_zero(out: &mut String, metric: Metric, labels: Labels<'_>, value: u64) {
    if value > 0 {
        sample(out, metric.name, labels, value);
    }
}

pub(super) fn sample(out: &mut String, name: &str, labels: Labels<'_>, value: u64) {
    write_name(out, name, labels);
    print(out, format_args!(" {value}\n"));
}

fn write_name(out: &mut String, name: &str, labels: Labels<'_>) {
    out.push_str(name);
    for (place, (key, value)) in labels.iter().enumerate() {
        out.push(if place == 0 { '{' } else { ',' });
        print(out, format_args!("{key}=\""));
        for char in value.chars() {
            match char {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                other => out.push(other),
            }
        }
        out.push('"');
    }
    if !labels.is_empty() {
        out.push('}');
    }
}
