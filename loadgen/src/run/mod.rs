//! `loadgen run`: measures, shows what happens, reports.
//!
//! `measure.rs` makes the run; this file plans it, follows it with a line of progress and the
//! interval log, and writes what came out. SIGINT and SIGTERM end the run early with a full report;
//! a second one ends the program at once.

mod collect;
pub(crate) mod measure;
pub(crate) mod options;
mod shard;
mod threads;
pub(crate) mod usage;
pub(crate) mod watched;

use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io as std_io};

use self::measure::{Follower, Run, Stretch};
use self::options::RunOptions;
use crate::client::load::Plan;
use crate::quantity::show_nanos;
use crate::report::hlog::{IntervalLog, RESPONSE_TIME, Sink};
use crate::report::text::Text;
use crate::report::{IntervalRow, Report, hgrm, json};
use crate::schedule::Schedule;
use crate::target::Url;
use crate::traffic::Traffic;
use crate::verdict::Outcome;

/// Runs and reports.
///
/// *Errors:* one sentence for the user; nothing was measured.
pub(crate) fn run(options: &RunOptions) -> Result<Outcome, String> {
    follow(options, &plan(options, &options.check()?)?)
}

/// Makes a run of a plan and reports.
///
/// *Errors:* one sentence for the user; nothing was measured.
pub(crate) fn follow(options: &RunOptions, plan: &Plan) -> Result<Outcome, String> {
    // A file that cannot be written is better known before the run than after it.
    let outputs = [options.json.as_deref(), options.hgrm.as_deref()];
    for path in outputs
        .into_iter()
        .flatten()
        .filter(|path| *path != Path::new("-"))
    {
        fs::File::create(path).map_err(|error| cannot_write(path, &error))?;
    }
    let mut sink = match &options.hlog {
        Some(path) => Some(Sink::create(path).map_err(|error| cannot_write(path, &error))?),
        None => None,
    };
    let run = Run::start(options, plan)?;
    let signal = ending_signal()?;
    let command = run.environment().command.join(" ");
    let log = match &mut sink {
        Some(sink) => Some(
            sink.begin(&command, RESPONSE_TIME, run.since())
                .map_err(|error| error.to_string())?,
        ),
        None => None,
    };
    let mut progress = Progress {
        options,
        signal,
        log,
        is_shown: !options.quiet && stderr().is_terminal(),
    };
    let report = run.measure(&mut progress)?;
    progress.clear();
    write(options, &report)?;
    Ok(report.verdict.outcome)
}

/// What all shards send.
pub(crate) fn plan(options: &RunOptions, url: &Url) -> Result<Plan, String> {
    let traffic = options
        .request
        .traffic(url, options.seed, options.generator.timeout)?;
    plan_of(options, url, traffic, options.schedule())
}

/// The same for traffic and a schedule that do not come from the options.
pub(crate) fn plan_of(
    options: &RunOptions,
    url: &Url,
    traffic: Traffic,
    schedule: Option<Schedule>,
) -> Result<Plan, String> {
    let (request, generator) = (&options.request, &options.generator);
    Ok(Plan {
        dial: request.dial(url, &generator.connection)?,
        protocol: request.protocol.of(url),
        streams: request.protocol.streams,
        traffic,
        pipeline: generator.connection.pipeline,
        schedule,
        timeout: generator.timeout,
        spin: generator.spin,
    })
}

/// Follows a run: a line of progress, the interval log, the signal that ends it.
struct Progress<'a> {
    options: &'a RunOptions,
    signal: Arc<AtomicBool>,
    log: Option<IntervalLog<'a, fs::File>>,
    is_shown: bool,
}

impl Follower for Progress<'_> {
    fn interval(&mut self, stretch: &Stretch<'_>) -> Result<(), String> {
        if let (Some(log), Some(path)) = (&mut self.log, &self.options.hlog) {
            log.write(stretch.samples, stretch.start, stretch.length)
                .map_err(|error| cannot_write(path, &error))?;
        }
        if self.is_shown {
            show_progress(stretch.row, self.options.duration());
        }
        Ok(())
    }

    fn ends(&mut self) -> bool {
        self.signal.load(Ordering::Relaxed)
    }
}

impl Progress<'_> {
    fn clear(&self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// One line, rewritten each second.
fn show_progress(row: &IntervalRow, duration: Duration) {
    let end = row.start_seconds + row.length_seconds;
    let rate = row.answered as f64 / row.length_seconds.max(1e-9);
    let [p50, p99, max] =
        [row.p50_ns, row.p99_ns, row.max_ns].map(|nanos| show_nanos(nanos as f64));
    let _ = write!(
        stderr(),
        "\r\x1b[K{end:.0}/{:.0} s  {rate:.0} answers/s  p50 {p50}  p99 {p99}  max {max}  failed {}",
        duration.as_secs_f64(),
        row.failed
    );
    let _ = stderr().flush();
}

/// Becomes true at the first SIGINT or SIGTERM; the second ends the program.
pub(crate) fn ending_signal() -> Result<Arc<AtomicBool>, String> {
    let signal = Arc::new(AtomicBool::new(false));
    for number in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the first sees the flag still down.
        signal_hook::flag::register_conditional_shutdown(number, 1, Arc::clone(&signal))
            .and_then(|_| signal_hook::flag::register(number, Arc::clone(&signal)))
            .map_err(|error| format!("cannot listen for signals: {error}"))?;
    }
    Ok(signal)
}

fn write(options: &RunOptions, report: &Report) -> Result<(), String> {
    let mut out = std_io::stdout().lock();
    let printed = match &options.json {
        Some(path) if path == Path::new("-") => out.write_all(json::document(report).as_bytes()),
        json => {
            if let Some(path) = json {
                fs::write(path, json::document(report))
                    .map_err(|error| cannot_write(path, &error))?;
            }
            write!(out, "{}", Text(report))
        }
    };
    printed
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot print: {error}"))?;
    if let Some(path) = &options.hgrm {
        write_hgrm(path, report).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(())
}

fn write_hgrm(path: &PathBuf, report: &Report) -> std_io::Result<()> {
    let mut out = std_io::BufWriter::new(fs::File::create(path)?);
    hgrm::write(&mut out, &report.samples.latency)?;
    out.flush()
}

fn cannot_write(path: &Path, error: &std_io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}
