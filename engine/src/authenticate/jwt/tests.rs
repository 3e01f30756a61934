//! Tokens: the RFCs' own, one of every algorithm, and the known ways to cheat.

use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use super::key_set::Checked;
use super::*;
use crate::authenticate::tests::with_request;
use crate::authenticate::{Fault, Memory, Proof};
use crate::config::model::{self, JwtAlgorithm};
use crate::{config, limits};

/// When tokens are looked at.
const NOW: u64 = 1_800_000_000;
const NOW_TIME: Duration = Duration::from_secs(NOW);

struct Signers {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

static SIGNERS: LazyLock<Signers> = LazyLock::new(|| Signers {
    rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
    p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
    ed25519: Ed25519KeyPair::generate().unwrap(),
});

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signers {
    /// The public keys, by `kid`.
    fn jwks(&self) -> Value {
        let modulus = self.rsa.public_key().modulus();
        let point = |key: &EcdsaKeyPair, size: usize| {
            let point = key.public_key().as_ref().to_vec();
            (encode(&point[1..=size]), encode(&point[1 + size..]))
        };
        let (p256_x, p256_y) = point(&self.p256, 32);
        let (p384_x, p384_y) = point(&self.p384, 48);
        json!({ "keys": [
            { "kid": "rsa", "kty": "RSA", "use": "sig",
              "n": encode(modulus.big_endian_without_leading_zero()),
              "e": encode(self.rsa.public_key().exponent().big_endian_without_leading_zero()) },
            { "kid": "p256", "kty": "EC", "crv": "P-256", "x": p256_x, "y": p256_y },
            { "kid": "p384", "kty": "EC", "crv": "P-384", "x": p384_x, "y": p384_y },
            { "kid": "ed", "kty": "OKP", "crv": "Ed25519",
              "x": encode(self.ed25519.public_key()) },
        ]})
    }

    fn sign(&self, algorithm: JwtAlgorithm, signed: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let mut made = vec![0; self.rsa.public_modulus_len()];
            self.rsa.sign(encoding, &random, signed, &mut made).unwrap();
            made
        };
        let ec = |key: &EcdsaKeyPair| key.sign(&random, signed).unwrap().as_ref().to_vec();
        match algorithm {
            JwtAlgorithm::Rs256 => rsa(&signature::RSA_PKCS1_SHA256),
            JwtAlgorithm::Rs384 => rsa(&signature::RSA_PKCS1_SHA384),
            JwtAlgorithm::Rs512 => rsa(&signature::RSA_PKCS1_SHA512),
            JwtAlgorithm::Ps256 => rsa(&signature::RSA_PSS_SHA256),
            JwtAlgorithm::Ps384 => rsa(&signature::RSA_PSS_SHA384),
            JwtAlgorithm::Ps512 => rsa(&signature::RSA_PSS_SHA512),
            JwtAlgorithm::Es256 => ec(&self.p256),
            JwtAlgorithm::Es384 => ec(&self.p384),
            JwtAlgorithm::EdDsa => self.ed25519.sign(signed).as_ref().to_vec(),
        }
    }
}

fn key_of(algorithm: JwtAlgorithm) -> &'static str {
    match algorithm {
        JwtAlgorithm::Es256 => "p256",
        JwtAlgorithm::Es384 => "p384",
        JwtAlgorithm::EdDsa => "ed",
        _ => "rsa",
    }
}

/// A token with this header and payload as they stand, rightly signed by `algorithm`.
fn sign_text(algorithm: JwtAlgorithm, header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let made = SIGNERS.sign(algorithm, signed.as_bytes());
    format!("{signed}.{}", encode(made))
}

/// A token with these claims.
fn sign(algorithm: JwtAlgorithm, claims: &Value) -> String {
    let header = json!({ "alg": algorithm.label(), "kid": key_of(algorithm) });
    sign_text(algorithm, &header.to_string(), &claims.to_string())
}

fn claims() -> Value {
    json!({ "iss": "https://issuer", "aud": "orders", "sub": "alice", "exp": NOW + 300 })
}

/// The claims with some of them replaced.
fn claims_with(changes: Value) -> Value {
    let mut all = claims();
    for (name, value) in changes.as_object().unwrap() {
        all[name] = value.clone();
    }
    all
}

