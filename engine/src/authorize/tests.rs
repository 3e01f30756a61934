//! Policies over requests: the index against its definition, and what has several readings.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::rate_limit::ListenerLimits;
use super::*;
use crate::authenticate::Principal;
use crate::config::{
    self, Authorization, HeaderMatch, HeaderValue, HostPattern, IpNetwork, PathMatch, Pattern,
    PolicyConditions, PrincipalMatch, Proved, SpiffeId, SpiffePattern,
};
use crate::http::{HeadLimits, RequestHead, Scheme, TargetRules, h1};
use crate::io::Instant;
use crate::route::Location;
use crate::tls::Peer;

/// Repeatable random numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.next().is_multiple_of(count)
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[(self.next() % from.len() as u64) as usize]
    }

    /// Up to two of them, mostly none.
    fn some<T: Clone + PartialEq>(&mut self, from: &[T]) -> Vec<T> {
        let mut found = Vec::new();
        while self.one_in(3) && found.len() < 2 {
            let one = self.pick(from).clone();
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }
}

const IDENTITIES: [&str; 5] = [
    "spiffe://a.org/ns/x/web",
    "spiffe://a.org/ns/x/db",
    "spiffe://a.org/ns/xy",
    "spiffe://a.org/ns",
    "spiffe://b.org/ns/x/web",
];
const TARGETS: [&str; 12] = [
    "/",
    "/a",
    "/a/b",
    "/a/b/c",
    "/ab",
    "/a;v=1/b",
    "//a/b",
    "/a%2Fb",
    "/x/..%2Fa",
    "/a/",
    "/c?a=/a",
    "/b/a",
];
const HOSTS: [&str; 6] = [
    "example.com",
    "a.example.com",
    "A.B.Example.com.",
    "notexample.com",
    "127.0.0.1",
    "[::1]:8080",
];
const CLIENTS: [&str; 6] = [
    "10.0.0.1",
    "10.1.0.1",
    "::ffff:10.1.2.3",
    "192.0.2.1",
    "2001:db8::1",
    "2001:db8:1::1",
];
const HEADERS: [&str; 5] = [
    "",
    "X-A: 1\r\n",
    "X-A: 2\r\n",
    "X-A: 1\r\nx-a: 2\r\n",
    "Accept: 1\r\n",
];

/// Numbers from `first`, more than any level here needs.
fn ids(first: u32) -> Vec<PolicyId> {
    (first..first + 100).map(PolicyId).collect()
}

fn conditions(dice: &mut Dice) -> PolicyConditions {
    let proved = |spiffe: &str| {
        PrincipalMatch::Proved(Proved {
            spiffe: Some(SpiffePattern::parse(spiffe).expect(spiffe)),
            ..Proved::default()
        })
    };
    let principals = [
        PrincipalMatch::Anonymous,
        PrincipalMatch::Authenticated,
        proved(IDENTITIES[0]),
        proved(IDENTITIES[1]),
        PrincipalMatch::Proved(Proved {
            user: Some("ann".into()),
            ..Proved::default()
        }),
        PrincipalMatch::Proved(Proved {
            issuer: Some("https://a.org".into()),
            ..Proved::default()
        }),
        proved("spiffe://a.org/ns/x/*"),
        proved("spiffe://a.org/*"),
        proved("spiffe://b.org/*"),
    ];
    let network = |text: &&str| IpNetwork::parse(text).expect(text);
    let sources = [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "192.0.2.1",
        "2001:db8::/32",
        "2001:db8::1",
        "0.0.0.0/0",
    ];
    let paths = [
        PathMatch::Exact("/a".into()),
        PathMatch::Exact("/a/b".into()),
        PathMatch::Prefix("/a".into()),
        PathMatch::Prefix("/a/b".into()),
        PathMatch::Prefix("/".into()),
        PathMatch::Regex(Pattern::parse("/[a-c]+").expect("a pattern")),
    ];
    let header = |value| HeaderMatch {
        name: "x-a".into(),
        value,
    };
    let headers = [
        header(HeaderValue::Exact("1".into())),
        header(HeaderValue::Present(true)),
        header(HeaderValue::Present(false)),
        header(HeaderValue::Regex(
            Pattern::parse("[0-9]").expect("a pattern"),
        )),
    ];
    let hosts = [
        HostPattern::Any,
        HostPattern::Exact("example.com".into()),
        HostPattern::Exact("[::1]".into()),
        HostPattern::Wildcard("example.com".into()),
        HostPattern::Wildcard("b.example.com".into()),
    ];
    PolicyConditions {
        principals: dice.some(&principals),
        sources: dice.some(&sources.each_ref().map(network)),
        methods: dice.some(&["GET".to_owned(), "POST".to_owned(), "PURGE".to_owned()]),
        paths: dice.some(&paths),
        headers: dice.some(&headers),
        hosts: dice.some(&hosts),
        ports: dice.some(&[80, 8080]),
    }
}

