//! What a listener that does not decrypt cannot do.
//!
//! It sees the name that a client asks for, and no request. Keys that would protect something are
//! refused rather than left without effect; bounds on requests simply have nothing to bound.

use std::sync::Arc;

use crate::config::file::Section;
use crate::config::model::{
    Action, Authenticate, Cluster, FieldEdits, Listener, Rewrite, Route, RouteMatch, VirtualHost,
};

/// Refuses what needs a request to be seen, on a listener with these virtual hosts.
pub(super) fn refuse_unfit(section: &Section<'_>, virtual_hosts: &[VirtualHost]) {
    for key in [
        "tls",
        "authenticate",
        "authorization",
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
            [route] => is_fit(route) && host.authorization.is_none() && host.rate_limits.is_empty(),
            _ => false,
        };
        if !is_fit {
            let message = format!(
                "virtual host \"{}\": with `passthrough`, expected one route with `forward`, and \
                 at most a name and timeouts beside it",
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
        && route.authorization.is_none()
        && route.rate_limits.is_empty()
        && route.external_authorization.is_none()
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
