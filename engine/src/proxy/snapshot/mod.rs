//! One generation of compiled configuration: what the steps read.
//!
//! In: a valid [`Config`]. Out: route tables, cluster tables, edits and limits in the form in
//! which a request needs them. Immutable, shared by all shards. A request holds the generation in
//! which it began until its response has ended; the last one that does frees it.
//!
//! What did not change from one generation to the next is the same object in both: shards keep the
//! state of a cluster whose plan is the same, and TLS sessions can be resumed across reloads.

mod cookie_key;
pub(super) mod generation;

use std::sync::Arc;
use std::time::Duration;

use super::authentication;
use crate::authenticate::Methods;
use crate::authorize::ListenerPolicies;
use crate::authorize::external::ListenerServices;
use crate::authorize::rate_limit::ListenerLimits;
use crate::balance::{Cluster, ClusterId};
use crate::config::{self, Config, EscapedSlashes, FieldPolicy, UnderscorePolicy};
use crate::forward::{CircuitPlan, IdlePolicy};
use crate::http::h1::HeadLimits;
use crate::http::h1::encode::ServerPolicy;
use crate::http::{Encoded, TargetRules, UnderscoreNames};
use crate::io::Address;
use crate::limits;
use crate::record::{ListenerId, Numbers, SeriesCounts, SeriesNames};
use crate::route::RouteTable;
use cookie_key::CookieKey;

use crate::tls::{Acceptor, Connector, InUse, Secrets};

/// A compiled configuration.
///
/// Its tables are indexed by ids that belong to names over all generations ([`SeriesNames`]), and
/// have holes where an id is not of this one.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its number: 1 for that of the start.
    pub generation: u64,
    /// What each listener asks of its connections, by [`ListenerId`].
    pub listeners: Vec<Option<Arc<ListenerPlan>>>,
    /// The clusters, by [`ClusterId`].
    pub clusters: Vec<Option<Arc<ClusterPlan>>>,
    /// How many series there are to record, those of other generations included.
    pub series: SeriesCounts,
    /// The access log, if one is written.
    pub access_log: Option<config::AccessLog>,
    /// Downstream connections of the whole process.
    pub connections_max: usize,
    /// How long connections that have to end may take.
    pub drain: Duration,
    /// When requests are refused for the sake of others.
    pub overload: config::Overload,
    /// Bounds of a response head.
    pub response_limits: HeadLimits,
}

/// What a generation follows.
#[derive(Debug)]
pub struct Predecessor<'a> {
    /// The generation that runs.
    pub snapshot: &'a Snapshot,
    /// The numbers of the configuration to be compiled.
    pub numbers: &'a Numbers,
    /// How many numbers there are.
    pub series: SeriesCounts,
}

/// One cluster: who is in it, and how they are connected to.
#[derive(Debug)]
pub struct ClusterPlan {
    /// Its endpoints, and how they are chosen.
    pub cluster: Cluster,
    /// How they are connected to.
    pub upstream: UpstreamPlan,
    /// What its sticky cookies are signed with.
    cookie_key: CookieKey,
    /// What it was compiled from.
    pub source: config::Cluster,
}

/// How the endpoints of one cluster are connected to.
#[derive(Clone, Debug)]
pub struct UpstreamPlan {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// TLS towards them; clear text when absent.
    pub tls: Option<Arc<Connector>>,
    /// Idle connections of the whole process.
    pub idle: IdlePolicy,
    /// What protects them.
    pub circuit: CircuitPlan,
}

