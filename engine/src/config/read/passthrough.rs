//! What a listener that does not decrypt cannot do.
//!
//! It sees the name that a client asks for, and no request. Keys that would protect something are
//! refused rather than left without effect; bounds on requests simply have nothing to bound.

use std::sync::Arc;

use crate::config::file::Section;
use crate::config::model::{
    Action, Authenticate, Cluster, FieldEdits, Listener, PolicyConditions, Rewrite, Route,
    RouteMatch, VirtualHost,
};

/// Refuses what needs a request to be seen, on a listener with these virtual hosts.
pub(super) fn refuse_unfit(section: &Section<'_>, virtual_hosts: &[VirtualHost]) {
    for key in [
        "tls",
        "authenticate",
        "rate_limits",
        "external_authorization",
    ] {
        if section.has(key) {
            let message = "cannot be had with `passthrough`, which sees no request";
            section.refuse(key, message);
        }
    }
    for host in virtual_hosts {
        let is_fit = match &host.routes[..] {
            [route] => is_fit(route) && host.rate_limits.is_empty(),
            _ => false,
        };
        if !is_fit {
            let message = format!(
                "virtual host \"{}\": with `passthrough`, expected one route with `forward`, and \
                 at most a name, authorization and timeouts beside it",
                host.name
            );
            section.refuse("virtual_hosts", &message);
        }
    }
}

/// Whether a route only says where everything goes.
fn is_fit(route: &Route) -> bool {
    matches!(route.action, Action::Forward(_))
        && route.matches[..] == [RouteMatch::default()]
        && route.authenticate == Authenticate::default()
        && route.rewrite == Rewrite::default()
        && route.request_fields == FieldEdits::default()
        && route.response_fields == FieldEdits::default()
        && route.rate_limits.is_empty()
        && route.external_authorization.is_none()
}

/// Refuses policies that ask for what only a request shows.
pub(super) fn refuse_policies(root: &Section<'_>, listeners: &[Listener]) {
    for listener in listeners.iter().filter(|listener| listener.passthrough) {
        let levels = listener.authorizations();
        let policies = levels.flat_map(|(level, it)| it.policies.iter().map(move |it| (level, it)));
        for (level, policy) in policies {
            let asked = [&policy.conditions, &policy.not].map(unseen);
            if let Some(aspect) = asked.into_iter().flatten().next() {
                let message = format!(
                    "listener \"{}\": with `passthrough`, expected policies by `sources` and \
                     `hosts`; {level}/{} asks for `{aspect}`, which no request is there to show",
                    listener.name, policy.name
                );
                root.refuse("listeners", &message);
            }
        }
    }
}

/// What of these conditions needs a request.
fn unseen(conditions: &PolicyConditions) -> Option<&'static str> {
    let aspects = [
        ("principals", conditions.principals.is_empty()),
        ("methods", conditions.methods.is_empty()),
        ("paths", conditions.paths.is_empty()),
        ("headers", conditions.headers.is_empty()),
        ("ports", conditions.ports.is_empty()),
    ];
    let mut asked = aspects.into_iter().filter(|(_, is_empty)| !is_empty);
    asked.next().map(|(aspect, _)| aspect)
}

/// Refuses clusters with TLS of their own behind listeners that let the client's through: nobody
/// would verify what such a cluster says about its endpoints.
pub(super) fn refuse_tls_behind(
    root: &Section<'_>,
    listeners: &[Listener],
    clusters: &[(Arc<str>, Option<Cluster>)],
) {
    let has_tls = |index: u32| {
        let cluster = clusters.get(index as usize);
        cluster.is_some_and(|(_, cluster)| cluster.as_ref().is_some_and(|it| it.tls.is_some()))
    };
    for listener in listeners.iter().filter(|listener| listener.passthrough) {
        let routes = listener.virtual_hosts.iter().flat_map(|host| &host.routes);
        let weighted = routes.flat_map(|route| match &route.action {
            Action::Forward(clusters) => clusters.as_slice(),
            Action::Redirect(_) | Action::DirectResponse(_) => &[],
        });
        for cluster in weighted.map(|weighted| &weighted.cluster) {
            if has_tls(cluster.index) {
                let message = format!(
                    "listener \"{}\": with `passthrough`, expected clusters without `tls`, which \
                     \"{}\" has: the endpoints get the TLS of the client",
                    listener.name, cluster.name
                );
                root.refuse("listeners", &message);
            }
        }
    }
}
