//! Step 6: who may do what, and how much, with the real binary.

mod explain;
mod external;
mod limits;

use std::fs;

use serde_json::Value;

use crate::authenticate::jwt::{ISSUER, tokens};
use crate::harness::curl::ONLY_STATUS;
use crate::harness::{
    Origin, Proxy, Setup,
    certificates::{Authority, Certificate},
    proxy,
    scratch::Scratch,
    wait,
};
use crate::tls::{curl, status};

const DECISIONS: &str = "weft_authorization_decisions_total";

/// The status of a request with these lines after its request line.
fn ask(proxy: &Proxy, line: &str, fields: &str) -> u16 {
    let method = line.split(' ').next().expect("a method");
    let mut client = proxy.connect();
    client.send(format!("{line} HTTP/1.1\r\n{fields}\r\n"));
    client.response_to(method).status()
}

/// Three levels: the listener blocks an address, the virtual host lets only GET and HEAD pass, a
/// route wants a header.
fn levels() -> Setup {
    Setup::new()
        .top("access_log = { path = \"access.log\", flush = \"1ms\" }")
        .listener(
            "fields.trusted_hops = 1\n\
             authorization = { default = \"allow\", policies = [\
             { name = \"blocked\", action = \"deny\", sources = [\"192.0.2.0/24\"] },\
             { name = \"no-admin\", action = \"deny\", paths = [{ prefix = \"/admin\" }] } ] }",
        )
        .host(
            "main",
            "[\"a.test\", \"*.a.test\"]\n\
             authorization = { policies = [\
             { name = \"reads\", action = \"allow\", methods = [\"GET\", \"HEAD\"] } ] }",
        )
        .route(
            "team",
            "matches = [{ path = { prefix = \"/team\" } }]\nforward = \"origin\"\n\
             authorization = { policies = [{ name = \"team\", action = \"allow\", \
             headers = [{ name = \"x-team\", exact = \"shop\" }] }] }",
        )
        .route(
            "moved",
            "matches = [{ path = { prefix = \"/moved\" } }]\nredirect = { path = \"/\" }",
        )
        .route(
            "open",
            "matches = [{ path = { prefix = \"/open\" } }]\nforward = \"origin\"",
        )
}

#[test]
fn every_level_must_let_a_request_pass() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&levels().cluster("origin", &[origin.address()]));
    let host = "Host: a.test\r\n";
    let blocked = "Host: a.test\r\nX-Forwarded-For: 192.0.2.9\r\n";
    let team = "Host: a.test\r\nX-Team: shop\r\n";
    for (line, fields, expected) in [
        ("GET /open", host, 200),
        ("GET /open", blocked, 403),
        ("POST /open", host, 403),
        ("GET /team", host, 403),
        ("GET /team", team, 200),
        ("POST /team", team, 403),
        // Also for what the proxy answers itself.
        ("GET /moved", host, 302),
        ("GET /moved", blocked, 403),
        ("OPTIONS *", blocked, 403),
        // Who may not enter is not told what there is.
        ("GET /none", host, 404),
        ("GET /none", blocked, 403),
        ("POST /none", host, 403),
        ("GET /", "Host: other.test\r\n", 404),
        (
            "GET /",
            "Host: other.test\r\nX-Forwarded-For: 192.0.2.9\r\n",
            403,
        ),
    ] {
        assert_eq!(ask(&proxy, line, fields), expected, "{line} {fields}");
    }
    let reached = origin.requests().len();
    assert_eq!(reached, 2, "nothing that was denied reached the origin");
    for (labels, count) in [
        ("level=\"listener\",policy=\"blocked\",decision=\"deny\"", 5),
        (
            "level=\"virtual_host:main\",policy=\"default\",decision=\"deny\"",
            3,
        ),
        (
            "level=\"route:team\",policy=\"default\",decision=\"deny\"",
            1,
        ),
        ("level=\"route:team\",policy=\"team\",decision=\"allow\"", 1),
    ] {
        proxy.expect_count(DECISIONS, labels, count);
    }
    proxy.expect_count("weft_listener_failures_total", "failure=\"denied\"", 9);
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"UAEX\"", 9);
}

