//! Listeners and clusters as JSON: what is configured, and what was counted.
//!
//! In: the configuration and the ledger. Out: one document per page, arrays in the order of the
//! configuration; what was removed from it is in the metrics until its last request has ended. Of
//! counters that exist once per reason, those that are zero are left out. Pure.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use serde::Serialize;

use super::super::health::{CheckError, HealthChecks};
use crate::balance::{ClusterId, ClusterReport, EndpointReport, Health};
use crate::config::{
    Address, Cluster, Config, Endpoint, EndpointAddress, LbPolicy, Listener, Profile,
};
use crate::control::discovery::directory::SourceRow;
use crate::control::jwks::KeySetReport;
use crate::forward::CircuitReport;
use crate::io::Instant;
use crate::record::access_log::write_time;
use crate::record::{
    CloseReason, ClusterSeries, CodeClass, Counters, Ledger, ListenerSeries, PoolEvent, Refusal,
    ResponseFlag,
};
use crate::route::RetryReason;

/// Counts by reason, without zeros.
type Reasons = BTreeMap<&'static str, u64>;

#[derive(Serialize)]
struct ListenerRow<'a> {
    name: &'a str,
    address: &'a Address,
    profile: Profile,
    connections_active: u64,
    connections_active_by_shard: Vec<u64>,
    connections_accepted: u64,
    connections_handed_over: u64,
    connections_refused: Reasons,
    connections_closed: Reasons,
    requests_active: u64,
    requests: Requests,
}

#[derive(Serialize)]
struct KeySetRow<'a> {
    url: &'a str,
    /// `null` while there are none to verify tokens by.
    keys: Option<usize>,
    age_seconds: Option<u64>,
    last_error: &'a str,
    fetches_ok: u64,
    fetches_failed: u64,
}

#[derive(Serialize)]
struct ClusterRow<'a> {
    name: &'a str,
    lb_policy: LbPolicy,
    endpoints: Vec<EndpointRow<'a>>,
    /// Where they come from besides the configuration, and how that goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    discovery: Vec<SourceRow>,
    requests_active: u32,
    requests_pending: u32,
    requests_queued: u64,
    refused_by_max_pending: u64,
    refused_by_pending_timeout: u64,
    refused_without_endpoint: u64,
    /// Attempts sent although too few endpoints were usable, and shards that do so now.
    sent_in_panic: u64,
    panicking_shards: u32,
    retries: u64,
    retry_reasons: Reasons,
    retry_budget_exhausted: u64,
    connection_events: Reasons,
    requests: Requests,
}

#[derive(Serialize)]
struct EndpointRow<'a> {
    address: &'a EndpointAddress,
    weight: u32,
    requests_active: u32,
    connections: u32,
    attempts: u64,
    failures: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    locality: Option<&'a str>,
    /// Where it stands in the balancing, in one word.
    state: &'static str,
    /// Why, where there is something to say.
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'static str,
    /// For how long it has stood so, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    /// Shards that leave it out because of its failures.
    ejected_by_shards: u32,
    /// When the last of them tries it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    ejected_for_seconds: Option<f64>,
    latency_seconds: f64,
    health_check: Option<CheckRow>,
}

/// What active health checks say.
#[derive(Serialize)]
struct CheckRow {
    state: &'static str,
    since: String,
    last_error: Option<&'static str>,
    /// The same as a sentence, with what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    checked_at: Option<String>,
    checks: u64,
    failures: u64,
}

#[derive(Serialize)]
struct Requests {
    total: u64,
    by_class: Reasons,
    by_response_flag: Reasons,
    received_bytes: u64,
    sent_bytes: u64,
}

/// The page `/listeners`.
pub(super) fn listeners(config: &Config, ledger: &Ledger) -> String {
    let rows = config.listeners.iter().filter_map(|listener| {
        let id = ledger.names().listeners.find(&listener.name)?;
        let series = ledger.total().listeners.get(id)?;
        Some(row(id, listener, series, ledger))
    });
    print(&rows.collect::<Vec<_>>())
}

