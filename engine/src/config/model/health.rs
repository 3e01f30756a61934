//! Active health checks of a cluster, as meant.
//!
//! Must stay true: the check is one that the cluster can answer (TLS where it has TLS); its timeout
//! and what is expected of a response are there only where they are used. Not here: when the next
//! check is due and what it changes (`control::health`).

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::scalar;

/// How each endpoint of a cluster is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HealthCheck {
    /// What is asked.
    pub protocol: HealthProtocol,
    /// What is sent and expected over HTTP.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// Time between two checks.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub interval: Duration,
    /// The same while the last check did not agree with the state.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub changing_interval: Duration,
    /// How long a check may take.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub timeout: Duration,
    /// Failed checks in a row after which an endpoint is unhealthy.
    pub unhealthy_after: u32,
    /// Good checks in a row after which it is healthy again.
    pub healthy_after: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            protocol: HealthProtocol::Http,
            http: Some(HttpCheck::default()),
            interval: Duration::from_secs(10),
            changing_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            unhealthy_after: 3,
            healthy_after: 2,
        }
    }
}

/// What is asked of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthProtocol {
    /// A request, over TLS where the cluster has it.
    #[default]
    Http,
    /// A connection.
    Tcp,
    /// A connection and a TLS handshake in which the endpoint proves who it is.
    Tls,
}

/// A request that a healthy endpoint answers as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpCheck {
    /// Its method.
    pub method: String,
    /// Its target.
    pub path: String,
    /// Its `Host`; the endpoint's address when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Statuses that are expected, by their first and last.
    #[serde(serialize_with = "serialize_statuses")]
    pub statuses: Vec<(u16, u16)>,
    /// What the content must contain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            path: "/".to_owned(),
            host: None,
            statuses: vec![(200, 299)],
            body_contains: None,
        }
    }
}

fn serialize_statuses<S: Serializer>(
    statuses: &[(u16, u16)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let text = |(first, last): &(u16, u16)| format!("{first}-{last}");
    serializer.collect_seq(statuses.iter().map(text))
}
