//! What is said about wrong methods and wrong requirements.

use std::path::Path;

use super::parse;

fn problems(text: &str) -> Vec<String> {
    match parse(text, Path::new("f")) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().iter().map(ToString::to_string).collect(),
    }
}

const HASH: &str = "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

/// A configuration with this method and these lines of a listener in clear text.
fn with(method: &str, listener: &str) -> String {
    format!(
        "{method}\n[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n{listener}\n\
         virtual_hosts = [{{ hosts = ['*'], routes = [{{ direct_response = {{ status = 200 }} }}] }}]\n"
    )
}

#[test]
fn methods_that_cannot_be() {
    for (method, expected) in [
        (
            "authentication.api_keys = [{ name = 'mtls', header = 'x', keys = [{ owner = 'o', hash = 'HASH' }] }]",
            "authentication.api_keys[0].name = 'mtls': is the name for clients' certificates",
        ),
        (
            "authentication.api_keys = [{ name = 'a', header = 'x', query = 'y', keys = [{ owner = 'o', hash = 'HASH' }] }]",
            "expected exactly one of `header`, `query`",
        ),
        (
            "authentication.api_keys = [{ name = 'a', header = 'connection', keys = [{ owner = 'o', hash = 'HASH' }] }]",
            "authentication.api_keys[0].header = 'connection': `connection` belongs to the connection, not to the message",
        ),
        (
            "authentication.api_keys = [{ name = 'a', query = 'a b', keys = [{ owner = 'o', hash = 'HASH' }] }]",
            "authentication.api_keys[0].query = 'a b': expected the name of a query parameter",
        ),
        (
            "authentication.api_keys = [{ name = 'a', header = 'x', keys = [] }]",
            "authentication.api_keys[0].keys = []: expected at least one key",
        ),
        (
            "authentication.api_keys = [{ name = 'a', header = 'x', keys = [{ owner = 'o', hash = 'secret' }] }]",
            "authentication.api_keys[0].keys[0].hash: expected \"sha256:\" and 64 hexadecimal digits",
        ),
        (
            "authentication.api_keys = [{ name = 'a', header = 'x', keys = [{ owner = 'o', hash = 'HASH' }, { owner = 'p', hash = 'HASH' }] }]",
            "already used in authentication.api_keys[0].keys[0].hash",
        ),
    ] {
        let text = with(&method.replace("HASH", HASH), "");
        let problems = problems(&text);
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{method}: {problems:?}"
        );
    }
}

#[test]
fn requirements_that_cannot_be_met() {
    let method = format!(
        "authentication.api_keys = [{{ name = 'partners', header = 'x', keys = [{{ owner = 'o', hash = '{HASH}' }}] }}]"
    );
    for (lines, expected) in [
        ("authenticate = { any_of = ['partners'] }", ""),
        ("authenticate = 'none'", ""),
        (
            "authenticate = { any_of = ['partner'] }",
            "did you mean \"partners\"?",
        ),
        (
            "authenticate = { any_of = ['oidc'] }",
            "no such method of authentication",
        ),
        (
            "authenticate = { any_of = ['mtls'] }",
            "asks its clients for no certificate",
        ),
        (
            "authenticate = { any_of = [] }",
            "expected at least one method",
        ),
        (
            "authenticate = { any_of = ['partners', 'partners'] }",
            "occurs twice",
        ),
        (
            "authenticate = { any_of = ['partners'], all_of = ['partners'] }",
            "expected exactly one of",
        ),
        (
            "authenticate = { optional = true }",
            "expected exactly one of",
        ),
        ("authenticate = 'all'", "expected \"none\" or a table"),
    ] {
        let problems = problems(&with(&method, lines));
        match expected {
            "" => assert_eq!(problems, [""; 0], "{lines}"),
            _ => assert!(
                problems.len() == 1 && problems[0].contains(expected),
                "{lines}: {problems:?}"
            ),
        }
    }
}
