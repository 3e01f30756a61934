//! What stands around every chart: title, legend, axes with their grid, marks of events.
//!
//! From top to bottom: title, note, legend, then panels, each with the name of its vertical axis
//! above it and ticks at its left. A [`Sheet`] keeps how far down it is written; panels ask it for
//! room. All charts have the same width and margins, so that those on one page line up.

use super::scale::Scale;
use super::svg::{Anchor, Area, Svg, text_width};
use super::theme::{self, LABEL};
use super::unit::Unit;

/// Width of every chart.
const WIDTH: f64 = 880.0;
/// Room for the ticks of the vertical axis.
const LEFT: f64 = 76.0;
/// Room for half of the last tick of the horizontal axis.
const RIGHT: f64 = 36.0;
/// Edge of texts that belong to the whole.
const EDGE: f64 = 20.0;
/// Height of a line of labels.
const LINE: f64 = 20.0;
/// Length of a sample in the legend.
const SAMPLE: f64 = 20.0;
/// Rows that labels of events may use before they overlap.
const EVENT_ROWS: usize = 3;
/// Height of such a row.
const EVENT_LINE: f64 = 16.0;

/// What a chart says about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caption {
    /// What is shown, in a few words.
    pub title: String,
    /// One line beneath it: of what, how much, when. May be empty.
    pub note: String,
    /// The finding in sentences, for those who cannot see the picture.
    pub description: String,
}

/// An axis: where values lie, how they are written, what they are.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    /// From values to places.
    pub scale: Scale,
    /// How ticks are written.
    pub unit: Unit,
    /// What is measured, with the unit where ticks do not say it.
    pub title: String,
}

/// Something that happened during a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// Seconds from the start of the measured time.
    pub at_seconds: f64,
    /// What happened, in a word or two.
    pub label: String,
}

/// Where the marks of events go.
#[derive(Debug)]
pub(crate) struct EventMarks {
    marks: Vec<Mark>,
    row_count: usize,
}

#[derive(Debug)]
struct Mark {
    place: f64,
    label: String,
    row: usize,
    /// The label stands at the left of its line: at the right there is no room.
    is_left: bool,
}

impl EventMarks {
    /// Places the events that lie within the axis; labels that would touch get rows of their own.
    pub(crate) fn new(events: &[Event], time: &Axis) -> Self {
        let width = WIDTH - LEFT - RIGHT;
        let mut row_ends = [f64::NEG_INFINITY; EVENT_ROWS];
        let mut marks = Vec::new();
        for event in events {
            let place = time.scale.place(event.at_seconds);
            if !(0.0..=1.0).contains(&place) {
                continue;
            }
            let label_width = text_width(&event.label, LABEL) + 10.0;
            let is_left = place * width + label_width > width + RIGHT;
            let start = place * width - if is_left { label_width } else { 0.0 };
            // The first row with room, or the one whose last label ends first.
            let row = row_ends.iter().position(|end| *end <= start);
            let row = row.unwrap_or_else(|| earliest(&row_ends));
            row_ends[row] = start + label_width;
            let label = event.label.clone();
            marks.push(Mark {
                place,
                label,
                row,
                is_left,
            });
        }
        let row_count = marks.iter().map(|mark| mark.row + 1).max().unwrap_or(0);
        Self { marks, row_count }
    }

    /// Room that the labels need above a panel.
    pub(crate) fn room(&self) -> f64 {
        self.row_count as f64 * EVENT_LINE
    }
}

/// A chart on its way, filled from top to bottom.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// The picture.
    pub svg: Svg,
    /// Where the next thing goes.
    pub y: f64,
}

impl Sheet {
    /// A sheet with its caption and a legend of `series` (none for fewer than two), with `room`
    /// pixels beneath them.
    pub(crate) fn new(caption: &Caption, series: &[&str], room: f64) -> Self {
        let rows = legend_rows(series);
        let note = if caption.note.is_empty() { 0.0 } else { LINE };
        let head = 34.0 + note + rows.len() as f64 * LINE;
        let (title, description) = (&caption.title, &caption.description);
        let mut svg = Svg::new(WIDTH, head + room + 8.0, title, description);
        svg.text("title", (EDGE, 26.0), Anchor::Start, title);
        if note > 0.0 {
            svg.text("note", (EDGE, 46.0), Anchor::Start, &caption.note);
        }
        let first = 34.0 + note;
        for (row, entries) in rows.iter().enumerate() {
            let y = first + row as f64 * LINE + 14.0;
            for &(x, index, name) in entries {
                let sample = [(x, y - 4.0), (x + SAMPLE, y - 4.0)];
                svg.polyline(&theme::series(index), &sample);
                svg.text("label", (x + SAMPLE + 6.0, y), Anchor::Start, name);
            }
        }
        Self { svg, y: head }
    }

    /// Room that a panel of `height` takes, with its axes.
    pub(crate) const fn panel_room(height: f64, with_labels: bool) -> f64 {
        let below = if with_labels { 2.0 * LINE } else { LINE / 2.0 };
        LINE + 8.0 + height + below
    }

    /// A panel with its grid and axes; without `with_labels` the horizontal axis only divides,
    /// because a panel below says the same.
    pub(crate) fn panel(&mut self, height: f64, (x, y): (&Axis, &Axis), with_labels: bool) -> Area {
        let title_at = self.y + 15.0;
        let area = Area {
            left: LEFT,
            top: self.y + LINE + 8.0,
            width: WIDTH - LEFT - RIGHT,
            height,
        };
        self.svg
            .text("axis-title", (EDGE, title_at), Anchor::Start, &y.title);
        self.vertical(area, y);
        self.horizontal(area, x, with_labels);
        self.y += Self::panel_room(height, with_labels);
        area
    }

