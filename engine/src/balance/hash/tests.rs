//! What consistent hashing promises: shares, agreement, and how little moves.

use std::net::Ipv4Addr;

use super::*;
use crate::io::Address;

const KEYS: u64 = 100_000;

fn endpoint(number: u32, weight: u32) -> Endpoint {
    let address = (Ipv4Addr::from_bits(0x0a00_0000 + number), 80).into();
    Endpoint::new(Address::Tcp(address), weight)
}

fn endpoints(numbers: impl Iterator<Item = u32>) -> Vec<Endpoint> {
    numbers.map(|number| endpoint(number, 1)).collect()
}

const KINDS: [fn(&[Endpoint]) -> Table; 2] = [Table::ring, Table::maglev];

/// The address that each of many keys belongs to.
fn owners(table: &Table, endpoints: &[Endpoint]) -> Vec<String> {
    let owner = |number: u64| {
        let place = table.walk(of(&number.to_be_bytes())).next().unwrap();
        endpoints[place as usize].label().to_owned()
    };
    (0..KEYS).map(owner).collect()
}

fn share(owners: &[String], endpoint: &Endpoint) -> f64 {
    let count = owners
        .iter()
        .filter(|owner| *owner == endpoint.label())
        .count();
    count as f64 / KEYS as f64
}

#[test]
fn the_hash_is_the_same_for_ever() {
    // Proxies of different versions must agree: these values may never change.
    assert_eq!(of(b""), 0xf52a_15e9_a9b5_e89b_u64, "{:x}", of(b""));
    assert_eq!(of(b"weft"), 0x6ae6_5afe_cbe8_478d, "{:x}", of(b"weft"));
}

#[test]
fn the_sizes_of_the_tables_are_prime() {
    for size in [
        crate::limits::MAGLEV_ENTRIES,
        crate::limits::MAGLEV_ENTRIES_LARGE,
    ] {
        assert!(
            (2..size)
                .take_while(|it| it * it <= size)
                .all(|it| size % it != 0)
        );
    }
}

#[test]
fn the_order_of_the_endpoints_does_not_matter() {
    let straight = endpoints(0..30);
    let reversed: Vec<Endpoint> = straight.iter().rev().cloned().collect();
    for kind in KINDS {
        let one = owners(&kind(&straight), &straight);
        assert_eq!(one, owners(&kind(&reversed), &reversed));
    }
}

#[test]
fn each_endpoint_has_its_share() {
    let weights = [1, 1, 2, 4, 0];
    let all: Vec<Endpoint> = (0..)
        .zip(weights)
        .map(|(n, weight)| endpoint(n, weight))
        .collect();
    for (kind, tolerance) in KINDS.into_iter().zip([0.15, 0.02]) {
        let owners = owners(&kind(&all), &all);
        for (endpoint, weight) in all.iter().zip(weights) {
            let (found, expected) = (share(&owners, endpoint), f64::from(weight) / 8.0);
            let error = (found - expected).abs();
            assert!(error <= expected * tolerance, "{found} for {expected}");
        }
    }
}

#[test]
fn removing_or_adding_one_of_twenty_moves_little_else() {
    let all = endpoints(0..20);
    let fewer = endpoints((0..20).filter(|number| *number != 7));
    for (kind, others_max) in KINDS.into_iter().zip([0.0, 0.03]) {
        let (with, without) = (owners(&kind(&all), &all), owners(&kind(&fewer), &fewer));
        let gone = all[7].label();
        let pairs = with
            .iter()
            .zip(&without)
            .filter(|(before, _)| *before != gone);
        let moved = pairs.filter(|(before, after)| before != after).count();
        let moved = moved as f64 / KEYS as f64;
        assert!(moved <= others_max, "{moved} moved that did not have to");
        // Those that had to were spread over the others.
        let heirs = with
            .iter()
            .zip(&without)
            .filter(|(before, _)| *before == gone);
        let mut heirs: Vec<_> = heirs.map(|(_, after)| after).collect();
        heirs.sort_unstable();
        heirs.dedup();
        assert_eq!(heirs.len(), 19);
    }
}

#[test]
fn a_walk_finds_every_endpoint() {
    let all = endpoints(0..50);
    for kind in KINDS {
        let table = kind(&all);
        for hash in [0, 1, u64::MAX / 3, u64::MAX] {
            let mut found: Vec<u32> = table.walk(hash).collect();
            found.sort_unstable();
            found.dedup();
            assert_eq!(found.len(), 50);
        }
        assert_eq!(kind(&[]).walk(7).next(), None);
        assert_eq!(kind(&[endpoint(1, 0)]).walk(7).next(), None);
    }
}

#[test]
fn a_hundred_thousand_endpoints_take_bounded_memory() {
    let all = endpoints(0..100_000);
    for (kind, bytes) in KINDS.into_iter().zip([13 << 20, 5 << 20]) {
        let table = kind(&all);
        assert!(table.bytes() <= bytes, "{} bytes", table.bytes());
        let mut found: Vec<u32> = table.walk(0).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), 100_000);
    }
}

#[test]
fn a_cookie_is_an_endpoints_own_and_depends_on_key_and_cluster() {
    use sticky::Sticky;
    let all = endpoints(0..3);
    let reversed: Vec<Endpoint> = all.iter().rev().cloned().collect();
    let sticky = |name, key: &[u8], endpoints: &[Endpoint]| {
        Sticky::new(
            name,
            "at",
            key,
            Some(std::time::Duration::from_secs(60)),
            endpoints,
        )
    };
    let value = |sticky: &Sticky, id, is_secure| {
        let value = sticky.set_cookie(super::super::EndpointId(id), is_secure);
        value.map(|value| String::from_utf8(value.to_vec()).unwrap())
    };
    let one = sticky("a", b"key", &all);
    let first = value(&one, 0, false).unwrap();
    let (name, rest) = first.split_at(3);
    let (token, rest) = rest.split_at(32);
    assert_eq!(
        (name, rest),
        ("at=", "; Path=/; Max-Age=60; HttpOnly; SameSite=Lax")
    );
    assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(value(&one, 0, true), Some(first.clone() + "; Secure"));
    assert_eq!(value(&one, 3, true), None);
    assert_eq!(
        value(&sticky("a", b"key", &reversed), 2, false),
        Some(first.clone())
    );
    for other in [sticky("b", b"key", &all), sticky("a", b"kez", &all)] {
        assert_ne!(value(&other, 0, false), Some(first.clone()));
    }
}
