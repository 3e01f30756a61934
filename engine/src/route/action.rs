//! What a route does: forward, redirect, answer; and how the request changes on the way.
//!
//! Compiled from the model, where everything was checked. Paths and hosts are appended to a
//! caller's buffer, never allocated. Not here: choosing the endpoint, writing the message.
//!
//! Standard: Gateway API `HTTPRequestRedirectFilter`, `HTTPURLRewriteFilter`, `HTTPPathModifier`.

use std::io::Write;
use std::num::NonZeroU16;

use super::{ClusterId, Numbering};
use crate::config::model::{self, HttpScheme, PathReplacement};
use crate::http::{FieldEdits, Request, Scheme};

/// What is done with a request.
#[derive(Debug)]
pub enum RouteAction {
    /// It is sent to one of these clusters.
    Forward(WeightedClusters),
    /// It is answered with another location.
    Redirect(Redirect),
    /// It is answered from the configuration.
    Direct(DirectResponse),
}

/// Clusters that share a route's requests by weight.
#[derive(Debug)]
pub struct WeightedClusters {
    /// The cluster that takes what is left, and the sum of all weights.
    last: ClusterId,
    weight_sum: u64,
    /// Each other cluster with the sum of the weights up to its own.
    clusters: Box<[(u64, ClusterId)]>,
}

/// An answer with another location.
#[derive(Debug)]
pub struct Redirect {
    status: u16,
    scheme: Option<Scheme>,
    host: Option<Box<[u8]>>,
    port: Option<NonZeroU16>,
    path: PathEdit,
}

/// An answer from the configuration.
#[derive(Debug)]
pub struct DirectResponse {
    /// The status, 200 to 599.
    pub status: u16,
    /// The content.
    pub body: Box<[u8]>,
    /// The `Content-Type`; empty when there is none.
    pub content_type: Box<[u8]>,
}

/// How target and host change before forwarding.
#[derive(Debug)]
pub struct Rewrite {
    host: Option<Box<[u8]>>,
    path: PathEdit,
}

#[derive(Debug)]
enum PathEdit {
    Keep,
    Full(Box<[u8]>),
    /// The first `matched` bytes, which are whole segments, become `with`. Neither has a slash at
    /// its end: `/` is empty.
    Prefix {
        matched: usize,
        with: Box<[u8]>,
    },
}

impl RouteAction {
    pub(super) fn compile(route: &model::Route, numbers: &Numbering) -> Self {
        match &route.action {
            model::Action::Forward(clusters) => {
                Self::Forward(WeightedClusters::compile(clusters, numbers))
            }
            model::Action::Redirect(redirect) => {
                Self::Redirect(Redirect::compile(redirect, &route.matches))
            }
            model::Action::DirectResponse(response) => Self::Direct(DirectResponse {
                status: response.status,
                body: response.body.as_bytes().into(),
                content_type: response
                    .content_type
                    .as_deref()
                    .unwrap_or_default()
                    .as_bytes()
                    .into(),
            }),
        }
    }
}

impl WeightedClusters {
    fn compile(clusters: &[model::WeightedCluster], numbers: &Numbering) -> Self {
        let mut sum = 0;
        let mut sums: Vec<(u64, ClusterId)> = Vec::new();
        for cluster in clusters.iter().filter(|cluster| cluster.weight > 0) {
            sum += u64::from(cluster.weight);
            sums.push((sum, numbers.cluster(cluster.cluster.index)));
        }
        // The configuration has at least one cluster with a weight.
        let (_, last) = sums.pop().unwrap_or((0, ClusterId(0)));
        Self {
            last,
            weight_sum: sum,
            clusters: sums.into(),
        }
    }

    /// The cluster for a request. `random` is uniform over all its values.
    #[must_use]
    #[inline]
    pub fn pick(&self, random: u32) -> ClusterId {
        // Uniform over 0..weight_sum, without a division.
        let point = (u128::from(random) * u128::from(self.weight_sum)) >> 32;
        let found = self
            .clusters
            .iter()
            .find(|(sum, _)| point < u128::from(*sum));
        found.map_or(self.last, |(_, cluster)| *cluster)
    }

    /// Every cluster that can be picked.
    pub fn clusters(&self) -> impl Iterator<Item = ClusterId> + '_ {
        self.clusters
            .iter()
            .map(|(_, cluster)| *cluster)
            .chain([self.last])
    }
}

impl Redirect {
    fn compile(redirect: &model::Redirect, matches: &[model::RouteMatch]) -> Self {
        Self {
            status: redirect.status.code(),
            scheme: redirect.scheme.map(|scheme| match scheme {
                HttpScheme::Http => Scheme::Http,
                HttpScheme::Https => Scheme::Https,
            }),
            host: redirect.host.as_ref().map(|host| host.as_bytes().into()),
            port: redirect.port,
            path: PathEdit::compile(redirect.path.as_ref(), matches),
        }
    }