    /// A panel of named rows: the names at the left, the figures at the right, the horizontal axis
    /// below. `names` is how wide the names are.
    pub(crate) fn rows(&mut self, height: f64, axis: &Axis, names: f64) -> Area {
        let left = EDGE + names + 16.0;
        let area = Area {
            left,
            top: self.y + LINE,
            width: WIDTH - left - 2.5 * RIGHT,
            height,
        };
        self.horizontal(area, axis, true);
        self.y += height + 3.0 * LINE;
        area
    }

    /// Ticks and grid lines of the vertical axis.
    fn vertical(&mut self, area: Area, axis: &Axis) {
        for tick in axis.scale.ticks(&axis.unit) {
            let y = area.y(tick.place);
            let class = if tick.label.is_empty() {
                "grid-minor"
            } else {
                "grid"
            };
            self.svg.line(class, (area.left, y), (area.right(), y));
            if !tick.label.is_empty() {
                let at = (area.left - 8.0, y + 4.0);
                self.svg.text("tick", at, Anchor::End, &tick.label);
            }
        }
    }

    /// Ticks and grid lines of the horizontal axis, and its name.
    fn horizontal(&mut self, area: Area, axis: &Axis, with_labels: bool) {
        let bottom = area.bottom();
        for tick in axis.scale.ticks(&axis.unit) {
            let x = area.x(tick.place);
            self.svg.line("grid", (x, area.top), (x, bottom));
            if with_labels {
                self.svg
                    .text("tick", (x, bottom + 18.0), Anchor::Middle, &tick.label);
            }
        }
        self.svg
            .line("axis", (area.left, bottom), (area.right(), bottom));
        if with_labels {
            let middle = area.x(0.5);
            self.svg.text(
                "axis-title",
                (middle, bottom + 36.0),
                Anchor::Middle,
                &axis.title,
            );
        }
    }

    /// Marks of events over `area`, and their labels above it, if it was given room for them.
    pub(crate) fn events(&mut self, area: Area, marks: &EventMarks, with_labels: bool) {
        for mark in &marks.marks {
            let x = area.x(mark.place);
            if !with_labels {
                self.svg.line("event", (x, area.top), (x, area.bottom()));
                continue;
            }
            let y = area.top - EVENT_LINE * (marks.row_count - mark.row) as f64 + 9.0;
            self.svg.line("event", (x, y - 9.0), (x, area.bottom()));
            let (x, anchor) = match mark.is_left {
                true => (x - 5.0, Anchor::End),
                false => (x + 5.0, Anchor::Start),
            };
            self.svg
                .text("event-label halo", (x, y), anchor, &mark.label);
        }
    }

    /// The finished picture.
    pub(crate) fn finish(self) -> String {
        self.svg.finish()
    }
}

/// The time axis of a run that took `seconds`.
pub(crate) fn time_axis(seconds: f64) -> Axis {
    let unit = Unit::of_time(seconds);
    let title = match unit {
        Unit::Seconds => "time since the start (s)",
        _ => "time since the start (min:s)",
    };
    Axis {
        scale: Scale::Linear {
            low: 0.0,
            high: seconds.max(1e-3),
        },
        unit,
        title: title.into(),
    }
}

fn earliest(ends: &[f64; EVENT_ROWS]) -> usize {
    let ends = ends.iter().enumerate();
    ends.min_by(|a, b| a.1.total_cmp(b.1))
        .map_or(0, |(row, _)| row)
}

/// Rows of the legend: for each entry its left edge, number and name. One series needs none: the
/// title names it.
fn legend_rows<'a>(series: &[&'a str]) -> Vec<Vec<(f64, usize, &'a str)>> {
    let mut rows: Vec<Vec<_>> = Vec::new();
    if series.len() < 2 {
        return rows;
    }
    let mut x = f64::INFINITY;
    for (index, &name) in series.iter().enumerate() {
        let width = SAMPLE + 6.0 + text_width(name, LABEL) + 22.0;
        if x + width > WIDTH - EDGE {
            x = EDGE;
            rows.push(Vec::new());
        }
        if let Some(row) = rows.last_mut() {
            row.push((x, index, name));
        }
        x += width;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legend_breaks_its_rows_before_the_edge() {
        assert!(legend_rows(&["alone"]).is_empty());
        let names = ["a name of some length, as entries have"; 7];
        let rows = legend_rows(&names);
        assert!(rows.len() > 1);
        assert_eq!(
            rows.concat()
                .iter()
                .map(|entry| entry.1)
                .collect::<Vec<_>>(),
            [0, 1, 2, 3, 4, 5, 6]
        );
        for (x, _, name) in rows.concat() {
            assert!(x + SAMPLE + text_width(name, LABEL) < WIDTH);
        }
    }

    #[test]
    fn labels_of_close_events_use_different_rows() {
        let event = |at_seconds: f64| Event {
            at_seconds,
            label: "reload".into(),
        };
        let marks = EventMarks::new(&[5.0, 5.1, 9.99, 11.0].map(event), &time_axis(10.0));
        let places: Vec<_> = marks
            .marks
            .iter()
            .map(|mark| (mark.row, mark.is_left))
            .collect();
        assert_eq!(
            places,
            [(0, false), (1, false), (0, true)],
            "one lies outside"
        );
        assert_eq!(marks.room(), 2.0 * EVENT_LINE);
    }
}
