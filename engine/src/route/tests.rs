//! Routes end to end: from a configuration and a request head to the route, as Gateway API says.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;

use super::*;
use crate::config::{self, HostPattern, PathMatch, ValueMatch};
use crate::http::{FieldName, HeadLimits, RequestHead, Scheme, TargetRules, h1};

/// A listener with these virtual hosts and the clusters `a`, `b`, `c`.
fn listener(virtual_hosts: &str) -> model::Listener {
    let text = format!(
        "clusters = [\n{}]\n[[listeners]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n{virtual_hosts}",
        ["a", "b", "c"]
            .map(|name| format!("{{ name = \"{name}\", endpoints = [] }},\n"))
            .concat(),
    );
    let config = config::parse(&text, Path::new("test"));
    let mut config = config.unwrap_or_else(|errors| panic!("{errors}"));
    config.listeners.remove(0)
}

/// A listener whose routes for all hosts are named after what they match.
fn listener_of(matches: &[&str]) -> model::Listener {
    let mut text = "[[listeners.virtual_hosts]]\nhosts = [\"*\"]\n".to_owned();
    for (index, condition) in matches.iter().enumerate() {
        text += &format!(
            "[[listeners.virtual_hosts.routes]]\nname = \"{index}\"\nmatches = [{condition}]\n\
             forward = \"a\"\n"
        );
    }
    listener(&text)
}

/// A listener with one route, for all hosts.
fn listener_with(route: &str) -> model::Listener {
    listener(&format!(
        "[[listeners.virtual_hosts]]\nhosts = [\"*\"]\n[[listeners.virtual_hosts.routes]]\n{route}"
    ))
}

fn with_request<T>(text: &str, then: impl FnOnce(&Request<'_>) -> T) -> T {
    let bytes = text.as_bytes();
    let mut head = RequestHead::new();
    let target = TargetRules {
        merge_slashes: false,
        ..TargetRules::default()
    };
    let limits = HeadLimits {
        target,
        ..HeadLimits::default()
    };
    h1::request::parse(bytes, &limits, &mut head).unwrap_or_else(|e| panic!("{text:?}: {e:?}"));
    then(&head.view(bytes))
}

/// `line` is `METHOD target`, `fields` are whole lines.
fn request(line: &str, fields: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: h.example\r\n{fields}\r\n")
}

fn found<'t>(table: &'t RouteTable, text: &str) -> Option<&'t str> {
    with_request(text, |request| {
        table.find(request).map(|route| &*route.name)
    })
}

const PRECEDENCE: &[(&str, &str, &str, &str)] = &[
    // "Exact" path match.
    (
        "{ path = { exact = '/a' } }",
        "{ path = { prefix = '/a' } }",
        "GET /a",
        "",
    ),
    (
        "{ path = { exact = '/a' } }",
        "{ path = { prefix = '/a' }, method = 'GET', headers = [{ name = 'x', exact = '1' }] }",
        "GET /a",
        "x: 1\r\n",
    ),
    // "The precedence of RegularExpression path matches are implementation-specific": between.
    (
        "{ path = { exact = '/a' } }",
        "{ path = { regex = '/.*' } }",
        "GET /a",
        "",
    ),
    (
        "{ path = { regex = '/a.*' } }",
        "{ path = { prefix = '/a/b' } }",
        "GET /a/b",
        "",
    ),
    // "Prefix" path match with largest number of characters.
    (
        "{ path = { prefix = '/a/b' } }",
        "{ path = { prefix = '/a' } }",
        "GET /a/b/c",
        "",
    ),
    (
        "{ path = { prefix = '/a' } }",
        "{ path = { prefix = '/' } }",
        "GET /a",
        "",
    ),
    (
        "{ path = { prefix = '/a/b' } }",
        "{ path = { prefix = '/a' }, method = 'GET' }",
        "GET /a/b",
        "",
    ),
    // Method match.
    ("{ method = 'GET' }", "{}", "GET /", ""),
    (
        "{ method = 'GET' }",
        "{ headers = [{ name = 'x', exact = '1' }, { name = 'y', exact = '1' }] }",
        "GET /",
        "x: 1\r\ny: 1\r\n",
    ),
    // Largest number of header matches.
    (
        "{ headers = [{ name = 'x', exact = '1' }, { name = 'y', exact = '1' }] }",
        "{ headers = [{ name = 'x', exact = '1' }] }",
        "GET /",
        "x: 1\r\ny: 1\r\n",
    ),
    (
        "{ headers = [{ name = 'x', exact = '1' }] }",
        "{ query = [{ name = 'p', exact = '1' }, { name = 'q', exact = '2' }] }",
        "GET /?p=1&q=2",
        "x: 1\r\n",
    ),
    // Largest number of query param matches.
    (
        "{ query = [{ name = 'p', exact = '1' }, { name = 'q', exact = '2' }] }",
        "{ query = [{ name = 'p', exact = '1' }] }",
        "GET /?p=1&q=2",
        "",
    ),
    // The first in list order.
    (
        "{ headers = [{ name = 'x', exact = '1' }] }",
        "{ headers = [{ name = 'y', exact = '1' }] }",
        "GET /",
        "x: 1\r\ny: 1\r\n",
    ),
];

