//! The event log: what happens to the process, one `key=value` line each on standard error.
//!
//! The access log records requests; this one tells an operator what the process did: error =
//! someone must act, warn = degraded but serving, info = lifecycle, debug = detail for a bug
//! report. A message is a constant sentence and facts are fields, so that lines can be searched.
//!
//! Only `control` and `main` write it, because a write to standard error may block and a shard
//! must not. Must stay true: one line is one write; a value never breaks its line; a line that a
//! client can provoke goes through a `Throttle`; a pipe that nobody empties costs lines, which are
//! counted, and never the service of the control thread.

use std::cell::Cell;
use std::fmt::{Display, Write as _};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::io::clock::{self, Instant};
use crate::record::access_log::time_text;

/// How long a line waits for a reader that is behind.
const PATIENCE: Duration = Duration::from_secs(1);

/// Lines that standard error has not taken since the last one that it took.
static LOST: AtomicU64 = AtomicU64::new(0);

/// How much of the event log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Level {
    /// Someone must act.
    Error,
    /// Degraded, but serving.
    Warn,
    /// Start, listen, drain, stop.
    Info,
    /// Detail for a bug report.
    Debug,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// A fact beside a message: its key from the vocabulary and its value.
pub type Field<'a> = (&'static str, &'a dyn Display);

/// The event log; a copy is as good as the original.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    level: Level,
}

impl Log {
    /// A log that drops what is less urgent than `level`.
    #[must_use]
    pub const fn new(level: Level) -> Self {
        Self { level }
    }

    /// Someone must act.
    pub fn error(self, message: &str, fields: &[Field<'_>]) {
        self.write(Level::Error, message, fields);
    }

    /// Degraded, but serving.
    pub fn warn(self, message: &str, fields: &[Field<'_>]) {
        self.write(Level::Warn, message, fields);
    }

    /// Start, listen, drain, stop.
    pub fn note(self, message: &str, fields: &[Field<'_>]) {
        self.write(Level::Info, message, fields);
    }

    /// Detail for a bug report.
    pub fn debug(self, message: &str, fields: &[Field<'_>]) {
        self.write(Level::Debug, message, fields);
    }

    fn write(self, level: Level, message: &str, fields: &[Field<'_>]) {
        if level > self.level {
            return;
        }
        // Whoever has let a line wait in vain is not waited for again until it reads.
        let lost = LOST.load(Ordering::Relaxed);
        let patience = if lost == 0 { PATIENCE } else { Duration::ZERO };
        if !is_read(patience) {
            LOST.store(lost.saturating_add(1), Ordering::Relaxed);
            return;
        }
        LOST.store(0, Ordering::Relaxed);
        let now = clock::wall();
        let mut line = render(now, level, message, fields);
        if lost > 0 {
            let message = "Nobody read this log for a while, and lines are missing.";
            line.insert_str(
                0,
                &render(now, Level::Warn, message, &[("suppressed", &lost)]),
            );
        }
        // Nobody is left to tell when standard error is gone.
        let _unreportable = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Whether standard error takes a line (of up to `PIPE_BUF`, 4 KiB) within `patience`. One that is
/// closed does.
fn is_read(patience: Duration) -> bool {
    let stderr = std::io::stderr();
    let mut asked = [PollFd::new(&stderr, PollFlags::OUT)];
    let patience = Timespec::try_from(patience).ok();
    let found = rustix::io::retry_on_intr(|| poll(&mut asked, patience.as_ref()));
    found != Ok(0)
}

/// Lets one line of a kind through per interval and counts the others.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    last: Cell<Option<Instant>>,
    suppressed: Cell<u64>,
}

impl Throttle {
    /// At most one line per `interval`.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            last: Cell::new(None),
            suppressed: Cell::new(0),
        }
    }

    /// `Some(lines suppressed since the last one)` when a line may be written at `now`.
    #[must_use]
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let due = self
            .last
            .get()
            .is_none_or(|last| now.since(last) >= self.interval);
        if !due {
            self.suppressed.set(self.suppressed.get().saturating_add(1));
            return None;
        }
        self.last.set(Some(now));
        Some(self.suppressed.take())
    }
}

fn render(now: SystemTime, level: Level, message: &str, fields: &[Field<'_>]) -> String {
    let mut line = String::with_capacity(128);
    line.push_str("time=");
    line.push_str(&time_text(now));
    line.push_str(" level=");
    line.push_str(level.name());
    line.push_str(" msg=");
    write_value(&mut line, &message);
    for (key, value) in fields {
        line.push(' ');
        line.push_str(key);
        line.push('=');
        write_value(&mut line, value);
    }
    line.push('\n');
    line
}

/// Quotes and escapes a value that could be taken for two, or that would break the line.
fn write_value(line: &mut String, value: &dyn Display) {
    let text = value.to_string();
    let plain = !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'));
    if plain {
        line.push_str(&text);
    } else {
        write_string(line, format_args!("{text:?}"));
    }
}

fn write_string(line: &mut String, text: std::fmt::Arguments<'_>) {
    let _infallible = line.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn at(seconds: u64, millis: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
    }

    #[test]
    fn a_line_stays_one_line_whatever_the_values_hold() {
        let line = render(
            at(0, 0),
            Level::Warn,
            "File not written.",
            &[
                ("path", &"a b\nlevel=error"),
                ("count", &7),
                ("reason", &""),
            ],
        );
        assert_eq!(
            line,
            "time=1970-01-01T00:00:00.000Z level=warn msg=\"File not written.\" \
             path=\"a b\\nlevel=error\" count=7 reason=\"\"\n"
        );
    }

    #[test]
    fn a_throttle_admits_one_line_per_interval_and_counts_the_rest() {
        let throttle = Throttle::new(Duration::from_secs(1));
        let start = Instant::from_nanos(5);
        assert_eq!(throttle.admit(start), Some(0));
        assert_eq!(throttle.admit(start), None);
        assert_eq!(throttle.admit(start + Duration::from_millis(999)), None);
        assert_eq!(throttle.admit(start + Duration::from_secs(1)), Some(2));
        assert_eq!(throttle.admit(start + Duration::from_secs(3)), Some(0));
    }
}
