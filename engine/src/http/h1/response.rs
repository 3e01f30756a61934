//! Response heads: bytes to [`ResponseHead`].
//!
//! As strict as requests: an upstream that can make two readers disagree can poison what other
//! clients get. Empty lines before the status line, folded lines and bare LF are refused.

use super::{HeadLimits, Parsed, Slots, is_version, resume, take_fields};
use crate::http::collect::Notes;
use crate::http::head::Span;
use crate::http::{FieldName, HeadError, Method, ResponseHead, Version, framing, hop};

/// Reads a response head from the start of `bytes`; same contract as the request's `parse`.
///
/// *Input*: `request_method` is the method of the request that this response answers: it decides
/// whether there is a body.
/// *Output*: also for 1xx, after which the next head follows.
/// *Errors*: the response cannot be forwarded (502) and the connection is not reused.
/// *Standard*: RFC 9112 §4 to §6, RFC 9110 §15.
pub fn parse(
    bytes: &[u8],
    limits: &HeadLimits,
    request_method: Method,
    head: &mut ResponseHead,
) -> Result<Parsed, HeadError> {
    resume(
        bytes,
        limits.head_bytes,
        head,
        |head| &mut head.progress,
        |window, head| attempt(window, limits, request_method, head),
    )
}

/// Reads the whole head, if it is there.
fn attempt(
    bytes: &[u8],
    limits: &HeadLimits,
    request_method: Method,
    head: &mut ResponseHead,
) -> Result<Parsed, HeadError> {
    if matches!(bytes, [b'\r' | b'\n', ..]) {
        return Err(HeadError::LineEnd);
    }
    let mut slots: Slots<'_> = [const { std::mem::MaybeUninit::uninit() }; _];
    let slots = super::allowed(&mut slots, limits);
    let mut tokens = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut tokens, bytes, slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(httparse::Error::Version) => return version_error(bytes),
        Err(error) => return Err(super::tokenise_error(error)),
    };
    let text = bytes.get(..length).unwrap_or_default();
    let line_feed = memchr::memchr(b'\n', text).unwrap_or_default();
    let Some(line) = text
        .get(..line_feed)
        .and_then(|line| line.strip_suffix(b"\r"))
    else {
        return Err(HeadError::LineEnd);
    };
    // `HTTP/1.1 200 reason`; RFC 9112 §4 wants the second space even before an empty reason, but
    // its absence is common and has only one reading. A reason may hold bytes above 0x7f.
    let reason = line.get(b"HTTP/1.1 200 ".len()..).unwrap_or_default();
    head.reason = if reason.is_empty() {
        Span::default()
    } else {
        Span::within(bytes, reason)
    };
    let mut notes = Notes::default();
    take_fields(tokens.headers, text, bytes, &mut head.fields, &mut notes)?;
    judge(&tokens, &notes, request_method, bytes, head)?;
    Ok(Parsed::Complete { bytes: length })
}

/// Everything that is not syntax.
fn judge(
    tokens: &httparse::Response<'_, '_>,
    notes: &Notes,
    request_method: Method,
    bytes: &[u8],
    head: &mut ResponseHead,
) -> Result<(), HeadError> {
    head.version = match tokens.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(HeadError::Version),
    };
    // RFC 9110 §15: the first digit is the class. Classes above 5 are final and forwarded.
    head.status = tokens
        .code
        .filter(|&code| code >= 100)
        .ok_or(HeadError::Line)?;
    let (body, described) =
        framing::of_response(request_method, head.status, head.version, notes, bytes)?;
    head.body = body;
    head.described_length = described;
    let options = hop::connection(notes, &mut head.fields, bytes)?;
    head.keep_alive = options.persists(head.version) && body != framing::BodyLength::UntilClose;
    head.keep_alive_timeout = hop::keep_alive_timeout(notes, bytes);
    // RFC 9110 §15.2.2: a switch names its protocol; HTTP/1.0 knows none (§7.8).
    head.upgrade = match head.status {
        101 if head.version == Version::Http10 => return Err(HeadError::Connection),
        101 => Some(
            notes
                .of(FieldName::Upgrade)
                .single()
                .ok_or(HeadError::Connection)?,
        ),
        _ => None,
    };
    Ok(())
}

/// A version that is not ours, or no status line at all; undecided until the line is there.
fn version_error(bytes: &[u8]) -> Result<Parsed, HeadError> {
    match bytes.get(..b"HTTP/1.1".len()) {
        // Ours, so what follows it is wrong.
        Some(b"HTTP/1.0" | b"HTTP/1.1") => Err(HeadError::Line),
        Some(version) if is_version(version) => Err(HeadError::Version),
        Some(_) => Err(HeadError::Line),
        None => Ok(Parsed::Partial),
    }
}
