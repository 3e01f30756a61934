//! How long is this body: RFC 9112 §6.3, in one place for requests and responses.
//!
//! In: the method or status, the version and what [`Notes`] collected about `Content-Length` and
//! `Transfer-Encoding`. Out: exactly one [`BodyLength`], or the reason why the message has more
//! than one reading.
//!
//! Stricter than the RFC, because a message that two receivers can read differently is how
//! requests are smuggled (RFC 9112 §11.2):
//! - a repeated `Content-Length`, or a list such as `5, 5`, is refused even when all values agree;
//! - the only transfer coding is a single `chunked`, written once and without parameters;
//! - `Content-Length` together with `Transfer-Encoding` is refused instead of repaired;
//! - `Transfer-Encoding` in an HTTP/1.0 message is refused;
//! - a TRACE or CONNECT request announces no body.

use super::collect::{Notes, Once};
use super::field::FieldName;
use super::h1::scan;
use super::{Method, Version};
use crate::limits::BODY_BYTES_MAX;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyLength {
    /// There is no body.
    #[default]
    None,
    /// Exactly this many bytes; may be 0.
    Sized(u64),
    /// Chunks, RFC 9112 §7.1.
    Chunked,
    /// All bytes until the peer closes; responses only.
    UntilClose,
}

impl BodyLength {
    /// Are there no bytes to relay?
    pub fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Sized(0))
    }
}

/// Why the length of a body is ambiguous or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// `Content-Length` is not a number of digits only, or too large.
    LengthInvalid,
    /// More than one `Content-Length`, or a list of them.
    LengthRepeated,
    /// `Content-Length` and `Transfer-Encoding` together.
    LengthAndCoding,
    /// `Transfer-Encoding` does not end in `chunked`, repeats it, or is malformed.
    CodingInvalid,
    /// `Transfer-Encoding` is well-formed but names a coding other than `chunked`.
    CodingUnsupported,
    /// `Transfer-Encoding` in an HTTP/1.0 message.
    CodingInHttp10,
    /// A TRACE or CONNECT request announces a body.
    BodyForbidden,
}

impl FramingError {
    /// The status that answers a request refused for this reason.
    pub fn status(self) -> u16 {
        match self {
            Self::LengthInvalid
            | Self::LengthRepeated
            | Self::LengthAndCoding
            | Self::CodingInvalid
            | Self::CodingInHttp10
            | Self::BodyForbidden => 400,
            // RFC 9112 §6.1: a transfer coding the receiver does not understand.
            Self::CodingUnsupported => 501,
        }
    }

    /// A metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::LengthInvalid => "length_invalid",
            Self::LengthRepeated => "length_repeated",
            Self::LengthAndCoding => "length_and_coding",
            Self::CodingInvalid => "coding_invalid",
            Self::CodingUnsupported => "coding_unsupported",
            Self::CodingInHttp10 => "coding_in_http10",
            Self::BodyForbidden => "body_forbidden",
        }
    }
}

/// The length of a request's body.
pub(super) fn of_request(
    method: Method,
    version: Version,
    notes: &Notes,
    bytes: &[u8],
) -> Result<BodyLength, FramingError> {
    // Rules 1 and 2 concern responses; rule 8 (no length: no body) is `announced`'s `None`.
    let body = announced(version, notes, bytes)?.unwrap_or(BodyLength::None);
    match method {
        // RFC 9110 §9.3.6 and §9.3.8. A body here is read as a body by some and as the next
        // request or as tunnel bytes by others. `Content-Length: 0` does no harm.
        Method::Connect | Method::Trace if !body.is_empty() => Err(FramingError::BodyForbidden),
        Method::Connect | Method::Trace => Ok(BodyLength::None),
        _ => Ok(body),
    }
}

/// The length of a response's body, and the length it describes if it has none by rule.
pub(super) fn of_response(
    request_method: Method,
    status: u16,
    version: Version,
    notes: &Notes,
    bytes: &[u8],
) -> Result<(BodyLength, Option<u64>), FramingError> {
    // Rule 1, 1xx and 204: they never have a body, whatever their fields say; none of these
    // fields is forwarded (RFC 9110 §8.6).
    // Rule 2: a 2xx response to CONNECT becomes a tunnel; both fields are ignored.
    if matches!(status, 100..=199 | 204)
        || (request_method == Method::Connect && matches!(status, 200..=299))
    {
        return Ok((BodyLength::None, None));
    }
    let announced = announced(version, notes, bytes)?;
    // Rule 1, HEAD and 304: the fields describe the body that a GET would have had.
    if request_method == Method::Head || status == 304 {
        return Ok(match announced {
            Some(BodyLength::Sized(length)) => (BodyLength::None, Some(length)),
            _ => (BodyLength::None, None),
        });
    }
    // Rule 8: neither field.
    Ok((announced.unwrap_or(BodyLength::UntilClose), None))
}

/// What `Transfer-Encoding` and `Content-Length` announce: rules 3 to 6, for both directions.
fn announced(
    version: Version,
    notes: &Notes,
    bytes: &[u8],
) -> Result<Option<BodyLength>, FramingError> {
    let coding = notes.of(FieldName::TransferEncoding);
    let length = notes.of(FieldName::ContentLength);
    if coding.count() > 0 {
        // Rule 3: "ought to be handled as an error".
        if length.count() > 0 {
            return Err(FramingError::LengthAndCoding);
        }
        // RFC 9112 §6.1: such framing is to be treated as faulty.
        if version == Version::Http10 {
            return Err(FramingError::CodingInHttp10);
        }
        return chunked_only(coding, bytes).map(Some);
    }
    match length.count() {
        0 => Ok(None),
        1 => content_length(length.first().of(bytes)).map(|length| Some(BodyLength::Sized(length))),
        // Rule 5 would allow equal values.
        _ => Err(FramingError::LengthRepeated),
    }
}

/// Rule 4: `Transfer-Encoding` must be exactly `chunked`.
fn chunked_only(coding: Once, bytes: &[u8]) -> Result<BodyLength, FramingError> {
    let value = coding.first().of(bytes);
    if coding.count() > 1 {
        return Err(FramingError::CodingInvalid);
    }
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(BodyLength::Chunked);
    }
    // Anything else is refused; what remains is which status tells the client why.
    let is_chunked = |name: &[u8]| name.eq_ignore_ascii_case(b"chunked");
    let mut codings = value.split(|&byte| byte == b',').map(scan::trim);
    let ends_chunked = codings.next_back().is_some_and(is_chunked);
    if ends_chunked && codings.all(|name| scan::is_token(name) && !is_chunked(name)) {
        return Err(FramingError::CodingUnsupported);
    }
    Err(FramingError::CodingInvalid)
}

/// `Content-Length = 1*DIGIT`, RFC 9110 §8.6.
fn content_length(value: &[u8]) -> Result<u64, FramingError> {
    let length = scan::decimal(value).filter(|&length| length <= BODY_BYTES_MAX);
    length.ok_or_else(|| match memchr::memchr(b',', value) {
        Some(_) => FramingError::LengthRepeated,
        None => FramingError::LengthInvalid,
    })
}
