//! The header of a token: RFC 7515 §4.
//!
//! Three of its members are read: `alg`, `kid`, `typ`. `jwk`, `jku`, `x5u` and `x5c` bring or point
//! to keys and are not looked at. `crit` lists extensions that must be understood; since none are,
//! its presence refuses the token, and so does `b64` (RFC 7797), which changes what was signed.

use super::base64url;
use crate::authenticate::{Claim, Fault};
use crate::config::model::JwtAlgorithm;
use crate::limits;

/// What is read of a header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: JwtAlgorithm,
    pub(super) key_id: Option<Box<str>>,
    pub(super) kind: Option<Box<str>>,
}

impl Header {
    /// Reads a header as it stands in a token.
    pub(super) fn parse(encoded: &[u8]) -> Result<Self, (Fault, &'static str)> {
        let malformed = |detail| (Fault::CredentialsMalformed, detail);
        let json = base64url(encoded).ok_or_else(|| malformed("header_base64url"))?;
        let header = Claim::parse(&json).ok_or_else(|| malformed("header_json"))?;
        if header.get("crit").is_some() || header.get("b64").is_some() {
            return Err(malformed("header_critical"));
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Claim::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed("header_type")),
        };
        let algorithm = text("alg")?.ok_or_else(|| malformed("header_alg"))?;
        let algorithm = JwtAlgorithm::parse(&algorithm).ok_or((Fault::TokenAlgorithm, ""))?;
        let key_id = text("kid")?;
        if key_id
            .as_ref()
            .is_some_and(|id| id.len() > limits::KEY_ID_BYTES_MAX)
        {
            return Err(malformed("header_kid"));
        }
        Ok(Self {
            algorithm,
            key_id,
            kind: text("typ")?,
        })
    }

    /// Whether it says that it is a token of this kind (RFC 8725 §3.11; RFC 7515 §4.1.9: without
    /// a slash, `application/` is meant).
    pub(super) fn is_of_kind(&self, kind: &str) -> bool {
        let short = |kind: &str| match kind.get(..12) {
            Some(prefix) if prefix.eq_ignore_ascii_case("application/") => {
                kind.get(12..).unwrap_or_default().to_owned()
            }
            _ => kind.to_owned(),
        };
        let own = self.kind.as_deref().map(short);
        own.is_some_and(|own| own.eq_ignore_ascii_case(&short(kind)))
    }
}
