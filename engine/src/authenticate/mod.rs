//! Who is calling: step 4 of a request.
//!
//! In: a request's head, what TLS proved about the peer, what the route asks for, the time. Out: a
//! [`Principal`], which says what was proved about the caller and nothing else; or a [`Refusal`]
//! with its [`Fault`] and the challenges that answer it.
//!
//! [`Methods`] are all the ways of a configuration, compiled once; a [`Requirement`] says which of
//! them a route asks for. A certificate that the peer has shown is part of the principal whatever
//! the route asks: the handshake has verified it.
//!
//! Must stay true: what a caller sends and what was not verified never reaches a principal; a
//! secret is compared in constant time and never leaves this module; every refusal says the same
//! to the caller whether a name exists or not. Not here: whether the principal may do what it asks
//! (`authorize`), where keys come from (`control`).
//!
//! Standards: RFC 9110 §11 (challenges), RFC 6750 (Bearer), RFC 7617 (Basic).

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod api_key;
mod basic;
mod claim;
mod credential;
mod fault;
mod jwt;
mod memory;
mod password;
mod principal;
mod query;
mod requirement;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::config::model;
use crate::http::Request;
use crate::tls::Peer;

pub use api_key::hash_api_key;
pub use basic::Question;
pub use claim::Claim;
pub use fault::{Fault, Refusal};
pub use jwt::{KeySet, KeySetError, Token, is_readable};
pub use memory::Memory;
pub use password::hash_password;
pub use principal::Principal;
pub use query::query_without;
pub use requirement::{Challenges, MethodId, Requirement};

use api_key::ApiKeys;
use basic::Basic;
use jwt::{Keys, Provider};

/// All ways in which callers may prove who they are, in the order of their [`MethodId`]s.
#[derive(Debug, Default)]
pub struct Methods {
    methods: Vec<Method>,
}

/// One way to prove who one is.
#[derive(Debug)]
enum Method {
    /// A certificate, shown in the TLS handshake.
    Mtls,
    /// A key in a field or in the query.
    ApiKeys(ApiKeys),
    /// A name and a password.
    Basic(Basic),
    /// A token of an issuer.
    Jwt(Box<Provider>),
}

/// One request, and what is known about its sender without asking.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The request.
    pub request: Request<'a>,
    /// Who TLS proved the sender to be.
    pub peer: Option<&'a Peer>,
    /// The time since 1970.
    pub now: Duration,
}

/// Why the sender of a request is not known.
#[derive(Debug)]
pub enum Obstacle {
    /// It has not proved who it is.
    Refused(Refusal),
    /// The keys of an issuer are not there, so nobody can tell.
    KeysMissing,
    /// A password has to be verified first: [`Memory::answer`], then ask again.
    Unverified(Question),
}

/// What a method says of a request.
enum Proof<T> {
    /// It holds no credentials for this method.
    Absent,
    /// They are wrong; and more exactly, for the log.
    Wrong(Fault, &'static str),
    /// What they would be verified by is not there.
    Unknown,
    /// They have to be verified elsewhere.
    Unverified(Question),
    /// They are right, and prove this.
    Proved(T),
}

impl Methods {
    /// The methods of a configuration, whose values are valid by construction. `keys` are those of
    /// its issuers, in their order, as far as they were read from files.
    #[must_use]
    pub fn compile(config: &model::Authentication, keys: Vec<Option<Arc<KeySet>>>) -> Self {
        let api_keys = config.api_keys.iter().map(ApiKeys::compile);
        let basic = config.basic.iter().map(Basic::compile);
        let issuers = config.jwt.iter().zip(keys).map(|(issuer, keys)| {
            let keys = match (&issuer.keys, keys) {
                (_, Some(keys)) => Keys::Fixed(keys),
                (source, None) => Keys::Fetched(source.address()),
            };
            Method::Jwt(Box::new(Provider::compile(issuer, keys)))
        });
        let methods = [Method::Mtls]
            .into_iter()
            .chain(api_keys.map(Method::ApiKeys))
            .chain(basic.map(Method::Basic))
            .chain(issuers);
        Self {
            methods: methods.collect(),
        }
    }

    /// Whether the keys that were read from files are the same as those of `other`, which is of the
    /// same configuration.
    #[must_use]
    pub fn has_same_keys(&self, other: &Self) -> bool {
        let keys = |method: &Method| match method {
            Method::Jwt(issuer) => issuer.key_version(),
            Method::Mtls | Method::ApiKeys(_) | Method::Basic(_) => None,
        };
        let both = self.methods.iter().zip(&other.methods);
        both.into_iter()
            .all(|(one, other)| keys(one) == keys(other))
    }

