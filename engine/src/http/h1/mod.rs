//! HTTP/1.0 and HTTP/1.1 syntax: RFC 9112.
//!
//! [`request::parse`] and [`response::parse`] read heads, [`chunked::Decoder`] reads bodies,
//! [`encode`] writes messages. All are pure functions of bytes; input may end anywhere, and the
//! result does not depend on where it was split.

pub mod chunked;
pub mod encode;
pub mod request;
pub mod response;
pub(crate) mod scan;

use super::target::TargetRules;
use crate::limits;

/// What may stand in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, leading empty lines included; above it 431. At most
    /// [`limits::HEAD_BYTES_MAX`].
    pub head_bytes: usize,
    /// Bytes of the request line without its CRLF; above it 414. Not used for responses.
    pub request_line_bytes: usize,
    /// Field lines; above it 431. At most [`limits::FIELD_COUNT_MAX`].
    pub field_count: usize,
    /// Field names with `_`. Not used for responses.
    pub names: UnderscoreNames,
    /// How request targets are read.
    pub target: TargetRules,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            head_bytes: limits::HEAD_BYTES,
            request_line_bytes: limits::REQUEST_LINE_BYTES,
            field_count: limits::FIELD_COUNT,
            names: UnderscoreNames::default(),
            target: TargetRules::default(),
        }
    }
}

/// Field names with `_`. CGI-like upstreams read `X_Forwarded_For` as `X-Forwarded-For`, so a
/// name that would become a known one is refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnderscoreNames {
    /// 400.
    #[default]
    Refuse,
    /// Forwarded, unless it imitates a name the proxy knows.
    Allow,
}

/// What a parser found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head is complete and takes this many bytes.
    Complete {
        /// Bytes of the head; the body begins after them.
        bytes: usize,
    },
    /// More bytes are needed; nothing wrong so far.
    Partial,
}

/// How far a head that came in pieces was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Bytes present at the last full attempt; 0 before the first.
    attempted: usize,
    /// Bytes searched for the end of the head.
    scanned: usize,
}