#[test]
fn a_denial_tells_the_client_nothing_and_the_log_everything() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&levels().cluster("origin", &[origin.address()]));
    let mut client = proxy.connect();
    let denied = client.exchange("GET /admin HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(
        (denied.status(), denied.text().as_str()),
        (403, "403 Forbidden\n")
    );
    let names: Vec<&str> = denied
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in names {
        let known = [
            "date",
            "server",
            "content-type",
            "content-length",
            "x-request-id",
            "connection",
        ];
        assert!(
            known.contains(&name.to_ascii_lowercase().as_str()),
            "{name}"
        );
    }
    // The connection goes on.
    assert_eq!(
        client
            .exchange("GET /open HTTP/1.1\r\nHost: a.test\r\n\r\n")
            .status(),
        200
    );
    let log = wait::until("two lines of the access log", || {
        let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
        (text.lines().count() == 2).then_some(text)
    });
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["policy"], "listener/no-admin");
    assert_eq!(lines[0]["flags"], "UAEX");
    assert_eq!(lines[0]["failure"], "denied");
    assert_eq!(lines[1].get("policy"), None);
}

#[test]
fn no_spelling_of_a_path_or_a_host_passes_a_denial() {
    for profile in ["edge", "sidecar"] {
        let origin = Origin::echoing_targets();
        let setup = Setup::new()
            .listener(&format!(
                "profile = \"{profile}\"\nauthorization = {{ default = \"allow\", policies = [\
                 {{ name = \"a\", action = \"deny\", paths = [{{ prefix = \"/admin\" }}] }},\
                 {{ name = \"b\", action = \"deny\", hosts = [\"shut.test\", \"*.shut.test\"] }} ] }}"
            ))
            .cluster("origin", &[origin.address()]);
        let proxy = Proxy::start(&setup);
        for target in [
            "/admin",
            "/%61dmin",
            "/%61%64%6d%69%6E/x",
            "/x/../admin",
            "/x/%2e%2e/admin",
            "//admin",
            "/./admin",
            "/.//admin",
            "/admin;x",
            "/admin;x=1/y",
            "/admin%3bx",
            "/x/..%2fadmin",
            "/%2fadmin",
            "/x%5c..%5cadmin",
            "/;x/admin",
            "http://a.test/admin",
            "HTTP://a.test:80//admin",
            "/x/..;/admin",
        ] {
            let status = ask(&proxy, &format!("GET {target}"), "Host: a.test\r\n");
            assert!([403, 400].contains(&status), "{profile} {target}: {status}");
        }
        for (target, host) in [
            ("/", "shut.test"),
            ("/", "SHUT.Test"),
            ("/", "shut.test."),
            ("/", "shut.test:8080"),
            ("/", "a.SHUT.test."),
            // An absolute-form target wins over Host (RFC 9112 §3.2.2).
            ("http://shut.test/", "a.test"),
            ("http://Shut.Test.:80/", "a.test"),
        ] {
            let status = ask(
                &proxy,
                &format!("GET {target}"),
                &format!("Host: {host}\r\n"),
            );
            assert_eq!(status, 403, "{profile} {target} {host}");
        }
        assert!(origin.requests().is_empty(), "nothing came through");
        for target in ["/", "/administrator", "/x/admin"] {
            let status = ask(&proxy, &format!("GET {target}"), "Host: a.test\r\n");
            assert_eq!(status, 200, "{profile} {target}");
        }
    }
}

