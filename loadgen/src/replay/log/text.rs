//! weft's text access log:
//!
//! ```text
//! time shard client listener route cluster endpoint "method authority target" status flags
//! failure received sent attempts total/added/pick/connect/send/first_byte/body(ms) "id" "agent"
//! ```

use super::{Line, Raw, calendar, unescape};

/// Words before the first quotation mark.
const WORDS_BEFORE: usize = 7;

pub(super) fn read(line: &str) -> Result<Line<'_>, &'static str> {
    const EXPECTED: &str = "it does not have the fields of weft's text log";
    let mut quoted = line.split('"');
    let (before, request) = (quoted.next().unwrap_or_default(), quoted.next());
    let after = quoted.next().ok_or(EXPECTED)?;
    if before.split_ascii_whitespace().count() != WORDS_BEFORE {
        return Err(EXPECTED);
    }
    let time = before.split(' ').next().unwrap_or_default();
    let end = calendar::rfc3339(time).ok_or("its time is not RFC 3339")?;
    let mut words = after.split_ascii_whitespace();
    let status = words.next().and_then(|word| word.parse().ok());
    let received = words.nth(2).and_then(|word| word.parse().ok());
    let total = words.nth(2).and_then(|phases| phases.split('/').next());
    let (Some(status), Some(received), Some(total)) = (status, received, total) else {
        return Err(EXPECTED);
    };
    // A dash stands for a phase that was not reached.
    let total_ms: f64 = total.parse().unwrap_or(0.0);
    let mut parts = request.unwrap_or_default().splitn(3, ' ').map(unescape);
    let mut part = || parts.next().flatten();
    let (Some(method), Some(authority), Some(target)) = (part(), part(), part()) else {
        return Ok(Line::NoRequest);
    };
    Ok(Raw {
        time: end.saturating_sub((total_ms * 1e6) as u64),
        is_whole_second: false,
        method,
        authority: Some(authority),
        target,
        status,
        received_bytes: Some(received),
    }
    .line())
}
