//! Listeners as meant: where connections arrive and what is asked of them.
//!
//! Limits and deadlines bound what one client may cost; policies say what becomes of the path and
//! of the fields the proxy has a say in. All defaults are filled in, from the listener's profile.
//! Not here: the routes' own settings, and any enforcement.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Address, Authorization, ListenerTls, Profile, RateLimit, VirtualHost};
use crate::config::scalar;

/// A socket that accepts connections.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listener {
    /// The name in metrics and logs; unique.
    pub name: std::sync::Arc<str>,
    /// Where it listens; unique.
    pub address: Address,
    /// The profile its defaults came from.
    pub profile: Profile,
    /// Connections of this listener at once; bounded by the process only when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Whether CONNECT is routed like other methods; refused with 405 otherwise.
    pub allow_connect: bool,
    /// Protocols a client may upgrade to, in lower case; `Upgrade` is removed for others.
    pub upgrades: Vec<String>,
    /// TLS goes through to the endpoints, unread: virtual hosts are chosen by the name that a
    /// client asks for, and each has one route, which forwards.
    pub passthrough: bool,
    /// TLS towards clients; clear text when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ListenerTls>,
    /// Bounds on what one client may send.
    pub limits: ListenerLimits,
    /// How long one client may take.
    pub timeouts: ListenerTimeouts,
    /// How a path is brought to its one reading before it is matched and forwarded.
    pub path: PathNormalization,
    /// What happens to fields that the proxy itself has a say in.
    pub fields: FieldPolicies,
    /// Who may do what on this listener; everybody everything when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// How much may be sent to this listener.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rate_limits: Vec<RateLimit>,
    /// Routes by host.
    pub virtual_hosts: Vec<VirtualHost>,
}

/// Bounds on what one client may send.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerLimits {
    /// Bytes of a request head, from the request line to the empty line; more is 431.
    #[serde(serialize_with = "scalar::serialize_size")]
    pub head_bytes: u64,
    /// Bytes of a request line; more is 414.
    #[serde(serialize_with = "scalar::serialize_size")]
    pub request_line_bytes: u64,
    /// Fields in a request head; more is 431.
    pub field_count: u32,
    /// Bytes of a request body; more is 413. Unlimited when absent.
    #[serde(serialize_with = "scalar::serialize_size_limit")]
    pub body_bytes: Option<u64>,
    /// Requests on one connection, the last answered with `Connection: close`. Unlimited when
    /// absent.
    #[serde(serialize_with = "scalar::serialize_count_limit")]
    pub requests_per_connection: Option<u32>,
}

/// How long one client may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerTimeouts {
    /// From the accept to the end of the TLS handshake.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub handshake: Duration,
    /// From the first byte of a request head (or the accept) to its last; then 408.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub header: Duration,
    /// Longest wait for the next byte of a request body; then 408.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub body_gap: Duration,
    /// Longest wait for the client to take the next byte of a response; then the connection is
    /// reset.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub send_gap: Duration,
    /// How long a connection may wait for its next request.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub idle: Duration,
    /// Age of a connection from which its next response says `Connection: close`. Never when
    /// absent.
    #[serde(serialize_with = "scalar::serialize_duration_limit")]
    pub lifetime: Option<Duration>,
}

/// How a path is brought to its one reading. Dot segments are always resolved and percent-encoded
/// unreserved characters always decoded (RFC 3986 §6.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathNormalization {
    /// Whether runs of slashes become one.
    pub merge_slashes: bool,
    /// What `%2f` and `%5c` mean.
    pub escaped_slashes: EscapedSlashes,
}

/// What a percent-encoded slash in a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EscapedSlashes {
    /// The request is refused with 400.
    Refuse,
    /// It stays encoded and is not a separator.
    Keep,
}

/// What happens to fields that the proxy itself has a say in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldPolicies {
    /// Proxies in front of this one whose `X-Forwarded-*` and `X-Request-Id` are believed;
    /// [`TRUST_ALL_HOPS`] for all.
    #[serde(serialize_with = "serialize_trusted_hops")]
    pub trusted_hops: u8,
    /// `X-Forwarded-For`, `-Proto` and `-Host` towards the upstream.
    pub forwarded: FieldPolicy,
    /// `X-Request-Id` towards the upstream and in the response.
    pub request_id: FieldPolicy,
    /// The pseudonym in `Via`; no `Via` when absent.
    #[serde(serialize_with = "scalar::serialize_or_off")]
    pub via: Option<String>,
    /// `Server` in responses of an upstream.
    pub server: ServerPolicy,
    /// Whether a response without `Date` gets one.
    pub date: bool,
    /// Field names with an underscore, which some origins read as a hyphen.
    pub underscores: UnderscorePolicy,
}

/// All received `X-Forwarded-*` entries are believed.
pub const TRUST_ALL_HOPS: u8 = u8::MAX;

/// What happens to a field that says where a request came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldPolicy {
    /// What trusted hops said is kept, the rest replaced by what the proxy knows.
    #[default]
    Set,
    /// Left as it came.
    Pass,
}

/// What happens to `Server`, the product an origin names itself by (RFC 9110 §10.2.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerPolicy {
    /// Left as it came.
    Pass,
    /// Removed.
    Remove,
    /// Replaced by this value.
    Set(String),
}

/// What happens to a request with an underscore in a field name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnderscorePolicy {
    /// Refused with 400.
    Refuse,
    /// Forwarded.
    Pass,
}

impl fmt::Display for EscapedSlashes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Refuse => "refuse",
            Self::Keep => "keep",
        })
    }
}

fn serialize_trusted_hops<S: Serializer>(hops: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    match *hops {
        TRUST_ALL_HOPS => serializer.serialize_str("all"),
        count => serializer.serialize_u8(count),
    }
}
