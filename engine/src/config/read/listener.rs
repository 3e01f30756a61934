//! Listeners, from the file to the model: limits, deadlines, policies, virtual hosts.
//!
//! Names and addresses are unique over all listeners, hosts and route names within one. Routes are
//! numbered over the whole configuration while they are read.

use std::collections::HashMap;
use std::sync::Arc;

use super::authentication::Methods;
use super::defaults::{self, Defaults};
use super::route::RouteReader;
use super::{Names, PROFILES, Places, authorization, grammar};
use crate::config::error::near_miss;
use crate::config::file::{Field, Section};
use crate::config::model::{
    Authenticate, ClientCertificate, EscapedSlashes, FieldPolicies, FieldPolicy, HostPattern,
    Identity, Listener, ListenerLimits, ListenerTimeouts, PathNormalization, Profile,
    RouteTimeouts, ServerPolicy, TRUST_ALL_HOPS, UnderscorePolicy, VirtualHost,
};
use crate::limits;

const HEAD_BYTES: std::ops::RangeInclusive<u64> = 1024..=limits::HEAD_BYTES_MAX as u64;

/// What listeners and routes may refer to.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    /// What TLS defaults to.
    pub(super) identity: Option<&'a Identity>,
    /// Clusters, with their places.
    pub(super) clusters: &'a HashMap<Arc<str>, usize>,
    /// Methods of authentication.
    pub(super) methods: &'a Methods,
    /// Virtual hosts that name their listeners.
    pub(super) attached: &'a Attached<'a>,
}

/// Virtual hosts that stand beside the listeners and name them, so that another file can add one.
pub(super) struct Attached<'a>(Vec<(Field<'a>, Vec<&'a str>)>);

impl<'a> Attached<'a> {
    /// Finds them, and refuses those that name no listener. They are read with their listeners,
    /// from which they take defaults.
    pub(super) fn read(root: &mut Section<'a>) -> Self {
        let listeners = root.peek("listeners").filter(Field::is_list);
        let listeners = listeners.map(Field::list).unwrap_or_default();
        let names = listeners.iter().filter_map(|field| field.peek("name"));
        let names: Vec<&str> = names.filter_map(|name| name.text()).collect();
        let fields = root.list("virtual_hosts").into_iter();
        Self(fields.map(|field| Self::find(field, &names)).collect())
    }

    fn find(field: Field<'a>, names: &[&'a str]) -> (Field<'a>, Vec<&'a str>) {
        let Some(list) = field.peek("listeners") else {
            field.expected::<()>("a table with `listeners`, the names of those it belongs to");
            return (field, Vec::new());
        };
        if list.is_empty_list() {
            list.expected::<()>("the name of at least one listener");
        }
        let known = |field: Field<'a>| match field.text() {
            Some(name) if names.contains(&name) => Some(name),
            name => match name.and_then(|name| near_miss(name, names)) {
                Some(near) => field.refuse(&format!("no such listener, did you mean \"{near}\"?")),
                None => field.expected("the name of a listener"),
            },
        };
        let listeners = list.list().into_iter().filter_map(known).collect();
        (field, listeners)
    }

    /// Those of one listener.
    fn of(&self, listener: Option<&str>) -> Vec<Field<'a>> {
        let is_its = |names: &[&str]| listener.is_some_and(|name| names.contains(&name));
        let its = self.0.iter().filter(|(_, names)| is_its(names));
        its.map(|(field, _)| field.clone()).collect()
    }
}

