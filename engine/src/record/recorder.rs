//! What one shard records, and how it leaves the shard.
//!
//! The recorder belongs to its shard: `&mut self`, no lock. What it has counted since the last
//! [`Recorder::take`] is in a [`ShardRecord`], which moves to the control thread whole; what is
//! true *now* (connections and exchanges in progress) stays here and is copied into it.

use super::book::{Book, SeriesCounts};
use super::counters::{CloseReason, Decision, Handshake, PoolEvent, Refusal};
use super::outcome::{ListenerId, Outcome};
use super::tally::Tally;
use crate::authorize::{LimitId, PolicyId};
use crate::route::ClusterId;

/// Counts and histograms of one shard.
#[derive(Debug)]
pub struct Recorder {
    record: Box<ShardRecord>,
    gauges: Vec<ShardGauges>,
    shard: u32,
}

/// What one listener has in progress on one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardGauges {
    /// Connections open now.
    pub connections_active: u64,
    /// Exchanges between their head's first byte and their end.
    pub requests_active: u64,
}

/// What one shard has counted since its record was last taken. May be sent between threads.
#[derive(Clone, Debug, Default)]
pub struct ShardRecord {
    /// Which shard.
    pub shard: u32,
    /// What was counted.
    pub book: Book<Tally>,
    /// What was in progress when the record was taken, by listener.
    pub gauges: Vec<ShardGauges>,
}

impl ShardRecord {
    /// Forgets everything and keeps the memory, so that it can be the next spare.
    pub fn clear(&mut self) {
        self.book.clear();
        self.gauges.clear();
    }
}

impl Recorder {
    /// A recorder for shard number `shard` and a configuration with so many series.
    pub fn new(shard: u32, counts: SeriesCounts) -> Self {
        let record = ShardRecord {
            shard,
            book: Book::new(counts),
            gauges: Vec::with_capacity(counts.listeners),
        };
        Self {
            record: Box::new(record),
            gauges: vec![ShardGauges::default(); counts.listeners],
            shard,
        }
    }

    /// Makes room for the series of another generation. What is counted goes on.
    pub fn fit(&mut self, counts: SeriesCounts) {
        self.record.book.fit(counts);
        if self.gauges.len() < counts.listeners {
            self.gauges
                .resize_with(counts.listeners, ShardGauges::default);
        }
    }

    /// An exchange begins. Exactly one [`Recorder::record`] follows.
    pub fn exchange_started(&mut self, listener: ListenerId) {
        if let Some(gauges) = self.gauges.get_mut(listener.0 as usize) {
            gauges.requests_active = gauges.requests_active.saturating_add(1);
        }
    }

    /// An exchange has ended.
    ///
    /// *Cost:* no allocation, except on the first exchange of a listener, route or cluster.
    pub fn record(&mut self, outcome: &Outcome) {
        if let Some(gauges) = self.gauges.get_mut(outcome.listener.0 as usize) {
            debug_assert_ne!(
                gauges.requests_active, 0,
                "an exchange ended that never began"
            );
            gauges.requests_active = gauges.requests_active.saturating_sub(1);
        }
        self.record.book.record(outcome);
    }

    /// A socket was accepted; one of the next four follows.
    pub fn connection_accepted(&mut self, listener: ListenerId) {
        if let Some(series) = self.record.book.listeners.get_mut(listener.0 as usize) {
            series.connections.accepted = series.connections.accepted.wrapping_add(1);
        }
    }

    /// The accepted socket was closed at once.
    pub fn connection_refused(&mut self, listener: ListenerId, reason: Refusal) {
        if let Some(series) = self.record.book.listeners.get_mut(listener.0 as usize) {
            series.connections.count_refused(reason);
        }
    }

    /// The accepted socket was given to another shard, which will call
    /// [`Recorder::connection_opened`].
    pub fn connection_handed_over(&mut self, listener: ListenerId) {
        if let Some(series) = self.record.book.listeners.get_mut(listener.0 as usize) {
            series.connections.handed_over = series.connections.handed_over.wrapping_add(1);
        }
    }

    /// This shard begins to serve a connection.
    pub fn connection_opened(&mut self, listener: ListenerId) {
        if let Some(gauges) = self.gauges.get_mut(listener.0 as usize) {
            gauges.connections_active = gauges.connections_active.saturating_add(1);
        }
    }

    /// A served connection has ended after `requests` exchanges.
    pub fn connection_closed(&mut self, listener: ListenerId, reason: CloseReason, requests: u32) {
        if let Some(gauges) = self.gauges.get_mut(listener.0 as usize) {
            debug_assert_ne!(
                gauges.connections_active, 0,
                "a connection ended that never began"
            );
            gauges.connections_active = gauges.connections_active.saturating_sub(1);
        }
        if let Some(series) = self.record.book.listeners.get_mut(listener.0 as usize) {
            series.connections.count_closed(reason, requests);
        }
    }

    /// A TLS handshake with a client has ended.
    pub fn handshake(&mut self, listener: ListenerId, handshake: Handshake) {
        if let Some(series) = self.record.book.listeners.get_mut(listener.0 as usize) {
            series.connections.count_handshake(handshake);
        }
    }

    /// A policy, or the default of a level, decided about a request.
    pub fn decided(&mut self, policy: PolicyId, decision: Decision) {
        if let Some(counters) = self.record.book.policies.get_mut(policy.0 as usize) {
            counters.count(decision);
        }
    }

    /// A rate limit let a request pass, or refused it.
    pub fn limited(&mut self, limit: LimitId, decision: Decision) {
        if let Some(counters) = self.record.book.limits.get_mut(limit.0 as usize) {
            counters.count(decision);
        }
    }

    /// Something happened to an upstream connection of the cluster.
    pub fn pool(&mut self, cluster: ClusterId, event: PoolEvent) {
        if let Some(series) = self.record.book.clusters.get_mut(cluster.0 as usize) {
            series.count_pool(event);
        }
    }

    /// Access-log lines were handed to the file, or dropped because it did not keep up.
    pub const fn access_log(&mut self, written: u64, dropped: u64) {
        let book = &mut self.record.book;
        book.access_log_written = book.access_log_written.wrapping_add(written);
        book.access_log_dropped = book.access_log_dropped.wrapping_add(dropped);
    }

    /// So many more tasks of the shard have ended by a panic.
    pub const fn tasks_panicked(&mut self, count: u64) {
        let book = &mut self.record.book;
        book.task_panics = book.task_panics.wrapping_add(count);
    }

    /// What is in progress on this listener now.
    pub fn gauges(&self, listener: ListenerId) -> ShardGauges {
        let gauges = self.gauges.get(listener.0 as usize);
        gauges.copied().unwrap_or_default()
    }

    /// Connections open on this shard now.
    pub fn connections_active(&self) -> u64 {
        self.gauges.iter().map(|each| each.connections_active).sum()
    }

    /// Gives away what was counted since the last take, and goes on counting in `spare`.
    ///
    /// `spare` must be empty: fresh ([`ShardRecord::default`]), or one that came from here and was
    /// cleared by [`super::Ledger::absorb`]; the second costs no allocation now or later.
    pub fn take(&mut self, mut spare: Box<ShardRecord>) -> Box<ShardRecord> {
        spare.shard = self.shard;
        spare.book.fit(self.record.book.counts());
        std::mem::swap(&mut self.record, &mut spare);
        spare.gauges.clear();
        spare.gauges.extend_from_slice(&self.gauges);
        spare
    }
}
