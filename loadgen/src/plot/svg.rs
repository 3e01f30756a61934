//! Text of an SVG picture, shape by shape.
//!
//! Coordinates are pixels from the top left, with one decimal. Text is escaped here and nowhere
//! else. Shapes take a class and no colours: [`theme`](super::theme) says what a class looks like,
//! in light and in dark. No element has an id, so any number of pictures can share a page; what
//! has to be clipped lies in a nested `svg`, which clips without one.

use std::fmt::{self, Display, Formatter, Write};

use super::theme;

/// How a text stands to its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A rectangle in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Area {
    /// Right edge.
    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Lower edge.
    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    /// The pixel column of a place on the horizontal axis.
    pub(crate) fn x(&self, place: f64) -> f64 {
        self.left + place * self.width
    }

    /// The pixel row of a place on the vertical axis, which grows upwards. Places far outside stay
    /// finite, so that a clipped line keeps its direction.
    pub(crate) fn y(&self, place: f64) -> f64 {
        self.bottom() - place.clamp(-20.0, 20.0) * self.height
    }
}

/// A picture being drawn.
#[derive(Debug)]
pub(crate) struct Svg {
    text: String,
}

impl Svg {
    /// An empty picture. `title` and `description` are what a screen reader says.
    pub(crate) fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let mut svg = Self {
            text: String::new(),
        };
        svg.write(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" role=\"img\" \
             viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\">\n<title>{2}</title>\n\
             <desc>{3}</desc>\n<style>{4}</style>\n",
            Px(width),
            Px(height),
            Escaped(title),
            Escaped(description),
            theme::STYLE
        ));
        let whole = Area {
            left: 0.0,
            top: 0.0,
            width,
            height,
        };
        svg.rect("paper", whole, "");
        svg
    }

    /// The finished picture.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    /// A line of text with its baseline at `y`.
    pub(crate) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        self.write(format_args!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>\n",
            Px(x),
            Px(y),
            Escaped(text)
        ));
    }

    /// A straight line.
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.write(format_args!(
            "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n",
            Px(from.0),
            Px(from.1),
            Px(to.0),
            Px(to.1)
        ));
    }

    /// A line through all points.
    pub(crate) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        self.points("polyline", class, points.iter().copied());
    }

    /// The filled shape between an upper and a lower line.
    pub(crate) fn band(&mut self, class: &str, upper: &[(f64, f64)], lower: &[(f64, f64)]) {
        let around = upper.iter().chain(lower.iter().rev()).copied();
        self.points("polygon", class, around);
    }

    /// A rectangle; the hint is shown when a pointer rests on it.
    pub(crate) fn rect(&mut self, class: &str, area: Area, hint: &str) {
        self.write(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            Px(area.left),
            Px(area.top),
            Px(area.width),
            Px(area.height)
        ));
        self.close("rect", hint);
    }

    /// A dot; the hint is shown when a pointer rests on it.
    pub(crate) fn dot(&mut self, class: &str, (x, y): (f64, f64), radius: f64, hint: &str) {
        self.write(format_args!(
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"",
            Px(x),
            Px(y),
            Px(radius)
        ));
        self.close("circle", hint);
    }

    /// Many rectangles of one look, as one shape.
    pub(crate) fn rects(&mut self, class: &str, areas: impl IntoIterator<Item = Area>) {
        let mut areas = areas.into_iter().peekable();
        if areas.peek().is_none() {
            return;
        }
        self.write(format_args!("<path class=\"{class}\" d=\""));
        for area in areas {
            self.write(format_args!(
                "M{} {}h{}v{}h{}z",
                Px(area.left),
                Px(area.top),
                Px(area.width),
                Px(area.height),
                Px(-area.width)
            ));
        }
        self.text.push_str("\"/>\n");
    }

    /// Draws what `draw` draws, cut off at the edges of `area`. Coordinates stay those of the
    /// whole picture.
    pub(crate) fn clipped(&mut self, area: Area, draw: impl FnOnce(&mut Self)) {
        let Area {
            left,
            top,
            width,
            height,
        } = area;
        let [left, top, width, height] = [left, top, width, height].map(Px);
        self.write(format_args!(
            "<svg x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"{left} {top} {width} {height}\">\n"
        ));
        draw(self);
        self.text.push_str("</svg>\n");
    }

    fn points(&mut self, shape: &str, class: &str, points: impl Iterator<Item = (f64, f64)>) {
        self.write(format_args!("<{shape} class=\"{class}\" points=\""));
        for (index, (x, y)) in points.enumerate() {
            let gap = if index == 0 { "" } else { " " };
            self.write(format_args!("{gap}{},{}", Px(x), Px(y)));
        }
        self.text.push_str("\"/>\n");
    }

    fn close(&mut self, shape: &str, hint: &str) {
        match hint {
            "" => self.text.push_str("/>\n"),
            _ => self.write(format_args!(
                "><title>{}</title></{shape}>\n",
                Escaped(hint)
            )),
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // A string takes everything.
        let _ = self.text.write_fmt(text);
    }
}

/// About how wide a text is, in pixels. Fonts differ; what needs more than an estimate is anchored
/// instead.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * 0.56
}

/// A coordinate: a tenth of a pixel is finer than anyone sees.
struct Px(f64);

impl Display for Px {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round();
        match tenths {
            t if t.is_nan() => write!(f, "0"),
            t if t % 10.0 == 0.0 => write!(f, "{}", (t / 10.0) as i64),
            t => write!(f, "{:.1}", t / 10.0),
        }
    }
}

/// Text as XML and HTML want it.
pub(crate) struct Escaped<'a>(pub &'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // XML has no way to say these, not even escaped.
                control if control < ' ' && !"\t\n\r".contains(control) => {
                    f.write_str("\u{fffd}")?
                }
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        let mut svg = Svg::new(10.0, 10.0, "a < b & \"c\"", "\u{1}");
        svg.text("label", (1.0, 2.0), Anchor::End, "</text><script>'");
        let text = svg.finish();
        assert!(
            text.contains("<title>a &lt; b &amp; &quot;c&quot;</title>"),
            "{text}"
        );
        assert!(
            text.contains("&lt;/text&gt;&lt;script&gt;&#39;</text>"),
            "{text}"
        );
        assert!(!text.contains('\u{1}'));
    }

    #[test]
    fn coordinates_have_a_decimal_where_they_need_one() {
        let shown = [1.0, 1.04, -2.25, 1234.96, f64::NAN].map(|value| Px(value).to_string());
        assert_eq!(shown, ["1", "1", "-2.3", "1235", "0"]);
    }
}
