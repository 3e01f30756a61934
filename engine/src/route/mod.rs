//! Which rule applies: step 5 of a request.
//!
//! [`RouteTable::compile`] turns a listener's virtual hosts into tables once per generation;
//! [`RouteTable::find`] reads them for every request, without allocating. The rules are those of
//! Gateway API's `HTTPRoute`: the most specific host, then the most specific match of its virtual
//! host. A virtual host that was chosen is final: when none of its routes match, there is no
//! route, even if a less specific host would have one.
//!
//! Must stay true: nothing here panics on network bytes; the answer depends on the request and
//! the configuration only. Not here: picking an endpoint, sending, timing.
//!
//! Standard: Gateway API `HTTPRoute` (v1), `apis/v1/httproute_types.go`.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod action;
mod hash;
mod host;
mod matcher;
mod path;
mod retry;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::authenticate::Requirement;
use crate::config::model;
use crate::http::{FieldEdits, Request};

pub use action::{DirectResponse, Redirect, Rewrite, RouteAction, WeightedClusters};
pub use retry::{RetryPolicy, RetryReason};

use host::HostTable;
use path::PathTable;

/// A route, by the number that its name has over all generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u32);

/// A cluster, by the number that its name has over all generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId(pub u32);

/// The numbers of a configuration's routes and clusters, each by place in it. What it does not hold
/// has its place as number, as in a first configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbering {
    /// Of routes, by `config::Route::index`.
    pub routes: Vec<RouteId>,
    /// Of clusters, by place in `config::Config::clusters`.
    pub clusters: Vec<ClusterId>,
}

impl Numbering {
    /// The number of the route at `index`.
    #[must_use]
    pub fn route(&self, index: u32) -> RouteId {
        let number = self.routes.get(index as usize);
        number.copied().unwrap_or(RouteId(index))
    }

    /// The number of the cluster at `index`.
    #[must_use]
    pub fn cluster(&self, index: u32) -> ClusterId {
        let number = self.clusters.get(index as usize);
        number.copied().unwrap_or(ClusterId(index))
    }
}

/// The routes of one listener.
#[derive(Debug)]
pub struct RouteTable {
    hosts: HostTable,
    virtual_hosts: Vec<PathTable>,
    routes: Vec<Route>,
}

/// Where in its listener's rules a request belongs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Location<'a> {
    /// The place of the virtual host among those of the listener.
    pub virtual_host: Option<usize>,
    /// The place of the route among those of the listener.
    pub place: Option<usize>,
    /// The route.
    pub route: Option<&'a Route>,
}

/// What is done with the requests that match.
#[derive(Debug)]
pub struct Route {
    /// Its number.
    pub id: RouteId,
    /// Its name in metrics and logs.
    pub name: Arc<str>,
    /// Who must prove who it is, and how.
    pub requirement: Requirement,
    /// What is done with the request.
    pub action: RouteAction,
    /// How target and host change before forwarding.
    pub rewrite: Rewrite,
    /// Changes to the fields of a forwarded request.
    pub request_edits: FieldEdits,
    /// Changes to the fields of every response, also one the proxy makes itself for this route.
    pub response_edits: FieldEdits,
    /// Deadlines of the exchange.
    pub timeouts: RouteTimeouts,
    /// When and how it is tried again.
    pub retry: RetryPolicy,
}

/// Deadlines of an exchange; `None` is unbounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// From the request head to the last byte of the response.
    pub request: Option<Duration>,
    /// From the whole request sent to the first byte of the response.
    pub first_byte: Option<Duration>,
    /// Longest time without a byte in either direction.
    pub idle: Option<Duration>,
}

impl RouteTable {
    /// The tables of a listener of a first configuration.
    #[must_use]
    pub fn compile(listener: &model::Listener) -> Self {
        Self::numbered(listener, &Numbering::default())
    }

    /// The tables of a listener.
    ///
    /// *Cost*: proportional to the configuration; done once per generation.
    #[must_use]
    pub fn numbered(listener: &model::Listener, numbers: &Numbering) -> Self {
        let mut routes = Vec::new();
        let mut virtual_hosts = Vec::new();
        for host in &listener.virtual_hosts {
            virtual_hosts.push(PathTable::compile(&host.routes, routes.len()));
            let compile = |route| Route::compile(route, numbers);
            routes.extend(host.routes.iter().map(compile));
        }
        let hosts = listener.virtual_hosts.iter().enumerate();
        let hosts = hosts.flat_map(|(index, host)| host.hosts.iter().map(move |h| (h, index)));
        Self {
            hosts: HostTable::compile(hosts),
            virtual_hosts,
            routes,
        }
    }

    /// The route for a request, if there is one.
    ///
    /// *Cost*: one pass over the host and one over the path, whatever the number of routes, plus
    /// the conditions on method, fields and query of those routes whose path matches; regular
    /// expressions of the virtual host are tried one after the other. Allocates only to decode a
    /// query parameter that is percent-encoded and has a regular expression.
    #[must_use]
    pub fn find(&self, request: &Request<'_>) -> Option<&Route> {
        self.locate(request).route
    }

    /// Where a request belongs: its virtual host, and its route if one matches. Costs what
    /// [`RouteTable::find`] does.
    #[must_use]
    pub fn locate(&self, request: &Request<'_>) -> Location<'_> {
        let virtual_host = self.hosts.find(request.host());
        let paths = virtual_host.and_then(|at| self.virtual_hosts.get(at));
        let place = paths.and_then(|paths| paths.find(request));
        Location {
            virtual_host,
            place,
            route: place.and_then(|place| self.routes.get(place)),
        }
    }

    /// Where a name alone belongs, on a listener each of whose virtual hosts has one route.
    ///
    /// *Cost*: one pass over the name.
    #[must_use]
    pub fn locate_name(&self, name: &str) -> Location<'_> {
        let place = self.hosts.find(name.as_bytes());
        Location {
            virtual_host: place,
            place,
            route: place.and_then(|place| self.routes.get(place)),
        }
    }

    /// All routes, in the order of the file.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }
}

impl Route {
    fn compile(route: &model::Route, numbers: &Numbering) -> Self {
        let timeouts = route.timeouts.as_ref().map(|timeouts| RouteTimeouts {
            request: timeouts.request,
            first_byte: timeouts.first_byte,
            idle: timeouts.idle,
        });
        let retry = route.retry.as_ref().map(RetryPolicy::compile);
        Self {
            id: numbers.route(route.index),
            name: Arc::clone(&route.name),
            requirement: Requirement::compile(&route.authenticate),
            action: RouteAction::compile(route, numbers),
            rewrite: Rewrite::compile(route),
            request_edits: action::edits(&route.request_fields),
            response_edits: action::edits(&route.response_fields),
            timeouts: timeouts.unwrap_or_default(),
            retry: retry.unwrap_or_default(),
        }
    }
}

impl fmt::Display for RouteId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