/// The criteria of `HTTPRouteRule.matches`, each alone: the first of a pair goes before the
/// second, whichever stands first in the file.
#[test]
fn gateway_api_precedence() {
    for &(stronger, weaker, line, fields) in PRECEDENCE {
        let text = request(line, fields);
        let table = RouteTable::compile(&listener_of(&[stronger, weaker]));
        assert_eq!(
            found(&table, &text),
            Some("0"),
            "{stronger} before {weaker}"
        );
        if stronger.contains("'x'") && weaker.contains("'y'") {
            continue;
        }
        let table = RouteTable::compile(&listener_of(&[weaker, stronger]));
        assert_eq!(found(&table, &text), Some("1"), "{stronger} after {weaker}");
    }
}

#[test]
fn prefixes_are_whole_segments() {
    let table = RouteTable::compile(&listener_of(&["{ path = { prefix = '/abc/' } }"]));
    for (path, matches) in [
        ("/abc", true),
        ("/abc/", true),
        ("/abc/def", true),
        ("/abcd", false),
        ("/ab", false),
        ("/", false),
        ("/ABC", false),
        ("/x/abc", false),
    ] {
        let text = request(&format!("GET {path}"), "");
        assert_eq!(found(&table, &text).is_some(), matches, "{path}");
    }
}

#[test]
fn a_shorter_prefix_takes_what_the_conditions_of_a_longer_one_refuse() {
    let table = RouteTable::compile(&listener_of(&[
        "{ path = { prefix = '/a/b/c' }, method = 'POST' }",
        "{ path = { prefix = '/a' }, method = 'PUT' }",
        "{}",
        "{ path = { exact = '/a/b/c' }, method = 'DELETE' }",
    ]));
    for (line, expected) in [
        ("POST /a/b/c/d", "0"),
        ("PUT /a/b/c/d", "1"),
        ("GET /a/b/c/d", "2"),
        ("DELETE /a/b/c", "3"),
        ("PUT /a/b/c", "1"),
        ("OPTIONS *", "2"),
    ] {
        assert_eq!(found(&table, &request(line, "")), Some(expected), "{line}");
    }
    let connect = "CONNECT h.example:443 HTTP/1.1\r\nHost: h.example:443\r\n\r\n";
    assert_eq!(found(&table, connect), Some("2"));
}

