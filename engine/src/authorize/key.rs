//! What policies and requests are looked up by: numbers made from callers, addresses, methods,
//! paths and hosts.
//!
//! A policy has one key for each element of a list, a request all keys that such an element could
//! have: each leading part of its path, each network that its address could be in. Two different
//! things with the same key do no harm: whatever is found is compared as a whole.

use std::net::IpAddr;

use super::attributes::Attributes;
use super::condition::{Aspect, Conditions};
use crate::config::{HostPattern, IpNetwork, PathMatch, PrincipalMatch, Proved, SpiffePattern};

/// What a policy or request is looked up by.
pub(super) type Key = u64;

/// The aspects that policies can be told apart by.
pub(super) const INDEXED: [Aspect; 5] = [
    Aspect::Principal,
    Aspect::Source,
    Aspect::Path,
    Aspect::Host,
    Aspect::Method,
];

/// FNV-1a: grows by a byte at a time, so that one pass gives the keys of all leading parts.
#[derive(Clone, Copy)]
struct Hash(u64);

impl Hash {
    const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    fn with(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    fn of(bytes: impl IntoIterator<Item = u8>) -> Self {
        bytes.into_iter().fold(Self::EMPTY, Self::with)
    }

    /// The key for what was read, as a thing of this kind.
    fn key(self, kind: Kind) -> Key {
        // The low bits of the hash depend on the last byte most; the table wants all of them.
        let mixed = self.with(kind as u8).0;
        mixed ^ (mixed >> 29)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Exact,
    Leading,
    Anonymous,
    Authenticated,
    Owner,
    User,
    Issuer,
    Subject,
}

/// The keys of a policy by `aspect`: `None` if it has an element that no key stands for, or no
/// condition at all.
pub(super) fn of_policy(conditions: &Conditions, aspect: Aspect) -> Option<Vec<Key>> {
    if conditions.is_free(aspect) {
        return None;
    }
    match aspect {
        Aspect::Principal => conditions.principals.iter().map(principal).collect(),
        Aspect::Source => Some(conditions.sources.iter().map(network).collect()),
        Aspect::Method => {
            let methods = conditions.methods.iter();
            Some(methods.map(|method| text(method, Kind::Exact)).collect())
        }
        Aspect::Path => conditions.paths.iter().map(path).collect(),
        Aspect::Host => conditions.hosts.iter().map(host).collect(),
        Aspect::Port | Aspect::Header => None,
    }
}

/// Calls `found` with every key that the request has by `aspect`, some perhaps twice.
///
/// *Cost:* one pass over the path, the host or the identity; one step for each length of network
/// that occurs in a policy.
pub(super) fn of_request(
    attributes: &Attributes<'_>,
    aspect: Aspect,
    networks: &[(bool, u8)],
    found: &mut dyn FnMut(Key),
) {
    match aspect {
        Aspect::Principal => principals(attributes, found),
        Aspect::Source => {
            if let Some(client) = attributes.facts.client.map(|client| client.to_canonical()) {
                let of_family = networks.iter().filter(|(v4, _)| *v4 == client.is_ipv4());
                of_family.for_each(|(_, length)| found(network(&IpNetwork::of(client, *length))));
            }
        }
        Aspect::Method => found(text(attributes.request.method_bytes(), Kind::Exact)),
        Aspect::Path => {
            for path in attributes.paths() {
                leading(path, found);
            }
        }
        Aspect::Host => {
            let mut hash = Hash::EMPTY;
            for byte in attributes.host().iter().rev() {
                if *byte == b'.' {
                    found(hash.key(Kind::Leading));
                }
                hash = hash.with(byte.to_ascii_lowercase());
            }
            found(hash.key(Kind::Exact));
        }
        Aspect::Port | Aspect::Header => {}
    }
}

/// The family and length of each of these networks, each once.
pub(super) fn network_lengths<'a>(
    networks: impl Iterator<Item = &'a IpNetwork>,
) -> Box<[(bool, u8)]> {
    let mut lengths: Vec<(bool, u8)> = networks
        .map(|network| (network.address().is_ipv4(), network.length()))
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths.into()
}

fn text(bytes: &[u8], kind: Kind) -> Key {
    Hash::of(bytes.iter().copied()).key(kind)
}

fn network(network: &IpNetwork) -> Key {
    let hash = match network.address() {
        IpAddr::V4(address) => Hash::of(address.octets()),
        IpAddr::V6(address) => Hash::of(address.octets()),
    };
    hash.with(network.length()).key(Kind::Leading)
}

fn path(wanted: &PathMatch) -> Option<Key> {
    match wanted {
        PathMatch::Exact(path) => Some(text(path.as_bytes(), Kind::Exact)),
        PathMatch::Prefix(path) if path == "/" => None,
        PathMatch::Prefix(path) => Some(text(path.as_bytes(), Kind::Leading)),
        PathMatch::Regex(_) => None,
    }
}

fn host(pattern: &HostPattern) -> Option<Key> {
    match pattern {
        HostPattern::Any => None,
        HostPattern::Exact(host) => Some(Hash::of(host.bytes().rev()).key(Kind::Exact)),
        HostPattern::Wildcard(host) => Some(Hash::of(host.bytes().rev()).key(Kind::Leading)),
    }
}

fn principal(wanted: &PrincipalMatch) -> Option<Key> {
    match wanted {
        PrincipalMatch::Anonymous => Some(Hash::EMPTY.key(Kind::Anonymous)),
        PrincipalMatch::Authenticated => Some(Hash::EMPTY.key(Kind::Authenticated)),
        PrincipalMatch::Proved(proved) => proved_key(proved),
    }
}

/// Whatever tells most callers apart; the rest is compared afterwards.
fn proved_key(proved: &Proved) -> Option<Key> {
    let spiffe = proved.spiffe.as_ref();
    let exact = spiffe.and_then(|pattern| match pattern {
        SpiffePattern::Exact(id) => Some(text(id.as_str().as_bytes(), Kind::Exact)),
        SpiffePattern::Below(_) => None,
    });
    let owner = proved.key_owner.as_ref();
    let owner = || owner.map(|owner| text(owner.as_bytes(), Kind::Owner));
    let leading = || match spiffe {
        Some(SpiffePattern::Below(id)) => Some(text(id.as_str().as_bytes(), Kind::Leading)),
        Some(SpiffePattern::Exact(_)) | None => None,
    };
    let of_text =
        |text: &Option<String>, kind| text.as_ref().map(|it| self::text(it.as_bytes(), kind));
    exact
        .or_else(|| of_text(&proved.subject, Kind::Subject))
        .or_else(|| of_text(&proved.user, Kind::User))
        .or_else(owner)
        .or_else(leading)
        .or_else(|| of_text(&proved.issuer, Kind::Issuer))
}

fn principals(attributes: &Attributes<'_>, found: &mut dyn FnMut(Key)) {
    let principal = attributes.facts.principal;
    if principal.is_anonymous() {
        return found(Hash::EMPTY.key(Kind::Anonymous));
    }
    found(Hash::EMPTY.key(Kind::Authenticated));
    if let Some(id) = principal.spiffe_id() {
        leading(id.as_str().as_bytes(), found);
    }
    if let Some(owner) = principal.key_owner {
        found(text(owner.as_bytes(), Kind::Owner));
    }
    if let Some(user) = principal.user {
        found(text(user.as_bytes(), Kind::User));
    }
    if let Some(token) = &principal.token {
        found(text(token.issuer.as_bytes(), Kind::Issuer));
        if let Some(subject) = &token.subject {
            found(text(subject.as_bytes(), Kind::Subject));
        }
    }
}

/// The keys of whole leading segments of `text`, and of all of it.
fn leading(text: &[u8], found: &mut dyn FnMut(Key)) {
    let mut hash = Hash::EMPTY;
    for (index, byte) in text.iter().enumerate() {
        if *byte == b'/' && index > 0 {
            found(hash.key(Kind::Leading));
        }
        hash = hash.with(*byte);
    }
    found(hash.key(Kind::Leading));
    found(hash.key(Kind::Exact));
}
