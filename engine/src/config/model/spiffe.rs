//! SPIFFE IDs: the names of workloads, in configurations and in certificates alike.
//!
//! The syntax is that of the SPIFFE ID standard, §2: `spiffe://` trust domain, path. The trust
//! domain is lower-case letters, digits, dots, dashes and underscores; the path is segments of
//! letters, digits, dots, dashes and underscores, none of them empty, `.` or `..`. Nothing is
//! normalised: an ID is valid as it stands or it is none.

use std::fmt;

use serde::{Serialize, Serializer};

/// The longest ID that must be taken (SPIFFE ID §2.3).
const BYTES_MAX: usize = 2048;
/// The longest trust domain (SPIFFE ID §2.1).
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// A valid SPIFFE ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    text: Box<str>,
    /// Where the path begins; the length of the text when there is none.
    path_at: usize,
}

impl SpiffeId {
    /// The ID that `text` is, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let rest = text.strip_prefix("spiffe://")?;
        let domain = rest.split('/').next().unwrap_or(rest);
        let path = &rest[domain.len()..];
        let in_domain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        let in_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let is_segment = |segment: &str| {
            !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(in_path)
        };
        let has_domain = (1..=TRUST_DOMAIN_BYTES_MAX).contains(&domain.len());
        let has_path = path.is_empty() || path.split('/').skip(1).all(is_segment);
        (has_domain && domain.bytes().all(in_domain) && has_path).then(|| Self {
            text: text.into(),
            path_at: text.len() - path.len(),
        })
    }

    /// The whole of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who vouches for it, as in `example.org`.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.text["spiffe://".len()..self.path_at]
    }

    /// Which workload it is, from the slash; empty for the trust domain itself.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[self.path_at..]
    }
}

/// One SPIFFE ID, or all below a path: `spiffe://example.org/ns/shop/*`, `spiffe://example.org/*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpiffePattern {
    /// This one.
    Exact(SpiffeId),
    /// All whose path begins with the segments of this one, and has more.
    Below(SpiffeId),
}

impl SpiffePattern {
    /// The pattern that `text` is, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("/*") {
            Some(above) => SpiffeId::parse(above).map(Self::Below),
            // A trust domain is nobody's identity.
            None => SpiffeId::parse(text)
                .filter(|id| !id.path().is_empty())
                .map(Self::Exact),
        }
    }

    /// Whether `id` is one of those meant.
    #[must_use]
    pub fn matches(&self, id: &SpiffeId) -> bool {
        match self {
            Self::Exact(exact) => exact == id,
            Self::Below(above) => is_below(id, above),
        }
    }

    /// Whether all that `other` matches is matched by this one too.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::Exact(id)) => self.matches(id),
            (Self::Below(above), Self::Below(other)) => other == above || is_below(other, above),
            (Self::Exact(_), Self::Below(_)) => false,
        }
    }
}

/// Whether `id` begins with the segments of `above`, and has more.
fn is_below(id: &SpiffeId, above: &SpiffeId) -> bool {
    let rest = id.as_str().strip_prefix(above.as_str());
    rest.is_some_and(|rest| rest.starts_with('/'))
}

impl fmt::Display for SpiffePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(id) => id.fmt(out),
            Self::Below(id) => write!(out, "{id}/*"),
        }
    }
}

impl Serialize for SpiffePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Serialize for SpiffeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_ids_are_taken_apart() {
        for (text, domain, path) in [
            ("spiffe://example.org/orders", "example.org", "/orders"),
            (
                "spiffe://a-b_c.1/ns/x/sa/Y.z_0-",
                "a-b_c.1",
                "/ns/x/sa/Y.z_0-",
            ),
            ("spiffe://example.org", "example.org", ""),
            ("spiffe://example.org/...", "example.org", "/..."),
        ] {
            let id = SpiffeId::parse(text).expect(text);
            assert_eq!((id.trust_domain(), id.path()), (domain, path), "{text}");
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn patterns_match_whole_segments() {
        let matches = |pattern: &str, id: &str| {
            let pattern = SpiffePattern::parse(pattern).expect(pattern);
            pattern.matches(&SpiffeId::parse(id).expect(id))
        };
        for (pattern, id, expected) in [
            ("spiffe://x.org/a", "spiffe://x.org/a", true),
            ("spiffe://x.org/a", "spiffe://x.org/a/b", false),
            ("spiffe://x.org/a", "spiffe://y.org/a", false),
            ("spiffe://x.org/a/*", "spiffe://x.org/a/b", true),
            ("spiffe://x.org/a/*", "spiffe://x.org/a/b/c", true),
            ("spiffe://x.org/a/*", "spiffe://x.org/a", false),
            ("spiffe://x.org/a/*", "spiffe://x.org/ab", false),
            ("spiffe://x.org/*", "spiffe://x.org/a", true),
            ("spiffe://x.org/*", "spiffe://x.org.evil/a", false),
            ("spiffe://x.org/*", "spiffe://x.org", false),
        ] {
            assert_eq!(matches(pattern, id), expected, "{pattern} {id}");
        }
        for text in [
            "*",
            "spiffe://*",
            "spiffe://x.org",
            "spiffe://x.org/a*",
            "spiffe://x.org//*",
        ] {
            assert_eq!(SpiffePattern::parse(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_cover_what_they_match_of_others() {
        for (first, second, expected) in [
            ("spiffe://x.org/a", "spiffe://x.org/a", true),
            ("spiffe://x.org/a", "spiffe://x.org/a/*", false),
            ("spiffe://x.org/a/*", "spiffe://x.org/a", false),
            ("spiffe://x.org/a/*", "spiffe://x.org/a/b", true),
            ("spiffe://x.org/a/*", "spiffe://x.org/a/*", true),
            ("spiffe://x.org/*", "spiffe://x.org/a/*", true),
            ("spiffe://x.org/a/*", "spiffe://x.org/*", false),
            ("spiffe://x.org/a/*", "spiffe://x.org/ab/*", false),
        ] {
            let covers = SpiffePattern::parse(first)
                .zip(SpiffePattern::parse(second))
                .map(|(first, second)| first.covers(&second));
            assert_eq!(covers, Some(expected), "{first} {second}");
        }
    }

    #[test]
    fn spiffe_id_2_what_is_no_id() {
        for text in [
            "",
            "spiffe://",
            "spiffe:///path",
            "SPIFFE://example.org/x",
            "spiffe://Example.org/x",
            "spiffe://example.org/",
            "spiffe://example.org//x",
            "spiffe://example.org/x/",
            "spiffe://example.org/./x",
            "spiffe://example.org/x/..",
            "spiffe://example.org/x%20y",
            "spiffe://example.org/x?y",
            "spiffe://example.org/x#y",
            "spiffe://user@example.org/x",
            "spiffe://example.org:80/x",
            "spiffe://example.org/\u{e9}",
            "https://example.org/x",
        ] {
            assert_eq!(SpiffeId::parse(text), None, "{text}");
        }
        assert!(SpiffeId::parse(&format!("spiffe://{}/x", "a".repeat(256))).is_none());
        assert!(SpiffeId::parse(&format!("spiffe://a/{}", "x".repeat(2048))).is_none());
    }
}
