//! Listeners and clusters as JSON: what is configured, and what was counted.
//!
//! In: the configuration and the ledger. Out: one document per page, arrays in the order of the
//! configuration. Counters that are zero are left out, except totals. Pure.

use serde_json::{Map, Value, json};

use crate::balance::ClusterReport;
use crate::config::{Cluster, Config, Listener};
use crate::record::{
    CloseReason, ClusterSeries, CodeClass, Counters, Ledger, ListenerSeries, PoolEvent, Refusal,
    ResponseFlag,
};

/// The page `/listeners`.
pub(super) fn listeners(config: &Config, ledger: &Ledger) -> String {
    let series = &ledger.total().listeners;
    let listeners = config.listeners.iter().zip(series).enumerate();
    let all = listeners.map(|(id, (listener, series))| one_listener(id, listener, series, ledger));
    print(all.collect())
}

fn one_listener(
    id: usize,
    listener: &Listener,
    series: &ListenerSeries<u64>,
    ledger: &Ledger,
) -> Value {
    let gauges = ledger.gauges(id);
    let connections = &series.connections;
    let refused = Refusal::ALL.map(|reason| (reason.label(), connections.refused(reason)));
    let closed = CloseReason::ALL.map(|reason| (reason.label(), connections.closed(reason)));
    let shards = ledger.shards().iter();
    let by_shard: Vec<u64> = shards
        .map(|shard| {
            shard
                .gauges
                .get(id)
                .map_or(0, |gauges| gauges.connections_active)
        })
        .collect();
    json!({
        "name": &*listener.name,
        "address": listener.address,
        "profile": listener.profile,
        "connections_active": gauges.connections_active,
        "connections_active_by_shard": by_shard,
        "connections_accepted": connections.accepted,
        "connections_handed_over": connections.handed_over,
        "connections_refused": counted(refused),
        "connections_closed": counted(closed),
        "requests_active": gauges.requests_active,
        "requests": requests(&series.counters),
    })
}

/// The page `/clusters`; `reports` is what the balancers of all shards count.
pub(super) fn clusters(config: &Config, ledger: &Ledger, reports: &[ClusterReport]) -> String {
    let series = &ledger.total().clusters;
    let clusters = config.clusters.iter().zip(series).enumerate();
    let all = clusters.map(|(id, (cluster, series))| one_cluster(cluster, series, reports.get(id)));
    print(all.collect())
}

fn one_cluster(
    cluster: &Cluster,
    series: &ClusterSeries<u64>,
    report: Option<&ClusterReport>,
) -> Value {
    let events = PoolEvent::ALL.map(|event| (event.label(), series.pool(event)));
    let reports = report.map_or(&[][..], |report| &report.endpoints);
    let endpoints = cluster.endpoints.iter().enumerate().map(|(id, endpoint)| {
        let report = reports.get(id);
        json!({
            "address": endpoint.address,
            "weight": endpoint.weight,
            "requests_active": report.map_or(0, |report| report.active),
            "connections": report.map_or(0, |report| report.connections),
            "attempts": report.map_or(0, |report| report.requests),
            "failures": report.map_or(0, |report| report.failures),
        })
    });
    json!({
        "name": &*cluster.name,
        "lb_policy": cluster.lb_policy,
        "endpoints": endpoints.collect::<Vec<_>>(),
        "requests_active": report.map_or(0, |report| report.active),
        "refused_by_max_connections": report.map_or(0, |report| report.overflows),
        "refused_without_endpoint": report.map_or(0, |report| report.unavailable),
        "retries": series.counters.retries,
        "connection_events": counted(events),
        "requests": requests(&series.counters),
    })
}

fn requests(counters: &Counters) -> Value {
    let classes = CodeClass::ALL.map(|class| (class.label(), counters.requests(class)));
    let flags = ResponseFlag::ALL.map(|flag| (flag.code(), counters.flags(flag)));
    json!({
        "total": counters.requests_all(),
        "by_class": counted(classes),
        "by_response_flag": counted(flags),
        "received_bytes": counters.received_bytes,
        "sent_bytes": counters.sent_bytes,
    })
}

fn counted<const COUNT: usize>(counts: [(&'static str, u64); COUNT]) -> Map<String, Value> {
    let present = counts.into_iter().filter(|(_, count)| *count > 0);
    present
        .map(|(label, count)| (label.to_owned(), count.into()))
        .collect()
}

fn print(all: Vec<Value>) -> String {
    format!("{:#}\n", Value::Array(all))
}