/// What one listener asks of its connections.
#[derive(Debug)]
pub struct ListenerPlan {
    /// Its number.
    pub id: ListenerId,
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// The generation since which it listens there and as it does, with TLS or without. Connections
    /// of an earlier one drain.
    pub since: u64,
    /// Its connections at once, in the whole process.
    pub connections_max: usize,
    /// TLS towards its clients; clear text when absent.
    pub tls: Option<Arc<Acceptor>>,
    /// The ways in which its callers may prove who they are.
    pub methods: Arc<Methods>,
    /// Its rules.
    pub routes: RouteTable,
    /// Who may do what.
    pub policies: ListenerPolicies,
    /// How much may be sent.
    pub rate_limits: ListenerLimits,
    /// Who is asked besides.
    pub services: ListenerServices,
    /// Bounds of a request head.
    pub head_limits: HeadLimits,
    /// Bytes of a request body.
    pub body_bytes_max: u64,
    /// Requests on one connection.
    pub requests_max: u32,
    /// How long a client may take.
    pub timeouts: config::ListenerTimeouts,
    /// TLS goes through to the endpoints, unread.
    pub is_passthrough: bool,
    /// CONNECT is routed like other methods.
    pub is_connect_allowed: bool,
    /// Protocols a client may upgrade to.
    pub upgrades: Vec<Box<[u8]>>,
    /// What happens to the fields the proxy has a say in.
    pub fields: FieldPlan,
}

/// What happens to the fields the proxy has a say in.
#[derive(Debug)]
pub struct FieldPlan {
    /// Proxies in front of this one that are believed.
    pub trusted_hops: u8,
    /// `X-Forwarded-*` is set.
    pub sets_forwarded: bool,
    /// `X-Request-Id` is set.
    pub sets_request_id: bool,
    /// The name in `Via`.
    pub via: Option<Box<[u8]>>,
    /// A response without `Date` gets one.
    pub adds_date: bool,
    server: config::ServerPolicy,
}

impl FieldPlan {
    /// What becomes of an upstream's `Server`.
    pub fn server(&self) -> ServerPolicy<'_> {
        match &self.server {
            config::ServerPolicy::Pass => ServerPolicy::Pass,
            config::ServerPolicy::Remove => ServerPolicy::Remove,
            config::ServerPolicy::Set(name) => ServerPolicy::Replace(name.as_bytes()),
        }
    }

    /// `Server` of the proxy's own responses.
    pub fn local_server(&self) -> Option<&[u8]> {
        match &self.server {
            config::ServerPolicy::Set(name) => Some(name.as_bytes()),
            config::ServerPolicy::Pass | config::ServerPolicy::Remove => None,
        }
    }
}

impl ListenerPlan {
    /// Whether connections that came in by `other` may go on under this plan.
    fn is_same_door(&self, other: &Self) -> bool {
        self.address == other.address
            && self.tls.is_some() == other.tls.is_some()
            && self.is_passthrough == other.is_passthrough
    }

    /// Whether a client may upgrade to `protocol`.
    pub fn may_upgrade(&self, protocol: &[u8]) -> bool {
        self.upgrades
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(protocol))
    }
}

impl Snapshot {
    /// Compiles a first configuration, whose values are valid by construction. What its TLS files
    /// hold is read here.
    ///
    /// # Errors
    /// Everything that is wrong with those files.
    pub fn compile(config: &Config) -> Result<Self, Vec<config::Problem>> {
        let mut names = SeriesNames::default();
        let numbers = names.number(config);
        let empty = Self {
            generation: 0,
            listeners: Vec::new(),
            clusters: Vec::new(),
            series: SeriesCounts::default(),
            access_log: None,
            connections_max: 0,
            drain: Duration::ZERO,
            overload: config.overload,
            response_limits: HeadLimits::default(),
        };
        let start = Predecessor {
            snapshot: &empty,
            numbers: &numbers,
            series: names.counts(),
        };
        Self::succeed(config, &start)
    }

