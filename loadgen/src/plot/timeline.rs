//! Lines over time, in panels above each other that share the time axis.
//!
//! One panel for each kind of quantity (rate, times, errors), because two scales in one panel can
//! be made to say anything. A line breaks where intervals are missing instead of bridging the gap.

use super::frame::{Axis, Caption, Event, EventMarks, Sheet, time_axis};
use super::scale::Scale;
use super::theme;
use super::unit::Unit;

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Seconds and value; a value that is not finite is a gap.
    pub points: Vec<(f64, f64)>,
}

/// Lines of one quantity.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// The quantity, with its unit where ticks do not say it.
    pub title: String,
    /// How it is written.
    pub unit: Unit,
    /// Logarithmic, for quantities that differ by factors; else from zero.
    pub is_log: bool,
    /// Pixels.
    pub height: f64,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Panels above each other.
#[derive(Clone, Debug)]
pub(crate) struct TimeChart {
    /// What it says about itself; an empty description is made from the lines.
    pub caption: Caption,
    /// Seconds that the time axis holds.
    pub seconds: f64,
    /// The panels, from top to bottom.
    pub panels: Vec<Panel>,
    /// What happened meanwhile.
    pub events: Vec<Event>,
}

impl TimeChart {
    /// The chart as SVG.
    pub(crate) fn svg(&self) -> String {
        let caption = Caption {
            description: self.description(),
            ..self.caption.clone()
        };
        let names = self.names();
        let last = self.panels.len().saturating_sub(1);
        let rooms = self.panels.iter().enumerate();
        let room = rooms.map(|(index, panel)| Sheet::panel_room(panel.height, index == last));
        let x = time_axis(self.seconds);
        let marks = EventMarks::new(&self.events, &x);
        let mut sheet = Sheet::new(&caption, &names, room.sum::<f64>() + marks.room());
        sheet.y += marks.room();
        for (index, panel) in self.panels.iter().enumerate() {
            let y = panel.axis();
            let area = sheet.panel(panel.height, (&x, &y), index == last);
            let at = |&(time, value): &(f64, f64)| {
                (area.x(x.scale.place(time)), area.y(y.scale.place(value)))
            };
            sheet.svg.clipped(area, |svg| {
                for line in &panel.lines {
                    let number = names.iter().position(|name| *name == line.name);
                    let class = theme::series(number.unwrap_or(0));
                    for run in runs(&line.points) {
                        match run {
                            [alone] => svg.dot(&format!("f {class}"), at(alone), 1.5, ""),
                            run => {
                                let points: Vec<_> = run.iter().map(at).collect();
                                svg.polyline(&class, &points);
                            }
                        }
                    }
                }
            });
            sheet.events(area, &marks, index == 0);
        }
        sheet.finish()
    }

    /// The name of every line once, in order: a name has one colour in all panels.
    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for line in self.panels.iter().flat_map(|panel| &panel.lines) {
            if !names.contains(&&*line.name) {
                names.push(&line.name);
            }
        }
        names
    }

    fn description(&self) -> String {
        if !self.caption.description.is_empty() {
            return self.caption.description.clone();
        }
        let mut sentences = Vec::new();
        for panel in &self.panels {
            for line in &panel.lines {
                let values = line.points.iter().map(|point| point.1);
                let values = values.filter(|value| value.is_finite());
                let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |span, value| {
                    (span.0.min(value), span.1.max(value))
                });
                if low <= high {
                    let [low, high] = [low, high].map(|value| panel.unit.show(value));
                    let (title, name) = (&panel.title, &line.name);
                    sentences.push(format!("{title}, {name}: from {low} to {high}."));
                }
            }
        }
        for event in &self.events {
            sentences.push(format!("{} at {} s.", event.label, event.at_seconds));
        }
        sentences.join(" ")
    }
}

impl Panel {
    fn axis(&self) -> Axis {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let values = points
            .map(|point| point.1)
            .filter(|value| value.is_finite());
        Axis {
            scale: if self.is_log {
                Scale::log(values)
            } else {
                Scale::from_zero(values)
            },
            unit: self.unit.clone(),
            title: self.title.clone(),
        }
    }
}

/// Stretches without a gap.
fn runs(points: &[(f64, f64)]) -> impl Iterator<Item = &[(f64, f64)]> {
    let runs = points.split(|point| !point.1.is_finite());
    runs.filter(|run| !run.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> TimeChart {
        let line = |name: &str, values: &[f64]| Line {
            name: name.into(),
            points: values
                .iter()
                .enumerate()
                .map(|(at, value)| (at as f64, *value))
                .collect(),
        };
        let panel = |title: &str, unit: Unit, is_log: bool, lines: Vec<Line>| Panel {
            title: title.into(),
            unit,
            is_log,
            height: 100.0,
            lines,
        };
        TimeChart {
            caption: Caption {
                title: "A run".into(),
                ..Caption::default()
            },
            seconds: 5.0,
            panels: vec![
                panel(
                    "answers/s",
                    Unit::Count,
                    false,
                    vec![line("weft", &[100.0, 120.0])],
                ),
                panel(
                    "time",
                    Unit::Nanos,
                    true,
                    vec![
                        line("p50", &[1e6, f64::NAN, 2e6, 3e6]),
                        line("weft", &[1e6]),
                    ],
                ),
            ],
            events: vec![Event {
                at_seconds: 2.0,
                label: "reload".into(),
            }],
        }
    }

    #[test]
    fn lines_break_at_gaps() {
        let nan = f64::NAN;
        let points = [(0.0, 1.0), (1.0, nan), (2.0, nan), (3.0, 1.0), (4.0, 2.0)];
        let lengths: Vec<usize> = runs(&points).map(<[_]>::len).collect();
        assert_eq!(lengths, [1, 2]);
    }

    #[test]
    fn a_name_has_one_colour_and_an_event_one_label() {
        let svg = chart().svg();
        assert_eq!(chart().names(), ["weft", "p50"]);
        assert_eq!(svg.matches(">reload</text>").count(), 1);
        assert_eq!(svg.matches("class=\"event\"").count(), 2);
        assert!(
            svg.contains("answers/s, weft: from 100 to 120. time, p50: from 1 ms to 3 ms."),
            "{svg}"
        );
        assert_eq!(svg.matches("time since the start (s)").count(), 1);
    }
}
