//! `loadgen search`: the highest rate at which a target keeps an SLO.
//!
//! ```text
//! decide.rs  which rate next? ── probe ──> mod.rs  runs windows at it
//!      ^                                      │ report of each
//!      │                                      v
//!      └── verdict ── repeats.rs  enough? <── slo.rs  kept?
//! ```
//!
//! The three that decide are pure and are tested against simulated targets; this file makes the
//! runs. `outcome.rs` words what came out, `document.rs` is its JSON.

mod decide;
pub(crate) mod document;
pub(crate) mod options;
mod outcome;
mod repeats;
mod slo;

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::decide::{Probe, Search};
use self::options::SearchOptions;
use self::outcome::{Searched, Step};
use self::repeats::Repeats;
use self::slo::{Seen, Slo};
use crate::environment::Environment;
use crate::quantity::Rate;
use crate::report::print;
use crate::run;
use crate::run::measure::{Follower, Run, Stretch};
use crate::target::Url;
use crate::verdict::Outcome;

/// Searches and reports.
///
/// *Errors:* one sentence for the user; nothing was found.
pub(crate) fn run(options: &SearchOptions) -> Result<Outcome, String> {
    let url = options.check()?;
    if let Some(path) = options
        .json
        .as_deref()
        .filter(|path| *path != Path::new("-"))
    {
        fs::File::create(path)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let environment = Environment::read();
    let mut tester = Tester {
        options,
        url,
        slo: Slo::new(options.slo.clone()),
        signal: run::ending_signal()?,
        is_shown: !options.quiet && stderr().is_terminal(),
        has_connected: false,
        windows: 0,
    };
    let mut search = Search::new(options.bounds());
    let mut steps = Vec::new();
    while let Some(probe) = search.probe() {
        let Some(step) = tester.test(probe)? else {
            break;
        };
        search.feed(step.verdict);
        steps.push(step);
    }
    let searched = Searched {
        options,
        environment,
        slo: &tester.slo,
        steps,
        ending: search.ending(),
        interval: search.interval(),
    };
    write(options, &searched)?;
    Ok(searched.outcome())
}

/// Tests rates.
struct Tester<'a> {
    options: &'a SearchOptions,
    url: Url,
    slo: Slo,
    signal: Arc<AtomicBool>,
    is_shown: bool,
    has_connected: bool,
    /// Windows so far.
    windows: u64,
}

impl Tester<'_> {
    /// Repeats windows until there is a verdict; `None` when a signal ended it.
    fn test(&mut self, probe: Probe) -> Result<Option<Step>, String> {
        let mut repeats = Repeats::new(probe.purpose.error(self.options.confidence));
        let mut windows = Vec::new();
        loop {
            self.show(probe, &windows, repeats.most());
            let seen = self.window(probe.rate).inspect_err(|_| self.clear())?;
            let Some(seen) = seen else {
                self.clear();
                return Ok(None);
            };
            let verdict = repeats.feed(seen.window);
            windows.push(seen);
            if let Some(verdict) = verdict {
                self.clear();
                return Ok(Some(Step {
                    probe,
                    verdict,
                    windows,
                }));
            }
        }
    }

    /// One run at `rate`; `None` when a signal ended it.
    fn window(&mut self, rate: f64) -> Result<Option<Seen>, String> {
        let options = self.options.window(Rate::near(rate), self.windows);
        self.windows += 1;
        let plan = run::plan(&options, &self.url)?;
        let run = match Run::start(&options, &plan) {
            Ok(run) => run,
            // A target that has answered before is not missing but at its end.
            Err(error) if self.has_connected => return Ok(Some(self.slo.unreachable(error))),
            Err(error) => return Err(error),
        };
        self.has_connected = true;
        let report = run.measure(&mut Until(&self.signal))?;
        Ok((!report.interrupted).then(|| self.slo.judge(&report)))
    }

    /// One line, rewritten for each window.
    fn show(&self, Probe { rate, purpose }: Probe, windows: &[Seen], most: u32) {
        if self.is_shown {
            let last = windows.last().and_then(|seen| seen.reasons.first());
            let _ = write!(
                stderr(),
                "\r\x1b[K{} {rate}/s  window {} of at most {most}  {}",
                purpose.label(),
                windows.len() + 1,
                last.map_or("", String::as_str)
            );
            let _ = stderr().flush();
        }
    }

    fn clear(&self) {
        if self.is_shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

/// Follows a window until it ends or the signal comes.
struct Until<'a>(&'a AtomicBool);

impl Follower for Until<'_> {
    fn interval(&mut self, _: &Stretch<'_>) -> Result<(), String> {
        Ok(())
    }

    fn ends(&mut self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

fn write(options: &SearchOptions, searched: &Searched<'_>) -> Result<(), String> {
    match options.json.as_deref() {
        Some(path) if path == Path::new("-") => print(&searched.json()),
        json => {
            if let Some(path) = json {
                fs::write(path, searched.json())
                    .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
            }
            print(&searched.to_string())
        }
    }
}
