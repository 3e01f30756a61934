//! Routes: matches, actions, rewrites, field edits.
//!
//! The rules are those of Gateway API's `HTTPRoute`; where it leaves a choice to the
//! implementation, a choice that could surprise is refused here instead.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU16;

use super::authorization::external::{self, External};
use super::listener::{self, Inherited, Known};
use super::{Names, authorization, cluster_ref, grammar, required_cluster, resilience};
use crate::config::file::{Field, Section};
use crate::config::model::{
    Action, Authenticate, DirectResponse, FieldEdits, FieldMatch, HttpScheme, PathMatch,
    PathReplacement, Pattern, QueryMatch, Redirect, RedirectStatus, Rewrite, Route, RouteMatch,
    ValueMatch, WeightedCluster,
};
use crate::limits;

/// Fields that belong to a hop or to the framing of a message: only the proxy sets them.
pub(super) const HOP_FIELDS: [&str; 13] = [
    "connection",
    "content-length",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const ACTIONS: &str = "one of `forward`, `redirect`, `direct_response`";

/// What the routes of a virtual host take from around them.
struct Around<'a> {
    authenticate: &'a Authenticate,
    external: &'a External,
}

/// Reads the routes of one listener.
pub(super) struct RouteReader<'a> {
    known: Known<'a>,
    inherited: Inherited<'a>,
    names: Names,
    /// Routes read so far, over the whole configuration.
    pub(super) count: u32,
}

impl<'a> RouteReader<'a> {
    pub(super) fn new(known: Known<'a>, inherited: Inherited<'a>, count: u32) -> Self {
        Self {
            known,
            inherited,
            names: Names::default(),
            count,
        }
    }

    /// What a virtual host or a route asks of its callers, if it says so.
    pub(super) fn authenticate(&self, section: &mut Section<'_>) -> Option<Authenticate> {
        let methods = self.known.methods;
        methods.authenticate(section, self.inherited.asks_certificates)
    }

    /// What a virtual host or a route says of external authorization.
    pub(super) fn external(&self, section: &mut Section<'_>) -> External {
        external::read(section, self.known.clusters)
    }

    /// The routes of a virtual host. Those without a name are called after it and their place.
    pub(super) fn routes(
        &mut self,
        section: &mut Section<'_>,
        host: &str,
        authenticate: Option<&Authenticate>,
        external: External,
    ) -> Vec<Route> {
        let authenticate = authenticate.unwrap_or(&self.inherited.authenticate).clone();
        let external = external.within(&self.inherited.external);
        let around = Around {
            authenticate: &authenticate,
            external: &external,
        };
        let mut earlier = HashMap::new();
        let fields = section.some_list("routes", "at least one route");
        let mut read = |(index, field): (usize, Field<'_>)| {
            let default_name = format!("{host}/{index}");
            field
                .section(|section| self.route(section, &default_name, &around, &mut earlier))
                .flatten()
        };
        fields
            .into_iter()
            .enumerate()
            .filter_map(&mut read)
            .collect()
    }

    fn route(
        &mut self,
        section: &mut Section<'_>,
        default_name: &str,
        around: &Around<'_>,
        earlier: &mut HashMap<String, String>,
    ) -> Option<Route> {
        let name = match section.field("name") {
            None => {
                self.names.take_default(default_name, section);
                Some(default_name.into())
            }
            Some(field) => {
                let name = field.parse(grammar::NAME, grammar::name);
                name.inspect(|name| self.names.take(name, &field))
            }
        };
        let matches = matches(section, earlier);
        let own = self.authenticate(section);
        let authenticate = own.unwrap_or_else(|| around.authenticate.clone());
        let action = self.action(section, &matches);
        let rewrite = section.section("rewrite", |section| rewrite(section, &matches));
        let request_fields = section.section("request_headers", edits);
        let response_fields = section.section("response_headers", edits);
        let authorization = authorization::read(section);
        let rate_limits = authorization::rate_limit::read(section);
        let external = self.external(section).within(around.external);
        let defaults = self.inherited.timeouts;
        let timeouts = section.section_or_empty("timeouts", |section| {
            listener::route_timeouts(section, defaults)
        });
        let retry = section.section_or_empty("retry", resilience::retry);
        let forwards = !section.has("redirect") && !section.has("direct_response");
        for key in ["rewrite", "request_headers", "timeouts", "retry"] {
            if section.has(key) && !forwards {
                section.refuse(key, "has no effect without `forward`");
            }
        }
        let index = self.count;
        self.count += 1;
        Some(Route {
            name: name?,
            index,
            matches,
            authenticate,
            action: action?,
            rewrite: rewrite.unwrap_or_default(),
            request_fields: request_fields.unwrap_or_default(),
            response_fields: response_fields.unwrap_or_default(),
            authorization,
            rate_limits,
            external_authorization: external.service(),
            timeouts: forwards.then_some(timeouts),
            retry: forwards.then_some(retry),
        })
    }

