//! The combined and the common log format of nginx and Apache:
//!
//! ```text
//! client ident user [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.1" 200 2326 "referer" "agent"
//! ```
//!
//! What follows the status tells of the answer and is not read: of the request's size these formats
//! say nothing.

use super::{Line, Raw, calendar, unescape};

pub(super) fn read(line: &str) -> Result<Line<'_>, &'static str> {
    const EXPECTED: &str = "it is neither weft's log nor the combined format";
    // A user's name may hold a bracket; the time is what stands before the first quotation mark.
    let (before, rest) = line.split_once("] \"").ok_or(EXPECTED)?;
    let (_, time) = before.rsplit_once('[').ok_or(EXPECTED)?;
    let time = calendar::combined(time).ok_or("its time is not like 10/Oct/2000:13:55:36 -0700")?;
    let end = end_of_quoted(rest).ok_or(EXPECTED)?;
    let (request, rest) = rest.split_at(end);
    let mut words = rest[1..].split_ascii_whitespace();
    let status = words.next().and_then(|word| word.parse().ok());
    let status = status.ok_or("it has no status after its request")?;
    let parts = request.split_once(' ').and_then(|(method, rest)| {
        let (target, version) = rest.rsplit_once(' ')?;
        version.starts_with("HTTP/").then_some((method, target))
    });
    let Some((Some(method), Some(target))) =
        parts.map(|(method, target)| (unescape(method), unescape(target)))
    else {
        return Ok(Line::NoRequest);
    };
    Ok(Raw {
        time,
        is_whole_second: true,
        method,
        authority: None,
        target,
        status,
        received_bytes: None,
    }
    .line())
}

/// Where the quotation mark is that ends a text in which a backslash takes the meaning from one.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    })
}
