//! Response heads: bytes to [`ResponseHead`].
//!
//! As strict as requests: an upstream that can make two readers disagree can poison what other
//! clients get. Empty lines before the status line, folded lines and bare LF are refused.

use super::{HeadLimits, Parsed, fields, is_version, line_end, resume, scan};
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
    let Some(rest) = status_line(bytes, head)? else {
        return Ok(Parsed::Partial);
    };
    let mut notes = Notes::default();
    let fields = &mut head.fields;
    let Some(behind) = fields::read(rest, bytes, limits.field_count, fields, &mut notes)? else {
        return Ok(Parsed::Partial);
    };
    judge(&notes, request_method, bytes, head)?;
    Ok(Parsed::Complete {
        bytes: bytes.len().saturating_sub(behind.len()),
    })
}

/// `HTTP-version SP status-code SP [ reason-phrase ] CRLF`, RFC 9112 §4. Gives what is behind it.
fn status_line<'a>(
    bytes: &'a [u8],
    head: &mut ResponseHead,
) -> Result<Option<&'a [u8]>, HeadError> {
    let Some((version, rest)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    head.version = match version {
        b"HTTP/1.1" => Version::Http11,
        b"HTTP/1.0" => Version::Http10,
        other if is_version(other) => return Err(HeadError::Version),
        _ => return Err(HeadError::Line),
    };
    // RFC 9110 §15: the first digit is the class. Classes above 5 are final and forwarded.
    let [
        b' ',
        class @ b'1'..=b'9',
        tens @ b'0'..=b'9',
        ones @ b'0'..=b'9',
        rest @ ..,
    ] = rest
    else {
        return match rest {
            [] | [b' '] | [b' ', b'1'..=b'9'] | [b' ', b'1'..=b'9', b'0'..=b'9'] => Ok(None),
            _ => Err(HeadError::Line),
        };
    };
    head.status = [class, tens, ones].into_iter().fold(0, |status, digit| {
        let digit = u16::from(digit.wrapping_sub(b'0'));
        status.wrapping_mul(10).wrapping_add(digit)
    });
    // The second space is wanted even before an empty reason, but its absence is common and has
    // only one reading. A reason may hold bytes above 0x7f.
    let (reason, rest) = match rest {
        [b' ', text @ ..] => text.split_at_checked(scan::value_length(text)),
        _ => rest.split_at_checked(0),
    }
    .unwrap_or_default();
    head.reason = Span::within(bytes, reason);
    line_end(rest, HeadError::Line)
}

/// Everything that is not syntax.
fn judge(
    notes: &Notes,
    request_method: Method,
    bytes: &[u8],
    head: &mut ResponseHead,
) -> Result<(), HeadError> {
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