fn configured(lines: &str) -> model::Jwt {
    let text = format!(
        "[[authentication.jwt]]\nname = 'i'\nissuer = 'https://issuer'\naudiences = ['orders']\n\
         keys = {{ file = 'k.json' }}\n{lines}\n\
         [[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
         virtual_hosts = [{{ hosts = ['*'], routes = [{{ direct_response = {{ status = 200 }} }}] }}]"
    );
    let config = config::parse(&text, Path::new("test"));
    let mut config = config.unwrap_or_else(|errors| panic!("{errors}"));
    config.authentication.jwt.remove(0)
}

fn key_set() -> Arc<KeySet> {
    Arc::new(KeySet::parse(SIGNERS.jwks().to_string().as_bytes()).unwrap())
}

fn provider(lines: &str) -> Provider {
    Provider::compile(&configured(lines), Keys::Fixed(key_set()))
}

fn verify(provider: &Provider, token: &str) -> Result<Token, (Fault, &'static str)> {
    provider.verify(token.as_bytes(), &key_set(), NOW_TIME)
}

fn fault(provider: &Provider, token: &str) -> Option<Fault> {
    verify(provider, token).err().map(|(fault, _)| fault)
}

const RFC7515_RSA: &str = include_str!("vectors/rfc7515_a_2.jwks");
const RFC7515_RS256: &str = include_str!("vectors/rfc7515_a_2.jwt");
const RFC7515_EC: &str = include_str!("vectors/rfc7515_a_3.jwks");
const RFC7515_ES256: &str = include_str!("vectors/rfc7515_a_3.jwt");
const RFC8037_KEY: &str = include_str!("vectors/rfc8037_a_4.jwks");
const RFC8037_EDDSA: &str = include_str!("vectors/rfc8037_a_4.jwt");
const RFC7519_NONE: &str = include_str!("vectors/rfc7519_6_1.jwt");
const RFC7519_HS256: &str = include_str!("vectors/rfc7519_3_1.jwt");

#[test]
fn rfc7515_a_rfc8037_a_4_the_examples_are_verified() {
    for (keys, algorithm, token) in [
        (RFC7515_RSA, JwtAlgorithm::Rs256, RFC7515_RS256),
        (RFC7515_EC, JwtAlgorithm::Es256, RFC7515_ES256),
        (RFC8037_KEY, JwtAlgorithm::EdDsa, RFC8037_EDDSA),
    ] {
        let token = token.trim_end();
        let keys = KeySet::parse(keys.as_bytes()).unwrap();
        let parts = Parts::split(token.as_bytes()).unwrap();
        let header = Header::parse(parts.header).unwrap();
        assert_eq!(header.algorithm, algorithm);
        let signature = base64url(parts.signature).unwrap();
        let check = |signature: &[u8]| keys.verify(algorithm, None, parts.signed, signature);
        assert_eq!(check(&signature), Checked::Right, "{algorithm:?}");
        let mut wrong = signature.clone();
        wrong[7] ^= 1;
        assert_eq!(check(&wrong), Checked::Wrong, "{algorithm:?}");
        assert_eq!(check(&[]), Checked::Wrong, "{algorithm:?}");
    }
}

#[test]
fn rfc7519_6_1_and_3_1_unsecured_and_symmetric_examples_are_refused() {
    let provider = provider("");
    assert_eq!(
        fault(&provider, RFC7519_NONE.trim_end()),
        Some(Fault::CredentialsMalformed)
    );
    assert_eq!(
        fault(&provider, RFC7519_HS256.trim_end()),
        Some(Fault::TokenAlgorithm)
    );
}