/// The page `/keys`.
pub(super) fn keys(reports: &[KeySetReport]) -> String {
    let rows = reports.iter().map(|report| KeySetRow {
        url: &report.url,
        keys: report.keys,
        age_seconds: report.age.map(|age| age.as_secs()),
        last_error: &report.error,
        fetches_ok: report.fetches[0],
        fetches_failed: report.fetches[1],
    });
    print(&rows.collect::<Vec<_>>())
}

/// The page `/clusters`; `reports` is what the balancers of all shards count, `circuits` what
/// their circuits do, and `sources` where endpoints come from besides the configuration.
pub(super) fn clusters(
    config: &Config,
    ledger: &Ledger,
    (reports, now): (&BTreeMap<ClusterId, ClusterReport>, Instant),
    circuits: &HashMap<ClusterId, CircuitReport>,
    checks: &HealthChecks,
    sources: &dyn Fn(&str) -> Vec<SourceRow>,
) -> String {
    let rows = config.clusters.iter().filter_map(|cluster| {
        let place = ledger.names().clusters.find(&cluster.name)?;
        let series = ledger.total().clusters.get(place)?;
        let id = ClusterId(u32::try_from(place).ok()?);
        let circuit = circuits.get(&id).copied().unwrap_or_default();
        let report = reports.get(&id);
        Some(ClusterRow {
            discovery: sources(&cluster.name),
            ..ClusterRow::new(cluster, series, report, circuit, checks, now)
        })
    });
    print(&rows.collect::<Vec<_>>())
}

fn row<'a>(
    id: usize,
    listener: &'a Listener,
    series: &ListenerSeries<u64>,
    ledger: &Ledger,
) -> ListenerRow<'a> {
    let gauges = ledger.gauges(id);
    let connections = &series.connections;
    let on_shard = ledger.shards().iter().map(|shard| shard.gauges.get(id));
    let refused = |reason: Refusal| (reason.label(), connections.refused(reason));
    let closed = |reason: CloseReason| (reason.label(), connections.closed(reason));
    ListenerRow {
        name: &listener.name,
        address: &listener.address,
        profile: listener.profile,
        connections_active: gauges.connections_active,
        connections_active_by_shard: on_shard
            .map(|gauges| gauges.map_or(0, |gauges| gauges.connections_active))
            .collect(),
        connections_accepted: connections.accepted,
        connections_handed_over: connections.handed_over,
        connections_refused: reasons(Refusal::ALL.map(refused)),
        connections_closed: reasons(CloseReason::ALL.map(closed)),
        requests_active: gauges.requests_active,
        requests: Requests::new(&series.counters),
    }
}

impl<'a> ClusterRow<'a> {
    fn new(
        cluster: &'a Cluster,
        series: &ClusterSeries<u64>,
        report: Option<&ClusterReport>,
        circuit: CircuitReport,
        checks: &HealthChecks,
        now: Instant,
    ) -> Self {
        let reports = report.map_or(&[][..], |report| &report.endpoints);
        let endpoints = cluster.endpoints.iter().enumerate();
        let retry = |reason: RetryReason| (reason.label(), series.retries(reason));
        let event = |event: PoolEvent| (event.label(), series.pool(event));
        Self {
            name: &cluster.name,
            lb_policy: cluster.lb_policy,
            endpoints: endpoints
                .map(|(id, endpoint)| EndpointRow {
                    health_check: CheckRow::of(cluster, endpoint, checks),
                    ..EndpointRow::new(endpoint, reports.get(id), now)
                })
                .collect(),
            discovery: Vec::new(),
            requests_active: report.map_or(0, |report| report.active),
            requests_pending: circuit.pending,
            requests_queued: circuit.queued,
            refused_by_max_pending: circuit.overflows,
            refused_by_pending_timeout: circuit.timeouts,
            refused_without_endpoint: report.map_or(0, |report| report.unavailable),
            sent_in_panic: report.map_or(0, |report| report.panics),
            panicking_shards: report.map_or(0, |report| report.panicking_shards),
            retries: series.counters.retries,
            retry_reasons: reasons(RetryReason::ALL.map(retry)),
            retry_budget_exhausted: series.retry_budget_exhausted,
            connection_events: reasons(PoolEvent::ALL.map(event)),
            requests: Requests::new(&series.counters),
        }
    }
}

