//! `loadgen compare`: proxies side by side on one machine, and which differences are real.
//!
//! `scenario.rs`, `peer.rs` and `generator.rs` read what is to be compared, `stage.rs` starts it,
//! `round.rs` and `generator.rs` measure one entry once, `order.rs` says in which order,
//! `summary.rs` draws the conclusions with `statistics.rs`, `remarks.rs` says what qualifies them,
//! `document.rs` and `text.rs` write them down, `history.rs` the histograms. `child.rs` sees to it
//! that nothing is left running, whatever happens. All traffic stays on the loopback interface.

mod child;
mod definitions;
pub(crate) mod document;
mod generator;
mod history;
mod machine;
pub(crate) mod metric;
pub(crate) mod options;
mod order;
mod pattern;
mod peer;
mod probe;
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

use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use engine::io::clock;

use crate::descriptors;
use crate::verdict::Outcome;

use self::definitions::Definitions;
use self::document::Document;
use self::machine::Machine;
use self::metric::Place;
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
    let mut out = stdout().lock();
    let printed = match options.json {
        true => out.write_all(document.json().as_bytes()),
        false => write!(out, "{}", Text(&document)),
    };
    printed
        .and_then(|()| out.flush())
        .map_err(|error| format!("cannot print: {error}"))?;
    Ok(document.summary.outcome())
}

/// Compares; writes the folder if one is asked for.
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
    let places: Vec<Place> = stage
        .entries
        .iter()
        .map(|entry| Place {
            resident_at_start: entry.resident_at_start,
            connections: scenario.load.connections,
        })
        .collect();
    let frame = Frame {
        names: &names,
        places: &places,
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
    let runs = rounds(&stage, &scenario, options, stop)?;
    machine.end();
    let summary = frame.summary(&runs);
    let mut syscalls = Vec::new();
    for entry in stage.entries.iter().filter(|_| options.syscalls) {
        syscalls.push(syscalls::count(&stage, entry, &scenario, options, stop)?);
    }
    let document = Document::new(
        scenario,
        &stage,
        (machine, options.note.clone()),
        options.confidence,
        (runs, summary),
        syscalls,
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

fn rounds(
    stage: &Stage,
    scenario: &Scenario,
    options: &CompareOptions,
    stop: &AtomicBool,
) -> Result<Vec<Run>, String> {
    let shows_progress = !options.quiet && stderr().is_terminal();
    let (mut runs, begin) = (Vec::new(), clock::now());
    for round in 0..scenario.rounds {
        for index in order::of_round(stage.entries.len(), round) {
            let Some(entry) = stage.entries.get(index) else {
                continue;
            };
            if shows_progress {
                let (round, total) = (round + 1, scenario.rounds);
                let _ = write!(stderr(), "\r\x1b[Kround {round}/{total}  {}", entry.name);
            }
            let name = document::run_name(&entry.name, round);
            let at_seconds = clock::now().since(begin).as_secs_f64();
            let measured = round::measure(stage, entry, scenario, options, &name, stop)?;
            runs.push(Run {
                round,
                entry: index,
                at_seconds,
                worth: measured.judge(scenario.load.rate),
                measured,
            });
        }
    }
    if shows_progress {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    Ok(runs)
}
