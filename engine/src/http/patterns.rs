//! Sets of field names: single ones, and families that begin with the same letters.
//!
//! Compiled once from the configuration; asked for every field of a message, without allocating.

use super::field::{Class, FieldName};

/// Names of fields, in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPatterns {
    names: Vec<(FieldName, Box<[u8]>)>,
    prefixes: Vec<Box<[u8]>>,
}

impl FieldPatterns {
    /// Adds one name.
    pub fn add_name(&mut self, name: &[u8]) {
        self.names.push((FieldName::recognise(name), name.into()));
    }

    /// Adds all names that begin with `prefix`.
    pub fn add_prefix(&mut self, prefix: &[u8]) {
        self.prefixes.push(prefix.into());
    }

    /// There is no name in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.prefixes.is_empty()
    }

    /// The single names.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.names.iter().map(|(_, name)| &**name)
    }

    /// What the families begin with.
    pub fn prefixes(&self) -> impl Iterator<Item = &[u8]> {
        self.prefixes.iter().map(|prefix| &**prefix)
    }

    /// Is the name, recognised and as it stands, one of them? Never one that belongs to a
    /// connection or to the framing of a message (RFC 9110 §7.6.1), whatever the patterns say.
    #[must_use]
    pub fn has(&self, name: FieldName, name_bytes: &[u8]) -> bool {
        if matches!(name.class(), Class::HopByHop | Class::Rewritten) {
            return false;
        }
        let is_it = |(known, bytes): &(FieldName, Box<[u8]>)| {
            *known == name && bytes.eq_ignore_ascii_case(name_bytes)
        };
        self.names.iter().any(is_it) || begins_with_any(name_bytes, &self.prefixes)
    }
}

/// Whether a name begins with one of `prefixes`, in any case.
pub(super) fn begins_with_any(name: &[u8], prefixes: &[Box<[u8]>]) -> bool {
    prefixes.iter().any(|prefix| {
        let start = name.get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(patterns: &FieldPatterns, name: &str) -> bool {
        patterns.has(FieldName::recognise(name.as_bytes()), name.as_bytes())
    }

    #[test]
    fn names_and_families_are_found_in_any_case() {
        let mut patterns = FieldPatterns::default();
        assert!(patterns.is_empty() && !has(&patterns, "x-user"));
        patterns.add_name(b"authorization");
        patterns.add_name(b"x-user");
        patterns.add_prefix(b"x-auth-");
        for name in ["Authorization", "X-USER", "x-auth-", "X-Auth-Groups"] {
            assert!(has(&patterns, name), "{name}");
        }
        for name in ["x-users", "x-use", "x-auth", "xx-auth-a", ""] {
            assert!(!has(&patterns, name), "{name}");
        }
    }

    #[test]
    fn rfc9110_7_6_1_no_pattern_has_a_field_of_the_connection() {
        let mut patterns = FieldPatterns::default();
        for prefix in [&b"c"[..], b"t", b"h", b"p", b"k", b"u"] {
            patterns.add_prefix(prefix);
        }
        for name in ["Connection", "Content-Length", "TE", "Host", "Upgrade"] {
            assert!(!has(&patterns, name), "{name}");
        }
        assert!(has(&patterns, "Content-Type"));
    }
}
