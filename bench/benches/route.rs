//! What finding a route costs, with 10 and with 1000 of them.
//!
//! The routes are spread over virtual hosts, exact paths, prefixes of several depths and
//! conditions. Cases: an exact path, a prefix deep in the tree, a miss that ends at the catch-all
//! route, a wildcard host. The number of routes must hardly matter; regular expressions are
//! measured apart, because they are tried one by one.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::config;
use engine::http::{HeadLimits, RequestHead, h1};
use engine::route::RouteTable;

/// Routes of one virtual host, as an API of several resources would have them.
const ROUTES_PER_HOST: usize = 10;

fn table(route_count: usize) -> RouteTable {
    let mut text = "clusters = [{ name = 'c', endpoints = [] }]\n\
        [[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n"
        .to_owned();
    for host in 0..route_count / ROUTES_PER_HOST {
        let _ = writeln!(
            text,
            "[[listeners.virtual_hosts]]\nhosts = ['h{host}.example', '*.h{host}.example']"
        );
        for route in 0..ROUTES_PER_HOST {
            let condition = match route {
                0 => "{}".to_owned(),
                1..=3 => format!("{{ path = {{ exact = '/v1/exact/{route}' }} }}"),
                4..=7 => format!("{{ path = {{ prefix = '/v1/prefix/{route}' }} }}"),
                8 => "{ path = { prefix = '/v1/prefix' }, method = 'POST' }".to_owned(),
                _ => "{ path = { prefix = '/v1' }, headers = [{ name = 'x-a', exact = '1' }] }"
                    .to_owned(),
            };
            let _ = writeln!(
                text,
                "[[listeners.virtual_hosts.routes]]\nmatches = [{condition}]\nforward = 'c'"
            );
        }
    }
    compile(&text)
}

/// One virtual host with this many regular expressions.
fn regex_table(route_count: usize) -> RouteTable {
    let mut text = "clusters = [{ name = 'c', endpoints = [] }]\n\
        [[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
        [[listeners.virtual_hosts]]\nhosts = ['*']\n"
        .to_owned();
    for route in 0..route_count {
        let _ = writeln!(
            text,
            "[[listeners.virtual_hosts.routes]]\n\
             matches = [{{ path = {{ regex = '/users/[0-9]+/part{route}' }} }}]\nforward = 'c'"
        );
    }
    compile(&text)
}

fn compile(text: &str) -> RouteTable {
    let config = config::parse(text, Path::new("bench")).expect("the configuration is valid");
    RouteTable::compile(&config.listeners[0])
}

fn find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("route");
    let cases = [
        ("exact", "h0.example", "/v1/exact/3"),
        (
            "prefix",
            "h0.example",
            "/v1/prefix/5/with/more/segments?and=query",
        ),
        ("fallback", "h0.example", "/v1/prefix/none"),
        ("wildcard_host", "www.H0.example", "/"),
    ];
    for route_count in [10, 1000] {
        let table = table(route_count);
        for (name, host, target) in cases {
            measure(
                &mut group,
                &table,
                &format!("{name}/{route_count}"),
                host,
                target,
            );
        }
        let table = regex_table(route_count);
        let target = format!("/users/42/part{}", route_count - 1);
        measure(
            &mut group,
            &table,
            &format!("last_regex/{route_count}"),
            "h",
            &target,
        );
    }
    group.finish();
}

fn measure(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    table: &RouteTable,
    name: &str,
    host: &str,
    target: &str,
) {
    let bytes = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench\r\n\r\n");
    let bytes = bytes.as_bytes();
    let mut head = RequestHead::new();
    h1::request::parse(bytes, &HeadLimits::default(), &mut head).expect("the request is valid");
    let request = head.view(bytes);
    assert!(table.find(&request).is_some(), "{name} finds a route");
    group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
        bencher.iter(|| table.find(black_box(&request)));
    });
}

criterion_group!(benches, find);
criterion_main!(benches);
