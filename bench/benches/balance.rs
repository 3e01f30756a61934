//! What choosing an endpoint costs, by policy and number of endpoints.
//!
//! Each pick is released at once, as for a short exchange. Over equal weights
//! the cost must not depend on the number of endpoints; smooth weights look at all of them, drawing
//! by weight searches a table.
//! Random numbers come from a fixed seed.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::balance::{Balancer, Balancing, Cluster, ClusterId, Endpoint, Pick, Policy};
use engine::io::{Address, Instant};

const NOW: Instant = Instant::from_nanos(1);

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn balancer(policy: Policy, endpoint_count: u32, weight: impl Fn(u32) -> u32) -> Balancer {
    let endpoint = |id| {
        let address = Address::Tcp((Ipv4Addr::from_bits(0x0a00_0000 + id), 80).into());
        Endpoint::new(address, weight(id))
    };
    let endpoints = (0..endpoint_count).map(endpoint).collect();
    let cluster = Cluster::new(
        ClusterId(0),
        "bench".into(),
        Balancing {
            policy,
            ..Balancing::default()
        },
        endpoints,
    );
    Balancer::new(&cluster, 0, 1)
}

fn pick(criterion: &mut Criterion) {
    type Weight = fn(u32) -> u32;
    let policies: [(&str, Policy, Weight); 4] = [
        ("round_robin_equal", Policy::RoundRobin, |_| 1),
        ("round_robin_smooth", Policy::RoundRobin, |id| 1 + id % 5),
        ("least_request_equal", Policy::LeastRequest, |_| 1),
        ("least_request_weighted", Policy::LeastRequest, |id| {
            1 + id % 5
        }),
    ];
    for (name, policy, weight) in policies {
        let mut group = criterion.benchmark_group(name);
        for endpoint_count in [2, 10, 100, 1_000] {
            let balancer = balancer(policy, endpoint_count, weight);
            let mut state = 1;
            group.bench_function(BenchmarkId::from_parameter(endpoint_count), |bencher| {
                bencher.iter(|| {
                    let lease = balancer.pick(&Pick::new(NOW, random(&mut state)));
                    black_box(lease.is_ok())
                });
            });
        }
        group.finish();
    }
}

fn pick_again(criterion: &mut Criterion) {
    let balancer = balancer(Policy::LeastRequest, 10, |_| 1);
    let mut state = 1;
    let failed = balancer.pick(&Pick::new(NOW, 7));
    let avoided: Vec<_> = failed.iter().map(|lease| lease.key()).collect();
    drop(failed);
    criterion.bench_function("least_request_avoiding", |bencher| {
        bencher.iter(|| {
            let lease = balancer.pick(&Pick {
                avoid: &avoided,
                ..Pick::new(NOW, random(&mut state))
            });
            black_box(lease.is_ok())
        });
    });
}

criterion_group!(benches, pick, pick_again);
criterion_main!(benches);
