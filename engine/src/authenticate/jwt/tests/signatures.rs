//! Signatures: the RFCs' own examples, one of every algorithm, and the known ways to cheat.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

use super::super::key_set::Checked;
use super::*;

const RFC7515_RSA: &str = include_str!("../vectors/rfc7515_a_2.jwks");
const RFC7515_RS256: &str = include_str!("../vectors/rfc7515_a_2.jwt");
const RFC7515_EC: &str = include_str!("../vectors/rfc7515_a_3.jwks");
const RFC7515_ES256: &str = include_str!("../vectors/rfc7515_a_3.jwt");
const RFC8037_KEY: &str = include_str!("../vectors/rfc8037_a_4.jwks");
const RFC8037_EDDSA: &str = include_str!("../vectors/rfc8037_a_4.jwt");
const RFC7519_NONE: &str = include_str!("../vectors/rfc7519_6_1.jwt");
const RFC7519_HS256: &str = include_str!("../vectors/rfc7519_3_1.jwt");

#[test]
fn rfc7515_a_rfc8037_a_4_the_examples_are_verified() {
    for (keys, algorithm, token) in [
        (RFC7515_RSA, JwtAlgorithm::Rs256, RFC7515_RS256),
        (RFC7515_EC, ES256, RFC7515_ES256),
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
    assert_eq!(fault(RFC7519_NONE.trim_end()), MALFORMED);
    assert_eq!(fault(RFC7519_HS256.trim_end()), Some(Fault::TokenAlgorithm));
}

#[test]
fn every_algorithm_is_verified_by_its_own_keys_only() {
    for algorithm in JwtAlgorithm::ALL {
        let token = verify(&sign(algorithm, &claims())).unwrap();
        assert_eq!(token.subject.as_deref(), Some("alice"), "{algorithm:?}");
        // RFC 8725 §3.1: under the name of another key, of another type, it is nobody's.
        for other in ["rsa", "p256", "p384", "ed"] {
            let header = json!({ "alg": algorithm.label(), "kid": other });
            let token = with_header(algorithm, &header);
            let expected = (other != key_of(algorithm)).then_some(Fault::TokenKeyUnknown);
            assert_eq!(fault(&token), expected, "{algorithm:?} {other}");
        }
        // Signed by one, called another.
        for other in JwtAlgorithm::ALL.into_iter().filter(|it| *it != algorithm) {
            let header = json!({ "alg": other.label(), "kid": key_of(other) });
            let token = with_header(algorithm, &header);
            assert_eq!(
                fault(&token),
                Some(Fault::TokenSignature),
                "{algorithm:?} {other:?}"
            );
        }
    }
}

#[test]
fn rfc8725_3_1_only_listed_algorithms_are_taken() {
    let fault = |token: &str| fault_by("algorithms = ['ES256']", token);
    assert_eq!(fault(&usual()), None);
    for algorithm in JwtAlgorithm::ALL {
        if algorithm != ES256 {
            let token = sign(algorithm, &claims());
            assert_eq!(fault(&token), Some(Fault::TokenAlgorithm));
        }
    }
}

#[test]
fn rfc8725_2_1_none_is_no_algorithm_in_any_case() {
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
            let fault = fault(&token);
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
            assert!(fault(&token).is_some(), "{alg}");
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
        assert_eq!(fault(&token), Some(Fault::TokenSignature), "{header}");
        // An honest token that happens to bring them is fine.
        let honest = with_header(ES256, &header);
        assert_eq!(fault(&honest), None, "{header}");
    }
}

#[test]
fn rfc7515_4_1_4_a_key_id_is_a_name_and_nothing_else() {
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
        let header = json!({ "alg": "RS256", "kid": id });
        let token = with_header(JwtAlgorithm::Rs256, &header);
        assert_eq!(fault(&token), Some(Fault::TokenKeyUnknown), "{id}");
    }
    for id in [
        json!(1),
        json!(null),
        json!(["rsa"]),
        json!({}),
        json!("k".repeat(257)),
    ] {
        let header = json!({ "alg": "RS256", "kid": id });
        let token = with_header(JwtAlgorithm::Rs256, &header);
        assert_eq!(fault(&token), MALFORMED, "{header}");
    }
}

#[test]
fn rfc7515_4_1_11_rfc7797_nothing_critical_is_understood() {
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
        assert_eq!(fault(&token), MALFORMED, "{header}");
    }
}

#[test]
fn a_changed_byte_anywhere_refuses_the_token() {
    for algorithm in [ES256, JwtAlgorithm::EdDsa, JwtAlgorithm::Rs256] {
        let token = sign(algorithm, &claims());
        for place in 0..token.len() {
            for flip in [0x01, 0x02, 0x20, 0x80] {
                let mut changed = token.clone().into_bytes();
                changed[place] ^= flip;
                let verified = USUAL.verify(&changed, &key_set(), NOW_TIME);
                assert!(verified.is_err(), "{algorithm:?} {place} {flip}");
            }
        }
    }
}

#[test]
fn a_token_cut_anywhere_or_with_more_behind_it_is_refused() {
    let token = usual();
    let keys = key_set();
    for end in 0..token.len() {
        let cut = &token.as_bytes()[..end];
        assert!(USUAL.verify(cut, &keys, NOW_TIME).is_err(), "{end}");
    }
    for more in ["A", "=", "==", ".", ".A", " ", "\n"] {
        let longer = format!("{token}{more}");
        assert!(fault(&longer).is_some(), "{more:?}");
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
        assert!(!is_other || fault(&wrong).is_some(), "{wrong}");
    }
}
