//! What the control thread knows of the process, for the pages of the admin interface.
//!
//! Single-threaded by construction: it lives on the control thread, is changed by the control
//! loop and read by the pages. Figures of the shards are asked for when a page shows them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Notify;

use super::collect::Collector;
use super::discovery::Discovery;
use super::health::HealthChecks;
use super::jwks::KeySets;
use super::log::Log;
use super::reload::generations::Generations;
use super::signals::Lifecycle;
use super::workload::Workload;
use crate::config::Config;
use crate::io::Instant;

/// The process as the admin interface shows it.
#[derive(Debug)]
pub struct View {
    /// The generation that runs, and what became of others.
    pub generations: Generations,
    /// What the shards record.
    pub collector: Collector,
    /// Active health checks.
    pub checks: Rc<HealthChecks>,
    /// The keys of issuers that are fetched.
    pub key_sets: Rc<KeySets>,
    /// The identity, if the Workload API gives it.
    pub workload: Option<Rc<Workload>>,
    /// The shards were told to accept.
    pub is_accepting: Cell<bool>,
    /// Serving or draining.
    pub lifecycle: Cell<Lifecycle>,
    /// Rung by POST /drain; the control loop answers.
    pub drain_bell: Notify,
    /// Since when the process runs, on both clocks.
    pub started: (SystemTime, Instant),
    /// Where endpoints come from while it runs.
    pub discovery: Discovery,
    /// The event log.
    pub log: Log,
}

impl View {
    /// The configuration that runs, with the addresses that its ports and built-in origins got.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.generations.running().config)
    }

    /// The shards that have ended, by number; while serving there is none.
    #[must_use]
    pub fn ended(&self) -> Vec<usize> {
        let shards = self.collector.shards().iter().enumerate();
        shards
            .filter(|(_, shard)| shard.is_disconnected())
            .map(|(number, _)| number)
            .collect()
    }
}
