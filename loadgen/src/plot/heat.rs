//! The heat map: every answer by when it came and how long it took.
//!
//! Across: time. Up: the time of the answer, in buckets of equal factors. Colour: answers per
//! second in the bucket, on a logarithmic scale, because one slow request among thousands must be
//! seen. It shows what percentiles hide: two humps, a stall, a mode that comes and goes. Lines for
//! percentiles may lie over it.

use hdrhistogram::Histogram;

use super::frame::{Axis, Caption, Event, EventMarks, Sheet, time_axis};
use super::scale::Scale;
use super::svg::{Anchor, Area, text_width};
use super::theme::{self, HEAT_STEPS, LABEL};
use super::unit::Unit;

/// Columns that are told apart; more intervals are added up in groups.
const COLUMNS_MAX: usize = 240;
/// Rows of the map.
const ROWS: usize = 48;
const HEIGHT: f64 = 300.0;
/// Room for the colours' legend.
const LEGEND: f64 = 40.0;

/// One interval of a run.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// Seconds from the start of the run.
    pub start_seconds: f64,
    /// Seconds it lasted.
    pub length_seconds: f64,
    /// Value in nanoseconds and how many samples had it.
    pub counts: Vec<(f64, u64)>,
}

impl Column {
    /// The column of a histogram of nanoseconds.
    pub(crate) fn of(start_seconds: f64, length_seconds: f64, times: &Histogram<u64>) -> Self {
        let recorded = times.iter_recorded();
        let counts = recorded.map(|step| {
            let value = times.median_equivalent(step.value_iterated_to());
            (value.max(1) as f64, step.count_since_last_iteration())
        });
        Self {
            start_seconds,
            length_seconds,
            counts: counts.collect(),
        }
    }

    fn end(&self) -> f64 {
        self.start_seconds + self.length_seconds
    }
}

/// A heat map.
#[derive(Clone, Debug)]
pub(crate) struct HeatMap {
    /// What it says about itself; an empty description is made from the columns.
    pub caption: Caption,
    /// What the times are, for the axis.
    pub measured: String,
    /// The intervals, in order.
    pub columns: Vec<Column>,
    /// Lines over the map: a name, then seconds and nanoseconds.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
    /// What happened meanwhile.
    pub events: Vec<Event>,
}

/// A bucket with samples: column, row, samples per second.
struct Cell {
    column: usize,
    row: usize,
    per_second: f64,
}

impl HeatMap {
    /// The map as SVG.
    pub(crate) fn svg(&self) -> String {
        let caption = Caption {
            description: self.description(),
            ..self.caption.clone()
        };
        let columns = grouped(&self.columns);
        let end = columns.iter().map(Column::end).fold(0.0, f64::max);
        let x = time_axis(end);
        let marks = EventMarks::new(&self.events, &x);
        let room = marks.room() + Sheet::panel_room(HEIGHT, true) + LEGEND;
        let mut sheet = Sheet::new(&caption, &[], room);
        let values = columns.iter().flat_map(|column| &column.counts);
        let y = Axis {
            scale: Scale::log(values.map(|(value, _)| *value)),
            unit: Unit::Nanos,
            title: self.measured.clone(),
        };
        sheet.y += marks.room();
        let area = sheet.panel(HEIGHT, (&x, &y), true);
        let cells = cells(&columns, &y.scale);
        let heat = Heat::of(&cells);
        let place = |cell: &Cell| {
            let column = &columns[cell.column];
            let [left, right] =
                [column.start_seconds, column.end()].map(|time| area.x(x.scale.place(time)));
            let height = area.height / ROWS as f64;
            Area {
                left,
                top: area.bottom() - (cell.row + 1) as f64 * height,
                width: right - left,
                height,
            }
        };
        sheet.svg.clipped(area, |svg| {
            for step in 0..HEAT_STEPS {
                let of_step = cells
                    .iter()
                    .filter(|cell| heat.step(cell.per_second) == step);
                svg.rects(&format!("heat {}", theme::heat(step)), of_step.map(place));
            }
            for (_, points) in &self.lines {
                let at = |&(time, value): &(f64, f64)| {
                    (area.x(x.scale.place(time)), area.y(y.scale.place(value)))
                };
                let points: Vec<_> = points.iter().map(at).collect();
                svg.polyline("over-halo", &points);
                svg.polyline("over", &points);
            }
        });
        self.name_lines(&mut sheet, area, &y.scale);
        sheet.events(area, &marks, true);
        heat.legend(&mut sheet, area);
        sheet.finish()
    }

    /// The name of each line, at its right end.
    fn name_lines(&self, sheet: &mut Sheet, area: Area, scale: &Scale) {
        for (name, points) in &self.lines {
            if let Some((_, value)) = points.last() {
                let at = (area.right() + 4.0, area.y(scale.place(*value)) + 4.0);
                sheet.svg.text("value", at, Anchor::Start, name);
            }
        }
    }

    fn description(&self) -> String {
        if !self.caption.description.is_empty() {
            return self.caption.description.clone();
        }
        let counts = self.columns.iter().flat_map(|column| &column.counts);
        let total: u64 = counts.clone().map(|(_, count)| count).sum();
        let longest = counts.map(|(value, _)| *value).fold(0.0, f64::max);
        let events: Vec<_> = self
            .events
            .iter()
            .map(|event| format!(" {} at {} s.", event.label, event.at_seconds))
            .collect();
        format!(
            "{} samples in {} intervals; the longest took {}.{}",
            Unit::Count.show(total as f64),
            self.columns.len(),
            Unit::Nanos.show(longest),
            events.concat()
        )
    }
}