    /// Compiles the configuration that follows another one. What is the same in both is taken over.
    ///
    /// # Errors
    /// Everything that is wrong with its TLS files.
    pub fn succeed(config: &Config, after: &Predecessor<'_>) -> Result<Self, Vec<config::Problem>> {
        let Secrets {
            acceptors,
            connectors,
        } = Secrets::load(config, &after.snapshot.in_use())?;
        let cookie_keys = cookie_key::load(config)?;
        let (previous, rules) = (after.snapshot, &after.numbers.rules);
        let generation = previous.generation.saturating_add(1);
        let methods = authentication::compile(config)?;
        let mut listeners = Vec::new();
        listeners.resize_with(after.series.listeners, || None);
        let numbered = after.numbers.listeners.iter().zip(&config.listeners);
        for ((&id, listener), tls) in numbered.zip(acceptors) {
            let mut plan = compile_listener(id, listener, tls, &methods, after.numbers);
            let before = previous.listener(id);
            let limits_before = before.map(|before| &before.rate_limits);
            plan.rate_limits =
                ListenerLimits::compile(listener, &after.numbers.limits, limits_before);
            plan.since = match before {
                Some(before) if before.is_same_door(&plan) => before.since,
                Some(_) | None => generation,
            };
            if let Some(place) = listeners.get_mut(id.0 as usize) {
                *place = Some(Arc::new(plan));
            }
        }
        let mut clusters = Vec::new();
        clusters.resize_with(after.series.clusters, || None);
        let numbered = rules.clusters.iter().zip(&config.clusters);
        for (((&id, cluster), tls), key) in numbered.zip(connectors).zip(cookie_keys) {
            let plan = ClusterPlan::succeed(id, cluster, tls, key, previous.cluster(id));
            if let Some(place) = clusters.get_mut(id.0 as usize) {
                *place = Some(plan);
            }
        }
        Ok(Self {
            generation,
            listeners,
            clusters,
            series: after.series,
            access_log: config.access_log.clone(),
            connections_max: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
            drain: config.drain,
            overload: config.overload,
            response_limits: HeadLimits {
                names: UnderscoreNames::Allow,
                ..HeadLimits::default()
            },
        })
    }

    /// Whether everything that was read from files is the same in `other`, whose configuration is.
    pub fn is_same(&self, other: &Self) -> bool {
        let same_listener = |one: &Option<Arc<ListenerPlan>>, other: &Option<Arc<ListenerPlan>>| {
            let tls =
                |plan: &Option<Arc<ListenerPlan>>| plan.as_ref()?.tls.as_ref().map(Arc::as_ptr);
            let has_same_keys = match (one, other) {
                (Some(one), Some(other)) => one.methods.has_same_keys(&other.methods),
                (_, _) => true,
            };
            tls(one) == tls(other) && has_same_keys
        };
        let same_cluster = |one: &Option<Arc<ClusterPlan>>, other: &Option<Arc<ClusterPlan>>| {
            one.as_ref().map(Arc::as_ptr) == other.as_ref().map(Arc::as_ptr)
        };
        let mut listeners = self.listeners.iter().zip(&other.listeners);
        let mut clusters = self.clusters.iter().zip(&other.clusters);
        listeners.all(|(one, other)| same_listener(one, other))
            && clusters.all(|(one, other)| same_cluster(one, other))
    }

    /// Whether this listener has the same TLS in both.
    pub fn has_same_tls(&self, other: &Self, id: ListenerId) -> bool {
        let tls = |snapshot: &Self| Some(Arc::as_ptr(snapshot.listener(id)?.tls.as_ref()?));
        tls(self) == tls(other)
    }

    /// What TLS is in use, by the names of listeners and clusters.
    fn in_use(&self) -> InUse<'_> {
        let listeners = self.listeners.iter().flatten();
        let clusters = self.clusters.iter().flatten();
        InUse {
            acceptors: listeners
                .filter_map(|plan| Some((&*plan.name, plan.tls.as_ref()?)))
                .collect(),
            connectors: clusters
                .filter_map(|plan| Some((&**plan.cluster.name(), plan.upstream.tls.as_ref()?)))
                .collect(),
        }
    }

    /// The listener with this id, if this generation has it.
    pub fn listener(&self, id: ListenerId) -> Option<&Arc<ListenerPlan>> {
        self.listeners.get(id.0 as usize)?.as_ref()
    }

    /// The cluster with this id, if this generation has it.
    pub fn cluster(&self, id: ClusterId) -> Option<&Arc<ClusterPlan>> {
        self.clusters.get(id.0 as usize)?.as_ref()
    }
}

