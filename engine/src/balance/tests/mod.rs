//! Turns, weights, choices and counts of a balancer, and its bounds.

mod affinity;
mod outlier;
mod succession;

use std::net::Ipv4Addr;
use std::time::Duration;

use super::draw::Draws;
use super::*;
use crate::config;
use crate::io::{Address, Instant};

const POLICIES: [Policy; 4] = [
    Policy::RoundRobin,
    Policy::Random,
    Policy::LeastRequest,
    Policy::PeakEwma,
];

fn address(number: u32) -> Address {
    Address::Tcp((Ipv4Addr::LOCALHOST, 9_000 + number as u16).into())
}

/// A cluster of endpoints at [`address`] 0, 1, 2...
fn cluster_with(balancing: Balancing, weights: &[u32]) -> Cluster {
    let endpoint = |(number, weight): (u32, &u32)| Endpoint::new(address(number), *weight);
    let endpoints = (0..).zip(weights).map(endpoint).collect();
    Cluster::new(ClusterId(0), "service".into(), balancing, endpoints)
}

fn by(policy: Policy) -> Balancing {
    Balancing {
        policy,
        ..Balancing::default()
    }
}

fn cluster(policy: Policy, weights: &[u32]) -> Cluster {
    cluster_with(by(policy), weights)
}

