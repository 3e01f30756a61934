//! What etcd has to be told of: instances that changed here since it last confirmed them.
//!
//! A key is noted, taken for a transaction, then confirmed or put back; noted again while it is
//! under way, it is taken once more. What is written is read from the registry when it is taken, so
//! many changes of one instance are one. However long etcd is away, no more is noted than what is
//! registered here and what may be in etcd. Pure.

use std::collections::{BTreeSet, HashMap};

use super::super::registry::Key;

/// Keys that etcd has to be told of, and those it has confirmed.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeSet<Key>,
    taken: BTreeSet<Key>,
    /// The revision at which a key was written last, for those that are there because of us; 0 for
    /// those that may be.
    written: HashMap<Key, i64>,
}

impl Outbox {
    /// An instance is different, or gone.
    pub(super) fn note(&mut self, key: Key, is_here: bool) {
        if is_here || self.taken.contains(&key) || self.written.contains_key(&key) {
            self.waiting.insert(key);
        } else {
            // It came and went, and etcd has never heard of it.
            self.waiting.remove(&key);
        }
    }

    /// The next keys, at most `most`. They are under way until one of the next three is called.
    pub(super) fn take(&mut self, most: usize) -> Vec<Key> {
        let mut keys = Vec::new();
        while keys.len() < most
            && let Some(key) = self.waiting.pop_first()
        {
            self.taken.insert(key.clone());
            keys.push(key);
        }
        keys
    }

    /// A key that was taken is written, or gone, since `revision`.
    pub(super) fn confirm(&mut self, key: &Key, revision: i64, is_there: bool) {
        self.taken.remove(key);
        if is_there {
            self.written.insert(key.clone(), revision);
        } else {
            self.written.remove(key);
        }
    }

    /// A key that was taken is to be taken again.
    pub(super) fn put_back(&mut self, key: &Key) {
        if let Some(key) = self.taken.take(key) {
            // Written or not: the answer may be all that was lost.
            self.written.entry(key.clone()).or_insert(0);
            self.waiting.insert(key);
        }
    }

    /// Nothing is under way any more: it is not known what became of it.
    pub(super) fn put_all_back(&mut self) {
        while let Some(key) = self.taken.first().cloned() {
            self.put_back(&key);
        }
    }

    /// A key was found in etcd that is there because of us.
    pub(super) fn found(&mut self, key: Key, revision: i64) {
        self.written.insert(key, revision);
    }

    /// A key is somebody else's now, or gone.
    pub(super) fn forget(&mut self, key: &Key) {
        self.written.remove(key);
    }

    /// Nothing is there because of us any more.
    pub(super) fn forget_all(&mut self) {
        self.written.clear();
    }

    /// Whether what etcd says of a key at `revision` is older than what it was told, or will be.
    pub(super) fn outdates(&self, key: &Key, revision: i64) -> bool {
        let is_pending = self.waiting.contains(key) || self.taken.contains(key);
        is_pending || self.written.get(key).is_some_and(|own| *own >= revision)
    }

    /// Keys that etcd has not confirmed.
    pub(super) fn pending(&self) -> usize {
        self.waiting.len().saturating_add(self.taken.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> Key {
        ("orders".into(), id.into())
    }

    #[test]
    fn what_changes_while_it_is_under_way_is_told_again() {
        let mut outbox = Outbox::default();
        for id in ["b", "a", "b", "c"] {
            outbox.note(key(id), true);
        }
        assert_eq!(outbox.take(2), [key("a"), key("b")]);
        outbox.note(key("a"), true);
        outbox.confirm(&key("a"), 7, true);
        outbox.put_back(&key("b"));
        assert_eq!(outbox.pending(), 3);
        assert_eq!(outbox.take(9), [key("a"), key("b"), key("c")]);
        outbox.put_all_back();
        assert_eq!(outbox.take(9).len(), 3, "the connection was lost meanwhile");
        for id in ["a", "b", "c"] {
            outbox.confirm(&key(id), 9, id != "c");
        }
        assert_eq!((outbox.pending(), outbox.take(9).len()), (0, 0));
    }

    #[test]
    fn what_comes_and_goes_while_etcd_is_away_is_not_noted() {
        let mut outbox = Outbox::default();
        for turn in 0..100 {
            outbox.note(key(&format!("x{turn}")), true);
            outbox.note(key(&format!("x{turn}")), false);
        }
        assert_eq!(outbox.pending(), 0);
        // What may be there is to be deleted: written, under way, or with its answer lost.
        for id in ["a", "b", "c"] {
            outbox.note(key(id), true);
        }
        assert_eq!(outbox.take(2), [key("a"), key("b")]);
        outbox.confirm(&key("a"), 3, true);
        outbox.note(key("b"), false);
        outbox.put_all_back();
        for id in ["a", "b", "c"] {
            outbox.note(key(id), false);
        }
        assert_eq!(outbox.take(9), [key("a"), key("b")]);
        for id in ["a", "b"] {
            outbox.confirm(&key(id), 4, false);
            outbox.note(key(id), false);
        }
        assert_eq!(outbox.pending(), 0);
    }

    #[test]
    fn what_is_older_than_the_own_word_does_not_count() {
        let mut outbox = Outbox::default();
        assert!(!outbox.outdates(&key("a"), 1));
        outbox.note(key("a"), true);
        assert!(outbox.outdates(&key("a"), 100), "it will be told");
        outbox.take(1);
        assert!(outbox.outdates(&key("a"), 100), "it is being told");
        outbox.confirm(&key("a"), 5, true);
        let outdated: Vec<bool> = (4..7).map(|at| outbox.outdates(&key("a"), at)).collect();
        assert_eq!(outdated, [true, true, false]);
        outbox.forget(&key("a"));
        assert!(!outbox.outdates(&key("a"), 1));
    }
}
