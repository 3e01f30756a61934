//! Tokens that were verified, so that each signature is verified once and not per request.
//!
//! A token is found by the SHA-256 of the issuer's identity and all its bytes: another byte is
//! another token. What is kept is bound to the content of the key set that verified it, so a set
//! with other keys finds nothing here, and it is held to its times whenever it is found. The table
//! has a fixed number of places; a token has four that it can lie in, and takes the one that is
//! empty, over, or was used longest ago.
//!
//! Only tokens that were verified get in, so a stranger can neither fill the table nor choose what
//! is thrown out.

use std::rc::Rc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256, SHA256_OUTPUT_LEN};

use super::token::Token;
use crate::limits;

/// The hash that a token is found by.
pub(in super::super) type TokenHash = [u8; SHA256_OUTPUT_LEN];

/// The verified tokens of one shard.
#[derive(Debug, Default)]
pub(in super::super) struct Tokens {
    /// Empty until the first token is kept.
    places: Vec<Option<Place>>,
    /// Counts uses: a larger one is later.
    clock: u64,
}

#[derive(Debug)]
struct Place {
    hash: TokenHash,
    key_set: u64,
    token: Rc<Token>,
    used: u64,
}

/// Places that a token can lie in.
const WAYS: usize = 4;

const _: () = assert!(limits::TOKEN_CACHE_PLACES.is_multiple_of(WAYS));

impl Tokens {
    /// The hash of a token for the issuer with this identity.
    pub(super) fn hash(identity: &[u8; 32], token: &[u8]) -> TokenHash {
        let mut context = Context::new(&SHA256);
        context.update(identity);
        context.update(token);
        let digest = context.finish();
        let mut hash = [0; SHA256_OUTPUT_LEN];
        for (byte, from) in hash.iter_mut().zip(digest.as_ref()) {
            *byte = *from;
        }
        hash
    }

    /// The token with this hash, if the key set of this version verified it. Its times are for the
    /// caller to check.
    ///
    /// *Cost:* at most four comparisons; no allocation.
    pub(super) fn find(&mut self, hash: &TokenHash, key_set: u64) -> Option<Rc<Token>> {
        let clock = self.clock.wrapping_add(1);
        self.clock = clock;
        let place = self
            .ways(hash)?
            .iter_mut()
            .flatten()
            .find(|place| place.hash == *hash && place.key_set == key_set)?;
        place.used = clock;
        Some(Rc::clone(&place.token))
    }

    /// Keeps a verified token. One that is over at `now`, or was used longest ago, makes room.
    pub(super) fn keep(&mut self, hash: TokenHash, key_set: u64, token: Rc<Token>, now: Duration) {
        if self.places.is_empty() {
            self.places.resize_with(limits::TOKEN_CACHE_PLACES, || None);
        }
        let used = self.clock;
        let Some(ways) = self.ways(&hash) else {
            return;
        };
        let rank = |place: &Option<Place>| match place {
            None => (0, 0),
            Some(place) if place.hash == hash => (0, 0),
            Some(place) if place.token.expires().is_some_and(|at| at <= now) => (1, 0),
            Some(place) => (2, place.used),
        };
        if let Some(place) = ways.iter_mut().min_by_key(|place| rank(place)) {
            *place = Some(Place {
                hash,
                key_set,
                token,
                used,
            });
        }
    }

    fn ways(&mut self, hash: &TokenHash) -> Option<&mut [Option<Place>]> {
        let sets = self.places.len() / WAYS;
        let number = usize::from_le_bytes(*hash.first_chunk()?);
        let start = number.checked_rem(sets)?.checked_mul(WAYS)?;
        self.places.get_mut(start..start.checked_add(WAYS)?)
    }
}
