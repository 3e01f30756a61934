//! One line per exchange, as JSON or as text, into a caller's buffer.
//!
//! In: an [`Outcome`] and the names and bytes that go with it. Out: one line, ended by a newline,
//! appended to a reused `Vec<u8>`; no allocation beyond its growth. Bytes from the network can
//! neither end a line nor pass for another field: JSON strings are escaped to valid UTF-8 without
//! control characters, text values to printable ASCII without quotes or backslashes. Values longer
//! than [`ACCESS_LOG_VALUE_BYTES_MAX`] are cut and end in `...`. The query is left out unless
//! asked for, because that is where secrets travel.
//!
//! Times are RFC 3339 in UTC with milliseconds; durations are microseconds in JSON
//! (`total_us`), milliseconds in text.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use super::failure::Failure;
use super::flag::ResponseFlags;
use super::outcome::Outcome;
use super::times::Phase;
use crate::authorize::external::ExternalResult;
use crate::limits::ACCESS_LOG_VALUE_BYTES_MAX;
use crate::route::RetryReason;

/// What one line tells besides the outcome. Names are those of the outcome's ids.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// When the exchange ended.
    pub wall: SystemTime,
    /// The shard that served it.
    pub shard: u32,
    /// The listener's name.
    pub listener: &'a str,
    /// The route's name, if one was found.
    pub route: Option<&'a str>,
    /// The cluster's name, if the route forwards.
    pub cluster: Option<&'a str>,
    /// The address of the last attempt's endpoint.
    pub endpoint: Option<&'a str>,
    /// The client's address; none over a Unix socket.
    pub client: Option<SocketAddr>,
    /// Who the client has proved to be.
    pub principal: Option<&'a str>,
    /// What denied the request, as `level/policy`.
    pub policy: Option<&'a str>,
    /// The rate limit that refused it, as `level/name`.
    pub limit: Option<&'a str>,
    /// What is audited and would have denied it.
    pub audit: Option<&'a str>,
    /// The method as received; empty if there was no readable head, as for all bytes below.
    pub method: &'a [u8],
    /// The authority as received.
    pub authority: &'a [u8],
    /// The path as matched and forwarded.
    pub path: &'a [u8],
    /// The query as received, without `?`.
    pub query: Option<&'a [u8]>,
    /// The request id sent to the upstream.
    pub request_id: &'a [u8],
    /// The client's `User-Agent`.
    pub user_agent: &'a [u8],
    /// What happened.
    pub outcome: &'a Outcome,
}

/// What becomes of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Query {
    /// Written as `?[redacted]`.
    #[default]
    Redact,
    /// Written as it is.
    Keep,
}

/// What stands for a query that is not written.
const REDACTED: &[u8] = b"[redacted]";

/// Appends the line as a JSON object.
pub fn json(out: &mut Vec<u8>, line: &AccessLine<'_>, query: Query) {
    let outcome = line.outcome;
    out.extend_from_slice(b"{\"time\":\"");
    write_time(out, line.wall);
    out.push(b'"');
    number(out, "shard", u64::from(line.shard));
    string(out, "listener", line.listener.as_bytes());
    optional(out, "route", line.route);
    optional(out, "cluster", line.cluster);
    optional(out, "endpoint", line.endpoint);
    if let Some(client) = line.client {
        key(out, "client");
        out.push(b'"');
        write_address(out, client);
        out.push(b'"');
    }
    optional(out, "principal", line.principal);
    optional(out, "policy", line.policy);
    optional(out, "audit", line.audit);
    optional(out, "limit", line.limit);
    let external = outcome.external.map(ExternalResult::label);
    optional(out, "external_authorization", external);
    present(out, "method", line.method);
    present(out, "authority", line.authority);
    json_target(out, line, query);
    number(out, "status", u64::from(outcome.status));
    key(out, "flags");
    out.push(b'"');
    write_flags(out, outcome.flags());
    out.push(b'"');
    optional(out, "failure", outcome.failure.map(Failure::label));
    present(out, "detail", outcome.detail.as_bytes());
    number(out, "received_bytes", outcome.received_bytes);
    number(out, "sent_bytes", outcome.sent_bytes);
    number(out, "attempts", u64::from(outcome.attempts));
    retry_reasons(out, outcome);
    key(out, "reused");
    out.extend_from_slice(if outcome.is_reused { b"true" } else { b"false" });
    let phases = outcome.times.phases();
    for phase in Phase::ALL {
        if let Some(nanos) = phases.nanos(phase) {
            let (micros, rest) = (nanos / 1_000, nanos % 1_000 / 100);
            print(
                out,
                format_args!(",\"{}_us\":{micros}.{rest}", phase.label()),
            );
        }
    }
    present(out, "request_id", line.request_id);
    present(out, "user_agent", line.user_agent);
    out.extend_from_slice(b"}\n");
}

