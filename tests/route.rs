//! Step 5: which rule applies, and what it does to request and response.
//!
//! The rules are those of Gateway API's HTTPRoute. Most routes here answer with their own name, so
//! that a test reads as a table of requests and names.

use crate::harness::{Origin, Proxy, Setup};

/// A route that answers with its name.
fn named(setup: Setup, name: &str, matches: &str) -> Setup {
    let lines =
        format!("matches = [{matches}]\ndirect_response = {{ status = 200, body = \"{name}\" }}");
    setup.route(name, &lines)
}

/// Which route a request takes: its name, or the status when there is none.
fn taken(proxy: &Proxy, request: &str) -> String {
    let response = proxy.connect().exchange(request);
    if response.status() == 200 {
        response.text()
    } else {
        response.status().to_string()
    }
}

fn get(proxy: &Proxy, host: &str, target: &str, lines: &str) -> String {
    taken(
        proxy,
        &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"),
    )
}

#[test]
fn paths_exact_prefix_and_regex() {
    let mut setup = Setup::new();
    for (name, matches) in [
        ("exact", "{ path = { exact = \"/a/b\" } }"),
        ("prefix", "{ path = { prefix = \"/a\" } }"),
        ("longer", "{ path = { prefix = \"/a/b/c\" } }"),
        ("regex", "{ path = { regex = \"/users/[0-9]+\" } }"),
    ] {
        setup = named(setup, name, matches);
    }
    let proxy = Proxy::start(&setup);
    for (target, name) in [
        ("/a/b", "exact"),
        ("/a/b?q=1", "exact"),
        ("/a", "prefix"),
        ("/a/", "prefix"),
        ("/a/x", "prefix"),
        ("/a/b/", "prefix"),
        ("/ab", "404"),
        ("/a/b/c", "longer"),
        ("/a/b/c/d", "longer"),
        ("/a/b/cd", "prefix"),
        ("/users/42", "regex"),
        ("/users/42/x", "404"),
        ("/users/x", "404"),
        ("/", "404"),
        ("/A", "404"),
        // Matched as the upstream would see them.
        ("/x/../a/b", "exact"),
        ("/%61/%62", "exact"),
        ("/a/./b", "exact"),
        ("/a/b/../../users/1", "regex"),
    ] {
        assert_eq!(get(&proxy, "test", target, ""), name, "{target}");
    }
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"NR\"", 5);
}

#[test]
fn precedence_path_then_method_then_headers_then_query_then_order() {
    let mut setup = Setup::new();
    for (name, matches) in [
        ("path", "{ path = { prefix = \"/p\" } }"),
        (
            "query",
            "{ path = { prefix = \"/p\" }, query = [{ name = \"q\", exact = \"1\" }] }",
        ),
        (
            "header",
            "{ path = { prefix = \"/p\" }, headers = [{ name = \"h\", exact = \"1\" }] }",
        ),
        (
            "method",
            "{ path = { prefix = \"/p\" }, method = \"POST\" }",
        ),
        ("exact", "{ path = { exact = \"/p/exact\" } }"),
        (
            "later",
            "{ path = { prefix = \"/p\" }, headers = [{ name = \"g\", exact = \"1\" }] }",
        ),
    ] {
        setup = named(setup, name, matches);
    }
    let proxy = Proxy::start(&setup);
    let ask = |method: &str, target: &str, lines: &str| {
        taken(
            &proxy,
            &format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"),
        )
    };
    assert_eq!(ask("GET", "/p", ""), "path");
    assert_eq!(
        ask("GET", "/p", "G: 1\r\nH: 1\r\n"),
        "header",
        "the first of two equals"
    );
    assert_eq!(ask("GET", "/p?q=1", ""), "query");
    assert_eq!(ask("GET", "/p?q=1", "H: 1\r\n"), "header");
    assert_eq!(
        ask("POST", "/p?q=1", "H: 1\r\nContent-Length: 0\r\n"),
        "method"
    );
    assert_eq!(
        ask("POST", "/p/exact?q=1", "H: 1\r\nContent-Length: 0\r\n"),
        "exact"
    );
}

