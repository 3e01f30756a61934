//! The `Date` field's value, made once a second (RFC 9110 §6.6.1).
//!
//! In: the shard's clock. Out: 29 bytes of text that never lag more than a second behind the wall
//! clock. One cache per shard serves forwarded responses and local replies alike.

use std::cell::Cell;
use std::time::{Duration, UNIX_EPOCH};

use crate::http::date::{self, DATE_BYTES};
use crate::io::{Instant, clock};

/// The current date as text.
#[derive(Debug)]
pub struct DateCache {
    text: Cell<[u8; DATE_BYTES]>,
    /// When the text is to be made anew.
    until: Cell<Instant>,
}

impl Default for DateCache {
    fn default() -> Self {
        Self {
            text: Cell::new([0; DATE_BYTES]),
            until: Cell::new(Instant::default()),
        }
    }
}

impl DateCache {
    /// The date at `now`. *Cost:* a copy of 29 bytes; once a second a clock read and formatting.
    pub fn at(&self, now: Instant) -> [u8; DATE_BYTES] {
        if now >= self.until.get() {
            let since_epoch = clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default();
            let rest = u64::from(1_000_000_000 - since_epoch.subsec_nanos().min(999_999_999));
            self.until.set(now + Duration::from_nanos(rest));
            self.text.set(date::format(since_epoch.as_secs()));
        }
        self.text.get()
    }
}
