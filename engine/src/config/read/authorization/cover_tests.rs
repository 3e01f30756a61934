//! What can be seen to be wrong with policies, and what cannot.

use std::path::Path;

use crate::config::parse;

/// What is said about the policies of a listener.
fn problems(level: &str) -> Vec<String> {
    let text = format!(
        "[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
         virtual_hosts = [{{ hosts = ['*'], routes = [{{ direct_response = {{ status = 200 }} }}] }}]\n\
         [listeners.authorization]\n{level}"
    );
    match parse(&text, Path::new("f")) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.problems().iter().map(ToString::to_string).collect(),
    }
}

/// Whether the second of these policies, after the first, is said to be never reached.
fn is_hidden(first: &str, second: &str) -> bool {
    let level = format!(
        "default = 'allow'\npolicies = [{{ name = 'first', {first} }}, {{ name = 'second', {second} }}]"
    );
    let found = problems(&level);
    let hidden = |problem: &String| {
        problem.contains("never reached: listeners[0].authorization.policies[0] (\"first\")")
    };
    assert!(found.iter().all(hidden), "{found:?}");
    !found.is_empty()
}

#[test]
fn a_policy_that_an_earlier_one_hides_is_refused() {
    for (first, second) in [
        ("action = 'deny'", "action = 'allow', methods = ['GET']"),
        (
            "action = 'allow', methods = ['GET', 'PUT']",
            "action = 'deny', methods = ['PUT']",
        ),
        (
            "action = 'deny', sources = ['10.0.0.0/8']",
            "action = 'deny', sources = ['10.1.0.0/16']",
        ),
        (
            "action = 'deny', paths = [{ prefix = '/a' }]",
            "action = 'allow', paths = [{ exact = '/a/b' }], methods = ['GET']",
        ),
        (
            "action = 'deny', paths = [{ prefix = '/' }]",
            "action = 'deny', paths = [{ regex = '.*' }]",
        ),
        (
            "action = 'deny', paths = [{ regex = '/a.*' }]",
            "action = 'deny', paths = [{ exact = '/ab' }]",
        ),
        (
            "action = 'deny', hosts = ['*.a.org']",
            "action = 'deny', hosts = ['x.a.org', '*.b.a.org']",
        ),
        (
            "action = 'allow', principals = ['authenticated']",
            "action = 'deny', principals = [{ spiffe = 'spiffe://a.org/x' }]",
        ),
        (
            "action = 'allow', principals = [{ spiffe = 'spiffe://a.org/ns/*' }]",
            "action = 'deny', principals = [{ spiffe = 'spiffe://a.org/ns/x' }]",
        ),
        (
            "action = 'deny', headers = [{ name = 'a', exact = '1' }]",
            "action = 'deny', headers = [{ name = 'b', present = true }, { name = 'a', exact = '1' }]",
        ),
        (
            "action = 'deny', not = { methods = ['GET'] }",
            "action = 'deny', not = { methods = ['GET', 'HEAD'] }",
        ),
    ] {
        assert!(is_hidden(first, second), "{first} hides {second}");
    }
}

#[test]
fn a_policy_that_still_has_something_to_decide_is_taken() {
    for (first, second) in [
        ("action = 'deny', methods = ['GET']", "action = 'allow'"),
        (
            "action = 'deny', sources = ['10.1.0.0/16']",
            "action = 'allow', sources = ['10.0.0.0/8']",
        ),
        (
            "action = 'deny', paths = [{ prefix = '/a' }]",
            "action = 'deny', paths = [{ exact = '/ab' }]",
        ),
        (
            "action = 'deny', hosts = ['*.a.org']",
            "action = 'deny', hosts = ['a.org']",
        ),
        (
            "action = 'deny', not = { methods = ['GET'] }",
            "action = 'deny'",
        ),
        ("action = 'deny', audit = true", "action = 'allow'"),
        (
            "action = 'deny', principals = [{ spiffe = 'spiffe://a.org/n/*' }]",
            "action = 'deny', principals = [{ spiffe = 'spiffe://a.org/ns/x' }]",
        ),
        // `/open/..;/x` has a reading that is not under `/open`: the denial is for it, the
        // allowance is not.
        (
            "action = 'allow', paths = [{ prefix = '/open' }]",
            "action = 'deny', paths = [{ prefix = '/open' }]",
        ),
    ] {
        assert!(
            !is_hidden(first, second),
            "{first} leaves something for {second}"
        );
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    for (level, expected) in [
        (
            "",
            "listeners[0].authorization.default: \"deny\" when it is not set",
        ),
        ("default = 'deny'", "default = 'deny': denies every request"),
        (
            "policies = [{ name = 'a', action = 'allow', audit = true }]",
            "no policy allows any",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'deny' }, \
             { name = 'a', action = 'deny', methods = ['GET'] }]",
            "policies[1].name = 'a': already used in listeners[0].authorization.policies[0].name",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'deny', sources = ['10.0.0.1/8'] }]",
            "policies[0].sources[0] = '10.0.0.1/8': expected an address or a block",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'deny', \
             principals = [{ certificate = 'x' }] }]",
            "policies[0].principals[0].certificate: unknown key, expected one of `spiffe`",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'deny', principals = ['root'] }]",
            "principals[0] = 'root': expected \"anonymous\", \"authenticated\", or a table",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'deny', methods = [] }]",
            "methods = []: expected a list of at least one",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'deny', methods = ['GET'], \
             not = { methods = ['GET', 'PUT'] } }]",
            "not = { methods = ['GET', 'PUT'] }: excludes every one of `methods`",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'deny', \
             principals = [{ subject = '42' }] }]",
            "subject = '42': says nothing without `issuer`",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'default', action = 'deny' }]",
            "name = 'default': stands for the default of the level",
        ),
        (
            "default = 'allow'\npolicies = [{ name = 'a', action = 'drop' }]",
            "action = 'drop': expected \"allow\" or \"deny\"",
        ),
    ] {
        let found = problems(level);
        assert!(
            found.iter().any(|problem| problem.contains(expected)),
            "{level}: {found:?}"
        );
    }
}

#[test]
fn a_key_of_before_says_what_to_write_instead() {
    let found = problems(
        "policies = [{ name = 'shop', action = 'allow', \
         principals = [{ spiffe_prefix = 'spiffe://a.org/ns/shop' }] }]",
    );
    let expected = "write `spiffe = \"spiffe://a.org/ns/shop/*\"`";
    assert!(
        found.iter().any(|problem| problem.contains(expected)),
        "{found:?}"
    );
    assert!(
        found.iter().all(|problem| !problem.contains("unknown key")),
        "{found:?}"
    );
}
