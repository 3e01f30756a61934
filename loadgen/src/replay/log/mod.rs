//! Lines of access logs: what was asked, when, and what came of it.
//!
//! | format | recognised by | time |
//! |---|---|---|
//! | weft's JSON | `{` | the end, in milliseconds; the start is `total_us` before it |
//! | weft's text | a date and `T` | the same |
//! | combined or common, of nginx and Apache | anything else | whole seconds, as it stands |
//!
//! Each line is looked at for itself, so a file may hold several formats. A line that is understood
//! may hold no request that could be sent: what came was not HTTP, or opened a tunnel.

mod calendar;
mod combined;
mod json;
mod text;

use std::borrow::Cow;

/// A request as it was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Logged<'a> {
    /// When it began, as far as the log tells: nanoseconds since 1970.
    pub time: u64,
    /// Does the log tell no more than the second?
    pub is_whole_second: bool,
    /// Method.
    pub method: Cow<'a, str>,
    /// What its `Host` said, if the log tells.
    pub authority: Option<Cow<'a, str>>,
    /// Path and query.
    pub path: Cow<'a, str>,
    /// Did the log leave out its query?
    pub lacks_query: bool,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// Bytes received, head and content, if the log tells.
    pub received_bytes: Option<u64>,
}

/// What a line holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A request.
    Request(Logged<'a>),
    /// Nothing that could be sent.
    NoRequest,
}

/// Reads a line, without its end.
///
/// *Errors:* why it is not understood.
pub(super) fn read(line: &[u8]) -> Result<Line<'_>, &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    match line.as_bytes() {
        [b'{', ..] => json::read(line),
        [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..] => text::read(line),
        _ => combined::read(line),
    }
}

/// What stands in weft's logs for a query that is not written.
const REDACTED: &str = "?[redacted]";
/// weft cuts longer values, which then end in three dots.
const WHOLE_BYTES_MAX: usize = 2 << 10;

/// What came before its parts were looked at.
struct Raw<'a> {
    time: u64,
    is_whole_second: bool,
    method: Cow<'a, str>,
    authority: Option<Cow<'a, str>>,
    target: Cow<'a, str>,
    status: u16,
    received_bytes: Option<u64>,
}

impl<'a> Raw<'a> {
    /// The line, if its request can be sent.
    fn line(self) -> Line<'a> {
        let is_cut = self.target.len() > WHOLE_BYTES_MAX && self.target.ends_with("...");
        let lacks_query = self.target.ends_with(REDACTED);
        let is_method = crate::target::method(&self.method).is_ok() && self.method != "CONNECT";
        let Some(path) = path(self.target).filter(|_| is_method && !is_cut) else {
            return Line::NoRequest;
        };
        Line::Request(Logged {
            time: self.time,
            is_whole_second: self.is_whole_second,
            method: self.method,
            authority: self.authority.filter(|authority| !authority.is_empty()),
            path,
            lacks_query,
            status: self.status,
            received_bytes: self.received_bytes,
        })
    }
}

/// Path and query of a request target, if it has a path that can be sent.
fn path(mut target: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if let Some(path) = target.strip_suffix(REDACTED) {
        target = path.to_owned().into();
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) || target.contains('#') {
        return None;
    }
    if target.starts_with('/') || target == "*" {
        return Some(target);
    }
    // Absolute form (RFC 9112 §3.2.2).
    let (_, rest) = target.split_once("://")?;
    let path = rest.find('/').map_or("/", |at| &rest[at..]);
    Some(path.to_owned().into())
}

/// Takes back escapes of the form `\xNN`, and a backslash before any other character.
///
/// *Errors:* what it stands for is not UTF-8.
fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('\\') {
        return Some(text.into());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    loop {
        match rest {
            [] => break,
            [b'\\', b'x', high, low, after @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let value = digit(*high)? * 16 + digit(*low)?;
                bytes.push(u8::try_from(value).ok()?);
                rest = after;
            }
            [b'\\', byte, after @ ..] => {
                bytes.push(match byte {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests;