const CONDITIONS: &[(&str, &str, &str, bool)] = &[
    ("method = 'GET'", "GET /", "", true),
    ("method = 'GET'", "HEAD /", "", false),
    ("method = 'PURGE'", "PURGE /", "", true),
    ("method = 'PURGE'", "PURGED /", "", false),
    (
        "headers = [{ name = 'X-A', exact = 'v' }]",
        "GET /",
        "x-a: v\r\n",
        true,
    ),
    (
        "headers = [{ name = 'x-a', exact = 'v' }]",
        "GET /",
        "X-A: V\r\n",
        false,
    ),
    (
        "headers = [{ name = 'x-a', exact = 'v' }]",
        "GET /",
        "x-a: u\r\nx-a: v\r\n",
        false,
    ),
    (
        "headers = [{ name = 'x-a', exact = 'v' }]",
        "GET /",
        "",
        false,
    ),
    (
        "headers = [{ name = 'user-agent', regex = 'curl/.*' }]",
        "GET /",
        "User-Agent: curl/8\r\n",
        true,
    ),
    (
        "headers = [{ name = 'user-agent', regex = 'curl' }]",
        "GET /",
        "User-Agent: curl/8\r\n",
        false,
    ),
    (
        "headers = [{ name = 'x-a', regex = 'a|ab' }]",
        "GET /",
        "x-a: ab\r\n",
        true,
    ),
    (
        "headers = [{ name = 'x-a', regex = 'a.b' }]",
        "GET /",
        "x-a: a\u{e9}b\r\n",
        false,
    ),
    (
        "headers = [{ name = 'x-a', regex = 'a..b' }]",
        "GET /",
        "x-a: a\u{e9}b\r\n",
        true,
    ),
    (
        "headers = [{ name = 'x-forwarded-for', exact = '::1' }]",
        "GET /",
        "X-Forwarded-For: ::1\r\n",
        true,
    ),
    (
        "headers = [{ name = 'x-forwarded-me', exact = '1' }]",
        "GET /",
        "X-Forwarded-You: 1\r\nX-Forwarded-Me: 1\r\n",
        true,
    ),
    (
        "headers = [{ name = 'x-a', exact = '' }]",
        "GET /",
        "x-a:\r\n",
        true,
    ),
    (
        "query = [{ name = 'a', exact = '1' }]",
        "GET /?a=1",
        "",
        true,
    ),
    (
        "query = [{ name = 'a', exact = '1' }]",
        "GET /?b=0&a=1&c",
        "",
        true,
    ),
    (
        "query = [{ name = 'a', exact = '1' }]",
        "GET /?a=2&a=1",
        "",
        false,
    ),
    (
        "query = [{ name = 'a', exact = '1' }]",
        "GET /?aa=1",
        "",
        false,
    ),
    ("query = [{ name = 'a', exact = '1' }]", "GET /", "", false),
    ("query = [{ name = 'a', exact = '' }]", "GET /?a", "", true),
    (
        "query = [{ name = 'a b', exact = 'c d' }]",
        "GET /?a+b=c%20d",
        "",
        true,
    ),
    (
        "query = [{ name = 'a', exact = 'b=c' }]",
        "GET /?a=b=c",
        "",
        true,
    ),
    (
        "query = [{ name = 'a', regex = '[0-9]+' }]",
        "GET /?a=42",
        "",
        true,
    ),
    (
        "query = [{ name = 'a', regex = 'x y' }]",
        "GET /?a=x%20y",
        "",
        true,
    ),
    (
        "query = [{ name = 'a', regex = '[0-9]+' }]",
        "GET /?a=4x",
        "",
        false,
    ),
    ("path = { regex = '/u/[0-9]+' }", "GET /u/12", "", true),
    ("path = { regex = '/u/[0-9]+' }", "GET /u/12/x", "", false),
    ("path = { regex = '/a|/b' }", "GET /b", "", true),
    ("path = { exact = '/a' }", "GET /a?b=c", "", true),
    ("path = { exact = '/a' }", "GET /a/", "", false),
    ("path = { exact = '/a' }", "GET /b/../a", "", true),
    ("path = { exact = '/' }", "GET http://h.example", "", true),
];

#[test]
fn conditions() {
    for &(condition, line, fields, holds) in CONDITIONS {
        let table = RouteTable::compile(&listener_of(&[&format!("{{ {condition} }}")]));
        let text = request(line, fields);
        assert_eq!(
            found(&table, &text).is_some(),
            holds,
            "{condition} on {text:?}"
        );
    }
}

