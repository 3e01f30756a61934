//! What a listener that does not decrypt cannot do.
//!
//! It sees the name that a client asks for, and no request. Keys that would protect something are
//! refused rather than left without effect; bounds on requests simply have nothing to bound.

use crate::config::file::Section;
use crate::config::model::{
    Action, Authenticate, FieldEdits, Rewrite, Route, RouteMatch, VirtualHost,
};

/// Refuses what needs a request to be seen, on a listener with these virtual hosts.
pub(super) fn refuse_unfit(section: &Section<'_>, virtual_hosts: &[VirtualHost]) {
    for key in ["tls", "authenticate", "authorization"] {
        if section.has(key) {
            let message = "cannot be had with `passthrough`, which sees no request";
            section.refuse(key, message);
        }
    }
    for host in virtual_hosts {
        let is_fit = match &host.routes[..] {
            [route] => is_fit(route) && host.authorization.is_none(),
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
}
