//! Writers of what was recorded, one file per format.
//!
//! All read the control thread's [`super::Ledger`] or one of its books and append to a caller's
//! `String`. None runs on a shard, so they may allocate.
//!
//! | format | for | file |
//! |---|---|---|
//! | Prometheus text 0.0.4 | scrapers | `prometheus` |
//! | `.hgrm` percentile spectrum | HdrHistogram plotter, hdr-plot | `hgrm` |
//! | `.hlog` interval log, V2 deflate | HdrHistogram readers (Java, Python, JavaScript) | `hlog` |
//! | … of fetched keys | scrapers | `key_sets` |
//! | JSON | scripts | `json` |
//! | plain text | people | `stats` |

pub mod hgrm;
pub mod hlog;
pub mod json;
pub mod key_sets;
pub mod prometheus;
pub mod stats;

mod series;

pub use series::{Owner, Selection, Series, all_listeners, series};

use std::fmt::{Arguments, Write};

/// Appends formatted text; a `String` takes all of it.
fn print(out: &mut String, arguments: Arguments<'_>) {
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok(), "no Display of ours fails");
}

#[cfg(test)]
mod tests;