    /// The status: 301, 302, 303, 307 or 308.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Appends the `Location` for `request`, which came in by `scheme`.
    ///
    /// Scheme, host and port come before the path only if one of them is configured. Otherwise the
    /// location is a path, which is right also when someone in front of us ended the TLS. The
    /// port is that of a configured scheme, else the one the client used (Gateway API: the
    /// listener's, which it is unless something in between translates ports); it is left out
    /// where it is the scheme's own.
    pub fn location(&self, request: &Request<'_>, scheme: Scheme, out: &mut Vec<u8>) {
        let host = self.host.as_deref().unwrap_or_else(|| request.host());
        let absolute = self.scheme.is_some() || self.host.is_some() || self.port.is_some();
        if absolute && !host.is_empty() {
            let target_scheme = self.scheme.or_else(|| request.scheme()).unwrap_or(scheme);
            let client_port = request.port().filter(|_| self.scheme.is_none());
            let port = self.port.map(NonZeroU16::get).or(client_port);
            let default_port = match target_scheme {
                Scheme::Http => 80,
                Scheme::Https => 443,
            };
            out.extend_from_slice(target_scheme.label().as_bytes());
            out.extend_from_slice(b"://");
            out.extend_from_slice(host);
            if let Some(port) = port.filter(|port| *port != default_port) {
                let _ = write!(out, ":{port}");
            }
            self.path.apply(request.path(), request.query(), out);
            return;
        }
        let start = out.len();
        self.path.apply(request.path(), request.query(), out);
        // `//x/y` would name the host x: RFC 3986 §4.2.
        if out.get(start..).is_some_and(|path| path.starts_with(b"//")) {
            out.splice(start..start, *b"/.");
        }
    }
}

impl Rewrite {
    pub(super) fn compile(route: &model::Route) -> Self {
        Self {
            host: route
                .rewrite
                .host
                .as_ref()
                .map(|host| host.as_bytes().into()),
            path: PathEdit::compile(route.rewrite.path.as_ref(), &route.matches),
        }
    }

    /// The new host, with port if it has one.
    #[must_use]
    pub fn host(&self) -> Option<&[u8]> {
        self.host.as_deref()
    }

    /// Whether the target changes, so that [`Self::apply`] is needed.
    #[must_use]
    pub fn changes_target(&self) -> bool {
        !matches!(self.path, PathEdit::Keep)
    }

    /// Appends the new target: the path as rewritten and the query as received.
    pub fn apply(&self, path: &[u8], query: Option<&[u8]>, out: &mut Vec<u8>) {
        self.path.apply(path, query, out);
    }
}

impl PathEdit {
    fn compile(replacement: Option<&PathReplacement>, matches: &[model::RouteMatch]) -> Self {
        match (replacement, matches) {
            (None, _) => Self::Keep,
            (Some(PathReplacement::Full(path)), _) => Self::Full(path.as_bytes().into()),
            (Some(PathReplacement::Prefix(path)), matches) => {
                let matched = match matches {
                    [
                        model::RouteMatch {
                            path: model::PathMatch::Prefix(prefix),
                            ..
                        },
                    ] => prefix.trim_end_matches('/').len(),
                    // The configuration refuses this.
                    _ => 0,
                };
                Self::Prefix {
                    matched,
                    with: path.trim_end_matches('/').as_bytes().into(),
                }
            }
        }
    }

    /// Gateway API, `HTTPPathModifier.replacePrefixMatch`: segments are replaced by segments, and
    /// what is left of the path follows.
    ///
    /// ```text
    ///   /foo/bar  /foo -> /xyz   /xyz/bar        /foo   /foo -> /     /
    ///   /foo/bar  /foo -> /      /bar            /foo/  /foo -> /xyz  /xyz/
    /// ```
    fn apply(&self, path: &[u8], query: Option<&[u8]>, out: &mut Vec<u8>) {
        match self {
            Self::Keep => out.extend_from_slice(path),
            Self::Full(path) => out.extend_from_slice(path),
            Self::Prefix { matched, with } => {
                let rest = path.get(*matched..).unwrap_or_default();
                out.extend_from_slice(with);
                out.extend_from_slice(rest);
                if with.is_empty() && rest.is_empty() {
                    out.push(b'/');
                }
            }
        }
        if let Some(query) = query {
            out.push(b'?');
            out.extend_from_slice(query);
        }
    }
}

/// The edits as the encoder wants them. What it would refuse, the configuration has refused; a
/// test compares the two.
pub(super) fn edits(edits: &model::FieldEdits) -> FieldEdits {
    let mut compiled = FieldEdits::new();
    let mut accepted = true;
    for (name, value) in &edits.set {
        accepted &= compiled.set(name.as_bytes(), value.as_bytes()).is_ok();
    }
    for (name, value) in &edits.add {
        accepted &= compiled.add(name.as_bytes(), value.as_bytes()).is_ok();
    }
    for name in &edits.remove {
        accepted &= compiled.remove(name.as_bytes()).is_ok();
    }
    debug_assert!(accepted, "an edit the configuration let through: {edits:?}");
    compiled
}
