//! What cannot change while the process runs: it is refused, so that what runs is always what is
//! written.

use serde::Serialize;

use crate::config::{Config, Problem, WorkloadApi};

/// Checks that `next` leaves alone what only a restart can change.
///
/// # Errors
/// Every key that it changes.
pub(super) fn unchanged(running: &Config, next: &Config) -> Result<(), Vec<Problem>> {
    let problems: Vec<Problem> = [
        fixed("shards", &running.shards, &next.shards),
        fixed("registry", &running.registry, &next.registry),
        fixed("dns", &running.dns, &next.dns),
        fixed("identity", &asked(running), &asked(next)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// How the Workload API is asked; a folder may become another.
fn asked(config: &Config) -> Option<&WorkloadApi> {
    config.identity.as_ref()?.workload_api()
}

fn fixed<T: PartialEq + Serialize>(field: &str, running: &T, next: &T) -> Option<Problem> {
    if running == next {
        return None;
    }
    let text = |value: &T| serde_json::to_string(value).unwrap_or_default();
    Some(Problem {
        line: None,
        field: field.to_owned(),
        value: Some(text(next)),
        message: format!(
            "cannot change while weft runs; it is {}: restart, or put that back",
            text(running)
        ),
    })
}
