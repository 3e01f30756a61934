//! Key sets: what an issuer publishes, as far as it can verify tokens.
//!
//! In: a JSON Web Key Set (RFC 7517 §5). Out: its public keys, each with the algorithms it may be
//! used with and no others: those of its type and curve, or the one that it names itself. Keys of
//! other kinds, for other uses, or that are broken are left out and counted, as the RFC asks; a
//! set without a single usable key is an error. Nothing that a token says takes part in this.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};

use super::algorithm::{self, Family};
use super::base64url;
use crate::config::model::JwtAlgorithm;
use crate::limits;

/// The keys of an issuer. Shared by all shards, never changed.
#[derive(Debug)]
pub struct KeySet {
    keys: Box<[Key]>,
    ignored: usize,
    version: u64,
}

#[derive(Debug)]
struct Key {
    id: Option<Box<str>>,
    /// The algorithms it may be used with, each with the key prepared for it.
    verifiers: Box<[(JwtAlgorithm, ParsedPublicKey)]>,
}

/// Why there is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySetError {
    /// It is longer than [`limits::KEY_SET_BYTES_MAX`].
    TooLarge,
    /// It is no JSON object with a list of `keys`.
    Malformed,
    /// It has more than [`limits::KEY_SET_KEYS_MAX`] keys.
    TooManyKeys,
    /// None of its keys can verify a token.
    NoUsableKey,
}

/// What came of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// A key made it.
    Right,
    /// The key that it names, or all that could have, did not.
    Wrong,
    /// No key is called so and takes this algorithm.
    NoKey,
}

impl KeySet {
    /// Reads a key set.
    ///
    /// # Errors
    /// See [`KeySetError`].
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        if json.len() > limits::KEY_SET_BYTES_MAX {
            return Err(KeySetError::TooLarge);
        }
        let set: serde_json::Value =
            serde_json::from_slice(json).map_err(|_| KeySetError::Malformed)?;
        let listed = set.get("keys").and_then(serde_json::Value::as_array);
        let listed = listed.ok_or(KeySetError::Malformed)?;
        if listed.len() > limits::KEY_SET_KEYS_MAX {
            return Err(KeySetError::TooManyKeys);
        }
        let keys: Box<[Key]> = listed.iter().filter_map(key).collect();
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey);
        }
        let hash = digest(&SHA256, json);
        let version = hash.as_ref().first_chunk().copied().unwrap_or_default();
        Ok(Self {
            ignored: listed.len().saturating_sub(keys.len()),
            keys,
            version: u64::from_le_bytes(version),
        })
    }

    /// Usable keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Never: a set without a usable key is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What its usable keys are called; a key need not have a name.
    pub fn ids(&self) -> impl Iterator<Item = Option<&str>> {
        self.keys.iter().map(|key| key.id.as_deref())
    }

    /// Keys that were left out.
    #[must_use]
    pub fn ignored(&self) -> usize {
        self.ignored
    }

    /// Whether both were read from the same text.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.version == other.version
    }

    /// Tells sets with other content apart.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Verifies a signature by the key called `id`; without one by any that takes the algorithm.
    ///
    /// *Cost:* one verification, without `id` at most [`limits::KEY_TRIALS_MAX`].
    pub(super) fn verify(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
        signed: &[u8],
        signature: &[u8],
    ) -> Checked {
        let named = self
            .keys
            .iter()
            .filter(|key| id.is_none() || key.id.as_deref() == id);
        let verifiers = named.filter_map(|key| {
            let usable = |(allowed, _): &&(JwtAlgorithm, _)| *allowed == algorithm;
            key.verifiers.iter().find(usable)
        });
        let mut checked = Checked::NoKey;
        for (_, verifier) in verifiers.take(limits::KEY_TRIALS_MAX) {
            if verifier.verify_sig(signed, signature).is_ok() {
                return Checked::Right;
            }
            checked = Checked::Wrong;
        }
        checked
    }
}

/// A usable key of a set (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
fn key(jwk: &serde_json::Value) -> Option<Key> {
    let text = |name: &str| jwk.get(name).map(|value| value.as_str());
    // RFC 7517 §4.2, §4.3: a key for another use is not for this one.
    if !matches!(text("use"), None | Some(Some("sig"))) {
        return None;
    }
    if let Some(operations) = jwk.get("key_ops") {
        let operations = operations.as_array()?;
        operations
            .iter()
            .any(|operation| operation == "verify")
            .then_some(())?;
    }
    let id = match text("kid") {
        None => None,
        Some(id) => Some(id?),
    };
    let own_algorithm = match text("alg") {
        None => None,
        Some(name) => Some(JwtAlgorithm::parse(name?)?),
    };
    let kind = text("kty")??;
    let member = |name: &str| base64url(text(name)??.as_bytes());
    let prepare = |algorithm: JwtAlgorithm| -> Option<ParsedPublicKey> {
        match algorithm::family(algorithm) {
            Family::Rsa(parameters) if kind == "RSA" => {
                let (modulus, exponent) = (member("n")?, member("e")?);
                // Checked only when it is used, otherwise.
                (modulus.len() >= limits::RSA_MODULUS_BYTES_MIN
                    && modulus.len() <= limits::RSA_MODULUS_BYTES_MAX)
                    .then_some(())?;
                let components = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                components.to_parsed_public_key(parameters).ok()
            }
            Family::Curve(curve, parameters) if kind == "EC" && text("crv")? == Some(curve) => {
                // SEC 1 §2.3.3, uncompressed; RFC 7518 §6.2.1.2: coordinates have full length,
                // which the library checks.
                let point = [&[4][..], &member("x")?, &member("y")?].concat();
                ParsedPublicKey::new(parameters, point).ok()
            }
            Family::Edwards(curve, parameters) if kind == "OKP" && text("crv")? == Some(curve) => {
                ParsedPublicKey::new(parameters, member("x")?).ok()
            }
            Family::Rsa(_) | Family::Curve(..) | Family::Edwards(..) => None,
        }
    };
    let allowed = JwtAlgorithm::ALL
        .into_iter()
        .filter(|algorithm| own_algorithm.is_none_or(|own| own == *algorithm));
    let verifiers: Box<[_]> = allowed
        .filter_map(|algorithm| Some((algorithm, prepare(algorithm)?)))
        .collect();
    (!verifiers.is_empty()).then(|| Key {
        id: id.map(Into::into),
        verifiers,
    })
}

impl fmt::Display for KeySetError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(out, "longer than {} bytes", limits::KEY_SET_BYTES_MAX),
            Self::Malformed => out.write_str("not a JSON Web Key Set (RFC 7517)"),
            Self::TooManyKeys => {
                write!(out, "more than {} keys", limits::KEY_SET_KEYS_MAX)
            }
            Self::NoUsableKey => out.write_str(
                "no key that could verify a token (RSA from 2048 bits, P-256, P-384, Ed25519)",
            ),
        }
    }
}
