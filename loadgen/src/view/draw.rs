//! Draws the figures of a run: progress, rate, times, the strip of response times, errors, the
//! generator. Pure: [`Facts`] in, cells out.
//!
//! The strip has a column for each second, the newest at the right, and logarithmic times upwards;
//! a cell is the darker the larger the share of the second's answers in it.

use std::time::Duration;

use hdrhistogram::Histogram;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Paragraph};

use super::facts::{Column, Facts, band_start};
use crate::quantity::{show_nanos, show_rate};
use crate::sample::Failure;

/// Columns for the words and times at the left.
const LABELS: u16 = 14;
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 50.0),
    ("p90", 90.0),
    ("p99", 99.0),
    ("p99.9", 99.9),
    ("max", 100.0),
];
/// From a few answers of a second to most of them.
const SHADES: [(f64, char, Color); 4] = [
    (0.003, '░', Color::Blue),
    (0.03, '▒', Color::Cyan),
    (0.15, '▓', Color::Yellow),
    (f64::INFINITY, '█', Color::Red),
];

/// Draws everything.
pub(crate) fn draw(frame: &mut Frame<'_>, facts: &Facts) {
    let times = time_lines(facts);
    let time_rows = u16::try_from(times.len()).unwrap_or(u16::MAX);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(time_rows),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(1),
        Constraint::Length(3),
    ]);
    let [title, load, gauge, _, rate, table, _, strip, _, foot] = rows.areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(facts.url.as_str(), bold), title);
    frame.render_widget(Line::styled(facts.load.as_str(), dim()), load);
    progress(frame, facts, gauge);
    frame.render_widget(rate_line(facts), rate);
    frame.render_widget(Paragraph::new(times), table);
    frame.render_widget(Paragraph::new(strip_lines(facts, strip)), strip);
    let lines = vec![
        error_line(facts),
        generator_line(facts),
        Line::styled("q or Ctrl-C ends the run with its report", dim()),
    ];
    frame.render_widget(Paragraph::new(lines), foot);
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// A word at the left, filled up with blanks.
fn label(word: &str) -> Span<'static> {
    Span::styled(
        format!("{word:<width$}", width = usize::from(LABELS)),
        dim(),
    )
}

fn progress(frame: &mut Frame<'_>, facts: &Facts, area: Rect) {
    let whole = facts.duration.as_secs_f64();
    let (ratio, words) = match facts.elapsed {
        None => (0.0, "warming up".into()),
        Some(elapsed) if elapsed >= facts.duration => (1.0, "waiting for answers".into()),
        Some(elapsed) => {
            let share = elapsed.as_secs_f64() / whole.max(1e-9);
            (
                share,
                format!("{} of {}", clock(elapsed), clock(facts.duration)),
            )
        }
    };
    let gauge = LineGauge::default()
        .ratio(ratio.clamp(0.0, 1.0))
        .label(format!("{words:<20}"))
        .filled_symbol("━")
        .filled_style(Style::new().fg(Color::Green))
        .unfilled_style(dim());
    frame.render_widget(gauge, area);
}

/// `1:05`, or `7 s` below a minute.
fn clock(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds => format!("{}:{:02}", seconds / 60, seconds % 60),
    }
}

fn rate_line(facts: &Facts) -> Line<'static> {
    let rate = facts.rate();
    let mut spans = vec![label("answers"), Span::raw(show_rate(rate.round()))];
    if let Some(wanted) = facts.wanted {
        // A hundredth below is rounding at the ends of a second, not a target that falls behind.
        let colour = match rate < wanted * 0.99 {
            true => Color::Red,
            false => Color::Green,
        };
        let words = format!("   wanted {}", show_rate(wanted.round()));
        spans.push(Span::styled(words, Style::new().fg(colour)));
    }
    Line::from(spans)
}

