//! Which requests a policy is for, compared with another's without any request.
//!
//! *Covers* means: every request that the second is for is one that the first is for, too. Where
//! that cannot be seen (two regular expressions, a prefix and an expression) the answer is no.

use crate::config::model::{
    HeaderMatch, HostPattern, PathMatch, Policy, PolicyAction, PolicyConditions, PrincipalMatch,
    Proved,
};

/// Whether `first` is for every request that `second` is for.
pub(super) fn covers(first: &Policy, second: &Policy) -> bool {
    let (mine, theirs) = (&first.conditions, &second.conditions);
    lists(&mine.methods, &theirs.methods, PartialEq::eq)
        && lists(&mine.ports, &theirs.ports, PartialEq::eq)
        && lists(&mine.sources, &theirs.sources, |a, b| a.covers(b))
        && lists(&mine.hosts, &theirs.hosts, host)
        && lists(&mine.paths, &theirs.paths, path)
        && lists(&mine.principals, &theirs.principals, principal)
        // All of them must hold: the first may not ask for more than the second.
        && mine.headers.iter().all(|header| theirs.headers.contains(header))
        && (first.action == PolicyAction::Deny
            || second.action == PolicyAction::Allow
            || has_one_reading(first))
        && excludes_no_more(&first.not, &second.not)
}

/// Of a path or a field with several readings an allowing policy wants all to fit and a denying
/// one any: an allowing policy is not for all the requests that its denying twin is for.
fn has_one_reading(policy: &Policy) -> bool {
    let conditions = [&policy.conditions, &policy.not];
    conditions
        .iter()
        .all(|conditions| conditions.paths.is_empty() && conditions.headers.is_empty())
}

/// The list of `conditions` that `not` excludes whole, so that nothing is left.
pub(super) fn contradiction(
    conditions: &PolicyConditions,
    not: &PolicyConditions,
) -> Option<&'static str> {
    let header = |a: &HeaderMatch, b: &HeaderMatch| a == b;
    let aspects = [
        (
            "principals",
            excluded(&conditions.principals, &not.principals, principal),
        ),
        (
            "sources",
            excluded(&conditions.sources, &not.sources, |a, b| a.covers(b)),
        ),
        (
            "methods",
            excluded(&conditions.methods, &not.methods, PartialEq::eq),
        ),
        ("paths", excluded(&conditions.paths, &not.paths, path)),
        (
            "headers",
            conditions
                .headers
                .iter()
                .any(|wanted| not.headers.iter().any(|excluded| header(excluded, wanted))),
        ),
        ("hosts", excluded(&conditions.hosts, &not.hosts, host)),
        (
            "ports",
            excluded(&conditions.ports, &not.ports, PartialEq::eq),
        ),
    ];
    let found = aspects.into_iter().find(|(_, is_excluded)| *is_excluded);
    found.map(|(aspect, _)| aspect)
}

/// Every element of the second list is covered by one of the first; an empty list is everything.
fn lists<T>(first: &[T], second: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    first.is_empty()
        || !second.is_empty()
            && second
                .iter()
                .all(|theirs| first.iter().any(|mine| covers(mine, theirs)))
}

fn excluded<T>(wanted: &[T], not: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
    !wanted.is_empty() && !not.is_empty() && lists(not, wanted, covers)
}

/// Whatever the first excludes, the second excludes as well.
fn excludes_no_more(first: &PolicyConditions, second: &PolicyConditions) -> bool {
    fn within<T>(mine: &[T], theirs: &[T], covers: impl Fn(&T, &T) -> bool) -> bool {
        mine.iter()
            .all(|mine| theirs.iter().any(|theirs| covers(theirs, mine)))
    }
    within(&first.methods, &second.methods, PartialEq::eq)
        && within(&first.ports, &second.ports, PartialEq::eq)
        && within(&first.sources, &second.sources, |a, b| a.covers(b))
        && within(&first.hosts, &second.hosts, host)
        && within(&first.paths, &second.paths, path)
        && within(&first.principals, &second.principals, principal)
        && within(&first.headers, &second.headers, PartialEq::eq)
}

fn host(first: &HostPattern, second: &HostPattern) -> bool {
    match (first, second) {
        (HostPattern::Any, _) => true,
        (HostPattern::Exact(first), HostPattern::Exact(second)) => first == second,
        (HostPattern::Wildcard(suffix), HostPattern::Exact(host)) => host
            .strip_suffix(suffix.as_str())
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        (HostPattern::Wildcard(first), HostPattern::Wildcard(second)) => {
            first == second
                || second
                    .strip_suffix(first.as_str())
                    .is_some_and(|rest| rest.ends_with('.'))
        }
        _ => false,
    }
}

fn path(first: &PathMatch, second: &PathMatch) -> bool {
    match (first, second) {
        (PathMatch::Prefix(prefix), PathMatch::Exact(path) | PathMatch::Prefix(path)) => {
            segments_begin(path, prefix.trim_end_matches('/'))
        }
        (PathMatch::Prefix(prefix), PathMatch::Regex(_)) => prefix == "/",
        (PathMatch::Exact(first), PathMatch::Exact(second)) => first == second,
        (PathMatch::Regex(pattern), PathMatch::Exact(path)) => pattern.is_match(path.as_bytes()),
        (PathMatch::Regex(first), PathMatch::Regex(second)) => first == second,
        _ => false,
    }
}

fn principal(first: &PrincipalMatch, second: &PrincipalMatch) -> bool {
    match (first, second) {
        (PrincipalMatch::Anonymous, PrincipalMatch::Anonymous)
        | (
            PrincipalMatch::Authenticated,
            PrincipalMatch::Authenticated | PrincipalMatch::Proved(_),
        ) => true,
        (PrincipalMatch::Proved(first), PrincipalMatch::Proved(second)) => proved(first, second),
        _ => false,
    }
}

fn proved(first: &Proved, second: &Proved) -> bool {
    let identity = first.spiffe.as_ref().is_none_or(|first| {
        let second = second.spiffe.as_ref();
        second.is_some_and(|second| first.covers(second))
    });
    let owner = first.key_owner.is_none() || first.key_owner == second.key_owner;
    let user = first.user.is_none() || first.user == second.user;
    let issuer = first.issuer.is_none() || first.issuer == second.issuer;
    let subject = first.subject.is_none() || first.subject == second.subject;
    let mut claims = first.claims.iter();
    let claims = claims.all(|claim| second.claims.contains(claim));
    identity && owner && user && issuer && subject && claims
}

/// Whether `text` is `prefix` or goes on with a slash after it.
fn segments_begin(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[path = "cover_tests.rs"]
mod tests;
