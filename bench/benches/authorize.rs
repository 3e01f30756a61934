//! What a decision costs, with 10, 100, 1,000 and 10,000 policies.
//!
//! The policies are those of a mesh: callers by identity, each for some paths and methods; a few
//! blocked networks; administrators by the prefix of their identity. Cases: the first policy, the
//! last one, none (the default), and the last one found by trying them in order, which is what the
//! index is there to avoid. Then steps 5 and 6 together: finding who calls by API key, then
//! deciding.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::authenticate::{Asked, Memory, Methods, Principal, hash_api_key};
use engine::authorize::rate_limit::{self, ListenerLimits};
use engine::authorize::{
    self, Attributes, Facts, LimitId, ListenerPolicies, PolicyId, PolicyTable,
};
use engine::config::{self, SpiffeId};
use engine::http::{HeadLimits, RequestHead, Scheme, h1};
use engine::io::Instant;
use engine::route::{Location, RouteTable};
use engine::tls::Peer;

const COUNTS: [usize; 4] = [10, 100, 1_000, 10_000];

fn config(policies: usize) -> config::Config {
    let mut text = "[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
        rate_limits = [{ name = 'r', requests = 100000, key = ['client'] }]\n\
        virtual_hosts = [{ hosts = ['*'], routes = [{ direct_response = { status = 200 } }] }]\n\
        [listeners.authorization]\n"
        .to_owned();
    for number in 0..policies {
        let conditions = match number % 10 {
            0 => format!(
                "sources = ['10.{}.{}.0/24']",
                number / 256 % 256,
                number % 256
            ),
            1 => format!("principals = [{{ spiffe = 'spiffe://a.org/team{number}/*' }}]"),
            _ => format!(
                "principals = [{{ spiffe = 'spiffe://a.org/ns/service{number}' }}]\n\
                 paths = [{{ prefix = '/api/v{}' }}]\nmethods = ['GET', 'POST']",
                number % 7
            ),
        };
        let action = if number % 10 == 0 { "deny" } else { "allow" };
        let _ = writeln!(
            text,
            "[[listeners.authorization.policies]]\nname = 'p{number}'\naction = '{action}'\n\
             {conditions}"
        );
    }
    config::parse(&text, Path::new("bench")).expect("the configuration is valid")
}

fn peer(identity: &str) -> Peer {
    Peer {
        identity: SpiffeId::parse(identity),
        subject: "CN=x".into(),
        names: Vec::new(),
        not_after: Duration::MAX,
        forwarded: Box::default(),
    }
}

fn decide(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("authorize");
    for count in COUNTS {
        let config = config(count);
        let level = config.listeners[0]
            .authorization
            .as_ref()
            .expect("policies");
        let ids: Vec<PolicyId> = (0..=count as u32).map(PolicyId).collect();
        let table = PolicyTable::compile(level, &ids);
        let last = count - 1;
        for (name, identity, version, is_for) in [
            ("first", "spiffe://a.org/ns/service2".to_owned(), 2, 2),
            (
                "last",
                format!("spiffe://a.org/ns/service{last}"),
                last % 7,
                last,
            ),
            ("default", "spiffe://a.org/ns/nobody".to_owned(), 0, count),
        ] {
            let head = format!("GET /api/v{version}/orders/42 HTTP/1.1\r\nHost: a.test\r\n\r\n");
            let mut storage = RequestHead::new();
            h1::request::parse(head.as_bytes(), &HeadLimits::default(), &mut storage)
                .expect("the request is valid");
            let peer = peer(&identity);
            let principal = Principal::of_peer(Some(&peer));
            let facts = Facts {
                principal: &principal,
                client: "192.0.2.7".parse().ok(),
                scheme: Scheme::Http,
            };
            let mut scratch = Vec::new();
            let attributes = Attributes::new(storage.view(head.as_bytes()), facts, &mut scratch);
            let decided = table.decide(&attributes);
            assert_eq!(decided.enforced.expect("a decision").id, ids[is_for]);
            assert_eq!(decided, table.decide_in_order(&attributes));
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| table.decide(black_box(&attributes)));
            });
            if name == "last" {
                group.bench_function(BenchmarkId::new("last_in_order", count), |bencher| {
                    bencher.iter(|| table.decide_in_order(black_box(&attributes)));
                });
            }
        }
    }
    group.finish();
}