#[test]
fn a_virtual_host_that_was_chosen_is_final() {
    let host = |host: &str, path: &str| {
        format!(
            "[[listeners.virtual_hosts]]\nhosts = [\"{host}\"]\n[[listeners.virtual_hosts.routes]]\n\
             matches = [{{ path = {{ prefix = \"{path}\" }} }}]\nforward = \"a\"\n"
        )
    };
    let text = host("*", "/") + &host("*.example.com", "/w") + &host("a.example.com", "/e");
    let table = RouteTable::compile(&listener(&text));
    for (host, path, expected) in [
        ("a.example.com", "/e", Some("a.example.com/0")),
        ("A.EXAMPLE.com:8080", "/e", Some("a.example.com/0")),
        ("a.example.com", "/w", None),
        ("b.example.com", "/w", Some("*.example.com/0")),
        ("b.example.com", "/", None),
        ("example.com", "/", Some("*/0")),
        ("[::1]:80", "/", Some("*/0")),
    ] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(found(&table, &text), expected, "{host}{path}");
    }
    let ids: Vec<u32> = table.routes().iter().map(|route| route.id.0).collect();
    assert_eq!(ids, [0, 1, 2]);
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn path(&mut self) -> String {
        let segments = self.below(4);
        let path: String = (0..segments)
            .map(|_| format!("/{}", ["a", "b", "ab"][self.below(3)]))
            .collect();
        if path.is_empty() {
            "/".to_owned()
        } else {
            path
        }
    }

    fn condition(&mut self) -> String {
        let path = self.path();
        let mut text = match self.below(5) {
            0 => format!("path = {{ exact = '{path}' }}"),
            1 => format!("path = {{ regex = '{path}.*' }}"),
            _ => format!("path = {{ prefix = '{path}' }}"),
        };
        if self.below(3) == 0 {
            text += &format!(", method = '{}'", ["GET", "POST"][self.below(2)]);
        }
        let list = |count: usize| {
            let entries: Vec<String> = (0..count)
                .map(|n| format!("{{ name = 'x{n}', exact = '1' }}"))
                .collect();
            entries.join(", ")
        };
        text += &format!(", headers = [{}]", list(self.below(3)));
        text += &format!(", query = [{}]", list(self.below(3)));
        format!("{{ {text} }}")
    }
}

/// The tables agree with a plain reading of the rules: of all matches that hold, the one with the
/// greatest precedence, then the first.
#[test]
fn tables_agree_with_the_rules_read_one_by_one() {
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let mut conditions: Vec<String> = (0..30).map(|_| numbers.condition()).collect();
        conditions.sort();
        conditions.dedup();
        let start = numbers.below(conditions.len());
        conditions.rotate_left(start);
        let texts: Vec<&str> = conditions.iter().map(String::as_str).collect();
        let listener = listener_of(&texts);
        let table = RouteTable::compile(&listener);
        for _ in 0..60 {
            let method = ["GET", "POST", "PUT"][numbers.below(3)];
            let query = ["", "?x0=1", "?x0=1&x1=1", "?x1=1"][numbers.below(4)];
            let fields = ["", "x0: 1\r\n", "x0: 1\r\nx1: 1\r\n"][numbers.below(3)];
            let slash = ["", "", "/"][numbers.below(3)];
            let path = format!("{}{slash}", numbers.path());
            let text = request(&format!("{method} {path}{query}"), fields);
            let expected = with_request(&text, |request| plainly(&listener, request));
            assert_eq!(
                found(&table, &text),
                expected.as_deref(),
                "seed {seed}: {text:?}"
            );
        }
    }
}

/// Kind of path, length of prefix, has a method, header conditions, query conditions.
type Rank = (u8, usize, bool, usize, usize);

fn plainly(listener: &model::Listener, request: &Request<'_>) -> Option<String> {
    assert_eq!(listener.virtual_hosts[0].hosts, [HostPattern::Any]);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let path = text(request.path());
    let mut best: Option<(Rank, String)> = None;
    for route in &listener.virtual_hosts[0].routes {
        for condition in &route.matches {
            let (kind, length, holds) = match &condition.path {
                PathMatch::Exact(exact) => (2, 0, *exact == path),
                PathMatch::Regex(pattern) => (1, 0, pattern.is_match(path.as_bytes())),
                PathMatch::Prefix(prefix) => {
                    let prefix = prefix.trim_end_matches('/');
                    let rest = path.strip_prefix(prefix);
                    let whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                    (0, prefix.len(), whole)
                }
            };
            let exact = |value: &ValueMatch| match value {
                ValueMatch::Exact(text) => text.clone(),
                ValueMatch::Regex(_) => panic!("not generated"),
            };
            let method = condition.method.clone();
            let holds = holds
                && method
                    .as_ref()
                    .is_none_or(|name| name.as_bytes() == request.method_bytes())
                && condition.headers.iter().all(|field| {
                    let value = request.field_by_name(field.name.as_bytes());
                    value.is_some_and(|value| text(value) == exact(&field.value))
                })
                && condition.query.iter().all(|parameter| {
                    let wanted = format!("{}={}", parameter.name, exact(&parameter.value));
                    text(request.query().unwrap_or_default())
                        .split('&')
                        .any(|p| p == wanted)
                });
            let rank = (
                kind,
                length,
                method.is_some(),
                condition.headers.len(),
                condition.query.len(),
            );
            if holds && best.as_ref().is_none_or(|(least, _)| rank > *least) {
                best = Some((rank, route.name.to_string()));
            }
        }
    }
    best.map(|(_, name)| name)
}

