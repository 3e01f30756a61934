//! `/histograms`: which series a request asks for, and in which format.
//!
//! `format` is `hgrm` (the default: a percentile spectrum for people and plotters), `hlog` (one
//! interval since the start) or `json`. `listener`, `route` and `cluster` narrow to series by
//! name, `phase` to a phase. A spectrum without a name is that of all listeners together, because
//! a plotter reads one spectrum from a file. Names that do not exist are errors: an empty answer
//! would look like no traffic. Pure.

use std::time::SystemTime;

use super::page::argument;
use crate::io::Instant;
use crate::io::clock;
use crate::record::expose::hlog::{self, Interval};
use crate::record::expose::{self, Selection, hgrm, json};
use crate::record::{Ledger, Phase, SeriesNames};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Hgrm,
    Hlog,
    Json,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    format: Format,
    selection: Selection,
}

impl Wanted {
    /// Reads the query.
    ///
    /// # Errors
    /// A sentence about the first argument that means nothing here.
    pub(super) fn parse(query: Option<&str>, names: &SeriesNames) -> Result<Self, String> {
        let format = match argument(query, "format").as_deref() {
            None | Some("hgrm") => Format::Hgrm,
            Some("hlog") => Format::Hlog,
            Some("json") => Format::Json,
            Some(other) => return Err(format!("format={other}: hgrm, hlog or json.\n")),
        };
        let phase = match argument(query, "phase") {
            None => None,
            Some(label) => Some(Phase::from_label(&label).ok_or_else(|| {
                let labels = Phase::ALL.map(Phase::label).join(", ");
                format!("phase={label}: one of {labels}.\n")
            })?),
        };
        let text = |name| argument(query, name).map(std::borrow::Cow::into_owned);
        let selection = Selection {
            listener: text("listener"),
            route: text("route"),
            cluster: text("cluster"),
            phase,
        };
        unknown(&selection, names).map_or(Ok(Self { format, selection }), Err)
    }

    pub(super) const fn content_type(&self) -> &'static str {
        match self.format {
            Format::Hgrm | Format::Hlog => "text/plain; charset=utf-8",
            Format::Json => "application/json",
        }
    }

    /// The series asked for, since the start.
    ///
    /// # Errors
    /// A sentence when the encoder fails, which its bounds do not let it.
    pub(super) fn write(
        &self,
        ledger: &Ledger,
        (start, since): (SystemTime, Instant),
    ) -> Result<String, String> {
        let (names, book) = (ledger.names(), ledger.total());
        let series = expose::series(names, book, &self.selection);
        let mut out = String::new();
        match self.format {
            Format::Hgrm if self.is_unnamed() => {
                let phase = self.selection.phase.unwrap_or(Phase::Total);
                hgrm::write(&mut out, expose::all_listeners(book, phase).histogram());
            }
            Format::Hgrm => hgrm::write_series(&mut out, series),
            Format::Json => json::write(&mut out, series),
            Format::Hlog => {
                let interval = Interval {
                    start,
                    length: clock::now().since(since),
                };
                hlog::write_header(&mut out, start);
                hlog::write_interval(&mut out, names, book, &self.selection, interval)
                    .map_err(|error| format!("{error}\n"))?;
            }
        }
        Ok(out)
    }

    const fn is_unnamed(&self) -> bool {
        let Selection {
            listener,
            route,
            cluster,
            phase: _,
        } = &self.selection;
        listener.is_none() && route.is_none() && cluster.is_none()
    }
}

/// A sentence about the first name that no series has.
fn unknown(selection: &Selection, names: &SeriesNames) -> Option<String> {
    let listener = selection.listener.as_deref();
    let is_listener = |name: &str| names.listeners.iter().any(|(_, known)| **known == *name);
    let is_cluster = |name: &str| names.clusters.iter().any(|(_, known)| **known == *name);
    let is_route = |name: &str| {
        let of_listener = |known: &str| listener.is_none_or(|listener| *known == *listener);
        let mut routes = names.routes.iter();
        routes.any(|(_, label)| *label.route == *name && of_listener(&label.listener))
    };
    if let Some(name) = listener.filter(|name| !is_listener(name)) {
        return Some(format!("listener={name}: there is no such listener.\n"));
    }
    if let Some(name) = selection.route.as_deref().filter(|name| !is_route(name)) {
        return Some(format!("route={name}: there is no such route.\n"));
    }
    let name = selection
        .cluster
        .as_deref()
        .filter(|name| !is_cluster(name))?;
    Some(format!("cluster={name}: there is no such cluster.\n"))
}
