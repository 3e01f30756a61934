//! The histogram series of a book, by whom they belong to and which phase they are of.
//!
//! In: a book, the names of its series and a selection. Out: the selected series that have values,
//! in the order of their ids, as views: nothing is copied. All formats but Prometheus'
//! iterate over these, so the same selection means the same in each.

use hdrhistogram::Histogram;

use crate::record::SeriesNames;
use crate::record::book::Book;
use crate::record::histogram::{PhaseHistogram, PhaseHistograms, Shape, Values as _};
use crate::record::times::Phase;

/// Whom a series belongs to, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner<'a> {
    /// A listener.
    Listener(&'a str),
    /// A route of a listener.
    Route {
        /// The listener's name.
        listener: &'a str,
        /// The route's name.
        route: &'a str,
    },
    /// A cluster.
    Cluster(&'a str),
}

impl Owner<'_> {
    /// The kind of owner, as in tags and JSON.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Listener(_) => "listener",
            Self::Route { .. } => "route",
            Self::Cluster(_) => "cluster",
        }
    }
}

/// One phase of one listener, route or cluster.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Whose.
    pub owner: Owner<'a>,
    /// Which phase.
    pub phase: Phase,
    /// The values.
    pub values: &'a PhaseHistogram,
}

impl<'a> Series<'a> {
    /// The values, in nanoseconds.
    pub const fn histogram(&self) -> &'a Histogram<u64> {
        self.values.histogram()
    }

    /// The series' name in one word: `listener.web.added`, `route.web.api.total`. Characters that
    /// the interval log cannot have in a tag become `_`.
    pub fn tag(&self) -> String {
        let phase = self.phase.label();
        let tag = match self.owner {
            Owner::Listener(name) => format!("listener.{name}.{phase}"),
            Owner::Route { listener, route } => format!("route.{listener}.{route}.{phase}"),
            Owner::Cluster(name) => format!("cluster.{name}.{phase}"),
        };
        let is_forbidden = |char: char| char == ',' || char.is_whitespace() || char.is_control();
        tag.replace(is_forbidden, "_")
    }
}

/// Which series are asked for; the default is all. A name narrows to its kind: with `listener`
/// alone only that listener's own series are meant, with `listener` and `route` that route's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A listener's name.
    pub listener: Option<String>,
    /// A route's name.
    pub route: Option<String>,
    /// A cluster's name.
    pub cluster: Option<String>,
    /// One phase.
    pub phase: Option<Phase>,
}

impl Selection {
    /// Is a series of this owner and phase asked for?
    pub fn wants(&self, owner: Owner<'_>, phase: Phase) -> bool {
        if self.phase.is_some_and(|wanted| wanted != phase) {
            return false;
        }
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref() == Some(name);
        let is_open = |wanted: &Option<String>, name: &str| wanted.is_none() || is(wanted, name);
        if self.listener.is_none() && self.route.is_none() && self.cluster.is_none() {
            return true;
        }
        match owner {
            Owner::Listener(name) => self.route.is_none() && is(&self.listener, name),
            Owner::Route { listener, route } => {
                is(&self.route, route) && is_open(&self.listener, listener)
            }
            Owner::Cluster(name) => is(&self.cluster, name),
        }
    }
}

/// The series of `book` that are asked for and not empty: listeners, routes, clusters, each by id.
pub fn series<'a>(
    names: &'a SeriesNames,
    book: &'a Book,
    selection: &'a Selection,
) -> impl Iterator<Item = Series<'a>> {
    let listeners = names.listeners.of(&book.listeners);
    let listeners =
        listeners.filter_map(|(name, of)| Some((Owner::Listener(name), of.histograms.as_ref()?)));
    let routes = names.routes.of(&book.routes).filter_map(|(label, of)| {
        let (listener, route) = (&*label.listener, &*label.route);
        Some((Owner::Route { listener, route }, of.histograms.as_ref()?))
    });
    let clusters = names.clusters.of(&book.clusters);
    let clusters =
        clusters.filter_map(|(name, of)| Some((Owner::Cluster(name), of.histograms.as_ref()?)));
    let owned = listeners.chain(routes).chain(clusters);
    let phases = owned.flat_map(|(owner, histograms)| phases(owner, histograms));
    phases.filter(|series| selection.wants(series.owner, series.phase))
}

fn phases<'a>(
    owner: Owner<'a>,
    histograms: &'a PhaseHistograms,
) -> impl Iterator<Item = Series<'a>> {
    let kept = histograms.iter().filter(|(_, values)| !values.is_empty());
    kept.map(move |(phase, values)| Series {
        owner,
        phase,
        values,
    })
}

/// One phase of all listeners together: every exchange once.
pub fn all_listeners(book: &Book, phase: Phase) -> PhaseHistogram {
    let mut sum = PhaseHistogram::new(Shape::LISTENER.digits());
    let histograms = book
        .listeners
        .iter()
        .filter_map(|series| series.histograms.as_ref());
    for values in histograms.filter_map(|histograms| histograms.phase(phase)) {
        sum.absorb(values);
    }
    sum
}
