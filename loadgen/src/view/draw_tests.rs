//! What the view looks like, cell by cell, without a terminal.

use engine::io::Instant;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::sample::{Samples, Times};

/// Everything that stands on a screen of this size.
fn screen(facts: &Facts, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen in memory");
    terminal.draw(|frame| draw(frame, facts)).expect("it draws");
    terminal.backend().to_string()
}

fn facts() -> Facts {
    let duration = Duration::from_secs(90);
    Facts::new(
        "http://h/".into(),
        "open loop, 4 connections".into(),
        duration,
        true,
    )
}

/// `count` answers after `millis`, sent 50 us late.
fn second(count: usize, millis: u64) -> Samples {
    let mut samples = Samples::new(true);
    let times = Times {
        due: Instant::from_nanos(0),
        free: Instant::from_nanos(0),
        sent: Instant::from_nanos(50_000),
    };
    for _ in 0..count {
        samples.answered(&times, Instant::from_nanos(millis * 1_000_000), 200);
    }
    samples
}

#[test]
fn a_run_in_progress_shows_every_figure() {
    let mut facts = facts();
    facts.add(&second(1_000, 2), Duration::from_secs(1));
    let mut slow = second(890, 8);
    let times = Times {
        due: Instant::from_nanos(0),
        free: Instant::from_nanos(0),
        sent: Instant::from_nanos(0),
    };
    (0..7).for_each(|_| slow.wrong(&times, Failure::Status, 503));
    facts.add(&slow, Duration::from_secs(1));
    (facts.elapsed, facts.wanted, facts.cpus) = (Some(Duration::from_secs(65)), Some(1e3), 0.34);
    let shown = screen(&facts, 80, 24);
    for part in [
        "http://h/",
        "1:05 of 1:30",
        "890 requests/s   wanted 1000 requests/s",
        "last second      8.00 ms   8.00 ms",
        "whole run        2.00 ms   8.00 ms",
        "send lag         50.0 us",
        "status 7",
        "34 % of a processor   send lag p99 50.0 us",
        "q or Ctrl-C ends the run",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    // Each second has all its answers in one row: the slow one higher.
    let rows: Vec<&str> = shown.lines().filter(|row| row.contains('█')).collect();
    let [upper, lower] = rows.as_slice() else {
        panic!("{shown}")
    };
    assert!(upper.contains("│ █") && lower.contains("│█ "), "{shown}");
}

#[test]
fn a_run_that_has_not_begun_says_so() {
    let shown = screen(&facts(), 80, 24);
    for part in ["warming up", "no answers yet", "errors        none"] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
}

#[test]
fn small_screens_lose_lines_but_do_not_fail() {
    let mut facts = facts();
    for millis in 1..600 {
        facts.add(&second(3, millis), Duration::from_secs(1));
    }
    for (width, height) in [(1, 1), (10, 3), (40, 12), (300, 80)] {
        screen(&facts, width, height);
    }
}
