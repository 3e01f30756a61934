//! What it costs to find out who is calling: a key among many, a token that is known, a token that
//! is not, by algorithm; a password.
//!
//! A key must cost the same among 10 and among 100,000. A known token costs a hash of its bytes; an
//! unknown one a signature, which the shard that verifies it does itself.
#![allow(
    missing_docs,
    reason = "criterion's macros make undocumented functions"
)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::authenticate::{
    Asked, KeySet, Memory, Methods, Obstacle, Requirement, hash_api_key, hash_password,
};
use engine::config;
use engine::http::{HeadLimits, RequestHead, h1};

const NOW: Duration = Duration::from_secs(1_800_000_000);

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The methods of a configuration, and what its only route asks for.
fn configured(methods: &str, name: &str, keys: Option<KeySet>) -> (Methods, Requirement) {
    let text = format!(
        "{methods}\n[[listeners]]\nname = 'l'\naddress = '127.0.0.1:1'\n\
         authenticate = {{ any_of = ['{name}'] }}\n\
         virtual_hosts = [{{ hosts = ['*'], routes = [{{ direct_response = {{ status = 200 }} }}] }}]"
    );
    let config =
        config::parse(&text, Path::new("bench")).unwrap_or_else(|errors| panic!("{errors}"));
    let keys = keys.map(|keys| Some(Arc::new(keys)));
    let route = &config.listeners[0].virtual_hosts[0].routes[0];
    (
        Methods::compile(&config.authentication, keys.into_iter().collect()),
        Requirement::compile(&route.authenticate),
    )
}

/// Whether the sender of a request is let in.
fn is_let_in(
    configured: &(Methods, Requirement),
    head: &RequestHead,
    bytes: &[u8],
    memory: &mut Memory,
) -> bool {
    let asked = Asked {
        request: head.view(bytes),
        peer: None,
        now: NOW,
    };
    configured
        .0
        .authenticate(&configured.1, &asked, memory)
        .is_ok()
}

fn parse(field: &str) -> (RequestHead, Vec<u8>) {
    let bytes = format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n").into_bytes();
    let mut head = RequestHead::new();
    h1::request::parse(&bytes, &HeadLimits::default(), &mut head).expect("a request");
    (head, bytes)
}

fn api_keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("api_key");
    for count in [10, 1000, 100_000] {
        let mut text = String::from(
            "[[authentication.api_keys]]\nname = 'k'\nheader = 'x-api-key'\nkeys = [\n",
        );
        for number in 0..count {
            let hash = hash_api_key(format!("key number {number:08}").as_bytes());
            writeln!(text, "{{ owner = 'o{number}', hash = '{hash}' }},").expect("text");
        }
        let configured = configured(&(text + "]"), "k", None);
        let (head, bytes) = parse("X-Api-Key: key number 00000007");
        let mut memory = Memory::new(&[0; 32]);
        assert!(is_let_in(&configured, &head, &bytes, &mut memory));
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| is_let_in(&configured, black_box(&head), &bytes, &mut memory));
        });
    }
    group.finish();
}

