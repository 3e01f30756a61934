//! Request heads: bytes to [`RequestHead`].
//!
//! The line and the fields are taken apart first, every byte of them judged on the way; then
//! target, framing and hop-by-hop rules are applied. A head that passes is safe to forward: whoever
//! reads it next reads the same.

use super::{HeadLimits, Parsed, UnderscoreNames, fields, is_version, line_end, resume, scan};
use crate::http::collect::Notes;
use crate::http::field::{FieldLine, FieldName};
use crate::http::head::Span;
use crate::http::{HeadError, Method, RequestHead, Version, framing, hop, target};
use crate::limits::LEADING_LINES_MAX;

/// Reads a request head from the start of `bytes`.
///
/// *Input*: everything received so far of this message; after [`Parsed::Partial`] call again with
/// the same bytes and more. `head` remembers how far it got; give it [`RequestHead::clear`] when a
/// partly read message is abandoned.
/// *Output*: `Complete` fills `head` and tells how many bytes the head takes, empty lines before
/// it included. After anything else the contents of `head` have no meaning.
/// *Errors*: the request cannot be forwarded and the connection cannot be read further; the answer
/// is [`HeadError::status`], then close.
/// *Cost*: linear in the head, also when it arrives one byte at a time; no allocation once `head`
/// has grown to what the traffic needs.
/// *Standard*: RFC 9112 §2 to §6, RFC 9110 §5 and §7.
pub fn parse(
    bytes: &[u8],
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<Parsed, HeadError> {
    resume(
        bytes,
        limits.head_bytes,
        head,
        |head| &mut head.progress,
        |window, head| attempt(window, limits, head),
    )
}

/// Reads the whole head, if it is there.
fn attempt(bytes: &[u8], limits: &HeadLimits, head: &mut RequestHead) -> Result<Parsed, HeadError> {
    let Some(text) = behind_empty_lines(bytes)? else {
        return Ok(Parsed::Partial);
    };
    let Some(line) = bounded_line(text, limits)? else {
        return Ok(Parsed::Partial);
    };
    let rest = text.get(line.length..).unwrap_or_default();
    let mut notes = Notes::default();
    let fields = &mut head.fields;
    let Some(behind) = fields::read(rest, bytes, limits.field_count, fields, &mut notes)? else {
        return Ok(Parsed::Partial);
    };
    judge(&line, &notes, bytes, limits, head)?;
    Ok(Parsed::Complete {
        bytes: bytes.len().saturating_sub(behind.len()),
    })
}

/// Everything that is not syntax.
fn judge(
    line: &RequestLine<'_>,
    notes: &Notes,
    bytes: &[u8],
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), HeadError> {
    head.method = Method::from_bytes(line.method);
    head.method_span = Span::within(bytes, line.method);
    head.version = line.version;
    for field in &head.fields {
        underscores(field, bytes, limits.names)?;
    }
    let (path, target) = (&mut head.path, &mut head.target);
    target::read(head.method, line.target, bytes, limits.target, path, target)?;
    target::settle_host(target, head.version, notes.of(FieldName::Host), bytes)?;
    head.body = framing::of_request(head.method, head.version, notes, bytes)?;
    let options = hop::connection(notes, &mut head.fields, bytes)?;
    head.keep_alive = options.persists(head.version);
    head.upgrade = hop::upgrade(notes, options, head.version, head.body, bytes);
    head.expects_continue =
        hop::expects_continue(notes, head.version, head.body, &mut head.fields, bytes)?;
    head.max_forwards = hop::max_forwards(head.method, notes, bytes)?;
    Ok(())
}

/// RFC 9112 §2.2: at least one empty line before the request line is ignored. `None`: undecided.
fn behind_empty_lines(bytes: &[u8]) -> Result<Option<&[u8]>, HeadError> {
    let mut rest = bytes;
    for _ in 0..=LEADING_LINES_MAX {
        match rest {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', tail @ ..] => rest = tail,
            [b'\r' | b'\n', ..] => return Err(HeadError::LineEnd),
            _ => return Ok(Some(rest)),
        }
    }
    Err(HeadError::LineEnd)
}

/// A request line taken apart.
struct RequestLine<'a> {
    method: &'a [u8],
    /// Text without controls and spaces.
    target: &'a [u8],
    version: Version,
    /// With its CRLF.
    length: usize,
}