fn time_lines(facts: &Facts) -> Vec<Line<'static>> {
    let mut head = vec![label("")];
    let titles = PERCENTILES.map(|(title, _)| Span::styled(format!("{title:>10}"), dim()));
    head.extend(titles);
    let mut lines = vec![
        Line::from(head),
        time_line("last second", &facts.last.latency),
        time_line("whole run", &facts.total.latency),
    ];
    if let Some(open) = &facts.total.open {
        lines.push(time_line("service time", &open.service));
        lines.push(time_line("send lag", &open.lag));
    }
    lines
}

fn time_line(word: &str, times: &Histogram<u64>) -> Line<'static> {
    let mut spans = vec![label(word)];
    spans.extend(PERCENTILES.map(|(_, percentile)| {
        Span::raw(match times.is_empty() {
            true => format!("{:>10}", "-"),
            false => {
                let nanos = times.value_at_percentile(percentile) as f64;
                format!("{:>10}", show_nanos(nanos))
            }
        })
    }));
    Line::from(spans)
}

/// The strip, as many columns as fit.
fn strip_lines(facts: &Facts, area: Rect) -> Vec<Line<'static>> {
    let width = usize::from(area.width.saturating_sub(LABELS));
    let shown = facts
        .columns
        .iter()
        .skip(facts.columns.len().saturating_sub(width));
    let columns: Vec<&Column> = shown.collect();
    let bands = || columns.iter().flat_map(|column| &column.bands);
    let (Some(&(low, _)), Some(&(high, _))) = (bands().min(), bands().max_by_key(|band| band.0))
    else {
        return vec![Line::styled("no answers yet", dim())];
    };
    let height = usize::from(area.height).max(1);
    // Whole bands to a row, so that every row covers the same share of the scale.
    let per_row = usize::from(high - low + 1).div_ceil(height).max(1);
    let rows = usize::from(high - low + 1).div_ceil(per_row);
    (0..rows)
        .rev()
        .map(|row| {
            let first = usize::from(low) + row * per_row;
            let time = show_nanos(band_start(u16::try_from(first).unwrap_or(u16::MAX)));
            let word = format!("{time:>width$} │", width = usize::from(LABELS) - 2);
            let mut spans = vec![Span::styled(word, dim())];
            spans.extend(columns.iter().map(|column| cell(column, first, per_row)));
            Line::from(spans)
        })
        .collect()
}

fn cell(column: &Column, first: usize, count: usize) -> Span<'static> {
    let bands = first..first + count;
    let inside = column
        .bands
        .iter()
        .filter(|(band, _)| bands.contains(&usize::from(*band)));
    let inside: u64 = inside.map(|(_, count)| count).sum();
    let total: u64 = column.bands.iter().map(|(_, count)| count).sum();
    let share = inside as f64 / total.max(1) as f64;
    match SHADES.iter().find(|(most, ..)| share <= *most) {
        Some(&(_, shade, colour)) if inside > 0 => {
            Span::styled(shade.to_string(), Style::new().fg(colour))
        }
        _ => Span::raw(" "),
    }
}

fn error_line(facts: &Facts) -> Line<'static> {
    let counts = &facts.total.counts;
    let mut spans = vec![label("errors")];
    for failure in Failure::ALL {
        let count = counts.failed(failure);
        if count > 0 {
            let words = format!("{} {count}  ", failure.label());
            spans.push(Span::styled(words, Style::new().fg(Color::Red)));
        }
    }
    if counts.failed_total() == 0 {
        spans.push(Span::raw("none"));
    }
    Line::from(spans)
}

fn generator_line(facts: &Facts) -> Line<'static> {
    let cpus = format!("{:.0} % of a processor", facts.cpus * 100.0);
    let mut spans = vec![label("generator"), Span::raw(cpus)];
    if let Some(open) = facts.last.open.as_ref().filter(|open| !open.lag.is_empty()) {
        let lag = show_nanos(open.lag.value_at_percentile(99.0) as f64);
        spans.push(Span::raw(format!(
            "   send lag p99 {lag} in the last second"
        )));
    }
    Line::from(spans)
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
