//! Authorization: policies and their conditions, and what can be seen to be wrong with them.
//!
//! A policy that an earlier one hides whole, that excludes what it asks for, or a level that lets
//! nobody through is a mistake that would otherwise show as a service that is down, or open.

mod cover;
pub(super) mod external;
pub(super) mod rate_limit;

use super::tls::SPIFFE_PATTERN;
use super::{Names, grammar, jwt, route};
use crate::config::file::{Field, Section};
use crate::config::model::{
    Authorization, ClaimMatch, HeaderMatch, HeaderValue, IpNetwork, Listener, Policy, PolicyAction,
    PolicyConditions, PrincipalMatch, Proved, RateLimit, SpiffePattern,
};
use crate::limits;

const ACTIONS: [(&str, PolicyAction); 2] =
    [("allow", PolicyAction::Allow), ("deny", PolicyAction::Deny)];
const ACTION: &str = "\"allow\" or \"deny\"";
const PRINCIPAL: &str = "\"anonymous\", \"authenticated\", or a table of what must be proved";
const NETWORK: &str = "an address or a block of them such as \"10.0.0.0/8\" or \"::1\", \
    without bits behind its length";

/// The policies of the listener, virtual host or route in `section`, if it has any.
pub(super) fn read(section: &mut Section<'_>) -> Option<Authorization> {
    section.section("authorization", authorization).flatten()
}

/// Numbers all policies and all rate limits in the order of the file.
pub(super) fn number(listeners: &mut [Listener]) {
    let mut next = 0;
    let mut number = |authorization: &mut Option<Authorization>| {
        if let Some(authorization) = authorization {
            authorization.index = next;
            next = next.saturating_add(authorization.decision_count());
        }
    };
    let mut next_limit = 0_u32;
    let mut number_limits = |limits: &mut Vec<RateLimit>| {
        for limit in limits {
            limit.index = next_limit;
            next_limit = next_limit.saturating_add(1);
        }
    };
    for listener in listeners {
        number(&mut listener.authorization);
        number_limits(&mut listener.rate_limits);
        for host in &mut listener.virtual_hosts {
            number(&mut host.authorization);
            number_limits(&mut host.rate_limits);
            for route in &mut host.routes {
                number(&mut route.authorization);
                number_limits(&mut route.rate_limits);
            }
        }
    }
}

fn authorization(section: &mut Section<'_>) -> Option<Authorization> {
    let default = section.choice("default", PolicyAction::Deny, &ACTIONS);
    let audit = section.flag("audit", false);
    let mut names = Names::default();
    let fields = section.list("policies");
    if fields.len() > limits::POLICIES_MAX {
        let most = limits::POLICIES_MAX;
        section.refuse("policies", &format!("more than {most} policies"));
        return None;
    }
    let read = |field: &Field<'_>| {
        let policy = field.clone().section(|section| policy(section, &mut names));
        policy.flatten()
    };
    let policies: Vec<Option<Policy>> = fields.iter().map(read).collect();
    refuse_hidden(&fields, &policies);
    let count = policies.len();
    let policies: Vec<Policy> = policies.into_iter().flatten().collect();
    let allows = |policy: &Policy| policy.action == PolicyAction::Allow && !policy.audit;
    let denies_all = default == PolicyAction::Deny && !audit && !policies.iter().any(allows);
    if denies_all && policies.len() == count {
        let message = match section.has("default") {
            true => "denies every request: no policy allows any",
            false => {
                "\"deny\" when it is not set, which denies every request: no policy allows any"
            }
        };
        section.refuse("default", message);
    }
    Some(Authorization {
        default,
        audit,
        policies,
        index: 0,
    })
}

