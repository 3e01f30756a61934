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
mod fault;
mod principal;
mod query;
mod requirement;

use std::time::Duration;

use crate::config::model;
use crate::http::Request;
use crate::tls::Peer;

pub use api_key::hash_api_key;
pub use fault::{Fault, Refusal};
pub use principal::Principal;
pub use query::query_without;
pub use requirement::{Challenges, MethodId, Requirement};

use api_key::ApiKeys;

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

/// What a method says of a request.
enum Proof<T> {
    /// It holds no credentials for this method.
    Absent,
    /// They are wrong.
    Wrong(Fault),
    /// They are right, and prove this.
    Proved(T),
}

impl Methods {
    /// The methods of a configuration, whose values are valid by construction.
    #[must_use]
    pub fn compile(config: &model::Authentication) -> Self {
        let api_keys = config.api_keys.iter().map(ApiKeys::compile);
        let methods = [Method::Mtls]
            .into_iter()
            .chain(api_keys.map(Method::ApiKeys));
        Self {
            methods: methods.collect(),
        }
    }

    /// Who sent the request, as far as `requirement` asks for it.
    ///
    /// With any-of, the first method decides whose credentials are there and right; with all-of,
    /// each must be.
    ///
    /// *Errors:* what is missing or wrong; of several wrong ones the first.
    /// *Cost:* a few hundred nanoseconds for each credential that is there; no allocation.
    pub fn authenticate<'a>(
        &'a self,
        requirement: &Requirement,
        asked: &Asked<'a>,
    ) -> Result<Principal<'a>, Refusal> {
        let mut principal = Principal::of_peer(asked.peer);
        let (mut wrong, mut absent) = (None, None);
        let mut is_proved = false;
        for id in requirement.methods() {
            match self.prove(id, asked, &mut principal) {
                Proof::Proved(()) if requirement.is_any_of() => return Ok(principal),
                Proof::Proved(()) => is_proved = true,
                Proof::Absent => absent = absent.or(Some(id)),
                Proof::Wrong(fault) => {
                    wrong = wrong.or_else(|| Some(Refusal::new(fault, id)));
                }
            }
        }
        match (wrong, absent) {
            (Some(refusal), _) => Err(refusal),
            // Who shows nothing at all may be anybody, where that is allowed.
            (None, Some(_)) if requirement.is_optional() && !is_proved => Ok(principal),
            (None, Some(id)) => Err(self.missing(requirement, id)),
            (None, None) => Ok(principal),
        }
    }

    fn prove<'a>(
        &'a self,
        id: MethodId,
        asked: &Asked<'a>,
        principal: &mut Principal<'a>,
    ) -> Proof<()> {
        match self.methods.get(id.0 as usize) {
            Some(Method::Mtls) => match asked.peer {
                Some(_) => Proof::Proved(()),
                None => Proof::Absent,
            },
            Some(Method::ApiKeys(keys)) => keys.prove(&asked.request).map(|owner| {
                principal.key_owner = Some(owner);
            }),
            // A configuration names methods that it has.
            None => Proof::Wrong(Fault::CredentialsMissing),
        }
    }

    /// The refusal of a request without credentials. Only a certificate cannot be sent with
    /// another request, so it alone is no reason for a challenge.
    fn missing(&self, requirement: &Requirement, id: MethodId) -> Refusal {
        let is_challenge = |id: MethodId| self.challenge(id, None).is_some();
        let can_challenge = match requirement.is_any_of() {
            true => requirement.methods().any(is_challenge),
            false => is_challenge(id),
        };
        let fault = match can_challenge {
            true => Fault::CredentialsMissing,
            false => Fault::CertificateMissing,
        };
        Refusal::new(fault, id)
    }

    /// The challenge of a method, if it has one: with `fault`, the one after wrong credentials.
    fn challenge(&self, id: MethodId, _fault: Option<Fault>) -> Option<&[u8]> {
        match self.methods.get(id.0 as usize)? {
            Method::Mtls => None,
            Method::ApiKeys(keys) => Some(keys.challenge()),
        }
    }

    /// The values of `WWW-Authenticate` that answer a refusal (RFC 9110 §11.6.1): one for each
    /// method that would do.
    pub fn challenges<'a>(&'a self, requirement: &Requirement, refusal: Refusal) -> Challenges<'a> {
        let mut challenges = Challenges::default();
        for id in requirement.methods() {
            let fault = Some(refusal.fault).filter(|_| refusal.method == id);
            if let Some(challenge) = self.challenge(id, fault) {
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
            Self::Wrong(fault) => Proof::Wrong(fault),
            Self::Proved(value) => Proof::Proved(then(value)),
        }
    }
}

#[cfg(test)]
mod tests;
