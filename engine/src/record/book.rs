//! Counters and histograms of every listener, route and cluster.
//!
//! The same book exists with a [`Tally`] of each phase on a shard, since the last take, and with
//! histograms on the control thread, since the start or for one interval. Ids index it; it grows
//! when a generation brings more of them, and what an id that is given back had is forgotten.
//! Histograms come into being with a series' first exchange, for at most [`HISTOGRAM_SERIES_MAX`]
//! routes and clusters; past that the rest keeps its counters only, and `without_histogram` says
//! that it happened.

use super::counters::{self, ConnectionCounters, Counters, PolicyCounters, PoolEvent};
use super::failure::Failure;
use super::histogram::{PhaseHistogram, PhaseHistograms, Shape, Values};
use super::ledger::register::FreedIds;
use super::outcome::Outcome;
use super::tally::Tally;
use crate::authorize::external::ExternalResult;
use crate::limits::HISTOGRAM_SERIES_MAX;
use crate::route::RetryReason;

/// How many listeners, routes and clusters there are to record, ids that nobody has included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesCounts {
    /// Listeners; a `ListenerId` is below it.
    pub listeners: usize,
    /// Routes over all listeners; a `RouteId` is below it.
    pub routes: usize,
    /// Clusters; a `ClusterId` is below it.
    pub clusters: usize,
    /// Policies and defaults of levels; a `PolicyId` is below it.
    pub policies: usize,
    /// Rate limits; a `LimitId` is below it.
    pub limits: usize,
}

/// Counters and histograms of every series.
#[derive(Clone, Debug)]
pub struct Book<H: Values = PhaseHistogram> {
    /// One for each listener, by id.
    pub listeners: Vec<ListenerSeries<H>>,
    /// One for each route, by id.
    pub routes: Vec<RouteSeries<H>>,
    /// One for each cluster, by id.
    pub clusters: Vec<ClusterSeries<H>>,
    /// One for each policy, by id.
    pub policies: Vec<PolicyCounters>,
    /// One for each rate limit, by id.
    pub limits: Vec<PolicyCounters>,
    /// Access-log lines handed to the file.
    pub access_log_written: u64,
    /// Access-log lines dropped because the file did not keep up.
    pub access_log_dropped: u64,
    /// Tasks that ended by a panic: bugs, each of which cost one connection.
    pub task_panics: u64,
    /// Exchanges of routes and clusters that could not get a histogram any more.
    pub without_histogram: u64,
    /// Routes and clusters that have histograms.
    histogram_series: usize,
}

/// What is known of a listener.
#[derive(Clone, Debug)]
pub struct ListenerSeries<H: Values = PhaseHistogram> {
    /// Its exchanges.
    pub counters: Counters,
    /// Its connections.
    pub connections: ConnectionCounters,
    /// All phases, once there was an exchange.
    pub histograms: Option<PhaseHistograms<H>>,
    failures: [u64; Failure::COUNT],
    external: [u64; ExternalResult::ALL.len()],
}

/// What is known of a route.
#[derive(Clone, Debug)]
pub struct RouteSeries<H: Values = PhaseHistogram> {
    /// Its exchanges.
    pub counters: Counters,
    /// Its phases, once there was an exchange.
    pub histograms: Option<PhaseHistograms<H>>,
}

/// What is known of a cluster.
#[derive(Clone, Debug)]
pub struct ClusterSeries<H: Values = PhaseHistogram> {
    /// Its exchanges.
    pub counters: Counters,
    /// Its phases, once there was an exchange.
    pub histograms: Option<PhaseHistograms<H>>,
    /// Further attempts that the budget did not allow.
    pub retry_budget_exhausted: u64,
    pool: [u64; PoolEvent::ALL.len()],
    retries: [u64; RetryReason::COUNT],
}

impl<H: Values> ListenerSeries<H> {
    /// Starts anew, and keeps the histograms' memory.
    fn forget(&mut self) {
        let histograms = cleared(self.histograms.take());
        *self = Self::default();
        self.histograms = histograms;
    }

    /// Exchanges that ended with this failure.
    pub fn failures(&self, failure: Failure) -> u64 {
        self.failures.get(failure.index()).copied().unwrap_or(0)
    }

    /// Exchanges about which a service outside was asked, with this result.
    pub fn external(&self, result: ExternalResult) -> u64 {
        self.external.get(result as usize).copied().unwrap_or(0)
    }
}

impl<H: Values> RouteSeries<H> {
    /// Starts anew, and keeps the histograms' memory.
    fn forget(&mut self) {
        self.counters = Counters::default();
        self.histograms = cleared(self.histograms.take());
    }
}

