//! Ejection: who, when, for how long, and who never.

use super::*;
use crate::limits;

const QUICK: Duration = Duration::from_millis(1);

fn answer(balancer: &Balancer, id: u32, status: u16, now: Instant) {
    let lease = lease_on(balancer, id, now);
    lease.answered(status, QUICK, now);
    lease.completed(now);
}

fn fail(balancer: &Balancer, id: u32, times: usize, now: Instant) {
    let leases: Vec<_> = (0..times).map(|_| lease_on(balancer, id, now)).collect();
    let fault = EndpointFault::Connect;
    leases.iter().for_each(|lease| lease.failed(fault, now));
}

fn is_picked(balancer: &Balancer, id: u32, now: Instant) -> bool {
    let mut draws = Draws::new(3);
    let mut ids = (0..200).map(|_| balancer.pick(&Pick::new(now, draws.next())).unwrap().id());
    ids.any(|picked| picked.0 == id)
}

fn ejected(balancer: &Balancer, now: Instant) -> Vec<u32> {
    let endpoints = balancer.report(now).endpoints;
    let ejected = endpoints
        .iter()
        .filter(|endpoint| endpoint.ejection.is_some());
    ejected.map(|endpoint| endpoint.id.0).collect()
}

#[test]
fn five_errors_in_a_row_eject_and_say_why() {
    for (why, act) in [
        (Ejection::ConnectErrors, EndpointFault::Connect),
        (Ejection::GatewayErrors, EndpointFault::Timeout),
        (Ejection::GatewayErrors, EndpointFault::Broken),
    ] {
        let balancer = balancer(Policy::Random, &[1, 1, 1]);
        for _ in 0..5 {
            assert!(is_picked(&balancer, 1, at(1)));
            lease_on(&balancer, 1, at(1)).failed(act, at(1));
        }
        assert!(!is_picked(&balancer, 1, at(1)));
        let report = balancer.report(at(1)).endpoints[1];
        assert_eq!((report.ejection, report.ejected_since), (Some(why), at(1)));
        let lasts = report.ejected_until - at(1);
        assert!(lasts >= Duration::from_secs(30) && lasts <= Duration::from_secs(36));
    }
    for (status, why) in [
        (500, Ejection::ServerErrors),
        (503, Ejection::GatewayErrors),
    ] {
        let balancer = balancer(Policy::Random, &[1, 1, 1]);
        (0..5).for_each(|_| answer(&balancer, 1, status, at(1)));
        assert_eq!(balancer.report(at(1)).endpoints[1].ejection, Some(why));
    }
}

#[test]
fn a_success_between_errors_starts_the_count_again() {
    let balancer = balancer(Policy::Random, &[1, 1, 1]);
    for _ in 0..10 {
        fail(&balancer, 1, 4, at(1));
        answer(&balancer, 1, 404, at(1));
    }
    assert_eq!(ejected(&balancer, at(1)), [0_u32; 0]);
}

#[test]
fn one_success_of_one_probe_brings_it_back() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
    fail(&balancer, 1, 5, at(1));
    assert!(!is_picked(&balancer, 1, at(30)));
    let probe = lease_on(&balancer, 1, at(40));
    // Only one at a time.
    assert!(!is_picked(&balancer, 1, at(40)));
    drop(probe);
    // It ended without an outcome, so there is another.
    let probe = lease_on(&balancer, 1, at(41));
    probe.answered(200, QUICK, at(41));
    assert_eq!(ejected(&balancer, at(41)), [1], "it may break off yet");
    probe.completed(at(41));
    drop(probe);
    assert!(is_picked(&balancer, 1, at(41)));
    assert_eq!(ejected(&balancer, at(41)), [0_u32; 0]);
}

#[test]
fn responses_that_begin_well_and_break_off_eject() {
    let balancer = balancer(Policy::Random, &[1, 1, 1]);
    for _ in 0..5 {
        let lease = lease_on(&balancer, 1, at(1));
        lease.answered(200, QUICK, at(1));
        lease.failed(EndpointFault::Broken, at(1));
    }
    assert_eq!(ejected(&balancer, at(1)), [1]);
    // An error that breaks off is one error.
    for _ in 0..4 {
        let lease = lease_on(&balancer, 0, at(1));
        lease.answered(500, QUICK, at(1));
        lease.failed(EndpointFault::Broken, at(1));
    }
    assert_eq!(ejected(&balancer, at(1)), [1]);
    assert_eq!(balancer.report(at(1)).endpoints[0].failures, 4);
    // Its probe, too.
    let now = at(40);
    let probe = lease_on(&balancer, 1, now);
    probe.answered(200, QUICK, now);
    probe.failed(EndpointFault::Broken, now);
    assert!(!is_picked(&balancer, 1, now));
}

