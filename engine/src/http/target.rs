//! Request targets and authorities: RFC 9112 §3.2, RFC 9110 §4.2 and §7.2, RFC 3986 §3.
//!
//! In: the method, the target's bytes, the `Host` field. Out: a [`Target`] of ranges, with one
//! authority (an absolute-form target wins over `Host`) and one normalised path, so that routing,
//! policy and the upstream see the same request.
//!
//! Stricter than the RFCs where peers are known to disagree: percent-encoding, IPvFuture, zone
//! identifiers, empty ports and commas in a host are refused, and so is user information.

use std::net::Ipv6Addr;

use super::collect::Once;
use super::h1::scan;
use super::head::Span;
use super::{Method, Scheme, Version, path};

/// What to do with a percent-encoded byte that some upstreams decode before they split the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoded {
    /// 400.
    #[default]
    Refuse,
    /// Kept encoded, in upper-case hexadecimal.
    Keep,
}

/// How request targets are read. The default is the safe one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRules {
    /// `//` becomes `/`. Default true.
    pub merge_slashes: bool,
    /// `%2F` and `%5C` in the path. Default refuse.
    pub encoded_separators: Encoded,
    /// `%00` in the path. Default refuse.
    pub encoded_nul: Encoded,
}

impl Default for TargetRules {
    fn default() -> Self {
        Self {
            merge_slashes: true,
            encoded_separators: Encoded::Refuse,
            encoded_nul: Encoded::Refuse,
        }
    }
}

/// The four forms of a request target, RFC 9112 §3.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, CONNECT only.
    Authority,
    /// `*`, OPTIONS only.
    Asterisk,
}

/// Why a request target or `Host` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// Not one of the four forms, or not one that the method allows.
    Form,
    /// A byte that no target may hold: control, non-ASCII, `#`, or `\ " < >` in the path.
    Character,
    /// `%` without two hexadecimal digits in the path.
    Percent,
    /// `%2F`, `%5C` or `%00` in the path, and the rules refuse it.
    EncodedSeparator,
    /// `..` climbs above the root, or `..;` would on some upstreams.
    AboveRoot,
    /// A scheme other than `http` and `https`.
    Scheme,
    /// User information in an authority.
    Userinfo,
    /// The authority of the target is no `host[:port]`.
    Authority,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// `Host` is no `host[:port]`.
    HostInvalid,
}

impl TargetError {
    /// A metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Form => "target_form",
            Self::Character => "target_character",
            Self::Percent => "target_percent",
            Self::EncodedSeparator => "target_encoded_separator",
            Self::AboveRoot => "target_above_root",
            Self::Scheme => "target_scheme",
            Self::Userinfo => "target_userinfo",
            Self::Authority => "target_authority",
            Self::HostMissing => "host_missing",
            Self::HostRepeated => "host_repeated",
            Self::HostInvalid => "host_invalid",
        }
    }
}

/// Where the normalised path is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum PathText {
    /// As received.
    Received(Span),
    /// In the head's own storage.
    Normalised,
    /// `/`
    #[default]
    Root,
    /// `*`
    Asterisk,
    /// There is none: CONNECT.
    Absent,
}

/// `host[:port]` as ranges.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Authority {
    pub(super) whole: Span,
    pub(super) host: Span,
    pub(super) port: Option<u16>,
}

/// A request target, read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Target {
    pub(super) form: TargetForm,
    pub(super) raw: Span,
    pub(super) scheme: Option<Scheme>,
    pub(super) authority: Authority,
    pub(super) path: PathText,
    pub(super) query: Option<Span>,
}

/// Reads a request target and the `Host` field beside it.
///
/// *Input*: `raw` is the target inside `bytes`, holding neither controls nor spaces.
/// *Output*: `target`; its normalised path is in `path_storage` if it differs.
pub(super) fn read(
    method: Method,
    raw: &[u8],
    bytes: &[u8],
    rules: TargetRules,
    path_storage: &mut Vec<u8>,
    target: &mut Target,
) -> Result<(), TargetError> {
    *target = Target {
        raw: Span::within(bytes, raw),
        ..Target::default()
    };
    match (method, raw) {
        // RFC 9112 §3.2.3: the authority form, and only it, for CONNECT; the port is required
        // (RFC 9110 §9.3.6).
        (Method::Connect, _) => {
            target.form = TargetForm::Authority;
            target.authority = authority(raw, bytes)?;
            target.path = PathText::Absent;
            target.authority.port.ok_or(TargetError::Authority)?;
        }
        // RFC 9112 §3.2.4.
        (Method::Options, b"*") => {
            target.form = TargetForm::Asterisk;
            target.path = PathText::Asterisk;
        }
        (_, [b'/', ..]) => {
            target.form = TargetForm::Origin;
            path_and_query(raw, bytes, rules, path_storage, target)?;
        }
        _ => {
            target.form = TargetForm::Absolute;
            absolute(method, raw, bytes, rules, path_storage, target)?;
        }
    }
    Ok(())
}

