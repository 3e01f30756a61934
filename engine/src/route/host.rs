//! From a request's host to a virtual host.
//!
//! "Precedence must be given to rules from the HTTPRoute with the largest number of characters in
//! a matching non-wildcard hostname, then characters in a matching hostname" (Gateway API): exact,
//! then the longest wildcard, then `*`. `*.example.com` stands for one label or more, never for
//! `example.com` itself.

use super::hash::{Hash, Table};
use crate::config::model::HostPattern;

/// The hosts of a listener.
#[derive(Debug)]
pub(super) struct HostTable {
    /// Hashed from the last byte to the first, so that all suffixes of a host take one pass.
    exact: Table<usize>,
    wildcard: Table<usize>,
    any: Option<usize>,
}

impl HostTable {
    pub(super) fn compile<'a>(hosts: impl Iterator<Item = (&'a HostPattern, usize)>) -> Self {
        let (mut exact, mut wildcard, mut any) = (Vec::new(), Vec::new(), None);
        let entry =
            |host: &str, index| (Hash::of(host.bytes().rev()), host.as_bytes().into(), index);
        for (pattern, index) in hosts {
            match pattern {
                HostPattern::Any => any = Some(index),
                HostPattern::Exact(host) => exact.push(entry(host, index)),
                HostPattern::Wildcard(suffix) => wildcard.push(entry(suffix, index)),
            }
        }
        Self {
            exact: Table::new(exact),
            wildcard: Table::new(wildcard),
            any,
        }
    }

    /// The virtual host for `host`, which is in any case and has no port.
    #[inline]
    pub(super) fn find(&self, host: &[u8]) -> Option<usize> {
        // `example.com.` is the same host (RFC 3986 §3.2.2).
        let host = host.strip_suffix(b".").unwrap_or(host);
        let longest = self.exact.key_bytes_max.max(self.wildcard.key_bytes_max);
        let mut hash = Hash::EMPTY;
        let mut best = self.any;
        for (index, byte) in host.iter().enumerate().rev() {
            if host.len() - index - 1 > longest {
                return best;
            }
            // A wildcard needs a label before the dot.
            if *byte == b'.' && index > 0 {
                let suffix = host.get(index + 1..).unwrap_or_default();
                let found = self
                    .wildcard
                    .find(hash, |key| key.eq_ignore_ascii_case(suffix));
                best = found.copied().or(best);
            }
            hash = hash.with(byte.to_ascii_lowercase());
        }
        let exact = self.exact.find(hash, |key| key.eq_ignore_ascii_case(host));
        exact.copied().or(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_then_longest_wildcard_then_any() {
        let exact = |host: &str| HostPattern::Exact(host.to_owned());
        let wildcard = |suffix: &str| HostPattern::Wildcard(suffix.to_owned());
        let patterns = [
            HostPattern::Any,
            wildcard("example.com"),
            wildcard("api.example.com"),
            exact("api.example.com"),
            exact("[::1]"),
            exact("127.0.0.1"),
        ];
        let numbered = || patterns.iter().zip(0..);
        let table = HostTable::compile(numbered());
        for (host, expected) in [
            ("api.example.com", 3),
            ("API.Example.COM", 3),
            ("api.example.com.", 3),
            ("v1.api.example.com", 2),
            ("a.b.api.example.com", 2),
            ("www.example.com", 1),
            ("a.b.example.com", 1),
            ("example.com", 0),
            (".example.com", 0),
            ("notexample.com", 0),
            ("example.com.evil", 0),
            ("[::1]", 4),
            ("127.0.0.1", 5),
            ("", 0),
        ] {
            assert_eq!(table.find(host.as_bytes()), Some(expected), "{host:?}");
        }
        let table = HostTable::compile(numbered().skip(1));
        assert_eq!(table.find(b"example.com"), None);
        assert_eq!(table.find(&b"x".repeat(100_000)), None);
    }
}
