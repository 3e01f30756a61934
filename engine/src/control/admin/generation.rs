//! Which configuration runs, since when and why, and what was refused last.
//!
//! In: what control knows of its generations. Out: `/config_dump` as JSON, metrics, and lines for
//! people on the index. Nothing here asks a shard.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use crate::config::Config;
use crate::control::reload::generations::Rejection;
use crate::control::view::View;
use crate::control::workload::WorkloadRow;
use crate::record::access_log::time_text;
use crate::record::expose::prometheus;
use crate::record::names;

#[derive(Serialize)]
struct Dump<'a> {
    generation: u64,
    since: String,
    cause: String,
    files: Vec<String>,
    generations_alive: usize,
    reloads: Reloads,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<WorkloadRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rejection: Option<RejectionRow>,
    config: &'a Config,
}

#[derive(Serialize)]
struct Reloads {
    accepted: u64,
    rejected: u64,
    unchanged: u64,
}

#[derive(Serialize)]
struct RejectionRow {
    at: String,
    cause: String,
    problems: Vec<ProblemRow>,
}

#[derive(Serialize)]
struct ProblemRow {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "String::is_empty")]
    field: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    message: String,
}

/// The page `/config_dump`.
pub(super) fn config_dump(view: &View) -> String {
    let generations = &view.generations;
    let (running, counts) = (generations.running(), generations.counts());
    let dump = Dump {
        generation: running.snapshot.generation,
        since: time_text(running.since),
        cause: running.cause.to_string(),
        files: generations
            .files()
            .iter()
            .map(|it| it.display().to_string())
            .collect(),
        generations_alive: generations.alive(),
        reloads: Reloads {
            accepted: counts.accepted,
            rejected: counts.rejected,
            unchanged: counts.unchanged,
        },
        identity: view.workload.as_ref().map(|workload| workload.row()),
        last_rejection: generations
            .last_rejection()
            .map(|it| RejectionRow::new(&it)),
        config: &running.written,
    };
    // It holds strings and numbers only, which always have a JSON form.
    let json = serde_json::to_string_pretty(&dump);
    json.unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}")) + "\n"
}

impl RejectionRow {
    fn new(rejection: &Rejection) -> Self {
        let problems = rejection
            .errors
            .located()
            .map(|(file, line, problem)| ProblemRow {
                file: file.display().to_string(),
                line,
                field: problem.field.clone(),
                value: problem.value.clone(),
                message: problem.message.clone(),
            });
        Self {
            at: time_text(rejection.at),
            cause: rejection.cause.to_string(),
            problems: problems.collect(),
        }
    }
}

/// For the index page.
pub(super) fn line(view: &View) -> String {
    let running = view.generations.running();
    let mut line = format!(
        "generation {} since {} ({})\n",
        running.snapshot.generation,
        time_text(running.since),
        running.cause
    );
    if let Some(workload) = &view.workload {
        line.push_str(&workload.line());
    }
    if let Some(rejection) = view.generations.last_rejection() {
        line.push_str(&format!(
            "refused {} ({}):\n{}\n",
            time_text(rejection.at),
            rejection.cause,
            rejection.errors
        ));
    }
    line
}

/// Appends the metrics of generations and certificates.
pub(super) fn metrics(view: &View, out: &mut String) {
    let generations = &view.generations;
    let (running, counts) = (generations.running(), generations.counts());
    let since = running
        .since
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    for (metric, value) in [
        (names::GENERATION, running.snapshot.generation),
        (names::GENERATION_SINCE, since.as_secs()),
        (names::GENERATIONS_ALIVE, generations.alive() as u64),
    ] {
        prometheus::write_metric(out, metric, [(&[][..], value)]);
    }
    let results = [
        (&[("result", "accepted")][..], counts.accepted),
        (&[("result", "rejected")][..], counts.rejected),
        (&[("result", "unchanged")][..], counts.unchanged),
    ];
    prometheus::write_metric(out, names::RELOADS, results);
    if let Some(workload) = &view.workload {
        workload.write_metrics(out);
    }
    let secured = running.snapshot.listeners.iter().flatten();
    let expiries = secured.flat_map(|plan| {
        let expiries = plan.tls.iter().flat_map(|tls| tls.expiries()).enumerate();
        expiries.map(|(place, expiry)| (Arc::clone(&plan.name), place.to_string(), expiry))
    });
    let expiries: Vec<_> = expiries.collect();
    let labels: Vec<[(&str, &str); 2]> = expiries
        .iter()
        .map(|(listener, place, _)| [("listener", &**listener), ("certificate", &**place)])
        .collect();
    let series = labels.iter().zip(&expiries);
    let series = series.map(|(labels, (_, _, expiry))| (&labels[..], *expiry));
    prometheus::write_metric(out, names::CERTIFICATE_EXPIRY, series);
}
