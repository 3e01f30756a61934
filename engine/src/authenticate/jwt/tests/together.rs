//! Several issuers for one route: which of their verdicts is told, and when nobody can tell.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::authenticate::tests::with_request;
use crate::authenticate::{Asked, Memory, Methods, Obstacle, Requirement};

/// Two issuers, the first with other keys, or with none yet, and a method with API keys; the
/// second is the usual one.
fn asked(rule: &str, first: Option<Arc<KeySet>>) -> (Methods, Requirement) {
    let key = crate::authenticate::hash_api_key(b"k");
    let text = format!(
        "[[authentication.api_keys]]\nname = 'keys'\nheader = 'x-key'\n\
         keys = [{{ owner = 'o', hash = '{key}' }}]\n\
         [[authentication.jwt]]\nname = 'first'\nissuer = 'https://first'\naudiences = ['orders']\n\
         keys = {{ url = 'http://127.0.0.1:1/' }}\n\
         [[authentication.jwt]]\nname = 'second'\nissuer = 'https://issuer'\n\
         audiences = ['orders']\nkeys = {{ file = 'k.json' }}\n\
         [[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\nauthenticate = {rule}\n\
         virtual_hosts = [{{ hosts = ['*'], routes = [{{ direct_response = {{ status = 200 }} }}] }}]"
    );
    let config = config::parse(&text, Path::new("test"));
    let config = config.unwrap_or_else(|errors| panic!("{errors}"));
    let route = &config.listeners[0].virtual_hosts[0].routes[0];
    let keys = vec![first, Some(key_set())];
    (
        Methods::compile(&config.authentication, keys),
        Requirement::compile(&route.authenticate),
    )
}

/// What is said of a request: `Ok` when it is let in, no fault when nobody can tell.
fn said(
    (methods, requirement): &(Methods, Requirement),
    fields: &str,
) -> Result<(), Option<Fault>> {
    let text = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    with_request(&text, |request| {
        let asked = Asked {
            request,
            peer: None,
            now: Duration::from_secs(NOW),
        };
        let mut memory = Memory::new(&[0; 32]);
        match methods.authenticate(requirement, &asked, &mut memory) {
            Ok(_) => Ok(()),
            Err(Obstacle::Refused(refusal)) => Err(Some(refusal.fault)),
            Err(Obstacle::KeysMissing) => Err(None),
            Err(Obstacle::Unverified(_)) => panic!("there is no password"),
        }
    })
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// Keys that have nothing to do with the usual issuer's.
fn other_keys() -> Option<Arc<KeySet>> {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = key.public_key().as_ref().to_vec();
    let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
    let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": x, "y": y }] });
    Some(Arc::new(
        KeySet::parse(keys.to_string().as_bytes()).unwrap(),
    ))
}

#[test]
fn of_several_verdicts_the_one_that_tells_most_is_told() {
    let expired = with_claims(&json!({ "exp": NOW - 1_000 }));
    let elsewhere = with_claims(&json!({ "aud": "billing" }));
    let usual_one = usual();
    let (signed, signature) = usual_one.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    let broken = format!("{signed}.{other}{}", &signature[1..]);
    for rule in ["['first', 'second']", "['second', 'first']"] {
        let asked = asked(&format!("{{ any_of = {rule} }}"), other_keys());
        for (token, expected) in [
            (usual(), Ok(())),
            (expired.clone(), Err(Some(Fault::TokenExpired))),
            (elsewhere.clone(), Err(Some(Fault::TokenAudience))),
            (broken.clone(), Err(Some(Fault::TokenSignature))),
            ("no.token".to_owned(), Err(MALFORMED)),
        ] {
            assert_eq!(said(&asked, &bearer(&token)), expected, "{rule} {token}");
        }
    }
}

#[test]
fn without_an_issuers_keys_only_what_could_be_its_own_is_left_open() {
    let stranger = {
        let header = json!({ "alg": "ES256", "kid": "of the first, perhaps" });
        with_header(ES256, &header)
    };
    let expired = with_claims(&json!({ "exp": NOW - 1_000 }));
    for rule in ["['first', 'second']", "['second', 'first']"] {
        let asked = asked(&format!("{{ any_of = {rule} }}"), None);
        for (token, expected) in [
            (usual(), Ok(())),
            // Whoever has signed it says so.
            (expired.clone(), Err(Some(Fault::TokenExpired))),
            // Nobody's token, whatever the keys are.
            ("no.token".to_owned(), Err(MALFORMED)),
            ("a.b.c".to_owned(), Err(MALFORMED)),
            (stranger.clone(), Err(None)),
        ] {
            assert_eq!(said(&asked, &bearer(&token)), expected, "{rule} {token}");
        }
    }
    // With all-of, one that is wrong is enough.
    let both = asked("{ all_of = ['first', 'keys'] }", None);
    let wrong_key = format!("{}X-Key: wrong\r\n", bearer(&stranger));
    assert_eq!(said(&both, &wrong_key), Err(Some(Fault::ApiKeyUnknown)));
    let right_key = format!("{}X-Key: k\r\n", bearer(&stranger));
    assert_eq!(said(&both, &right_key), Err(None));
}
