//! Turns, weights, choices and counts of a balancer, and its bounds.

use std::net::Ipv4Addr;

use super::*;
use crate::config;
use crate::io::Address;

/// A repeatable source of random numbers (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn cluster(policy: Policy, weights: &[u32], requests_max: u32) -> Cluster {
    let endpoint = |(id, weight): (u32, &u32)| {
        let address = Address::Tcp((Ipv4Addr::LOCALHOST, 9_000 + id as u16).into());
        Endpoint::new(EndpointId(id), address, *weight)
    };
    let endpoints = (0..).zip(weights).map(endpoint).collect();
    let thresholds = Thresholds { requests_max };
    Cluster::new(
        ClusterId(0),
        "service".into(),
        policy,
        thresholds,
        endpoints,
    )
}

fn balancer(policy: Policy, weights: &[u32]) -> Balancer {
    Balancer::new(&cluster(policy, weights, u32::MAX), 0, 1)
}

/// The ids of `count` picks, each finished before the next.
fn turns(balancer: &Balancer, count: usize, avoid: Option<u32>) -> Vec<u32> {
    let avoid = avoid.map(EndpointId);
    let pick = |_| balancer.pick(0, avoid).map(|lease| lease.id().0).unwrap();
    (0..count).map(pick).collect()
}

fn shares(balancer: &Balancer, picks: u64) -> Vec<f64> {
    let mut random = Random(7);
    for _ in 0..picks {
        drop(balancer.pick(random.next(), None).unwrap());
    }
    let endpoints = balancer.report().endpoints;
    endpoints
        .iter()
        .map(|endpoint| endpoint.requests as f64 / picks as f64)
        .collect()
}

