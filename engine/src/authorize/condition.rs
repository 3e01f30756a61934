//! Conditions on a request, as compiled: one list for each aspect.
//!
//! Each aspect is judged by itself, so that an explanation can say which one failed. Hosts are
//! compared in any case, everything else byte for byte.

use crate::authenticate::{Principal, Token};
use crate::config::{
    HeaderMatch, HeaderValue, HostPattern, IpNetwork, PathMatch, PolicyConditions, PrincipalMatch,
    Proved, SpiffePattern,
};
use crate::http::FieldName;

use super::attributes::{Attributes, Readings};

/// What of a request a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aspect {
    /// Who calls.
    Principal,
    /// From what address.
    Source,
    /// The method.
    Method,
    /// The path.
    Path,
    /// The host.
    Host,
    /// The port.
    Port,
    /// The fields.
    Header,
}

impl Aspect {
    /// All of them, cheap ones first.
    pub const ALL: [Self; 7] = [
        Self::Method,
        Self::Port,
        Self::Principal,
        Self::Source,
        Self::Host,
        Self::Path,
        Self::Header,
    ];

    /// The key of its list in the configuration.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Principal => "principals",
            Self::Source => "sources",
            Self::Method => "methods",
            Self::Path => "paths",
            Self::Host => "hosts",
            Self::Port => "ports",
            Self::Header => "headers",
        }
    }
}

/// Which of its conditions must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Each list that is not empty, by one element; all fields.
    Each,
    /// No element of any list.
    None,
}

/// Conditions on a request.
#[derive(Debug)]
pub(super) struct Conditions {
    pub(super) principals: Box<[PrincipalMatch]>,
    pub(super) sources: Box<[IpNetwork]>,
    pub(super) methods: Box<[Box<[u8]>]>,
    pub(super) paths: Box<[PathMatch]>,
    pub(super) hosts: Box<[HostPattern]>,
    ports: Box<[u16]>,
    headers: Box<[Header]>,
}

#[derive(Debug)]
struct Header {
    name: FieldName,
    name_bytes: Box<[u8]>,
    value: HeaderValue,
}

impl Conditions {
    pub(super) fn compile(conditions: &PolicyConditions) -> Self {
        let header = |header: &HeaderMatch| Header {
            name: FieldName::recognise(header.name.as_bytes()),
            name_bytes: header.name.as_bytes().into(),
            value: header.value.clone(),
        };
        let methods = conditions.methods.iter();
        Self {
            principals: conditions.principals.clone().into(),
            sources: conditions.sources.clone().into(),
            methods: methods.map(|method| method.as_bytes().into()).collect(),
            paths: conditions.paths.clone().into(),
            hosts: conditions.hosts.clone().into(),
            ports: conditions.ports.clone().into(),
            headers: conditions.headers.iter().map(header).collect(),
        }
    }

    /// Whether there is no condition on `aspect`.
    pub(super) fn is_free(&self, aspect: Aspect) -> bool {
        match aspect {
            Aspect::Principal => self.principals.is_empty(),
            Aspect::Source => self.sources.is_empty(),
            Aspect::Method => self.methods.is_empty(),
            Aspect::Path => self.paths.is_empty(),
            Aspect::Host => self.hosts.is_empty(),
            Aspect::Port => self.ports.is_empty(),
            Aspect::Header => self.headers.is_empty(),
        }
    }

    /// Whether the list for `aspect`, which is not empty, holds as it is wanted.
    pub(super) fn holds(
        &self,
        aspect: Aspect,
        attributes: &Attributes<'_>,
        readings: Readings,
        wanted: Wanted,
    ) -> bool {
        let request = &attributes.request;
        let facts = &attributes.facts;
        match aspect {
            Aspect::Principal => self
                .principals
                .iter()
                .any(|principal| principal_holds(principal, facts.principal)),
            Aspect::Source => facts
                .client
                .is_some_and(|client| self.sources.iter().any(|source| source.contains(client))),
            Aspect::Method => self
                .methods
                .iter()
                .any(|method| **method == *request.method_bytes()),
            Aspect::Path => readings.judge(attributes.paths(), |path| {
                self.paths.iter().any(|wanted| path_holds(wanted, path))
            }),
            Aspect::Host => {
                let host = attributes.host();
                self.hosts.iter().any(|pattern| host_holds(pattern, host))
            }
            Aspect::Port => self.ports.contains(&attributes.port()),
            Aspect::Header => {
                let mut headers = self.headers.iter();
                match wanted {
                    Wanted::Each => headers.all(|header| header.holds(attributes, readings)),
                    Wanted::None => headers.any(|header| header.holds(attributes, readings)),
                }
            }
        }
    }
}