/// Reads the request line, which may be as long as `limits` allows.
fn bounded_line<'a>(
    text: &'a [u8],
    limits: &HeadLimits,
) -> Result<Option<RequestLine<'a>>, HeadError> {
    let length_max = limits.request_line_bytes.saturating_add(2);
    let window = text.get(..length_max).unwrap_or(text);
    match request_line(window)? {
        // RFC 9112 §3: 414, as §4.1 of RFC 9110 recommends at least 8000 bytes.
        None if window.len() == length_max => Err(HeadError::LineTooLong),
        line => Ok(line),
    }
}

/// `method SP request-target SP HTTP-version CRLF`, RFC 9112 §3.
fn request_line(bytes: &[u8]) -> Result<Option<RequestLine<'_>>, HeadError> {
    // RFC 9110 §9.1: a method is a token.
    let is_token_byte = |&&byte: &&u8| scan::is_token_byte(byte);
    let length = bytes.iter().take_while(is_token_byte).count();
    let Some((method, rest)) = word(bytes, length)? else {
        return Ok(None);
    };
    let Some((target, rest)) = word(rest, scan::until::<0x21, 0x7f>(rest))? else {
        return Ok(None);
    };
    if !target.is_ascii() && str::from_utf8(target).is_err() {
        return Err(HeadError::Line);
    }
    let (version, rest) = match rest.split_first_chunk() {
        Some((b"HTTP/1.1", rest)) => (Version::Http11, rest),
        Some((b"HTTP/1.0", rest)) => (Version::Http10, rest),
        _ => return other_version(rest).map_or(Ok(None), Err),
    };
    let behind = line_end(rest, HeadError::LineEnd)?;
    Ok(behind.map(|behind| RequestLine {
        method,
        target,
        version,
        length: bytes.len().saturating_sub(behind.len()),
    }))
}

/// A word, and what is behind it.
type Word<'a> = (&'a [u8], &'a [u8]);

/// Takes a word of this length, not empty, and the one space that ends it off the front.
#[inline]
fn word(bytes: &[u8], length: usize) -> Result<Option<Word<'_>>, HeadError> {
    match bytes.split_at_checked(length) {
        Some((word, [b' ', behind @ ..])) if !word.is_empty() => Ok(Some((word, behind))),
        Some((_, [])) => Ok(None),
        _ => Err(HeadError::Line),
    }
}

/// A version that is not ours, or no version at all; RFC 9110 §15.6.6. `None`: all of it has to be
/// there before it can be judged.
#[cold]
fn other_version(rest: &[u8]) -> Option<HeadError> {
    let line = rest.get(..memchr::memchr(b'\n', rest)?)?;
    let version = line.strip_suffix(b"\r").unwrap_or(line);
    Some(if is_version(version) {
        HeadError::Version
    } else {
        HeadError::Line
    })
}

/// Applies the rule for names with `_`; see [`UnderscoreNames`].
#[inline]
fn underscores(line: &FieldLine, bytes: &[u8], rule: UnderscoreNames) -> Result<(), HeadError> {
    if !matches!(line.name, FieldName::Other | FieldName::XForwardedOther) {
        return Ok(());
    }
    let name = line.name_span.of(bytes);
    if memchr::memchr(b'_', name).is_none() {
        return Ok(());
    }
    match rule {
        UnderscoreNames::Allow if !imitates_known(name) => Ok(()),
        UnderscoreNames::Allow | UnderscoreNames::Refuse => Err(HeadError::FieldName),
    }
}

/// Is the name a known one when `_` is read as `-`?
fn imitates_known(name: &[u8]) -> bool {
    let mut dashed = [0; 64];
    for (to, &from) in dashed.iter_mut().zip(name) {
        *to = if from == b'_' { b'-' } else { from };
    }
    let dashed = dashed.get(..name.len()).unwrap_or(&dashed);
    FieldName::recognise(dashed) != FieldName::Other
}