#[test]
fn every_algorithm_is_verified_by_its_own_keys_only() {
    let provider = provider("");
    for algorithm in JwtAlgorithm::ALL {
        let token = verify(&provider, &sign(algorithm, &claims())).unwrap();
        assert_eq!(token.subject.as_deref(), Some("alice"), "{algorithm:?}");
        // RFC 8725 §3.1: under the name of another key, of another type, it is nobody's.
        for other in ["rsa", "p256", "p384", "ed"] {
            let header = json!({ "alg": algorithm.label(), "kid": other });
            let token = sign_text(algorithm, &header.to_string(), &claims().to_string());
            let expected = (other != key_of(algorithm)).then_some(Fault::TokenKeyUnknown);
            assert_eq!(fault(&provider, &token), expected, "{algorithm:?} {other}");
        }
        // Signed by one, called another.
        for other in JwtAlgorithm::ALL.into_iter().filter(|it| *it != algorithm) {
            let header = json!({ "alg": other.label(), "kid": key_of(other) });
            let token = sign_text(algorithm, &header.to_string(), &claims().to_string());
            assert_eq!(
                fault(&provider, &token),
                Some(Fault::TokenSignature),
                "{algorithm:?} {other:?}"
            );
        }
    }
}

#[test]
fn rfc7517_4_4_a_key_is_used_with_its_own_algorithm_only() {
    let mut jwks = SIGNERS.jwks();
    jwks["keys"][0]["alg"] = "PS256".into();
    let keys = KeySet::parse(jwks.to_string().as_bytes()).unwrap();
    let provider = provider("");
    let verify = |algorithm| {
        let token = sign(algorithm, &claims());
        let verified = provider.verify(token.as_bytes(), &keys, NOW_TIME);
        verified.err().map(|(fault, _)| fault)
    };
    assert_eq!(verify(JwtAlgorithm::Ps256), None);
    assert_eq!(verify(JwtAlgorithm::Rs256), Some(Fault::TokenKeyUnknown));
    assert_eq!(verify(JwtAlgorithm::Ps384), Some(Fault::TokenKeyUnknown));
}

#[test]
fn rfc8725_3_1_only_listed_algorithms_are_taken() {
    let provider = provider("algorithms = ['ES256']");
    assert_eq!(
        fault(&provider, &sign(JwtAlgorithm::Es256, &claims())),
        None
    );
    for algorithm in JwtAlgorithm::ALL {
        if algorithm != JwtAlgorithm::Es256 {
            let token = sign(algorithm, &claims());
            assert_eq!(fault(&provider, &token), Some(Fault::TokenAlgorithm));
        }
    }
}

#[test]
fn rfc8725_2_1_none_is_no_algorithm_in_any_case() {
    let provider = provider("");
    for name in [
        "none", "None", "NONE", "nOnE", "", "RS256 ", "rs256", "HS256", "HS512", "ES512",
    ] {
        let header = json!({ "alg": name }).to_string();
        let signed = format!("{}.{}", encode(&header), encode(claims().to_string()));
        // Without a signature, with an empty one, with one of anything.
        for token in [
            signed.clone(),
            format!("{signed}."),
            format!("{signed}.AA"),
            sign_text(JwtAlgorithm::Rs256, &header, &claims().to_string()),
        ] {
            let fault = fault(&provider, &token);
            assert!(
                matches!(
                    fault,
                    Some(Fault::TokenAlgorithm | Fault::CredentialsMalformed)
                ),
                "{name:?} {token}: {fault:?}"
            );
        }
    }
}

#[test]
fn rfc8725_2_1_a_public_key_is_no_secret() {
    // HMAC with the published modulus, in the forms that were tried in practice.
    let provider = provider("");
    let jwks = SIGNERS.jwks();
    let secrets = [
        jwks["keys"][0]["n"].as_str().unwrap().as_bytes().to_vec(),
        base64url(jwks["keys"][0]["n"].as_str().unwrap().as_bytes()).unwrap(),
        jwks["keys"][0].to_string().into_bytes(),
    ];
    for secret in secrets {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
        for alg in ["HS256", "RS256"] {
            let header = json!({ "alg": alg, "kid": "rsa" }).to_string();
            let signed = format!("{}.{}", encode(header), encode(claims().to_string()));
            let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
            let token = format!("{signed}.{}", encode(tag.as_ref()));
            assert!(fault(&provider, &token).is_some(), "{alg}");
        }
    }
}

