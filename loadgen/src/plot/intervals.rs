//! Figures with their confidence intervals, a row each, for comparisons.
//!
//! A dot is the estimate, the whisker its interval, the dashed line the reference that a reader
//! should compare with: an interval that crosses it proves nothing. Rows stay in the order given. A
//! whisker that leaves the chart ends in an arrow's place at the edge: an interval without an end
//! is drawn up to there and its row says so.

use super::frame::{Axis, Caption, Sheet};
use super::scale::Scale;
use super::svg::{Anchor, Area, text_width};
use super::theme::{self, LABEL};
use super::unit::Unit;

/// Height of a row.
const ROW: f64 = 30.0;
/// Ratios that differ by more than this are drawn on a logarithmic axis.
const RATIO_SPAN: f64 = 3.0;
/// How far an interval of a ratio is drawn: beyond this it is wide, and how wide does not matter.
const RATIO_REACH: f64 = 20.0;

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Whose it is.
    pub name: String,
    /// The estimate.
    pub mean: f64,
    /// Lower end of its interval; may be infinite.
    pub low: f64,
    /// Upper end of its interval; may be infinite.
    pub high: f64,
    /// Its colour: the number of a series. Rows that belong together share one.
    pub series: usize,
}

/// A chart of figures.
#[derive(Clone, Debug)]
pub(crate) struct IntervalChart {
    /// What it says about itself; an empty description is made from the rows.
    pub caption: Caption,
    /// What is measured, with the unit where ticks do not say it.
    pub measured: String,
    /// How it is written.
    pub unit: Unit,
    /// Show zero: for quantities whose size matters, and not only their differences.
    pub from_zero: bool,
    /// The rows, from top to bottom.
    pub rows: Vec<Row>,
    /// A value to compare with, and what it is.
    pub reference: Option<(f64, String)>,
}

impl IntervalChart {
    /// The chart as SVG.
    pub(crate) fn svg(&self) -> String {
        let caption = Caption {
            description: self.description(),
            ..self.caption.clone()
        };
        let height = ROW * self.rows.len().max(1) as f64 + 8.0;
        let mut sheet = Sheet::new(&caption, &[], height + 66.0);
        let x = self.axis();
        let area = sheet.rows(height, &x, self.name_width());
        if let Some((value, name)) = &self.reference {
            let column = area.x(x.scale.place(*value));
            let end = (column, area.bottom());
            sheet.svg.line("reference", (column, area.top - 4.0), end);
            let (column, anchor) = match x.scale.place(*value) {
                place if place > 0.85 => (area.right(), Anchor::End),
                place if place < 0.1 => (area.left, Anchor::Start),
                _ => (column, Anchor::Middle),
            };
            sheet
                .svg
                .text("note", (column, area.top - 8.0), anchor, name);
        }
        for (index, row) in self.rows.iter().enumerate() {
            let y = area.top + 4.0 + ROW * (index as f64 + 0.5);
            self.row(&mut sheet, area, &x.scale, row, y);
        }
        sheet.finish()
    }

    fn row(&self, sheet: &mut Sheet, area: Area, scale: &Scale, row: &Row, y: f64) {
        let column = |value: f64| area.x(scale.place(value).clamp(0.0, 1.0));
        let (low, mean, high) = (column(row.low), column(row.mean), column(row.high));
        let class = theme::series(row.series);
        let svg = &mut sheet.svg;
        svg.text("label", (area.left - 12.0, y + 4.0), Anchor::End, &row.name);
        svg.line(&format!("whisker {class}"), (low, y), (high, y));
        // An end that is open, or beyond the chart, has no cap.
        for (end, place) in [(row.low, low), (row.high, high)] {
            if (-1e-9..=1.0 + 1e-9).contains(&scale.place(end)) {
                svg.line(
                    &format!("whisker {class}"),
                    (place, y - 5.0),
                    (place, y + 5.0),
                );
            }
        }
        svg.dot(&format!("f dot {class}"), (mean, y), 5.5, &self.told(row));
        let at = (area.right() + 12.0, y + 4.0);
        svg.text("value", at, Anchor::Start, &self.unit.show(row.mean));
    }

