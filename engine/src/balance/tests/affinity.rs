//! Where requests belong: clients that stick, keys and the bound of their load, near endpoints.

use std::net::IpAddr;

use super::*;
use crate::http::{HeadLimits, RequestHead, h1};

/// A pick for the key of this hash.
fn keyed(hash: u64) -> Pick<'static> {
    Pick {
        hash: Some(hash),
        ..Pick::new(at(1), 3)
    }
}

fn tell(balancer: &Balancer, id: u32, health: Health) {
    assert!(balancer.set_health(EndpointId(id), &address(id), health, "", at(1)));
}

#[test]
fn a_client_sticks_to_its_endpoint_whatever_the_policy_until_that_is_out() {
    for policy in POLICIES
        .into_iter()
        .chain([Policy::RingHash, Policy::Maglev])
    {
        let balancer = balancer(policy, &[1, 1, 1, 1]);
        let pick = |avoid: &[EndpointKey]| {
            let pick = Pick {
                sticky: Some(EndpointId(2)),
                avoid,
                ..keyed(5)
            };
            balancer.pick(&pick).unwrap().id().0
        };
        assert!((0..20).all(|_| pick(&[]) == 2), "{policy:?}");
        assert_ne!(pick(&[key(&balancer, 2)]), 2, "{policy:?}");
        tell(&balancer, 2, Health::Unhealthy);
        assert_ne!(pick(&[]), 2, "{policy:?}");
        tell(&balancer, 2, Health::Healthy);
        assert_eq!(pick(&[]), 2, "{policy:?}");
        tell(&balancer, 2, Health::Draining);
        assert_ne!(pick(&[]), 2, "{policy:?}");
    }
}

#[test]
fn a_client_that_sticks_to_nothing_known_goes_by_the_policy() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
    let pick = Pick {
        sticky: Some(EndpointId(9)),
        ..Pick::new(at(1), 1)
    };
    let ids: Vec<u32> = (0..3)
        .map(|_| balancer.pick(&pick).unwrap().id().0)
        .collect();
    assert_eq!(ids, [0, 1, 2]);
}

#[test]
fn a_cookie_is_told_to_those_without_one_and_read_from_those_that_have_it() {
    let balancing = Balancing {
        sticky: Some(StickyPolicy {
            cookie: "at".into(),
            key: b"sixteen bytes or more".as_slice().into(),
            max_age: None,
        }),
        ..by(Policy::RoundRobin)
    };
    let cluster = cluster_with(balancing, &[1, 1, 1]);
    let affinity = |cookie: &str, see: &mut dyn FnMut(Affinity<'_>)| {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{cookie}\r\n");
        let mut head = RequestHead::new();
        h1::request::parse(text.as_bytes(), &HeadLimits::default(), &mut head).unwrap();
        see(cluster.affinity(&head.view(text.as_bytes()), None::<IpAddr>, true));
    };
    let mut value = String::new();
    affinity("", &mut |affinity| {
        assert_eq!(affinity.sticky, None);
        let set = affinity.set_cookie(EndpointId(1)).unwrap();
        value = String::from_utf8(set.to_vec()).unwrap();
    });
    let (pair, _) = value.split_once("; ").unwrap();
    affinity(&format!("Cookie: {pair}\r\n"), &mut |affinity| {
        assert_eq!(affinity.sticky, Some(EndpointId(1)));
        assert_eq!(affinity.set_cookie(EndpointId(1)), None);
        assert!(affinity.set_cookie(EndpointId(2)).is_some());
    });
    affinity(&format!("Cookie: {pair}0\r\n"), &mut |affinity| {
        assert_eq!(affinity.sticky, None);
    });
}

