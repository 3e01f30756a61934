//! Hop-by-hop rules: RFC 9110 §7.6.1, §7.6.2 and §7.8, RFC 9112 §9.3.
//!
//! Decides which fields end at this hop, whether the connection persists and whether a protocol
//! switch may be forwarded. Fields that always end here are known by name
//! ([`Class::HopByHop`]): `Connection`, `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`
//! (trailers are dropped), `Transfer-Encoding`, `Upgrade`, `HTTP2-Settings`, `Proxy-Authenticate`,
//! `Proxy-Authentication-Info`, `Proxy-Authorization` (credentials for a proxy are not for the
//! upstream).
//!
//! `Connection` may name more. The nomination of a field the proxy knows as end-to-end (`Host`,
//! `Authorization`, `Cookie`, `X-Forwarded-For`, ...) is ignored: the field is forwarded, so that
//! no client can strip what an upstream relies on. Only names the proxy does not know can be
//! nominated, at most `NOMINATIONS_MAX` of them.

use super::collect::Notes;
use super::field::{Class, FieldLine, FieldName};
use super::framing::BodyLength;
use super::h1::scan;
use super::head::{HeadError, Span};
use super::{Method, Version};
use crate::limits::NOMINATIONS_MAX;

/// The options of `Connection` that the proxy acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Connection {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
}

impl Connection {
    /// Does the connection persist after this message? RFC 9112 §9.3.
    pub(super) fn persists(self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// What `Connection` says; takes out the fields that it nominates.
#[inline]
pub(super) fn connection(
    notes: &Notes,
    fields: &mut [FieldLine],
    bytes: &[u8],
) -> Result<Connection, HeadError> {
    match notes.of(FieldName::Connection).count() {
        0 => Ok(Connection::default()),
        _ => read_connection(fields, bytes),
    }
}

/// Reads all `Connection` fields and takes out the fields they nominate.
fn read_connection(fields: &mut [FieldLine], bytes: &[u8]) -> Result<Connection, HeadError> {
    let mut options = Connection::default();
    let mut nominations: usize = 0;
    for index in 0..fields.len() {
        let Some(line) = fields.get(index).copied() else {
            break;
        };
        if line.name != FieldName::Connection {
            continue;
        }
        for option in scan::list(line.value.of(bytes)) {
            if !scan::is_token(option) {
                return Err(HeadError::Connection);
            }
            if option.eq_ignore_ascii_case(b"close") {
                options.close = true;
                continue;
            }
            let name = FieldName::recognise(option);
            options.keep_alive |= name == FieldName::KeepAlive;
            options.upgrade |= name == FieldName::Upgrade;
            if name.class() == Class::Nominable {
                nominations = nominations.saturating_add(1);
                if nominations > NOMINATIONS_MAX {
                    return Err(HeadError::Connection);
                }
                nominate(option, fields, bytes);
            }
        }
    }
    Ok(options)
}

/// Takes the nominated fields out of what is forwarded.
fn nominate(option: &[u8], fields: &mut [FieldLine], bytes: &[u8]) {
    for line in fields {
        if line.name == FieldName::Other && line.name_span.of(bytes).eq_ignore_ascii_case(option) {
            line.forward = false;
        }
    }
}

/// The protocol that a request asks to switch to, if the wish may be forwarded; RFC 9110 §7.8.
///
/// Only from HTTP/1.1, named by `Connection`, one protocol, and no body whose end the two sides
/// could disagree about. Protocols that carry more HTTP past the proxy's rules (`h2c`, `HTTP/2.0`)
/// or hide it (`TLS/1.0`) are not forwarded: RFC 9113 §3.1 retired that switch.
pub(super) fn upgrade(
    notes: &Notes,
    options: Connection,
    version: Version,
    body: BodyLength,
    bytes: &[u8],
) -> Option<Span> {
    if !options.upgrade || version != Version::Http11 || !body.is_empty() {
        return None;
    }
    let span = notes.of(FieldName::Upgrade).single()?;
    let protocol = span.of(bytes);
    let mut parts = protocol.splitn(2, |&byte| byte == b'/');
    let name = parts.next().unwrap_or_default();
    let is_sound = scan::is_token(name) && parts.next().is_none_or(scan::is_token);
    let is_http = [&b"h2c"[..], b"h2", b"http", b"tls"]
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other));
    (is_sound && !is_http).then_some(span)
}

/// Does the client wait for a 100 response? RFC 9110 §10.1.1.
///
/// An expectation from HTTP/1.0 is ignored, and so is one without a body: neither is forwarded.
pub(super) fn expects_continue(
    notes: &Notes,
    version: Version,
    body: BodyLength,
    fields: &mut [FieldLine],
    bytes: &[u8],
) -> Result<bool, HeadError> {
    if notes.of(FieldName::Expect).count() == 0 {
        return Ok(false);
    }
    if version == Version::Http11 {
        let value = notes
            .of(FieldName::Expect)
            .single()
            .ok_or(HeadError::Expectation)?;
        if !value.of(bytes).eq_ignore_ascii_case(b"100-continue") {
            return Err(HeadError::Expectation);
        }
        if !body.is_empty() {
            return Ok(true);
        }
    }
    for line in fields {
        if line.name == FieldName::Expect {
            line.forward = false;
        }
    }
    Ok(false)
}

/// How many more hops a TRACE or OPTIONS request may take; RFC 9110 §7.6.2.
pub(super) fn max_forwards(
    method: Method,
    notes: &Notes,
    bytes: &[u8],
) -> Result<Option<u32>, HeadError> {
    if !matches!(method, Method::Trace | Method::Options)
        || notes.of(FieldName::MaxForwards).count() == 0
    {
        return Ok(None);
    }
    let value = notes
        .of(FieldName::MaxForwards)
        .single()
        .ok_or(HeadError::FieldValue)?;
    let hops = scan::decimal(value.of(bytes)).ok_or(HeadError::FieldValue)?;
    Ok(Some(u32::try_from(hops).unwrap_or(u32::MAX)))
}

/// `timeout` of `Keep-Alive`, in seconds; anything malformed counts as absent.
pub(super) fn keep_alive_timeout(notes: &Notes, bytes: &[u8]) -> Option<u32> {
    let value = notes.of(FieldName::KeepAlive).single()?.of(bytes);
    let seconds = scan::list(value).find_map(|parameter| {
        let (name, number) = parameter.split_at_checked(b"timeout".len())?;
        name.eq_ignore_ascii_case(b"timeout").then_some(())?;
        scan::decimal(scan::trim(scan::trim(number).strip_prefix(b"=")?))
    })?;
    u32::try_from(seconds).ok()
}
