//! The periodic `.hlog` dump: one interval of every histogram, appended to a file.
//!
//! In: the collector, on every tick. Out: lines in the HdrHistogram interval log format
//! (`record::expose::hlog`). The file is opened for each interval, so that it can be moved away
//! at any time; a new file gets a header. Writing happens on a blocking thread of the runtime: a
//! slow disk delays the next interval and nothing else.
//!
//! Must stay true: a file that cannot be written is a line in the log, never the end of the
//! process; what could not be written is kept, up to a bound, for the next interval.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::collect::Collector;
use super::log::{Log, Throttle};
use super::view::View;
use crate::config::HistogramDump;
use crate::io::clock;
use crate::limits::{DUMP_UNWRITTEN_BYTES_MAX, SCRAPE_PATIENCE};
use crate::record::expose::Selection;
use crate::record::expose::hlog;

/// How often a failing file is mentioned.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// The dump of one file.
#[derive(Debug)]
struct Dump {
    settings: HistogramDump,
    ticks: Interval,
    /// When the interval that is being collected began, on both clocks.
    begun: (SystemTime, clock::Instant),
    /// Lines that could not be written yet.
    unwritten: String,
    throttle: Throttle,
    log: Log,
}

/// Dumps at the end of every interval, as the configuration that runs says, and the rest when
/// `finished` says that the shards have ended and everything is collected.
pub async fn run(view: Rc<View>, mut finished: oneshot::Receiver<()>) {
    let wanted = || view.config().histograms.dump.clone();
    let mut dump = wanted().map(|settings| Dump::new(settings, view.log));
    loop {
        tokio::select! {
            () = tick(&mut dump) => {
                view.collector.refresh(SCRAPE_PATIENCE).await;
                if let Some(dump) = &mut dump {
                    dump.write(&view.collector).await;
                }
            }
            () = view.generations.renewed() => {
                let wanted = wanted();
                if dump.as_ref().map(|dump| &dump.settings) == wanted.as_ref() {
                    continue;
                }
                view.collector.refresh(SCRAPE_PATIENCE).await;
                match &mut dump {
                    Some(before) => before.write(&view.collector).await,
                    // What happened before is not part of the first interval.
                    None => view.collector.end_interval(),
                }
                dump = wanted.map(|settings| Dump::new(settings, view.log));
            }
            _ = &mut finished => {
                if let Some(dump) = &mut dump {
                    dump.write(&view.collector).await;
                }
                return;
            }
        }
    }
}

/// The end of the next interval; never, without a dump.
async fn tick(dump: &mut Option<Dump>) {
    match dump {
        Some(dump) => drop(dump.ticks.tick().await),
        None => std::future::pending().await,
    }
}

impl Dump {
    /// A dump whose first interval begins now.
    fn new(settings: HistogramDump, log: Log) -> Self {
        let mut ticks = interval_at(Instant::now() + settings.interval, settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            settings,
            ticks,
            begun: (clock::wall(), clock::now()),
            unwritten: String::new(),
            throttle: Throttle::new(COMPLAINT_INTERVAL),
            log,
        }
    }

    /// Appends what was collected since the last interval and begins a new one.
    async fn write(&mut self, collector: &Collector) {
        let (start, since) = self.begun;
        self.begun = (clock::wall(), clock::now());
        let interval = hlog::Interval {
            start,
            length: self.begun.1.since(since),
        };
        let mut lines = std::mem::take(&mut self.unwritten);
        let encoded = {
            let (ledger, all) = (collector.ledger(), Selection::default());
            hlog::write_interval(
                &mut lines,
                ledger.names(),
                ledger.interval(),
                &all,
                interval,
            )
        };
        collector.end_interval();
        if let Err(error) = encoded {
            self.complain(&error);
        }
        let path = self.settings.path.clone();
        let appended = spawn_blocking(move || {
            let outcome = append(&path, start, &lines);
            (lines, outcome)
        });
        match appended.await {
            Ok((_, Ok(()))) => {}
            Ok((lines, Err(error))) => {
                self.complain(&error);
                if lines.len() <= DUMP_UNWRITTEN_BYTES_MAX {
                    self.unwritten = lines;
                }
            }
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&self, error: &dyn Display) {
        if let Some(suppressed) = self.throttle.admit(clock::now()) {
            self.log.error(
                "The histogram dump was not written; it is tried again after the next interval.",
                &[
                    ("path", &self.settings.path.display()),
                    ("error", error),
                    ("suppressed", &suppressed),
                ],
            );
        }
    }
}

/// Appends all of `lines` or nothing, so that they can be tried again.
fn append(path: &Path, start: SystemTime, lines: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let length = file.metadata()?.len();
    let mut text = String::new();
    if length == 0 {
        hlog::write_header(&mut text, start);
    }
    text.push_str(lines);
    file.write_all(text.as_bytes()).inspect_err(|_| {
        // Half a line would spoil the ones after it; if this fails too, nothing helps.
        let _spoiled = file.set_len(length);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_gets_a_header_and_an_old_one_gets_only_lines() {
        let path = std::env::temp_dir().join(format!("weft-dump-{}.hlog", std::process::id()));
        let _absent = std::fs::remove_file(&path);
        append(&path, SystemTime::UNIX_EPOCH, "one\n").expect("created");
        append(&path, SystemTime::UNIX_EPOCH, "two\n").expect("appended");
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(text.matches("#[StartTime: 0.000").count(), 1);
        assert!(text.ends_with("\none\ntwo\n"), "{text}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error_and_not_a_panic() {
        assert!(append(Path::new("/"), SystemTime::UNIX_EPOCH, "one\n").is_err());
        assert!(append(Path::new("/dev/full"), SystemTime::UNIX_EPOCH, "one\n").is_err());
    }
}