/// Reads the listeners of one configuration.
pub(super) struct Reader<'a> {
    profile: Profile,
    known: Known<'a>,
    /// Routes read so far, over all listeners.
    route_count: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(profile: Profile, known: Known<'a>) -> Self {
        Self {
            profile,
            known,
            route_count: 0,
        }
    }

    pub(super) fn listener(
        &mut self,
        section: &mut Section<'_>,
        names: &mut Names,
        places: &mut Places,
    ) -> Option<Listener> {
        let name = section.required("name", grammar::NAME).and_then(|field| {
            let name = field.parse(grammar::NAME, grammar::name)?;
            names.take(&name, &field);
            Some(name)
        });
        let address = section.required("address", super::ADDRESS);
        let address = address.and_then(|field| places.take(&field));
        let profile = section.choice("profile", self.profile, &PROFILES);
        let defaults = Defaults::of(profile);
        let max_connections = section
            .field("max_connections")
            .and_then(|field| field.count(1..=u32::MAX));
        let allow_connect = section.flag("allow_connect", false);
        let upgrades = upgrades(section);
        let passthrough = section.flag("passthrough", false);
        let tls = section.section("tls", |section| {
            super::tls::listener(section, self.known.identity)
        });
        let tls = tls.flatten();
        let limits = section.section_or_empty("limits", |section| limits(section, &defaults));
        let timeouts = section.section_or_empty("timeouts", |section| timeouts(section, &defaults));
        let path = section.section_or_empty("path", |section| path(section, &defaults));
        let fields = section.section_or_empty("fields", |section| fields(section, &defaults));
        let route_timeouts = section.section_or_empty("route_timeouts", |section| {
            route_timeouts(section, &defaults::ROUTE_TIMEOUTS)
        });
        let asks_certificates = tls
            .as_ref()
            .is_some_and(|tls| tls.client_certificate != ClientCertificate::Off);
        let authenticate = self.known.methods.authenticate(section, asks_certificates);
        let inherited = Inherited {
            timeouts: &route_timeouts,
            asks_certificates,
            authenticate: authenticate.unwrap_or_default(),
            external: authorization::external::read(section, self.known.clusters),
        };
        let authorization = authorization::read(section);
        let rate_limits = authorization::rate_limit::read(section);
        let virtual_hosts = self.virtual_hosts(section, inherited, name.as_deref());
        if allow_connect && asks_outside(&virtual_hosts) {
            let message =
                "expected false where `external_authorization` is asked, which needs a path";
            section.refuse("allow_connect", message);
        }
        if passthrough {
            super::passthrough::refuse_unfit(section, &virtual_hosts);
        }
        Some(Listener {
            name: name?,
            address: address?,
            profile,
            max_connections,
            allow_connect,
            upgrades,
            passthrough,
            tls,
            limits,
            timeouts,
            path,
            fields,
            authorization,
            rate_limits,
            virtual_hosts,
        })
    }

    fn virtual_hosts(
        &mut self,
        section: &mut Section<'_>,
        inherited: Inherited<'_>,
        listener: Option<&str>,
    ) -> Vec<VirtualHost> {
        let mut reader = VirtualHostReader {
            routes: RouteReader::new(self.known, inherited, self.route_count),
            names: Names::default(),
            hosts: Names::default(),
        };
        let attached = self.known.attached.of(listener);
        let own = match attached.is_empty() {
            true => section.some_list("virtual_hosts", "at least one virtual host"),
            false => section.list("virtual_hosts"),
        };
        let own = own.into_iter().map(|field| (field, false));
        let attached = attached.into_iter().map(|field| (field, true));
        let read = |(field, is_attached): (Field<'_>, bool)| {
            let read = |section: &mut Section<'_>| reader.virtual_host(section, is_attached);
            field.section(read).flatten()
        };
        let virtual_hosts = own.chain(attached).filter_map(read).collect();
        self.route_count = reader.routes.count;
        virtual_hosts
    }
}

/// What the routes of a listener take from it where they say nothing themselves.
pub(super) struct Inherited<'a> {
    pub(super) timeouts: &'a RouteTimeouts,
    /// The listener asks its clients for certificates.
    pub(super) asks_certificates: bool,
    pub(super) authenticate: Authenticate,
    pub(super) external: authorization::external::External,
}

/// Reads the virtual hosts of one listener.
struct VirtualHostReader<'a> {
    routes: RouteReader<'a>,
    names: Names,
    hosts: Names,
}

impl VirtualHostReader<'_> {
    fn virtual_host(
        &mut self,
        section: &mut Section<'_>,
        is_attached: bool,
    ) -> Option<VirtualHost> {
        if is_attached {
            let _found_already = section.field("listeners");
        }
        let fields = section.some_list("hosts", grammar::HOST_PATTERNS);
        let hosts: Vec<HostPattern> = fields.iter().filter_map(|field| self.host(field)).collect();
        let name = match section.field("name") {
            None => hosts.first().map(|host| Arc::from(host.to_string())),
            Some(field) => {
                let name = field.parse(grammar::NAME, grammar::name);
                name.inspect(|name| self.names.take(name, &field))
            }
        };
        let authenticate = self.routes.authenticate(section);
        let authorization = authorization::read(section);
        let rate_limits = authorization::rate_limit::read(section);
        let external = self.routes.external(section);
        let routes = self.routes.routes(
            section,
            name.as_deref().unwrap_or_default(),
            authenticate.as_ref(),
            external,
        );
        Some(VirtualHost {
            name: name?,
            hosts,
            authorization,
            rate_limits,
            routes,
        })
    }

    fn host(&mut self, field: &Field<'_>) -> Option<HostPattern> {
        let pattern = field.parse(grammar::HOST_PATTERN, grammar::host_pattern)?;
        self.hosts.take(&pattern.to_string(), field);
        Some(pattern)
    }
}

/// Whether external authorization is asked for any route.
fn asks_outside(virtual_hosts: &[VirtualHost]) -> bool {
    let mut routes = virtual_hosts.iter().flat_map(|host| &host.routes);
    routes.any(|route| route.external_authorization.is_some())
}

