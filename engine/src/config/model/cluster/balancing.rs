//! How the endpoints of a cluster share its requests, as meant.
//!
//! Must stay true: policies by hash have a key; a longest ejection is not shorter than the first
//! one. Not here: what the words do (`balance`), what the file of a key holds (`proxy`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::scalar;

/// How the endpoints of a cluster share its requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balancing {
    /// How latencies are averaged.
    pub peak_ewma: PeakEwma,
    /// What a request is hashed by.
    #[serde(skip_serializing_if = "Hash::is_empty")]
    pub hash: Hash,
    /// Clients come back to the endpoint that served them before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// When endpoints are left out because of their failures.
    pub outlier_detection: OutlierDetection,
    /// How long an endpoint that joins or comes back warms up; not at all when absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub slow_start: Option<Duration>,
    /// With fewer usable endpoints than this share, in percent, all are used.
    pub panic_threshold: u32,
    /// With fewer endpoints where the proxy is, none is preferred; zero: never.
    pub local_endpoints_min: u32,
    /// Where the proxy is, as the process says.
    #[serde(skip)]
    pub home: Option<Arc<str>>,
}

/// How latencies are averaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PeakEwma {
    /// After this time a latency weighs 1/e.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub decay: Duration,
    /// What an endpoint is taken to need while nothing is known.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub default_latency: Duration,
    /// What a failed attempt counts as.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub penalty: Duration,
}

/// What a request is hashed by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hash {
    /// The first of these that it has.
    pub keys: Vec<HashKey>,
    /// How much of its share, in percent, an endpoint may have; unbounded when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounded_load: Option<u32>,
}

impl Hash {
    fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// One thing that a request can be hashed by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HashKey {
    /// A field.
    Header(Box<str>),
    /// A cookie.
    Cookie(Box<str>),
    /// A query parameter.
    Query(Box<str>),
    /// The address of the peer; always true.
    Source(bool),
}

/// A cookie that names the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sticky {
    /// Its name.
    pub cookie: Box<str>,
    /// Where what it is signed with is kept.
    pub key_file: PathBuf,
    /// How long clients keep it; until they are closed when absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub max_age: Option<Duration>,
}

/// When endpoints are left out because of their failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutlierDetection {
    /// Errors in a row; zero for never.
    pub consecutive_errors: u32,
    /// Time between two comparisons of success rates.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub interval: Duration,
    /// How long the first ejection lasts.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub base_ejection_time: Duration,
    /// How long the longest does.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub max_ejection_time: Duration,
    /// Of the endpoints, so many at once.
    pub max_ejection_percent: u32,
    /// Endpoints with enough requests that a comparison needs.
    pub success_rate_min_endpoints: u32,
    /// Requests that an endpoint needs to be compared.
    pub success_rate_min_requests: u32,
    /// Standard deviations below the mean, in thousandths; zero for never.
    pub success_rate_deviation: u32,
}
