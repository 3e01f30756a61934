//! The view of a run while it goes: a screen on the terminal behind stderr.
//!
//! `facts.rs` collects the figures, `draw.rs` draws them; this file owns the terminal. It is given
//! back when the view goes, however that happens: at the end, on an error, when a key or a signal
//! ends the run (at once, so that the keys mean what they always do while the last answers come),
//! and in a panic. The view never waits: it looks for keys and draws when the run asks.

mod draw;
mod facts;

use std::io::{Stderr, stderr};
use std::time::Duration;

use engine::io::{Instant, clock};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, execute};

use crate::run::usage::Usage;
use crate::sample::Samples;

pub(crate) use self::facts::Facts;

/// From one drawing to the next.
const FRAME: Duration = Duration::from_millis(200);

/// A view that is open.
pub(crate) struct View {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    facts: Facts,
    /// The beginning of the measured time.
    from: Instant,
    /// When it was drawn, and the generator's CPU time then.
    drawn: (Instant, Duration),
}

impl View {
    /// Takes the terminal; the measured time begins at `from`.
    ///
    /// *Errors:* as the terminal says; it is as it was.
    pub(crate) fn open(facts: Facts, from: Instant) -> std::io::Result<Self> {
        restore_in_panic();
        enable_raw_mode()?;
        let opened = execute!(stderr(), EnterAlternateScreen, cursor::Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(stderr())));
        match opened {
            Ok(terminal) => Ok(Self {
                terminal,
                facts,
                from,
                drawn: (Instant::default(), Usage::read().process),
            }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Takes an interval of `length`, in which so many requests per second were due.
    pub(crate) fn add(&mut self, samples: &Samples, length: Duration, wanted: Option<f64>) {
        self.facts.add(samples, length);
        self.facts.wanted = wanted;
    }

    /// Draws if it is time to; true if a key asks for the end of the run.
    pub(crate) fn turn(&mut self) -> bool {
        let now = clock::now();
        if now.since(self.drawn.0) >= FRAME {
            let cpu = Usage::read().process;
            if self.drawn.0 > Instant::default() {
                let used = cpu.saturating_sub(self.drawn.1).as_secs_f64();
                self.facts.cpus = used / now.since(self.drawn.0).as_secs_f64();
            }
            self.drawn = (now, cpu);
            self.facts.elapsed = (now >= self.from).then(|| now.since(self.from));
            // A terminal that is gone is no reason to lose the run.
            let _ = self.terminal.draw(|frame| draw::draw(frame, &self.facts));
        }
        is_end_asked()
    }
}

impl Drop for View {
    fn drop(&mut self) {
        restore();
    }
}

/// Reads the keys that were pressed.
fn is_end_asked() -> bool {
    while event::poll(Duration::ZERO).unwrap_or(false) {
        if let Ok(Event::Key(KeyEvent {
            code, modifiers, ..
        })) = event::read()
        {
            let is_interrupt =
                code == KeyCode::Char('c') && modifiers.contains(KeyModifiers::CONTROL);
            if code == KeyCode::Char('q') || is_interrupt {
                return true;
            }
        }
    }
    false
}

fn restore() {
    let _ = disable_raw_mode();
    let _ = execute!(stderr(), LeaveAlternateScreen, cursor::Show);
}

/// A panic's message would be lost with the screen it is written to.
fn restore_in_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        usual(panic);
    }));
}