/// Neighbours added up until few enough columns are left.
fn grouped(columns: &[Column]) -> Vec<Column> {
    let size = columns.len().div_ceil(COLUMNS_MAX).max(1);
    let sum = |group: &[Column]| {
        let first = group.first()?;
        let end = group
            .iter()
            .map(Column::end)
            .fold(f64::NEG_INFINITY, f64::max);
        Some(Column {
            start_seconds: first.start_seconds,
            length_seconds: end - first.start_seconds,
            counts: group
                .iter()
                .flat_map(|column| column.counts.clone())
                .collect(),
        })
    };
    columns.chunks(size).filter_map(sum).collect()
}

/// Buckets that hold samples.
fn cells(columns: &[Column], scale: &Scale) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        let mut rows = [0_u64; ROWS];
        for &(value, count) in &column.counts {
            let place = scale.place(value).clamp(0.0, 1.0);
            let row = (place * ROWS as f64) as usize;
            rows[row.min(ROWS - 1)] += count;
        }
        let length = column.length_seconds.max(1e-9);
        cells.extend(
            rows.into_iter()
                .enumerate()
                .filter(|(_, count)| *count > 0)
                .map(|(row, count)| Cell {
                    column: index,
                    row,
                    per_second: count as f64 / length,
                }),
        );
    }
    cells
}

/// From samples per second to colours.
struct Heat {
    low: f64,
    high: f64,
}

impl Heat {
    fn of(cells: &[Cell]) -> Self {
        let counts = cells.iter().map(|cell| cell.per_second);
        let (low, high) = counts.fold((f64::INFINITY, 0.0_f64), |(low, high), count| {
            (low.min(count), high.max(count))
        });
        match low <= high {
            true => Self {
                low,
                high: high.max(low * 2.0),
            },
            false => Self {
                low: 1.0,
                high: 10.0,
            },
        }
    }

    fn step(&self, per_second: f64) -> usize {
        let place = (per_second / self.low).ln() / (self.high / self.low).ln();
        ((place * HEAT_STEPS as f64) as usize).min(HEAT_STEPS - 1)
    }

    /// The colours in a row, with the counts at their ends, below the map.
    fn legend(&self, sheet: &mut Sheet, area: Area) {
        const STEP: f64 = 22.0;
        let (mut x, top) = (area.left, sheet.y + 8.0);
        let low = Unit::Plain.show(self.low);
        let svg = &mut sheet.svg;
        svg.text("tick", (x, top + 10.0), Anchor::Start, &low);
        x += text_width(&low, LABEL) + 8.0;
        for step in 0..HEAT_STEPS {
            let swatch = Area {
                left: x,
                top,
                width: STEP,
                height: 12.0,
            };
            let from = self.low * (self.high / self.low).powf(step as f64 / HEAT_STEPS as f64);
            let hint = format!("from {} per second", Unit::Count.show(from));
            svg.rect(&format!("heat {}", theme::heat(step)), swatch, &hint);
            x += STEP;
        }
        let high = format!(
            "{} samples per second in a bucket",
            Unit::Count.show(self.high)
        );
        svg.text("tick", (x + 8.0, top + 10.0), Anchor::Start, &high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(index: usize, counts: &[(f64, u64)]) -> Column {
        Column {
            start_seconds: index as f64,
            length_seconds: 1.0,
            counts: counts.to_vec(),
        }
    }

    fn map(columns: Vec<Column>) -> HeatMap {
        HeatMap {
            caption: Caption::default(),
            measured: "response time".into(),
            columns,
            lines: Vec::new(),
            events: vec![Event {
                at_seconds: 1.5,
                label: "reload".into(),
            }],
        }
    }

    #[test]
    fn every_sample_is_in_one_bucket() {
        let columns: Vec<_> = (0..1_000)
            .map(|index| column(index, &[(1e6, 3), (9e9, 1)]))
            .collect();
        let columns = grouped(&columns);
        assert!(columns.len() <= COLUMNS_MAX);
        let scale = Scale::log([1e6, 9e9]);
        let found = cells(&columns, &scale);
        let total: f64 = found
            .iter()
            .map(|cell| cell.per_second * columns[cell.column].length_seconds)
            .sum();
        assert!((total - 4_000.0).abs() < 1e-6, "{total}");
        assert_eq!(found.iter().map(|cell| cell.row).max(), Some(ROWS - 1));
    }

    #[test]
    fn more_is_hotter() {
        let cells = [1.0, 10.0, 100.0].map(|per_second| Cell {
            column: 0,
            row: 0,
            per_second,
        });
        let heat = Heat::of(&cells);
        assert_eq!(
            [1.0, 10.0, 100.0].map(|count| heat.step(count)),
            [0, HEAT_STEPS / 2, HEAT_STEPS - 1]
        );
    }

    #[test]
    fn the_picture_holds_buckets_and_events() {
        let svg = map(vec![
            column(0, &[(1e6, 5)]),
            column(1, &[(2e6, 500), (1e6, 1)]),
        ])
        .svg();
        let buckets = svg.matches("h-").count();
        assert_eq!(buckets, 3, "one closed path each: {svg}");
        assert!(svg.contains(">reload</text>") && svg.contains("reload at 1.5 s."));
        assert!(map(Vec::new()).svg().ends_with("</svg>\n"));
    }
}