/// Notes policies that never decide, because an earlier one does.
fn refuse_hidden(fields: &[Field<'_>], policies: &[Option<Policy>]) {
    let found = fields.iter().zip(policies);
    let mut earlier: Vec<(&Field<'_>, &Policy)> = Vec::new();
    for (field, policy) in found {
        let Some(policy) = policy else { continue };
        let hides = |(_, other): &&(&Field<'_>, &Policy)| {
            // What an audited policy finds is counted only; it hides none.
            !other.audit && cover::covers(other, policy)
        };
        if let Some((other_field, other)) = earlier.iter().find(hides) {
            let what = match other.action == policy.action {
                true => "decides the same",
                false => "decides the opposite",
            };
            field.refuse::<()>(&format!(
                "never reached: {} (\"{}\") is for the same requests and {what}",
                other_field.place(),
                other.name
            ));
        }
        earlier.push((field, policy));
    }
}

fn policy(section: &mut Section<'_>, names: &mut Names) -> Option<Policy> {
    let name = section.required("name", grammar::NAME).and_then(|field| {
        let name = field.parse(grammar::NAME, grammar::name)?;
        names.take(&name, &field);
        Some(name)
    });
    if name.as_deref() == Some(Authorization::DEFAULT) {
        section.refuse("name", "stands for the default of the level");
    }
    let action = section.required("action", ACTION).and_then(|field| {
        let found = |text: &str| ACTIONS.iter().find(|action| action.0 == text);
        field.parse(ACTION, |text| found(text).map(|action| action.1))
    });
    let audit = section.flag("audit", false);
    let conditions = conditions(section);
    let not = section.section("not", self::conditions).unwrap_or_default();
    if let Some(aspect) = cover::contradiction(&conditions, &not) {
        section.refuse(
            "not",
            &format!("excludes every one of `{aspect}`: nothing is left"),
        );
    }
    Some(Policy {
        name: name?,
        action: action?,
        audit,
        conditions,
        not,
    })
}

fn conditions(section: &mut Section<'_>) -> PolicyConditions {
    PolicyConditions {
        principals: some(section, "principals", principal),
        sources: some(section, "sources", |field| {
            field.parse(NETWORK, IpNetwork::parse)
        }),
        methods: some(section, "methods", |field| {
            field.parse(grammar::METHOD, grammar::method)
        }),
        paths: some(section, "paths", |field| {
            field.section(route::path_match).flatten()
        }),
        headers: some(section, "headers", header),
        hosts: some(section, "hosts", |field| {
            field.parse(grammar::HOST_PATTERN, grammar::host_pattern)
        }),
        ports: some(section, "ports", |field| {
            u16::try_from(field.count(1..=65535)?).ok()
        }),
    }
}

/// The elements of the list under `key`. An empty list, which no request could fulfil, is refused:
/// it would mean the same as none.
fn some<'a, T: PartialEq>(
    section: &mut Section<'a>,
    key: &'static str,
    read: impl Fn(Field<'a>) -> Option<T>,
) -> Vec<T> {
    let fields = match section.has(key) {
        true => section.some_list(key, "a list of at least one"),
        false => section.list(key),
    };
    let mut found = Vec::new();
    for field in fields {
        let Some(value) = read(field.clone()) else {
            continue;
        };
        if found.contains(&value) {
            field.refuse::<()>("occurs twice");
        }
        found.push(value);
    }
    found
}

fn principal(field: Field<'_>) -> Option<PrincipalMatch> {
    match field.text() {
        Some("anonymous") => Some(PrincipalMatch::Anonymous),
        Some("authenticated") => Some(PrincipalMatch::Authenticated),
        _ if field.is_table() => field.section(proved)?.map(PrincipalMatch::Proved),
        _ => field.expected(PRINCIPAL),
    }
}

fn proved(section: &mut Section<'_>) -> Option<Proved> {
    let spiffe = section.field("spiffe");
    let spiffe = spiffe.and_then(|field| field.parse(SPIFFE_PATTERN, SpiffePattern::parse));
    section.retired("spiffe_prefix", |prefix| {
        format!("`spiffe = \"{}/*\"`", prefix.trim_end_matches('/'))
    });
    let owner = section.field("key_owner");
    let key_owner = owner.and_then(|field| field.parse(grammar::NAME, grammar::name));
    let proved = Proved {
        spiffe,
        key_owner: key_owner.map(|owner| owner.to_string()),
        user: text(section, "user"),
        issuer: text(section, "issuer"),
        subject: text(section, "subject"),
        claims: some(section, "claims", claim),
    };
    if proved.subject.is_some() && proved.issuer.is_none() {
        section.refuse(
            "subject",
            "says nothing without `issuer`: another one may call somebody else so",
        );
    }
    if proved == Proved::default() {
        section.refuse("", "expected at least one thing that must be proved");
        return None;
    }
    Some(proved)
}

/// The text under `key`, if it is there.
fn text(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    section.field(key)?.parse("a text that is not empty", some)
}

/// `{ claim = "groups", is = "admin" }`
fn claim(field: Field<'_>) -> Option<ClaimMatch> {
    field.section(|section| {
        let claim = section.required("claim", "the name of a claim");
        let claim = claim.and_then(|field| jwt::claim_path(&field));
        let is = section.required("is", "a text");
        let is = is.and_then(|field| field.parse("a text", |text| Some(text.to_owned())));
        Some(ClaimMatch {
            claim: claim?,
            is: is?,
        })
    })?
}

/// A name with `exact = "1"`, `regex = "1|2"` or `present = true`.
fn header(field: Field<'_>) -> Option<HeaderMatch> {
    field.section(|section| {
        let name = section.required("name", grammar::FIELD_NAME);
        let name = name.and_then(|field| field.parse(grammar::FIELD_NAME, grammar::field_name));
        let exact = section.field("exact");
        let regex = section.field("regex");
        let has_present = section.has("present");
        let present = section.flag("present", true);
        let value = match (exact, regex, has_present) {
            (Some(field), None, false) => {
                field.parse("a string", |text| Some(HeaderValue::Exact(text.to_owned())))
            }
            (None, Some(field), false) => route::pattern(&field).map(HeaderValue::Regex),
            (None, None, true) => Some(HeaderValue::Present(present)),
            _ => {
                section.refuse("", "expected exactly one of `exact`, `regex`, `present`");
                None
            }
        };
        Some(HeaderMatch {
            name: name?,
            value: value?,
        })
    })?
}
