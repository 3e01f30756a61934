//! Keys in headers and queries, and certificates beside them.

use std::fs;

use super::{ANSWER, FAILURES, curl, hash};
use crate::harness::{Origin, Proxy, Setup, certificates::Authority, proxy, wait};

const KEY: &str = "b7e1c2a09d5f4e3b8a6c";
const OTHER: &str = "0f9e8d7c6b5a49382716";

fn setup(origin: &Origin) -> Setup {
    let key = |key| hash("hash-key", key).expect("a hash");
    Setup::to(origin.address())
        .top(&format!(
            "access_log = {{ path = \"access.log\", flush = \"1ms\" }}\n\
             [[authentication.api_keys]]\nname = \"partners\"\nheader = \"X-Api-Key\"\n\
             keys = [{{ owner = \"acme\", hash = \"{}\" }}]\n\
             [[authentication.api_keys]]\nname = \"feeds\"\nquery = \"key\"\n\
             keys = [{{ owner = \"reader\", hash = \"{}\" }}]\n",
            key(KEY),
            // A line's end is not part of a key.
            key(&format!("{OTHER}\n")),
        ))
        .route(
            "partners",
            "matches = [{ path = { prefix = \"/partners\" } }]\nforward = \"origin\"\n\
             authenticate = { any_of = [\"partners\"] }",
        )
        .route(
            "feeds",
            "matches = [{ path = { prefix = \"/feeds\" } }]\nforward = \"origin\"\n\
             authenticate = { any_of = [\"feeds\", \"partners\"] }",
        )
        .route(
            "closed",
            "matches = [{ path = { prefix = \"/closed\" } }]\n\
             direct_response = { status = 204 }\nauthenticate = { any_of = [\"partners\"] }",
        )
        .route("open", "forward = \"origin\"")
}

#[test]
fn who_has_no_key_learns_nothing_and_the_operator_why() {
    let origin = Origin::answering(ANSWER);
    let proxy = Proxy::start(&setup(&origin));
    let wrong = format!("X-Api-Key: {OTHER}");
    for (path, arguments, label) in [
        ("/partners", &[][..], "credentials_missing"),
        ("/closed", &[], "credentials_missing"),
        ("/partners", &["-H", &wrong], "api_key_unknown"),
        ("/partners", &["-H", "X-Api-Key;"], "api_key_unknown"),
        (
            "/partners",
            &["-H", &wrong, "-H", &wrong],
            "credentials_malformed",
        ),
    ] {
        let (status, text) = curl(&proxy, path, arguments);
        assert_eq!(status, 401, "{path} {arguments:?}: {text}");
        let head = text.to_lowercase();
        assert!(
            head.contains("\r\nwww-authenticate: apikey realm=\"partners\"\r\n"),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\n401 Unauthorized\n"), "{text}");
        assert!(!text.contains(label) && !text.contains("acme"), "{text}");
    }
    proxy.expect_count(FAILURES, "failure=\"credentials_missing\"", 2);
    proxy.expect_count(FAILURES, "failure=\"api_key_unknown\"", 2);
    proxy.expect_count(FAILURES, "failure=\"credentials_malformed\"", 1);
    proxy.expect_count("weft_listener_response_flags_total", "flag=\"UAEX\"", 5);
    assert_eq!(origin.connections(), 0, "nothing reached the origin");
    assert_eq!(curl(&proxy, "/other", &[]).0, 200);
}

#[test]
fn the_upstream_sees_no_key_and_the_log_its_owner() {
    let origin = Origin::answering(ANSWER);
    let proxy = Proxy::start(&setup(&origin));
    let right = format!("X-API-KEY: {KEY}");
    assert_eq!(curl(&proxy, "/partners?a=1", &["-H", &right]).0, 200);
    let path = format!("/feeds?a=1&key={OTHER}&b=2");
    assert_eq!(curl(&proxy, &path, &[]).0, 200);
    assert_eq!(curl(&proxy, &format!("/feeds?key={OTHER}"), &[]).0, 200);
    for (request, target) in
        origin
            .requests()
            .iter()
            .zip(["/partners?a=1", "/feeds?a=1&b=2", "/feeds"])
    {
        assert_eq!(request.target(), target);
        assert_eq!(request.field("x-api-key"), None);
    }
    let log = wait::until("three lines of the log", || {
        let log = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
        (log.lines().count() == 3).then_some(log)
    });
    assert!(!log.contains(KEY) && !log.contains(OTHER), "{log}");
    let owners = ["acme", "reader", "reader"].map(|owner| format!("\"principal\":\"{owner}\""));
    for (line, owner) in log.lines().zip(owners) {
        assert!(line.contains(&owner), "{owner}: {line}");
    }
}

#[test]
fn a_certificate_and_a_key_each_count_where_they_are_asked_for() {
    let authority = Authority::new();
    let origin = Origin::answering(ANSWER);
    let listener = format!(
        "tls.certificates = [{}]\ntls.client_certificate = \"optional\"\ntls.client_ca = \"{}\"\n",
        authority.issue("a", "DNS:a.test").toml(),
        authority.ca().display()
    );
    let route = |path: &str, ask: &str| {
        format!(
            "matches = [{{ path = {{ prefix = \"{path}\" }} }}]\nforward = \"origin\"\n\
             authenticate = {ask}"
        )
    };
    let setup = setup(&origin)
        .listener(&listener)
        .route(
            "either",
            &route("/either", "{ any_of = [\"mtls\", \"partners\"] }"),
        )
        .route(
            "both",
            &route("/both", "{ all_of = [\"mtls\", \"partners\"] }"),
        )
        .route("mtls", &route("/mtls", "{ any_of = [\"mtls\"] }"));
    let proxy = Proxy::start(&setup);
    let shown = authority
        .issue("client", "URI:spiffe://x.org/orders")
        .curl();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let key = format!("X-Api-Key: {KEY}");
    let key = ["-H", &key];
    let get = |path: &str, with: &[&[&str]]| {
        let port = proxy.address().port();
        let ca = authority.ca().display().to_string();
        let resolve = format!("a.test:{port}:127.0.0.1");
        let url = format!("https://a.test:{port}{path}");
        let output = proxy::output(
            std::process::Command::new("curl")
                .args([
                    "-sS",
                    "-o",
                    "/dev/null",
                    "-w",
                    "%{http_code}",
                    "--cacert",
                    &ca,
                ])
                .args(["--resolve", &resolve, &url])
                .args(with.concat()),
        );
        String::from_utf8(output.stdout).expect("a status")
    };
    for (path, with, expected) in [
        ("/either", &[][..], "401"),
        ("/either", &[&shown[..]], "200"),
        ("/either", &[&key[..]], "200"),
        ("/both", &[&shown[..]], "401"),
        ("/both", &[&key[..]], "403"),
        ("/both", &[&shown[..], &key[..]], "200"),
        ("/mtls", &[&key[..]], "403"),
        ("/mtls", &[&shown[..]], "200"),
    ] {
        assert_eq!(get(path, with), expected, "{path} {with:?}");
    }
    proxy.expect_count(FAILURES, "failure=\"certificate_missing\"", 2);
}

#[test]
fn a_key_that_could_be_guessed_is_not_hashed() {
    let refused = hash("hash-key", "hunter2").expect_err("too short");
    assert!(refused.contains("FIX"), "{refused}");
}
