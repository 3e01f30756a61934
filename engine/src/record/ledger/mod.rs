//! The control thread's account of all shards.
//!
//! In: shard records as they are taken. Out: totals since the start, for metrics and dumps, and
//! the sum since the last interval, for the interval log. Records must all be absorbed: what a
//! shard gave away exists nowhere else.

pub(super) mod register;

use self::register::{FreedIds, SeriesNames};
use super::book::Book;
use super::recorder::{ShardGauges, ShardRecord};

/// What all shards have recorded.
#[derive(Debug)]
pub struct Ledger {
    names: SeriesNames,
    total: Book,
    interval: Book,
    shards: Vec<ShardAccount>,
}

/// What is kept for each shard, to show how evenly they are loaded.
#[derive(Clone, Debug, Default)]
pub struct ShardAccount {
    /// Exchanges since the start.
    pub requests: u64,
    /// In progress when its record was last taken, by listener.
    pub gauges: Vec<ShardGauges>,
}

impl Ledger {
    /// An empty account for the series so named.
    pub fn new(names: SeriesNames) -> Self {
        let counts = names.counts();
        Self {
            names,
            total: Book::new(counts),
            interval: Book::new(counts),
            shards: Vec::new(),
        }
    }

    /// Adds a shard's record and empties it, so that it can be that shard's next spare.
    pub fn absorb(&mut self, record: &mut ShardRecord) {
        self.total.absorb(&record.book);
        self.interval.absorb(&record.book);
        let index = record.shard as usize;
        if self.shards.len() <= index {
            self.shards
                .resize_with(index.saturating_add(1), ShardAccount::default);
        }
        if let Some(account) = self.shards.get_mut(index) {
            let listeners = record.book.listeners.iter();
            let requests: u64 = listeners.map(|series| series.counters.requests_all()).sum();
            account.requests = account.requests.wrapping_add(requests);
            account.gauges.clone_from(&record.gauges);
        }
        record.clear();
    }

    /// Takes over the names of another generation's series. What is counted goes on.
    pub fn rename(&mut self, names: SeriesNames) {
        self.total.fit(names.counts());
        self.interval.fit(names.counts());
        self.names = names;
    }

    /// Forgets what was counted for these ids of listeners, routes, clusters, policies and limits,
    /// which nobody has any more.
    pub fn forget(&mut self, ids: &FreedIds) {
        self.total.forget(ids);
        self.interval.forget(ids);
    }

    /// The names of the series.
    pub const fn names(&self) -> &SeriesNames {
        &self.names
    }

    /// Everything since the start.
    pub const fn total(&self) -> &Book {
        &self.total
    }

    /// Everything since [`Ledger::end_interval`].
    pub const fn interval(&self) -> &Book {
        &self.interval
    }

    /// Begins a new interval.
    pub fn end_interval(&mut self) {
        self.interval.clear();
    }

    /// One account for each shard that has reported, by number.
    pub fn shards(&self) -> &[ShardAccount] {
        &self.shards
    }

    /// What one listener has in progress on all shards.
    pub fn gauges(&self, listener: usize) -> ShardGauges {
        let of_listener = self
            .shards
            .iter()
            .filter_map(|shard| shard.gauges.get(listener));
        of_listener.fold(ShardGauges::default(), |sum, each| ShardGauges {
            connections_active: sum
                .connections_active
                .saturating_add(each.connections_active),
            requests_active: sum.requests_active.saturating_add(each.requests_active),
        })
    }
}
