//! Listeners and key sets as JSON: what is configured, and what was counted.
//!
//! In: the configuration and the ledger. Out: one document per page, arrays in the order of the
//! configuration; what was removed from it is in the metrics until its last request has ended. Of
//! counters that exist once per reason, those that are zero are left out. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::config::{Address, Config, Listener, Profile};
use crate::control::jwks::KeySetReport;
use crate::record::{
    CloseReason, CodeClass, Counters, Ledger, ListenerSeries, Refusal, ResponseFlag,
};

/// Counts by reason, without zeros.
pub(super) type Reasons = BTreeMap<&'static str, u64>;

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

/// What was counted of requests.
#[derive(Serialize)]
pub(super) struct Requests {
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

fn row<'a>(
    id: usize,
    listener: &'a Listener,
    series: &ListenerSeries,
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

impl Requests {
    pub(super) fn new(counters: &Counters) -> Self {
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

pub(super) fn reasons<const COUNT: usize>(counts: [(&'static str, u64); COUNT]) -> Reasons {
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// Rows hold text and numbers only, which always have a JSON form.
fn print(rows: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(rows);
    debug_assert!(text.is_ok(), "a row has no JSON form: {text:?}");
    text.unwrap_or_default() + "\n"
}
