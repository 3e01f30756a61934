//! Rate limits, as meant: how much a caller may send.
//!
//! Must stay true: counts are at least 1, names are unique within their level. Not here: the
//! buckets, and the answer to who has sent too much.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::scalar;

/// A limit on the requests of a listener, a virtual host or a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RateLimit {
    /// The name in metrics, logs and answers; unique in its level.
    pub name: Arc<str>,
    /// Requests in each `per`, from 1; at most
    /// [`crate::limits::RATE_LIMIT_PER_SECOND_MAX`] a second.
    pub requests: u32,
    /// The time in which they are allowed.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub per: Duration,
    /// Requests that may come at once, from 1.
    pub burst: u32,
    /// What tells callers apart, each having a limit of its own; empty for one limit of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<LimitKey>,
    /// Callers that are kept apart at one time.
    pub callers: u32,
    /// Responses to requests that pass tell what is left, too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub always_tell: bool,
    /// The number of this limit over the whole configuration, from 0.
    #[serde(skip)]
    pub index: u32,
}

impl RateLimit {
    /// Whether it is the same, wherever it stands.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let other = Self {
            index: self.index,
            ..other.clone()
        };
        *self == other
    }
}

/// Something that tells callers apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKey {
    /// The client's address, after trusted hops; of an IPv6 address its first 64 bits.
    Client,
    /// Who calls; of callers that have proved nothing, the address.
    Principal,
    /// The value of this field, whose name is in lower case.
    Header(String),
}

impl Serialize for LimitKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client => serializer.serialize_str("client"),
            Self::Principal => serializer.serialize_str("principal"),
            Self::Header(name) => serializer.collect_str(&format_args!("header:{name}")),
        }
    }
}
