//! The tables that field blocks refer to (RFC 7541 §2.3).
//!
//! The static table is the RFC's. A [`DynamicTable`] keeps what the peer had us remember, newest
//! first, within a size that counts 32 bytes for each entry (§4.1). Its bytes lie in one buffer of
//! twice that size: they are appended, and moved to the front when the end is reached, so that
//! nothing allocates.

use std::collections::VecDeque;

/// What an entry costs besides its bytes (§4.1).
const ENTRY_BYTES: usize = 32;
/// The size of a dynamic table at first, and the largest that a peer may choose here: the initial
/// SETTINGS_HEADER_TABLE_SIZE, which is never changed (RFC 9113 §6.5.2).
pub(crate) const TABLE_BYTES_MAX: usize = 4096;

/// The static table (appendix A); the first entry has index 1.
#[rustfmt::skip]
pub(crate) const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// Indices of names in the static table.
pub(crate) mod name {
    /// `:authority`
    pub(crate) const AUTHORITY: usize = 1;
    /// `:path`
    pub(crate) const PATH: usize = 4;
    /// `:status`
    pub(crate) const STATUS: usize = 8;
    /// `content-length`
    pub(crate) const CONTENT_LENGTH: usize = 28;
    /// `content-type`
    pub(crate) const CONTENT_TYPE: usize = 31;
    /// `date`
    pub(crate) const DATE: usize = 33;
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    name_bytes: usize,
    value_bytes: usize,
}

impl Entry {
    const fn size(&self) -> usize {
        self.name_bytes + self.value_bytes + ENTRY_BYTES
    }
}

/// What the peer had us remember.
#[derive(Debug)]
pub(crate) struct DynamicTable {
    /// Newest first.
    entries: VecDeque<Entry>,
    bytes: Vec<u8>,
    /// Sum of the sizes of the entries, at most `size_max`.
    size: usize,
    /// What the peer chose, at most [`TABLE_BYTES_MAX`].
    size_max: usize,
}

impl DynamicTable {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self {
            entries: VecDeque::with_capacity(TABLE_BYTES_MAX / ENTRY_BYTES),
            bytes: Vec::with_capacity(2 * TABLE_BYTES_MAX),
            size: 0,
            size_max: TABLE_BYTES_MAX,
        }
    }

    /// Name and value at `index`, which counts from the newest entry, 0.
    pub(crate) fn get(&self, index: usize) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(index)?;
        let bytes = self.bytes.get(entry.start..)?;
        let (name, rest) = bytes.split_at_checked(entry.name_bytes)?;
        Some((name, rest.get(..entry.value_bytes)?))
    }

    /// Remembers a field. One that is larger than the table empties it, which is no error (§4.4).
    pub(crate) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let entry = Entry {
            start: 0,
            name_bytes: name.len(),
            value_bytes: value.len(),
        };
        self.evict(self.size_max.saturating_sub(entry.size()));
        if entry.size() > self.size_max {
            return;
        }
        if self.bytes.len() + name.len() + value.len() > 2 * TABLE_BYTES_MAX {
            self.compact();
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.size += entry.size();
        self.entries.push_front(Entry { start, ..entry });
    }

    /// The peer chooses another size (§4.3); false when it is more than was allowed.
    pub(crate) fn resize(&mut self, size_max: usize) -> bool {
        if size_max > TABLE_BYTES_MAX {
            return false;
        }
        self.size_max = size_max;
        self.evict(size_max);
        true
    }

    /// Forgets the oldest entries until the rest is no larger than `size`.
    fn evict(&mut self, size: usize) {
        while self.size > size
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size -= oldest.size();
        }
    }

    /// Moves what is still remembered to the front of the buffer: the live bytes are one run, from
    /// the oldest entry to the end.
    fn compact(&mut self) {
        let live = self
            .entries
            .back()
            .map_or(self.bytes.len(), |oldest| oldest.start);
        self.bytes.copy_within(live.., 0);
        self.bytes.truncate(self.bytes.len() - live);
        for entry in &mut self.entries {
            entry.start -= live;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7541_appendix_a_names_have_their_indices() {
        let named = [
            (name::AUTHORITY, ":authority"),
            (name::PATH, ":path"),
            (name::STATUS, ":status"),
            (name::CONTENT_LENGTH, "content-length"),
            (name::CONTENT_TYPE, "content-type"),
            (name::DATE, "date"),
        ];
        for (index, name) in named {
            assert_eq!(STATIC[index - 1].0, name.as_bytes());
        }
    }

    #[test]
    fn rfc7541_4_4_the_oldest_entries_make_room() {
        let mut table = DynamicTable::new();
        let value = [b'v'; 1000];
        for name in [b"a", b"b", b"c", b"d"] {
            table.insert(name, &value);
        }
        // 1033 each: three fit into 4096.
        let names: Vec<_> = (0..4)
            .filter_map(|index| table.get(index))
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, [b"d", b"c", b"b"]);
        table.insert(b"huge", &[b'v'; TABLE_BYTES_MAX]);
        assert!(table.get(0).is_none());
    }

    #[test]
    fn rfc7541_4_3_a_smaller_size_evicts_and_a_larger_one_than_allowed_is_refused() {
        let mut table = DynamicTable::new();
        table.insert(b"a", b"1");
        table.insert(b"b", b"2");
        assert!(table.resize(34));
        assert_eq!(table.get(0), Some((&b"b"[..], &b"2"[..])));
        assert!(table.get(1).is_none());
        assert!(table.resize(0) && table.get(0).is_none());
        table.insert(b"c", b"3");
        assert!(table.get(0).is_none());
        assert!(table.resize(TABLE_BYTES_MAX) && !table.resize(TABLE_BYTES_MAX + 1));
    }

    #[test]
    fn the_buffer_never_grows_and_entries_survive_its_moves() {
        let mut table = DynamicTable::new();
        let capacity = table.bytes.capacity();
        for number in 0..10_000_u32 {
            let value = vec![b'a' + (number % 26) as u8; number as usize % 700];
            table.insert(&number.to_be_bytes(), &value);
            for back in 0..3.min(number) {
                let Some((name, value)) = table.get(back as usize) else {
                    continue;
                };
                assert_eq!(name, (number - back).to_be_bytes());
                assert_eq!(value.len(), (number - back) as usize % 700);
            }
        }
        assert_eq!(table.bytes.capacity(), capacity);
    }
}
