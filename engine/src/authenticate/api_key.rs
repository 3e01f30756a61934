//! API keys: a secret that is its own proof.
//!
//! Only the SHA-256 of each key is known here. A key of high entropy needs no slow hash: who has
//! the hashes cannot find the keys. A presented key is hashed, found among the others by the first
//! bytes of its hash, and compared whole in constant time; the time taken does not depend on how
//! many keys there are, but for the logarithm, and tells nothing about any of them.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::credential::Carrier;
use super::{Fault, Proof};
use crate::config::model;
use crate::http::Request;
use crate::limits;

/// The keys of one method.
#[derive(Debug)]
pub(super) struct ApiKeys {
    carrier: Carrier,
    /// Sorted by hash.
    keys: Box<[Key]>,
    challenge: Box<[u8]>,
}

#[derive(Debug)]
struct Key {
    hash: [u8; SHA256_OUTPUT_LEN],
    owner: Arc<str>,
}

impl ApiKeys {
    pub(super) fn compile(configured: &model::ApiKeys) -> Self {
        let mut keys: Vec<_> = configured
            .keys
            .iter()
            .map(|key| Key {
                hash: *key.hash.bytes(),
                owner: Arc::clone(&key.owner),
            })
            .collect();
        keys.sort_by_key(|key| key.hash);
        Self {
            carrier: Carrier::of_key(configured),
            keys: keys.into(),
            // No scheme is registered for API keys; RFC 9110 §11.6.1 wants one in a 401.
            challenge: format!("ApiKey realm=\"{}\"", configured.name)
                .into_bytes()
                .into(),
        }
    }

    /// The challenge of a 401.
    pub(super) fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// The owner of the key in a request.
    pub(super) fn prove(&self, request: &Request<'_>, decoded: &mut [u8]) -> Proof<&str> {
        let presented = match self.carrier.find(request, decoded) {
            Ok(Some(presented)) => presented,
            Ok(None) => return Proof::Absent,
            Err(detail) => return Proof::Wrong(Fault::CredentialsMalformed, detail),
        };
        match self.owner(presented) {
            Some(owner) => Proof::Proved(owner),
            None => Proof::Wrong(Fault::ApiKeyUnknown, ""),
        }
    }

    fn owner(&self, presented: &[u8]) -> Option<&str> {
        if presented.len() > limits::API_KEY_BYTES_MAX {
            return None;
        }
        let hash = digest(&SHA256, presented);
        let hash = hash.as_ref();
        let prefix = hash.first_chunk::<8>()?;
        let start = self
            .keys
            .partition_point(|key| key.hash.first_chunk::<8>() < Some(prefix));
        let candidates = self.keys.get(start..)?.iter();
        candidates
            .take_while(|key| key.hash.first_chunk::<8>() == Some(prefix))
            .find(|key| verify_slices_are_equal(&key.hash, hash).is_ok())
            .map(|key| &*key.owner)
    }
}

/// The hash under which a key is configured.
#[must_use]
pub fn hash_api_key(key: &[u8]) -> model::KeyHash {
    let hash = digest(&SHA256, key);
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    for (byte, from) in bytes.iter_mut().zip(hash.as_ref()) {
        *byte = *from;
    }
    model::KeyHash::new(bytes)
}
