//! Who the request came from: `X-Forwarded-*`, `Forwarded`, `X-Request-Id`.
//!
//! `trusted_hops` is the number of proxies in front of this one whose entries are believed. Each
//! of them appended its peer to `X-Forwarded-For`, so the last `trusted_hops` entries are theirs;
//! everything to the left was written by the client and is dropped. With 0 nothing received is
//! believed and all of it is replaced.
//!
//! ```text
//!   received   X-Forwarded-For: forged, client, hop1       peer = hop2's address
//!   trusted 0  hop2                                        client address: hop2
//!   trusted 2  client, hop1, hop2                          client address: client
//! ```
//!
//! `Forwarded` (RFC 7239) and other `X-Forwarded-` fields pass only from a trusted hop.

use std::net::{IpAddr, SocketAddr};

use super::Scheme;
use super::field::FieldName;
use super::h1::scan;
use super::head::Request;

/// Trust whatever is in front: inside a mesh, where only proxies can connect.
pub const ALL_HOPS: u8 = u8::MAX;

/// What is told to the upstream about the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The address of the downstream peer; `None` on a Unix socket.
    pub client: Option<IpAddr>,
    /// The scheme of the listener.
    pub scheme: Scheme,
    /// How many proxies in front of this one are trusted; [`ALL_HOPS`] for all.
    pub trusted_hops: u8,
    /// The peer has proved who it is. Only then is its word on other identities taken.
    pub is_proved: bool,
}

impl Forwarded {
    /// Is a received field of this name, one of `count`, taken out?
    pub(super) fn replaces(&self, name: FieldName, request: &Request<'_>) -> bool {
        match name {
            FieldName::XForwardedFor => true,
            FieldName::XForwardedProto | FieldName::XForwardedHost => !self.believes(name, request),
            FieldName::XForwardedClientCert => self.trusted_hops == 0 || !self.is_proved,
            FieldName::XForwardedOther | FieldName::Forwarded | FieldName::XRealIp => {
                self.trusted_hops == 0
            }
            _ => false,
        }
    }

    /// Is it a field that tells of the client, of which a trusted hop's word is kept?
    pub(super) fn tells(&self, name: FieldName) -> bool {
        matches!(
            name,
            FieldName::XForwardedProto
                | FieldName::XForwardedHost
                | FieldName::XForwardedClientCert
        )
    }

    /// Is the received field kept? Several lines are no trusted hop's work.
    pub(super) fn believes(&self, name: FieldName, request: &Request<'_>) -> bool {
        let lines = request.fields().filter(|field| field.name == name);
        self.trusted_hops > 0 && lines.count() == 1
    }
}

/// The entries of `X-Forwarded-For` that trusted hops wrote, outermost first.
pub(super) fn trusted_entries<'a>(
    request: &Request<'a>,
    trusted_hops: u8,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let entries = entries(request);
    let untrusted = entries
        .clone()
        .count()
        .saturating_sub(usize::from(trusted_hops));
    entries.skip(untrusted)
}

/// All entries, over all lines.
fn entries<'a>(request: &Request<'a>) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
    request
        .fields()
        .filter(|field| field.name == FieldName::XForwardedFor)
        .flat_map(|field| scan::list(field.value))
}

/// The address of the client: what the outermost trusted hop says, else the peer.
///
/// A request with fewer entries than trusted hops did not come through all of them: then only the
/// peer is believed. With [`ALL_HOPS`] the first entry counts.
pub fn client_address(
    request: &Request<'_>,
    peer: Option<IpAddr>,
    trusted_hops: u8,
) -> Option<IpAddr> {
    if trusted_hops == 0 {
        return peer;
    }
    let mut trusted = trusted_entries(request, trusted_hops);
    let outermost = trusted.next();
    let is_complete =
        trusted_hops == ALL_HOPS || trusted.count().saturating_add(1) == usize::from(trusted_hops);
    outermost.filter(|_| is_complete).and_then(address).or(peer)
}

/// An address as proxies write it: with or without port, IPv6 with or without brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?;
    let unbracketed = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let plain = unbracketed.unwrap_or(text).parse::<IpAddr>().ok();
    plain.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// The request id a trusted hop sent: one line, 1 to 128 characters that no log or shell trips
/// over.
pub fn trusted_request_id<'a>(request: &Request<'a>, trusted_hops: u8) -> Option<&'a [u8]> {
    let mut ids = request
        .fields()
        .filter(|field| field.name == FieldName::XRequestId)
        .map(|field| field.value);
    let id = ids.next()?;
    let is_sound = (1..=128).contains(&id.len())
        && id.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=' | b'~')
        });
    (trusted_hops > 0 && ids.next().is_none() && is_sound).then_some(id)
}
