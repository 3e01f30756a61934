//! One generation of compiled configuration: what the steps read.
//!
//! In: a valid [`Config`]. Out: route tables, cluster tables, edits and limits in the form in
//! which a request needs them. Immutable, shared by all shards; a connection keeps the plan of its
//! listener, so that a request sees one generation from first byte to last.

use std::sync::Arc;
use std::time::Duration;

use crate::authenticate::Methods;
use crate::balance::{Cluster, ClusterId, ClusterTable, Endpoint, EndpointId, Policy, Thresholds};
use crate::config::{
    self, Config, EndpointAddress, EscapedSlashes, FieldPolicy, LbPolicy, UnderscorePolicy,
};
use crate::forward::IdlePolicy;
use crate::http::h1::HeadLimits;
use crate::http::h1::encode::ServerPolicy;
use crate::http::{Encoded, TargetRules, UnderscoreNames};
use crate::io::Address;
use crate::limits;
use crate::record::{ListenerId, RouteLabel, SeriesCounts, SeriesNames};
use crate::route::{RouteId, RouteTable};
use crate::tls::{Acceptor, Connector, Secrets};

/// A compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// What each listener asks of its connections, by [`ListenerId`].
    pub listeners: Vec<Arc<ListenerPlan>>,
    /// The clusters, by [`ClusterId`].
    pub clusters: ClusterTable,
    /// How each cluster is connected to, by [`ClusterId`].
    pub upstreams: Vec<UpstreamPlan>,
    /// Labels of listeners, routes and clusters.
    pub names: SeriesNames,
    /// The access log, if one is written.
    pub access_log: Option<config::AccessLog>,
    /// Bounds of a response head.
    pub response_limits: HeadLimits,
}

/// How the endpoints of one cluster are connected to.
#[derive(Debug)]
pub struct UpstreamPlan {
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// TLS towards them; clear text when absent.
    pub tls: Option<Connector>,
    /// Idle connections of the whole process.
    pub idle: IdlePolicy,
}

/// What one listener asks of its connections.
#[derive(Debug)]
pub struct ListenerPlan {
    /// Its place in the configuration.
    pub id: ListenerId,
    /// Its name.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: Address,
    /// Its connections at once, in the whole process.
    pub connections_max: usize,
    /// TLS towards its clients; clear text when absent.
    pub tls: Option<Acceptor>,
    /// The ways in which its callers may prove who they are.
    pub methods: Arc<Methods>,
    /// Its rules.
    pub routes: RouteTable,
    /// Bounds of a request head.
    pub head_limits: HeadLimits,
    /// Bytes of a request body.
    pub body_bytes_max: u64,
    /// Requests on one connection.
    pub requests_max: u32,
    /// How long a client may take.
    pub timeouts: config::ListenerTimeouts,
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
    /// Whether a client may upgrade to `protocol`.
    pub fn may_upgrade(&self, protocol: &[u8]) -> bool {
        self.upgrades
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(protocol))
    }
}

impl Snapshot {
    /// Compiles a configuration, whose values are valid by construction. What its TLS files hold
    /// is read here.
    ///
    /// # Errors
    /// Everything that is wrong with those files.
    pub fn compile(config: &Config) -> Result<Self, Vec<config::Problem>> {
        let Secrets {
            acceptors,
            connectors,
        } = Secrets::load(config)?;
        let methods = Arc::new(Methods::compile(&config.authentication));
        let listeners = (0..).map(ListenerId).zip(&config.listeners).zip(acceptors);
        let clusters = (0..).map(ClusterId).zip(&config.clusters);
        Ok(Self {
            listeners: listeners
                .map(|((id, listener), tls)| {
                    Arc::new(compile_listener(id, listener, tls, &methods))
                })
                .collect(),
            clusters: ClusterTable::new(
                clusters
                    .map(|(id, cluster)| compile_cluster(id, cluster))
                    .collect(),
            ),
            upstreams: config
                .clusters
                .iter()
                .zip(connectors)
                .map(|(cluster, tls)| compile_upstream(cluster, tls))
                .collect(),
            names: names(config),
            access_log: config.access_log.clone(),
            response_limits: HeadLimits {
                names: UnderscoreNames::Allow,
                ..HeadLimits::default()
            },
        })
    }

