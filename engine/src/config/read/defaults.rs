//! What a profile defaults to, and the defaults that all profiles share.
//!
//! Durations and policies are here, sizes and counts in `limits`. The reasons are in
//! `config/README.md`.

use std::time::Duration;

use crate::config::model::{
    EscapedSlashes, Profile, RouteTimeouts, ServerPolicy, TRUST_ALL_HOPS, UnderscorePolicy,
};
use crate::limits;

/// The defaults that differ between profiles.
pub(super) struct Defaults {
    pub(super) drain: Duration,
    pub(super) body_bytes: Option<u64>,
    pub(super) requests_per_connection: Option<u32>,
    pub(super) idle: Duration,
    pub(super) merge_slashes: bool,
    pub(super) escaped_slashes: EscapedSlashes,
    pub(super) trusted_hops: u8,
    pub(super) server: ServerPolicy,
    pub(super) underscores: UnderscorePolicy,
    pub(super) connect_timeout: Duration,
}

impl Defaults {
    pub(super) fn of(profile: Profile) -> Self {
        match profile {
            Profile::Edge => Self {
                drain: Duration::from_secs(30),
                body_bytes: Some(limits::BODY_BYTES_DEFAULT),
                requests_per_connection: Some(limits::REQUESTS_PER_CONNECTION_DEFAULT),
                idle: Duration::from_secs(75),
                merge_slashes: true,
                escaped_slashes: EscapedSlashes::Refuse,
                trusted_hops: 0,
                server: ServerPolicy::Set("weft".to_owned()),
                underscores: UnderscorePolicy::Refuse,
                connect_timeout: Duration::from_secs(5),
            },
            Profile::Sidecar => Self {
                drain: Duration::from_secs(120),
                body_bytes: None,
                requests_per_connection: None,
                idle: Duration::from_secs(3600),
                merge_slashes: false,
                escaped_slashes: EscapedSlashes::Keep,
                trusted_hops: TRUST_ALL_HOPS,
                server: ServerPolicy::Pass,
                underscores: UnderscorePolicy::Pass,
                connect_timeout: Duration::from_secs(1),
            },
        }
    }
}

/// From the accept to the end of the TLS handshake.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(10);
/// From the first to the last byte of a request head.
pub(super) const HEADER: Duration = Duration::from_secs(10);
/// Between two reads of a request body, and between two writes of a response.
pub(super) const GAP: Duration = Duration::from_secs(60);
/// Age of a connection, to a client or to an endpoint, at which it is replaced.
pub(super) const LIFETIME: Duration = Duration::from_secs(3600);
/// How long an idle connection to an endpoint is kept: shorter than origins keep theirs.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(30);
/// Deadlines of an exchange. No total: it would cut long downloads and streams.
pub(super) const ROUTE_TIMEOUTS: RouteTimeouts = RouteTimeouts {
    request: None,
    first_byte: Some(Duration::from_secs(15)),
    idle: Some(Duration::from_secs(300)),
};
