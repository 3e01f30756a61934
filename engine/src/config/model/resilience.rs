//! What keeps a failing cluster from harming others, as meant: retries and their budget, the
//! circuit breaker.
//!
//! Must stay true: a retry's longest wait is not shorter than its first one; listed statuses are
//! final ones. Not here: when an attempt may be repeated (`forward`).

use std::time::Duration;

use serde::Serialize;

use crate::config::scalar;

/// When and how a request is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retry {
    /// What a request is tried again after.
    pub on: Vec<RetryOn>,
    /// Further statuses after which it is, if its method is idempotent.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<u16>,
    /// Attempts after the first.
    pub count: u32,
    /// From the choice of an endpoint to the first byte of its response. Unbounded when absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub per_try_timeout: Option<Duration>,
    /// The longest wait before the first retry; it doubles with each.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub backoff: Duration,
    /// The longest wait before any.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub max_backoff: Duration,
    /// The longest `Retry-After` that is waited for.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub max_retry_after: Duration,
}

/// What a request may be tried again after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// No connection: nothing of the request was sent.
    ConnectFailure,
    /// A connection that had carried other requests ended before a byte of the response.
    StaleConnection,
    /// Any connection ended before a byte of the response.
    Reset,
    /// The response did not begin in time.
    Timeout,
    /// What came is no response.
    BadResponse,
    /// 502, 503 or 504.
    GatewayError,
    /// 500 to 599.
    #[serde(rename = "5xx")]
    ServerError,
}

/// When requests are refused for the sake of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Overload {
    /// How long a request may wait for its turn on a shard whose queue stands. Unbounded when
    /// absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub max_lag: Option<Duration>,
    /// Bytes that the process may have resident. Unbounded when absent.
    #[serde(serialize_with = "scalar::serialize_size_limit")]
    pub max_memory: Option<u64>,
}

/// How much of a cluster's load may be retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RetryBudget {
    /// Retries per 100 requests of the last ten seconds.
    pub percent: u32,
    /// Retries per second that are allowed however few requests there are.
    pub min_per_second: u32,
}

/// How much of a cluster may be in use at once, over all shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CircuitBreaker {
    /// Open connections.
    pub max_connections: u32,
    /// Requests in flight.
    pub max_requests: u32,
    /// Requests that wait for one of these.
    pub max_pending: u32,
    /// How long a request waits.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub pending_timeout: Duration,
}