#[test]
fn a_probe_whose_response_goes_on_keeps_nobody_out() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
    fail(&balancer, 1, 5, at(1));
    let stream = lease_on(&balancer, 1, at(40));
    assert!(!is_picked(&balancer, 1, at(40)));
    stream.answered(200, QUICK, at(40));
    answer(&balancer, 1, 200, at(41));
    assert_eq!(ejected(&balancer, at(41)), [0_u32; 0]);
    drop(stream);
    assert!(is_picked(&balancer, 1, at(41)));
}

#[test]
fn a_failed_probe_ejects_for_longer_each_time_up_to_the_most() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
    fail(&balancer, 1, 5, at(1));
    let mut now = at(1);
    for count in 1..15 {
        let report = balancer.report(now).endpoints[1];
        let lasts = (report.ejected_until - now).as_secs_f64();
        let least = f64::from(30 * count).min(300.0);
        assert!(
            (least..=least * 1.2).contains(&lasts),
            "{lasts} for {least}"
        );
        assert!(!is_picked(&balancer, 1, now));
        now = report.ejected_until;
        lease_on(&balancer, 1, now).failed(EndpointFault::Connect, now);
    }
}

#[test]
fn while_its_checks_fail_an_ejected_one_is_not_probed() {
    for health in [Health::Suspect, Health::Unhealthy] {
        let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
        let tell = |health, now| {
            assert!(balancer.set_health(EndpointId(1), &address(1), health, "", now));
        };
        tell(Health::Suspect, at(1));
        assert!(is_picked(&balancer, 1, at(1)), "one bad check says little");
        fail(&balancer, 1, 5, at(1));
        tell(health, at(2));
        assert!(!is_picked(&balancer, 1, at(40)));
        assert_eq!(ejected(&balancer, at(40)), [1]);
        // Its time has long been over; the first good check is enough for a probe.
        tell(Health::Healthy, at(41));
        let probe = lease_on(&balancer, 1, at(41));
        assert!(!is_picked(&balancer, 1, at(41)), "one at a time");
        probe.answered(200, QUICK, at(41));
        probe.completed(at(41));
        assert_eq!(ejected(&balancer, at(41)), [0_u32; 0]);
    }
    let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
    fail(&balancer, 1, 5, at(1));
    balancer.set_health(EndpointId(1), &address(1), Health::Suspect, "", at(2));
    balancer.set_health(EndpointId(1), &address(1), Health::Healthy, "", at(3));
    assert!(
        !is_picked(&balancer, 1, at(30)),
        "a good check ends no ejection"
    );
    assert!(is_picked(&balancer, 1, at(40)));
}

#[test]
fn good_conduct_is_remembered() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
    let lasts = |now| balancer.report(now).endpoints[1].ejected_until - now;
    fail(&balancer, 1, 5, at(0));
    fail(&balancer, 1, 1, at(40));
    assert!(lasts(at(40)) >= Duration::from_secs(60));
    answer(&balancer, 1, 200, at(120));
    // Two ejections, of which it has served one.
    fail(&balancer, 1, 5, at(155));
    let second = lasts(at(155));
    assert!(second >= Duration::from_secs(60) && second <= Duration::from_secs(72));
    answer(&balancer, 1, 200, at(250));
    fail(&balancer, 1, 5, at(400));
    assert!(lasts(at(400)) <= Duration::from_secs(36));
}

#[test]
fn outcomes_of_requests_that_were_under_way_tell_nothing_new() {
    let balancer = balancer(Policy::RoundRobin, &[1, 1, 1]);
    let late: Vec<_> = (0..3).map(|_| lease_on(&balancer, 1, at(1))).collect();
    fail(&balancer, 1, 5, at(1));
    let until = balancer.report(at(1)).endpoints[1].ejected_until;
    late[0].failed(EndpointFault::Broken, at(2));
    late[1].answered(200, QUICK, at(2));
    assert_eq!(balancer.report(at(2)).endpoints[1].ejected_until, until);
    assert_eq!(ejected(&balancer, at(2)), [1]);
}

#[test]
fn at_most_half_and_never_the_last() {
    for (count, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (9, 4)] {
        let balancer = balancer(Policy::Random, &vec![1; count]);
        for id in 0..count as u32 {
            // Those that may not be ejected go on failing.
            fail(&balancer, id, 8, at(1));
        }
        assert_eq!(ejected(&balancer, at(1)).len(), most, "of {count}");
        assert_eq!(balancer.report(at(1)).panics, 0);
    }
    let balancing = Balancing {
        outlier: OutlierPolicy {
            ejected_percent_max: 100,
            ..OutlierPolicy::default()
        },
        panic_threshold: 0,
        ..by(Policy::Random)
    };
    let balancer = Balancer::new(&cluster_with(balancing, &[1, 1, 1]), 0, 1);
    (0..3).for_each(|id| fail(&balancer, id, 8, at(1)));
    assert_eq!(ejected(&balancer, at(1)), [0, 1]);
}