/// The table in `HTTPPathModifier.replacePrefixMatch`.
#[test]
fn gateway_api_replace_prefix_match() {
    for (path, prefix, replacement, expected) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "/", "/bar"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/foo", "/", "/xyz", "/xyz/foo"),
        ("/", "/", "/xyz", "/xyz/"),
        ("/foo?a=b", "/foo", "/", "/?a=b"),
    ] {
        let route = format!(
            "forward = 'a'\nmatches = [{{ path = {{ prefix = '{prefix}' }} }}]\n\
             rewrite = {{ path_prefix = '{replacement}' }}"
        );
        let table = RouteTable::compile(&listener_with(&route));
        let mut out = Vec::new();
        with_request(&request(&format!("GET {path}"), ""), |request| {
            let rewrite = &table.find(request).unwrap().rewrite;
            assert!(rewrite.changes_target());
            rewrite.apply(request.path(), request.query(), &mut out);
        });
        assert_eq!(
            String::from_utf8_lossy(&out),
            expected,
            "{path}: {prefix} -> {replacement}"
        );
    }
}

#[test]
fn rewrites_of_the_whole_path_keep_the_query() {
    let route = "forward = 'a'\nrewrite = { path = '/x/y', host = 'H.example:81' }";
    let table = RouteTable::compile(&listener_with(route));
    let rewrite = &table.routes()[0].rewrite;
    let mut out = b"GET ".to_vec();
    rewrite.apply(b"/a/b", Some(b"q=1"), &mut out);
    assert_eq!(out, b"GET /x/y?q=1");
    assert_eq!(rewrite.host(), Some(&b"h.example:81"[..]));
    let table = RouteTable::compile(&listener_with("forward = 'a'"));
    assert!(!table.routes()[0].rewrite.changes_target());
    assert_eq!(table.routes()[0].rewrite.host(), None);
}

const REDIRECTS: &[(&str, &str, &str, &str)] = &[
    (
        "scheme = 'https'",
        "/a?b=c",
        "h.example",
        "https://h.example/a?b=c",
    ),
    // Gateway API: a configured scheme brings its own port.
    (
        "scheme = 'https'",
        "/",
        "h.example:8080",
        "https://h.example/",
    ),
    (
        "scheme = 'http'",
        "/",
        "h.example:8080",
        "http://h.example/",
    ),
    (
        "scheme = 'https', port = 8443",
        "/",
        "h.example",
        "https://h.example:8443/",
    ),
    (
        "scheme = 'https', port = 443",
        "/",
        "h.example",
        "https://h.example/",
    ),
    ("port = 80", "/", "h.example:8080", "http://h.example/"),
    ("port = 443", "/", "h.example", "http://h.example:443/"),
    (
        "host = 'New.example'",
        "/a",
        "h.example",
        "http://new.example/a",
    ),
    (
        "host = 'new.example'",
        "/a",
        "h.example:8080",
        "http://new.example:8080/a",
    ),
    ("host = '[::1]'", "/a", "h.example", "http://[::1]/a"),
    ("path = '/x'", "/a?b", "h.example:8080", "/x?b"),
    (
        "path = '/x', host = 'n.example'",
        "/a",
        "h.example",
        "http://n.example/x",
    ),
    ("path_prefix = '/x'", "/p/a", "h.example", "/x/a"),
    ("path_prefix = '/'", "/p", "h.example", "/"),
    // What would name another host stays a path.
    (
        "path_prefix = '/'",
        "/p//evil.example/",
        "h.example",
        "/.//evil.example/",
    ),
    (
        "scheme = 'https'",
        "/p//evil.example",
        "h.example",
        "https://h.example/p//evil.example",
    ),
];

