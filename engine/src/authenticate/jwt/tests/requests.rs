//! Tokens in requests: where they are found, and how long they are remembered.

use std::rc::Rc;

use super::*;
use crate::authenticate::tests::with_request;
use crate::authenticate::{Memory, Proof};
use crate::limits;

/// What a request with these fields proves, at `now`.
fn prove(
    provider: &Provider,
    target: &str,
    fields: &str,
    memory: &mut Memory,
    now: u64,
) -> Result<Option<Rc<Token>>, Fault> {
    let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    with_request(&text, |request| {
        match provider.prove(&request, memory, Duration::from_secs(now)) {
            Proof::Proved(token) => Ok(Some(token)),
            Proof::Absent => Ok(None),
            Proof::Wrong(fault, _) => Err(fault),
            Proof::Unknown | Proof::Unverified(_) => panic!("neither"),
        }
    })
}

/// Whether a request with this target and these fields has a token, where `lines` say it is.
fn is_found(lines: &str, target: &str, fields: &str) -> Result<bool, Fault> {
    let found = prove(
        &provider(lines),
        target,
        fields,
        &mut Memory::new(&[0; 32]),
        NOW,
    );
    found.map(|token| token.is_some())
}

#[test]
fn rfc6750_2_1_a_bearer_token_is_found_once() {
    let bearer = format!("Authorization: Bearer {}\r\n", usual());
    let malformed = Err(Fault::CredentialsMalformed);
    for (fields, expected) in [
        (bearer.clone(), Ok(true)),
        (bearer.replace("Bearer", "bEARER"), Ok(true)),
        (bearer.replace("Bearer ", "Bearer   "), Ok(true)),
        (String::new(), Ok(false)),
        (bearer.replace("Bearer", "Basic"), Ok(false)),
        (bearer.replace("Bearer ", "Bearer"), Ok(false)),
        ("Authorization: Bearer\r\n".into(), malformed),
        (bearer.repeat(2), malformed),
        (bearer.replace("Bearer ", "Bearer a"), malformed),
    ] {
        assert_eq!(is_found("", "/", &fields), expected, "{fields}");
    }
    let large = "a".repeat(limits::TOKEN_BYTES_MAX + 1);
    let large = format!("Authorization: Bearer {large}\r\n");
    assert_eq!(is_found("", "/", &large), malformed);
}

#[test]
fn rfc6750_2_3_a_token_elsewhere_is_found_where_it_is_configured() {
    let token = usual();
    let query = format!("/?a=b&access_token={token}");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let cookie = |pairs: &str| format!("Cookie: {}\r\n", pairs.replace("TOKEN", &token));
    let twice = cookie("id=TOKEN; id=TOKEN");
    for (lines, target, fields, expected) in [
        ("", &*query, "", Ok(false)),
        ("query = 'access_token'", &query, "", Ok(true)),
        ("query = 'access_token'", "/", &bearer, Ok(false)),
        ("cookie = 'id'", "/", &cookie("a=b; id=TOKEN; c"), Ok(true)),
        ("cookie = 'id'", "/", &cookie("id=\"TOKEN\""), Ok(true)),
        ("cookie = 'id'", "/", &cookie("xid=TOKEN"), Ok(false)),
        (
            "cookie = 'id'",
            "/",
            &twice,
            Err(Fault::CredentialsMalformed),
        ),
        (
            "header = 'X-Token'",
            "/",
            &format!("x-token: {token}\r\n"),
            Ok(true),
        ),
        ("header = 'X-Token'", "/", &bearer, Ok(false)),
    ] {
        assert_eq!(
            is_found(lines, target, fields),
            expected,
            "{lines} {target} {fields}"
        );
    }
}

#[test]
fn a_token_is_verified_once_and_never_believed_past_its_end() {
    let provider = provider("skew = '10s'");
    let mut memory = Memory::new(&[0; 32]);
    let token = usual();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let mut ask = |now| prove(&provider, "/", &bearer, &mut memory, now);
    let first = ask(NOW).unwrap().unwrap();
    let again = ask(NOW + 1).unwrap().unwrap();
    assert!(Rc::ptr_eq(&first, &again), "it was verified again");
    assert!(ask(NOW + 309).is_ok());
    assert_eq!(ask(NOW + 310).err(), Some(Fault::TokenExpired));
    assert_eq!(ask(NOW + 10_000).err(), Some(Fault::TokenExpired));
}

#[test]
fn verified_tokens_are_forgotten_when_keys_or_demands_change() {
    let mut memory = Memory::new(&[0; 32]);
    let token = usual();
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let first = prove(&provider(""), "/", &bearer, &mut memory, NOW);
    let first = first.unwrap().unwrap();
    // The same keys, read again: nothing changes.
    let again = prove(&provider(""), "/", &bearer, &mut memory, NOW);
    assert!(Rc::ptr_eq(&first, &again.unwrap().unwrap()));
    // The key is gone.
    let mut jwks = SIGNERS.jwks();
    jwks["keys"]
        .as_array_mut()
        .unwrap()
        .retain(|key| key["kid"] != "p256");
    let keys = Arc::new(KeySet::parse(jwks.to_string().as_bytes()).unwrap());
    let without = Provider::compile(&configured(""), Keys::Fixed(keys));
    assert_eq!(
        prove(&without, "/", &bearer, &mut memory, NOW).err(),
        Some(Fault::TokenKeyUnknown)
    );
    // Another audience is asked for.
    let mut other = configured("");
    other.audiences = vec!["billing".into()];
    let other = Provider::compile(&other, Keys::Fixed(key_set()));
    assert_eq!(
        prove(&other, "/", &bearer, &mut memory, NOW).err(),
        Some(Fault::TokenAudience)
    );
}

#[test]
fn the_memory_of_tokens_is_bounded_and_keeps_the_latest() {
    let mut tokens = Tokens::default();
    let token = || {
        let payload = encode(claims().to_string());
        Rc::new(Token::read(payload.as_bytes(), &configured("")).unwrap())
    };
    let shared = token();
    let mut last = [0; 32];
    for number in 0..3 * limits::TOKEN_CACHE_PLACES as u64 {
        last = Tokens::hash(&[0; 32], &number.to_le_bytes());
        tokens.keep(last, 1, Rc::clone(&shared), NOW_TIME);
    }
    assert!(Rc::strong_count(&shared) <= limits::TOKEN_CACHE_PLACES + 1);
    assert!(tokens.find(&last, 1).is_some());
    assert!(tokens.find(&last, 2).is_none(), "other keys");
    // What is kept again takes its own place.
    let before = Rc::strong_count(&shared);
    tokens.keep(last, 1, Rc::clone(&shared), NOW_TIME);
    assert_eq!(Rc::strong_count(&shared), before);
}