    fn action(&self, section: &mut Section<'_>, matches: &[RouteMatch]) -> Option<Action> {
        let forward = section.field("forward");
        let redirect = section.field("redirect");
        let direct = section.field("direct_response");
        match (forward, redirect, direct) {
            (Some(field), None, None) => self.forward(field).map(Action::Forward),
            (None, Some(field), None) => field
                .section(|section| redirection(section, matches))?
                .map(Action::Redirect),
            (None, None, Some(field)) => {
                field.section(direct_response)?.map(Action::DirectResponse)
            }
            (None, None, None) => {
                section.refuse("", &format!("missing action, expected {ACTIONS}"));
                None
            }
            _ => {
                section.refuse("", &format!("more than one action, expected {ACTIONS}"));
                None
            }
        }
    }

    /// `"cluster"`, or `[{ cluster = "a", weight = 9 }, { cluster = "b", weight = 1 }]`.
    fn forward(&self, field: Field<'_>) -> Option<Vec<WeightedCluster>> {
        let expected = "the name of a cluster, or a list of { cluster, weight }";
        if field.text().is_some() {
            return Some(vec![WeightedCluster {
                cluster: cluster_ref(&field, self.known.clusters)?,
                weight: 1,
            }]);
        }
        if !field.is_list() {
            return field.expected(expected);
        }
        let elements = field.clone().list();
        if elements.is_empty() {
            return field.expected("at least one cluster");
        }
        let count = elements.len();
        let read = |element: Field<'_>| element.section(|section| self.weighted(section)).flatten();
        let clusters: Vec<_> = elements.into_iter().filter_map(read).collect();
        if clusters.len() == count && clusters.iter().all(|cluster| cluster.weight == 0) {
            return field.refuse("all weights are 0, expected one that is not");
        }
        Some(clusters)
    }

    fn weighted(&self, section: &mut Section<'_>) -> Option<WeightedCluster> {
        let weight = section.count("weight", 1, 0..=limits::WEIGHT_MAX);
        Some(WeightedCluster {
            cluster: required_cluster(section, self.known.clusters)?,
            weight,
        })
    }
}

/// The conditions of a route; every request when there are none.
fn matches(section: &mut Section<'_>, earlier: &mut HashMap<String, String>) -> Vec<RouteMatch> {
    let fields = match section.has("matches") {
        true => section.some_list("matches", "a list of at least one match"),
        false => section.list("matches"),
    };
    let mut matches = Vec::new();
    for field in fields {
        let Some(Some(found)) = field.clone().section(route_match) else {
            continue;
        };
        if let Some(other) = earlier.insert(format!("{found:?}"), field.place()) {
            field.refuse::<()>(&format!("never reached, {other} matches the same requests"));
        }
        matches.push(found);
    }
    if !section.has("matches") {
        matches.push(RouteMatch::default());
    }
    matches
}

fn route_match(section: &mut Section<'_>) -> Option<RouteMatch> {
    let path = section.section("path", path_match);
    let method = section
        .field("method")
        .map(|field| field.parse(grammar::METHOD, grammar::method));
    let mut names = HashSet::new();
    let headers = section.list("headers").into_iter().map(|field| {
        let name = |field: &Field<'_>| field.parse(grammar::FIELD_NAME, grammar::field_name);
        value_match(field, &mut names, name)
    });
    let headers = headers.map(|found| found.map(|(name, value)| FieldMatch { name, value }));
    let headers: Vec<_> = headers.collect();
    let mut names = HashSet::new();
    let query = section.list("query").into_iter().map(|field| {
        let expected = "the name of a query parameter";
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        value_match(field, &mut names, |field| field.parse(expected, some))
    });
    let query = query.map(|found| found.map(|(name, value)| QueryMatch { name, value }));
    let query: Vec<_> = query.collect();
    Some(RouteMatch {
        path: path.unwrap_or_else(|| Some(PathMatch::default()))?,
        method: method.map_or(Some(None), |method| method.map(Some))?,
        headers: headers.into_iter().collect::<Option<_>>()?,
        query: query.into_iter().collect::<Option<_>>()?,
    })
}