impl<H: Values> ClusterSeries<H> {
    /// Starts anew, and keeps the histograms' memory.
    fn forget(&mut self) {
        let histograms = cleared(self.histograms.take());
        *self = Self::default();
        self.histograms = histograms;
    }

    /// How often this happened to its upstream connections.
    pub fn pool(&self, event: PoolEvent) -> u64 {
        self.pool.get(event as usize).copied().unwrap_or(0)
    }

    /// Further attempts that were made for this reason.
    pub fn retries(&self, reason: RetryReason) -> u64 {
        self.retries.get(reason as usize).copied().unwrap_or(0)
    }

    fn count_retries(&mut self, outcome: &Outcome) {
        for (sum, more) in self.retries.iter_mut().zip(outcome.retries) {
            counters::add(sum, u64::from(more));
        }
        let is_exhausted = u64::from(outcome.is_budget_exhausted);
        counters::add(&mut self.retry_budget_exhausted, is_exhausted);
    }

    pub(super) fn count_pool(&mut self, event: PoolEvent) {
        counters::add_one(&mut self.pool, event as usize);
    }
}

impl<H: Values> Default for ListenerSeries<H> {
    fn default() -> Self {
        Self {
            counters: Counters::default(),
            connections: ConnectionCounters::default(),
            histograms: None,
            failures: [0; Failure::COUNT],
            external: [0; ExternalResult::ALL.len()],
        }
    }
}

impl<H: Values> Default for RouteSeries<H> {
    fn default() -> Self {
        Self {
            counters: Counters::default(),
            histograms: None,
        }
    }
}

impl<H: Values> Default for ClusterSeries<H> {
    fn default() -> Self {
        Self {
            counters: Counters::default(),
            histograms: None,
            retry_budget_exhausted: 0,
            pool: [0; PoolEvent::ALL.len()],
            retries: [0; RetryReason::COUNT],
        }
    }
}

impl<H: Values> Book<H> {
    /// An empty book; no histogram exists yet.
    pub fn new(counts: SeriesCounts) -> Self {
        let mut book = Self::default();
        book.fit(counts);
        book
    }

    /// How many series it has room for.
    pub const fn counts(&self) -> SeriesCounts {
        SeriesCounts {
            listeners: self.listeners.len(),
            routes: self.routes.len(),
            clusters: self.clusters.len(),
            policies: self.policies.len(),
            limits: self.limits.len(),
        }
    }

    /// Gives the book room for `counts`, at least. What it holds stays.
    pub fn fit(&mut self, counts: SeriesCounts) {
        grow(&mut self.listeners, counts.listeners);
        grow(&mut self.routes, counts.routes);
        grow(&mut self.clusters, counts.clusters);
        grow(&mut self.policies, counts.policies);
        grow(&mut self.limits, counts.limits);
    }

    /// Forgets what was counted for these ids of listeners, routes, clusters, policies and limits.
    pub fn forget(&mut self, [listeners, routes, clusters, policies, limits]: &FreedIds) {
        for &id in listeners {
            if let Some(series) = self.listeners.get_mut(id as usize) {
                series.forget();
            }
        }
        for &id in routes {
            if let Some(series) = self.routes.get_mut(id as usize) {
                series.forget();
            }
        }
        for &id in clusters {
            if let Some(series) = self.clusters.get_mut(id as usize) {
                series.forget();
            }
        }
        for &id in policies {
            if let Some(counters) = self.policies.get_mut(id as usize) {
                *counters = PolicyCounters::default();
            }
        }
        for &id in limits {
            if let Some(counters) = self.limits.get_mut(id as usize) {
                *counters = PolicyCounters::default();
            }
        }
    }

    /// Forgets everything counted and keeps the histograms' memory.
    pub fn clear(&mut self) {
        self.listeners.iter_mut().for_each(ListenerSeries::forget);
        self.routes.iter_mut().for_each(RouteSeries::forget);
        self.clusters.iter_mut().for_each(ClusterSeries::forget);
        self.policies.fill(PolicyCounters::default());
        self.limits.fill(PolicyCounters::default());
        self.access_log_written = 0;
        self.access_log_dropped = 0;
        self.task_panics = 0;
        self.without_histogram = 0;
    }
}

