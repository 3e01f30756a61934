//! Access-log lines of one shard, from the exchange that wrote them to the file's writer.
//!
//! Lines are appended to a buffer; whoever writes the file waits for [`LogLines::arrived`], lets
//! lines gather for as long as the configuration says, and takes them all. A line that does not
//! fit is dropped and counted: an exchange never waits for the disk.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use crate::config::{AccessLog, AccessLogFormat};
use crate::record::access_log::{self, AccessLine, Query};

/// Lines that wait to be written.
pub struct LogLines {
    lines: RefCell<Vec<u8>>,
    bytes_max: usize,
    format: AccessLogFormat,
    writer: Cell<Option<Waker>>,
}

impl LogLines {
    pub(super) fn new(settings: &AccessLog) -> Self {
        Self {
            lines: RefCell::default(),
            bytes_max: usize::try_from(settings.buffer_bytes).unwrap_or(usize::MAX),
            format: settings.format,
            writer: Cell::new(None),
        }
    }

    /// Adds a line; says whether there was room.
    pub(super) fn add(&self, line: &AccessLine<'_>) -> bool {
        let mut lines = self.lines.borrow_mut();
        let before = lines.len();
        match self.format {
            AccessLogFormat::Json => access_log::json(&mut lines, line, Query::Redact),
            AccessLogFormat::Text => access_log::text(&mut lines, line, Query::Redact),
        }
        if lines.len() > self.bytes_max {
            lines.truncate(before);
            return false;
        }
        if before == 0
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
        true
    }

    /// Resolves when there is at least one line. For one writer at a time.
    pub async fn arrived(&self) {
        poll_fn(|cx| {
            if !self.lines.borrow().is_empty() {
                return Poll::Ready(());
            }
            self.writer.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    /// Takes all lines; goes on in `spare`, whose contents are forgotten.
    pub fn take(&self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.clear();
        self.lines.replace(spare)
    }
}
