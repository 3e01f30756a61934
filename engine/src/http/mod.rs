//! From bytes to a message and back: step 3 of a request.
//!
//! Owns the message model ([`RequestHead`], [`ResponseHead`] and their views), the reading of
//! request targets, the one place where body lengths are decided ([`framing`]), the rules for
//! forwarding fields ([`hop`]) and the HTTP/1 syntax ([`h1`]). Bytes go in, ranges into these
//! bytes and small enums come out. The model is version-neutral: a head is a set of ranges into
//! one run of bytes, whoever wrote that run.
//!
//! Must stay true: a head that was parsed without an error has exactly one reading and is safe
//! to forward; nothing here panics on network bytes; a head's storage is reused, so that in
//! steady state no request allocates.
//!
//! Not here: sockets, buffers, time, configuration files, routing.
//!
//! Standards: RFC 9110 (semantics), RFC 9112 (HTTP/1.1), RFC 3986 (targets).

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod collect;
pub mod date;
mod edits;
mod field;
mod forwarded;
mod framing;
pub mod h1;
mod head;
mod hop;
mod path;
mod patterns;
mod target;

#[cfg(test)]
mod tests;

pub use edits::{EditError, EditList, FieldEdits};
pub use field::{Field, FieldName};
pub use forwarded::{ALL_HOPS, Forwarded, client_address, trusted_request_id};
pub use framing::{BodyLength, FramingError};
pub use h1::{HeadLimits, Parsed, UnderscoreNames};
pub use head::{Fields, HeadError, Request, RequestHead, Response, ResponseHead, Span};
pub use patterns::FieldPatterns;
pub use target::{Encoded, TargetError, TargetForm, TargetRules};

/// A request method; RFC 9110 §9. Case-sensitive: `get` is [`Method::Other`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
    /// `CONNECT`
    Connect,
    /// `OPTIONS`
    Options,
    /// `TRACE`
    Trace,
    /// `PATCH` (RFC 5789)
    Patch,
    /// Any other token; its bytes are in the head.
    Other,
}

impl Method {
    /// The method that these bytes name.
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }

    /// Is repeating the request as good as sending it once? RFC 9110 §9.2.2. Unknown methods are
    /// not.
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::Get | Self::Head | Self::Put | Self::Delete | Self::Options | Self::Trace => true,
            Self::Post | Self::Connect | Self::Patch | Self::Other => false,
        }
    }

    /// The name, or `OTHER`; for logs and metric labels, where cardinality must be bounded.
    pub fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other => "OTHER",
        }
    }
}

/// The protocol version a message arrived in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

impl Version {
    /// `HTTP/1.0` or `HTTP/1.1`; for logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        }
    }
}

/// The scheme of a request: named by an absolute-form target, else known by the listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`
    #[default]
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The reason phrase of a status; RFC 9110 §15, RFC 6585.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        511 => "Network Authentication Required",
        _ => "",
    }
}