#[test]
fn headers_and_query_parameters() {
    let headers = "{ headers = [{ name = \"X-Version\", exact = \"next\" }, \
        { name = \"cookie\", regex = \".*beta=1.*\" }] }";
    let query = "{ query = [{ name = \"page\", regex = \"[0-9]+\" }] }";
    let setup = named(named(Setup::new(), "headers", headers), "query", query);
    let proxy = Proxy::start(&setup);
    for (target, lines, name) in [
        ("/", "x-version: next\r\nCookie: a=b; beta=1\r\n", "headers"),
        ("/", "x-version: next\r\n", "404"),
        ("/", "x-version: nexT\r\nCookie: beta=1\r\n", "404"),
        ("/?page=12", "", "query"),
        ("/?a=b&page=%31", "", "query"),
        ("/?page=x", "", "404"),
        ("/?pages=1", "", "404"),
        ("/?page=x&page=1", "", "404"),
    ] {
        assert_eq!(get(&proxy, "a", target, lines), name, "{target} {lines}");
    }
}

#[test]
fn hosts_exact_wildcard_and_any() {
    let mut setup = Setup::new();
    for (name, hosts) in [
        ("any", "[\"*\"]"),
        ("wildcard", "[\"*.example.com\"]"),
        ("longer", "[\"*.shop.example.com\"]"),
        (
            "exact",
            "[\"www.shop.example.com\", \"[::1]\", \"127.0.0.1\"]",
        ),
    ] {
        setup = named(
            setup.host(name, hosts),
            name,
            "{ path = { prefix = \"/x\" } }",
        );
    }
    let proxy = Proxy::start(&setup);
    for (host, name) in [
        ("www.shop.example.com", "exact"),
        ("WWW.Shop.Example.COM:8080", "exact"),
        ("[::1]:80", "exact"),
        ("127.0.0.1", "exact"),
        ("a.shop.example.com", "longer"),
        ("a.b.shop.example.com", "longer"),
        ("shop.example.com", "wildcard"),
        ("a.example.com", "wildcard"),
        ("example.com", "any"),
        ("badexample.com", "any"),
        ("10.0.0.1", "any"),
    ] {
        assert_eq!(get(&proxy, host, "/x", ""), name, "{host}");
    }
    assert_eq!(
        get(&proxy, "a.example.com", "/y", ""),
        "404",
        "a chosen virtual host is final"
    );
}

#[test]
fn rewrites_change_what_the_origin_is_asked() {
    let origin = Origin::echoing_targets();
    let prefix = |path: &str| format!("matches = [{{ path = {{ prefix = \"{path}\" }} }}]");
    let route = |path: &str, rewrite: &str| {
        format!(
            "{}\nforward = \"origin\"\nrewrite = {rewrite}",
            prefix(path)
        )
    };
    let setup = Setup::to(origin.address())
        .route("swap", &route("/old", "{ path_prefix = \"/new\" }"))
        .route("strip", &route("/strip", "{ path_prefix = \"/\" }"))
        .route("full", &route("/full", "{ path = \"/index.html\" }"))
        .route("host", &route("/host", "{ host = \"inside.example:81\" }"));
    let proxy = Proxy::start(&setup);
    for (target, seen) in [
        ("/old", "/new"),
        ("/old/a/b?q=1", "/new/a/b?q=1"),
        ("/strip", "/"),
        ("/strip/a", "/a"),
        ("/full/a/b?q=1", "/index.html?q=1"),
        ("/host/a", "/host/a"),
    ] {
        assert_eq!(proxy.get(target).text(), seen, "{target}");
    }
    let requests = origin.requests();
    let last = requests.last().expect("requests");
    assert_eq!(last.field("Host"), Some("inside.example:81"));
    assert_eq!(last.field("X-Forwarded-Host"), Some("test"));
}

#[test]
fn redirects_say_where() {
    let route = |path: &str, redirect: &str| {
        format!("matches = [{{ path = {{ prefix = \"{path}\" }} }}]\nredirect = {redirect}")
    };
    let setup = Setup::new()
        .route("https", &route("/s", "{ scheme = \"https\" }"))
        .route(
            "host",
            &route("/h", "{ host = \"b.example\", status = 301 }"),
        )
        .route(
            "port",
            &route("/p", "{ scheme = \"https\", port = 8443, status = 308 }"),
        )
        .route("path", &route("/full", "{ path = \"/new\", status = 307 }"))
        .route(
            "prefix",
            &route("/old", "{ path_prefix = \"/v2\", status = 303 }"),
        );
    let proxy = Proxy::start(&setup);
    for (target, status, location) in [
        ("/s/a?q=1", 302, "https://a.example/s/a?q=1"),
        ("/h/a", 301, "http://b.example:8080/h/a"),
        ("/p", 308, "https://a.example:8443/p"),
        ("/full/x?q", 307, "/new?q"),
        ("/old/x", 303, "/v2/x"),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a.example:8080\r\n\r\n");
        let response = proxy.connect().exchange(request);
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(response.field("Location"), Some(location), "{target}");
    }
}

