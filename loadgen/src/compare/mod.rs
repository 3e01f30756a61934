//! `loadgen compare`: proxies side by side on one machine, and which differences are real.
//!
//! `scenario.rs`, `peer.rs` and `generator.rs` read what is to be compared, `stage.rs` and
//! `proxy.rs` start it, `round.rs` and `generator.rs` measure one entry once, `others.rs` sees what
//! disturbed it, `order.rs` says in which order, `summary.rs` draws the conclusions with
//! `statistics.rs`, `remarks.rs` says what qualifies them, `document.rs` and `text.rs` write them
//! down, `history.rs` the histograms. `child.rs` sees to it that nothing is left running, whatever
//! happens. All traffic stays on the loopback interface.

mod child;
mod definitions;
pub(crate) mod document;
mod generator;
mod history;
mod machine;
pub(crate) mod metric;
pub(crate) mod options;
mod order;
mod others;
mod pattern;
mod peer;
mod probe;
mod proxy;
pub(crate) mod remarks;
mod round;
pub(crate) mod scenario;
mod stage;
pub(crate) mod statistics;
pub(crate) mod summary;
mod syscalls;
mod template;
mod text;
mod tls_files;

use std::io::{IsTerminal, Write, stderr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::io::{Instant, clock};

use crate::descriptors;
use crate::report::print;
use crate::verdict::Outcome;

use self::definitions::Definitions;
use self::document::Document;
use self::machine::Machine;
use self::options::CompareOptions;
use self::scenario::Scenario;
use self::stage::Stage;
use self::summary::{Frame, Run};
use self::text::Text;

/// Descriptors that everything besides the connections needs.
const DESCRIPTORS: u64 = 256;

/// Compares and reports.
///
/// *Errors:* sentences for the user; nothing was compared.
pub(crate) fn run(options: &CompareOptions) -> Result<Outcome, String> {
    let stop = crate::run::ending_signal()?;
    let document = compare(options, &stop)?;
    if let Some(folder) = &options.out {
        crate::page::write_into(folder)?;
    }
    print(&match options.json {
        true => document.json(),
        false => Text(&document).to_string(),
    })?;
    Ok(document.outcome())
}

/// Compares; writes the folder if one is asked for. When the user wants to stop, the rounds that
/// have ended are what there is.
pub(crate) fn compare(
    options: &CompareOptions,
    stop: &Arc<AtomicBool>,
) -> Result<Document, String> {
    let (mut scenario, folder) = Scenario::read(&options.scenario)?;
    options.amend(&mut scenario)?;
    let definitions = Definitions::read(scenario.compares, &folder)?;
    // The children inherit the limit: each side of each connection is a descriptor.
    descriptors::reserve(2 * scenario.load.connections as u64 + DESCRIPTORS)?;
    let mut machine = Machine::read(&options.proxy_cpus.0, &options.load_cpus.0);
    let stage = Stage::start(&scenario, &definitions, options, stop)?;
    let names: Vec<String> = stage
        .entries
        .iter()
        .map(|entry| entry.name.clone())
        .collect();
    let at = |name: &String| names.iter().position(|found| found == name);
    let frame = Frame {
        names: &names,
        connections: scenario.connections_beyond(),
        ratio_to: options
            .ratio_to
            .as_ref()
            .or(scenario.ratio_to.as_ref())
            .and_then(at),
        twice: scenario
            .twice
            .as_ref()
            .and_then(at)
            .map(|first| [first, names.len() - 1]),
        confidence: options.confidence,
    };
    machine.begin();
    let runs = rounds(&stage, &scenario, options, stop);
    if shows_progress(options) {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    let runs = runs?;
    machine.end();
    let summary = frame.summary(&runs);
    let mut syscalls = Vec::new();
    for entry in stage.entries.iter().filter(|_| options.syscalls) {
        match syscalls::count(&stage, entry, &scenario, options, stop) {
            Ok(calls) => syscalls.push(calls),
            Err(_) if stop.load(Ordering::Relaxed) => break,
            Err(error) => return Err(error),
        }
    }
    let is_counted = !options.syscalls || syscalls.len() == stage.entries.len();
    let is_whole = runs.len() == scenario.rounds * stage.entries.len() && is_counted;
    let document = Document::new(
        scenario,
        &stage,
        (machine, options.note.clone()),
        options.confidence,
        (runs, summary, syscalls),
        !is_whole,
    );
    if let Some(folder) = &options.out {
        document.write(&stage, folder)?;
    }
    Ok(document)
}

/// Is the program of a peer of this scenario there?
pub(crate) fn available(
    scenario: &Path,
    peer: &str,
    programs: &[(String, PathBuf)],
) -> Result<(), String> {
    let (scenario, folder) = Scenario::read(&scenario.display().to_string())?;
    let definitions = Definitions::read(scenario.compares, &folder)?;
    match programs.iter().find(|(name, _)| name == peer) {
        Some((_, program)) if program.is_file() => Ok(()),
        Some((_, program)) => Err(format!("{peer}: there is no {}", program.display())),
        None => definitions.program(peer).map(drop),
    }
}

/// Measures round after round; all of those that ended before the user wanted to stop.
fn rounds(
    stage: &Stage,
    scenario: &Scenario,
    options: &CompareOptions,
    stop: &AtomicBool,
) -> Result<Vec<Run>, String> {
    let (mut runs, begin) = (Vec::new(), clock::now());
    // What others disturb is measured again, in at most twice the time.
    let mut repeats_left = match options.busy_machine {
        true => 0,
        false => scenario.rounds * stage.entries.len(),
    };
    for round in 0..scenario.rounds {
        let ended = one_round(
            (stage, scenario, options),
            (round, begin),
            &mut repeats_left,
            stop,
        );
        match ended {
            Ok(of_it) => runs.extend(of_it),
            Err(_) if stop.load(Ordering::Relaxed) && round > 0 => break,
            Err(_) if stop.load(Ordering::Relaxed) => {
                return Err("interrupted before the first round ended: nothing is known".into());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(runs)
}

/// Has every entry take its turn.
fn one_round(
    (stage, scenario, options): (&Stage, &Scenario, &CompareOptions),
    (round, begin): (usize, Instant),
    repeats_left: &mut usize,
    stop: &AtomicBool,
) -> Result<Vec<Run>, String> {
    let mut runs = Vec::new();
    for index in order::of_round(stage.entries.len(), round) {
        let Some(entry) = stage.entries.get(index) else {
            continue;
        };
        if shows_progress(options) {
            let (round, total) = (round + 1, scenario.rounds);
            let _ = write!(stderr(), "\r\x1b[Kround {round}/{total}  {}", entry.name);
        }
        let name = document::run_name(&entry.name, round);
        let mut repeats = 0;
        let run = loop {
            let at_seconds = clock::now().since(begin).as_secs_f64();
            let turn = round::turn(stage, entry, scenario, options, &name, stop)?;
            let disturbed = turn.others.complaint(scenario.compares.plural());
            let disturbed = disturbed.filter(|_| !options.busy_machine);
            let is_disturbed = disturbed.is_some();
            let rate = scenario.load.rate;
            let mut worth = turn.measured.judge_disturbed(rate, disturbed);
            if let Some(complaint) = turn.complaint {
                worth.discarded = Some(complaint);
                worth.only_disturbed = false;
            }
            // A wrong answer is never taken back.
            if !is_disturbed || turn.measured.wrong() > 0 || *repeats_left == 0 {
                break Run {
                    round,
                    entry: index,
                    at_seconds,
                    worth,
                    measured: turn.measured,
                    resident_bytes_at_start: turn.resident_bytes_at_start,
                    others: turn.others,
                    repeats,
                };
            }
            repeats += 1;
            *repeats_left -= 1;
        };
        runs.push(run);
    }
    Ok(runs)
}

fn shows_progress(options: &CompareOptions) -> bool {
    !options.quiet && stderr().is_terminal()
}
