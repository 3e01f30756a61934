//! Basic authentication (RFC 7617): a name and a password with every request.
//!
//! Passwords are configured as hashes that are slow on purpose, so verifying one is not the
//! business of a shard: the first time that credentials are seen, a [`Question`] goes out, and the
//! answer is kept for a bounded time under a keyed hash of the credentials. Who asks for a user
//! that does not exist waits as long as who knows the wrong password.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::credential::Carrier;
use super::{Fault, Proof, identity};
use crate::config::model;
use crate::http::Request;
use crate::limits;

/// A hash that no password is known for, with the parameters that `weft hash-password` uses.
pub(super) const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0IGhlcmU$\
                      9GNXPuWQXHPjNYbKMHy3w5SCMDc8rTvTSAzv9ZwWcXo";

/// The users of one method.
#[derive(Debug)]
pub(super) struct Basic {
    /// Sorted by name.
    users: Box<[User]>,
    nobody: Arc<str>,
    challenge: Box<[u8]>,
    /// Other users, or other passwords, are another identity.
    identity: [u8; 32],
}

#[derive(Debug)]
struct User {
    name: Arc<str>,
    hash: Arc<str>,
}

/// Whether a password is the one of a hash. Answering takes tens of milliseconds.
#[derive(Debug)]
pub struct Question {
    /// The configured hash, in PHC form.
    pub hash: Arc<str>,
    /// What was presented.
    pub password: Box<[u8]>,
    key: CredentialsHash,
}

type CredentialsHash = [u8; 32];

#[cfg(test)]
impl Question {
    /// A question about a hash.
    pub(super) fn new(hash: &str, password: &[u8]) -> Self {
        Self {
            hash: hash.into(),
            password: password.into(),
            key: [0; 32],
        }
    }
}

impl Basic {
    pub(super) fn compile(configured: &model::Basic) -> Self {
        let mut users: Vec<User> = configured
            .users
            .iter()
            .map(|user| User {
                name: Arc::clone(&user.name),
                hash: user.hash.as_str().into(),
            })
            .collect();
        users.sort_by(|one, other| one.name.cmp(&other.name));
        // RFC 7617 §2.1: the only value there is, and what clients then encode in.
        let challenge = format!("Basic realm=\"{}\", charset=\"UTF-8\"", configured.realm);
        Self {
            users: users.into(),
            nobody: NOBODY.into(),
            challenge: challenge.into_bytes().into(),
            identity: identity(configured),
        }
    }

    /// The challenge of a 401.
    pub(super) fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// The user whose name and password are in a request.
    pub(super) fn prove(
        &self,
        request: &Request<'_>,
        known: &mut Credentials,
        now: Duration,
    ) -> Proof<&str> {
        let malformed = |detail| Proof::Wrong(Fault::CredentialsMalformed, detail);
        let encoded = match Carrier::Scheme(b"basic").find(request, &mut []) {
            Ok(Some(encoded)) => encoded,
            Ok(None) => return Proof::Absent,
            Err(detail) => return malformed(detail),
        };
        let mut decoded = [0; limits::BASIC_BYTES_MAX];
        // Four characters for three bytes; the decoder wants room for whole groups.
        let Ok(length) = STANDARD.decode_slice(encoded, &mut decoded) else {
            return malformed("basic_base64");
        };
        let credentials = decoded.get(..length).unwrap_or_default();
        let colon = credentials.iter().position(|byte| *byte == b':');
        let Some((name, [_, password @ ..])) = colon.map(|at| credentials.split_at(at)) else {
            return malformed("basic_colon");
        };
        // RFC 7617 §2: neither holds control characters.
        if credentials.iter().any(u8::is_ascii_control) {
            return malformed("basic_control");
        }
        let user = self
            .users
            .binary_search_by(|user| user.name.as_bytes().cmp(name))
            .ok()
            .and_then(|place| self.users.get(place));
        let key = known.key(&self.identity, credentials);
        match (known.find(&key, now), user) {
            (Some(true), Some(user)) => Proof::Proved(&user.name),
            (Some(_), _) => Proof::Wrong(Fault::PasswordWrong, ""),
            (None, user) => Proof::Unverified(Question {
                hash: Arc::clone(user.map_or(&self.nobody, |user| &user.hash)),
                password: password.into(),
                key,
            }),
        }
    }
}

/// What was found out about credentials: names and passwords that are right, and some that are not.
///
/// The table has a fixed number of places, and credentials have two that they can lie in. Wrong
/// ones are kept for a moment, so that a client that repeats them costs one verification; they
/// never push out right ones that are still good.
#[derive(Debug)]
pub(super) struct Credentials {
    secret: hmac::Key,
    places: Vec<Option<Place>>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    key: CredentialsHash,
    is_right: bool,
    until: Duration,
}

const WAYS: usize = 2;

impl Credentials {
    /// Nothing is known. The secret must be random, and nobody else's.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self {
            secret: hmac::Key::new(hmac::HMAC_SHA256, secret),
            places: Vec::new(),
        }
    }

    fn key(&self, identity: &[u8; 32], credentials: &[u8]) -> CredentialsHash {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(identity);
        context.update(credentials);
        let tag = context.sign();
        let mut key = [0; 32];
        for (byte, from) in key.iter_mut().zip(tag.as_ref()) {
            *byte = *from;
        }
        key
    }

    fn find(&mut self, key: &CredentialsHash, now: Duration) -> Option<bool> {
        let place = self
            .ways(key)?
            .iter()
            .flatten()
            .find(|place| place.key == *key && now < place.until)?;
        Some(place.is_right)
    }

    /// Keeps the answer to a question.
    pub(super) fn keep(&mut self, question: &Question, is_right: bool, now: Duration) {
        if self.places.is_empty() {
            self.places.resize(limits::CREDENTIAL_CACHE_PLACES, None);
        }
        let kept = match is_right {
            true => limits::PASSWORD_KEPT,
            false => limits::WRONG_PASSWORD_KEPT,
        };
        let until = now.saturating_add(kept);
        let rank = |place: &Option<Place>| match place {
            Some(place) if place.key == question.key || place.until <= now => (0, Duration::ZERO),
            None => (0, Duration::ZERO),
            Some(place) => (1_u8.saturating_add(u8::from(place.is_right)), place.until),
        };
        let Some(ways) = self.ways(&question.key) else {
            return;
        };
        if let Some(place) = ways.iter_mut().min_by_key(|place| rank(place)) {
            *place = Some(Place {
                key: question.key,
                is_right,
                until,
            });
        }
    }

    fn ways(&mut self, key: &CredentialsHash) -> Option<&mut [Option<Place>]> {
        let sets = self.places.len() / WAYS;
        let number = usize::from_le_bytes(*key.first_chunk()?);
        let start = number.checked_rem(sets)?.checked_mul(WAYS)?;
        self.places.get_mut(start..start.checked_add(WAYS)?)
    }
}

const _: () = assert!(limits::CREDENTIAL_CACHE_PLACES.is_multiple_of(WAYS));
