//! JSON Web Tokens: signed statements of an issuer about the caller.
//!
//! In: a token as it came, the issuer's keys, the time. Out: a [`Token`], every byte of which is
//! covered by a signature that was verified; or the fault. A token is a compact JWS (RFC 7515
//! §7.1) and nothing else. The key and the algorithm that it names only choose among what the
//! configuration and the key set allow: a key verifies with the algorithms of its own type alone
//! (RFC 8725 §3.1), and keys or addresses of keys within a token are not looked at (§3.10).
//!
//! `algorithm.rs` is the list of algorithms, `key_set.rs` what an issuer publishes, `header.rs`
//! and `token.rs` the two halves of a token, `provider.rs` one issuer as configured, `cache.rs`
//! the tokens that were verified before.
//!
//! Standards: RFC 7515 (JWS), 7517 (JWK), 7518 (algorithms), 7519 (JWT), 8037 (Ed25519), 8725
//! (best practice), 6750 (Bearer).

mod algorithm;
mod cache;
mod header;
mod key_set;
mod provider;
#[cfg(test)]
mod tests;
mod token;

pub use key_set::{KeySet, KeySetError};
pub use token::Token;

pub(super) use cache::Tokens;
pub(super) use provider::{Keys, Provider};

use super::Claim;
use header::Header;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Whether a token can be read, and so would be refused or taken for its signature and its claims
/// alone. Verifies nothing: for fuzzing and tests, never for a decision.
#[must_use]
pub fn is_readable(token: &[u8]) -> bool {
    let Some(parts) = Parts::split(token) else {
        return false;
    };
    let payload = base64url(parts.payload).and_then(|json| Claim::parse(&json));
    Header::parse(parts.header).is_ok() && base64url(parts.signature).is_some() && payload.is_some()
}

/// Decodes base64url without padding (RFC 7515 §2). Strict: one text for one run of bytes.
fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The three parts of a compact serialisation (RFC 7515 §7.1).
#[derive(Clone, Copy, Debug)]
struct Parts<'a> {
    header: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
    /// Header and payload as they stand, which is what was signed.
    signed: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Exactly three parts, none of them empty: a token without a signature is none.
    fn split(token: &'a [u8]) -> Option<Self> {
        let mut parts = token.split(|byte| *byte == b'.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return None;
        }
        let signed = header.len().checked_add(payload.len())?.checked_add(1)?;
        Some(Self {
            header,
            payload,
            signature,
            signed: token.get(..signed)?,
        })
    }
}
