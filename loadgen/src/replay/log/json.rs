//! weft's JSON access log. Keys that replaying does not need are passed over.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Line, Raw, calendar};

/// What is read of a line.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    time: Cow<'a, str>,
    /// Microseconds from the request's first byte to the end of the exchange.
    #[serde(default)]
    total_us: f64,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    authority: Option<Cow<'a, str>>,
    #[serde(borrow)]
    path: Option<Cow<'a, str>>,
    #[serde(default)]
    status: u16,
    received_bytes: Option<u64>,
}

pub(super) fn read(line: &str) -> Result<Line<'_>, &'static str> {
    let fields: Fields<'_> = serde_json::from_str(line)
        .map_err(|_| "it is not a JSON object with time, method, path and status")?;
    let end = calendar::rfc3339(&fields.time).ok_or("its time is not RFC 3339")?;
    let (Some(method), Some(target)) = (fields.method, fields.path) else {
        return Ok(Line::NoRequest);
    };
    let total = (fields.total_us * 1e3) as u64;
    Ok(Raw {
        time: end.saturating_sub(total),
        is_whole_second: false,
        method,
        authority: fields.authority,
        target,
        status: fields.status,
        received_bytes: fields.received_bytes,
    }
    .line())
}