#[test]
fn redirects() {
    for &(redirect, target, host, expected) in REDIRECTS {
        let matches = match redirect.contains("path_prefix") {
            true => "matches = [{ path = { prefix = '/p' } }]\n",
            false => "",
        };
        let table = RouteTable::compile(&listener_with(&format!(
            "{matches}redirect = {{ {redirect}, status = 308 }}"
        )));
        let text = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut out = Vec::new();
        with_request(&text, |request| {
            let route = table.find(request).unwrap();
            let RouteAction::Redirect(redirect) = &route.action else {
                panic!("{route:?}")
            };
            assert_eq!(redirect.status(), 308);
            redirect.location(request, Scheme::Http, &mut out);
        });
        assert_eq!(
            String::from_utf8_lossy(&out),
            expected,
            "{redirect} for {host}{target}"
        );
    }
}

#[test]
fn a_redirect_of_a_request_without_host_is_a_path() {
    let table = RouteTable::compile(&listener_with("redirect = { scheme = 'https' }"));
    let mut out = Vec::new();
    with_request("GET /a HTTP/1.0\r\n\r\n", |request| {
        let RouteAction::Redirect(redirect) = &table.find(request).unwrap().action else {
            panic!()
        };
        assert_eq!(redirect.status(), 302);
        redirect.location(request, Scheme::Http, &mut out);
    });
    assert_eq!(out, b"/a");
}

#[test]
fn weights_share_the_requests() {
    let route = "forward = [{ cluster = 'a', weight = 0 }, { cluster = 'b', weight = 1 }, \
        { cluster = 'c', weight = 3 }]";
    let table = RouteTable::compile(&listener_with(route));
    let RouteAction::Forward(clusters) = &table.routes()[0].action else {
        panic!()
    };
    assert_eq!(
        clusters.clusters().collect::<Vec<_>>(),
        [ClusterId(1), ClusterId(2)]
    );
    let picks = (0..4000).map(|n| clusters.pick(n * (u32::MAX / 4000)));
    let (b, c) = picks.fold((0, 0), |(b, c), id| match id {
        ClusterId(1) => (b + 1, c),
        ClusterId(2) => (b, c + 1),
        other => panic!("{other}"),
    });
    assert!((999..=1001).contains(&b) && b + c == 4000, "{b} and {c}");
    assert_eq!(clusters.pick(0), ClusterId(1));
    assert_eq!(clusters.pick(u32::MAX), ClusterId(2));
}

#[test]
fn direct_responses_edits_and_timeouts_are_carried_over() {
    let table = RouteTable::compile(&listener_with(
        "direct_response = { status = 418, body = 'tea' }\n\
         response_headers = { set = { a = '1' }, add = { b = ['2', '3'] }, remove = ['c'] }",
    ));
    let route = &table.routes()[0];
    let RouteAction::Direct(response) = &route.action else {
        panic!()
    };
    assert_eq!((response.status, &*response.body), (418, &b"tea"[..]));
    assert_eq!(&*response.content_type, b"text/plain; charset=utf-8");
    let mut expected = FieldEdits::new();
    expected.set(b"a", b"1").unwrap();
    expected.add(b"b", b"2").unwrap();
    expected.add(b"b", b"3").unwrap();
    expected.remove(b"c").unwrap();
    assert_eq!(route.response_edits, expected);
    assert_eq!(route.timeouts, RouteTimeouts::default());
    let table = RouteTable::compile(&listener_with(
        "forward = 'a'\ntimeouts = { request = '1s' }",
    ));
    assert_eq!(
        table.routes()[0].timeouts.request,
        Some(Duration::from_secs(1))
    );
    assert_eq!(
        table.routes()[0].timeouts.first_byte,
        Some(Duration::from_secs(15))
    );
}

/// The configuration may not know `http`, so it has its own list of fields that nobody may edit.
#[test]
fn the_configuration_refuses_the_edits_that_the_encoder_refuses() {
    for (_, name) in FieldName::KNOWN {
        let text = format!(
            "clusters = [{{ name = 'a', endpoints = [] }}]\n[[listeners]]\nname = 'l'\n\
             address = '127.0.0.1:1'\n[[listeners.virtual_hosts]]\nhosts = ['*']\n\
             [[listeners.virtual_hosts.routes]]\nforward = 'a'\n\
             request_headers = {{ set = {{ {name} = 'v' }} }}"
        );
        let configured = config::parse(&text, Path::new("test")).is_ok();
        let encodable = FieldEdits::new().set(name.as_bytes(), b"v").is_ok();
        assert_eq!(configured, encodable, "{name}");
    }
}