#[test]
fn the_last_healthy_one_is_not_ejected() {
    let balancer = balancer(Policy::Random, &[1, 1, 1, 1]);
    for id in [0, 1] {
        balancer.set_health(EndpointId(id), &address(id), Health::Unhealthy, "", at(1));
    }
    fail(&balancer, 2, 8, at(1));
    assert_eq!(ejected(&balancer, at(1)), [2]);
    fail(&balancer, 3, 8, at(1));
    assert_eq!(ejected(&balancer, at(1)), [2]);
}

/// Answers of each endpoint in one interval: so many of a hundred with an error, never five in a
/// row.
fn interval(balancer: &Balancer, errors: &[usize], begin: u64) {
    for (id, errors) in (0..).zip(errors) {
        for number in 0..100 {
            let is_error = (number * errors) % 100 < *errors;
            answer(balancer, id, if is_error { 500 } else { 200 }, at(begin));
        }
    }
    // The first outcome after its end closes an interval.
    answer(balancer, 0, 200, at(begin + 10));
}

#[test]
fn a_success_rate_far_below_the_others_ejects() {
    let rates = |errors: &[usize]| {
        let balancer = balancer(Policy::Random, &vec![1; errors.len()]);
        answer(&balancer, 0, 200, at(1));
        interval(&balancer, errors, 2);
        let ejected = ejected(&balancer, at(12));
        let is_by_rate = |id: &u32| {
            let why = balancer.report(at(12)).endpoints[*id as usize].ejection;
            why == Some(Ejection::SuccessRate)
        };
        assert!(ejected.iter().all(is_by_rate));
        ejected
    };
    assert_eq!(rates(&[0, 0, 0, 0, 0, 60]), [5]);
    // All are equally bad, or nearly equally good.
    assert_eq!(rates(&[60, 60, 60, 60, 60, 60]), [0_u32; 0]);
    assert_eq!(rates(&[0, 0, 0, 0, 0, 2]), [0_u32; 0]);
    // Four are not enough to tell.
    assert_eq!(rates(&[0, 0, 0, 60]), [0_u32; 0]);
}

#[test]
fn a_low_rate_of_few_requests_is_chance_where_all_fail_now_and_then() {
    // Twenty endpoints of one shard of many, with 25 requests each, one in ten of which fails.
    let mut draws = Draws::new(11);
    for _ in 0..100 {
        let balancing = Balancing {
            outlier: OutlierPolicy {
                consecutive_errors: 0,
                ..OutlierPolicy::default()
            },
            ..by(Policy::Random)
        };
        let balancer = Balancer::new(&cluster_with(balancing, &[1; 20]), 0, 64);
        answer(&balancer, 0, 200, at(1));
        for id in 0..20 {
            for _ in 0..25 {
                let status = if draws.chance(0.1) { 500 } else { 200 };
                answer(&balancer, id, status, at(2));
            }
        }
        answer(&balancer, 0, 200, at(12));
        assert_eq!(ejected(&balancer, at(12)), [0_u32; 0]);
    }
}

#[test]
fn a_shard_needs_its_share_of_the_requests_but_not_next_to_none() {
    let ejects = |shards, requests: usize| {
        let cluster = cluster(Policy::Random, &[1; 6]);
        let balancer = Balancer::new(&cluster, 0, shards);
        answer(&balancer, 0, 200, at(1));
        for id in 0..6 {
            for number in 0..requests {
                let is_error = id == 5 && number % 2 == 0;
                answer(&balancer, id, if is_error { 500 } else { 200 }, at(2));
            }
        }
        answer(&balancer, 0, 200, at(30));
        !ejected(&balancer, at(30)).is_empty()
    };
    assert!(!ejects(1, 90) && ejects(1, 110));
    assert!(!ejects(4, 20) && ejects(4, 27));
    let least = limits::SUCCESS_RATE_REQUESTS_MIN as usize;
    assert!(!ejects(64, least - 2) && ejects(64, least + 2));
}

#[test]
fn off_means_never() {
    let balancing = Balancing {
        outlier: OutlierPolicy::OFF,
        ..by(Policy::Random)
    };
    let balancer = Balancer::new(&cluster_with(balancing, &[1; 6]), 0, 1);
    fail(&balancer, 1, 50, at(1));
    interval(&balancer, &[0, 0, 0, 0, 0, 90], 2);
    assert_eq!(ejected(&balancer, at(12)), [0_u32; 0]);
}

#[test]
fn an_ejection_survives_a_change_of_the_other_endpoints() {
    let old = balancer(Policy::Random, &[1, 1, 1]);
    fail(&old, 1, 5, at(1));
    let cluster = cluster(Policy::Random, &[1, 1, 1, 1]);
    let new = Balancer::succeed(&cluster, Some(&old), 0, 1);
    assert_eq!(ejected(&new, at(2)), [1]);
    assert!(!is_picked(&new, 1, at(2)));
    // And it ends as it would have.
    answer(&new, 1, 200, at(40));
    assert_eq!(ejected(&new, at(40)), [0_u32; 0]);
}