impl<'a> EndpointRow<'a> {
    fn new(endpoint: &'a Endpoint, report: Option<&EndpointReport>, now: Instant) -> Self {
        let standing = Standing::of(endpoint, report);
        Self {
            address: &endpoint.address,
            weight: endpoint.weight,
            requests_active: report.map_or(0, |report| report.active),
            connections: report.map_or(0, |report| report.connections),
            attempts: report.map_or(0, |report| report.requests),
            failures: report.map_or(0, |report| report.failures),
            locality: endpoint.locality.as_deref(),
            state: standing.state,
            reason: standing.reason,
            seconds: standing.since.map(|since| now.since(since).as_secs_f64()),
            ejected_by_shards: report.map_or(0, |report| report.ejected_shards),
            ejected_for_seconds: report
                .map(|report| report.ejected_until.since(now).as_secs_f64())
                .filter(|seconds| *seconds > 0.0),
            latency_seconds: report.map_or(0.0, |report| report.latency_nanos as f64 / 1e9),
            health_check: None,
        }
    }
}

/// As in the access log.
fn rfc3339(time: SystemTime) -> String {
    let mut text = Vec::new();
    write_time(&mut text, time);
    String::from_utf8_lossy(&text).into_owned()
}

impl CheckRow {
    fn of(cluster: &Cluster, endpoint: &Endpoint, checks: &HealthChecks) -> Option<Self> {
        let standing = checks.standing(&cluster.name, &endpoint.address.to_string())?;
        Some(Self {
            state: standing.state.label(),
            since: rfc3339(standing.since),
            last_error: standing.last_error.map(CheckError::label),
            detail: standing.last_error.map(|error| error.to_string()),
            checked_at: standing.checked_at.map(rfc3339),
            checks: standing.checks,
            failures: standing.failures,
        })
    }
}

impl Requests {
    fn new(counters: &Counters) -> Self {
        let class = |class: CodeClass| (class.label(), counters.requests(class));
        let flag = |flag: ResponseFlag| (flag.code(), counters.flags(flag));
        Self {
            total: counters.requests_all(),
            by_class: reasons(CodeClass::ALL.map(class)),
            by_response_flag: reasons(ResponseFlag::ALL.map(flag)),
            received_bytes: counters.received_bytes,
            sent_bytes: counters.sent_bytes,
        }
    }
}

/// Where an endpoint stands.
struct Standing {
    state: &'static str,
    reason: &'static str,
    since: Option<Instant>,
}

impl Standing {
    /// By what was told from outside first, then by what the shards saw.
    fn of(endpoint: &Endpoint, report: Option<&EndpointReport>) -> Self {
        let simple = |state| Self {
            state,
            reason: "",
            since: None,
        };
        let Some(report) = report.filter(|_| endpoint.weight > 0) else {
            return simple("off");
        };
        match (report.health, report.ejection) {
            (Health::Unknown | Health::Healthy, Some(ejection)) => Self {
                state: if report.ejected_until == Instant::default() {
                    "probing"
                } else {
                    "ejected"
                },
                reason: ejection.label(),
                since: Some(report.ejected_since),
            },
            (Health::Unknown, None) => simple(Health::Unknown.label()),
            (health, _) => Self {
                state: health.label(),
                reason: report.health_why,
                since: Some(report.health_since),
            },
        }
    }
}

fn reasons<const COUNT: usize>(counts: [(&'static str, u64); COUNT]) -> Reasons {
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Rows hold text and numbers only, which always have a JSON form.
fn print(rows: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(rows);
    debug_assert!(text.is_ok(), "a row has no JSON form: {text:?}");
    text.unwrap_or_default() + "\n"
}