#[test]
fn endpoints_of_equal_weight_take_turns() {
    let balancer = balancer(Policy::RoundRobin, &[3, 3, 3]);
    assert_eq!(turns(&balancer, 7, None), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn different_weights_are_spread_smoothly() {
    let balancer = balancer(Policy::RoundRobin, &[5, 1, 1]);
    assert_eq!(turns(&balancer, 7, None), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(turns(&balancer, 7, None), [0, 0, 1, 0, 2, 0, 0]);
}

#[test]
fn one_period_gives_each_endpoint_exactly_its_weight() {
    let mut random = Random(1);
    for _ in 0..50 {
        let count = 2 + random.next() as usize % 8;
        let weights: Vec<u32> = (0..count).map(|_| random.next() as u32 % 20).collect();
        let total: u32 = weights.iter().sum();
        if total == 0 {
            continue;
        }
        let balancer = balancer(Policy::RoundRobin, &weights);
        let chosen = turns(&balancer, total as usize, None);
        let usable = weights.iter().filter(|weight| **weight > 0);
        if usable
            .clone()
            .any(|weight| Some(weight) != usable.clone().next())
        {
            for (id, weight) in (0..).zip(&weights) {
                let times = chosen.iter().filter(|chosen| **chosen == id).count();
                assert_eq!(times, *weight as usize, "{weights:?}");
            }
        }
    }
}

#[test]
fn shards_begin_at_different_endpoints() {
    let cluster = cluster(Policy::RoundRobin, &[1, 1, 1], u32::MAX);
    let first = |shard| turns(&Balancer::new(&cluster, shard, 4), 1, None);
    assert_eq!(
        [first(0), first(1), first(2), first(3)],
        [[0], [1], [2], [0]]
    );
}

#[test]
fn the_endpoint_of_a_failed_attempt_is_avoided() {
    let equal = balancer(Policy::RoundRobin, &[1, 1, 1]);
    assert!(!turns(&equal, 12, Some(1)).contains(&1));
    let weighted = balancer(Policy::RoundRobin, &[1, 100, 1]);
    assert!(!turns(&weighted, 12, Some(1)).contains(&1));
    let least = balancer(Policy::LeastRequest, &[1, 100, 1]);
    let mut random = Random(3);
    for _ in 0..200 {
        let lease = least.pick(random.next(), Some(EndpointId(1))).unwrap();
        assert_ne!(lease.id(), EndpointId(1));
    }
}

#[test]
fn the_only_endpoint_is_used_again() {
    for policy in [Policy::RoundRobin, Policy::LeastRequest] {
        let single = balancer(policy, &[1]);
        assert_eq!(turns(&single, 3, Some(0)), [0, 0, 0]);
        let other_is_off = balancer(policy, &[0, 1]);
        assert_eq!(turns(&other_is_off, 3, Some(1)), [1, 1, 1]);
    }
}

#[test]
fn an_unknown_endpoint_to_avoid_changes_nothing() {
    for policy in [Policy::RoundRobin, Policy::LeastRequest] {
        let balancer = balancer(policy, &[1, 1]);
        assert_eq!(turns(&balancer, 4, Some(99)).len(), 4);
    }
}

#[test]
fn weight_zero_gets_no_traffic() {
    for policy in [Policy::RoundRobin, Policy::LeastRequest] {
        let shares = shares(&balancer(policy, &[2, 0, 1]), 3_000);
        assert_eq!(shares[1], 0.0, "{policy:?}");
        assert!(
            (shares[0] - 2.0 / 3.0).abs() < 0.03,
            "{policy:?} {shares:?}"
        );
    }
}

#[test]
fn without_a_usable_endpoint_there_is_none() {
    for policy in [Policy::RoundRobin, Policy::LeastRequest] {
        for weights in [&[][..], &[0, 0][..]] {
            let balancer = balancer(policy, weights);
            assert_eq!(balancer.pick(5, None).unwrap_err(), PickError::NoEndpoint);
            assert_eq!(balancer.report().unavailable, 1);
            let avoid = Some(EndpointId(0));
            assert_eq!(balancer.pick(5, avoid).unwrap_err(), PickError::NoEndpoint);
        }
    }
}

#[test]
fn idle_endpoints_are_used_in_proportion_to_their_weights() {
    let shares = shares(&balancer(Policy::LeastRequest, &[1, 2, 5]), 40_000);
    for (share, expected) in shares.iter().zip([0.125, 0.25, 0.625]) {
        assert!((share - expected).abs() < 0.01, "{shares:?}");
    }
}

#[test]
fn the_busier_of_two_endpoints_is_passed_over() {
    let balancer = balancer(Policy::LeastRequest, &[1, 1]);
    let mut random = Random(11);
    let held = balancer.pick(random.next(), None).unwrap();
    for _ in 0..100 {
        let lease = balancer.pick(random.next(), None).unwrap();
        assert_ne!(lease.id(), held.id());
    }
}

#[test]
fn busy_is_measured_per_unit_of_weight() {
    let balancer = balancer(Policy::LeastRequest, &[1, 3]);
    let mut random = Random(13);
    let held: Vec<_> = (0..400)
        .map(|_| balancer.pick(random.next(), None).unwrap())
        .collect();
    let active: Vec<u32> = balancer
        .report()
        .endpoints
        .iter()
        .map(|each| each.active)
        .collect();
    assert_eq!(active, [100, 300]);
    drop(held);
    assert_eq!(balancer.active(), 0);
}

#[test]
fn two_choices_keep_many_endpoints_level() {
    let weights = [1; 50];
    let balancer = balancer(Policy::LeastRequest, &weights);
    let mut random = Random(17);
    let held: Vec<_> = (0..5_000)
        .map(|_| balancer.pick(random.next(), None).unwrap())
        .collect();
    let report = balancer.report();
    let most = report
        .endpoints
        .iter()
        .map(|each| each.active)
        .max()
        .unwrap();
    let least = report
        .endpoints
        .iter()
        .map(|each| each.active)
        .min()
        .unwrap();
    // One random choice would spread 100 +- 25 or so; two keep it within a few.
    assert!(most - least <= 12, "{least}..{most}");
    drop(held);
}

#[test]
fn extreme_random_numbers_stay_in_range() {
    for weights in [
        &[1, 1, 1][..],
        &[7, 0, 65_535][..],
        &[u32::MAX, u32::MAX][..],
    ] {
        let balancer = balancer(Policy::LeastRequest, weights);
        for random in [0, 1, u64::MAX, u64::MAX << 32, u64::from(u32::MAX)] {
            for avoid in [None, Some(EndpointId(0)), Some(EndpointId(2))] {
                assert!(balancer.pick(random, avoid).is_ok());
            }
        }
    }
}

#[test]
fn a_full_cluster_overflows_until_a_lease_is_dropped() {
    let cluster = cluster(Policy::RoundRobin, &[1, 1], 2);
    let balancer = Balancer::new(&cluster, 0, 1);
    let first = balancer.pick(0, None).unwrap();
    let _second = balancer.pick(0, None).unwrap();
    assert_eq!(balancer.pick(0, None).unwrap_err(), PickError::Overflow);
    drop(first);
    assert!(balancer.pick(0, None).is_ok());
    assert_eq!(balancer.report().overflows, 1);
}

#[test]
fn shards_share_the_bound() {
    let share = |requests_max, shards| Thresholds { requests_max }.share(shards).requests_max;
    assert_eq!(share(1024, 4), 256);
    assert_eq!(share(10, 4), 3);
    assert_eq!(share(1, 4), 1);
    assert_eq!(share(10, 1), 10);
    assert_eq!(share(10, 0), 10);
    assert_eq!(Thresholds::NONE.share(8), Thresholds::NONE);
}

#[test]
fn leases_and_connections_are_counted() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1]);
    let lease = balancer.pick(0, None).unwrap();
    let connection = lease.hold_connection();
    lease.failed();
    let before = balancer.report();
    drop(lease);
    let idle = balancer.report();
    drop(connection);
    let after = balancer.report();
    let endpoint = |report: &ClusterReport| report.endpoints[0];
    assert_eq!((before.active, endpoint(&before).active), (1, 1));
    assert_eq!((idle.active, endpoint(&idle).active), (0, 0));
    assert_eq!(
        (endpoint(&idle).connections, endpoint(&after).connections),
        (1, 0)
    );
    assert_eq!((after.requests(), after.failures()), (1, 1));

    let mut sum = after.clone();
    sum.add(&before);
    assert_eq!((sum.requests(), sum.failures(), sum.active), (2, 2, 1));
}

