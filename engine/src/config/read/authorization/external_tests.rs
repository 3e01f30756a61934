//! What is said about wrong external authorization, and what routes take from around them.

use std::path::Path;

use super::*;
use crate::config::{Config, Errors, parse};

fn with(listener: &str, host: &str, route: &str) -> Result<Config, Errors> {
    let text = format!(
        "clusters = [{{ name = 'app', endpoints = [] }}, {{ name = 'authz', endpoints = [] }}]\n\
         [[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n{listener}\n\
         [[listeners.virtual_hosts]]\nhosts = ['*']\n{host}\n\
         routes = [{{ forward = 'app' {route} }}]"
    );
    parse(&text, Path::new("f"))
}

fn external(lines: &str) -> String {
    format!("external_authorization = {{ cluster = 'authz' {lines} }}")
}

#[test]
fn the_nearest_one_is_asked() {
    let asked = |listener: &str, host: &str, route: &str| {
        let config = with(listener, host, route).unwrap_or_else(|errors| panic!("{errors}"));
        let route = &config.listeners[0].virtual_hosts[0].routes[0];
        let asked = route.external_authorization.as_ref()?;
        Some(asked.path_prefix.clone())
    };
    let (a, b) = (
        external(", path_prefix = '/a'"),
        external(", path_prefix = '/b/'"),
    );
    let none = "external_authorization = 'none'";
    assert_eq!(asked("", "", ""), None);
    assert_eq!(asked(&a, "", ""), Some("/a".to_owned()));
    assert_eq!(asked(&a, &b, ""), Some("/b".to_owned()));
    assert_eq!(asked(&a, none, ""), None);
    assert_eq!(asked(&a, none, &format!(", {b}")), Some("/b".to_owned()));
    assert_eq!(asked(&a, &b, &format!(", {none}")), None);
}

#[test]
fn defaults_are_those_of_envoy() {
    let config = with(&external(""), "", "").unwrap_or_else(|errors| panic!("{errors}"));
    let route = &config.listeners[0].virtual_hosts[0].routes[0];
    let asked = route.external_authorization.as_ref().expect("asked");
    assert_eq!(asked.timeout, Duration::from_millis(200));
    assert_eq!(asked.status_on_error, 403);
    assert!(!asked.failure_mode_allow);
    let authorization = NamePattern::Exact("authorization".to_owned());
    assert_eq!(asked.request_fields, [authorization]);
}

#[test]
fn mistakes() {
    for (lines, expected) in [
        (
            "external_authorization = true",
            "expected \"none\" or a table with `cluster`",
        ),
        (
            "external_authorization = {}",
            "cluster: missing, expected the name of a cluster",
        ),
        (
            "external_authorization = { cluster = 'auth' }",
            "cluster = 'auth': no such cluster, did you mean \"authz\"?",
        ),
        (
            &external(", timeout = '0s'"),
            "timeout = '0s': expected a duration",
        ),
        (
            &external(", path_prefix = 'x'"),
            "path_prefix = 'x': expected a path",
        ),
        (
            &external(", status_on_error = 200"),
            "expected a whole number from 400 to 599",
        ),
        (&external(", with_body = 1"), "with_body: unknown key"),
        (
            &external(", request_headers = [':path']"),
            "expected a header name such as",
        ),
        (
            &external(", request_headers = ['*']"),
            "expected a header name such as",
        ),
        (
            &external(", request_headers = ['x-a', 'X-A']"),
            "= 'X-A': occurs twice",
        ),
        (
            &external(", add_headers = { host = 'x' }"),
            "`Host` is changed with `rewrite.host`",
        ),
        (
            &external(", add_headers = { content-length = '1' }"),
            "`content-length` belongs to the connection",
        ),
        (
            &format!("allow_connect = true\n{}", external("")),
            "allow_connect = true: expected false where `external_authorization` is asked",
        ),
        (
            &format!("passthrough = true\n{}", external("")),
            "cannot be had with `passthrough`, which sees no request",
        ),
    ] {
        let found = with(lines, "", "").expect_err(lines).to_string();
        assert!(found.contains(expected), "{lines}: {found}");
    }
}

#[test]
fn rfc9110_7_6_1_nothing_is_copied_that_belongs_to_a_connection_or_to_weft() {
    let lists = [
        "allowed_upstream_headers",
        "allowed_upstream_headers_to_append",
        "allowed_client_headers",
        "allowed_client_headers_on_success",
    ];
    for list in lists {
        for (name, expected) in [
            ("host", "belongs to the connection"),
            ("Content-Length", "belongs to the connection"),
            ("transfer-encoding", "belongs to the connection"),
            ("Connection", "belongs to the connection"),
            ("x-forwarded-for", "is written by weft itself"),
            ("X-Forwarded-Prefix", "is written by weft itself"),
            ("x-request-id", "is written by weft itself"),
            ("via", "is written by weft itself"),
            (
                "x-*",
                "stands for `x-envoy-auth-failure-mode-allowed` as well",
            ),
            ("x-forwarded-u*", "stands for `x-forwarded-` as well"),
            ("con*", "stands for `connection` as well"),
            ("ho*", "stands for `host` as well"),
            ("content-*", "stands for `content-length` as well"),
        ] {
            let lines = external(&format!(", {list} = ['{name}']"));
            let found = with(&lines, "", "").expect_err(name).to_string();
            assert!(found.contains(expected), "{list}, {name}: {found}");
        }
        let fine = external(&format!(
            ", {list} = ['set-cookie', 'Remote-*', 'x-user', 'x-auth-*']"
        ));
        assert!(with(&fine, "", "").is_ok(), "{list}");
    }
}
