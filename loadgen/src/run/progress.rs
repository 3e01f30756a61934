//! What a person sees of a run while it goes, the interval log, and the wish to end it early.
//!
//! A terminal shows a screen (`view/`), anything else a line a second on stderr. SIGINT, SIGTERM or
//! a key end the run early with a full report, and the screen at once; a second signal ends the
//! program.

use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::io::Instant;

use super::cannot_write;
use super::measure::{Follower, Stretch};
use super::options::RunOptions;
use crate::quantity::show_nanos;
use crate::report::IntervalRow;
use crate::report::hlog::IntervalLog;
use crate::schedule::Schedule;
use crate::view::{Facts, View};

/// What is shorter gets no line of its own.
const SHORTEST_LINE: Duration = Duration::from_millis(50);

/// Follows a run.
pub(super) struct Progress<'a> {
    options: &'a RunOptions,
    schedule: Option<&'a Schedule>,
    signal: Arc<AtomicBool>,
    log: Option<IntervalLog<'a, fs::File>>,
    shown: Shown,
}

/// In which form a run is shown.
enum Shown {
    Nothing,
    Lines,
    Screen(Box<View>),
}

impl<'a> Progress<'a> {
    /// Follows a run on a `schedule`, or a closed loop, whose measured time begins at `from`.
    pub(super) fn new(
        options: &'a RunOptions,
        schedule: Option<&'a Schedule>,
        from: Instant,
        signal: Arc<AtomicBool>,
        log: Option<IntervalLog<'a, fs::File>>,
    ) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let shown = match (options.quiet, stderr().is_terminal()) {
            (true, _) => Shown::Nothing,
            (false, true) if !options.plain && !is_dumb => {
                View::open(facts(options, schedule), from)
                    .map_or(Shown::Lines, |view| Shown::Screen(Box::new(view)))
            }
            (false, _) => Shown::Lines,
        };
        Self {
            options,
            schedule,
            signal,
            log,
            shown,
        }
    }
}

impl Follower for Progress<'_> {
    fn interval(&mut self, stretch: &Stretch<'_>) -> Result<(), String> {
        let (start, length, samples) = (stretch.start, stretch.length, stretch.samples);
        if let (Some(log), Some(path)) = (&mut self.log, &self.options.hlog) {
            log.write(samples, start, length)
                .map_err(|error| cannot_write(path, &error))?;
        }
        match &mut self.shown {
            Shown::Nothing => {}
            // A last answer a moment after the end would look like a rate.
            Shown::Lines if length < SHORTEST_LINE => {}
            Shown::Lines => show_line(stretch.row, self.options.duration()),
            Shown::Screen(view) => {
                let begin = self.options.warmup + start;
                let stretch = [begin, begin + length];
                let wanted = self.schedule.map(|schedule| schedule.mean_rate(stretch));
                view.add(samples, length, wanted);
            }
        }
        Ok(())
    }

    fn ends(&mut self) -> bool {
        let is_asked = match &mut self.shown {
            Shown::Screen(view) => view.turn(),
            Shown::Nothing | Shown::Lines => false,
        };
        let ends = is_asked || self.signal.load(Ordering::Relaxed);
        if ends && matches!(self.shown, Shown::Screen(_)) {
            self.shown = Shown::Nothing;
        }
        ends
    }
}

fn facts(options: &RunOptions, schedule: Option<&Schedule>) -> Facts {
    let (request, generator) = (&options.request, &options.generator);
    let pace = schedule.map_or_else(
        || "closed loop".into(),
        |schedule| format!("open loop at {schedule}"),
    );
    let load = format!(
        "{pace}, {} connections, {} thread(s)",
        generator.connections,
        generator.placement().len()
    );
    Facts::new(
        request.url.clone(),
        load,
        options.duration(),
        schedule.is_some(),
    )
}

fn show_line(row: &IntervalRow, duration: Duration) {
    let end = row.start_seconds + row.length_seconds;
    let rate = row.answered as f64 / row.length_seconds.max(1e-9);
    let [p50, p99, max] =
        [row.p50_ns, row.p99_ns, row.max_ns].map(|nanos| show_nanos(nanos as f64));
    // Whole seconds, but where they would say nothing.
    let digits = usize::from(duration.subsec_nanos() > 0);
    let _ = writeln!(
        stderr(),
        "{end:.digits$}/{:.digits$} s  {rate:.0} answers/s  p50 {p50}  p99 {p99}  max {max}  failed {}",
        duration.as_secs_f64(),
        row.failed
    );
}
