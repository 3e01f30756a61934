//! Who the request came from: `X-Forwarded-*`, `Forwarded`, `X-Request-Id`.
//!
//! `trusted_hops` is the number of proxies in front of this one whose entries are believed. Each
//! of them appended its peer to `X-Forwarded-For`, so the last `trusted_hops` entries are theirs
//! and everything to the left was written by the client: these entries are dropped. With 0 nothing
//! received is believed and all of it is replaced.

use std::net::IpAddr;

use super::Scheme;
use super::head::Request;

/// What is told to the upstream about the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The address of the downstream peer; `None` on a Unix socket.
    pub client: Option<IpAddr>,
    /// The scheme of the listener.
    pub scheme: Scheme,
    /// How many proxies in front of this one are trusted.
    pub trusted_hops: u8,
}

/// The address of the client: the peer, or what the outermost trusted hop says.
pub fn client_address(
    request: &Request<'_>,
    peer: Option<IpAddr>,
    trusted_hops: u8,
) -> Option<IpAddr> {
    let _ = (request, trusted_hops);
    peer
}

/// The request id a trusted hop sent, if it is a sound one.
pub fn trusted_request_id<'a>(request: &Request<'a>, trusted_hops: u8) -> Option<&'a [u8]> {
    let _ = (request, trusted_hops);
    None
}