fn balancer(policy: Policy, weights: &[u32]) -> Balancer {
    Balancer::new(&cluster(policy, weights), 0, 1)
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn pick(balancer: &Balancer, random: u64, avoid: &[EndpointKey]) -> Result<Lease, PickError> {
    balancer.pick(&Pick {
        avoid,
        ..Pick::new(at(1), random)
    })
}

/// A lease on the endpoint number `id`.
fn lease_on(balancer: &Balancer, id: u32, now: Instant) -> Lease {
    let mut draws = Draws::new(u64::from(id));
    let picks = (0..100_000).map(|_| balancer.pick(&Pick::new(now, draws.next())));
    let mut found = picks.filter_map(Result::ok);
    found
        .find(|lease| lease.id().0 == id)
        .expect("a lease on it")
}

/// The key of the endpoint number `id`.
fn key(balancer: &Balancer, id: u32) -> EndpointKey {
    lease_on(balancer, id, at(1)).key()
}

/// The ids of `count` picks, each finished before the next.
fn turns(balancer: &Balancer, count: usize, avoid: &[EndpointKey]) -> Vec<u32> {
    let mut draws = Draws::new(5);
    let mut turn = || {
        pick(balancer, draws.next(), avoid)
            .map(|lease| lease.id().0)
            .unwrap()
    };
    (0..count).map(|_| turn()).collect()
}

fn shares(balancer: &Balancer, picks: u64) -> Vec<f64> {
    let mut draws = Draws::new(7);
    let before = requests(balancer);
    for _ in 0..picks {
        drop(pick(balancer, draws.next(), &[]).unwrap());
    }
    let after = requests(balancer).into_iter().zip(before);
    after
        .map(|(after, before)| (after - before) as f64 / picks as f64)
        .collect()
}

fn requests(balancer: &Balancer) -> Vec<u64> {
    let endpoints = balancer.report(at(1)).endpoints;
    endpoints.iter().map(|endpoint| endpoint.requests).collect()
}

#[test]
fn endpoints_of_equal_weight_take_turns() {
    let balancer = balancer(Policy::RoundRobin, &[3, 3, 3]);
    assert_eq!(turns(&balancer, 7, &[]), [0, 1, 2, 0, 1, 2, 0]);
}

#[test]
fn different_weights_are_spread_smoothly() {
    let balancer = balancer(Policy::RoundRobin, &[5, 1, 1]);
    let chosen = turns(&balancer, 70, &[]);
    for window in chosen.windows(7) {
        let others = window.iter().filter(|id| **id != 0).count();
        assert_eq!(others, 2, "{chosen:?}");
    }
    // What has a share of a seventh comes every seventh time, never earlier.
    let gaps = |id| {
        let times = chosen
            .iter()
            .enumerate()
            .filter(move |(_, chosen)| **chosen == id);
        let times: Vec<usize> = times.map(|(time, _)| time).collect();
        times
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(gaps(1), [7; 9]);
    assert_eq!(gaps(2), [7; 9]);
}

#[test]
fn many_different_weights_are_never_far_from_their_share() {
    let weights: Vec<u32> = (0..200).map(|place| 1 + place * 7 % 13).collect();
    let total: u32 = weights.iter().sum();
    let balancer = balancer(Policy::RoundRobin, &weights);
    let mut counts = vec![0.0; weights.len()];
    for (picks, id) in (1..).zip(turns(&balancer, 3 * total as usize, &[])) {
        counts[id as usize] += 1.0;
        if picks % 50 == 0 {
            for (count, weight) in counts.iter().zip(&weights) {
                let share = f64::from(picks) * f64::from(*weight) / f64::from(total);
                assert!((count - share).abs() < 2.0, "{count} for {share}");
            }
        }
    }
}

#[test]
fn one_period_gives_each_endpoint_exactly_its_weight() {
    let mut draws = Draws::new(1);
    for _ in 0..50 {
        let count = 2 + draws.next() as usize % 8;
        let weights: Vec<u32> = (0..count).map(|_| draws.next() as u32 % 20).collect();
        let total: u32 = weights.iter().sum();
        let mut used = weights.iter().filter(|weight| **weight > 0);
        let first = used.next();
        if used.all(|weight| Some(weight) == first) {
            continue;
        }
        let balancer = balancer(Policy::RoundRobin, &weights);
        for _ in 0..3 {
            let chosen = turns(&balancer, total as usize, &[]);
            for (id, weight) in (0..).zip(&weights) {
                let times = chosen.iter().filter(|chosen| **chosen == id).count();
                assert_eq!(times, *weight as usize, "{weights:?}");
            }
        }
    }
}

#[test]
fn shards_begin_at_different_endpoints() {
    let cluster = cluster(Policy::RoundRobin, &[1, 1, 1]);
    let first = |shard| turns(&Balancer::new(&cluster, shard, 4), 1, &[]);
    assert_eq!(
        [first(0), first(1), first(2), first(3)],
        [[0], [1], [0], [2]]
    );
    // Far from each other: the first twenty of a hundred are ten apart at most.
    let cluster = cluster_with(by(Policy::RoundRobin), &[1; 100]);
    let mut begins: Vec<u32> = (0..20)
        .map(|shard| turns(&Balancer::new(&cluster, shard, 20), 1, &[])[0])
        .collect();
    begins.sort_unstable();
    let gaps = begins.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.max() <= Some(10), "{begins:?}");
}

#[test]
fn endpoints_of_failed_attempts_are_avoided() {
    for policy in POLICIES {
        for weights in [[1, 1, 1, 1], [1, 100, 1, 1]] {
            let balancer = balancer(policy, &weights);
            let avoided = [key(&balancer, 1), key(&balancer, 3)];
            let chosen = turns(&balancer, 200, &avoided);
            assert!(!chosen.contains(&1) && !chosen.contains(&3), "{policy:?}");
            assert!(chosen.contains(&0) && chosen.contains(&2), "{policy:?}");
        }
    }
}

#[test]
fn the_only_endpoint_is_used_again() {
    for policy in POLICIES {
        let single = balancer(policy, &[1]);
        assert_eq!(turns(&single, 3, &[key(&single, 0)]), [0, 0, 0]);
        let other_is_off = balancer(policy, &[0, 1]);
        assert_eq!(turns(&other_is_off, 3, &[key(&other_is_off, 1)]), [1, 1, 1]);
    }
}

#[test]
fn an_unknown_endpoint_to_avoid_changes_nothing() {
    for policy in POLICIES {
        let balancer = balancer(policy, &[1, 1]);
        assert_eq!(turns(&balancer, 4, &[EndpointKey(99)]).len(), 4);
    }
}

#[test]
fn weight_zero_gets_no_traffic() {
    for policy in POLICIES {
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
    for policy in POLICIES {
        for weights in [&[][..], &[0, 0][..]] {
            let balancer = balancer(policy, weights);
            assert_eq!(pick(&balancer, 5, &[]).unwrap_err(), PickError::NoEndpoint);
            assert_eq!(balancer.report(at(1)).unavailable, 1);
            let avoid = [EndpointKey(0)];
            assert_eq!(
                pick(&balancer, 5, &avoid).unwrap_err(),
                PickError::NoEndpoint
            );
        }
    }
}

#[test]
fn idle_endpoints_are_used_in_proportion_to_their_weights() {
    for policy in [Policy::Random, Policy::LeastRequest, Policy::PeakEwma] {
        let shares = shares(&balancer(policy, &[1, 2, 5]), 40_000);
        for (share, expected) in shares.iter().zip([0.125, 0.25, 0.625]) {
            assert!((share - expected).abs() < 0.01, "{policy:?} {shares:?}");
        }
    }
}

#[test]
fn the_busier_of_two_endpoints_is_passed_over() {
    for policy in [Policy::LeastRequest, Policy::PeakEwma] {
        let balancer = balancer(policy, &[1, 1]);
        let mut draws = Draws::new(11);
        let held = pick(&balancer, draws.next(), &[]).unwrap();
        for _ in 0..100 {
            let lease = pick(&balancer, draws.next(), &[]).unwrap();
            assert_ne!(lease.id(), held.id());
        }
    }
}

#[test]
fn busy_is_measured_per_unit_of_weight() {
    for policy in [Policy::LeastRequest, Policy::PeakEwma] {
        let balancer = balancer(policy, &[1, 3]);
        let mut draws = Draws::new(13);
        let held: Vec<_> = (0..400)
            .map(|_| pick(&balancer, draws.next(), &[]).unwrap())
            .collect();
        let endpoints = balancer.report(at(1)).endpoints;
        let active: Vec<u32> = endpoints.iter().map(|each| each.active).collect();
        assert!(
            active[0].abs_diff(100) <= 1 && active[1].abs_diff(300) <= 1,
            "{active:?}"
        );
        drop(held);
        assert_eq!(balancer.active(), 0);
    }
}

#[test]
fn two_choices_keep_many_endpoints_level() {
    for policy in [Policy::LeastRequest, Policy::PeakEwma] {
        let balancer = balancer(policy, &[1; 50]);
        let mut draws = Draws::new(17);
        let held: Vec<_> = (0..5_000)
            .map(|_| pick(&balancer, draws.next(), &[]).unwrap())
            .collect();
        let endpoints = balancer.report(at(1)).endpoints;
        let active = || endpoints.iter().map(|each| each.active);
        let (most, least) = (active().max().unwrap(), active().min().unwrap());
        // One random choice would spread 100 +- 25 or so; two keep it within a few.
        assert!(most - least <= 12, "{least}..{most}");
        drop(held);
    }
}

#[test]
fn extreme_random_numbers_stay_in_range() {
    for (policy, weights) in POLICIES.iter().flat_map(|policy| {
        let weights = [
            &[1, 1, 1][..],
            &[7, 0, 65_535][..],
            &[u32::MAX, u32::MAX][..],
        ];
        weights.map(|weights| (*policy, weights))
    }) {
        let balancer = balancer(policy, weights);
        for random in [0, 1, u64::MAX, u64::MAX << 32, u64::from(u32::MAX)] {
            for avoid in [&[][..], &[EndpointKey(0)][..], &[EndpointKey(2)][..]] {
                assert!(pick(&balancer, random, avoid).is_ok());
            }
        }
    }
}

#[test]
fn leases_and_connections_are_counted() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1]);
    let lease = pick(&balancer, 0, &[]).unwrap();
    let connection = lease.hold_connection();
    lease.answered(500, Duration::from_millis(1), at(1));
    // The body broke off after that; it stays one attempt.
    lease.failed(EndpointFault::Broken, at(1));
    let before = balancer.report(at(1));
    drop(lease);
    let idle = balancer.report(at(1));
    drop(connection);
    let after = balancer.report(at(1));
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
fn the_faster_of_two_endpoints_is_preferred() {
    let balancer = balancer(Policy::PeakEwma, &[1, 1, 1, 1]);
    for (id, millis) in [(0, 50), (1, 5), (2, 5), (3, 5)] {
        let lease = lease_on(&balancer, id, at(1));
        lease.answered(200, Duration::from_millis(millis), at(1));
    }
    let shares = shares(&balancer, 1_000);
    assert_eq!(shares[0], 0.0, "{shares:?}");
    // A peak is forgotten: with nothing new about it, the slow one is tried again.
    let later = at(60);
    let lease = |id| lease_on(&balancer, id, later);
    for id in [1, 2, 3] {
        lease(id).answered(200, Duration::from_millis(5), later);
    }
    assert_eq!(lease(0).id(), EndpointId(0));
}

