//! Request heads: bytes to [`RequestHead`].
//!
//! `httparse` finds the tokens; what it tolerates and RFC 9112 does not (bare LF, any number of
//! empty lines first) is refused here, then target, framing and hop-by-hop rules are applied. A
//! head that passes is safe to forward: whoever reads it next reads the same.

use super::{HeadLimits, Parsed, Slots, UnderscoreNames, is_version, resume, take_fields};
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
    let Some(skipped) = empty_lines(bytes)? else {
        return Ok(Parsed::Partial);
    };
    let text = bytes.get(skipped..).unwrap_or_default();
    let line_limit = limits.request_line_bytes.saturating_add(2);
    let line_window = text.get(..line_limit).unwrap_or(text);
    let Some(line_feed) = memchr::memchr(b'\n', line_window) else {
        return unfinished_line(line_window, limits);
    };
    let line = text.get(..line_feed).unwrap_or_default();

    let mut slots: Slots<'_> = [const { std::mem::MaybeUninit::uninit() }; _];
    let slots = super::allowed(&mut slots, limits);
    let mut tokens = httparse::Request::new(&mut []);
    let length = match tokens.parse_with_uninit_headers(text, slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(httparse::Error::Version) => return Err(version_error(line)),
        Err(error) => return Err(super::tokenise_error(error)),
    };
    // RFC 9112 §2.2: a line ends in CRLF; a bare LF is refused, not repaired.
    if !line.ends_with(b"\r") {
        return Err(HeadError::LineEnd);
    }
    let mut notes = Notes::default();
    let text = text.get(..length).unwrap_or_default();
    take_fields(tokens.headers, text, bytes, &mut head.fields, &mut notes)?;
    judge(&tokens, &notes, bytes, limits, head)?;
    Ok(Parsed::Complete {
        bytes: skipped.saturating_add(length),
    })
}

/// Everything that is not syntax.
fn judge(
    tokens: &httparse::Request<'_, '_>,
    notes: &Notes,
    bytes: &[u8],
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<(), HeadError> {
    let method = tokens.method.unwrap_or_default().as_bytes();
    let target = tokens.path.unwrap_or_default().as_bytes();
    head.method = Method::from_bytes(method);
    head.method_span = Span::within(bytes, method);
    head.version = match tokens.version {
        Some(0) => Version::Http10,
        Some(1) => Version::Http11,
        _ => return Err(HeadError::Version),
    };
    for line in &head.fields {
        underscores(line, bytes, limits.names)?;
    }
    target::read(
        head.method,
        target,
        bytes,
        limits.target,
        &mut head.path,
        &mut head.target,
    )?;
    target::settle_host(
        &mut head.target,
        head.version,
        notes.of(FieldName::Host),
        bytes,
    )?;
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
fn empty_lines(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
    let mut rest = bytes;
    for _ in 0..=LEADING_LINES_MAX {
        match rest {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', tail @ ..] => rest = tail,
            [b'\r' | b'\n', ..] => return Err(HeadError::LineEnd),
            _ => return Ok(Some(bytes.len().saturating_sub(rest.len()))),
        }
    }
    Err(HeadError::LineEnd)
}

/// The request line has not ended: wrong already, too long, or just not here yet.
fn unfinished_line(line: &[u8], limits: &HeadLimits) -> Result<Parsed, HeadError> {
    match httparse::Request::new(&mut []).parse(line) {
        // A version can be judged only when all of it is there.
        Ok(_) | Err(httparse::Error::Version) => {}
        Err(error) => return Err(super::tokenise_error(error)),
    }
    if line.len() >= limits.request_line_bytes.saturating_add(2) {
        // RFC 9112 §3: 414, as §4.1 of RFC 9110 recommends at least 8000 bytes.
        return Err(HeadError::LineTooLong);
    }
    Ok(Parsed::Partial)
}

/// A version that is not ours, or no version at all; RFC 9110 §15.6.6.
fn version_error(line: &[u8]) -> HeadError {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some(version), None) if is_version(version) => HeadError::Version,
        _ => HeadError::Line,
    }
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