#[test]
fn the_address_is_the_clients_only_as_far_as_hops_are_trusted() {
    let policies = "authorization = { policies = [\
        { name = \"home\", action = \"allow\", sources = [\"192.0.2.0/24\"] } ] }";
    for (hops, forwarded, expected) in [
        (0, "192.0.2.1", 403),
        (1, "192.0.2.1", 200),
        // The client wrote the first, the trusted hop the last.
        (1, "192.0.2.1, 198.51.100.1", 403),
        (1, "198.51.100.1, 192.0.2.1", 200),
        (2, "192.0.2.1, 198.51.100.1", 200),
        // It did not come through both: only the peer is believed.
        (2, "192.0.2.1", 403),
        (1, "192.0.2.1.evil", 403),
        (1, "::ffff:192.0.2.1", 200),
    ] {
        let origin = Origin::echoing_targets();
        let setup = Setup::to(origin.address());
        let lines = format!("fields.trusted_hops = {hops}\n{policies}");
        let proxy = Proxy::start(&setup.listener(&lines));
        let fields = format!("Host: a.test\r\nX-Forwarded-For: {forwarded}\r\n");
        let found = ask(&proxy, "GET /", &fields);
        assert_eq!(found, expected, "{hops} hops, {forwarded}");
    }
}

#[test]
fn what_is_audited_passes_and_is_counted_and_logged() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address())
        .top("access_log = { path = \"access.log\", flush = \"1ms\" }")
        .listener(
            "authorization = { default = \"allow\", policies = [\
             { name = \"trial\", action = \"deny\", audit = true, methods = [\"POST\"] },\
             { name = \"real\", action = \"deny\", paths = [{ exact = \"/shut\" }] } ] }",
        )
        .host(
            "all",
            "[\"*\"]\nauthorization = { audit = true, policies = [\
             { name = \"known\", action = \"allow\", hosts = [\"a.test\"] } ] }",
        )
        .route("all", "forward = \"origin\"");
    let proxy = Proxy::start(&setup);
    for (line, host, expected) in [
        ("GET /", "a.test", 200),
        ("POST /", "a.test", 200),
        ("GET /", "b.test", 200),
        ("GET /shut", "a.test", 403),
        ("POST /shut", "a.test", 403),
    ] {
        let fields = format!("Host: {host}\r\nContent-Length: 0\r\n");
        assert_eq!(ask(&proxy, line, &fields), expected, "{line} {host}");
    }
    for (labels, count) in [
        (
            "level=\"listener\",policy=\"trial\",decision=\"would_deny\"",
            2,
        ),
        ("level=\"listener\",policy=\"real\",decision=\"deny\"", 2),
        (
            "level=\"virtual_host:all\",policy=\"default\",decision=\"would_deny\"",
            1,
        ),
        (
            "level=\"virtual_host:all\",policy=\"known\",decision=\"would_allow\"",
            2,
        ),
    ] {
        proxy.expect_count(DECISIONS, labels, count);
    }
    let log = wait::until("five lines of the access log", || {
        let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
        (text.lines().count() == 5).then_some(text)
    });
    assert_eq!(
        log.matches("\"audit\":\"listener/trial\"").count(),
        2,
        "{log}"
    );
    assert_eq!(
        log.matches("\"audit\":\"virtual_host:all/default\"")
            .count(),
        1
    );
}

