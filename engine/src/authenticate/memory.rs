//! What a shard remembers between requests: verified tokens and credentials, fetched keys.
//!
//! Belongs to one shard and is bounded by [`crate::limits`]. It outlives configurations: whatever
//! it holds is found under the content of the configuration that it was verified by, so another
//! configuration finds nothing of what it would judge differently.

use std::sync::Arc;
use std::time::Duration;

use super::basic::{Credentials, Question};
use super::jwt::{KeySet, Keys, Tokens};
use crate::limits;

/// The memory of one shard.
#[derive(Debug)]
pub struct Memory {
    pub(super) tokens: Tokens,
    pub(super) credentials: Credentials,
    pub(super) fetched: Fetched,
    /// Where a query parameter is decoded.
    pub(super) decoded: Box<[u8]>,
}

/// Keys that were fetched.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// By their address; as many as the configuration has.
    sets: Vec<(Arc<str>, Arc<KeySet>)>,
    /// An address whose keys do not have the one that a token names.
    wanted: Option<Arc<str>>,
}

impl Memory {
    /// Nothing is remembered. The secret must be random, and nobody else's.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            tokens: Tokens::default(),
            credentials: Credentials::new(secret),
            fetched: Fetched::default(),
            decoded: vec![0; limits::TOKEN_BYTES_MAX].into(),
        }
    }

    /// Keeps the answer to a question, so that the request can be looked at again.
    pub fn answer(&mut self, question: &Question, is_right: bool, now: Duration) {
        self.credentials.keep(question, is_right, now);
    }

    /// From now on these are the keys at `address`; none when they are too old to be believed.
    pub fn set_keys(&mut self, address: &Arc<str>, keys: Option<Arc<KeySet>>) {
        let sets = &mut self.fetched.sets;
        sets.retain(|(known, _)| known != address);
        sets.extend(keys.map(|keys| (Arc::clone(address), keys)));
    }

    /// The address whose keys should be fetched again, once.
    pub fn take_wanted(&mut self) -> Option<Arc<str>> {
        self.fetched.wanted.take()
    }
}

impl Fetched {
    /// The keys of an issuer, if they are there.
    pub(super) fn keys<'a>(&'a self, keys: &'a Keys) -> Option<&'a KeySet> {
        match keys {
            Keys::Fixed(keys) => Some(keys),
            Keys::Fetched(address) => {
                let known = self.sets.iter().find(|(known, _)| known == address);
                known.map(|(_, keys)| &**keys)
            }
        }
    }

    /// The keys of an issuer lack one.
    pub(super) fn want(&mut self, keys: &Keys) {
        if let Keys::Fetched(address) = keys {
            self.wanted = Some(Arc::clone(address));
        }
    }
}