    /// Who sent the request, as far as `requirement` asks for it.
    ///
    /// With any-of, the first method decides whose credentials are there and right; with all-of,
    /// each must be.
    ///
    /// *Errors:* what is missing or wrong; with any-of, of several that are wrong the one that
    /// tells most, with all-of the first. Or what has to be done before anybody can tell.
    /// *Cost:* a hash of each credential that is there; no allocation, except to verify a token
    /// or a password that was not seen before.
    pub fn authenticate<'a>(
        &'a self,
        requirement: &Requirement,
        asked: &Asked<'a>,
        memory: &mut Memory,
    ) -> Result<Principal<'a>, Obstacle> {
        let mut principal = Principal::of_peer(asked.peer);
        let (mut wrong, mut absent) = (None, None);
        let (mut is_proved, mut is_unknown) = (false, false);
        for id in requirement.methods() {
            match self.prove(id, asked, memory, &mut principal) {
                Proof::Proved(()) if requirement.is_any_of() => return Ok(principal),
                Proof::Proved(()) => is_proved = true,
                Proof::Absent => absent = absent.or(Some(id)),
                Proof::Wrong(fault, detail) => {
                    let refusal = Refusal {
                        fault,
                        method: id,
                        detail,
                    };
                    let tells_more = |known: Refusal| {
                        requirement.is_any_of() && fault.weight() > known.fault.weight()
                    };
                    if wrong.is_none_or(tells_more) {
                        wrong = Some(refusal);
                    }
                }
                Proof::Unknown => is_unknown = true,
                Proof::Unverified(question) => return Err(Obstacle::Unverified(question)),
            }
        }
        // A token whose issuer's keys are not there may be right; unless it is another issuer's,
        // who says that it is not, or something else is wrong that has to be right as well.
        let is_settled = |refusal: Refusal| !requirement.is_any_of() || refusal.fault.is_final();
        match (wrong, absent) {
            _ if is_unknown && !wrong.is_some_and(is_settled) => Err(Obstacle::KeysMissing),
            (Some(refusal), _) => Err(Obstacle::Refused(refusal)),
            // Who shows nothing at all may be anybody, where that is allowed.
            (None, Some(_)) if requirement.is_optional() && !is_proved => Ok(principal),
            (None, Some(id)) => Err(Obstacle::Refused(self.missing(requirement, id))),
            (None, None) => Ok(principal),
        }
    }

    fn prove<'a>(
        &'a self,
        id: MethodId,
        asked: &Asked<'a>,
        memory: &mut Memory,
        principal: &mut Principal<'a>,
    ) -> Proof<()> {
        let request = &asked.request;
        match self.methods.get(id.0 as usize) {
            Some(Method::Mtls) => match asked.peer {
                Some(_) => Proof::Proved(()),
                None => Proof::Absent,
            },
            Some(Method::ApiKeys(keys)) => keys
                .prove(request, &mut memory.decoded)
                .map(|owner| principal.key_owner = Some(owner)),
            Some(Method::Basic(basic)) => basic
                .prove(request, &mut memory.credentials, asked.now)
                .map(|user| principal.user = Some(user)),
            Some(Method::Jwt(issuer)) => issuer
                .prove(request, memory, asked.now)
                .map(|token| principal.token = Some(token)),
            // A configuration names methods that it has.
            None => Proof::Wrong(Fault::CredentialsMissing, ""),
        }
    }

    /// The refusal of a request without credentials. Only a certificate cannot be sent with
    /// another request, so it alone is no reason for a challenge.
    fn missing(&self, requirement: &Requirement, id: MethodId) -> Refusal {
        let is_challenge = |id: MethodId| self.challenge(id, false).is_some();
        let can_challenge = match requirement.is_any_of() {
            true => requirement.methods().any(is_challenge),
            false => is_challenge(id),
        };
        Refusal {
            fault: match can_challenge {
                true => Fault::CredentialsMissing,
                false => Fault::CertificateMissing,
            },
            method: id,
            detail: "",
        }
    }

    /// The challenge of a method, if it has one; perhaps another one after wrong credentials.
    fn challenge(&self, id: MethodId, is_wrong: bool) -> Option<&[u8]> {
        match self.methods.get(id.0 as usize)? {
            Method::Mtls => None,
            Method::ApiKeys(keys) => Some(keys.challenge()),
            Method::Basic(basic) => Some(basic.challenge()),
            Method::Jwt(issuer) => Some(issuer.challenge(is_wrong)),
        }
    }

    /// The values of `WWW-Authenticate` that answer a refusal (RFC 9110 §11.6.1): one for each
    /// method that would do.
    pub fn challenges<'a>(&'a self, requirement: &Requirement, refusal: Refusal) -> Challenges<'a> {
        let mut challenges = Challenges::default();
        for id in requirement.methods() {
            let is_wrong = refusal.method == id && refusal.fault != Fault::CredentialsMissing;
            if let Some(challenge) = self.challenge(id, is_wrong) {
                challenges.push(challenge);
            }
        }
        challenges
    }
}

impl<T> Proof<T> {
    fn map<U>(self, then: impl FnOnce(T) -> U) -> Proof<U> {
        match self {
            Self::Absent => Proof::Absent,
            Self::Wrong(fault, detail) => Proof::Wrong(fault, detail),
            Self::Unknown => Proof::Unknown,
            Self::Unverified(question) => Proof::Unverified(question),
            Self::Proved(value) => Proof::Proved(then(value)),
        }
    }
}

/// What tells one configured method from another, also over generations of the configuration.
fn identity(configured: &impl Debug) -> [u8; 32] {
    let hash = digest(&SHA256, format!("{configured:?}").as_bytes());
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}
