//! What tells callers apart.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

use crate::authorize::attributes::Attributes;
use crate::config::{IpNetwork, LimitKey};
use crate::http::FieldName;
use crate::limits;

/// The hash of the caller, by the parts of `key`. Whoever has the same parts has the same hash.
pub(super) fn caller(key: &[LimitKey], attributes: &Attributes<'_>, keys: &RandomState) -> u64 {
    let mut hasher = keys.build_hasher();
    for part in key {
        match part {
            LimitKey::Client => client(attributes, &mut hasher),
            LimitKey::Principal => match attributes.facts.principal.label() {
                Some(principal) => {
                    // Two issuers may call different callers the same.
                    let token = attributes.facts.principal.token.as_ref();
                    let issuer = token.map(|token| &*token.issuer);
                    ("principal", issuer, principal).hash(&mut hasher);
                }
                // Who has proved nothing is told apart by address: strangers do not share a bucket.
                None => client(attributes, &mut hasher),
            },
            LimitKey::Header(name) => {
                let lines = attributes.request.fields();
                let known = FieldName::recognise(name.as_bytes());
                let lines = lines.filter(|line| match known {
                    FieldName::Other | FieldName::XForwardedOther => {
                        line.name_bytes.eq_ignore_ascii_case(name.as_bytes())
                    }
                    known => line.name == known,
                });
                let mut count = 0_usize;
                for line in lines {
                    line.value.hash(&mut hasher);
                    count = count.saturating_add(1);
                }
                ("header", count).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

fn client(attributes: &Attributes<'_>, hasher: &mut impl Hasher) {
    let client = attributes
        .facts
        .client
        .map(|client| match client.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            address @ IpAddr::V6(_) => IpNetwork::of(address, limits::SUBSCRIBER_BITS).address(),
        });
    ("client", client).hash(hasher);
}
