//! Claims: times, issuers, audiences, and what becomes of them.

use serde_json::json;

use super::*;
use crate::http::FieldEdits;

#[test]
fn rfc7519_4_1_4_4_1_5_times_are_held_to_with_the_skew() {
    let fault = |token: &str| fault_by("skew = '60s'", token);
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
        (json!({ "exp": -1 }), MALFORMED),
        (json!({ "exp": "never" }), MALFORMED),
        (json!({ "exp": (NOW + 300).to_string() }), MALFORMED),
        (json!({ "exp": null }), MALFORMED),
        (json!({ "exp": [NOW + 300] }), MALFORMED),
        (json!({ "exp": true }), MALFORMED),
        (json!({ "exp": u64::MAX }), MALFORMED),
        (json!({ "exp": 1e300 }), MALFORMED),
        (json!({ "nbf": -1 }), MALFORMED),
        (json!({ "iat": "now" }), MALFORMED),
    ];
    for (change, expected) in cases {
        let token = with_claims(&change);
        assert_eq!(fault(&token), expected, "{change}");
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
        let token = with_payload(&payload);
        assert_eq!(fault(&token), MALFORMED, "{exp}");
    }
}

#[test]
fn a_token_without_an_end_is_taken_only_where_that_is_said() {
    let mut endless = claims();
    endless.as_object_mut().unwrap().remove("exp");
    let token = sign(ES256, &endless);
    assert_eq!(fault(&token), Some(Fault::TokenExpired));
    assert_eq!(fault_by("require_expiry = false", &token), None);
}

#[test]
fn rfc7519_4_1_1_4_1_3_issuer_and_audience_are_compared_whole() {
    for (change, expected) in [
        (json!({ "aud": ["other", "orders"] }), None),
        (json!({ "aud": [] }), Some(Fault::TokenAudience)),
        (json!({ "aud": "order" }), Some(Fault::TokenAudience)),
        (json!({ "aud": "orders " }), Some(Fault::TokenAudience)),
        (json!({ "aud": "ORDERS" }), Some(Fault::TokenAudience)),
        (json!({ "aud": [["orders"]] }), MALFORMED),
        (json!({ "aud": ["orders", 1] }), MALFORMED),
        (json!({ "aud": { "orders": true } }), MALFORMED),
        (json!({ "aud": null }), MALFORMED),
        (json!({ "aud": 7 }), MALFORMED),
        (
            json!({ "iss": "https://issuer/" }),
            Some(Fault::TokenIssuer),
        ),
        (json!({ "iss": "https://other" }), Some(Fault::TokenIssuer)),
        (json!({ "iss": ["https://issuer"] }), MALFORMED),
        (json!({ "sub": 7 }), MALFORMED),
    ] {
        let token = with_claims(&change);
        assert_eq!(fault(&token), expected, "{change}");
    }
    for (name, expected) in [("iss", Fault::TokenIssuer), ("aud", Fault::TokenAudience)] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(name);
        let token = sign(ES256, &without);
        assert_eq!(fault(&token), Some(expected), "{name}");
    }
}

#[test]
fn rfc7519_4_claims_that_occur_twice_refuse_the_token() {
    let rest = format!(r#""iss":"https://issuer","aud":"orders","exp":{}"#, NOW + 9);
    for twice in [
        r#""sub":"a","sub":"b""#,
        r#""x":{"a":1,"a":1}"#,
        "\"exp\":1",
    ] {
        let payload = format!("{{{rest},{twice}}}");
        let token = with_payload(&payload);
        assert_eq!(fault(&token), MALFORMED, "{payload}");
    }
    for payload in ["", "[]", "null", "\"x\"", "{", "not json"] {
        let token = with_payload(payload);
        assert_eq!(fault(&token), MALFORMED, "{payload}");
    }
}

#[test]
fn rfc8725_3_11_a_kind_that_is_asked_for_must_be_said() {
    let fault = |token: &str| fault_by("type = 'at+jwt'", token);
    for (typ, expected) in [
        (Some("at+jwt"), None),
        (Some("AT+JWT"), None),
        (Some("application/at+jwt"), None),
        (Some("JWT"), MALFORMED),
        (Some(""), MALFORMED),
        (None, MALFORMED),
    ] {
        let mut header = json!({ "alg": "ES256", "kid": "p256" });
        if let Some(typ) = typ {
            header["typ"] = typ.into();
        }
        let token = with_header(ES256, &header);
        assert_eq!(fault(&token), expected, "{header}");
    }
}

#[test]
fn claims_become_headers_that_cannot_be_split() {
    let lines = "claim_headers = { x-user = 'sub', x-roles = ['realm', 'roles'], \
                 x-n = 'n', x-o = 'realm' }";
    let provider = provider(lines);
    let verify = |token: &str| provider.verify(token.as_bytes(), &key_set(), NOW_TIME);
    let token = sign(
        ES256,
        &claims_with(json!({ "sub": "alice", "realm": { "roles": ["a", "b"] }, "n": 7 })),
    );
    let token = verify(&token).unwrap();
    let mut expected = FieldEdits::new();
    expected.set(b"x-user", b"alice").unwrap();
    expected.set(b"x-roles", b"a,b").unwrap();
    expected.set(b"x-n", b"7").unwrap();
    let sorted = |edits: &FieldEdits| {
        let mut lines: Vec<String> = edits.set.iter().map(|edit| format!("{edit:?}")).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(token.forwarded()), sorted(&expected));
    for subject in ["a\r\nx-admin: 1", "a\nb", "a\0b", " a", ""] {
        let token = sign(ES256, &claims_with(json!({ "sub": subject })));
        let token = verify(&token).unwrap();
        assert!(token.forwarded().is_empty(), "{subject:?}");
    }
}
