//! Instances of other proxies that are gone from etcd, and may be written again.
//!
//! Whose proxy has lost etcd as this one has is not gone for that. In: when etcd was lost, and who
//! is gone. Out: who stays for now, and who is to be let go. Pure.

use std::collections::{BTreeMap, HashSet};

use super::super::registry::Key;
use crate::io::Instant;
use crate::limits;

/// Those that are gone and stay for now.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    /// By when they are let go: few instants, however many they are.
    waiting: BTreeMap<Instant, HashSet<Key>>,
    /// Until when one that goes may be written again.
    forgiving_until: Instant,
}

impl Orphans {
    /// Who goes from now on for a moment may be written again.
    pub(super) fn forgive(&mut self, now: Instant) {
        self.forgiving_until = now + limits::ETCD_ORPHAN_GRACE;
    }

    /// An instance is gone. Whether it stays for now; nothing that happens makes that longer.
    pub(super) fn keep(&mut self, key: &Key, now: Instant) -> bool {
        let mut waiting = self.waiting.iter();
        let known = waiting.find(|(_, keys)| keys.contains(key));
        if let Some((until, _)) = known {
            return *until > now;
        }
        let may_stay = self.forgiving_until > now;
        if may_stay {
            let keys = self.waiting.entry(self.forgiving_until).or_default();
            keys.insert(key.clone());
        }
        may_stay
    }

    /// An instance is there again, or nobody's business any more.
    pub(super) fn remove(&mut self, key: &Key) {
        self.waiting.retain(|_, keys| {
            keys.remove(key);
            !keys.is_empty()
        });
    }

    /// When the next ones are to be let go.
    pub(super) fn next(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(until, _)| *until)
    }

    /// Who is to be let go.
    pub(super) fn due(&mut self, now: Instant) -> HashSet<Key> {
        let mut due = HashSet::new();
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= now
        {
            due.extend(entry.remove());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> Key {
        ("orders".into(), id.into())
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn who_goes_while_etcd_was_lost_stays_for_the_grace_and_no_longer() {
        let grace = limits::ETCD_ORPHAN_GRACE.as_secs();
        let mut orphans = Orphans::default();
        assert!(!orphans.keep(&key("early"), at(100)));
        orphans.forgive(at(100));
        for id in ["a", "b", "c"] {
            assert!(orphans.keep(&key(id), at(101)), "{id}");
        }
        orphans.remove(&key("b"));
        // Lost again: those that wait have no longer for that.
        orphans.forgive(at(110));
        assert!(orphans.keep(&key("a"), at(111)));
        assert!(orphans.keep(&key("d"), at(111)));
        assert_eq!(orphans.next(), Some(at(100 + grace)));
        assert_eq!(orphans.due(at(99 + grace)), HashSet::new());
        let due = orphans.due(at(100 + grace));
        assert_eq!(due, HashSet::from([key("a"), key("c")]));
        assert_eq!(orphans.due(at(110 + grace)), HashSet::from([key("d")]));
        assert_eq!(orphans.next(), None);
        assert!(!orphans.keep(&key("late"), at(110 + grace)));
    }
}