#[test]
fn a_cluster_is_compiled_from_the_configuration() {
    let text = r#"
        [[listeners]]
        name = "web"
        address = "127.0.0.1:8080"
        [[listeners.virtual_hosts]]
        hosts = ["*"]
        [[listeners.virtual_hosts.routes]]
        name = "all"
        forward = "service"

        [[clusters]]
        name = "service"
        lb_policy = "least_request"
        circuit_breaker.max_connections = 100
        endpoints = [{ address = "127.0.0.1:9000", weight = 3 }, "unix:/run/service.sock"]
    "#;
    let config = config::parse(text, "test".as_ref()).unwrap();
    let table = ClusterTable::compile(&config.clusters);
    let cluster = table.cluster(ClusterId(0)).unwrap();
    assert_eq!(&**cluster.name(), "service");
    assert_eq!(cluster.policy(), Policy::LeastRequest);
    assert_eq!(cluster.thresholds().requests_max, 100);
    let labels: Vec<_> = cluster.endpoints().iter().map(Endpoint::label).collect();
    assert_eq!(labels, ["127.0.0.1:9000", "unix:/run/service.sock"]);
    assert_eq!(cluster.endpoint(EndpointId(0)).unwrap().weight(), 3);
    assert!(table.cluster(ClusterId(1)).is_none());
}