    /// How many series there are to record.
    pub fn series(&self) -> SeriesCounts {
        SeriesCounts {
            listeners: self.names.listeners.len(),
            routes: self.names.routes.len(),
            clusters: self.names.clusters.len(),
        }
    }

    /// The name of a route.
    pub fn route_name(&self, id: RouteId) -> Option<&str> {
        self.names
            .routes
            .get(id.0 as usize)
            .map(|label| &*label.route)
    }
}

fn compile_listener(
    id: ListenerId,
    listener: &config::Listener,
    tls: Option<Acceptor>,
    methods: &Arc<Methods>,
) -> ListenerPlan {
    let fields = &listener.fields;
    let encoded = match listener.path.escaped_slashes {
        EscapedSlashes::Refuse => Encoded::Refuse,
        EscapedSlashes::Keep => Encoded::Keep,
    };
    let limits = &listener.limits;
    ListenerPlan {
        id,
        name: Arc::clone(&listener.name),
        address: listening(&listener.address),
        connections_max: listener
            .max_connections
            .and_then(|max| usize::try_from(max).ok())
            .unwrap_or(usize::MAX),
        tls,
        methods: Arc::clone(methods),
        routes: RouteTable::compile(listener),
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

fn compile_cluster(id: ClusterId, cluster: &config::Cluster) -> Cluster {
    let policy = match cluster.lb_policy {
        LbPolicy::RoundRobin => Policy::RoundRobin,
        LbPolicy::LeastRequest => Policy::LeastRequest,
    };
    let endpoints = (0..).map(EndpointId).zip(&cluster.endpoints);
    Cluster::new(
        id,
        Arc::clone(&cluster.name),
        policy,
        Thresholds {
            requests_max: cluster.max_connections,
        },
        endpoints
            .map(|(id, endpoint)| Endpoint::new(id, address(&endpoint.address), endpoint.weight))
            .collect(),
    )
}

fn address(configured: &EndpointAddress) -> Address {
    match configured {
        EndpointAddress::Tcp(address) => Address::Tcp(*address),
        EndpointAddress::Unix(path) => Address::Unix(path.clone()),
        // A start puts the address of the origin it made here before it compiles; what only checks
        // a configuration connects nowhere.
        EndpointAddress::BuiltinEcho => Address::Tcp(([127, 0, 0, 1], 0).into()),
    }
}

fn compile_upstream(cluster: &config::Cluster, tls: Option<Connector>) -> UpstreamPlan {
    UpstreamPlan {
        connect_timeout: cluster.connect_timeout,
        tls,
        idle: IdlePolicy {
            idle_max: usize::try_from(cluster.pool.max_idle).unwrap_or(usize::MAX),
            idle_timeout: cluster.pool.idle_timeout,
            lifetime: cluster.pool.lifetime,
        },
    }
}

fn names(config: &Config) -> SeriesNames {
    let routes = config.listeners.iter().flat_map(|listener| {
        let routes = listener.virtual_hosts.iter().flat_map(|host| &host.routes);
        routes.map(|route| RouteLabel {
            listener: Arc::clone(&listener.name),
            route: Arc::clone(&route.name),
        })
    });
    SeriesNames::new(
        config
            .listeners
            .iter()
            .map(|listener| Arc::clone(&listener.name))
            .collect(),
        routes.collect(),
        config
            .clusters
            .iter()
            .map(|cluster| Arc::clone(&cluster.name))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_places_in_the_configuration() {
        let config = config::embedded();
        let snapshot = Snapshot::compile(&config).expect("no files to read");
        assert_eq!(snapshot.listeners.len(), config.listeners.len());
        assert_eq!(snapshot.upstreams.len(), config.clusters.len());
        for (place, listener) in snapshot.listeners.iter().enumerate() {
            assert_eq!(listener.id.0 as usize, place);
            for route in listener.routes.routes() {
                assert_eq!(snapshot.route_name(route.id), Some(&*route.name));
            }
        }
    }

    #[test]
    fn a_snapshot_may_be_shared_between_shards() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Snapshot>();
    }
}
