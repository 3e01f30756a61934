//! `loadgen run`: measures, shows what happens, reports.
//!
//! `measure.rs` makes the run, `progress.rs` follows it; this file plans it and writes what came
//! out.

mod collect;
pub(crate) mod measure;
pub(crate) mod options;
mod progress;
mod shard;
mod threads;
pub(crate) mod usage;
pub(crate) mod watched;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{fs, io as std_io};

use self::measure::Run;
use self::options::RunOptions;
use self::progress::Progress;
use crate::client::load::Plan;
use crate::report::hlog::{RESPONSE_TIME, Sink};
use crate::report::text::Text;
use crate::report::{Report, hgrm, json, print};
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
    let mut progress = Progress::new(options, plan.schedule.as_ref(), run.from(), signal, log);
    let report = run.measure(&mut progress)?;
    // Gives the terminal back before the report is written to it.
    drop(progress);
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
    match &options.json {
        Some(path) if path == Path::new("-") => print(&json::document(report))?,
        json => {
            if let Some(path) = json {
                fs::write(path, json::document(report))
                    .map_err(|error| cannot_write(path, &error))?;
            }
            print(&Text(report).to_string())?;
        }
    }
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
