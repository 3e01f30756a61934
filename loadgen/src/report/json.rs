//! The report for programs: one JSON object, described in README.md.
//!
//! Times are nanoseconds where a name ends in `_ns`, seconds where it ends in `_seconds`. `schema`
//! grows when a field changes its meaning or goes away; a new field does not change it.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::entries::{Entry, entry};
use super::figures::{Generator, Requests, Thread, Times, Watched};
use super::{Description, IntervalRow, Report};
use crate::environment::{Environment, Meanwhile};
use crate::run::options::about::About;
use crate::sample::Failure;
use crate::transport::opening::Tally;
use crate::verdict::share;

/// Version of the schema.
const SCHEMA: u32 = 2;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    run: &'a Description,
    #[serde(flatten)]
    about: &'a About,
    environment: &'a Environment,
    meanwhile: &'a Meanwhile,
    measured_seconds: f64,
    interrupted: bool,
    requests: Requests,
    answers_per_second: f64,
    received_bytes: u64,
    connections: Connections<'a>,
    errors: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<usize, u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    grpc_statuses: BTreeMap<usize, u64>,
    response_time: Series,
    service_time: Option<Series>,
    send_lag: Option<Series>,
    generator: Generator,
    watched: Option<Watched>,
    result: &'static str,
    exit_code: u8,
    valid: bool,
    reasons: Vec<&'a String>,
    broken: &'a [String],
    entries: Vec<Entry<'a>>,
    intervals: &'a [IntervalRow],
}

#[derive(Serialize)]
struct Connections<'a> {
    opened: u64,
    opened_before_start: u64,
    failed: u64,
    full_handshakes: u64,
    resumed_handshakes: u64,
    handshake_time: Option<Series>,
    tls_complaint: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct Series {
    #[serde(flatten)]
    times: Times,
    /// All of it: V2 encoding, deflated, base64.
    histogram: String,
}

/// The report as one JSON object.
pub(crate) fn document(report: &Report) -> String {
    let counts = &report.samples.counts;
    let open = report.samples.open.as_ref();
    let document = Document {
        schema: SCHEMA,
        run: &report.description,
        about: &report.about,
        environment: &report.environment,
        meanwhile: &report.meanwhile,
        measured_seconds: report.measured.as_secs_f64(),
        interrupted: report.interrupted,
        requests: Requests {
            due: counts.total(),
            answered: counts.answered,
            failed: counts.failed_total(),
            unanswered: counts.unanswered,
            waited_for_connection: if open.is_some() { counts.waited } else { 0 },
        },
        answers_per_second: report.answered_per_second(),
        received_bytes: counts.received_bytes,
        connections: connections(&report.tally),
        errors: Failure::ALL
            .map(|failure| (failure.label(), counts.failed(failure)))
            .into(),
        statuses: counts.statuses().collect(),
        grpc_statuses: counts.grpc_statuses().collect(),
        response_time: series(&report.samples.latency),
        service_time: open.map(|open| series(&open.service)),
        send_lag: open.map(|open| series(&open.lag)),
        generator: generator(report),
        watched: report.watched.map(|consumption| Watched {
            cpu_us_per_request: report.watched_us_per_request(),
            consumption,
        }),
        result: report.verdict.outcome.label(),
        exit_code: report.verdict.outcome as u8,
        valid: report.verdict.is_valid(),
        reasons: report.verdict.reasons().collect(),
        broken: &report.verdict.broken,
        entries: report.entries.iter().map(entry).collect(),
        intervals: &report.intervals,
    };
    // Numbers, strings and maps with plain keys: there is nothing that could fail.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn connections(tally: &Tally) -> Connections<'_> {
    Connections {
        opened: tally.opened,
        opened_before_start: tally.opened_before,
        failed: tally.failed(),
        full_handshakes: tally.full(),
        resumed_handshakes: tally.resumed,
        handshake_time: (!tally.handshakes.is_empty()).then(|| series(&tally.handshakes)),
        tls_complaint: tally.complaint.as_deref(),
    }
}

pub(super) fn series(times: &Histogram<u64>) -> Series {
    Series {
        times: Times::of(times),
        histogram: crate::hist::format::encode(times),
    }
}

fn generator(report: &Report) -> Generator {
    let thread = |usage: &crate::run::usage::Usage| Thread {
        busy_share: share(usage.thread, report.measured),
        waiting_share: share(usage.waiting, report.measured),
    };
    Generator {
        bottleneck: !report.verdict.bottleneck.is_empty(),
        reasons: report.verdict.bottleneck.clone(),
        cpu_us_per_request: report.cpu_us_per_request(),
        cpu_seconds: report.cpu_total().as_secs_f64(),
        threads: report.usages.iter().map(thread).collect(),
    }
}