    fn axis(&self) -> Axis {
        let ends = self.rows.iter().flat_map(|row| match self.unit {
            Unit::Ratio => [
                row.low.max(row.mean / RATIO_REACH),
                row.mean,
                row.high.min(row.mean * RATIO_REACH),
            ],
            _ => [row.low, row.mean, row.high],
        });
        let reference = self.reference.iter().map(|(value, _)| *value);
        let values: Vec<f64> = ends
            .chain(reference)
            .filter(|value| value.is_finite())
            .collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let is_ratio = self.unit == Unit::Ratio && low > 0.0;
        let scale = match low <= high {
            // Twice and half are equally far from once.
            true if is_ratio && high > RATIO_SPAN * low => Scale::log([low, high]),
            true if self.from_zero => Scale::from_zero([high]),
            true => Scale::between(low, high),
            false => Scale::from_zero([1.0]),
        };
        Axis {
            scale,
            unit: self.unit.clone(),
            title: self.measured.clone(),
        }
    }

    fn name_width(&self) -> f64 {
        let widths = self.rows.iter().map(|row| text_width(&row.name, LABEL));
        widths.fold(40.0, f64::max).min(300.0)
    }

    /// One row in words: `weft: 12.3 [11.9, 12.7]`.
    fn told(&self, row: &Row) -> String {
        let end = |value: f64| match value.is_finite() {
            true => self.unit.show(value),
            false => "open".into(),
        };
        let (low, high) = (end(row.low), end(row.high));
        format!("{}: {} [{low}, {high}]", row.name, self.unit.show(row.mean))
    }

    fn description(&self) -> String {
        if !self.caption.description.is_empty() {
            return self.caption.description.clone();
        }
        let rows: Vec<_> = self.rows.iter().map(|row| self.told(row)).collect();
        let reference = self
            .reference
            .as_ref()
            .map(|(value, name)| format!(" Reference: {name}, {}.", self.unit.show(*value)));
        format!(
            "{}. {}.{}",
            self.measured,
            rows.join("; "),
            reference.unwrap_or_default()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(rows: Vec<Row>) -> IntervalChart {
        IntervalChart {
            caption: Caption::default(),
            measured: "CPU time per request (us)".into(),
            unit: Unit::Plain,
            from_zero: true,
            rows,
            reference: Some((10.0, "nginx".into())),
        }
    }

    fn row(name: &str, mean: f64, low: f64, high: f64) -> Row {
        Row {
            name: name.into(),
            mean,
            low,
            high,
            series: 0,
        }
    }

    #[test]
    fn a_row_has_a_dot_and_a_whisker_with_caps() {
        let svg = chart(vec![row("weft", 8.0, 7.5, 8.5), row("h2o", 9.0, 8.0, 11.0)]).svg();
        assert_eq!(svg.matches("<circle").count(), 2);
        assert_eq!(svg.matches("class=\"whisker s0\"").count(), 6);
        assert!(
            svg.contains("weft: 8 [7.5, 8.5]; h2o: 9 [8, 11]. Reference: nginx, 10."),
            "{svg}"
        );
    }

    #[test]
    fn an_interval_without_ends_stays_inside() {
        let open = row("weft", 8.0, f64::NEG_INFINITY, f64::INFINITY);
        let svg = chart(vec![open]).svg();
        assert_eq!(svg.matches("class=\"whisker s0\"").count(), 1, "no caps");
        assert!(
            svg.contains("weft: 8 [open, open]") && !svg.contains("inf"),
            "{svg}"
        );
        assert!(chart(Vec::new()).svg().ends_with("</svg>\n"));
    }
}