#[test]
fn identities_decide() {
    let (own, clients) = (Authority::new(), Authority::new());
    let origin = Origin::echoing_targets();
    let certificate = own.issue("a", "DNS:a.test").toml();
    let setup = Setup::new()
        .listener(&format!(
            "tls.certificates = [{certificate}]\ntls.client_certificate = \"optional\"\n\
             tls.client_ca = \"{}\"",
            clients.ca().display()
        ))
        .host(
            "all",
            "[\"*\"]\nauthorization = { policies = [\
             { name = \"web\", action = \"allow\", \
             principals = [{ spiffe = \"spiffe://x.org/ns/shop/web\" }], methods = [\"GET\"] },\
             { name = \"not-tools\", action = \"deny\", \
             principals = [{ spiffe = \"spiffe://x.org/ns/shop/tools/*\" }] },\
             { name = \"shop\", action = \"allow\", paths = [{ prefix = \"/shop\" }], \
             principals = [{ spiffe = \"spiffe://x.org/ns/shop/*\" }] },\
             { name = \"strangers\", action = \"allow\", principals = [\"anonymous\"], \
             paths = [{ exact = \"/hello\" }] } ] }",
        )
        .route("all", "forward = \"origin\"")
        .cluster("origin", &[origin.address()]);
    let proxy = Proxy::start(&setup);
    let issue = |name: &str, id: &str| clients.issue(name, &format!("URI:spiffe://x.org/{id}"));
    let web = issue("web", "ns/shop/web");
    let tool = issue("tool", "ns/shop/tools/x");
    let other = issue("other", "ns/shopping");
    let unnamed = clients.issue("unnamed", "DNS:c.test");
    let get = |path: &str, shown: Option<&Certificate>| {
        let shown: Vec<String> = shown.into_iter().flat_map(Certificate::curl).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let url = format!("https://a.test{path}");
        let arguments = [&ONLY_STATUS[..], &shown, &[url.as_str()]].concat();
        status(&curl(&own, &proxy, &arguments)).expect("an answer")
    };
    for (path, shown, expected) in [
        ("/anything", Some(&web), "200"),
        ("/shop/x", Some(&web), "200"),
        ("/shop/x", Some(&tool), "403"),
        ("/shop/x", Some(&other), "403"),
        ("/shop/x", Some(&unnamed), "403"),
        ("/shop/x", None, "403"),
        ("/hello", None, "200"),
        // It has proved something: it is no stranger.
        ("/hello", Some(&unnamed), "403"),
    ] {
        assert_eq!(get(path, shown), expected, "{path}");
    }
}

#[test]
fn what_a_token_says_decides_and_is_explained() {
    let scratch = Scratch::new();
    let made = tokens(&[]);
    let keys = scratch.write("keys.json", &made["sets"]["first"].to_string());
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address())
        .top(&format!(
            "[[authentication.jwt]]\nname = \"issuer\"\nissuer = \"{ISSUER}\"\n\
             audiences = [\"orders\"]\nkeys = {{ file = \"{}\" }}",
            keys.display()
        ))
        .listener(&format!(
            "authenticate = {{ any_of = [\"issuer\"], optional = true }}\n\
             authorization = {{ policies = [\
             {{ name = \"writers\", action = \"allow\", paths = [{{ exact = \"/write\" }}], \
             principals = [{{ issuer = \"{ISSUER}\", subject = \"alice\", \
             claims = [{{ claim = [\"realm\", \"roles\"], is = \"writer\" }}] }}] }},\
             {{ name = \"admins\", action = \"allow\", paths = [{{ exact = \"/admin\" }}], \
             principals = [{{ claims = [{{ claim = [\"realm\", \"roles\"], is = \"admin\" }}] }}] }},\
             {{ name = \"others\", action = \"allow\", paths = [{{ exact = \"/other\" }}], \
             principals = [{{ issuer = \"https://other.test\", subject = \"alice\" }}] }},\
             {{ name = \"strangers\", action = \"allow\", paths = [{{ exact = \"/hello\" }}], \
             principals = [\"anonymous\"] }} ] }}"
        ));
    let proxy = Proxy::start(&setup);
    let first = made["tokens"]["first"].as_object().expect("tokens");
    let token = first
        .values()
        .next()
        .and_then(Value::as_str)
        .expect("a token");
    let bearer = format!("Authorization: Bearer {token}");
    for (path, field, expected) in [
        ("/write", bearer.as_str(), 200),
        ("/write", "Accept: */*", 403),
        ("/admin", &bearer, 403),
        ("/other", &bearer, 403),
        ("/hello", &bearer, 403),
        ("/hello", "Accept: */*", 200),
    ] {
        let fields = format!("Host: a.test\r\n{field}\r\n");
        assert_eq!(
            ask(&proxy, &format!("GET {path}"), &fields),
            expected,
            "{path}"
        );
        let mut explain = proxy::weft();
        explain.args(["explain", "-l", "main", "-H", field, "-u"]);
        explain.arg(format!("http://a.test{path}")).arg("--config");
        let explained = proxy::output(explain.arg(proxy.file("weft.toml")));
        let text = String::from_utf8_lossy(&explained.stdout);
        let code = if expected == 200 { 0 } else { 3 };
        assert_eq!(explained.status.code(), Some(code), "{path}: {text}");
    }
}
