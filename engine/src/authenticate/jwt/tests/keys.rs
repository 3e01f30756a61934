//! Key sets: which keys are used, and for what.

use serde_json::{Value, json};

use super::*;
use crate::limits;

#[test]
fn rfc7517_4_4_a_key_is_used_with_its_own_algorithm_only() {
    let mut jwks = SIGNERS.jwks();
    jwks["keys"][0]["alg"] = "PS256".into();
    let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    let verify = |algorithm| {
        let token = sign(algorithm, &claims());
        let verified = USUAL.verify(token.as_bytes(), &keys, NOW_TIME);
        verified.err().map(|(fault, _)| fault)
    };
    assert_eq!(verify(JwtAlgorithm::Ps256), None);
    assert_eq!(verify(JwtAlgorithm::Rs256), Some(Fault::TokenKeyUnknown));
    assert_eq!(verify(JwtAlgorithm::Ps384), Some(Fault::TokenKeyUnknown));
}

#[test]
fn rfc7517_5_keys_that_cannot_be_used_are_left_out() {
    let mut jwks = SIGNERS.jwks();
    let rsa = jwks["keys"][0].clone();
    let with = |name: &str, value: Value| {
        let mut key = rsa.clone();
        key[name] = value;
        key
    };
    let unusable = [
        with("use", json!("enc")),
        with("use", json!(1)),
        with("key_ops", json!(["sign"])),
        with("key_ops", json!("verify")),
        with("alg", json!("HS256")),
        with("alg", json!("ES256")),
        with("kty", json!("rsa")),
        with("kid", json!(7)),
        with("n", json!("AQAB")),
        with("n", json!("not base64!")),
        with("e", json!("")),
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }),
        json!({ "kty": "OKP", "crv": "X25519", "x": "AA" }),
        json!({}),
        json!("key"),
    ];
    let count = unusable.len();
    let only = json!({ "keys": unusable });
    assert_eq!(
        KeySet::parse(only.to_string().as_bytes()).err(),
        Some(KeySetError::NoUsableKey)
    );
    jwks["keys"].as_array_mut().unwrap().extend(unusable);
    let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    assert_eq!((keys.len(), keys.ignored()), (4, count));
    for (text, expected) in [
        ("", KeySetError::Malformed),
        ("[]", KeySetError::Malformed),
        ("{}", KeySetError::Malformed),
        (r#"{"keys":{}}"#, KeySetError::Malformed),
        (r#"{"keys":[]}"#, KeySetError::NoUsableKey),
    ] {
        assert_eq!(
            KeySet::parse(text.as_bytes()).err(),
            Some(expected),
            "{text}"
        );
    }
    let many = json!({ "keys": vec![json!({}); limits::KEY_SET_KEYS_MAX + 1] });
    let many = KeySet::parse(many.to_string().as_bytes());
    assert_eq!(many.err(), Some(KeySetError::TooManyKeys));
    let large = vec![b' '; limits::KEY_SET_BYTES_MAX + 1];
    assert_eq!(KeySet::parse(&large).err(), Some(KeySetError::TooLarge));
}
