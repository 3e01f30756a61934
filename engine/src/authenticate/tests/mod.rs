//! Callers end to end: from a configuration and a request head to the principal.

use std::path::Path;

use super::*;
use crate::config;
use crate::http::{HeadLimits, RequestHead, h1};

/// Two methods with API keys: `a`, in `X-Key`, and `b`, in the query.
const API_KEYS: &str = r#"
[[authentication.api_keys]]
name = "a"
header = "X-Key"
keys = [
    { owner = "first", hash = "FIRST" },
    { owner = "second", hash = "SECOND" },
    { owner = "first", hash = "OTHER" },
]
[[authentication.api_keys]]
name = "b"
query = "key"
keys = [{ owner = "third", hash = "SECOND" }]
"#;

/// A configuration with `methods`, and one route that asks for `authenticate`.
pub(super) fn configured(methods: &str, authenticate: &str) -> (Methods, Requirement) {
    let text = format!(
        "{methods}\n[[listeners]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n\
         [listeners.tls]\nclient_certificate = \"optional\"\nclient_ca = \"ca.pem\"\n\
         certificates = [{{ chain = \"c.pem\", key = \"c.key\" }}]\n\
         [[listeners.virtual_hosts]]\nhosts = [\"*\"]\n\
         [[listeners.virtual_hosts.routes]]\nauthenticate = {authenticate}\n\
         direct_response = {{ status = 200 }}\n"
    );
    let config = config::parse(&text, Path::new("test"));
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let route = &config.listeners[0].virtual_hosts[0].routes[0];
    (
        Methods::compile(&config.authentication, Vec::new()),
        Requirement::compile(&route.authenticate),
    )
}

fn api_keys(authenticate: &str) -> (Methods, Requirement) {
    let hash = |key: &str| hash_api_key(key.as_bytes()).to_string();
    let text = API_KEYS
        .replace("FIRST", &hash("the first key"))
        .replace("SECOND", &hash("the second key"))
        .replace("OTHER", &hash("another key of the first"));
    configured(&text, authenticate)
}