impl ClusterPlan {
    /// The same cluster with other endpoints.
    ///
    /// *Cost:* by the number of its endpoints.
    pub fn with_endpoints(&self, endpoints: Vec<config::Endpoint>) -> Arc<Self> {
        let source = config::Cluster {
            endpoints,
            ..self.source.clone()
        };
        Arc::new(Self {
            cluster: Cluster::compile(self.cluster.id(), &source, self.cookie_key.as_deref()),
            upstream: self.upstream.clone(),
            cookie_key: self.cookie_key.clone(),
            source,
        })
    }

    /// The plan of `cluster`: the previous one, if nothing has changed.
    fn succeed(
        id: ClusterId,
        cluster: &config::Cluster,
        tls: Option<Arc<Connector>>,
        cookie_key: CookieKey,
        previous: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let is_same_tls = |before: &Option<Arc<Connector>>| match (before, &tls) {
            (None, None) => true,
            (Some(before), Some(now)) => Arc::ptr_eq(before, now),
            (Some(_), None) | (None, Some(_)) => false,
        };
        let unchanged = previous
            .filter(|before| before.source == *cluster && before.cookie_key == cookie_key)
            .filter(|before| is_same_tls(&before.upstream.tls));
        if let Some(unchanged) = unchanged {
            return Arc::clone(unchanged);
        }
        Arc::new(Self {
            cluster: Cluster::compile(id, cluster, cookie_key.as_deref()),
            cookie_key,
            upstream: compile_upstream(cluster, tls),
            source: cluster.clone(),
        })
    }
}

fn compile_listener(
    id: ListenerId,
    listener: &config::Listener,
    tls: Option<Arc<Acceptor>>,
    methods: &Arc<Methods>,
    numbers: &Numbers,
) -> ListenerPlan {
    let fields = &listener.fields;
    let encoded = match listener.path.escaped_slashes {
        EscapedSlashes::Refuse => Encoded::Refuse,
        EscapedSlashes::Keep => Encoded::Keep,
    };
    let limits = &listener.limits;
    let routes = RouteTable::numbered(listener, &numbers.rules);
    ListenerPlan {
        id,
        name: Arc::clone(&listener.name),
        address: listening(&listener.address),
        since: 0,
        connections_max: listener
            .max_connections
            .and_then(|max| usize::try_from(max).ok())
            .unwrap_or(usize::MAX),
        tls,
        methods: Arc::clone(methods),
        services: ListenerServices::compile(listener, &routes, &numbers.rules),
        routes,
        policies: ListenerPolicies::compile(listener, &numbers.policies),
        // Whoever knows the listener's predecessor fills them in.
        rate_limits: ListenerLimits::default(),
        head_limits: HeadLimits {
            head_bytes: usize::try_from(limits.head_bytes).unwrap_or(limits::HEAD_BYTES),
            request_line_bytes: usize::try_from(limits.request_line_bytes)
                .unwrap_or(limits::REQUEST_LINE_BYTES),
            field_count: usize::try_from(limits.field_count).unwrap_or(limits::FIELD_COUNT),
            names: match fields.underscores {
                UnderscorePolicy::Refuse => UnderscoreNames::Refuse,
                UnderscorePolicy::Pass => UnderscoreNames::Allow,
            },
            target: TargetRules {
                merge_slashes: listener.path.merge_slashes,
                encoded_separators: encoded,
                ..TargetRules::default()
            },
        },
        body_bytes_max: limits.body_bytes.unwrap_or(u64::MAX),
        requests_max: limits.requests_per_connection.unwrap_or(u32::MAX),
        timeouts: listener.timeouts.clone(),
        is_passthrough: listener.passthrough,
        is_connect_allowed: listener.allow_connect,
        upgrades: listener
            .upgrades
            .iter()
            .map(|name| name.as_bytes().into())
            .collect(),
        fields: FieldPlan {
            trusted_hops: fields.trusted_hops,
            sets_forwarded: fields.forwarded == FieldPolicy::Set,
            sets_request_id: fields.request_id == FieldPolicy::Set,
            via: fields.via.as_ref().map(|name| name.as_bytes().into()),
            adds_date: fields.date,
            server: fields.server.clone(),
        },
    }
}