fn upgrades(section: &mut Section<'_>) -> Vec<String> {
    let Some(field) = section.field("upgrades") else {
        return vec!["websocket".to_owned()];
    };
    let protocol = |field: Field<'_>| {
        field.parse("a protocol name such as \"websocket\"", grammar::field_name)
    };
    field.list().into_iter().filter_map(protocol).collect()
}

fn limits(section: &mut Section<'_>, defaults: &Defaults) -> ListenerLimits {
    let head_bytes = section.size("head_bytes", limits::HEAD_BYTES as u64, HEAD_BYTES);
    // A smaller head makes for a smaller line, unless the line is set.
    let line_default = (limits::REQUEST_LINE_BYTES as u64).min(head_bytes);
    ListenerLimits {
        head_bytes,
        request_line_bytes: section.size("request_line_bytes", line_default, 64..=head_bytes),
        field_count: section.count(
            "field_count",
            limits::FIELD_COUNT as u32,
            1..=limits::FIELD_COUNT_MAX as u32,
        ),
        body_bytes: section.size_limit("body_bytes", defaults.body_bytes),
        requests_per_connection: section
            .count_limit("requests_per_connection", defaults.requests_per_connection),
    }
}

fn timeouts(section: &mut Section<'_>, defaults: &Defaults) -> ListenerTimeouts {
    ListenerTimeouts {
        handshake: section.duration("handshake", defaults::HANDSHAKE),
        header: section.duration("header", defaults::HEADER),
        body_gap: section.duration("body_gap", defaults::GAP),
        send_gap: section.duration("send_gap", defaults::GAP),
        idle: section.duration("idle", defaults.idle),
        lifetime: section.duration_limit("lifetime", Some(defaults::LIFETIME)),
    }
}

/// The deadlines of a route; what is not set is `default`.
pub(super) fn route_timeouts(section: &mut Section<'_>, default: &RouteTimeouts) -> RouteTimeouts {
    RouteTimeouts {
        request: section.duration_limit("request", default.request),
        first_byte: section.duration_limit("first_byte", default.first_byte),
        idle: section.duration_limit("idle", default.idle),
    }
}

fn path(section: &mut Section<'_>, defaults: &Defaults) -> PathNormalization {
    let escaped = [
        ("refuse", EscapedSlashes::Refuse),
        ("keep", EscapedSlashes::Keep),
    ];
    PathNormalization {
        merge_slashes: section.flag("merge_slashes", defaults.merge_slashes),
        escaped_slashes: section.choice("escaped_slashes", defaults.escaped_slashes, &escaped),
    }
}

fn fields(section: &mut Section<'_>, defaults: &Defaults) -> FieldPolicies {
    let policies = [("set", FieldPolicy::Set), ("pass", FieldPolicy::Pass)];
    let underscores = [
        ("refuse", UnderscorePolicy::Refuse),
        ("pass", UnderscorePolicy::Pass),
    ];
    FieldPolicies {
        trusted_hops: trusted_hops(section).unwrap_or(defaults.trusted_hops),
        forwarded: section.choice("forwarded", FieldPolicy::Set, &policies),
        request_id: section.choice("request_id", FieldPolicy::Set, &policies),
        via: via(section),
        server: product(section, &defaults.server),
        date: section.flag("date", true),
        underscores: section.choice("underscores", defaults.underscores, &underscores),
    }
}

fn trusted_hops(section: &mut Section<'_>) -> Option<u8> {
    let field = section.field("trusted_hops")?;
    if field.text() == Some("all") {
        return Some(TRUST_ALL_HOPS);
    }
    let most = limits::TRUSTED_HOPS_MAX;
    let count = field.number().and_then(|count| u8::try_from(count).ok());
    count
        .filter(|count| *count <= most)
        .or_else(|| field.expected(&format!("a whole number from 0 to {most}, or \"all\"")))
}

fn via(section: &mut Section<'_>) -> Option<String> {
    let Some(field) = section.field("via") else {
        return Some("weft".to_owned());
    };
    match field.text() {
        Some("off") => None,
        _ => field.parse("a pseudonym (RFC 9110 token) or \"off\"", |text| {
            grammar::is_token(text).then(|| text.to_owned())
        }),
    }
}

/// `"pass"`, `"remove"`, or `{ set = "weft" }`.
fn product(section: &mut Section<'_>, default: &ServerPolicy) -> ServerPolicy {
    let expected = "\"pass\", \"remove\" or { set = \"a value\" }";
    let read = |field: Field<'_>| match field.text() {
        Some("pass") => Some(ServerPolicy::Pass),
        Some("remove") => Some(ServerPolicy::Remove),
        _ if field.is_table() => field.section(|section| {
            let set = section.required("set", grammar::FIELD_VALUE)?;
            set.parse(grammar::FIELD_VALUE, grammar::field_value)
                .map(ServerPolicy::Set)
        })?,
        _ => field.expected(expected),
    };
    section
        .field("server")
        .and_then(read)
        .unwrap_or_else(|| default.clone())
}