impl Book<Tally> {
    /// Counts one exchange on its listener, route and cluster.
    pub(super) fn record(&mut self, outcome: &Outcome) {
        let phases = outcome.phases();
        if let Some(series) = self.listeners.get_mut(outcome.listener.0 as usize) {
            series.counters.count(outcome);
            if let Some(failure) = outcome.failure {
                counters::add_one(&mut series.failures, failure.index());
            }
            if let Some(result) = outcome.external {
                counters::add_one(&mut series.external, result as usize);
            }
            let empty = || PhaseHistograms::new(Shape::LISTENER);
            series.histograms.get_or_insert_with(empty).record(&phases);
        }
        if let Some(id) = outcome.route
            && let Some(series) = self.routes.get_mut(id.0 as usize)
        {
            series.counters.count(outcome);
            match ensure(
                &mut series.histograms,
                Shape::ROUTE,
                &mut self.histogram_series,
            ) {
                Some(histograms) => histograms.record(&phases),
                None => counters::add(&mut self.without_histogram, 1),
            }
        }
        if let Some(id) = outcome.cluster
            && let Some(series) = self.clusters.get_mut(id.0 as usize)
        {
            series.counters.count(outcome);
            series.count_retries(outcome);
            match ensure(
                &mut series.histograms,
                Shape::CLUSTER,
                &mut self.histogram_series,
            ) {
                Some(histograms) => histograms.record(&phases),
                None => counters::add(&mut self.without_histogram, 1),
            }
        }
    }
}

impl Book {
    /// Adds another book, which may be of an earlier or a later generation.
    pub fn absorb<H: Values>(&mut self, other: &Book<H>) {
        self.fit(other.counts());
        for (mine, theirs) in self.listeners.iter_mut().zip(&other.listeners) {
            mine.counters.absorb(&theirs.counters);
            mine.connections.absorb(&theirs.connections);
            counters::add_each(&mut mine.failures, &theirs.failures);
            counters::add_each(&mut mine.external, &theirs.external);
            absorb_histograms(
                &mut mine.histograms,
                theirs.histograms.as_ref(),
                Shape::LISTENER,
            );
        }
        for (mine, theirs) in self.routes.iter_mut().zip(&other.routes) {
            mine.counters.absorb(&theirs.counters);
            absorb_histograms(
                &mut mine.histograms,
                theirs.histograms.as_ref(),
                Shape::ROUTE,
            );
        }
        for (mine, theirs) in self.clusters.iter_mut().zip(&other.clusters) {
            mine.counters.absorb(&theirs.counters);
            counters::add_each(&mut mine.pool, &theirs.pool);
            counters::add_each(&mut mine.retries, &theirs.retries);
            let exhausted = theirs.retry_budget_exhausted;
            counters::add(&mut mine.retry_budget_exhausted, exhausted);
            absorb_histograms(
                &mut mine.histograms,
                theirs.histograms.as_ref(),
                Shape::CLUSTER,
            );
        }
        for (mine, theirs) in self.policies.iter_mut().zip(&other.policies) {
            mine.absorb(theirs);
        }
        for (mine, theirs) in self.limits.iter_mut().zip(&other.limits) {
            mine.absorb(theirs);
        }
        counters::add(&mut self.access_log_written, other.access_log_written);
        counters::add(&mut self.access_log_dropped, other.access_log_dropped);
        counters::add(&mut self.task_panics, other.task_panics);
        counters::add(&mut self.without_histogram, other.without_histogram);
    }
}

impl<H: Values> Default for Book<H> {
    /// A book without any series, to be fitted.
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            routes: Vec::new(),
            clusters: Vec::new(),
            policies: Vec::new(),
            limits: Vec::new(),
            access_log_written: 0,
            access_log_dropped: 0,
            task_panics: 0,
            without_histogram: 0,
            histogram_series: 0,
        }
    }
}

fn grow<S: Default>(series: &mut Vec<S>, count: usize) {
    if series.len() < count {
        series.resize_with(count, Default::default);
    }
}

/// The histograms, made if there is still room for another series.
fn ensure<'a>(
    histograms: &'a mut Option<PhaseHistograms<Tally>>,
    shape: Shape,
    in_use: &mut usize,
) -> Option<&'a mut PhaseHistograms<Tally>> {
    if histograms.is_none() && *in_use < HISTOGRAM_SERIES_MAX {
        *in_use = in_use.saturating_add(1);
        *histograms = Some(PhaseHistograms::new(shape));
    }
    histograms.as_mut()
}

fn absorb_histograms<H: Values>(
    mine: &mut Option<PhaseHistograms>,
    theirs: Option<&PhaseHistograms<H>>,
    shape: Shape,
) {
    if let Some(theirs) = theirs {
        let empty = || PhaseHistograms::new(shape);
        mine.get_or_insert_with(empty).absorb(theirs);
    }
}

fn cleared<H: Values>(histograms: Option<PhaseHistograms<H>>) -> Option<PhaseHistograms<H>> {
    histograms.map(|mut histograms| {
        histograms.clear();
        histograms
    })
}