#[test]
fn what_says_that_it_is_overloaded_counts_as_slow_and_what_fails_fast_not_as_quick() {
    for status in [429, 502, 503, 504] {
        let balancer = balancer(Policy::PeakEwma, &[1, 1]);
        for (id, status) in [(0, status), (1, 200)] {
            let lease = lease_on(&balancer, id, at(1));
            lease.answered(status, Duration::from_millis(9), at(1));
        }
        assert_eq!(shares(&balancer, 100), [0.0, 1.0], "{status}");
    }
    let balancer = balancer(Policy::PeakEwma, &[1, 1]);
    let leases = [0, 1, 0].map(|id| lease_on(&balancer, id, at(1)));
    for (lease, (status, millis)) in leases.iter().zip([(200, 10), (200, 9), (500, 1)]) {
        lease.answered(status, Duration::from_millis(millis), at(1));
    }
    drop(leases);
    assert_eq!(shares(&balancer, 100), [0.0, 1.0]);
}

#[test]
fn who_refuses_now_and_then_is_soon_used_again_and_who_always_does_is_not() {
    // Of two equal endpoints, one refuses at the first second, and again whenever it is tried.
    let tried = |is_always: bool| {
        let balancer = balancer(Policy::PeakEwma, &[1, 1]);
        for id in [0, 1] {
            lease_on(&balancer, id, at(1)).answered(200, Duration::from_millis(10), at(1));
        }
        lease_on(&balancer, 0, at(1)).answered(503, Duration::from_millis(1), at(1));
        let mut draws = Draws::new(3);
        let mut times = Vec::new();
        for second in 2..120 {
            for _ in 0..20 {
                let lease = balancer.pick(&Pick::new(at(second), draws.next())).unwrap();
                let is_first = lease.id().0 == 0;
                let status = if is_first && is_always { 503 } else { 200 };
                lease.answered(status, Duration::from_millis(10), at(second));
                lease.completed(at(second));
                if is_first {
                    times.push(second);
                }
            }
        }
        times
    };
    let once = tried(false);
    assert!((5..=12).contains(&once[0]), "tried again after {}", once[0]);
    assert!(once.len() > 60, "{}", once.len());
    // Twice, eight times, 32 times the mean: 7, 21 and 35 seconds, up to the bound.
    let always = tried(true);
    assert!((2..=5).contains(&always.len()), "{always:?}");
}