pub(super) fn path_match(section: &mut Section<'_>) -> Option<PathMatch> {
    let exact = section.field("exact");
    let prefix = section.field("prefix");
    let regex = section.field("regex");
    match (exact, prefix, regex) {
        (Some(field), None, None) => field
            .parse(grammar::PATH, grammar::path)
            .map(PathMatch::Exact),
        (None, Some(field), None) => {
            let path = field.parse(grammar::PATH, grammar::path)?;
            Some(PathMatch::Prefix(without_final_slash(path)))
        }
        (None, None, Some(field)) => pattern(&field).map(PathMatch::Regex),
        _ => {
            section.refuse("", "expected exactly one of `exact`, `prefix`, `regex`");
            None
        }
    }
}

/// "When specified, a trailing `/` is ignored" (Gateway API, `PathMatchPathPrefix`).
fn without_final_slash(mut path: String) -> String {
    if path.len() > 1 && path.ends_with('/') {
        path.pop();
    }
    path
}

/// `{ name = "x", exact = "1" }` or `{ name = "x", regex = "1|2" }`.
fn value_match(
    field: Field<'_>,
    names: &mut HashSet<String>,
    parse_name: impl FnOnce(&Field<'_>) -> Option<String>,
) -> Option<(String, ValueMatch)> {
    field.section(|section| {
        let name = section.required("name", "a name").and_then(|field| {
            let name = parse_name(&field)?;
            // Gateway API would ignore all but the first.
            match names.insert(name.clone()) {
                true => Some(name),
                false => field.refuse("occurs twice in one match"),
            }
        });
        let value = match (section.field("exact"), section.field("regex")) {
            (Some(field), None) => {
                field.parse("a string", |text| Some(ValueMatch::Exact(text.to_owned())))
            }
            (None, Some(field)) => pattern(&field).map(ValueMatch::Regex),
            _ => {
                section.refuse("", "expected exactly one of `exact`, `regex`");
                None
            }
        };
        Some((name?, value?))
    })?
}

pub(super) fn pattern(field: &Field<'_>) -> Option<Pattern> {
    let text = field.parse("a regular expression", Some)?;
    Pattern::parse(text).map_or_else(
        // The last line says what; those before it draw the expression, which is quoted already.
        |error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            field.refuse(&format!(
                "not a regular expression: {}",
                reason.trim_start_matches("error: ")
            ))
        },
        Some,
    )
}

fn redirection(section: &mut Section<'_>, matches: &[RouteMatch]) -> Option<Redirect> {
    let schemes = [
        ("http", Some(HttpScheme::Http)),
        ("https", Some(HttpScheme::Https)),
    ];
    let scheme = section.choice("scheme", None, &schemes);
    let host = section
        .field("host")
        .and_then(|field| field.parse(grammar::HOST, grammar::host));
    let port = section
        .field("port")
        .and_then(|field| field.count(1..=65535));
    let port = port.and_then(|port| NonZeroU16::new(u16::try_from(port).ok()?));
    let path = path_replacement(section, matches);
    let status = section.field("status").map(|field| redirect_status(&field));
    if !["scheme", "host", "port", "path", "path_prefix"]
        .iter()
        .any(|key| section.has(key))
    {
        section.refuse(
            "",
            "leads back to the same place, expected `scheme`, `host`, `port`, \
            `path` or `path_prefix`",
        );
    }
    let status = status.unwrap_or_else(|| Some(RedirectStatus::default()))?;
    Some(Redirect {
        scheme,
        host,
        port,
        path,
        status,
    })
}

fn redirect_status(field: &Field<'_>) -> Option<RedirectStatus> {
    use RedirectStatus::{Found, MovedPermanently, PermanentRedirect, SeeOther, TemporaryRedirect};
    let all = [
        MovedPermanently,
        Found,
        SeeOther,
        TemporaryRedirect,
        PermanentRedirect,
    ];
    let code = field.number();
    let status = all
        .into_iter()
        .find(|status| Some(u64::from(status.code())) == code);
    status.or_else(|| field.expected("one of 301, 302, 303, 307, 308"))
}

