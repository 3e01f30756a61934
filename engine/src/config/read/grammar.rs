//! The grammar of names, hosts, paths and fields that may stand in a configuration.
//!
//! Hosts and paths are compared with what the message parser makes of a request, so they must be
//! written in the one form it gives them: a path that no request can have is refused.

use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::config::model::HostPattern;

pub(super) const NAME: &str = "a name of 1 to 128 letters, digits or `-_.:/*`";
pub(super) const FIELD_NAME: &str = "a header name (RFC 9110 token)";
pub(super) const FIELD_VALUE: &str =
    "a header value: visible ASCII, no space at the start or the end";
pub(super) const HOST_PATTERN: &str = "a host without port such as \"example.com\", \
    \"*.example.com\", \"*\", \"127.0.0.1\" or \"[::1]\"";
pub(super) const HOST_PATTERNS: &str =
    "a list of at least one host such as [\"example.com\", \"*.example.com\"] or [\"*\"]";
pub(super) const AUTHORITY: &str = "a host with or without port such as \"example.com:8080\"";
pub(super) const HOST: &str = "a host without port such as \"example.com\"";
pub(super) const PATH: &str = "a path such as \"/a/b\" in the form requests are brought to: \
    from `/`, no empty or dot segment, no `?` or `#`, only other characters percent-encoded \
    in upper case";
pub(super) const METHOD: &str = "a method in upper case such as \"GET\"";

pub(super) fn name(text: &str) -> Option<Arc<str>> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/*".contains(&byte);
    ((1..=128).contains(&text.len()) && text.bytes().all(letter)).then(|| text.into())
}

/// RFC 9110 §5.6.2 `token`.
pub(super) fn is_token(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(letter)
}

/// A field name, in lower case: names are case-insensitive (RFC 9110 §5.1).
pub(super) fn field_name(text: &str) -> Option<String> {
    is_token(text).then(|| text.to_ascii_lowercase())
}

/// RFC 9110 §5.5 `field-value`, without obs-text: TOML text would turn it into UTF-8.
pub(super) fn field_value(text: &str) -> Option<String> {
    let letter = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t';
    let trimmed = text.trim_matches([' ', '\t']) == text;
    (trimmed && text.bytes().all(letter)).then(|| text.to_owned())
}

/// A method. Lower-case letters are legal (RFC 9110 §9.1) but only ever a mistake.
pub(super) fn method(text: &str) -> Option<String> {
    let upper = !text.bytes().any(|byte| byte.is_ascii_lowercase());
    (is_token(text) && upper).then(|| text.to_owned())
}

pub(super) fn host_pattern(text: &str) -> Option<HostPattern> {
    match text.strip_prefix("*.") {
        _ if text == "*" => Some(HostPattern::Any),
        Some(suffix) => {
            (is_dns_name(suffix)).then(|| HostPattern::Wildcard(suffix.to_ascii_lowercase()))
        }
        None => host(text).map(HostPattern::Exact),
    }
}

/// A host name, IPv4 address or bracketed IPv6 address, in lower case.
pub(super) fn host(text: &str) -> Option<String> {
    let literal = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let valid = match literal {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_dns_name(text),
    };
    valid.then(|| text.to_ascii_lowercase())
}

/// A host name that a certificate can be for, in lower case: no address, no trailing dot.
pub(super) fn host_name(text: &str) -> Option<String> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    (is_dns_name(text) && !is_address).then(|| text.to_ascii_lowercase())
}

/// A host and perhaps a port.
pub(super) fn authority(text: &str) -> Option<String> {
    let after_literal = text.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = text[after_literal..].find(':') else {
        return host(text);
    };
    let (name, port) = text.split_at(after_literal + colon);
    let port = port.strip_prefix(':')?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port: u16 = port.parse().ok().filter(|port| digits && *port != 0)?;
    Some(format!("{}:{port}", host(name)?))
}

fn is_dns_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(letter);
    text.len() <= 253 && text.split('.').all(label)
}

/// A path in normal form (RFC 3986 §6.2.2).
pub(super) fn path(text: &str) -> Option<String> {
    let segments = text.strip_prefix('/')?;
    let last = segments.split('/').count() - 1;
    let segment = |(index, segment): (usize, &str)| {
        (!segment.is_empty() || index == last)
            && segment != "."
            && segment != ".."
            && is_normal_segment(segment.as_bytes())
    };
    segments
        .split('/')
        .enumerate()
        .all(segment)
        .then(|| text.to_owned())
}

/// RFC 3986 §3.3 `pchar`s, percent-encoded where nothing else will do.
fn is_normal_segment(mut bytes: &[u8]) -> bool {
    loop {
        bytes = match bytes {
            [] => return true,
            [b'%', high, low, rest @ ..] => {
                let digit = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
                if !digit(high) || !digit(low) || is_unreserved(hex(*high) << 4 | hex(*low)) {
                    return false;
                }
                rest
            }
            [byte, rest @ ..] if is_unreserved(*byte) || b"!$&'()*+,;=:@".contains(byte) => rest,
            _ => return false,
        }
    }
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn hex(digit: u8) -> u8 {
    if digit.is_ascii_digit() {
        digit - b'0'
    } else {
        digit - b'A' + 10
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, expected) in [
            ("*", Some("*")),
            ("*.Example.com", Some("*.example.com")),
            ("Example.com", Some("example.com")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("[::1]", Some("[::1]")),
            ("", None),
            ("*.", None),
            ("a*.example.com", None),
            ("*.*.com", None),
            ("example.com.", None),
            ("example..com", None),
            ("example.com:80", None),
            ("[::1]:80", None),
            ("::1", None),
            ("b\u{fc}cher.example", None),
        ] {
            let found = host_pattern(text).map(|pattern| pattern.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
        for (text, expected) in [
            ("a.b:80", Some("a.b:80")),
            ("A.b", Some("a.b")),
            ("[::1]:8080", Some("[::1]:8080")),
            ("[::1]", Some("[::1]")),
            ("a.b:", None),
            ("a.b:0", None),
            ("a.b:65536", None),
            ("a.b:+1", None),
            ("a.b::80", None),
            (":80", None),
        ] {
            assert_eq!(authority(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn rfc3986_6_2_2_only_paths_in_normal_form() {
        for text in [
            "/",
            "/a",
            "/a/",
            "/a/b.c",
            "/a%20b",
            "/a%2Fb",
            "/@x:y;z=1",
            "/..a",
            "/~u",
        ] {
            assert_eq!(path(text).as_deref(), Some(text));
        }
        for text in [
            "", "a", "//", "/a//b", "/./a", "/a/..", "/a?b", "/a#b", "/a b", "/%7Eu", "/%2fa",
            "/%2", "/%", "/%zz", "/\u{e9}", "/a\\b",
        ] {
            assert_eq!(path(text), None, "{text:?}");
        }
    }

    #[test]
    fn rfc9110_5_5_field_names_and_values() {
        assert_eq!(field_name("X-Canary").as_deref(), Some("x-canary"));
        for text in ["", "a b", "a:", "\u{e9}", "a\r\n"] {
            assert_eq!(field_name(text), None, "{text:?}");
        }
        for text in ["", "a", "a b\tc"] {
            assert_eq!(field_value(text).as_deref(), Some(text));
        }
        for text in [" a", "a ", "a\r\nb: c", "a\0", "\u{e9}", "\u{7f}"] {
            assert_eq!(field_value(text), None, "{text:?}");
        }
    }
}
