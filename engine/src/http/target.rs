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
