//! What stays when a cluster's endpoints change.

use super::*;

/// A cluster of endpoints at these addresses, of weight one.
fn cluster_at(numbers: &[u32]) -> Cluster {
    let endpoint = |number: &u32| Endpoint::new(address(*number), 1);
    let endpoints = numbers.iter().map(endpoint).collect();
    let balancing = by(Policy::RoundRobin);
    Cluster::new(ClusterId(0), "service".into(), balancing, endpoints)
}

fn succeed(previous: &Balancer, numbers: &[u32]) -> Balancer {
    Balancer::succeed(&cluster_at(numbers), Some(previous), 0, 1)
}

#[test]
fn an_address_keeps_what_is_known_of_it_wherever_it_stands() {
    let old = Balancer::new(&cluster_at(&[1, 2, 3]), 0, 1);
    let lease = lease_on(&old, 1, at(1));
    lease.answered(200, Duration::from_millis(7), at(1));
    old.set_health(
        EndpointId(2),
        &address(3),
        Health::Unhealthy,
        "refused",
        at(1),
    );
    let new = succeed(&old, &[3, 9, 2]);
    let report = new.report(at(1));
    let [three, nine, two] = report.endpoints[..] else {
        panic!("three endpoints")
    };
    assert_eq!(
        (two.requests, two.active, two.latency_nanos),
        (1, 1, 7_000_000)
    );
    assert_eq!(
        (three.health, three.health_why),
        (Health::Unhealthy, "refused")
    );
    assert_eq!((nine.requests, nine.health), (0, Health::Unknown));
    assert_eq!(lease.key(), key(&new, 2));
    // The lease tells where its endpoint stood when it was given.
    assert_eq!((lease.id(), lease.address()), (EndpointId(1), &address(2)));
    drop(lease);
    assert_eq!(new.active(), 0);
}

#[test]
fn a_key_is_never_given_to_another_endpoint() {
    let mut balancer = Balancer::new(&cluster_at(&[1, 2]), 0, 1);
    let first = [key(&balancer, 0), key(&balancer, 1)];
    for numbers in [[2, 3], [3, 2], [2, 1], [5, 2], [1, 2]] {
        balancer = succeed(&balancer, &numbers);
        for (id, number) in (0..).zip(numbers) {
            let key = key(&balancer, id);
            assert_eq!(key == first[1], number == 2, "{number}");
            // The first one left, and came back as somebody else.
            assert_ne!(key, first[0]);
        }
    }
}

#[test]
fn one_that_is_given_up_changes_nothing() {
    let old = balancer(Policy::RoundRobin, &[1, 1, 1]);
    let ejects = |id| {
        let leases: Vec<_> = (0..5).map(|_| lease_on(&old, id, at(1))).collect();
        let fault = EndpointFault::Connect;
        leases.iter().for_each(|lease| lease.failed(fault, at(1)));
    };
    ejects(1);
    let other = Balancer::succeed(&cluster(Policy::RoundRobin, &[1]), Some(&old), 0, 1);
    drop(other);
    // Its ejection ends as it would have.
    assert!(!turns(&old, 9, &[]).contains(&1));
    assert_eq!(lease_on(&old, 1, at(40)).id(), EndpointId(1));
}

#[test]
fn the_old_balancer_goes_on_for_those_that_hold_it() {
    let old = Balancer::new(&cluster_at(&[1, 2, 3]), 0, 1);
    let new = succeed(&old, &[4, 3]);
    assert!(new.set_health(EndpointId(1), &address(3), Health::Unhealthy, "", at(2)));
    // It still has its own endpoints, and hears what happens to them.
    for (balancer, expected) in [(&old, &[0, 1][..]), (&new, &[0])] {
        let mut chosen = turns(balancer, 20, &[]);
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen, expected);
    }
}

#[test]
fn health_is_told_by_address() {
    let balancer = Balancer::new(&cluster_at(&[1, 2, 3]), 0, 1);
    let tell = |id, number, health| {
        balancer.set_health(EndpointId(id), &address(number), health, "status", at(2))
    };
    assert!(tell(7, 2, Health::Unhealthy));
    assert!(!turns(&balancer, 9, &[]).contains(&1));
    assert!(!tell(0, 9, Health::Unhealthy));
    assert!(tell(1, 2, Health::Healthy));
    assert!(turns(&balancer, 9, &[]).contains(&1));
}

#[test]
fn with_too_few_left_all_are_used_but_for_those_that_end() {
    let balancer = Balancer::new(&cluster_at(&[1, 2, 3, 4, 5]), 0, 1);
    for (id, health) in [
        (0, Health::Draining),
        (1, Health::Unhealthy),
        (2, Health::Unhealthy),
    ] {
        balancer.set_health(EndpointId(id), &address(id + 1), health, "", at(2));
    }
    // Two of four: not yet.
    assert!(turns(&balancer, 20, &[]).iter().all(|id| *id >= 3));
    assert_eq!(balancer.report(at(2)).panics, 0);
    balancer.set_health(EndpointId(3), &address(4), Health::Unhealthy, "", at(2));
    let chosen = turns(&balancer, 20, &[]);
    assert!([1, 2, 3, 4].iter().all(|id| chosen.contains(id)) && !chosen.contains(&0));
    let report = balancer.report(at(2));
    assert_eq!((report.panics, report.panicking_shards), (20, 1));
    balancer.set_health(EndpointId(3), &address(4), Health::Healthy, "", at(2));
    assert!(turns(&balancer, 20, &[]).iter().all(|id| *id >= 3));
    assert_eq!(balancer.report(at(2)).panicking_shards, 0);
}

#[test]
fn who_joins_or_comes_back_warms_up() {
    let balancing = Balancing {
        slow_start: Duration::from_secs(100),
        ..by(Policy::Random)
    };
    let old = Balancer::new(&cluster_with(balancing.clone(), &[1, 1]), 0, 1);
    let cluster = cluster_with(balancing, &[1, 1, 1]);
    drop(pick(&old, 0, &[]));
    let new = Balancer::succeed(&cluster, Some(&old), 0, 1);
    let share = |seconds| {
        let mut draws = Draws::new(seconds);
        let before = requests(&new)[2];
        for _ in 0..20_000 {
            drop(new.pick(&Pick::new(at(seconds), draws.next())).unwrap());
        }
        (requests(&new)[2] - before) as f64 / 20_000.0
    };
    for (seconds, warmth) in [(100, 0.1), (150, 0.5), (175, 0.75), (200, 1.0)] {
        let expected = warmth / (2.0 + warmth);
        let found = share(seconds);
        assert!((found - expected).abs() < 0.01, "{found} for {expected}");
    }
    for health in [Health::Unhealthy, Health::Healthy] {
        assert!(new.set_health(EndpointId(2), &address(2), health, "", at(300)));
    }
    assert!(share(300) < 0.06);
}

#[test]
fn a_balancer_that_missed_many_changes_catches_up() {
    let numbers: Vec<u32> = (0..200).collect();
    let balancer = Balancer::new(&cluster_at(&numbers), 0, 1);
    for number in 0..90 {
        let id = EndpointId(number);
        balancer.set_health(id, &address(number), Health::Unhealthy, "", at(2));
    }
    let chosen = turns(&balancer, 400, &[]);
    assert!(chosen.iter().all(|id| *id >= 90));
    assert!((90..200).all(|id| chosen.contains(&id)));
}
