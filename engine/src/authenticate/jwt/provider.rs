//! One issuer as configured, and the way of a token through it.
//!
//! A token is found in the request, then among those verified before, and only then is its
//! signature verified. Whatever is wrong, the caller hears `invalid_token` (RFC 6750 §3.1) and no
//! more.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Tokens;
use super::header::Header;
use super::key_set::{Checked, KeySet};
use super::token::Token;
use super::{Parts, base64url};
use crate::authenticate::credential::Carrier;
use crate::authenticate::{Fault, Memory, Proof, identity};
use crate::config::model;
use crate::http::Request;
use crate::limits;

/// An issuer whose tokens are believed.
#[derive(Debug)]
pub(in super::super) struct Provider {
    /// Another issuer, or other demands on its tokens, are another identity.
    identity: [u8; 32],
    configured: model::Jwt,
    carrier: Carrier,
    keys: Keys,
    /// The challenge to who sent no token, and to who sent a bad one.
    challenges: [Box<[u8]>; 2],
}

/// Where the keys of an issuer are.
#[derive(Debug)]
pub(in super::super) enum Keys {
    /// They were read from a file.
    Fixed(Arc<KeySet>),
    /// They are fetched from this address, and told when they are there.
    Fetched(Arc<str>),
}

impl Provider {
    pub(in super::super) fn compile(configured: &model::Jwt, keys: Keys) -> Self {
        // RFC 6750 §3: `error` only for who has sent a token.
        let realm = format!("Bearer realm=\"{}\"", configured.name);
        let wrong = format!("{realm}, error=\"invalid_token\"");
        Self {
            identity: identity(configured),
            carrier: Carrier::of_token(configured),
            keys,
            challenges: [realm, wrong].map(|text| text.into_bytes().into()),
            configured: configured.clone(),
        }
    }

    /// The challenge of a 401; another one after a token that was wrong.
    pub(in super::super) fn challenge(&self, is_wrong: bool) -> &[u8] {
        let [missing, wrong] = &self.challenges;
        match is_wrong {
            true => wrong,
            false => missing,
        }
    }

    /// Tells keys from a file from other ones; nothing where they are fetched.
    pub(in super::super) fn key_version(&self) -> Option<u64> {
        match &self.keys {
            Keys::Fixed(keys) => Some(keys.version()),
            Keys::Fetched(_) => None,
        }
    }

    /// The token in a request, verified.
    ///
    /// *Cost:* one hash of the token when it was verified before, without allocation.
    pub(in super::super) fn prove(
        &self,
        request: &Request<'_>,
        memory: &mut Memory,
        now: Duration,
    ) -> Proof<Rc<Token>> {
        let token = match self.carrier.find(request, &mut memory.decoded) {
            Ok(Some(token)) => token,
            Ok(None) => return Proof::Absent,
            Err(detail) => return Proof::Wrong(Fault::CredentialsMalformed, detail),
        };
        if token.len() > limits::TOKEN_BYTES_MAX {
            return Proof::Wrong(Fault::CredentialsMalformed, "token_too_large");
        }
        let Some(keys) = memory.fetched.keys(&self.keys) else {
            // What cannot be read is wrong by any keys.
            return match self.read(token) {
                Ok(_) => Proof::Unknown,
                Err((fault, detail)) => Proof::Wrong(fault, detail),
            };
        };
        let hash = Tokens::hash(&self.identity, token);
        if let Some(token) = memory.tokens.find(&hash, keys.version()) {
            return match token.check_time(now, self.configured.skew) {
                Ok(()) => Proof::Proved(token),
                Err(fault) => Proof::Wrong(fault, ""),
            };
        }
        match self.verify(token, keys, now) {
            Ok(token) => {
                let token = Rc::new(token);
                let kept = Rc::clone(&token);
                memory.tokens.keep(hash, keys.version(), kept, now);
                Proof::Proved(token)
            }
            Err((fault, detail)) => {
                if fault == Fault::TokenKeyUnknown {
                    memory.fetched.want(&self.keys);
                }
                Proof::Wrong(fault, detail)
            }
        }
    }

    /// Verifies a token by the issuer's keys.
    pub(super) fn verify(
        &self,
        token: &[u8],
        keys: &KeySet,
        now: Duration,
    ) -> Result<Token, (Fault, &'static str)> {
        let (parts, header, signature) = self.read(token)?;
        let id = header.key_id.as_deref();
        match keys.verify(header.algorithm, id, parts.signed, &signature) {
            Checked::Right => {}
            Checked::Wrong => return Err((Fault::TokenSignature, "")),
            Checked::NoKey => return Err((Fault::TokenKeyUnknown, "")),
        }
        let token = Token::read(parts.payload, &self.configured)?;
        token
            .check_time(now, self.configured.skew)
            .map_err(|fault| (fault, ""))?;
        Ok(token)
    }

    /// Reads what of a token needs no key: its parts, its header, its signature.
    fn read<'t>(
        &self,
        token: &'t [u8],
    ) -> Result<(Parts<'t>, Header, Vec<u8>), (Fault, &'static str)> {
        let malformed = |detail| (Fault::CredentialsMalformed, detail);
        let parts = Parts::split(token).ok_or_else(|| malformed("token_parts"))?;
        let header = Header::parse(parts.header)?;
        let configured = &self.configured;
        if !configured.algorithms.contains(&header.algorithm) {
            return Err((Fault::TokenAlgorithm, ""));
        }
        if let Some(kind) = &configured.kind
            && !header.is_of_kind(kind)
        {
            return Err(malformed("header_typ"));
        }
        let signature =
            base64url(parts.signature).ok_or_else(|| malformed("signature_base64url"))?;
        Ok((parts, header, signature))
    }
}
