//! Who may do what, as meant: ordered policies per listener, virtual host and route.
//!
//! Must stay true: names are unique within their level, a level that denies by default has a
//! policy that allows, no policy is hidden whole by an earlier one. Not here: how policies are
//! looked up and judged (`authorize`).

mod external;
mod network;
mod rate_limit;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

pub use external::{ExternalAuthorization, NamePattern};
pub use network::IpNetwork;
pub use rate_limit::{LimitKey, RateLimit};

use super::{ClaimPath, HostPattern, Listener, PathMatch, Pattern, SpiffePattern};

/// The policies of one listener, virtual host or route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Authorization {
    /// What happens to a request that no policy is for.
    pub default: PolicyAction,
    /// Nothing is denied here; what would have been is logged and counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub audit: bool,
    /// In the order in which they are tried; the first that is for a request decides.
    pub policies: Vec<Policy>,
    /// The number of its first policy over the whole configuration, from 0. The default has the
    /// number after its last policy.
    #[serde(skip)]
    pub index: u32,
}

impl Authorization {
    /// What the default of a level is called where policies are named; no policy has this name.
    pub const DEFAULT: &str = "default";

    /// How many decisions of it are counted: one a policy, and its default.
    #[must_use]
    pub fn decision_count(&self) -> u32 {
        u32::try_from(self.policies.len()).map_or(u32::MAX, |count| count.saturating_add(1))
    }

    /// What its decisions are called: the names of its policies, and that of its default.
    pub fn names(&self) -> impl Iterator<Item = Arc<str>> {
        let policies = self.policies.iter().map(|policy| Arc::clone(&policy.name));
        policies.chain([Self::DEFAULT.into()])
    }
}

/// Whose policies they are. Printed as `listener`, `virtual_host:NAME` or `route:NAME`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationLevel<'a> {
    /// Those of the listener.
    Listener,
    /// Those of the virtual host of this name.
    VirtualHost(&'a str),
    /// Those of the route of this name.
    Route(&'a str),
}

impl Listener {
    /// All its levels of policies, in the order of the file.
    pub fn authorizations(&self) -> impl Iterator<Item = (AuthorizationLevel<'_>, &Authorization)> {
        let own = [(AuthorizationLevel::Listener, &self.authorization)];
        let inner = self.virtual_hosts.iter().flat_map(|host| {
            let level = AuthorizationLevel::VirtualHost(&host.name);
            let routes = host.routes.iter();
            let routes =
                routes.map(|route| (AuthorizationLevel::Route(&route.name), &route.authorization));
            [(level, &host.authorization)].into_iter().chain(routes)
        });
        let levels = own.into_iter().chain(inner);
        levels.filter_map(|(level, authorization)| Some((level, authorization.as_ref()?)))
    }
}

impl Listener {
    /// All its rate limits, in the order of the file.
    pub fn all_rate_limits(&self) -> impl Iterator<Item = (AuthorizationLevel<'_>, &RateLimit)> {
        let own = [(AuthorizationLevel::Listener, &self.rate_limits)];
        let inner = self.virtual_hosts.iter().flat_map(|host| {
            let level = AuthorizationLevel::VirtualHost(&host.name);
            let routes = host.routes.iter();
            let routes =
                routes.map(|route| (AuthorizationLevel::Route(&route.name), &route.rate_limits));
            [(level, &host.rate_limits)].into_iter().chain(routes)
        });
        let levels = own.into_iter().chain(inner);
        levels.flat_map(|(level, limits)| limits.iter().map(move |limit| (level, limit)))
    }
}

impl fmt::Display for AuthorizationLevel<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener => out.write_str("listener"),
            Self::VirtualHost(name) => write!(out, "virtual_host:{name}"),
            Self::Route(name) => write!(out, "route:{name}"),
        }
    }
}

/// What a policy does with the requests it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyAction {
    /// They pass.
    Allow,
    /// They are answered with 403.
    Deny,
}

/// A rule for some requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Policy {
    /// The name in metrics and logs; unique in its level.
    pub name: Arc<str>,
    /// What it does.
    pub action: PolicyAction,
    /// It decides nothing; what it would have decided is logged and counted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub audit: bool,
    /// What must hold of a request: of each list that is not empty, one element; of `headers` all.
    #[serde(flatten)]
    pub conditions: PolicyConditions,
    /// What must not hold of it: no element of any list.
    #[serde(skip_serializing_if = "PolicyConditions::is_empty")]
    pub not: PolicyConditions,
}

/// Conditions on a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PolicyConditions {
    /// Who calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub principals: Vec<PrincipalMatch>,
    /// From where: the address of the client, after trusted hops.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<IpNetwork>,
    /// Methods.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Paths, in the form in which they are routed and forwarded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathMatch>,
    /// Fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// Hosts the request is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostPattern>,
    /// Ports the request is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
}

impl PolicyConditions {
    /// Whether every request fulfils it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A condition on who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalMatch {
    /// Who has proved nothing.
    Anonymous,
    /// Who has proved anything.
    Authenticated,
    /// Who has proved all of this.
    Proved(Proved),
}

/// What a caller must have proved; never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proved {
    /// Its certificate has this identity, or one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe: Option<SpiffePattern>,
    /// Its API key belongs to this owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_owner: Option<String>,
    /// It gave the password of this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Its token is from this issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Its token is about this subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its token says all of this.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<ClaimMatch>,
}

/// A condition on what a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClaimMatch {
    /// Where.
    pub claim: ClaimPath,
    /// The text that stands there, or in the list that stands there.
    pub is: String,
}

/// A condition on a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderMatch {
    /// The field's name, in lower case.
    pub name: String,
    /// The condition on its lines.
    #[serde(flatten)]
    pub value: HeaderValue,
}

/// A condition on the lines of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderValue {
    /// Equal, byte for byte.
    Exact(String),
    /// A regular expression over the whole value.
    Regex(Pattern),
    /// Whether there is such a field.
    Present(bool),
}

impl Serialize for PrincipalMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Anonymous => serializer.serialize_str("anonymous"),
            Self::Authenticated => serializer.serialize_str("authenticated"),
            Self::Proved(proved) => proved.serialize(serializer),
        }
    }
}
