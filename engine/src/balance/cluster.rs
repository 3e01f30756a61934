//! A cluster as compiled for all shards: immutable, of one generation.
//!
//! In: a configured cluster. Out: its endpoints and how they are balanced. What is large and the
//! same for every shard is made here once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::ewma::EwmaPolicy;
use super::endpoint::outlier::{OutlierPolicy, SuccessRatePolicy};
use super::endpoint::{Endpoint, EndpointId};
use super::hash::Table;
use super::hash::key::{self, KeySource};
use super::hash::sticky::Sticky;
use crate::config;
use crate::http::Request;
use crate::io::Address;
use crate::route::ClusterId;

/// How an endpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// In turn, in proportion to the weights.
    RoundRobin,
    /// At random, in proportion to the weights.
    Random,
    /// The less busy of two drawn at random, in proportion to the weights.
    LeastRequest,
    /// Of two drawn at random, the one that is expected to answer sooner.
    #[default]
    PeakEwma,
    /// By the hash of a key, on a ring.
    RingHash,
    /// By the hash of a key, in a Maglev table.
    Maglev,
}

impl Policy {
    /// A key decides, where there is one.
    pub(super) const fn is_hash(self) -> bool {
        match self {
            Self::RingHash | Self::Maglev => true,
            Self::RoundRobin | Self::Random | Self::LeastRequest | Self::PeakEwma => false,
        }
    }
}

/// How the endpoints of a cluster share its requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Balancing {
    /// How one is chosen.
    pub policy: Policy,
    /// How latencies are averaged.
    pub ewma: EwmaPolicy,
    /// When endpoints are left out because of their failures.
    pub outlier: OutlierPolicy,
    /// How long an endpoint that joins or comes back warms up; zero for not at all.
    pub slow_start: Duration,
    /// With fewer usable endpoints than this share, in percent, all are used: what is left could
    /// not carry the load, and the judgement may be wrong. Zero for never.
    pub panic_threshold: u32,
    /// Near endpoints are preferred.
    pub locality: Option<LocalityPolicy>,
    /// What of a request is its key: the first of these that it has. For the policies by hash.
    pub keys: Vec<KeySource>,
    /// How much of its share of the load, in percent, an endpoint may have before keys go to the
    /// next one; unbounded when absent. Each shard judges by its own load.
    pub bounded_load: Option<u32>,
    /// Clients come back to the endpoint that served them before.
    pub sticky: Option<StickyPolicy>,
}

/// How clients stick to endpoints.
#[derive(Clone, PartialEq, Eq)]
pub struct StickyPolicy {
    /// The cookie's name.
    pub cookie: Box<str>,
    /// What it is signed with.
    pub key: Box<[u8]>,
    /// How long clients keep it; until they are closed when absent.
    pub max_age: Option<Duration>,
}

impl fmt::Debug for StickyPolicy {
    /// Without the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = out.debug_struct("StickyPolicy");
        out.field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

/// Where a request belongs, as far as it says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Affinity<'a> {
    /// The hash of its key.
    pub hash: Option<u64>,
    /// The endpoint that its cookie names.
    pub sticky: Option<EndpointId>,
    cookies: Option<&'a Sticky>,
    is_secure: bool,
}

impl<'a> Affinity<'a> {
    /// What the client is to be told when `id` serves it: the value of `Set-Cookie`.
    pub fn set_cookie(&self, id: EndpointId) -> Option<&'a [u8]> {
        let cookies = self.cookies.filter(|_| self.sticky != Some(id))?;
        cookies.set_cookie(id, self.is_secure)
    }
}

/// How near endpoints are preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityPolicy {
    /// Where this proxy is.
    pub home: Arc<str>,
    /// With fewer endpoints there, none is preferred.
    pub endpoints_min: u32,
}

impl Default for Balancing {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            ewma: EwmaPolicy::default(),
            outlier: OutlierPolicy::default(),
            slow_start: Duration::ZERO,
            panic_threshold: 50,
            locality: None,
            keys: Vec::new(),
            bounded_load: None,
            sticky: None,
        }
    }
}

/// A cluster of one configuration generation: immutable, read by all shards.
#[derive(Clone, Debug)]
pub struct Cluster {
    id: ClusterId,
    name: Arc<str>,
    balancing: Balancing,
    endpoints: Arc<[Endpoint]>,
    table: Option<Arc<Table>>,
    sticky: Option<Arc<Sticky>>,
}

impl Cluster {
    /// The cluster number `id` as configured. `cookie_key` is what the file of its sticky cookies
    /// holds; without it there are none.
    pub fn compile(id: ClusterId, cluster: &config::Cluster, cookie_key: Option<&[u8]>) -> Self {
        let endpoint = |endpoint: &config::Endpoint| {
            Endpoint::new(address(&endpoint.address), endpoint.weight)
                .with_locality(endpoint.locality.clone())
        };
        let endpoints = cluster.endpoints.iter().map(endpoint).collect();
        let balancing = balancing(cluster, cookie_key);
        Self::new(id, Arc::clone(&cluster.name), balancing, endpoints)
    }

    /// A cluster of `endpoints`, whose ids are their places in the list.
    pub fn new(
        id: ClusterId,
        name: Arc<str>,
        balancing: Balancing,
        endpoints: Vec<Endpoint>,
    ) -> Self {
        let table = match balancing.policy {
            Policy::RingHash => Some(Table::ring(&endpoints)),
            Policy::Maglev => Some(Table::maglev(&endpoints)),
            Policy::RoundRobin | Policy::Random | Policy::LeastRequest | Policy::PeakEwma => None,
        };
        let sticky = balancing.sticky.as_ref().map(|policy| {
            let (cookie, key) = (&policy.cookie, &policy.key);
            Arc::new(Sticky::new(&name, cookie, key, policy.max_age, &endpoints))
        });
        Self {
            id,
            name,
            balancing,
            endpoints: endpoints.into(),
            table: table.map(Arc::new),
            sticky,
        }
    }

