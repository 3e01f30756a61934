//! What the origin really did: how long it kept each request, from the last byte of the request to
//! the answer queued.
//!
//! A delay that is ordered is a wish: timers fire late, and a busy thread later still. A generator
//! is held against this record, not against the wish. Each shard keeps a [`Record`] of its own;
//! they are added up at the end and written for the readers of HdrHistogram files. What lies before
//! (waking up for the request) and after (handing the answer to the kernel) is not in it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use engine::io::{Instant, clock};
use hdrhistogram::Histogram;

use super::options::OriginOptions;
use crate::report::{hgrm, hlog};
use crate::sample::histogram;

/// The times of one shard, or of all.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    times: Histogram<u64>,
    since: SystemTime,
}

impl Record {
    /// An empty one, if the options ask for any.
    pub(crate) fn wanted(options: &OriginOptions) -> Option<Self> {
        let wanted = options.hgrm.is_some() || options.hlog.is_some();
        wanted.then(|| Self {
            times: histogram(),
            since: clock::wall(),
        })
    }

    /// Notes a request that was whole at `received` and is answered at `answered`.
    pub(crate) fn note(&mut self, received: Instant, answered: Instant) {
        let nanos = answered.nanos().saturating_sub(received.nanos());
        self.times.saturating_record(nanos);
    }

    /// Adds another shard's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.times
            .add(&other.times)
            .expect("all histograms here have the same bounds");
    }

    /// Writes the files that the options name.
    ///
    /// *Errors:* one sentence for the user.
    pub(crate) fn write(&self, options: &OriginOptions) -> Result<(), String> {
        if let Some(path) = &options.hgrm {
            self.hgrm(path)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        if let Some(path) = &options.hlog {
            self.hlog(path)
                .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
        Ok(())
    }

    fn hgrm(&self, path: &Path) -> std::io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        hgrm::write(&mut out, &self.times)?;
        out.flush()
    }

    /// A log of one interval, the whole life of the origin.
    fn hlog(&self, path: &Path) -> std::io::Result<()> {
        let mut sink = hlog::Sink::create(path)?;
        let what = "time at the origin, from the request's last byte to the answer queued";
        let mut log = sink.begin("loadgen origin", what, self.since)?;
        let length = clock::wall().duration_since(self.since);
        log.series(
            None,
            &self.times,
            std::time::Duration::ZERO,
            length.unwrap_or_default(),
        )
    }
}