#[test]
fn a_key_keeps_its_endpoint_within_the_bound_of_its_load_and_comes_back() {
    for policy in [Policy::RingHash, Policy::Maglev] {
        let balancing = Balancing {
            bounded_load: Some(150),
            ..by(policy)
        };
        let balancer = Balancer::new(&cluster_with(balancing, &[1, 1, 2]), 0, 1);
        let home = balancer.pick(&keyed(77)).unwrap().id();
        // All requests have one key.
        let held: Vec<Lease> = (0..200)
            .map(|_| balancer.pick(&keyed(77)).unwrap())
            .collect();
        let endpoints = balancer.report(at(1)).endpoints;
        for (endpoint, weight) in endpoints.iter().zip([1.0, 1.0, 2.0]) {
            let bound = 200.0 * 1.5 * weight / 4.0;
            assert!(
                f64::from(endpoint.active) <= bound,
                "{policy:?} {endpoint:?}"
            );
        }
        let at_home = endpoints[home.0 as usize].active;
        let share = if home.0 == 2 { 150 } else { 75 };
        assert!(
            at_home >= share - 1,
            "{policy:?}: the bound is used: {at_home}"
        );
        drop(held);
        assert_eq!(balancer.pick(&keyed(77)).unwrap().id(), home);
    }
}

#[test]
fn without_a_bound_all_requests_of_a_key_go_to_one_endpoint() {
    let balancer = balancer(Policy::Maglev, &[1, 1, 1]);
    let held: Vec<Lease> = (0..50).map(|_| balancer.pick(&keyed(7)).unwrap()).collect();
    assert!(held.iter().all(|lease| lease.id() == held[0].id()));
}

/// Two endpoints here for each one that is elsewhere, in turn.
fn places(policy: Policy, count: u32, endpoints_min: u32) -> Balancer {
    let balancing = Balancing {
        locality: Some(LocalityPolicy {
            home: "here".into(),
            endpoints_min,
        }),
        panic_threshold: 0,
        ..by(policy)
    };
    let endpoint = |number| {
        let place = if number % 3 == 2 { "there" } else { "here" };
        Endpoint::new(address(number), 1).with_locality(Some(place.into()))
    };
    let endpoints = (0..count).map(endpoint).collect();
    let cluster = Cluster::new(ClusterId(0), "service".into(), balancing, endpoints);
    Balancer::new(&cluster, 0, 1)
}

/// The share of picks that go elsewhere.
fn elsewhere(balancer: &Balancer) -> f64 {
    let shares = shares(balancer, 20_000);
    shares.iter().skip(2).step_by(3).sum()
}

#[test]
fn requests_stay_near_as_far_as_near_endpoints_can_bear_it() {
    for policy in POLICIES {
        let balancer = places(policy, 15, 3);
        assert_eq!(elsewhere(&balancer), 0.0, "{policy:?}");
        // Of ten near ones so many are out; up to two in seven are made up for by the others.
        for (id, out, expected) in [
            (0, 1, 0.0),
            (1, 2, 0.0),
            (3, 3, 0.02),
            (4, 4, 0.16),
            (6, 5, 0.30),
        ] {
            tell(&balancer, id, Health::Unhealthy);
            let found = elsewhere(&balancer);
            assert!((found - expected).abs() < 0.02, "{policy:?} {out}: {found}");
        }
        for id in [7, 9, 10, 12, 13] {
            tell(&balancer, id, Health::Unhealthy);
        }
        assert_eq!(elsewhere(&balancer), 1.0, "{policy:?}: nobody is left here");
    }
}

#[test]
fn near_ones_are_not_preferred_when_they_are_too_few_or_a_key_decides() {
    let found = elsewhere(&places(Policy::Random, 6, 5));
    assert!((found - 1.0 / 3.0).abs() < 0.02, "{found}");
    let balancer = places(Policy::Maglev, 6, 1);
    let ids = (0..200_u64).map(|number| balancer.pick(&keyed(number << 56)).unwrap().id().0);
    let far = ids.filter(|id| id % 3 == 2).count();
    assert!((40..=95).contains(&far), "{far} of 200");
}

#[test]
fn a_retry_avoids_the_near_endpoint_that_failed_and_goes_far_when_none_else_is_near() {
    let balancer = places(Policy::RoundRobin, 3, 1);
    let avoid = [key(&balancer, 0), key(&balancer, 1)];
    assert_eq!(pick(&balancer, 1, &avoid[..1]).unwrap().id().0, 1);
    assert_eq!(pick(&balancer, 1, &avoid).unwrap().id().0, 2);
}
