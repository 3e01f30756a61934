//! How callers prove who they are, as meant; and what a route asks of them.
//!
//! Must stay true: names of methods are unique and never `mtls`, which is the one that needs no
//! configuration; a method that a route names exists. Secrets are here as hashes only.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Jwt;

/// The name under which routes ask for a client's certificate.
pub const MTLS: &str = "mtls";

/// The methods by which callers prove who they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Authentication {
    /// Keys in a header or in the query.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_keys: Vec<ApiKeys>,
    /// Names and passwords.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub basic: Vec<Basic>,
    /// Tokens of issuers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub jwt: Vec<Jwt>,
}

impl Authentication {
    /// There is no method.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.api_keys.is_empty() && self.basic.is_empty() && self.jwt.is_empty()
    }

    /// All methods, in the order of their numbers; the first is the client's certificate.
    #[must_use]
    pub fn methods(&self) -> Vec<MethodRef> {
        let mtls = (MTLS.into(), Marks::default());
        let api_keys = self
            .api_keys
            .iter()
            .map(|method| (Arc::clone(&method.name), method.marks()));
        let basic = self
            .basic
            .iter()
            .map(|method| (Arc::clone(&method.name), method.marks()));
        let jwt = self
            .jwt
            .iter()
            .map(|method| (Arc::clone(&method.name), method.marks()));
        let all = [mtls].into_iter().chain(api_keys).chain(basic).chain(jwt);
        (0..)
            .zip(all)
            .map(|(index, (name, marks))| MethodRef { name, index, marks })
            .collect()
    }
}

/// Keys in a header or in the query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKeys {
    /// The method's name; unique among methods.
    pub name: Arc<str>,
    /// The header that holds the key, in lower case...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// ...or the query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Whether the upstream sees the key.
    pub forward: bool,
    /// The keys and whose they are.
    pub keys: Vec<ApiKey>,
}

impl ApiKeys {
    fn marks(&self) -> Marks {
        let removed = |name: &Option<String>| match self.forward {
            true => Vec::new(),
            false => name.iter().cloned().collect(),
        };
        Marks {
            removed_headers: removed(&self.header),
            removed_query: removed(&self.query),
            reads_query: self.query.is_some(),
        }
    }
}

/// Names and passwords in `Authorization` (RFC 7617).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Basic {
    /// The method's name; unique among methods.
    pub name: Arc<str>,
    /// What clients show when they ask for the password.
    pub realm: String,
    /// Whether the upstream sees the password.
    pub forward: bool,
    /// The users; names are unique.
    pub users: Vec<User>,
}

impl Basic {
    fn marks(&self) -> Marks {
        Marks {
            removed_headers: match self.forward {
                true => Vec::new(),
                false => vec![AUTHORIZATION.to_owned()],
            },
            ..Marks::default()
        }
    }
}

/// A user and the hash of the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name, without a colon.
    pub name: Arc<str>,
    /// The password's hash.
    pub hash: PasswordHash,
}

/// An Argon2id hash in PHC form, whose cost is within bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// A hash that whoever calls has checked.
    pub(in crate::config) const fn new(text: String) -> Self {
        Self(text)
    }

    /// In PHC form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The field of tokens and passwords.
pub(super) const AUTHORIZATION: &str = "authorization";

/// A key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiKey {
    /// Whose it is.
    pub owner: Arc<str>,
    /// Its hash.
    pub hash: KeyHash,
}

/// The SHA-256 of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    const PREFIX: &'static str = "sha256:";

    /// A hash.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(Self::PREFIX)?;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if digits.len() != 64 || !is_hexadecimal {
            return None;
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from(Self::PREFIX);
        for byte in self.0 {
            write!(text, "{byte:02x}")?;
        }
        out.write_str(&text)
    }
}

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a route asks of its callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authenticate {
    /// Which methods must succeed; nothing is asked for when absent.
    pub rule: Option<MethodRule>,
    /// Whether a request without any credentials is served as well.
    pub optional: bool,
}

/// Which methods must succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodRule {
    /// One of them.
    AnyOf(Vec<MethodRef>),
    /// All of them.
    AllOf(Vec<MethodRef>),
}

/// A method that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodRef {
    /// Its name.
    pub name: Arc<str>,
    /// Its place in [`Authentication::methods`].
    pub index: u32,
    /// What it reads or writes in a request.
    pub marks: Marks,
}

/// What a method leaves in requests that pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Headers that are taken out: the credentials, and those that only the proxy may set.
    pub removed_headers: Vec<String>,
    /// Query parameters that are taken out.
    pub removed_query: Vec<String>,
    /// The query may hold a secret.
    pub reads_query: bool,
}

impl MethodRule {
    /// The methods.
    #[must_use]
    pub fn methods(&self) -> &[MethodRef] {
        match self {
            Self::AnyOf(methods) | Self::AllOf(methods) => methods,
        }
    }
}

impl Serialize for Authenticate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(rule) = &self.rule else {
            return serializer.serialize_str("none");
        };
        let key = match rule {
            MethodRule::AnyOf(_) => "any_of",
            MethodRule::AllOf(_) => "all_of",
        };
        let names: Vec<&str> = rule.methods().iter().map(|method| &*method.name).collect();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry(key, &names)?;
        map.serialize_entry("optional", &self.optional)?;
        map.end()
    }
}
