//! What choosing an endpoint costs, by policy and number of endpoints, and what making the tables
//! costs that some policies choose from.
//!
//! A pick is measured with its lease, the outcome that the lease is told, and its return: all that
//! a request costs here. Time goes on by a microsecond with each. `equal` and `different` are the
//! weights of the endpoints. Random numbers come from a fixed seed.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::balance::{Balancer, Balancing, Cluster, ClusterId, Endpoint, Pick, Policy};
use engine::io::{Address, Instant};

const COUNTS: [u32; 3] = [10, 1_000, 100_000];
const ANSWER: Duration = Duration::from_millis(5);

type Weight = fn(u32) -> u32;
const EQUAL: Weight = |_| 1;
const DIFFERENT: Weight = |id| 1 + id % 5;

const POLICIES: [(&str, Policy); 6] = [
    ("round_robin", Policy::RoundRobin),
    ("random", Policy::Random),
    ("least_request", Policy::LeastRequest),
    ("peak_ewma", Policy::PeakEwma),
    ("ring_hash", Policy::RingHash),
    ("maglev", Policy::Maglev),
];

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn endpoints(count: u32, weight: Weight) -> Vec<Endpoint> {
    let endpoint = |id| {
        let address = Address::Tcp((Ipv4Addr::from_bits(0x0a00_0000 + id), 80).into());
        Endpoint::new(address, weight(id))
    };
    (0..count).map(endpoint).collect()
}

fn cluster(policy: Policy, endpoints: Vec<Endpoint>) -> Cluster {
    let balancing = Balancing {
        policy,
        ..Balancing::default()
    };
    Cluster::new(ClusterId(0), "bench".into(), balancing, endpoints)
}

/// Picks, tells the outcome and gives the lease back, one request after the other.
struct Requests {
    balancer: Balancer,
    random: u64,
    now: Instant,
}

impl Requests {
    /// To so many endpoints, all of which are known.
    fn new(policy: Policy, count: u32, weight: Weight) -> Self {
        let cluster = cluster(policy, endpoints(count, weight));
        let mut requests = Self {
            balancer: Balancer::new(&cluster, 0, 1),
            random: 1,
            now: Instant::from_nanos(1_000_000_000),
        };
        for _ in 0..3 * count {
            requests.one(&[]);
        }
        requests
    }

    fn one(&mut self, avoid: &[engine::balance::EndpointKey]) -> bool {
        self.now = self.now + Duration::from_micros(1);
        let drawn = random(&mut self.random);
        let lease = self.balancer.pick(&Pick {
            hash: Some(drawn.rotate_left(32)),
            avoid,
            ..Pick::new(self.now, drawn)
        });
        if let Ok(lease) = &lease {
            lease.answered(200, ANSWER, self.now);
            lease.completed(self.now);
        }
        lease.is_ok()
    }
}

fn pick(criterion: &mut Criterion) {
    for (name, policy) in POLICIES {
        for (kind, weight) in [("equal", EQUAL), ("different", DIFFERENT)] {
            let is_by_hash = matches!(policy, Policy::RingHash | Policy::Maglev);
            if is_by_hash && kind == "different" {
                // One look at the table in either case.
                continue;
            }
            let mut group = criterion.benchmark_group(format!("pick/{name}/{kind}"));
            for count in COUNTS {
                let mut requests = Requests::new(policy, count, weight);
                group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
                    bencher.iter(|| black_box(requests.one(&[])));
                });
            }
            group.finish();
        }
    }
}

fn pick_again(criterion: &mut Criterion) {
    let mut requests = Requests::new(Policy::PeakEwma, 10, EQUAL);
    let failed = requests.balancer.pick(&Pick::new(requests.now, 7));
    let avoided: Vec<_> = failed.iter().map(|lease| lease.key()).collect();
    drop(failed);
    criterion.bench_function("pick/peak_ewma/avoiding_one", |bencher| {
        bencher.iter(|| black_box(requests.one(&avoided)));
    });
}

/// What a new generation costs: the table, once, and each shard's balancer with its first pick.
fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.sample_size(10);
    for count in COUNTS {
        let endpoints = endpoints(count, DIFFERENT);
        for policy in [Policy::RingHash, Policy::Maglev] {
            let name = format!("{policy:?}");
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                let endpoints = || endpoints.clone();
                let make = |endpoints| black_box(cluster(policy, endpoints));
                bencher.iter_batched(endpoints, make, BatchSize::LargeInput);
            });
        }
        let cluster = cluster(Policy::PeakEwma, endpoints.clone());
        group.bench_function(BenchmarkId::new("balancer", count), |bencher| {
            bencher.iter(|| {
                let balancer = Balancer::new(&cluster, 0, 1);
                let lease = balancer.pick(&Pick::new(Instant::from_nanos(1), 7));
                black_box(lease.is_ok())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pick, pick_again, build);
criterion_main!(benches);