fn policy(dice: &mut Dice, number: usize) -> config::Policy {
    let not = dice.one_in(4).then(|| conditions(dice));
    config::Policy {
        name: format!("p{number}").into(),
        action: *dice.pick(&[PolicyAction::Allow, PolicyAction::Deny]),
        audit: dice.one_in(5),
        conditions: conditions(dice),
        not: not.unwrap_or_default(),
    }
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

/// What `judge` says about a request with this head.
fn with_request<T>(
    head: &str,
    peer: Option<&Peer>,
    client: Option<IpAddr>,
    judge: impl FnOnce(&Attributes<'_>) -> T,
) -> T {
    let principal = Principal::of_peer(peer);
    let limits = HeadLimits {
        target: TargetRules {
            merge_slashes: false,
            encoded_separators: crate::http::Encoded::Keep,
            ..TargetRules::default()
        },
        ..HeadLimits::default()
    };
    let mut storage = RequestHead::new();
    h1::request::parse(head.as_bytes(), &limits, &mut storage).expect(head);
    let request = storage.view(head.as_bytes());
    let facts = Facts {
        principal: &principal,
        client,
        scheme: Scheme::Http,
    };
    judge(&Attributes::new(request, facts, &mut Vec::new()))
}

#[test]
fn the_index_finds_what_trying_each_policy_in_order_finds() {
    let mut dice = Dice(4);
    let (mut allowed, mut denied, mut audited, mut by_default) = (0, 0, 0, 0);
    for round in 0..150 {
        let count = (dice.next() % 80) as usize;
        let table = PolicyTable::compile(
            &Authorization {
                default: PolicyAction::Deny,
                audit: dice.one_in(6),
                policies: (0..count).map(|number| policy(&mut dice, number)).collect(),
                index: 0,
            },
            &ids(7),
        );
        for _ in 0..40 {
            let head = format!(
                "{} {} HTTP/1.1\r\nHost: {}\r\n{}\r\n",
                dice.pick(&["GET", "POST", "PURGE"]),
                dice.pick(&TARGETS),
                dice.pick(&HOSTS),
                dice.pick(&HEADERS),
            );
            let peer = (!dice.one_in(3)).then(|| peer(dice.pick::<&str>(&IDENTITIES)));
            let client = dice.pick(&CLIENTS).parse().ok().filter(|_| !dice.one_in(9));
            let (found, expected) = with_request(&head, peer.as_ref(), client, |attributes| {
                (table.decide(attributes), table.decide_in_order(attributes))
            });
            assert_eq!(found, expected, "round {round}: {head} {peer:?} {client:?}");
            audited += usize::from(found.audited.is_some());
            let Some(decided) = found.enforced else {
                continue;
            };
            match decided.action {
                _ if decided.id == table.default_id() => by_default += 1,
                PolicyAction::Allow => allowed += 1,
                PolicyAction::Deny => denied += 1,
            }
        }
    }
    let seen = [allowed, denied, audited, by_default];
    assert!(
        seen.iter().all(|count| *count > 300),
        "all happen: {seen:?}"
    );
}

#[test]
fn a_limit_that_does_not_change_keeps_its_buckets_through_a_reload() {
    let listener = |limits: &str| {
        let text = format!(
            "[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\nrate_limits = [{limits}]\n\
             virtual_hosts = [{{ hosts = ['*'], routes = [{{ direct_response = {{ status = 200 }} }}] }}]"
        );
        let config = config::parse(&text, Path::new("f"));
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        config.listeners.into_iter().next().expect("a listener")
    };
    let hourly = "{ name = 'hourly', requests = 2, per = '1h' }";
    let other = "{ name = 'other', requests = 9, per = '1h' }";
    let ids: Vec<LimitId> = (0..9).map(LimitId).collect();
    let left = |limits: &ListenerLimits, name: &str| {
        let now = Instant::from_nanos(1_000_000_000_000);
        let limit = limits.at(Location::default());
        let limit = limit.filter(|limit| &*limit.source().name == name);
        with_request(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            None,
            None,
            |attributes| limit.map(|limit| limit.left(attributes, now)).sum::<u64>(),
        )
    };
    let take = |limits: &ListenerLimits| {
        let now = Instant::from_nanos(1_000_000_000_000);
        with_request(
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            None,
            None,
            |attributes| {
                let limits = limits.at(Location::default());
                rate_limit::limit(Allowed(()), limits, attributes, now, |_| ()).is_ok()
            },
        )
    };
    let first = ListenerLimits::compile(&listener(hourly), &ids, None);
    assert!(take(&first) && take(&first) && !take(&first));
    let same = listener(&format!("{other}, {hourly}"));
    let second = ListenerLimits::compile(&same, &ids, Some(&first));
    assert_eq!((left(&second, "hourly"), left(&second, "other")), (0, 9));
    let changed = listener(&hourly.replace('2', "3"));
    let third = ListenerLimits::compile(&changed, &ids, Some(&second));
    assert_eq!(left(&third, "hourly"), 3);
}

fn level(text: &str) -> Arc<PolicyTable> {
    let text = format!(
        "[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\nvirtual_hosts = []\n\
         [listeners.authorization]\n{text}"
    );
    let text = text.replace(
        "virtual_hosts = []",
        "virtual_hosts = [{ hosts = ['*'], routes = [{ direct_response = { status = 200 } }] }]",
    );
    let config = config::parse(&text, Path::new("f")).unwrap_or_else(|errors| panic!("{errors}"));
    let listener = &config.listeners[0];
    PolicyTable::compile(listener.authorization.as_ref().expect("a level"), &ids(0))
}

/// What `level` does with this request, of a client at 10.0.0.1 that has proved nothing.
fn decide(level: &PolicyTable, target: &str, headers: &str) -> PolicyAction {
    let head = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n{headers}\r\n");
    let client = "10.0.0.1".parse().ok();
    let outcome = with_request(&head, None, client, |attributes| level.decide(attributes));
    outcome.enforced.expect("a decision").action
}

#[test]
fn no_reading_of_a_path_passes_a_denial() {
    let level = level(
        "default = 'allow'\n\
         policies = [{ name = 'd', action = 'deny', paths = [{ prefix = '/admin' }] }]",
    );
    for target in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/%61dmin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "//admin",
        "/./admin",
        "/admin;v=1",
        "/admin;v=1/x",
        "/admin%3Bx",
        "/%2Fadmin",
        "/x%2F..%2Fadmin",
        "/;a/admin",
        "/admin?x",
        "/x%5C..%5Cadmin",
        "http://a.test/admin",
        "HTTP://A.TEST./admin",
    ] {
        assert_eq!(decide(&level, target, ""), PolicyAction::Deny, "{target}");
    }
    for target in ["/", "/administrator", "/x/admin", "/x?/admin", "/%2561dmin"] {
        assert_eq!(decide(&level, target, ""), PolicyAction::Allow, "{target}");
    }
}

#[test]
fn an_allowance_wants_all_readings_and_an_exception_of_a_denial_too() {
    let allow =
        level("policies = [{ name = 'a', action = 'allow', paths = [{ prefix = '/open' }] }]");
    for (target, expected) in [
        ("/open/x", PolicyAction::Allow),
        ("/open/x;v=1", PolicyAction::Allow),
        ("/open/..%2Fshut", PolicyAction::Deny),
        ("/open;v=1", PolicyAction::Deny),
        ("/%2Fopen", PolicyAction::Deny),
    ] {
        assert_eq!(decide(&allow, target, ""), expected, "{target}");
    }
    let deny = level(
        "default = 'allow'\n\
         policies = [{ name = 'd', action = 'deny', not = { paths = [{ prefix = '/open' }] } }]",
    );
    assert_eq!(decide(&deny, "/open/x", ""), PolicyAction::Allow);
    assert_eq!(decide(&deny, "/open/..%2Fshut", ""), PolicyAction::Deny);
}

#[test]
fn of_several_lines_of_a_field_the_worst_counts() {
    let deny = level(
        "default = 'allow'\npolicies = [{ name = 'd', action = 'deny', \
         headers = [{ name = 'X-Role', exact = 'admin' }] }]",
    );
    let allow = level(
        "policies = [{ name = 'a', action = 'allow', \
         headers = [{ name = 'x-role', exact = 'user' }] }]",
    );
    for (headers, is_denied, is_allowed) in [
        ("", false, false),
        ("X-ROLE: user\r\n", false, true),
        ("X-Role: admin\r\n", true, false),
        ("X-Role: user\r\nx-role: admin\r\n", true, false),
        ("X-Role: user\r\nX-Role: user\r\n", false, true),
    ] {
        let found = decide(&deny, "/", headers) == PolicyAction::Deny;
        assert_eq!(found, is_denied, "deny: {headers:?}");
        let found = decide(&allow, "/", headers) == PolicyAction::Allow;
        assert_eq!(found, is_allowed, "allow: {headers:?}");
    }
}

#[test]
fn a_request_passes_if_every_level_lets_it_pass() {
    let text = r#"
        [[listeners]]
        name = "l"
        address = "127.0.0.1:1"
        [listeners.authorization]
        default = "allow"
        policies = [{ name = "blocked", action = "deny", sources = ["10.0.0.66"] }]
        [[listeners.virtual_hosts]]
        hosts = ["a.test"]
        authorization = { policies = [{ name = "reads", action = "allow", methods = ["GET"] }] }
        [[listeners.virtual_hosts.routes]]
        matches = [{ path = { prefix = "/shut" } }]
        direct_response = { status = 200 }
        [listeners.virtual_hosts.routes.authorization]
        audit = true
        policies = [{ name = "none", action = "deny" }]
        [[listeners.virtual_hosts.routes]]
        matches = [{ path = { prefix = "/open" } }]
        direct_response = { status = 200 }
    "#;
    let config = config::parse(text, Path::new("f")).unwrap_or_else(|errors| panic!("{errors}"));
    let policies = ListenerPolicies::compile(&config.listeners[0], &ids(0));
    let routed = |place: Option<usize>| Location {
        virtual_host: Some(0),
        place,
        route: None,
    };
    assert_eq!(policies.label(PolicyId(0)), Some("listener/blocked"));
    assert_eq!(
        policies.label(PolicyId(3)),
        Some("virtual_host:a.test/default")
    );
    assert_eq!(policies.label(PolicyId(6)), None);
    // Numbers: listener 0 and its default 1, virtual host 2 and 3, route 4 and 5.
    for (method, client, place, result, would_deny) in [
        ("GET", "10.0.0.1", Some(1), Ok(()), None),
        ("GET", "10.0.0.66", Some(1), Err(PolicyId(0)), None),
        ("POST", "10.0.0.1", Some(1), Err(PolicyId(3)), None),
        ("GET", "10.0.0.1", Some(0), Ok(()), Some(PolicyId(4))),
        // No route: the outer levels hold.
        ("GET", "10.0.0.66", None, Err(PolicyId(0)), None),
        ("POST", "10.0.0.1", None, Err(PolicyId(3)), None),
        ("GET", "10.0.0.1", None, Ok(()), None),
    ] {
        let head = format!("{method} / HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let client = client.parse().ok();
        let verdict = with_request(&head, None, client, |attributes| {
            authorize(policies.levels(routed(place)), attributes)
        });
        assert_eq!(
            verdict.would_deny(),
            would_deny,
            "{method} {client:?} {place:?}"
        );
        let found = verdict.result.map(|_| ());
        assert_eq!(found, result, "{method} {client:?} {place:?}");
    }
}
