//! What a route does with a request: rewrites, redirects, weights, edits.
//!
//! From a configuration to the target, location or choice that comes out.

use super::*;

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
