//! Charts: pure functions from figures to SVG and to text for terminals.
//!
//! | chart | shows | file |
//! |---|---|---|
//! | [`PercentileChart`] | how long the slowest 10 %, 1 %, 0.1 % … take | `percentiles.rs` |
//! | [`HeatMap`] | when answers came and how long each took | `heat.rs` |
//! | [`TimeChart`] | rates and percentiles over time | `timeline.rs` |
//! | [`IntervalChart`] | figures with confidence intervals, for comparisons | `intervals.rs` |
//! | [`terminal::plot`] | the percentile curve where there are only characters | `terminal.rs` |
//!
//! A picture is one `<svg>` element that needs nothing else: no script, no font, no file, no id.
//! It can be a file of its own or part of a page, any number of them, and follows the reader's
//! choice of light or dark. Each says in words what it shows (`title`, `desc`). Times are
//! nanoseconds and instants seconds from the start of the run. Nothing here reads or writes files.

mod frame;
mod heat;
mod intervals;
mod percentiles;
mod scale;
mod svg;
pub(crate) mod terminal;
mod theme;
mod timeline;
mod unit;

pub(crate) use frame::{Caption, Event};
pub(crate) use heat::{Column, HeatMap};
pub(crate) use intervals::{IntervalChart, Row};
pub(crate) use percentiles::{Curve, PercentileChart};
pub(crate) use svg::Escaped;
pub(crate) use timeline::{Line, Panel, TimeChart};
pub(crate) use unit::Unit;

#[cfg(test)]
mod tests;
