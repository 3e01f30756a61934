//! The percentile curve in a terminal: Unicode braille, eight dots to a character.
//!
//! The same axes as the picture: percentiles with equal room for each nine, logarithmic times.
//! Several curves are told apart by colour, or, where there is none, by a letter each. Lines are
//! never longer than asked for.

use super::percentiles::Curve;
use super::scale::Scale;
use super::unit::Unit;

/// Columns for the labels of times, with the axis.
const LABELS: usize = 9;
/// Foreground colours that read on dark and light terminals.
const COLOURS: [u8; 6] = [34, 33, 32, 35, 36, 31];
/// The bits of a braille character by column and row.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Where and how a plot is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Characters in a line.
    pub width: usize,
    /// Lines of the plot, axis and legend not counted.
    pub height: usize,
    /// May escape sequences be used?
    pub has_colour: bool,
}

/// One character of the plot.
#[derive(Clone, Copy, Default)]
struct Cell {
    dots: u32,
    /// The curve drawn last.
    curve: usize,
}

/// The curves as lines of text.
pub(crate) fn plot(curves: &[Curve], screen: Screen) -> String {
    let width = screen.width.saturating_sub(LABELS).max(20);
    let height = screen.height.max(4);
    let points = curves.iter().flat_map(|curve| &curve.points);
    let values = Scale::log(points.map(|point| point.1));
    let count = curves.iter().map(|curve| curve.count).max();
    let quantiles = Scale::nines(count.unwrap_or(0));
    let mut cells = vec![vec![Cell::default(); width]; height];
    for (index, curve) in curves.iter().enumerate() {
        draw(&mut cells, curve, index, &values, &quantiles);
    }
    let mut text = String::new();
    let labels = row_labels(&values, height);
    for (row, label) in cells.iter().zip(labels) {
        let axis = if label.is_empty() { '│' } else { '┤' };
        text.push_str(&format!("{label:>width$}{axis}", width = LABELS - 1));
        text.push_str(&painted(row, curves.len(), screen.has_colour));
        text.push('\n');
    }
    text.push_str(&horizontal_axis(&quantiles, width));
    if curves.len() > 1 {
        text.push_str(&legend(curves, screen));
    }
    text
}

fn draw(cells: &mut [Vec<Cell>], curve: &Curve, index: usize, values: &Scale, quantiles: &Scale) {
    let (width, height) = (cells.first().map_or(0, Vec::len) * 2, cells.len() * 4);
    let last = curve.points.last().map_or(0.0, |point| point.0);
    let mut before = None;
    for x in 0..width {
        let quantile = quantiles.value((x as f64 + 0.5) / width as f64);
        // A curve ends with its greatest sample, give or take the half dot.
        let Some(value) = curve.at(quantile).filter(|_| quantile <= last + 1e-12) else {
            break;
        };
        let place = values.place(value).clamp(0.0, 1.0);
        let y = ((1.0 - place) * (height - 1) as f64).round() as usize;
        let from = before.unwrap_or(y);
        for y in from.min(y)..=from.max(y) {
            let cell = &mut cells[y / 4][x / 2];
            cell.dots |= DOTS[x % 2][y % 4];
            cell.curve = index;
        }
        before = Some(y);
    }
}

/// A row of cells as text.
fn painted(row: &[Cell], curve_count: usize, has_colour: bool) -> String {
    let mut text = String::new();
    let mut colour = None;
    for cell in row {
        let wanted = (cell.dots != 0 && has_colour && curve_count > 1)
            .then(|| COLOURS[cell.curve % COLOURS.len()]);
        if wanted != colour {
            text.push_str(&wanted.map_or_else(|| "\x1b[0m".into(), |code| format!("\x1b[{code}m")));
            colour = wanted;
        }
        text.push(match cell.dots {
            0 => ' ',
            _ if curve_count > 1 && !has_colour => letter(cell.curve),
            dots => char::from_u32(0x2800 + dots).unwrap_or(' '),
        });
    }
    if colour.is_some() {
        text.push_str("\x1b[0m");
        return text;
    }
    text.trim_end().to_owned()
}

