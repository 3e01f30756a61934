//! Tokens that another implementation made: every algorithm, and what must not pass.

use serde_json::Value;

use super::{ANSWER, FAILURES, curl};
use crate::harness::{Origin, Proxy, Setup, ports, proxy, python, scratch::Scratch};

pub(crate) const ISSUER: &str = "https://issuer.test";

pub(crate) fn tokens(names: &[&str]) -> Value {
    let printed = python::run("jwt_tokens.py", &[&[ISSUER, "orders"], names].concat());
    serde_json::from_str(&printed).expect("JSON")
}

pub(super) fn setup(origin: &Origin, keys: &str, lines: &str) -> Setup {
    Setup::to(origin.address())
        .top(&format!(
            "[[authentication.jwt]]\nname = \"issuer\"\nissuer = \"{ISSUER}\"\n\
             audiences = [\"orders\"]\nkeys = {keys}\n{lines}\n"
        ))
        .listener("authenticate = { any_of = [\"issuer\"] }")
}

pub(crate) fn with(token: &str) -> [String; 2] {
    ["-H".into(), format!("Authorization: Bearer {token}")]
}

pub(super) fn get(proxy: &Proxy, path: &str, token: &str) -> (u16, String) {
    let [flag, field] = with(token);
    curl(proxy, path, &[&flag, &field])
}

#[test]
fn rfc7518_3_1_tokens_of_every_algorithm_are_let_in() {
    let scratch = Scratch::new();
    let made = tokens(&[]);
    let keys = scratch.write("keys.json", &made["sets"]["first"].to_string());
    let origin = Origin::answering(ANSWER);
    let lines = "claim_headers = { x-user = \"sub\", x-roles = [\"realm\", \"roles\"] }";
    let proxy = Proxy::start(&setup(
        &origin,
        &format!("{{ file = \"{}\" }}", keys.display()),
        lines,
    ));
    let all = made["tokens"]["first"].as_object().expect("tokens");
    assert_eq!(all.len(), 9);
    for (algorithm, token) in all {
        let token = token.as_str().expect("a token");
        // The second time it is known.
        for time in ["first", "second"] {
            let [flag, field] = with(token);
            let forged = ["-H", "X-User: root", "-H", "x-roles: admin"];
            let arguments = [&[&*flag, &*field][..], &forged].concat();
            let (status, text) = curl(&proxy, "/", &arguments);
            assert_eq!(status, 200, "{algorithm}, {time}: {text}");
        }
    }
    for request in origin.requests() {
        assert_eq!(request.fields("x-user"), ["alice"]);
        assert_eq!(request.fields("x-roles"), ["reader,writer"]);
        assert_eq!(request.field("authorization"), None);
    }
}

#[test]
fn rfc8725_what_must_not_pass_is_refused_and_counted() {
    let scratch = Scratch::new();
    let made = tokens(&[]);
    let keys = scratch.write("keys.json", &made["sets"]["first"].to_string());
    let origin = Origin::answering(ANSWER);
    let keys = format!("{{ file = \"{}\" }}", keys.display());
    let proxy = Proxy::start(&setup(&origin, &keys, ""));
    for (case, wrong) in made["wrong"].as_object().expect("wrong tokens") {
        let (reason, token) = (
            wrong[0].as_str().expect("why"),
            wrong[1].as_str().expect("it"),
        );
        let labels = format!("failure=\"{reason}\"");
        let before = proxy.metric(FAILURES, &labels);
        let (status, text) = get(&proxy, "/", token);
        assert_eq!(status, 401, "{case}: {text}");
        // RFC 6750 §3.1: what is wrong with it is nobody's business.
        let challenge = "bearer realm=\"issuer\", error=\"invalid_token\"\r\n";
        assert!(text.to_lowercase().contains(challenge), "{case}: {text}");
        assert!(!text.contains(reason), "{case}: {text}");
        assert_eq!(
            proxy.metric(FAILURES, &labels),
            before + 1.0,
            "{case}: {reason}"
        );
    }
    // RFC 6750 §3: without a token there is no error to tell of.
    let (status, text) = curl(&proxy, "/", &[]);
    assert_eq!(status, 401);
    assert!(
        text.to_lowercase().contains("bearer realm=\"issuer\"\r\n"),
        "{text}"
    );
    assert_eq!(origin.connections(), 0, "nothing reached the origin");
}

#[test]
fn a_file_without_usable_keys_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    let origin = Origin::answering(ANSWER);
    for (text, expected) in [
        ("{}", "not a JSON Web Key Set"),
        (
            "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
            "no key that could verify",
        ),
    ] {
        let keys = scratch.write("keys.json", text);
        let setup = setup(&origin, &format!("{{ file = \"{}\" }}", keys.display()), "");
        let config = setup.render(ports::free(), ports::free());
        let config = scratch.write("weft.toml", &config);
        let mut check = proxy::weft();
        check.arg("check").arg("--config").arg(config);
        let output = proxy::output(&mut check);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert!(said.contains("authentication.jwt[0].keys.file"), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}
