//! The claims of a token: RFC 7519 §4.
//!
//! Made only from a payload whose signature was verified. Times are checked with a skew that both
//! clocks may be off together; what is not of the type that the RFC gives it refuses the token.

use std::time::Duration;

use super::base64url;
use crate::authenticate::{Claim, Fault};
use crate::config::model::{ClaimPath, Jwt};
use crate::http::FieldEdits;

/// A token that was verified.
#[derive(Debug)]
pub struct Token {
    /// Who signed it: `iss`.
    pub issuer: Box<str>,
    /// Who it is about: `sub`.
    pub subject: Option<Box<str>>,
    /// All that it says, as an object.
    pub claims: Claim,
    /// What the upstream is told of it.
    forwarded: FieldEdits,
    not_before: Option<Duration>,
    expires: Option<Duration>,
}

/// The largest time that is believed, in seconds since 1970: the year 9999.
const SECONDS_MAX: f64 = 253_402_300_799.0;

impl Token {
    /// Reads a payload as it stands in a token whose signature is right, and holds it to what
    /// `issuer` asks, but for the times.
    pub(super) fn read(encoded: &[u8], issuer: &Jwt) -> Result<Self, (Fault, &'static str)> {
        let malformed = |detail| (Fault::CredentialsMalformed, detail);
        let json = base64url(encoded).ok_or_else(|| malformed("payload_base64url"))?;
        let claims = Claim::parse(&json).ok_or_else(|| malformed("payload_json"))?;
        let text = |name: &str, detail| match claims.get(name) {
            None => Ok(None),
            Some(Claim::Text(text)) => Ok(Some(text.clone())),
            Some(_) => Err(malformed(detail)),
        };
        let time = |name: &str, detail| match claims.get(name) {
            None => Ok(None),
            Some(claim) => seconds(claim).map(Some).ok_or_else(|| malformed(detail)),
        };
        let subject = text("sub", "claim_sub")?;
        let expires = time("exp", "claim_exp")?;
        let not_before = time("nbf", "claim_nbf")?;
        time("iat", "claim_iat")?;
        let own_issuer = text("iss", "claim_iss")?.filter(|own| **own == *issuer.issuer);
        let own_issuer = own_issuer.ok_or((Fault::TokenIssuer, ""))?;
        audience(&claims, &issuer.audiences)?;
        if expires.is_none() && issuer.require_expiry {
            return Err((Fault::TokenExpired, "no_exp"));
        }
        Ok(Self {
            issuer: own_issuer,
            subject,
            forwarded: forwarded(&claims, &issuer.claim_headers),
            claims,
            not_before,
            expires,
        })
    }

    /// Holds its times to `now` (RFC 7519 §4.1.4, §4.1.5).
    pub(super) fn check_time(&self, now: Duration, skew: Duration) -> Result<(), Fault> {
        // "on or after which the JWT MUST NOT be accepted".
        if self
            .expires
            .is_some_and(|at| now >= at.saturating_add(skew))
        {
            return Err(Fault::TokenExpired);
        }
        match self.not_before {
            Some(at) if now.saturating_add(skew) < at => Err(Fault::TokenNotYetValid),
            _ => Ok(()),
        }
    }

    /// The value at a path of names.
    #[must_use]
    pub fn claim(&self, path: &ClaimPath) -> Option<&Claim> {
        self.claims.at(path)
    }

    /// What the upstream is told of it. The same names are always taken out of what a client sent.
    #[must_use]
    pub const fn forwarded(&self) -> &FieldEdits {
        &self.forwarded
    }

    /// When it is of no use any more.
    pub(super) const fn expires(&self) -> Option<Duration> {
        self.expires
    }
}

/// RFC 7519 §4.1.3: a text or a list of texts, one of which must be ours.
fn audience(claims: &Claim, own: &[String]) -> Result<(), (Fault, &'static str)> {
    let audience = claims.get("aud");
    let is_formed = match audience {
        None | Some(Claim::Text(_)) => true,
        Some(Claim::List(elements)) => elements.iter().all(|it| it.text().is_some()),
        Some(_) => false,
    };
    if !is_formed {
        return Err((Fault::CredentialsMalformed, "claim_aud"));
    }
    match audience {
        Some(audience) if own.iter().any(|own| audience.is(own)) => Ok(()),
        _ => Err((Fault::TokenAudience, "")),
    }
}

/// RFC 7519 §2, NumericDate: seconds since 1970, which may have a fraction.
fn seconds(claim: &Claim) -> Option<Duration> {
    let Claim::Number(number) = claim else {
        return None;
    };
    let seconds = number.as_f64()?;
    (0.0..=SECONDS_MAX).contains(&seconds).then(|| {
        // Whole numbers of this size are exact.
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    })
}

/// The lines that tell the upstream; a value that no header can hold is left out.
fn forwarded(claims: &Claim, headers: &[(String, ClaimPath)]) -> FieldEdits {
    let mut edits = FieldEdits::new();
    for (name, path) in headers {
        let value = claims.at(path).and_then(Claim::field_value);
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            continue;
        };
        // The name was checked; a value with control characters is refused here.
        let _is_left_out = edits.set(name.as_bytes(), value.as_bytes());
    }
    edits
}
