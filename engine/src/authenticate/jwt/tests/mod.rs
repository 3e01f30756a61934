//! An issuer with keys of every type, and tokens of it: what the tests of tokens share.

mod claims;
mod keys;
mod requests;
mod signatures;
mod together;

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use super::*;
use crate::authenticate::Fault;
use crate::config;
use crate::config::model::{self, JwtAlgorithm};

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

/// The issuer's keys. Made once: preparing RSA keys takes time.
fn key_set() -> Arc<KeySet> {
    static KEYS: LazyLock<Arc<KeySet>> =
        LazyLock::new(|| Arc::new(KeySet::parse(SIGNERS.jwks().to_string().as_bytes()).unwrap()));
    Arc::clone(&KEYS)
}

fn provider(lines: &str) -> Provider {
    Provider::compile(&configured(lines), Keys::Fixed(key_set()))
}

/// The issuer, with nothing but the defaults.
static USUAL: LazyLock<Provider> = LazyLock::new(|| provider(""));

const ES256: JwtAlgorithm = JwtAlgorithm::Es256;
const MALFORMED: Option<Fault> = Some(Fault::CredentialsMalformed);

/// A token that nothing is wrong with.
fn usual() -> String {
    sign(ES256, &claims())
}

/// A token with this header, rightly signed by `algorithm`.
fn with_header(algorithm: JwtAlgorithm, header: &Value) -> String {
    sign_text(algorithm, &header.to_string(), &claims().to_string())
}

/// A token with these claims beside the usual ones, or in place of them.
fn with_claims(changes: &Value) -> String {
    sign(ES256, &claims_with(changes.clone()))
}

/// A token with this payload as it stands.
fn with_payload(payload: &str) -> String {
    sign_text(ES256, r#"{"alg":"ES256","kid":"p256"}"#, payload)
}

fn verify(token: &str) -> Result<Token, (Fault, &'static str)> {
    USUAL.verify(token.as_bytes(), &key_set(), NOW_TIME)
}

/// What is wrong with a token.
fn fault(token: &str) -> Option<Fault> {
    verify(token).err().map(|(fault, _)| fault)
}

/// The same where the issuer is configured with `lines`.
fn fault_by(lines: &str, token: &str) -> Option<Fault> {
    let verified = provider(lines).verify(token.as_bytes(), &key_set(), NOW_TIME);
    verified.err().map(|(fault, _)| fault)
}