    /// Where `request`, which came from the address `source`, belongs. `is_secure`: over TLS.
    ///
    /// *Cost:* nothing for a cluster that looks at neither keys nor cookies.
    pub fn affinity(
        &self,
        request: &Request<'_>,
        source: Option<IpAddr>,
        is_secure: bool,
    ) -> Affinity<'_> {
        let cookies = self.sticky.as_deref();
        Affinity {
            hash: key::hash(&self.balancing.keys, request, source),
            sticky: cookies.and_then(|cookies| cookies.endpoint(request)),
            cookies,
            is_secure,
        }
    }

    /// Whether it has a table by hash, which costs more to make than all else.
    pub const fn has_table(&self) -> bool {
        self.table.is_some()
    }

    pub(super) const fn table(&self) -> Option<&Arc<Table>> {
        self.table.as_ref()
    }

    /// Its place in the configuration.
    pub const fn id(&self) -> ClusterId {
        self.id
    }

    /// Its name in the configuration.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How its endpoints share its requests.
    pub const fn balancing(&self) -> &Balancing {
        &self.balancing
    }

    /// All its endpoints, by id.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The endpoint with this id.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.endpoints.get(id.0 as usize)
    }
}

fn balancing(cluster: &config::Cluster, cookie_key: Option<&[u8]>) -> Balancing {
    let configured = &cluster.balancing;
    let (ewma, outlier) = (&configured.peak_ewma, &configured.outlier_detection);
    let locality = configured
        .home
        .as_ref()
        .filter(|_| configured.local_endpoints_min > 0);
    let key = |key: &config::HashKey| match key {
        config::HashKey::Header(name) => KeySource::Header(name.as_bytes().into()),
        config::HashKey::Cookie(name) => KeySource::Cookie(name.as_bytes().into()),
        config::HashKey::Query(name) => KeySource::Query(name.as_bytes().into()),
        config::HashKey::Source(_) => KeySource::Source,
    };
    Balancing {
        policy: match cluster.lb_policy {
            config::LbPolicy::PeakEwma => Policy::PeakEwma,
            config::LbPolicy::LeastRequest => Policy::LeastRequest,
            config::LbPolicy::RoundRobin => Policy::RoundRobin,
            config::LbPolicy::Random => Policy::Random,
            config::LbPolicy::RingHash => Policy::RingHash,
            config::LbPolicy::Maglev => Policy::Maglev,
        },
        ewma: EwmaPolicy {
            decay: ewma.decay,
            default_latency: ewma.default_latency,
            penalty: ewma.penalty,
        },
        outlier: OutlierPolicy {
            consecutive_errors: outlier.consecutive_errors,
            interval: outlier.interval,
            ejection_base: outlier.base_ejection_time,
            ejection_max: outlier.max_ejection_time,
            ejected_percent_max: outlier.max_ejection_percent,
            success_rate: (outlier.success_rate_deviation > 0).then_some(SuccessRatePolicy {
                endpoints_min: outlier.success_rate_min_endpoints,
                requests_min: outlier.success_rate_min_requests,
                deviation_thousandths: outlier.success_rate_deviation,
            }),
        },
        slow_start: configured.slow_start.unwrap_or_default(),
        panic_threshold: configured.panic_threshold,
        locality: locality.map(|home| LocalityPolicy {
            home: Arc::clone(home),
            endpoints_min: configured.local_endpoints_min,
        }),
        keys: configured.hash.keys.iter().map(key).collect(),
        bounded_load: configured.hash.bounded_load,
        sticky: configured
            .sticky
            .as_ref()
            .zip(cookie_key)
            .map(|(sticky, key)| StickyPolicy {
                cookie: sticky.cookie.clone(),
                key: key.into(),
                max_age: sticky.max_age,
            }),
    }
}

fn address(configured: &config::EndpointAddress) -> Address {
    match configured {
        config::EndpointAddress::Tcp(address) => Address::Tcp(*address),
        config::EndpointAddress::Unix(path) => Address::Unix(path.clone()),
        // A start puts the address of the origin it made here before it compiles; what only checks
        // a configuration connects nowhere.
        config::EndpointAddress::BuiltinEcho => Address::Tcp(([127, 0, 0, 1], 0).into()),
    }
}

/// All clusters of one generation, by id.
#[derive(Clone, Debug, Default)]
pub struct ClusterTable {
    clusters: Vec<Cluster>,
}

impl ClusterTable {
    /// All clusters as configured, in the order of the configuration.
    pub fn compile(clusters: &[config::Cluster]) -> Self {
        let compile = |(id, cluster)| Cluster::compile(ClusterId(id), cluster, None);
        Self::new((0..).zip(clusters).map(compile).collect())
    }

    /// A table of `clusters`, whose ids must be their places in the list.
    pub fn new(clusters: Vec<Cluster>) -> Self {
        let in_order = |(place, cluster): (usize, &Cluster)| cluster.id().0 as usize == place;
        debug_assert!(clusters.iter().enumerate().all(in_order));
        Self { clusters }
    }

    /// The cluster with this id.
    pub fn cluster(&self, id: ClusterId) -> Option<&Cluster> {
        self.clusters.get(id.0 as usize)
    }

    /// All clusters, in order of their ids.
    pub fn clusters(&self) -> &[Cluster] {
        &self.clusters
    }
}
