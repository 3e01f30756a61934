//! A table from byte strings to values, for keys whose hash is made on the way.
//!
//! Hosts and paths are looked up by each of their suffixes or prefixes. FNV-1a grows by a byte at
//! a time, so that one pass yields the hashes of all of them. Keys come from the configuration,
//! never from the network, so nobody can make them collide.

/// The FNV-1a hash of the bytes seen so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    #[inline]
    pub(super) fn with(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    /// The hash of all of `bytes`.
    pub(super) fn of(bytes: impl Iterator<Item = u8>) -> Self {
        bytes.fold(Self::EMPTY, Self::with)
    }
}

/// A table that is filled once. Open addressing, at most half full, a power of two of slots.
#[derive(Debug)]
pub(super) struct Table<V> {
    slots: Vec<Option<Slot<V>>>,
    /// The longest key; longer ones need not be looked for.
    pub(super) key_bytes_max: usize,
}

#[derive(Debug)]
struct Slot<V> {
    hash: u64,
    key: Box<[u8]>,
    value: V,
}

impl<V> Table<V> {
    /// The table of `entries`, whose keys are distinct.
    pub(super) fn new(entries: Vec<(Hash, Box<[u8]>, V)>) -> Self {
        let slot_count = (entries.len() * 2).next_power_of_two();
        let key_bytes_max = entries.iter().map(|entry| entry.1.len()).max().unwrap_or(0);
        let mut slots: Vec<Option<Slot<V>>> = Vec::new();
        slots.resize_with(slot_count, || None);
        let mut table = Self {
            slots,
            key_bytes_max,
        };
        for (hash, key, value) in entries {
            let free = table
                .probe(hash)
                .find(|index| matches!(table.slots.get(*index), Some(None)));
            if let Some(slot) = free.and_then(|index| table.slots.get_mut(index)) {
                *slot = Some(Slot {
                    hash: hash.0,
                    key,
                    value,
                });
            }
        }
        table
    }

    /// The value of the key with this hash for which `is_key` holds.
    #[inline]
    pub(super) fn find(&self, hash: Hash, is_key: impl Fn(&[u8]) -> bool) -> Option<&V> {
        for index in self.probe(hash) {
            let slot = self.slots.get(index)?.as_ref()?;
            if slot.hash == hash.0 && is_key(&slot.key) {
                return Some(&slot.value);
            }
        }
        None
    }

    /// The slots where a key may be, each once.
    fn probe(&self, hash: Hash) -> impl Iterator<Item = usize> + use<V> {
        let mask = self.slots.len().wrapping_sub(1);
        // FNV's low bits depend on the last byte most; fold the high ones in.
        let start = (hash.0 ^ (hash.0 >> 32)) as usize;
        (0..self.slots.len()).map(move |step| start.wrapping_add(step) & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_key_and_no_other() {
        let keys: Vec<Vec<u8>> = (0..1000)
            .map(|n| format!("/key/{n}").into_bytes())
            .collect();
        let entry = |(n, key): (usize, &Vec<u8>)| {
            (
                Hash::of(key.iter().copied()),
                key.clone().into_boxed_slice(),
                n,
            )
        };
        let table = Table::new(keys.iter().enumerate().map(entry).collect());
        assert_eq!(table.key_bytes_max, "/key/999".len());
        for (n, key) in keys.iter().enumerate() {
            let hash = Hash::of(key.iter().copied());
            assert_eq!(table.find(hash, |found| found == key), Some(&n));
            // The same hash with another key: what a collision looks like.
            assert_eq!(table.find(hash, |_| false), None);
        }
        assert_eq!(
            Table::<()>::new(Vec::new()).find(Hash::EMPTY, |_| true),
            None
        );
    }
}