/// All of step 6 as an exchange does it: attributes, policies, and a rate limit by client.
fn whole_step(criterion: &mut Criterion) {
    let config = config(1_000);
    let listener = &config.listeners[0];
    let ids: Vec<PolicyId> = (0..=1_000).map(PolicyId).collect();
    let policies = ListenerPolicies::compile(listener, &ids);
    let limits = ListenerLimits::compile(listener, &[LimitId(0)], None);
    let routes = RouteTable::compile(listener);
    let head = "GET /api/v5/orders/42 HTTP/1.1\r\nHost: a.test\r\n\r\n";
    let mut storage = RequestHead::new();
    h1::request::parse(head.as_bytes(), &HeadLimits::default(), &mut storage)
        .expect("the request is valid");
    let request = storage.view(head.as_bytes());
    let location: Location<'_> = routes.locate(&request);
    let peer = peer("spiffe://a.org/ns/service999");
    let principal = Principal::of_peer(Some(&peer));
    let facts = Facts {
        principal: &principal,
        client: "192.0.2.7".parse().ok(),
        scheme: Scheme::Http,
    };
    let mut scratch = Vec::new();
    let mut now = 1_000_000_000_000;
    criterion.bench_function("authorize/policies_and_limit/1000", |bencher| {
        bencher.iter(|| {
            now += 1_000_000;
            let attributes = Attributes::new(black_box(request), facts, &mut scratch);
            let verdict = authorize::authorize(policies.levels(location), &attributes);
            let allowed = verdict.result.expect("allowed");
            let now = Instant::from_nanos(now);
            rate_limit::limit(allowed, limits.at(location), &attributes, now, |_| ()).is_ok()
        });
    });
}

/// Who calls, and may it: steps 5 and 6 together, as an exchange asks them. Each of the callers has
/// an API key, and a policy of its own; the one that calls has the last of both.
fn authenticate_and_authorize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("authenticate_and_authorize");
    for count in COUNTS {
        let mut text =
            "[[authentication.api_keys]]\nname = 'k'\nheader = 'x-api-key'\nkeys = [\n".to_owned();
        let key = |number: usize| format!("the key of service {number}");
        for number in 0..count {
            let hash = hash_api_key(key(number).as_bytes());
            let _ = writeln!(text, "{{ owner = 'service{number}', hash = '{hash}' }},");
        }
        text += "]\n[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
            authenticate = { any_of = ['k'] }\n\
            virtual_hosts = [{ hosts = ['*'], routes = [{ direct_response = { status = 200 } }] }]\n\
            [listeners.authorization]\n";
        for number in 0..count {
            let _ = writeln!(
                text,
                "[[listeners.authorization.policies]]\nname = 'p{number}'\naction = 'allow'\n\
                 principals = [{{ key_owner = 'service{number}' }}]\n\
                 paths = [{{ prefix = '/api/v{}' }}]\nmethods = ['GET', 'POST']",
                number % 7
            );
        }
        let config = config::parse(&text, Path::new("bench"));
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let listener = &config.listeners[0];
        let ids: Vec<PolicyId> = (0..=count as u32).map(PolicyId).collect();
        let policies = ListenerPolicies::compile(listener, &ids);
        let routes = RouteTable::compile(listener);
        let methods = Methods::compile(&config.authentication, Vec::new());
        let last = count - 1;
        let head = format!(
            "GET /api/v{}/orders/42 HTTP/1.1\r\nHost: a.test\r\nX-Api-Key: {}\r\n\r\n",
            last % 7,
            key(last)
        );
        let mut storage = RequestHead::new();
        h1::request::parse(head.as_bytes(), &HeadLimits::default(), &mut storage)
            .expect("the request is valid");
        let request = storage.view(head.as_bytes());
        let location = routes.locate(&request);
        let requirement = &location.route.expect("a route").requirement;
        let mut memory = Memory::new(&[0; 32]);
        let mut scratch = Vec::new();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let asked = Asked {
                    request: black_box(request),
                    peer: None,
                    now: Duration::from_secs(1),
                };
                let principal = methods
                    .authenticate(requirement, &asked, &mut memory)
                    .expect("a known key");
                let facts = Facts {
                    principal: &principal,
                    client: "192.0.2.7".parse().ok(),
                    scheme: Scheme::Http,
                };
                let attributes = Attributes::new(request, facts, &mut scratch);
                let verdict = authorize::authorize(policies.levels(location), &attributes);
                assert!(verdict.result.is_ok(), "the last policy allows it");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, decide, whole_step, authenticate_and_authorize);
criterion_main!(benches);