#[test]
fn rfc8725_3_10_keys_within_a_token_are_not_looked_at() {
    // The attacker's own key, offered in every way that a header has.
    let attacker = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = attacker.public_key().as_ref().to_vec();
    let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
    let provider = provider("");
    for extra in [
        json!({ "jwk": jwk }),
        json!({ "jwk": jwk, "kid": "p256" }),
        json!({ "jku": "https://attacker.example/keys.json" }),
        json!({ "x5u": "https://attacker.example/chain.pem" }),
        json!({ "x5c": ["MIIB"] }),
    ] {
        let mut header = json!({ "alg": "ES256" });
        for (name, value) in extra.as_object().unwrap() {
            header[name] = value.clone();
        }
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims().to_string())
        );
        let random = SystemRandom::new();
        let made = attacker.sign(&random, signed.as_bytes()).unwrap();
        let token = format!("{signed}.{}", encode(made.as_ref()));
        assert_eq!(
            fault(&provider, &token),
            Some(Fault::TokenSignature),
            "{header}"
        );
        // An honest token that happens to bring them is fine.
        let honest = sign_text(
            JwtAlgorithm::Es256,
            &header.to_string(),
            &claims().to_string(),
        );
        assert_eq!(fault(&provider, &honest), None, "{header}");
    }
}

#[test]
fn rfc7515_4_1_4_a_key_id_is_a_name_and_nothing_else() {
    let provider = provider("");
    for id in [
        "../../../../dev/null",
        "/proc/self/environ",
        "' OR '1'='1",
        "rsa\0",
        "RSA",
        "",
        "http://attacker.example/",
        "|/usr/bin/id",
    ] {
        let header = json!({ "alg": "RS256", "kid": id }).to_string();
        let token = sign_text(JwtAlgorithm::Rs256, &header, &claims().to_string());
        assert_eq!(
            fault(&provider, &token),
            Some(Fault::TokenKeyUnknown),
            "{id}"
        );
    }
    for id in [
        json!(1),
        json!(null),
        json!(["rsa"]),
        json!({}),
        json!("k".repeat(257)),
    ] {
        let header = json!({ "alg": "RS256", "kid": id }).to_string();
        let token = sign_text(JwtAlgorithm::Rs256, &header, &claims().to_string());
        assert_eq!(
            fault(&provider, &token),
            Some(Fault::CredentialsMalformed),
            "{header}"
        );
    }
}

#[test]
fn rfc7515_4_1_11_rfc7797_nothing_critical_is_understood() {
    let provider = provider("");
    for extra in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":[]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["b64"],"b64":true"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""crit":null"#,
        // A name twice: which of the two was checked?
        r#""alg":"RS256""#,
        r#""kid":"rsa","kid":"rsa""#,
    ] {
        let header = format!("{{\"alg\":\"RS256\",{extra}}}");
        let token = sign_text(JwtAlgorithm::Rs256, &header, &claims().to_string());
        assert_eq!(
            fault(&provider, &token),
            Some(Fault::CredentialsMalformed),
            "{header}"
        );
    }
}

