//! How it goes with etcd, and what was counted: for `/clusters` and metrics.
//!
//! In: what happens with members and values. Out: metrics, and the contact that the directory
//! shows. Series are bounded: closed sets of words.

use super::Etcd;
use super::record::Unreadable;
use crate::io::Instant;
use crate::io::clock;
use crate::record::expose::prometheus::Figure;
use crate::record::names;

/// How it goes.
#[derive(Clone, Debug)]
pub(super) struct Status {
    pub(super) is_connected: bool,
    /// When a member last answered.
    pub(super) contact: Option<Instant>,
    /// When etcd was last lost; at first when the process began.
    pub(super) lost_at: Instant,
    /// Why nothing is heard; none while something is.
    pub(super) error: Option<String>,
    pub(super) failures: u64,
    pub(super) failures_in_a_row: u32,
    /// Times that all was asked for.
    pub(super) lists: u64,
    /// Leases that were made.
    pub(super) leases: u64,
    /// Transactions that etcd refused.
    pub(super) refused: u64,
    pub(super) puts: u64,
    pub(super) deletes: u64,
    /// Values that were skipped.
    pub(super) skipped: Skipped,
    /// Whether instances of others were left out since all was last asked for.
    pub(super) is_full: bool,
}

/// Values that were skipped, by reason.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skipped {
    pub(super) oversized: u64,
    pub(super) version: u64,
    pub(super) malformed: u64,
    /// They do not fit the bounds of the registry.
    pub(super) full: u64,
}

impl Skipped {
    pub(super) fn count(&mut self, why: &Unreadable) {
        match why {
            Unreadable::Oversized(_) => self.oversized += 1,
            Unreadable::Version(_) => self.version += 1,
            Unreadable::Malformed(_) => self.malformed += 1,
        }
    }
}

impl Status {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            is_connected: false,
            contact: None,
            lost_at: now,
            error: None,
            failures: 0,
            failures_in_a_row: 0,
            lists: 0,
            leases: 0,
            refused: 0,
            puts: 0,
            deletes: 0,
            skipped: Skipped::default(),
            is_full: false,
        }
    }
}

impl Etcd {
    /// Its metrics.
    pub(in crate::control::discovery) fn figures(&self) -> Vec<Figure<'static>> {
        let status = self.status.borrow();
        let one = |metric, count| Figure {
            metric,
            label: None,
            samples: vec![("", count)],
        };
        let by = |metric, label, samples| Figure {
            metric,
            label: Some(label),
            samples,
        };
        let remote = self.registrar.read(|registry| registry.remote_count()) as u64;
        let mut figures = vec![
            one(names::ETCD_CONNECTED, u64::from(status.is_connected)),
            one(names::ETCD_REMOTE, remote),
            one(names::ETCD_PENDING, self.outbox.borrow().pending() as u64),
            one(names::ETCD_FAILURES, status.failures),
            one(names::ETCD_REFUSED, status.refused),
            one(names::ETCD_LISTS, status.lists),
            one(names::ETCD_LEASES, status.leases),
            by(
                names::ETCD_EVENTS,
                "type",
                vec![("put", status.puts), ("delete", status.deletes)],
            ),
            by(
                names::ETCD_SKIPPED,
                "reason",
                vec![
                    ("malformed", status.skipped.malformed),
                    ("oversized", status.skipped.oversized),
                    ("version", status.skipped.version),
                    ("full", status.skipped.full),
                ],
            ),
        ];
        if let Some(contact) = status.contact {
            let age = clock::now().since(contact).as_secs();
            figures.push(one(names::ETCD_AGE, age));
        }
        figures
    }
}