/// Signs with a new key. The key as JSON, and a token with the claims that issuers write.
fn sign(algorithm: &str) -> (String, String) {
    let claims = format!(
        r#"{{"iss":"https://issuer.example/","aud":["orders","billing"],"sub":"auth0|5f7c8ec7c33c6c004bbafe82",
        "iat":{now},"exp":{ends},"azp":"my_client_id","scope":"openid profile email orders:read orders:write",
        "permissions":["orders:read","orders:write"],"https://example.com/tenant":"acme"}}"#,
        now = NOW.as_secs(),
        ends = NOW.as_secs() + 3600
    );
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"2026-11"}}"#);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let random = SystemRandom::new();
    let message = signed.as_bytes();
    let (key, made) = match algorithm {
        "ES256" | "ES384" => {
            let (signing, curve, size) = match algorithm {
                "ES256" => (&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256", 32),
                _ => (&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384", 48),
            };
            let pair = EcdsaKeyPair::generate(signing).expect("a key");
            let point = pair.public_key().as_ref();
            let (x, y) = (encode(&point[1..=size]), encode(&point[1 + size..]));
            let made = pair.sign(&random, message).expect("a signature");
            (
                format!(r#""kty":"EC","crv":"{curve}","x":"{x}","y":"{y}""#),
                made.as_ref().to_vec(),
            )
        }
        "EdDSA" => {
            let pair = Ed25519KeyPair::generate().expect("a key");
            let x = encode(pair.public_key());
            (
                format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
                pair.sign(message).as_ref().to_vec(),
            )
        }
        _ => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
            let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                "RS256" => &RSA_PKCS1_SHA256,
                _ => &RSA_PSS_SHA256,
            };
            let mut made = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &random, message, &mut made)
                .expect("a signature");
            let public = pair.public_key();
            let n = encode(public.modulus().big_endian_without_leading_zero());
            let e = encode(public.exponent().big_endian_without_leading_zero());
            (format!(r#""kty":"RSA","n":"{n}","e":"{e}""#), made)
        }
    };
    let keys = format!(r#"{{"keys":[{{"kid":"2026-11",{key}}}]}}"#);
    (keys, format!("{signed}.{}", encode(made)))
}

fn tokens(criterion: &mut Criterion) {
    let issuer = "[[authentication.jwt]]\nname = 'i'\nissuer = 'https://issuer.example/'\n\
                  audiences = ['orders']\nkeys = { file = 'k' }";
    for algorithm in ["RS256", "PS256", "ES256", "ES384", "EdDSA"] {
        let (keys, token) = sign(algorithm);
        let keys = KeySet::parse(keys.as_bytes()).expect("a key set");
        let configured = configured(issuer, "i", Some(keys));
        let (head, bytes) = parse(&format!("Authorization: Bearer {token}"));
        let mut memory = Memory::new(&[0; 32]);
        assert!(is_let_in(&configured, &head, &bytes, &mut memory));
        criterion.bench_function(&format!("token/known/{algorithm}"), |bencher| {
            bencher.iter(|| is_let_in(&configured, black_box(&head), &bytes, &mut memory));
        });
        criterion.bench_function(&format!("token/verified/{algorithm}"), |bencher| {
            bencher.iter_batched_ref(
                || Memory::new(&[0; 32]),
                |memory| is_let_in(&configured, black_box(&head), &bytes, memory),
                BatchSize::SmallInput,
            );
        });
    }
}

/// What one password costs the thread that verifies it, with the parameters of
/// `weft hash-password`.
fn password(criterion: &mut Criterion) {
    let hash = hash_password(b"correct horse", &[7; 16]).expect("a hash");
    let methods = format!(
        "[[authentication.basic]]\nname = 'b'\nusers = [{{ name = 'ann', hash = '{hash}' }}]\n"
    );
    let (methods, requirement) = configured(&methods, "b", None);
    let credentials = STANDARD.encode("ann:correct horse");
    let (head, bytes) = parse(&format!("Authorization: Basic {credentials}"));
    let asked = Asked {
        request: head.view(&bytes),
        peer: None,
        now: NOW,
    };
    let mut memory = Memory::new(&[0; 32]);
    let found = methods.authenticate(&requirement, &asked, &mut memory);
    let Err(Obstacle::Unverified(question)) = found else {
        panic!("a password that was not seen before")
    };
    let mut group = criterion.benchmark_group("password");
    group.sample_size(20);
    group.bench_function("verify", |bencher| {
        bencher.iter(|| assert!(black_box(&question).verify()));
    });
    group.finish();
    memory.answer(&question, true, NOW);
    criterion.bench_function("password/known", |bencher| {
        bencher.iter(|| {
            let found = methods.authenticate(&requirement, black_box(&asked), &mut memory);
            found.is_ok()
        });
    });
}

criterion_group!(benches, api_keys, tokens, password);
criterion_main!(benches);