fn listening(configured: &config::Address) -> Address {
    match configured {
        config::Address::Tcp(address) => Address::Tcp(*address),
        config::Address::Unix(path) => Address::Unix(path.clone()),
    }
}

fn compile_upstream(cluster: &config::Cluster, tls: Option<Arc<Connector>>) -> UpstreamPlan {
    UpstreamPlan {
        connect_timeout: cluster.connect_timeout,
        tls,
        idle: IdlePolicy {
            idle_max: usize::try_from(cluster.pool.max_idle).unwrap_or(usize::MAX),
            idle_timeout: cluster.pool.idle_timeout,
            lifetime: cluster.pool.lifetime,
        },
        circuit: CircuitPlan {
            breaker: cluster.circuit_breaker,
            budget: cluster.retry_budget,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(snapshot: &Snapshot, names: &mut SeriesNames, text: &str) -> Snapshot {
        let config = config::parse(text, "next.toml".as_ref()).expect("a valid configuration");
        let numbers = names.number(&config);
        let after = Predecessor {
            snapshot,
            numbers: &numbers,
            series: names.counts(),
        };
        Snapshot::succeed(&config, &after).expect("no files to read")
    }

    const BEFORE: &str = r#"
        listeners = [{ name = "web", address = "127.0.0.1:1", virtual_hosts = [
            { hosts = ["*"], routes = [{ name = "all", forward = "a" }] }] }]
        clusters = [{ name = "a", endpoints = ["127.0.0.1:2"] }]
    "#;
    const AFTER: &str = r#"
        listeners = [
            { name = "other", address = "127.0.0.1:3", virtual_hosts = [
                { hosts = ["*"], routes = [{ name = "all", forward = "b" }] }] },
            { name = "web", address = "127.0.0.1:1", virtual_hosts = [
                { hosts = ["*"], routes = [{ name = "all", forward = "a" }] }] }]
        clusters = [
            { name = "b", endpoints = ["127.0.0.1:2"] },
            { name = "a", endpoints = ["127.0.0.1:2"] }]
    "#;

    #[test]
    fn ids_belong_to_names_wherever_they_stand_in_the_configuration() {
        let config = config::parse(BEFORE, "before.toml".as_ref()).expect("valid");
        let mut names = SeriesNames::compile(&config);
        let before = Snapshot::compile(&config).expect("no files to read");
        let after = next(&before, &mut names, AFTER);
        let web = after.listener(ListenerId(0)).expect("still there");
        assert_eq!((&*web.name, web.since), ("web", 1));
        let other = after.listener(ListenerId(1)).expect("added");
        assert_eq!((&*other.name, other.since), ("other", 2));
        assert_eq!(web.routes.routes()[0].id.0, 0);
        assert_eq!(other.routes.routes()[0].id.0, 1);
        let crate::route::RouteAction::Forward(clusters) = &other.routes.routes()[0].action else {
            panic!("a forward")
        };
        let cluster = after.cluster(clusters.pick(0)).expect("added");
        assert_eq!(&**cluster.cluster.name(), "b");
        let unchanged = |snapshot: &Snapshot| snapshot.cluster(ClusterId(0)).cloned();
        let (one, two) = (unchanged(&before), unchanged(&after));
        assert!(Arc::ptr_eq(&one.expect("a"), &two.expect("a")));
    }

    #[test]
    fn a_listener_that_moves_is_another_door() {
        let config = config::parse(BEFORE, "before.toml".as_ref()).expect("valid");
        let mut names = SeriesNames::compile(&config);
        let before = Snapshot::compile(&config).expect("no files to read");
        let moved = BEFORE.replace("127.0.0.1:1\"", "127.0.0.1:9\"");
        let after = next(&before, &mut names, &moved);
        assert_eq!(after.listener(ListenerId(0)).expect("web").since, 2);
        let back = next(&after, &mut names, &BEFORE.replace(":2\"", ":4\""));
        assert_eq!(back.listener(ListenerId(0)).expect("web").since, 3);
        assert_eq!(back.generation, 3);
    }

    #[test]
    fn a_snapshot_may_be_shared_between_shards() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Snapshot>();
    }
}