/// Decides the one authority: the target's, else that of `Host`; RFC 9112 §3.2 and §3.2.2.
///
/// `Host` must be there once and be valid even when the target overrides it.
pub(super) fn settle_host(
    target: &mut Target,
    version: Version,
    host: Once,
    bytes: &[u8],
) -> Result<(), TargetError> {
    let named = match host.count() {
        0 if version == Version::Http10 => Authority::default(),
        0 => return Err(TargetError::HostMissing),
        1 => match authority(host.first().of(bytes), bytes) {
            Ok(named) => named,
            Err(TargetError::Userinfo) => return Err(TargetError::Userinfo),
            // Also an empty Host: an http URI has a host (RFC 9110 §4.2.1).
            Err(_) => return Err(TargetError::HostInvalid),
        },
        _ => return Err(TargetError::HostRepeated),
    };
    if matches!(target.form, TargetForm::Origin | TargetForm::Asterisk) {
        target.authority = named;
    }
    Ok(())
}

/// `absolute-form = scheme "://" authority path-abempty [ "?" query ]`, RFC 9112 §3.2.2.
fn absolute(
    method: Method,
    raw: &[u8],
    bytes: &[u8],
    rules: TargetRules,
    path_storage: &mut Vec<u8>,
    target: &mut Target,
) -> Result<(), TargetError> {
    let colon = memchr::memchr(b':', raw).ok_or(TargetError::Form)?;
    let (scheme, rest) = raw.split_at_checked(colon).ok_or(TargetError::Form)?;
    let rest = rest.strip_prefix(b"://").ok_or(TargetError::Form)?;
    target.scheme = Some(if scheme.eq_ignore_ascii_case(b"http") {
        Scheme::Http
    } else if scheme.eq_ignore_ascii_case(b"https") {
        Scheme::Https
    } else {
        return Err(TargetError::Scheme);
    });
    let end = memchr::memchr3(b'/', b'?', b'#', rest).unwrap_or(rest.len());
    let (host, rest) = rest.split_at_checked(end).ok_or(TargetError::Form)?;
    target.authority = authority(host, bytes)?;
    // RFC 9112 §3.2.4: the last proxy turns an empty path of OPTIONS into `*`.
    target.path = if rest.is_empty() && method == Method::Options {
        PathText::Asterisk
    } else {
        PathText::Root
    };
    path_and_query(rest, bytes, rules, path_storage, target)
}

/// `[ absolute-path ] [ "?" query ]`; an empty path leaves the target's as it is.
fn path_and_query(
    text: &[u8],
    bytes: &[u8],
    rules: TargetRules,
    path_storage: &mut Vec<u8>,
    target: &mut Target,
) -> Result<(), TargetError> {
    let question = memchr::memchr(b'?', text).unwrap_or(text.len());
    let (path, rest) = text.split_at_checked(question).unwrap_or((text, b""));
    if let Some(query) = rest.strip_prefix(b"?") {
        // RFC 3986 §3.4, and what browsers send unencoded: any visible character. A fragment
        // never belongs on the wire (RFC 9110 §7.1). Escapes stay as they are: a query has no
        // normal form.
        if !query.is_ascii() || memchr::memchr(b'#', query).is_some() {
            return Err(TargetError::Character);
        }
        target.query = Some(Span::within(bytes, query));
    }
    if !path.is_empty() {
        if !path.starts_with(b"/") {
            // An absolute form with a fragment right after its authority.
            return Err(TargetError::Character);
        }
        target.path = match path::read(path, rules, path_storage)? {
            path::Reading::AsReceived => PathText::Received(Span::within(bytes, path)),
            path::Reading::Normalised => PathText::Normalised,
        };
    }
    Ok(())
}

/// `uri-host [ ":" port ]`, RFC 9110 §7.2.
fn authority(text: &[u8], bytes: &[u8]) -> Result<Authority, TargetError> {
    let (host, port) = host_and_port(text).ok_or_else(|| match memchr::memchr(b'@', text) {
        // RFC 9110 §4.2.4: user information before `@` is how links deceive.
        Some(_) => TargetError::Userinfo,
        None => TargetError::Authority,
    })?;
    Ok(Authority {
        whole: Span::within(bytes, text),
        host: Span::within(bytes, host),
        port,
    })
}

/// RFC 3986 §3.2.2 and §3.2.3: a registered name, an IPv4 address or a bracketed IPv6 address; a
/// port, when its colon is there, is 1 to 65535 in up to 5 digits.
fn host_and_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    /// RFC 1035 §2.3.4.
    const HOST_BYTES_MAX: usize = 255;
    let end = if let [b'[', rest @ ..] = text {
        let (address, _) = rest.split_at_checked(memchr::memchr(b']', rest)?)?;
        str::from_utf8(address).ok()?.parse::<Ipv6Addr>().ok()?;
        address.len().saturating_add(2)
    } else {
        let is_host_byte = |&&byte: &&u8| scan::is_host_byte(byte);
        text.iter().take_while(is_host_byte).count()
    };
    let (host, rest) = text.split_at_checked(end)?;
    let port = match rest {
        [] => None,
        [b':', digits @ ..] if digits.len() <= 5 => {
            let port = u16::try_from(scan::decimal(digits)?).ok()?;
            Some(port).filter(|&port| port > 0)?.into()
        }
        _ => return None,
    };
    (1..=HOST_BYTES_MAX)
        .contains(&host.len())
        .then_some((host, port))
}