/// Appends the line as text: fixed places separated by spaces, what clients send in quotes.
///
/// ```text
/// time shard client listener route cluster endpoint "method authority target" status flags
/// failure received sent attempts total/added/pick/connect/send/first_byte/body(ms) "id" "agent"
/// policy audit limit external_authorization
/// ```
pub fn text(out: &mut Vec<u8>, line: &AccessLine<'_>, query: Query) {
    let outcome = line.outcome;
    write_time(out, line.wall);
    out.push(b' ');
    write_number(out, u64::from(line.shard), 1);
    out.push(b' ');
    match line.client {
        Some(client) => write_address(out, client),
        None => out.push(b'-'),
    }
    for name in [Some(line.listener), line.route, line.cluster, line.endpoint] {
        out.push(b' ');
        word(out, name);
    }
    out.extend_from_slice(b" \"");
    escape_text(out, line.method);
    out.push(b' ');
    escape_text(out, line.authority);
    out.push(b' ');
    escape_text(out, line.path);
    if let Some(bytes) = line.query {
        out.push(b'?');
        escape_text(
            out,
            if query == Query::Keep {
                bytes
            } else {
                REDACTED
            },
        );
    }
    out.extend_from_slice(b"\" ");
    write_number(out, u64::from(outcome.status), 1);
    out.push(b' ');
    write_flags(out, outcome.flags());
    out.push(b' ');
    word(out, outcome.failure.map(Failure::label));
    let attempts = u64::from(outcome.attempts);
    for count in [outcome.received_bytes, outcome.sent_bytes, attempts] {
        out.push(b' ');
        write_number(out, count, 1);
    }
    let phases = outcome.times.phases();
    for phase in Phase::ALL {
        out.push(if phase == Phase::Total { b' ' } else { b'/' });
        match phases.nanos(phase) {
            Some(nanos) => {
                write_number(out, nanos / 1_000_000, 1);
                out.push(b'.');
                write_number(out, nanos % 1_000_000 / 1_000, 3);
            }
            None => out.push(b'-'),
        }
    }
    out.extend_from_slice(b" \"");
    escape_text(out, line.request_id);
    out.extend_from_slice(b"\" \"");
    escape_text(out, line.user_agent);
    out.push(b'"');
    let external = outcome.external.map(ExternalResult::label);
    for name in [line.policy, line.audit, line.limit, external] {
        out.push(b' ');
        word(out, name);
    }
    out.push(b'\n');
}

/// Why there was more than one attempt; nothing when there was not.
fn retry_reasons(out: &mut Vec<u8>, outcome: &Outcome) {
    let counts = RetryReason::ALL.into_iter().zip(outcome.retries);
    let mut reasons = counts.filter(|(_, count)| *count > 0).peekable();
    if reasons.peek().is_some() {
        key(out, "retries");
        out.push(b'{');
        for (place, (reason, count)) in reasons.enumerate() {
            if place > 0 {
                out.push(b',');
            }
            print(out, format_args!("\"{}\":{count}", reason.label()));
        }
        out.push(b'}');
    }
    if outcome.is_budget_exhausted {
        key(out, "retry_budget_exhausted");
        out.extend_from_slice(b"true");
    }
}

fn json_target(out: &mut Vec<u8>, line: &AccessLine<'_>, query: Query) {
    if line.path.is_empty() && line.query.is_none() {
        return;
    }
    key(out, "path");
    out.push(b'"');
    escape_json(out, line.path);
    if let Some(bytes) = line.query {
        out.push(b'?');
        escape_json(
            out,
            if query == Query::Keep {
                bytes
            } else {
                REDACTED
            },
        );
    }
    out.push(b'"');
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn string(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    key(out, name);
    out.push(b'"');
    escape_json(out, value);
    out.push(b'"');
}

fn optional(out: &mut Vec<u8>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        string(out, name, value.as_bytes());
    }
}

