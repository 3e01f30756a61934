//! What telling an exchange costs: on the shard (the outcome, the log line, the take) and on the
//! control thread (absorb, exposition).
//!
//! The outcomes have latencies that vary as real ones do (a long tail over three decades), so that
//! the histograms' counters are not all in one cache line; `one_route` always counts on the same
//! three series, `many_routes` on 64 routes and 16 clusters in turn. Seeds are fixed.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::hint::black_box;
use std::time::{Duration, UNIX_EPOCH};

use criterion::{Criterion, criterion_group, criterion_main};
use engine::io::Instant;
use engine::record::access_log::{self, AccessLine, Query};
use engine::record::expose::prometheus;
use engine::record::{
    ClusterId, Ledger, ListenerId, Outcome, Recorder, RouteId, RouteLabel, SeriesNames, ShardRecord,
};

/// Outcomes prepared in advance, more than any cache level remembers the order of.
const OUTCOME_COUNT: usize = 4_096;

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Nanoseconds from `least` upwards: half below twice of it, one in a thousand above 100 times.
fn long_tail(state: &mut u64, least: u64) -> u64 {
    let uniform = 1 + random(state) % 1_024;
    least + least * 1_024 / uniform
}

fn outcome(state: &mut u64, routes: u64, clusters: u64) -> Outcome {
    let mut outcome = Outcome::new(ListenerId(0));
    outcome.route = Some(RouteId((random(state) % routes) as u32));
    outcome.cluster = Some(ClusterId((random(state) % clusters) as u32));
    outcome.status = 200;
    outcome.attempts = 1;
    outcome.received_bytes = 300;
    outcome.sent_bytes = 1_200;
    let mut now = 1_000_000_000;
    let mut next = |least| {
        now += long_tail(state, least);
        Instant::from_nanos(now)
    };
    let times = &mut outcome.times;
    times.head_received = next(1);
    times.endpoint_chosen = next(2_000);
    times.connected(next(500), false);
    times.request_sent = next(3_000);
    times.first_byte = next(150_000);
    times.last_byte = next(5_000);
    outcome
}

fn names(routes: u64, clusters: u64) -> SeriesNames {
    let route = |id| RouteLabel {
        listener: "web".into(),
        route: format!("route-{id}").into(),
    };
    let cluster = |id| format!("cluster-{id}").into();
    SeriesNames::new(
        vec!["web".into()],
        (0..routes).map(route).collect(),
        (0..clusters).map(cluster).collect(),
    )
}

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("record");
    for (name, routes, clusters) in [("one_route", 1, 1), ("many_routes", 64, 16)] {
        let mut state = 1;
        let outcomes: Vec<Outcome> = (0..OUTCOME_COUNT)
            .map(|_| outcome(&mut state, routes, clusters))
            .collect();
        let mut recorder = Recorder::new(0, names(routes, clusters).counts());
        let mut each = outcomes.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                if let Some(outcome) = each.next() {
                    recorder.exchange_started(outcome.listener);
                    recorder.record(outcome);
                }
            });
        });
    }
    let mut state = 1;
    let single = outcome(&mut state, 1, 1);
    group.bench_function("phases", |bencher| {
        bencher.iter(|| black_box(&single).phases())
    });
    group.finish();
}

fn take(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("take");
    let names = names(64, 16);
    let mut ledger = Ledger::new(names);
    let mut recorder = Recorder::new(0, ledger.names().counts());
    let mut spare: Option<Box<ShardRecord>> = Some(Box::default());
    group.bench_function("empty", |bencher| {
        bencher.iter(|| spare = Some(recorder.take(spare.take().unwrap_or_default())));
    });
    let mut state = 1;
    group.bench_function("absorb_1000_exchanges", |bencher| {
        bencher.iter(|| {
            for _ in 0..1_000 {
                let outcome = outcome(&mut state, 64, 16);
                recorder.exchange_started(outcome.listener);
                recorder.record(&outcome);
            }
            let mut taken = recorder.take(spare.take().unwrap_or_default());
            ledger.absorb(&mut taken);
            spare = Some(taken);
        });
    });
    group.bench_function("prometheus_80_series", |bencher| {
        let mut out = String::new();
        bencher.iter(|| {
            out.clear();
            prometheus::write(&mut out, &ledger);
            out.len()
        });
    });
    group.finish();
}

fn log_line(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("access_log");
    let mut state = 1;
    let outcome = outcome(&mut state, 1, 1);
    let line = AccessLine {
        wall: UNIX_EPOCH + Duration::from_millis(1_795_398_213_120),
        shard: 1,
        listener: "web",
        route: Some("api"),
        cluster: Some("service"),
        endpoint: Some("127.0.0.1:9000"),
        client: Some(([192, 0, 2, 7], 50_123).into()),
        policy: None,
        audit: None,
        limit: None,
        principal: None,
        method: b"GET",
        authority: b"www.example.com",
        path: b"/api/v1/articles/2026/11/23/threads",
        query: Some(b"sort=newest&page=3"),
        request_id: b"0af7651916cd43dd8448eb211c80319c",
        user_agent: b"Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0",
        outcome: &outcome,
    };
    let mut out = Vec::new();
    group.bench_function("json", |bencher| {
        bencher.iter(|| {
            out.clear();
            access_log::json(&mut out, black_box(&line), Query::Keep);
        });
    });
    group.bench_function("text", |bencher| {
        bencher.iter(|| {
            out.clear();
            access_log::text(&mut out, black_box(&line), Query::Keep);
        });
    });
    group.finish();
}

criterion_group!(benches, record, take, log_line);
criterion_main!(benches);
