//! Retries, their budget and the circuit breaker, from the file to the model.
//!
//! In: a section, which may be missing: then everything has its default. Out: values within their
//! ranges, and a note of each that is not.

use std::time::Duration;

use crate::config::file::{Field, Section};
use crate::config::model::{CircuitBreaker, Overload, Retry, RetryBudget, RetryOn};
use crate::limits;

const RETRY_ON: [(&str, RetryOn); 7] = [
    ("connect_failure", RetryOn::ConnectFailure),
    ("stale_connection", RetryOn::StaleConnection),
    ("reset", RetryOn::Reset),
    ("timeout", RetryOn::Timeout),
    ("bad_response", RetryOn::BadResponse),
    ("gateway_error", RetryOn::GatewayError),
    ("5xx", RetryOn::ServerError),
];

/// When a route tries again; read as if it were empty when the table is not there.
pub(super) fn retry(section: &mut Section<'_>) -> Retry {
    let on = section.field("on").map(|field| {
        let words = field.list().into_iter();
        words.filter_map(|word| retry_on(&word)).collect()
    });
    let statuses = section.list("statuses").into_iter();
    let statuses = statuses.filter_map(|field| status(&field)).collect();
    let retry = Retry {
        on: on.unwrap_or_else(|| vec![RetryOn::ConnectFailure, RetryOn::StaleConnection]),
        statuses,
        count: section.count("count", 1, 0..=limits::RETRIES_MAX),
        per_try_timeout: section.duration_limit("per_try_timeout", None),
        backoff: section.duration("backoff", Duration::from_millis(25)),
        max_backoff: section.duration("max_backoff", Duration::from_millis(250)),
        max_retry_after: section.duration("max_retry_after", Duration::from_secs(1)),
    };
    if retry.max_backoff < retry.backoff {
        section.refuse("max_backoff", "must not be shorter than `backoff`");
    }
    retry
}

fn retry_on(field: &Field<'_>) -> Option<RetryOn> {
    let text = field.text();
    let found = RETRY_ON.iter().find(|(word, _)| Some(*word) == text);
    found.map(|&(_, on)| on).or_else(|| {
        let words: Vec<String> = RETRY_ON
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        field.expected(&format!("one of {}", words.join(", ")))
    })
}

fn status(field: &Field<'_>) -> Option<u16> {
    let number = field.number().and_then(|number| u16::try_from(number).ok());
    let is_error = |status: &u16| (400..=599).contains(status);
    number
        .filter(is_error)
        .or_else(|| field.expected("a status from 400 to 599"))
}

/// When requests are refused; read as if it were empty when the table is not there.
pub(super) fn overload(section: &mut Section<'_>) -> Overload {
    Overload {
        max_lag: section.duration_limit("max_lag", Some(Duration::from_millis(100))),
        max_memory: section.size_limit("max_memory", None),
    }
}

/// The budget of a cluster; 20 % and ten per second when the table is not there.
pub(super) fn retry_budget(section: &mut Section<'_>) -> RetryBudget {
    RetryBudget {
        percent: section.count("percent", 20, 0..=100),
        min_per_second: section.count("min_per_second", 10, 0..=limits::RETRIES_PER_SECOND_MAX),
    }
}

/// The circuit breaker of a cluster.
pub(super) fn circuit_breaker(section: &mut Section<'_>) -> CircuitBreaker {
    let default = limits::CIRCUIT_BREAKER_DEFAULT;
    CircuitBreaker {
        max_connections: section.count("max_connections", default, 1..=u32::MAX),
        max_requests: section.count("max_requests", default, 1..=u32::MAX),
        max_pending: section.count("max_pending", default, 0..=limits::PENDING_MAX),
        pending_timeout: section.duration("pending_timeout", Duration::from_secs(3)),
    }
}