#[test]
fn rfc7519_4_1_4_4_1_5_times_are_held_to_with_the_skew() {
    let provider = provider("skew = '60s'");
    let cases = [
        (json!({ "exp": NOW + 1 }), None),
        (json!({ "exp": NOW - 59 }), None),
        (json!({ "exp": NOW - 60 }), Some(Fault::TokenExpired)),
        (json!({ "exp": NOW as f64 + 0.5 }), None),
        (
            json!({ "exp": NOW as f64 - 60.5 }),
            Some(Fault::TokenExpired),
        ),
        (json!({ "exp": 0 }), Some(Fault::TokenExpired)),
        (json!({ "nbf": NOW + 60 }), None),
        (json!({ "nbf": NOW + 61 }), Some(Fault::TokenNotYetValid)),
        (json!({ "nbf": 0 }), None),
        (json!({ "exp": -1 }), Some(Fault::CredentialsMalformed)),
        (json!({ "exp": "never" }), Some(Fault::CredentialsMalformed)),
        (
            json!({ "exp": (NOW + 300).to_string() }),
            Some(Fault::CredentialsMalformed),
        ),
        (json!({ "exp": null }), Some(Fault::CredentialsMalformed)),
        (
            json!({ "exp": [NOW + 300] }),
            Some(Fault::CredentialsMalformed),
        ),
        (json!({ "exp": true }), Some(Fault::CredentialsMalformed)),
        (
            json!({ "exp": u64::MAX }),
            Some(Fault::CredentialsMalformed),
        ),
        (json!({ "exp": 1e300 }), Some(Fault::CredentialsMalformed)),
        (json!({ "nbf": -1 }), Some(Fault::CredentialsMalformed)),
        (json!({ "iat": "now" }), Some(Fault::CredentialsMalformed)),
    ];
    for (change, expected) in cases {
        let token = sign(JwtAlgorithm::Es256, &claims_with(change.clone()));
        assert_eq!(fault(&provider, &token), expected, "{change}");
    }
    // Numbers that JSON has and nobody can hold.
    for exp in [
        "1e999",
        "9".repeat(400).as_str(),
        "NaN",
        "0x7fffffff",
        "1_000",
    ] {
        let payload = format!(r#"{{"iss":"https://issuer","aud":"orders","exp":{exp}}}"#);
        let header = r#"{"alg":"ES256","kid":"p256"}"#;
        let token = sign_text(JwtAlgorithm::Es256, header, &payload);
        assert_eq!(
            fault(&provider, &token),
            Some(Fault::CredentialsMalformed),
            "{exp}"
        );
    }
}

#[test]
fn a_token_without_an_end_is_taken_only_where_that_is_said() {
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    let token = sign(JwtAlgorithm::Es256, &endless);
    assert_eq!(fault(&provider(""), &token), Some(Fault::TokenExpired));
    assert_eq!(fault(&provider("require_expiry = false"), &token), None);
}

#[test]
fn rfc7519_4_1_1_4_1_3_issuer_and_audience_are_compared_whole() {
    let provider = provider("");
    let malformed = Some(Fault::CredentialsMalformed);
    for (change, expected) in [
        (json!({ "aud": ["other", "orders"] }), None),
        (json!({ "aud": [] }), Some(Fault::TokenAudience)),
        (json!({ "aud": "order" }), Some(Fault::TokenAudience)),
        (json!({ "aud": "orders " }), Some(Fault::TokenAudience)),
        (json!({ "aud": "ORDERS" }), Some(Fault::TokenAudience)),
        (json!({ "aud": [["orders"]] }), malformed),
        (json!({ "aud": ["orders", 1] }), malformed),
        (json!({ "aud": { "orders": true } }), malformed),
        (json!({ "aud": null }), malformed),
        (json!({ "aud": 7 }), malformed),
        (
            json!({ "iss": "https://issuer/" }),
            Some(Fault::TokenIssuer),
        ),
        (json!({ "iss": "https://other" }), Some(Fault::TokenIssuer)),
        (json!({ "iss": ["https://issuer"] }), malformed),
        (json!({ "sub": 7 }), malformed),
    ] {
        let token = sign(JwtAlgorithm::Es256, &claims_with(change.clone()));
        assert_eq!(fault(&provider, &token), expected, "{change}");
    }
    for (name, expected) in [("iss", Fault::TokenIssuer), ("aud", Fault::TokenAudience)] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(name);
        let token = sign(JwtAlgorithm::Es256, &without);
        assert_eq!(fault(&provider, &token), Some(expected), "{name}");
    }
}

#[test]
fn rfc7519_4_claims_that_occur_twice_refuse_the_token() {
    let provider = provider("");
    let header = r#"{"alg":"ES256","kid":"p256"}"#;
    let rest = format!(r#""iss":"https://issuer","aud":"orders","exp":{}"#, NOW + 9);
    for twice in [
        r#""sub":"a","sub":"b""#,
        r#""x":{"a":1,"a":1}"#,
        "\"exp\":1",
    ] {
        let payload = format!("{{{rest},{twice}}}");
        let token = sign_text(JwtAlgorithm::Es256, header, &payload);
        assert_eq!(
            fault(&provider, &token),
            Some(Fault::CredentialsMalformed),
            "{payload}"
        );
    }
    for payload in ["", "[]", "null", "\"x\"", "{", "not json"] {
        let token = sign_text(JwtAlgorithm::Es256, header, payload);
        assert_eq!(
            fault(&provider, &token),
            Some(Fault::CredentialsMalformed),
            "{payload}"
        );
    }
}

#[test]
fn rfc8725_3_11_a_kind_that_is_asked_for_must_be_said() {
    let provider = provider("type = 'at+jwt'");
    for (typ, expected) in [
        (Some("at+jwt"), None),
        (Some("AT+JWT"), None),
        (Some("application/at+jwt"), None),
        (Some("JWT"), Some(Fault::CredentialsMalformed)),
        (Some(""), Some(Fault::CredentialsMalformed)),
        (None, Some(Fault::CredentialsMalformed)),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "p256" });
        if let Some(typ) = typ {
            header["typ"] = typ.into();
        }
        let token = sign_text(
            JwtAlgorithm::Es256,
            &header.to_string(),
            &claims().to_string(),
        );
        assert_eq!(fault(&provider, &token), expected, "{header}");
    }
}