fn present(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !value.is_empty() {
        string(out, name, value);
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    write_number(out, value, 1);
}

/// A name of the configuration as one word: spaces would shift the places after it.
fn word(out: &mut Vec<u8>, name: Option<&str>) {
    let name = name.filter(|name| !name.is_empty()).unwrap_or("-");
    for (place, part) in name.split(' ').enumerate() {
        if place > 0 {
            out.extend_from_slice(b"\\x20");
        }
        escape_text(out, part.as_bytes());
    }
}

fn write_flags(out: &mut Vec<u8>, flags: ResponseFlags) {
    if flags.is_empty() {
        out.push(b'-');
    } else {
        print(out, format_args!("{flags}"));
    }
}

fn write_address(out: &mut Vec<u8>, address: SocketAddr) {
    let SocketAddr::V4(address) = address else {
        return print(out, format_args!("{address}"));
    };
    for (place, octet) in address.ip().octets().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        write_number(out, u64::from(octet), 1);
    }
    out.push(b':');
    write_number(out, u64::from(address.port()), 1);
}

/// Appends `value` in decimal with at least `width` digits. A third of the cost of `format_args!`,
/// and a line has two dozen numbers.
fn write_number(out: &mut Vec<u8>, value: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let (mut rest, mut used) = (value, 0);
    for digit in digits.iter_mut().rev() {
        if rest == 0 {
            break;
        }
        *digit = b'0' | u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        used += 1;
    }
    let start = digits.len().saturating_sub(width.max(used));
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

fn print(out: &mut Vec<u8>, arguments: fmt::Arguments<'_>) {
    // Writing into a Vec cannot fail.
    let _ = out.write_fmt(arguments);
}

/// Appends `value` as the inside of a JSON string (RFC 8259 section 7). Control characters, C1
/// controls and line separators, which some readers take for the end of a line, are escaped;
/// bytes that are not UTF-8 become U+FFFD.
pub fn escape_json(out: &mut Vec<u8>, value: &[u8]) {
    let (value, is_cut) = cut(value);
    let plain = value.iter().take_while(|byte| is_plain(**byte)).count();
    let (plain, value) = value.split_at(plain);
    out.extend_from_slice(plain);
    for chunk in value.utf8_chunks() {
        escape_json_str(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    if is_cut {
        out.extend_from_slice(b"...");
    }
}

/// Printable ASCII without quotes and backslashes: what almost all values consist of.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')
}

fn escape_json_str(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(needs_escape) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        match chars.next() {
            Some('"') => out.extend_from_slice(b"\\\""),
            Some('\\') => out.extend_from_slice(b"\\\\"),
            Some(other) => print(out, format_args!("\\u{:04x}", u32::from(other))),
            None => {}
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Control characters (C0, DEL, C1), quotes, backslashes, and the separators and directional
/// overrides that make a line look like something else. All are below U+10000, so four digits do.
fn needs_escape(char: char) -> bool {
    match char {
        '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{feff}' => true,
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => char.is_control(),
    }
}

/// Appends `value` as printable ASCII: every other byte, quotes and backslashes as `\xNN`.
pub fn escape_text(out: &mut Vec<u8>, value: &[u8]) {
    let (value, is_cut) = cut(value);
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| !is_plain(*byte)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else {
            break;
        };
        print(out, format_args!("\\x{byte:02x}"));
        rest = after;
    }
    out.extend_from_slice(rest);
    if is_cut {
        out.extend_from_slice(b"...");
    }
}

fn cut(value: &[u8]) -> (&[u8], bool) {
    match value.get(..ACCESS_LOG_VALUE_BYTES_MAX) {
        Some(start) if value.len() > ACCESS_LOG_VALUE_BYTES_MAX => (start, true),
        _ => (value, false),
    }
}

/// Appends a time as RFC 3339 in UTC with milliseconds: `2026-11-23T01:43:33.120Z`.
pub fn write_time(out: &mut Vec<u8>, wall: SystemTime) {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = civil(seconds / 86_400);
    let second = seconds % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let parts = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (hour, 2, b':'),
        (minute, 2, b':'),
        (second, 2, b'.'),
        (u64::from(millis), 3, b'Z'),
    ];
    for (value, width, end) in parts {
        write_number(out, value, width);
        out.push(end);
    }
}

/// The same as text.
pub fn time_text(wall: SystemTime) -> String {
    let mut text = Vec::new();
    write_time(&mut text, wall);
    String::from_utf8(text).unwrap_or_default()
}

/// Year, month and day of a number of days since 1970-01-01. Years are counted from March, so
/// that the leap day is the last of its year; 400 such years are 146,097 days.
const fn civil(days: u64) -> (u64, u64, u64) {
    const ERA_DAYS: u64 = 146_097;
    const DAYS_BEFORE_1970: u64 = 719_468;
    let days = days.saturating_add(DAYS_BEFORE_1970);
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let leap_days = day_of_era / 1_460 + day_of_era / (ERA_DAYS - 1);
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let year_start = 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
    let day_of_year = day_of_era - year_start;
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
#[path = "access_log_tests.rs"]
mod tests;
