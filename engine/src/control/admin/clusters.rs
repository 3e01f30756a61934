//! The page `/clusters`: clusters and their endpoints as JSON, one cluster after the other.
//!
//! In: the view of the process, whose shards have been asked. Out: an array in the order of the
//! configuration, in pieces that are made as they are sent: a hundred thousand endpoints neither
//! keep the control thread from its other work nor lie in its memory at once. A cluster that
//! changes meanwhile is told as it is when its turn comes. Of counters that exist once per reason,
//! those that are zero are left out.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::channel::Channel;
use serde::Serialize;
use tokio::task::{spawn_local, yield_now};

use super::tables::{Reasons, Requests, reasons};
use crate::balance::{ClusterId, ClusterReport, EndpointReport, Health};
use crate::config::{Cluster, Config, Endpoint, EndpointAddress, LbPolicy};
use crate::control::discovery::directory::SourceRow;
use crate::control::health::{CheckError, HealthChecks};
use crate::control::view::View;
use crate::forward::CircuitReport;
use crate::io::{Instant, clock};
use crate::record::access_log::time_text;
use crate::record::{ClusterSeries, PoolEvent};
use crate::route::RetryReason;

/// Bytes after which a piece is sent: some tens of endpoints.
const PIECE_BYTES: usize = 16 * 1024;

/// The page, as far as it has not been sent.
pub(super) struct Clusters {
    view: Rc<View>,
    config: Arc<Config>,
    /// The only one that is told of, if not all are.
    only: Option<usize>,
    /// Which cluster is next.
    next: usize,
    told: usize,
    is_over: bool,
}

impl Clusters {
    /// The page of all clusters, or of one.
    ///
    /// # Errors
    /// A sentence, when there is none of this name.
    pub(super) fn new(view: &Rc<View>, only: Option<&str>) -> Result<Self, String> {
        let config = view.config();
        let place = |name: &str| {
            let mut clusters = config.clusters.iter();
            let place = clusters.position(|cluster| *cluster.name == *name);
            place.ok_or_else(|| format!("cluster={name}: there is no such cluster.\n"))
        };
        let only = only.map(place).transpose()?;
        Ok(Self {
            view: Rc::clone(view),
            only,
            next: only.unwrap_or(0),
            told: 0,
            is_over: false,
            config,
        })
    }

    /// Begins to make it: each piece when the one before has been taken, as long as somebody reads.
    /// Runs inside a `LocalSet`.
    pub(super) fn send(mut self) -> Channel<Bytes> {
        let (mut reader, page) = Channel::new(1);
        spawn_local(async move {
            while let Some(piece) = self.piece() {
                if reader.send_data(Bytes::from(piece)).await.is_err() {
                    return;
                }
                yield_now().await;
            }
        });
        page
    }

    /// The next piece; none after the last.
    fn piece(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        let mut piece = String::new();
        while piece.len() < PIECE_BYTES {
            let place = self.next;
            self.next += 1;
            let is_wanted = self.only.is_none_or(|only| only == place);
            let cluster = self.config.clusters.get(place).filter(|_| is_wanted);
            let Some(cluster) = cluster else {
                self.is_over = true;
                piece.push_str(if self.told == 0 { "[]\n" } else { "\n]\n" });
                break;
            };
            if let Some(row) = print(&self.view, cluster) {
                piece.push_str(if self.told == 0 { "[\n  " } else { ",\n  " });
                // A text in JSON has no line breaks of its own.
                piece.push_str(&row.replace('\n', "\n  "));
                self.told += 1;
            }
        }
        Some(piece)
    }
}

/// What there is to say of a cluster that is counted.
fn print(view: &View, cluster: &Cluster) -> Option<String> {
    let (ledger, now) = (view.collector.ledger(), clock::now());
    let place = ledger.names().clusters.find(&cluster.name)?;
    let series = ledger.total().clusters.get(place)?;
    let id = ClusterId(u32::try_from(place).ok()?);
    let is_fed = !cluster.discovery.is_none();
    let found = is_fed.then(|| view.discovery.feed.endpoints(&cluster.name));
    let current = match found.flatten() {
        Some(endpoints) => Cow::Owned(Cluster {
            endpoints,
            ..cluster.clone()
        }),
        None => Cow::Borrowed(cluster),
    };
    let (report, circuit) = view.collector.cluster(id);
    let row = ClusterRow {
        discovery: view.discovery.directory.rows(&cluster.name, now),
        ..ClusterRow::new(
            &current,
            series,
            report.as_ref(),
            circuit,
            &view.checks,
            now,
        )
    };
    // Rows hold text and numbers only, which always have a JSON form.
    serde_json::to_string_pretty(&row).ok()
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

impl<'a> ClusterRow<'a> {
    fn new(
        cluster: &'a Cluster,
        series: &ClusterSeries,
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

impl CheckRow {
    fn of(cluster: &Cluster, endpoint: &Endpoint, checks: &HealthChecks) -> Option<Self> {
        let standing = checks.standing(&cluster.name, &endpoint.address.to_string())?;
        Some(Self {
            state: standing.state.label(),
            since: time_text(standing.since),
            last_error: standing.last_error.map(CheckError::label),
            detail: standing.last_error.map(|error| error.to_string()),
            checked_at: standing.checked_at.map(time_text),
            checks: standing.checks,
            failures: standing.failures,
        })
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
            (Health::Unknown | Health::Healthy | Health::Suspect, Some(ejection)) => Self {
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