pub(super) fn with_request<T>(text: &str, then: impl FnOnce(Request<'_>) -> T) -> T {
    let bytes = text.as_bytes();
    let mut head = RequestHead::new();
    h1::request::parse(bytes, &HeadLimits::default(), &mut head)
        .unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
    then(head.view(bytes))
}

fn peer() -> Peer {
    Peer {
        identity: config::SpiffeId::parse("spiffe://x.org/orders"),
        subject: "CN=orders".into(),
        names: Vec::new(),
        not_after: Duration::MAX,
        forwarded: Box::default(),
    }
}

/// The label of the principal, or the fault.
fn ask(
    (methods, requirement): &(Methods, Requirement),
    target: &str,
    fields: &str,
    peer: Option<&Peer>,
) -> Result<Option<String>, Fault> {
    let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    with_request(&text, |request| {
        let asked = Asked {
            request,
            peer,
            now: Duration::ZERO,
        };
        let mut memory = Memory::new(&[0; 32]);
        match methods.authenticate(requirement, &asked, &mut memory) {
            Ok(principal) => Ok(principal.label().map(str::to_owned)),
            Err(Obstacle::Refused(refusal)) => Err(refusal.fault),
            Err(other) => panic!("{other:?}"),
        }
    })
}

fn owner(name: &str) -> Result<Option<String>, Fault> {
    Ok(Some(name.to_owned()))
}

#[test]
fn a_key_tells_its_owner_and_nothing_else_does() {
    let asked = api_keys("{ any_of = ['a'] }");
    for (fields, expected) in [
        ("X-Key: the first key\r\n", owner("first")),
        ("x-key:   the second key \r\n", owner("second")),
        ("X-KEY: another key of the first\r\n", owner("first")),
        ("", Err(Fault::CredentialsMissing)),
        ("X-Key: \r\n", Err(Fault::ApiKeyUnknown)),
        ("X-Key: the first ke\r\n", Err(Fault::ApiKeyUnknown)),
        ("X-Key: THE FIRST KEY\r\n", Err(Fault::ApiKeyUnknown)),
        (
            "X-Key: the first key\r\nX-Key: the first key\r\n",
            Err(Fault::CredentialsMalformed),
        ),
        ("X-Keys: the first key\r\n", Err(Fault::CredentialsMissing)),
    ] {
        assert_eq!(ask(&asked, "/", fields, None), expected, "{fields}");
    }
    let long = format!("X-Key: {}\r\n", "k".repeat(limits_of_a_key() + 1));
    assert_eq!(ask(&asked, "/", &long, None), Err(Fault::ApiKeyUnknown));
    // A hash is no key.
    let hash = format!("X-Key: {}\r\n", hash_api_key(b"the first key"));
    assert_eq!(ask(&asked, "/", &hash, None), Err(Fault::ApiKeyUnknown));
}

const fn limits_of_a_key() -> usize {
    crate::limits::API_KEY_BYTES_MAX
}

#[test]
fn a_key_in_the_query_is_found_decoded_and_once() {
    let asked = api_keys("{ any_of = ['b'] }");
    for (target, expected) in [
        ("/?key=the+second%20key", owner("third")),
        ("/?a=b&key=the%20second+key&c", owner("third")),
        ("/?key=the+first+key", Err(Fault::ApiKeyUnknown)),
        ("/?key=%", Err(Fault::CredentialsMalformed)),
        ("/?keys=the+second+key", Err(Fault::CredentialsMissing)),
        ("/", Err(Fault::CredentialsMissing)),
        (
            "/?key=the+second+key&key=the+second+key",
            Err(Fault::CredentialsMalformed),
        ),
    ] {
        assert_eq!(ask(&asked, target, "", None), expected, "{target}");
    }
}

#[test]
fn any_of_takes_the_first_that_is_right() {
    let asked = api_keys("{ any_of = ['mtls', 'a', 'b'] }");
    let peer = peer();
    let right = "X-Key: the first key\r\n";
    assert_eq!(
        ask(&asked, "/", "", Some(&peer)),
        owner("spiffe://x.org/orders")
    );
    assert_eq!(ask(&asked, "/", right, None), owner("first"));
    assert_eq!(
        ask(&asked, "/?key=the+second+key", "X-Key: no\r\n", None),
        owner("third")
    );
    assert_eq!(
        ask(&asked, "/?key=no", "X-Key: no\r\n", None),
        Err(Fault::ApiKeyUnknown)
    );
    assert_eq!(ask(&asked, "/", "", None), Err(Fault::CredentialsMissing));
}

#[test]
fn all_of_wants_every_one() {
    let asked = api_keys("{ all_of = ['mtls', 'a'] }");
    let peer = peer();
    let right = "X-Key: the first key\r\n";
    assert_eq!(ask(&asked, "/", right, Some(&peer)), owner("first"));
    assert_eq!(
        ask(&asked, "/", "", Some(&peer)),
        Err(Fault::CredentialsMissing)
    );
    assert_eq!(
        ask(&asked, "/", right, None),
        Err(Fault::CertificateMissing)
    );
    assert_eq!(
        ask(&asked, "/", "X-Key: no\r\n", None),
        Err(Fault::ApiKeyUnknown)
    );
}

#[test]
fn optional_serves_who_shows_nothing_but_not_who_shows_wrong_things() {
    for rule in ["any_of", "all_of"] {
        let asked = api_keys(&format!("{{ {rule} = ['a', 'b'], optional = true }}"));
        assert_eq!(ask(&asked, "/", "", None), Ok(None), "{rule}");
        assert_eq!(
            ask(&asked, "/", "X-Key: no\r\n", None),
            Err(Fault::ApiKeyUnknown),
            "{rule}"
        );
    }
    // Half of all-of is not nothing.
    let asked = api_keys("{ all_of = ['a', 'b'], optional = true }");
    assert_eq!(
        ask(&asked, "/", "X-Key: the first key\r\n", None),
        Err(Fault::CredentialsMissing)
    );
}

#[test]
fn a_certificate_is_known_where_nothing_is_asked() {
    let asked = api_keys("'none'");
    let peer = peer();
    assert!(asked.1.is_none());
    assert_eq!(
        ask(&asked, "/", "", Some(&peer)),
        owner("spiffe://x.org/orders")
    );
    // What was not asked for is not believed.
    assert_eq!(ask(&asked, "/", "X-Key: the first key\r\n", None), Ok(None));
}

#[test]
fn rfc9110_11_6_1_a_challenge_for_each_method_that_would_do() {
    let challenges = |authenticate: &str| {
        let (methods, requirement) = api_keys(authenticate);
        let refusal = Refusal {
            fault: Fault::CredentialsMissing,
            method: MethodId(1),
            detail: "",
        };
        let challenges = methods.challenges(&requirement, refusal);
        let text = |value: &&[u8]| String::from_utf8_lossy(value).into_owned();
        challenges.as_slice().iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(
        challenges("{ any_of = ['mtls', 'b', 'a'] }"),
        ["ApiKey realm=\"b\"", "ApiKey realm=\"a\""]
    );
    assert_eq!(challenges("{ any_of = ['mtls'] }"), [""; 0]);
}

#[test]
fn credentials_are_taken_out_unless_they_are_forwarded() {
    let (_, requirement) = api_keys("{ any_of = ['a', 'b'] }");
    let mut expected = crate::http::FieldEdits::new();
    expected.remove(b"x-key").unwrap();
    assert_eq!(requirement.removals(), &expected);
    assert_eq!(requirement.query_removals(), [Box::from(*b"key")]);
    assert!(requirement.reads_query());
}