fn rewrite(section: &mut Section<'_>, matches: &[RouteMatch]) -> Rewrite {
    let host = section.field("host");
    let host = host.and_then(|field| field.parse(grammar::AUTHORITY, grammar::authority));
    Rewrite {
        host,
        path: path_replacement(section, matches),
    }
}

/// What replaces the path. A prefix can only be replaced where one prefix was matched: Gateway
/// API asks for exactly one match, of type `PathPrefix`.
fn path_replacement(section: &mut Section<'_>, matches: &[RouteMatch]) -> Option<PathReplacement> {
    let path = section.field("path");
    let prefix = section.field("path_prefix");
    match (path, prefix) {
        (None, None) => None,
        (Some(field), None) => field
            .parse(grammar::PATH, grammar::path)
            .map(PathReplacement::Full),
        (None, Some(field)) => {
            let path = field.parse(grammar::PATH, grammar::path)?;
            match matches {
                [
                    RouteMatch {
                        path: PathMatch::Prefix(_),
                        ..
                    },
                ]
                | [] => Some(PathReplacement::Prefix(without_final_slash(path))),
                _ => field.refuse("expected a route with exactly one match, by path prefix"),
            }
        }
        (Some(_), Some(field)) => field.refuse("expected only one of `path`, `path_prefix`"),
    }
}

fn direct_response(section: &mut Section<'_>) -> Option<DirectResponse> {
    let status = section.required("status", "a status from 200 to 599");
    let status = status.and_then(|field| u16::try_from(field.count(200..=599)?).ok());
    let body_most = limits::DIRECT_RESPONSE_BYTES_MAX;
    let body = section.field("body").and_then(|field| {
        let short = |text: &str| (text.len() <= body_most).then(|| text.to_owned());
        let body = field.parse(&format!("a text of at most {body_most} bytes"), short)?;
        match status {
            // RFC 9110 §6.4.1: these have no content.
            Some(204 | 205 | 304) if !body.is_empty() => {
                field.refuse("not allowed with status 204, 205 or 304")
            }
            _ => Some(body),
        }
    });
    let content_type = section
        .field("content_type")
        .and_then(|field| field.parse(grammar::FIELD_VALUE, grammar::field_value));
    let body = body.unwrap_or_default();
    let default_type = || (!body.is_empty()).then(|| "text/plain; charset=utf-8".to_owned());
    Some(DirectResponse {
        status: status?,
        content_type: content_type.or_else(default_type),
        body,
    })
}

fn edits(section: &mut Section<'_>) -> FieldEdits {
    let set = section
        .field("set")
        .map(|field| lines(field, false))
        .unwrap_or_default();
    let add = section
        .field("add")
        .map(|field| lines(field, true))
        .unwrap_or_default();
    let remove = section.list("remove").into_iter().filter_map(|field| {
        let name = field.parse(grammar::FIELD_NAME, grammar::field_name)?;
        editable(&name, &field).map(|()| name)
    });
    FieldEdits {
        set,
        add,
        remove: remove.collect(),
    }
}

/// `{ name = "value" }`, and in `add` also `{ name = ["value", "value"] }`.
pub(super) fn lines(field: Field<'_>, several: bool) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (name, field) in field.entries() {
        let Some(name) = grammar::field_name(name) else {
            field.refuse::<()>("the key is not a header name (RFC 9110 token)");
            continue;
        };
        if editable(&name, &field).is_none() {
            continue;
        }
        let values = if several && field.is_list() {
            field.list()
        } else {
            vec![field]
        };
        for field in values {
            let value = field.parse(grammar::FIELD_VALUE, grammar::field_value);
            lines.extend(value.map(|value| (name.clone(), value)));
        }
    }
    lines
}

pub(super) fn editable(name: &str, field: &Field<'_>) -> Option<()> {
    if name == "host" {
        return field.refuse("`Host` is changed with `rewrite.host`");
    }
    match HOP_FIELDS.contains(&name) {
        true => field.refuse(&format!(
            "`{name}` belongs to the connection, not to the message"
        )),
        false => Some(()),
    }
}
