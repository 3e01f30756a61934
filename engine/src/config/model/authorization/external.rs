//! Decisions that are asked of a service outside, as meant.
//!
//! Must stay true: names are in lower case; none that is copied belongs to a connection, to the
//! framing of a message, or to what the proxy writes itself. Not here: the question and its answer.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::config::model::ClusterRef;
use crate::config::scalar;

/// A service that is asked whether a request may pass, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExternalAuthorization {
    /// The cluster of the service.
    pub cluster: ClusterRef,
    /// What the path of a question begins with, before that of the request; no slash at its end.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_prefix: String,
    /// How long the whole answer may take.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub timeout: Duration,
    /// Fields of the request that are part of the question.
    #[serde(rename = "request_headers")]
    pub request_fields: Vec<NamePattern>,
    /// Fields that are added to the question; they replace the request's.
    #[serde(
        rename = "add_headers",
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "super::super::route::serialize_lines"
    )]
    pub added_fields: Vec<(String, String)>,
    /// Fields of an answer that allows which replace those of the request that is forwarded; what
    /// the client sends under these names is always taken out.
    #[serde(
        rename = "allowed_upstream_headers",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub upstream_fields: Vec<NamePattern>,
    /// Fields of an answer that allows which are added to those of the request.
    #[serde(
        rename = "allowed_upstream_headers_to_append",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub appended_upstream_fields: Vec<NamePattern>,
    /// Fields of an answer that denies which the client gets, besides those that belong to its
    /// content, `Location` and `WWW-Authenticate`.
    #[serde(
        rename = "allowed_client_headers",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub client_fields: Vec<NamePattern>,
    /// Fields of an answer that allows which are added to the response.
    #[serde(
        rename = "allowed_client_headers_on_success",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub client_fields_on_success: Vec<NamePattern>,
    /// The status when there is no answer, 400 to 599.
    pub status_on_error: u16,
    /// Whether a request passes when there is no answer.
    pub failure_mode_allow: bool,
}

/// One name of a field, or all that begin alike. Written `name` or `start-*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NamePattern {
    /// This one.
    Exact(String),
    /// All that begin with this.
    Prefix(String),
}

impl Serialize for NamePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(name) => serializer.serialize_str(name),
            Self::Prefix(start) => serializer.collect_str(&format_args!("{start}*")),
        }
    }
}
