//! Which route is found: every kind of condition, the order of precedence, virtual hosts.
//!
//! Tables of a configuration and a request each, as in the text of Gateway API.

use super::*;

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
