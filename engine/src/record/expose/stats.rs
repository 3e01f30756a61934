//! Counters and latencies as plain text, one per line, sorted by owner: for people and for grep.
//!
//! Lines are `owner.name.counter: value`. Counters that are zero are left out, so what is shown is
//! what happened. Latencies are in microseconds.

use super::print;
use super::series::{Selection, series};
use crate::record::counters::{CloseReason, Counters, Handshake, PoolEvent, Refusal};
use crate::record::failure::Failure;
use crate::record::flag::ResponseFlag;
use crate::record::ledger::Ledger;
use crate::record::outcome::CodeClass;

/// Appends everything since the start.
pub fn write(out: &mut String, ledger: &Ledger) {
    let (names, total) = (ledger.names(), ledger.total());
    for (id, name) in names.listeners.iter() {
        let Some(series) = total.listeners.get(id) else {
            continue;
        };
        let owner = format!("listener.{name}");
        let gauges = ledger.gauges(id);
        always(out, &owner, "connections.active", gauges.connections_active);
        always(out, &owner, "requests.active", gauges.requests_active);
        let connections = &series.connections;
        line(out, &owner, "connections.accepted", connections.accepted);
        line(
            out,
            &owner,
            "connections.handed_over",
            connections.handed_over,
        );
        for reason in Refusal::ALL {
            let counter = format!("connections.refused.{}", reason.label());
            line(out, &owner, &counter, connections.refused(reason));
        }
        for reason in CloseReason::ALL {
            let counter = format!("connections.closed.{}", reason.label());
            line(out, &owner, &counter, connections.closed(reason));
        }
        for handshake in Handshake::all() {
            let counter = format!("tls.handshakes.{}", handshake.label());
            line(out, &owner, &counter, connections.handshakes(handshake));
        }
        write_counters(out, &owner, &series.counters);
        for failure in Failure::ALL {
            let counter = format!("failures.{}", failure.label());
            line(out, &owner, &counter, series.failures(failure));
        }
    }
    for (label, series) in names.routes.of(&total.routes) {
        let owner = format!("route.{}.{}", label.listener, label.route);
        write_counters(out, &owner, &series.counters);
    }
    for (name, series) in names.clusters.of(&total.clusters) {
        let owner = format!("cluster.{name}");
        write_counters(out, &owner, &series.counters);
        for event in PoolEvent::ALL {
            let counter = format!("connection_events.{}", event.label());
            line(out, &owner, &counter, series.pool(event));
        }
    }
    write_shards(out, ledger);
    write_latencies(out, ledger);
}

fn write_counters(out: &mut String, owner: &str, counters: &Counters) {
    for class in CodeClass::ALL {
        let counter = format!("requests.{}", class.label());
        line(out, owner, &counter, counters.requests(class));
    }
    for flag in ResponseFlag::ALL {
        let counter = format!("response_flags.{}", flag.code());
        line(out, owner, &counter, counters.flags(flag));
    }
    line(out, owner, "received_bytes", counters.received_bytes);
    line(out, owner, "sent_bytes", counters.sent_bytes);
    line(out, owner, "retries", counters.retries);
}

fn write_shards(out: &mut String, ledger: &Ledger) {
    for (number, shard) in ledger.shards().iter().enumerate() {
        let owner = format!("shard.{number}");
        let active = shard
            .gauges
            .iter()
            .map(|each| each.connections_active)
            .sum();
        always(out, &owner, "connections.active", active);
        always(out, &owner, "requests", shard.requests);
    }
    let total = ledger.total();
    line(out, "access_log", "lines", total.access_log_written);
    line(out, "access_log", "dropped_lines", total.access_log_dropped);
    line(out, "tasks", "panics", total.task_panics);
    line(
        out,
        "histograms",
        "requests_without",
        total.without_histogram,
    );
}

fn write_latencies(out: &mut String, ledger: &Ledger) {
    for series in series(ledger.names(), ledger.total(), &Selection::default()) {
        let histogram = series.histogram();
        let micros = |quantile: f64| histogram.value_at_quantile(quantile) / 1_000;
        print(
            out,
            format_args!(
                "{}_us: count={} p50={} p90={} p99={} p99.9={} max={}\n",
                series.tag(),
                histogram.len(),
                micros(0.5),
                micros(0.9),
                micros(0.99),
                micros(0.999),
                histogram.max() / 1_000,
            ),
        );
    }
}

fn line(out: &mut String, owner: &str, counter: &str, value: u64) {
    if value > 0 {
        always(out, owner, counter, value);
    }
}

fn always(out: &mut String, owner: &str, counter: &str, value: u64) {
    print(out, format_args!("{owner}.{counter}: {value}\n"));
}
