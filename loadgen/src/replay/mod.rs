//! `loadgen replay`: sends again what an access log recorded.
//!
//! `log/` understands lines, `file.rs` turns a file into a trace, `options.rs` holds the words.
//! From there on it is a run like any other, whose traffic is the trace and whose schedule is the
//! recorded one, or, with --rate, any other.

mod file;
mod log;
pub(crate) mod options;

use std::io::{Write, stderr};
use std::sync::Arc;
use std::time::Duration;

use crate::expect::Expectation;
use crate::run;
use crate::run::options::RunOptions;
use crate::schedule::{Pace, Schedule};
use crate::target::{Field, Url};
use crate::traffic::Traffic;
use crate::traffic::request::Request;
use crate::traffic::trace::{KindKey, TraceBuilder};
use crate::verdict::Outcome;

use self::file::{Account, Recording};
use self::options::ReplayOptions;

/// What a replay takes longer than its last request.
const TAIL: Duration = Duration::from_millis(1);

/// Reads, runs and reports.
///
/// *Errors:* one sentence for the user; nothing was measured.
pub(crate) fn run(options: &ReplayOptions) -> Result<Outcome, String> {
    let url = options.run.check_scheduled()?;
    let Recording {
        trace,
        times,
        account,
    } = read(options, &url)?;
    let file = options.file.display();
    if !options.run.quiet {
        tell(options, &account, trace.len());
    }
    if account.bad_share() > options.bad_lines {
        let Account { bad, lines, .. } = account;
        return Err(format!(
            "{bad} of {lines} lines of {file} are not understood; --bad-lines allows {} %",
            options.bad_lines * 100.0
        ));
    }
    if trace.len() == 0 {
        return Err(format!("{file} has no request to send"));
    }
    let shard_count = options.run.generator.placement().len() as u64;
    let schedule = match options.run.schedule() {
        Some(schedule) => schedule.limited(trace.len()),
        None => Schedule::recorded(faster(times, options.speed), options.speed, shard_count),
    };
    let run = RunOptions {
        duration: Some(duration(options, &schedule)?),
        ..options.run.clone()
    };
    let plan = run::plan_of(&run, &url, Traffic::recorded(trace), Some(schedule))?;
    run::follow(&run, &plan)
}

fn read(options: &ReplayOptions, url: &Url) -> Result<Recording, String> {
    let request = |key: &KindKey| {
        let host = key.authority.as_ref().and_then(|authority| {
            // What is not a field value was not sent as one.
            Field::parse(&format!("Host: {authority}")).ok()
        });
        let given = options.run.request.fields.iter().cloned();
        let fields: Vec<Field> = given.chain(host).collect();
        Request::new(url, &key.method, url.path(), &fields, key.has_content)
    };
    let expectation = |status: u16| Expectation {
        status: options.expect.statuses(status),
        length: None,
        hash: None,
        grpc: None,
    };
    let builder = TraceBuilder::new(&request, &expectation);
    file::read(&options.file, options.keep_host, builder)
}

fn faster(times: Vec<u64>, speed: f64) -> Arc<[u64]> {
    let faster = |nanos: u64| (nanos as f64 / speed) as u64;
    times.into_iter().map(faster).collect()
}

/// How long to measure: as asked, or until the last request.
fn duration(options: &ReplayOptions, schedule: &Schedule) -> Result<Duration, String> {
    let run = &options.run;
    let phases = run.rate.as_ref().and_then(Pace::length);
    if let Some(duration) = run.duration.or(phases) {
        return Ok(duration);
    }
    let whole = schedule.last().map_or(TAIL, |last| last + TAIL);
    let measured = whole.checked_sub(run.warmup);
    measured
        .filter(|measured| !measured.is_zero())
        .ok_or_else(|| {
            let warmup = run.warmup;
            format!("--warmup {warmup:?} leaves nothing of a replay of {whole:?}")
        })
}

/// Says what became of the lines of the log.
fn tell(options: &ReplayOptions, account: &Account, requests: u64) {
    let mut out = stderr().lock();
    let file = options.file.display();
    let Account { lines, bad, .. } = account;
    let _ = writeln!(out, "{file}: {requests} requests in {lines} lines");
    for (count, what) in [
        (
            account.without_request,
            "lines hold no request that could be sent",
        ),
        (
            account.without_query,
            "requests are sent without the query that the log left out",
        ),
        (*bad, "lines are not understood:"),
    ] {
        if count > 0 {
            let _ = writeln!(out, "  {count} {what}");
        }
    }
    for (number, why) in &account.shown {
        let _ = writeln!(out, "    line {number}: {why}");
    }
}