#[test]
fn no_connection_counts_as_the_bound_at_once() {
    let balancer = balancer(Policy::PeakEwma, &[1, 1]);
    for id in [0, 1] {
        lease_on(&balancer, id, at(1)).answered(200, Duration::from_millis(10), at(1));
    }
    lease_on(&balancer, 0, at(1)).failed(EndpointFault::Connect, at(1));
    let latency = balancer.report(at(1)).endpoints[0].latency_nanos;
    assert_eq!(latency, 5_000_000_000);
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
        endpoints = [{ address = "127.0.0.1:9000", weight = 3 }, "unix:/run/service.sock"]
    "#;
    let config = config::parse(text, "test".as_ref()).unwrap();
    let table = ClusterTable::compile(&config.clusters);
    let cluster = table.cluster(ClusterId(0)).unwrap();
    assert_eq!(&**cluster.name(), "service");
    assert_eq!(cluster.balancing().policy, Policy::LeastRequest);
    let labels: Vec<_> = cluster.endpoints().iter().map(Endpoint::label).collect();
    assert_eq!(labels, ["127.0.0.1:9000", "unix:/run/service.sock"]);
    assert_eq!(cluster.endpoint(EndpointId(0)).unwrap().weight(), 3);
    assert!(table.cluster(ClusterId(1)).is_none());
}
