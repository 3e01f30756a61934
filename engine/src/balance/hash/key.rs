//! What of a request is hashed.
//!
//! In: a request, and where its connection came from. Out: the hash of the first key that the
//! request has; none when it has none of them, and then chance decides. Values are taken as they
//! were received, without decoding. Cookies are split as RFC 6265 §5.4 joins them.

use std::net::IpAddr;

use crate::http::{FieldName, Request};

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The first field of this name.
    Header(Box<[u8]>),
    /// The cookie of this name.
    Cookie(Box<[u8]>),
    /// The first query parameter of this name.
    Query(Box<[u8]>),
    /// The address of the peer, without its port.
    Source,
}

impl KeySource {
    /// The hash of what `request`, which came from `source`, has there.
    fn hash(&self, request: &Request<'_>, source: Option<IpAddr>) -> Option<u64> {
        let value = match self {
            Self::Header(name) => request.field_by_name(name),
            Self::Cookie(name) => cookie(request, name),
            Self::Query(name) => parameter(request.query()?, name),
            Self::Source => {
                return match source?.to_canonical() {
                    IpAddr::V4(address) => Some(super::of(&address.octets())),
                    IpAddr::V6(address) => Some(super::of(&address.octets())),
                };
            }
        };
        value.filter(|value| !value.is_empty()).map(super::of)
    }
}

/// The hash of the first of these keys that `request` has.
pub(in crate::balance) fn hash(
    keys: &[KeySource],
    request: &Request<'_>,
    source: Option<IpAddr>,
) -> Option<u64> {
    keys.iter().find_map(|key| key.hash(request, source))
}

/// The value of the first cookie of this name.
pub(super) fn cookie<'a>(request: &Request<'a>, name: &[u8]) -> Option<&'a [u8]> {
    let mut lines = request
        .fields()
        .filter(|field| field.name == FieldName::Cookie);
    lines.find_map(|line| in_cookies(line.value, name))
}

fn in_cookies<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut pairs = line.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

fn parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut pairs = query.split(|byte| *byte == b'&');
    pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6265_5_4_a_cookie_is_found_by_its_whole_name() {
        for (line, expected) in [
            ("a=1; sid=x; b=2", Some("x")),
            ("sid=x", Some("x")),
            ("asid=y;sid=x", Some("x")),
            ("sidx=y", None),
            ("sid", None),
            ("sid=", Some("")),
            ("sid=a=b", Some("a=b")),
            ("", None),
        ] {
            let found = in_cookies(line.as_bytes(), b"sid");
            assert_eq!(found, expected.map(str::as_bytes), "{line}");
        }
    }

    #[test]
    fn a_parameter_is_found_by_its_whole_name() {
        for (query, expected) in [("u=1", Some("1")), ("xu=2&u=1&u=3", Some("1")), ("u", None)] {
            let found = parameter(query.as_bytes(), b"u");
            assert_eq!(found, expected.map(str::as_bytes), "{query}");
        }
    }
}
