//! The interval log that HdrHistogram tools read (`.hlog`, format 1.3, V2 deflate).
//!
//! Per interval, one line for each series: the response time untagged, because several readers
//! look at untagged lines only, then `Tag=uncorrected` (service time) and `Tag=send_lag`; a closed
//! loop has only the first. Times are nanoseconds, `Interval_Max` milliseconds. Lines are written
//! as intervals end, so a run that is killed leaves what it had measured.

use std::fs::File;
use std::io::{Error, Result, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriter, IntervalLogWriterBuilder, Tag};

use crate::sample::Samples;

const NANOS_PER_MILLI: f64 = 1e6;
/// What the untagged series of a run is.
pub(crate) const RESPONSE_TIME: &str = "response time, from the due time";

/// Where a log goes. The log borrows it.
pub(crate) struct Sink<W> {
    out: W,
    serializer: V2DeflateSerializer,
}

impl Sink<File> {
    /// Creates the file.
    ///
    /// *Errors:* as opening files.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            out: File::create(path)?,
            serializer: V2DeflateSerializer::new(),
        })
    }
}

impl<W: Write> Sink<W> {
    /// Writes the head: format, units, `what` the untagged series is, and `start` as the time that
    /// intervals count from.
    pub(crate) fn begin(
        &mut self,
        command: &str,
        what: &str,
        start: SystemTime,
    ) -> Result<IntervalLog<'_, W>> {
        IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .add_comment(&format!("[{}]", command.replace('\n', " ")))
            .add_comment(&format!("[Values in nanoseconds; untagged: {what}]"))
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(NANOS_PER_MILLI)
            .begin_log_with(&mut self.out, &mut self.serializer)
            .map(|lines| IntervalLog { lines })
    }
}

/// An open log.
pub(crate) struct IntervalLog<'a, W: Write> {
    lines: IntervalLogWriter<'a, 'a, W, V2DeflateSerializer>,
}

impl<W: Write> IntervalLog<'_, W> {
    /// Writes one interval that began `start` after the log.
    ///
    /// *Errors:* as writing files.
    pub(crate) fn write(
        &mut self,
        samples: &Samples,
        start: Duration,
        length: Duration,
    ) -> Result<()> {
        self.series(None, &samples.latency, start, length)?;
        if let Some(open) = &samples.open {
            self.series(Some("uncorrected"), &open.service, start, length)?;
            self.series(Some("send_lag"), &open.lag, start, length)?;
        }
        Ok(())
    }

    /// Writes one series of an interval.
    ///
    /// *Errors:* as writing files.
    pub(crate) fn series(
        &mut self,
        tag: Option<&str>,
        times: &Histogram<u64>,
        start: Duration,
        length: Duration,
    ) -> Result<()> {
        let tag = tag.and_then(Tag::new);
        self.lines
            .write_histogram(times, start, length, tag)
            .map_err(Error::other)
    }
}

#[cfg(test)]
impl Sink<Vec<u8>> {
    /// A log in memory.
    pub(crate) fn in_memory() -> Self {
        Self {
            out: Vec::new(),
            serializer: V2DeflateSerializer::new(),
        }
    }

    /// What was written.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("a log is text")
    }
}
