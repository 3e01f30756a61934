//! Tokens as meant: which issuers are believed, by which keys, and what a token must say.
//!
//! Must stay true: an issuer has at least one audience, one algorithm and one source of keys; every
//! algorithm is asymmetric.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Marks;
use super::authentication::AUTHORIZATION;
use crate::config::scalar;

/// An issuer whose tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jwt {
    /// The method's name; unique among methods.
    pub name: Arc<str>,
    /// What `iss` must be.
    pub issuer: String,
    /// What `aud` must be, or hold one of.
    pub audiences: Vec<String>,
    /// What a token may be signed by.
    pub algorithms: Vec<JwtAlgorithm>,
    /// Where the issuer's keys are.
    pub keys: JwtKeys,
    /// What `typ` must be; anything when absent.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How far the two clocks may be apart.
    #[serde(serialize_with = "scalar::serialize_duration")]
    pub skew: Duration,
    /// Whether a token without an end is refused.
    pub require_expiry: bool,
    /// The header that holds the token, in lower case; `authorization` as a Bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The query parameter that holds it instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The cookie that holds it instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// Whether the upstream sees the token.
    pub forward: bool,
    /// Headers that tell the upstream what the token says.
    #[serde(
        serialize_with = "serialize_headers",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub claim_headers: Vec<(String, ClaimPath)>,
}

impl Jwt {
    pub(super) fn marks(&self) -> Marks {
        let mut removed_headers: Vec<String> = self
            .claim_headers
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        let mut removed_query = Vec::new();
        if !self.forward {
            removed_query.extend(self.query.clone());
            if self.query.is_none() && self.cookie.is_none() {
                let header = self.header.clone();
                removed_headers.push(header.unwrap_or_else(|| AUTHORIZATION.to_owned()));
            }
        }
        Marks {
            removed_headers,
            removed_query,
            reads_query: self.query.is_some(),
        }
    }
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
pub enum JwtKeys {
    /// In a file.
    File {
        /// The file.
        file: PathBuf,
    },
    /// Behind an address.
    Url {
        /// `http` or `https`.
        url: Arc<str>,
        /// The authorities that the address's certificate may be from; the system's when absent.
        #[serde(skip_serializing_if = "Option::is_none")]
        ca: Option<PathBuf>,
        /// How long fetched keys are used before they are fetched again.
        #[serde(serialize_with = "scalar::serialize_duration")]
        refresh: Duration,
    },
}

impl JwtKeys {
    /// The file, if they are in one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File { file } => Some(file),
            Self::Url { .. } => None,
        }
    }

    /// What fetched keys are known by.
    #[must_use]
    pub fn address(&self) -> Arc<str> {
        match self {
            Self::File { file } => file.display().to_string().into(),
            Self::Url { url, .. } => Arc::clone(url),
        }
    }
}

/// A signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtAlgorithm {
    /// RSA, PKCS #1 v1.5, SHA-256.
    Rs256,
    /// RSA, PKCS #1 v1.5, SHA-384.
    Rs384,
    /// RSA, PKCS #1 v1.5, SHA-512.
    Rs512,
    /// RSA, PSS, SHA-256.
    Ps256,
    /// RSA, PSS, SHA-384.
    Ps384,
    /// RSA, PSS, SHA-512.
    Ps512,
    /// ECDSA, P-256, SHA-256.
    Es256,
    /// ECDSA, P-384, SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    /// The algorithm with this name, in its exact case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.label() == name)
    }

    /// The name in `alg`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl Serialize for JwtAlgorithm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// A claim, by the names that lead to it from the outside in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClaimPath(Box<[Box<str>]>);

impl ClaimPath {
    /// The claim at these names.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// The names.
    #[must_use]
    pub const fn names(&self) -> &[Box<str>] {
        &self.0
    }
}

impl Serialize for ClaimPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [name] => serializer.serialize_str(name),
            names => serializer.collect_seq(names),
        }
    }
}

fn serialize_headers<S: Serializer>(
    headers: &[(String, ClaimPath)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(headers.len()))?;
    for (name, path) in headers {
        map.serialize_entry(name, path)?;
    }
    map.end()
}