#[test]
fn a_changed_byte_anywhere_refuses_the_token() {
    let provider = provider("");
    for algorithm in [
        JwtAlgorithm::Es256,
        JwtAlgorithm::EdDsa,
        JwtAlgorithm::Rs256,
    ] {
        let token = sign(algorithm, &claims());
        for place in 0..token.len() {
            for flip in [0x01, 0x02, 0x20, 0x80] {
                let mut changed = token.clone().into_bytes();
                changed[place] ^= flip;
                let verified = provider.verify(&changed, &key_set_once(), NOW_TIME);
                assert!(verified.is_err(), "{algorithm:?} {place} {flip}");
            }
        }
    }
}

#[test]
fn a_token_cut_anywhere_or_with_more_behind_it_is_refused() {
    let provider = provider("");
    let token = sign(JwtAlgorithm::Es256, &claims());
    let keys = key_set();
    for end in 0..token.len() {
        let cut = &token.as_bytes()[..end];
        assert!(provider.verify(cut, &keys, NOW_TIME).is_err(), "{end}");
    }
    for more in ["A", "=", "==", ".", ".A", " ", "\n"] {
        let longer = format!("{token}{more}");
        assert!(fault(&provider, &longer).is_some(), "{more:?}");
    }
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for wrong in [
        format!(".{token}"),
        format!("{signed}..{signature}"),
        format!("..{signature}"),
        "..".to_owned(),
        ".".repeat(5),
        // Standard base64 is not base64url.
        token.replace(['-', '_'], "+"),
    ] {
        let is_other = wrong != token;
        assert!(!is_other || fault(&provider, &wrong).is_some(), "{wrong}");
    }
}

/// Made once: preparing RSA keys takes time.
fn key_set_once() -> Arc<KeySet> {
    static KEYS: LazyLock<Arc<KeySet>> = LazyLock::new(key_set);
    Arc::clone(&KEYS)
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
    let bearer = format!(
        "Authorization: Bearer {}\r\n",
        sign(JwtAlgorithm::Es256, &claims())
    );
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
    let token = sign(JwtAlgorithm::Es256, &claims());
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
    let token = sign(JwtAlgorithm::Es256, &claims());
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
    let token = sign(JwtAlgorithm::Es256, &claims());
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

#[test]
fn claims_become_headers_that_cannot_be_split() {
    let lines = "claim_headers = { x-user = 'sub', x-roles = ['realm', 'roles'], \
                 x-n = 'n', x-o = 'realm' }";
    let provider = provider(lines);
    let token = sign(
        JwtAlgorithm::Es256,
        &claims_with(json!({ "sub": "alice", "realm": { "roles": ["a", "b"] }, "n": 7 })),
    );
    let token = verify(&provider, &token).unwrap();
    let mut expected = crate::http::FieldEdits::new();
    expected.set(b"x-user", b"alice").unwrap();
    expected.set(b"x-roles", b"a,b").unwrap();
    expected.set(b"x-n", b"7").unwrap();
    let sorted = |edits: &crate::http::FieldEdits| {
        let mut lines: Vec<String> = edits.set.iter().map(|edit| format!("{edit:?}")).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(token.forwarded()), sorted(&expected));
    for subject in ["a\r\nx-admin: 1", "a\nb", "a\0b", " a", ""] {
        let token = sign(JwtAlgorithm::Es256, &claims_with(json!({ "sub": subject })));
        let token = verify(&provider, &token).unwrap();
        assert!(token.forwarded().is_empty(), "{subject:?}");
    }
}
