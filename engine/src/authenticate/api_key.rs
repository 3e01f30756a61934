//! API keys: a secret that is its own proof.
//!
//! Only the SHA-256 of each key is known here. A key of high entropy needs no slow hash: who has
//! the hashes cannot find the keys. A presented key is hashed, found among the others by the first
//! bytes of its hash, and compared whole in constant time; the time taken does not depend on how
//! many keys there are, but for the logarithm, and tells nothing about any of them.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use super::{Fault, Proof, query};
use crate::config::model;
use crate::http::Request;
use crate::limits;

/// The keys of one method.
#[derive(Debug)]
pub(super) struct ApiKeys {
    source: Source,
    /// Sorted by hash.
    keys: Box<[Key]>,
    challenge: Box<[u8]>,
}

#[derive(Debug)]
enum Source {
    Field(Box<[u8]>),
    Query(Box<[u8]>),
}

#[derive(Debug)]
struct Key {
    hash: [u8; SHA256_OUTPUT_LEN],
    owner: Arc<str>,
}

impl ApiKeys {
    pub(super) fn compile(configured: &model::ApiKeys) -> Self {
        let source = match (&configured.header, &configured.query) {
            (_, Some(name)) => Source::Query(name.as_bytes().into()),
            (Some(name), None) => Source::Field(name.as_bytes().into()),
            (None, None) => Source::Field((*b"x-api-key").into()),
        };
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
            source,
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
    pub(super) fn prove(&self, request: &Request<'_>) -> Proof<&str> {
        let mut decoded = [0; limits::API_KEY_BYTES_MAX];
        let presented = match self.find(request, &mut decoded) {
            Ok(Some(presented)) => presented,
            Ok(None) => return Proof::Absent,
            Err(fault) => return Proof::Wrong(fault),
        };
        match self.owner(presented) {
            Some(owner) => Proof::Proved(owner),
            None => Proof::Wrong(Fault::ApiKeyUnknown),
        }
    }

    fn find<'a>(
        &self,
        request: &Request<'a>,
        decoded: &'a mut [u8],
    ) -> Result<Option<&'a [u8]>, Fault> {
        match &self.source {
            Source::Field(name) => {
                let mut lines = request
                    .fields()
                    .filter(|field| field.name_bytes.eq_ignore_ascii_case(name));
                match (lines.next(), lines.next()) {
                    // Of two, an upstream might believe the other one.
                    (_, Some(_)) => Err(Fault::CredentialsMalformed),
                    (line, None) => Ok(line.map(|field| field.value)),
                }
            }
            Source::Query(name) => {
                let query = request.query().unwrap_or_default();
                let found = query::find(query, name).map_err(|_| Fault::CredentialsMalformed)?;
                let decoded = found.map(|value| query::decode(value, decoded));
                match decoded {
                    Some(None) => Err(Fault::ApiKeyUnknown),
                    Some(value) => Ok(value),
                    None => Ok(None),
                }
            }
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