/// The label of each line, from the top; most have none.
fn row_labels(values: &Scale, height: usize) -> Vec<String> {
    let mut labels = vec![String::new(); height];
    let ticks = values.ticks(&Unit::Nanos);
    for tick in ticks.into_iter().filter(|tick| !tick.label.is_empty()) {
        let row = ((1.0 - tick.place) * (height - 1) as f64).round() as usize;
        // The last that falls on a line would hide one that fits better: first come, first served.
        if let Some(label) = labels.get_mut(row).filter(|label| label.is_empty()) {
            *label = tick.label + " ";
        }
    }
    labels
}

/// The axis and, below it, percentiles where they do not touch.
fn horizontal_axis(quantiles: &Scale, width: usize) -> String {
    let mut axis = vec!['─'; width];
    let mut labels = vec![' '; width + LABELS];
    let mut free_from = 0;
    for tick in quantiles.ticks(&Unit::Quantile) {
        let column = (tick.place * (width - 1) as f64).round() as usize;
        let label = tick.label.replace(' ', "");
        let length = label.chars().count();
        let start = (LABELS + column).saturating_sub(length / 2);
        let start = start.min(labels.len() - length);
        if start < free_from {
            continue;
        }
        axis[column] = '┬';
        labels[start..start + length].copy_from_slice(&label.chars().collect::<Vec<_>>());
        free_from = start + length + 1;
    }
    let axis: String = axis.into_iter().collect();
    let labels: String = labels.into_iter().collect();
    format!("{:>LABELS$}{axis}\n{}\n", '└', labels.trim_end())
}

fn legend(curves: &[Curve], screen: Screen) -> String {
    let entry = |(index, curve): (usize, &Curve)| match screen.has_colour {
        true => format!(
            "\x1b[{}m──\x1b[0m {}",
            COLOURS[index % COLOURS.len()],
            curve.name
        ),
        false => format!("{} {}", letter(index), curve.name),
    };
    let entries: Vec<_> = curves.iter().enumerate().map(entry).collect();
    format!("{:LABELS$}{}\n", "", entries.join("   "))
}

fn letter(index: usize) -> char {
    char::from(b'a' + (index % 26) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(name: &str, factor: f64) -> Curve {
        Curve {
            name: name.into(),
            count: 10_000,
            points: vec![
                (0.0, factor),
                (0.9, 10.0 * factor),
                (0.9999, 1000.0 * factor),
            ],
            band: Vec::new(),
        }
    }

    const SCREEN: Screen = Screen {
        width: 70,
        height: 10,
        has_colour: false,
    };

    #[test]
    fn a_curve_rises_from_the_lower_left_to_the_upper_right() {
        let text = plot(&[curve("all", 1e6)], SCREEN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 12);
        let ink = |line: &str| {
            line.chars()
                .position(|c| ('\u{2801}'..='\u{28ff}').contains(&c))
        };
        let (top, bottom) = (ink(lines[0]), ink(lines[9]));
        assert!(
            bottom.is_some_and(|at| at < 15) && top.is_some_and(|at| at > 40),
            "{text}"
        );
        assert!(
            lines[0].starts_with("    1 s ┤") && lines[9].starts_with("   1 ms ┤"),
            "{text}"
        );
        assert!(lines[11].contains("99.9%") && lines.iter().all(|line| line.chars().count() <= 70));
    }

    #[test]
    fn curves_are_told_apart_with_and_without_colour() {
        let curves = [curve("weft", 1e5), curve("nginx", 1e6)];
        let text = plot(&curves, SCREEN);
        assert!(
            text.contains("aaa") && text.contains("bbb") && text.contains("b nginx"),
            "{text}"
        );
        let text = plot(
            &curves,
            Screen {
                has_colour: true,
                ..SCREEN
            },
        );
        assert!(
            text.contains("\x1b[34m──\x1b[0m weft") && !text.contains("aaa"),
            "{text}"
        );
    }

    #[test]
    fn no_size_is_too_small_and_no_curve_too_empty() {
        let empty = Curve {
            points: Vec::new(),
            count: 0,
            ..curve("empty", 1.0)
        };
        for (width, height) in [(0, 0), (29, 4), (200, 50)] {
            let screen = Screen {
                width,
                height,
                has_colour: false,
            };
            plot(std::slice::from_ref(&empty), screen);
            plot(&[curve("all", 1e3), empty.clone()], screen);
        }
    }
}