#[test]
fn a_redirect_cannot_be_bent_by_the_path() {
    let setup = Setup::new().route(
        "https",
        "redirect = { path_prefix = \"/\" }\n\
        matches = [{ path = { prefix = \"/x\" } }]",
    );
    let proxy = Proxy::start(&setup);
    for target in [
        "/x//evil.example/a",
        "/x/%2fevil.example",
        "/x/\\evil.example",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = proxy.connect().exchange(request);
        let location = response.field("Location").unwrap_or_default();
        assert!(
            !location.starts_with("//") && !location.contains('\\'),
            "{target}: {location}"
        );
    }
}

#[test]
fn direct_responses() {
    let setup = Setup::new()
        .route("json", "matches = [{ path = { exact = \"/json\" } }]\n\
            direct_response = { status = 418, body = \"{}\", content_type = \"application/json\" }\n\
            response_headers = { set = { x-why = \"tea\" } }")
        .route("empty", "direct_response = { status = 204 }");
    let proxy = Proxy::start(&setup);
    let response = proxy.get("/json");
    assert_eq!((response.status(), &*response.text()), (418, "{}"));
    assert_eq!(response.field("Content-Type"), Some("application/json"));
    assert_eq!(response.field("X-Why"), Some("tea"));
    assert_eq!(proxy.get("/").status(), 204);
    let head = proxy
        .connect()
        .exchange("HEAD /json HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        (head.status(), head.field("Content-Length")),
        (418, Some("2"))
    );
}

#[test]
fn header_edits_in_both_directions() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Powered-By: a\r\nVary: b\r\nX-Set: old\r\n\r\nok",
    );
    let setup = Setup::to(origin.address()).route(
        "edits",
        "forward = \"origin\"\n\
         request_headers = { set = { x-team = \"shop\" }, add = { x-tag = [\"a\", \"b\"] }, \
         remove = [\"x-debug\"] }\n\
         response_headers = { set = { x-set = \"new\" }, add = { vary = \"c\" }, \
         remove = [\"x-powered-by\"] }",
    );
    let proxy = Proxy::start(&setup);
    let request = "GET / HTTP/1.1\r\nHost: a\r\nX-Team: mine\r\nX-Tag: 0\r\nX-DEBUG: 1\r\n\r\n";
    let response = proxy.connect().exchange(request);
    let seen = origin.request();
    assert_eq!(seen.fields("X-Team"), ["shop"]);
    assert_eq!(seen.fields("X-Tag"), ["0", "a", "b"]);
    assert_eq!(seen.field("X-Debug"), None);
    assert_eq!(response.fields("X-Set"), ["new"]);
    assert_eq!(response.fields("Vary"), ["b", "c"]);
    assert_eq!(response.field("X-Powered-By"), None);
}

#[test]
fn weights_share_requests_out() {
    let origin = |name: &'static str| {
        Origin::answering(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}"
        ))
    };
    let (a, b, c) = (origin("a"), origin("b"), origin("c"));
    let setup = Setup::new()
        .route(
            "split",
            "forward = [{ cluster = \"a\", weight = 3 }, { cluster = \"b\" }, \
            { cluster = \"c\", weight = 0 }]",
        )
        .cluster("a", &[a.address()])
        .cluster("b", &[b.address()])
        .cluster("c", &[c.address()]);
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    let names: String = (0..400).map(|_| client.get("/").text()).collect();
    let count = |name| names.matches(name).count();
    assert_eq!(count("c"), 0);
    // A share of 100 in 400 with a standard deviation below 9.
    assert!(
        (50..=150).contains(&count("b")),
        "{} of 400, expected about 100",
        count("b")
    );
}
