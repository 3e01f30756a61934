//! Virtual hosts and routes as meant, in the words of Gateway API's `HTTPRoute`.
//!
//! Must stay true: names of fields are in lower case, paths are in normal form, a cluster that is
//! named exists, a prefix is only replaced where exactly one prefix was matched. Not here: the
//! order in which matches are tried (`route`).

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{
    Authenticate, Authorization, ExternalAuthorization, HostPattern, Pattern, RateLimit, Retry,
};
use crate::config::scalar;

/// The routes of some hosts of a listener.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VirtualHost {
    /// The name in logs; unique in its listener.
    pub name: Arc<str>,
    /// The hosts it answers for; unique in its listener, never empty.
    pub hosts: Vec<HostPattern>,
    /// Who may do what on these hosts, besides the listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// How much may be sent to these hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    /// Its routes, in the order of the file.
    pub routes: Vec<Route>,
}

/// What is done with the requests that match.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Route {
    /// The name in metrics and logs; unique in its listener.
    pub name: Arc<str>,
    /// The number of this route over the whole configuration, from 0, in the order of the file.
    #[serde(skip)]
    pub index: u32,
    /// Any one of these must match; never empty.
    pub matches: Vec<RouteMatch>,
    /// Who may be anybody, and who must prove who it is.
    pub authenticate: Authenticate,
    /// What is done with the request.
    #[serde(flatten)]
    pub action: Action,
    /// How the request target and host are changed before forwarding.
    #[serde(skip_serializing_if = "Rewrite::is_empty")]
    pub rewrite: Rewrite,
    /// Changes to the fields of the request before forwarding.
    #[serde(
        rename = "request_headers",
        skip_serializing_if = "FieldEdits::is_empty"
    )]
    pub request_fields: FieldEdits,
    /// Changes to the fields of the response.
    #[serde(
        rename = "response_headers",
        skip_serializing_if = "FieldEdits::is_empty"
    )]
    pub response_fields: FieldEdits,
    /// Who may do what on this route, besides its listener's and its virtual host's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// How much may be sent to this route.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    /// Who is asked besides; nobody when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_authorization: Option<Arc<ExternalAuthorization>>,
    /// How long the exchange may take; absent when the proxy answers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RouteTimeouts>,
    /// When and how it is tried again; absent when the proxy answers itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// Conditions that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RouteMatch {
    /// The path, after normalisation.
    pub path: PathMatch,
    /// The method; any when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Field conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<FieldMatch>,
    /// Query parameter conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<QueryMatch>,
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// Whole segments at the start of the path. No slash at the end, except for `/` itself.
    Prefix(String),
    /// The whole path, as a regular expression.
    Regex(Pattern),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

/// A condition on a field. When the field occurs several times, its first line decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldMatch {
    /// The field's name, in lower case.
    pub name: String,
    /// The condition on its value.
    #[serde(flatten)]
    pub value: ValueMatch,
}

/// A condition on a query parameter. When it occurs several times, the first decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueryMatch {
    /// The parameter's name, decoded.
    pub name: String,
    /// The condition on its decoded value.
    #[serde(flatten)]
    pub value: ValueMatch,
}

/// A condition on a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueMatch {
    /// Equal, byte for byte.
    Exact(String),
    /// A regular expression over the whole value.
    Regex(Pattern),
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is sent to a cluster. Never empty; the weights are not all zero.
    Forward(Vec<WeightedCluster>),
    /// It is answered with another location.
    Redirect(Redirect),
    /// It is answered from the configuration.
    DirectResponse(DirectResponse),
}

/// A cluster and its share of a route's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightedCluster {
    /// The cluster.
    pub cluster: ClusterRef,
    /// Its share, relative to the others.
    pub weight: u32,
}

/// A cluster of the same configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterRef {
    /// The cluster's name.
    pub name: Arc<str>,
    /// Its place in `Config::clusters`.
    pub index: u32,
}

impl Serialize for ClusterRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

/// An answer with another location. What is absent is kept from the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// The scheme of the location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<HttpScheme>,
    /// The host of the location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The port of the location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<NonZeroU16>,
    /// The path of the location.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathReplacement>,
    /// The status of the answer.
    pub status: RedirectStatus,
}

/// A scheme this proxy can redirect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HttpScheme {
    /// `http`, port 80.
    Http,
    /// `https`, port 443.
    Https,
}

/// The status of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectStatus {
    /// 301
    MovedPermanently,
    /// 302
    #[default]
    Found,
    /// 303
    SeeOther,
    /// 307
    TemporaryRedirect,
    /// 308
    PermanentRedirect,
}

impl RedirectStatus {
    /// The status code.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::MovedPermanently => 301,
            Self::Found => 302,
            Self::SeeOther => 303,
            Self::TemporaryRedirect => 307,
            Self::PermanentRedirect => 308,
        }
    }
}

impl Serialize for RedirectStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.code())
    }
}

/// What a path becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum PathReplacement {
    /// The whole path becomes this.
    #[serde(rename = "path")]
    Full(String),
    /// The segments of the route's one prefix match become these.
    #[serde(rename = "path_prefix")]
    Prefix(String),
}

/// How the request target and host are changed before forwarding.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// The new host, with port if any; the client's when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The new path; the client's when absent. The query is kept.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathReplacement>,
}

impl Rewrite {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An answer from the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DirectResponse {
    /// The status, 200 to 599.
    pub status: u16,
    /// The content; empty for 204 and 304.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The `Content-Type` of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Changes to fields. Applied in the order remove, set, add. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldEdits {
    /// Fields that have this one value afterwards.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "serialize_lines"
    )]
    pub set: Vec<(String, String)>,
    /// Lines added to those that are there.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "serialize_lines"
    )]
    pub add: Vec<(String, String)>,
    /// Fields removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

impl FieldEdits {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// How long an exchange may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteTimeouts {
    /// From the request head to the last byte of the response; then 504. Unbounded when absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub request: Option<Duration>,
    /// From the whole request sent to the first byte of the response; then 504. Unbounded when
    /// absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub first_byte: Option<Duration>,
    /// Longest time without a byte in either direction. Unbounded when absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub idle: Option<Duration>,
}

/// Lines as a table from name to value, or to a list of values where a name occurs again.
pub(super) fn serialize_lines<S: Serializer>(
    lines: &[(String, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut names: Vec<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut map = serializer.serialize_map(Some(names.len()))?;
    for name in names {
        let mut values = lines
            .iter()
            .filter(|line| line.0 == name)
            .map(|line| &line.1);
        match (values.next(), values.clone().next()) {
            (Some(only), None) => map.serialize_entry(name, only)?,
            _ => map.serialize_entry(
                name,
                &lines
                    .iter()
                    .filter(|line| line.0 == name)
                    .map(|line| &line.1)
                    .collect::<Vec<_>>(),
            )?,
        }
    }
    map.end()
}