impl Header {
    fn holds(&self, attributes: &Attributes<'_>, readings: Readings) -> bool {
        let is_named = |name: FieldName, bytes: &[u8]| match self.name {
            FieldName::Other | FieldName::XForwardedOther => {
                bytes.eq_ignore_ascii_case(&self.name_bytes)
            }
            known => name == known,
        };
        let lines = attributes.request.fields();
        let mut lines = lines.filter(|line| is_named(line.name, line.name_bytes));
        match &self.value {
            HeaderValue::Present(wanted) => lines.next().is_some() == *wanted,
            HeaderValue::Exact(value) => {
                readings.judge(lines, |line| line.value == value.as_bytes())
            }
            HeaderValue::Regex(pattern) => {
                readings.judge(lines, |line| pattern.is_match(line.value))
            }
        }
    }
}

fn principal_holds(wanted: &PrincipalMatch, principal: &Principal<'_>) -> bool {
    match wanted {
        PrincipalMatch::Anonymous => principal.is_anonymous(),
        PrincipalMatch::Authenticated => !principal.is_anonymous(),
        PrincipalMatch::Proved(proved) => proved_holds(proved, principal),
    }
}

fn proved_holds(wanted: &Proved, principal: &Principal<'_>) -> bool {
    let identity = principal.spiffe_id();
    let is_it = |wanted: &Option<SpiffePattern>| match wanted {
        Some(pattern) => identity.is_some_and(|id| pattern.matches(id)),
        None => true,
    };
    let owns = |owner: &Option<String>| match owner {
        Some(_) => owner.as_deref() == principal.key_owner,
        None => true,
    };
    is_it(&wanted.spiffe)
        && owns(&wanted.key_owner)
        && (wanted.user.is_none() || wanted.user.as_deref() == principal.user)
        && token_holds(wanted, principal.token.as_deref())
}

fn token_holds(wanted: &Proved, token: Option<&Token>) -> bool {
    let Some(token) = token else {
        return wanted.issuer.is_none() && wanted.subject.is_none() && wanted.claims.is_empty();
    };
    let issuer = wanted.issuer.as_deref();
    let subject = wanted.subject.as_deref();
    issuer.is_none_or(|issuer| issuer == &*token.issuer)
        && subject.is_none_or(|subject| Some(subject) == token.subject.as_deref())
        && wanted.claims.iter().all(|wanted| {
            let claim = token.claim(&wanted.claim);
            claim.is_some_and(|claim| claim.is(&wanted.is))
        })
}

fn path_holds(wanted: &PathMatch, path: &[u8]) -> bool {
    match wanted {
        PathMatch::Exact(exact) => exact.as_bytes() == path,
        // As in routes: `/` stands for every request, also for `*` and CONNECT.
        PathMatch::Prefix(prefix) if prefix == "/" => true,
        PathMatch::Prefix(prefix) => begins_with_segments(path, prefix.as_bytes()),
        PathMatch::Regex(pattern) => pattern.is_match(path),
    }
}

/// `host` is in any case, the pattern in lower case.
fn host_holds(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(exact) => exact.as_bytes().eq_ignore_ascii_case(host),
        HostPattern::Wildcard(suffix) => {
            let label = host.len().checked_sub(suffix.len());
            let parts = label.and_then(|label| host.split_at_checked(label));
            parts.is_some_and(|(label, rest)| {
                label.len() > 1
                    && label.ends_with(b".")
                    && rest.eq_ignore_ascii_case(suffix.as_bytes())
            })
        }
    }
}

/// Whether `text` is `prefix` or goes on with a slash after it.
fn begins_with_segments(text: &[u8], prefix: &[u8]) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
