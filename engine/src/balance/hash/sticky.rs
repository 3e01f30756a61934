//! Sticky sessions: a signed cookie names the endpoint that served a client before.
//!
//! The cookie's value is an HMAC of the cluster's name and the endpoint's address (RFC 2104, with
//! SHA-256, cut to 128 bits), so it tells nothing about the address and cannot be made without the
//! key. Proxies with the same key understand each other's cookies, also over restarts and whatever
//! the order of the endpoints. A value that is none of the current endpoints' is ignored.
//!
//! Made once for all shards; a request costs one look into a table and no cryptography.

use std::collections::HashMap;
use std::time::Duration;

use aws_lc_rs::hmac;

use super::key;
use crate::balance::endpoint::{Endpoint, EndpointId};
use crate::http::Request;

const TOKEN_BYTES: usize = 32;
const SECURE: &[u8] = b"; Secure";

/// The cookies of one cluster.
#[derive(Debug)]
pub struct Sticky {
    cookie: Box<[u8]>,
    ids: HashMap<[u8; TOKEN_BYTES], EndpointId>,
    /// The values of `Set-Cookie` for all endpoints, one after the other, each so long.
    values: Vec<u8>,
    value_bytes: usize,
}

impl Sticky {
    /// The cookies named `cookie` for these endpoints of the cluster `name`.
    pub(in crate::balance) fn new(
        name: &str,
        cookie: &str,
        key: &[u8],
        max_age: Option<Duration>,
        endpoints: &[Endpoint],
    ) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let age = max_age.map(|age| format!("; Max-Age={}", age.as_secs()));
        let age = age.unwrap_or_default();
        let mut sticky = Self {
            cookie: cookie.as_bytes().into(),
            ids: HashMap::new(),
            values: Vec::new(),
            value_bytes: 0,
        };
        for (id, endpoint) in (0..).map(EndpointId).zip(endpoints) {
            let token = token(&key, name, endpoint);
            sticky.ids.insert(token, id);
            let before = sticky.values.len();
            for part in [cookie.as_bytes(), b"=", &token, b"; Path=/"] {
                sticky.values.extend_from_slice(part);
            }
            sticky.values.extend_from_slice(age.as_bytes());
            sticky
                .values
                .extend_from_slice(b"; HttpOnly; SameSite=Lax; Secure");
            sticky.value_bytes = sticky.values.len().saturating_sub(before);
        }
        sticky
    }

    /// The endpoint that `request`'s cookie names.
    pub fn endpoint(&self, request: &Request<'_>) -> Option<EndpointId> {
        let value = key::cookie(request, &self.cookie)?;
        let token: &[u8; TOKEN_BYTES] = value.try_into().ok()?;
        self.ids.get(token).copied()
    }

    /// The value of `Set-Cookie` that makes a client stick to `id`. `is_secure`: it came over TLS,
    /// and is to send the cookie over nothing else.
    pub fn set_cookie(&self, id: EndpointId, is_secure: bool) -> Option<&[u8]> {
        let mut values = self.values.chunks_exact(self.value_bytes.max(1));
        let value = values.nth(id.0 as usize)?;
        if is_secure {
            return Some(value);
        }
        value.strip_suffix(SECURE)
    }
}

/// The value of the cookie for `endpoint`, in hexadecimal digits.
fn token(key: &hmac::Key, name: &str, endpoint: &Endpoint) -> [u8; TOKEN_BYTES] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut context = hmac::Context::with_key(key);
    context.update(name.as_bytes());
    // Names hold no such byte, so no two pairs of name and address are the same text.
    context.update(b"\0");
    context.update(endpoint.label().as_bytes());
    let tag = context.sign();
    let mut token = [0; TOKEN_BYTES];
    for (pair, byte) in token.chunks_exact_mut(2).zip(tag.as_ref()) {
        for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *digit = DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
        }
    }
    token
}
