//! Every metric: its name, its type, its unit and its help. The labels of its series are in
//! `register`.
//!
//! Names follow Prometheus: base units, `_seconds`, `_bytes`, `_total` for counters. Scopes are
//! part of the name (`weft_listener_…`, `weft_route_…`, `weft_cluster_…`), not a label, because
//! the same exchange counts once in each: a sum over all series of a metric is always meaningful.
//! Labels come from the configuration and from closed enums, never from traffic, so the number of
//! series is bounded by the configuration.
//!
//! | weft | Envoy |
//! |---|---|
//! | `weft_listener_requests_total` | `http.<prefix>.downstream_rq_xx` |
//! | `weft_listener_connections_*` | `listener.<address>.downstream_cx_*` |
//! | `weft_route_requests_total` | `vhost.<name>.vcluster.upstream_rq_xx` |
//! | `weft_cluster_requests_total` | `cluster.<name>.upstream_rq_xx` |
//! | `weft_cluster_retries_total` | `cluster.<name>.upstream_rq_retry` |
//! | `weft_cluster_duration_seconds` | `cluster.<name>.upstream_rq_time` |

/// What a metric is to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It is what it is now.
    Gauge,
    /// A distribution with buckets.
    Histogram,
}

impl Kind {
    /// The word of the exposition format.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The full name, unit included.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// One sentence for its reader.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    let kind = Kind::Counter;
    Metric { name, kind, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    let kind = Kind::Gauge;
    Metric { name, kind, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    let kind = Kind::Histogram;
    Metric { name, kind, help }
}

/// By listener and code class.
pub const LISTENER_REQUESTS: Metric = counter(
    "weft_listener_requests_total",
    "Exchanges that ended, by class of the status sent (none: no status was sent).",
);
/// By listener.
pub const LISTENER_REQUESTS_ACTIVE: Metric =
    gauge("weft_listener_requests_active", "Exchanges in progress.");
/// By listener and response flag.
pub const LISTENER_FLAGS: Metric = counter(
    "weft_listener_response_flags_total",
    "Exchanges that ended with this response flag (Envoy's codes).",
);
/// By listener, failure and fault.
pub const LISTENER_FAILURES: Metric = counter(
    "weft_listener_failures_total",
    "Exchanges that failed, by reason and by whose fault it was.",
);
/// By listener.
pub const LISTENER_RECEIVED: Metric = counter(
    "weft_listener_received_bytes_total",
    "Bytes of requests received from clients, heads and bodies.",
);
/// By listener.
pub const LISTENER_SENT: Metric = counter(
    "weft_listener_sent_bytes_total",
    "Bytes of responses sent to clients, heads and bodies.",
);
/// By listener and phase.
pub const LISTENER_DURATION: Metric = histogram(
    "weft_listener_duration_seconds",
    "Time of each phase of an exchange; phase added is the time this proxy itself added.",
);
/// By listener.
pub const CONNECTIONS_ACCEPTED: Metric = counter(
    "weft_listener_connections_accepted_total",
    "Connections accepted, those refused at once included.",
);
/// By listener.
pub const CONNECTIONS_ACTIVE: Metric =
    gauge("weft_listener_connections_active", "Connections open.");
/// By listener and reason.
pub const CONNECTIONS_REFUSED: Metric = counter(
    "weft_listener_connections_refused_total",
    "Connections closed as soon as they were accepted, by reason.",
);
/// By listener and reason.
pub const CONNECTIONS_CLOSED: Metric = counter(
    "weft_listener_connections_closed_total",
    "Connections that were served and have ended, by reason.",
);
/// By listener and result.
pub const HANDSHAKES: Metric = counter(
    "weft_listener_tls_handshakes_total",
    "TLS handshakes with clients that ended, by result: full, resumed, or why there is none.",
);
/// By listener.
pub const CONNECTIONS_HANDED_OVER: Metric = counter(
    "weft_listener_connections_handed_over_total",
    "Connections given to a shard with fewer of them.",
);
/// By listener.
pub const CONNECTION_REQUESTS: Metric = counter(
    "weft_listener_closed_connection_requests_total",
    "Exchanges that ended connections had carried.",
);
/// By listener, route and code class.
pub const ROUTE_REQUESTS: Metric = counter(
    "weft_route_requests_total",
    "Exchanges of a route that ended, by class of the status sent.",
);
/// By listener, route and response flag.
pub const ROUTE_FLAGS: Metric = counter(
    "weft_route_response_flags_total",
    "Exchanges of a route that ended with this response flag (Envoy's codes).",
);
/// By listener, route and phase.
pub const ROUTE_DURATION: Metric = histogram(
    "weft_route_duration_seconds",
    "Time of each phase of a route's exchanges.",
);
/// By listener, level, policy and decision.
pub const POLICY_DECISIONS: Metric = counter(
    "weft_authorization_decisions_total",
    "Decisions of policies and of the defaults of their levels; would_allow and would_deny: audited.",
);
/// By listener, level, limit and decision.
pub const LIMIT_DECISIONS: Metric = counter(
    "weft_rate_limit_decisions_total",
    "Requests that a rate limit let pass (allow) or refused (deny).",
);
/// By listener and result.
pub const EXTERNAL_AUTHORIZATIONS: Metric = counter(
    "weft_external_authorizations_total",
    "Requests about which an external authorization service was asked, by result; error_allowed \
     and timeout_allowed: passed without its answer (failure_mode_allow).",
);
/// By cluster and code class.
pub const CLUSTER_REQUESTS: Metric = counter(
    "weft_cluster_requests_total",
    "Exchanges of a cluster that ended, by class of the status sent.",
);
/// By cluster and response flag.
pub const CLUSTER_FLAGS: Metric = counter(
    "weft_cluster_response_flags_total",
    "Exchanges of a cluster that ended with this response flag (Envoy's codes).",
);
/// By cluster.
pub const CLUSTER_RETRIES: Metric =
    counter("weft_cluster_retries_total", "Attempts after the first.");
/// By cluster and reason.
pub const CLUSTER_RETRY_REASONS: Metric = counter(
    "weft_cluster_retry_reasons_total",
    "What went wrong before attempts after the first.",
);
/// By cluster.
pub const CLUSTER_RETRY_BUDGET: Metric = counter(
    "weft_cluster_retry_budget_exhausted_total",
    "Attempts that were not made because the retry budget was spent.",
);
/// By cluster and endpoint.
pub const ENDPOINT_HEALTHY: Metric = gauge(
    "weft_endpoint_healthy",
    "1 while an endpoint passes its active health checks, or until enough have failed.",
);
/// By cluster and endpoint.
pub const ENDPOINT_CHECKS: Metric = counter(
    "weft_endpoint_health_checks_total",
    "Health checks that ended.",
);
/// By cluster and endpoint.
pub const ENDPOINT_CHECK_FAILURES: Metric = counter(
    "weft_endpoint_health_check_failures_total",
    "Health checks that failed.",
);
/// By cluster.
pub const CLUSTER_EJECTED: Metric = gauge(
    "weft_cluster_endpoints_ejected",
    "Endpoints left out because of their failures, on the shard that leaves out most.",
);
/// By cluster.
pub const CLUSTER_PANICKING: Metric = gauge(
    "weft_cluster_panicking_shards",
    "Shards that use all endpoints because too few are fit to serve.",
);
/// By cluster.
pub const CLUSTER_PANIC_REQUESTS: Metric = counter(
    "weft_cluster_panic_requests_total",
    "Attempts sent while too few endpoints were fit to serve, so that all were used.",
);
/// By cluster and event.
pub const CLUSTER_POOL: Metric = counter(
    "weft_cluster_connection_events_total",
    "What happened to connections to a cluster's endpoints.",
);
/// By cluster and phase.
pub const CLUSTER_DURATION: Metric = histogram(
    "weft_cluster_duration_seconds",
    "Time of each phase of a cluster's exchanges.",
);
/// By shard.
pub const SHARD_REQUESTS: Metric = counter(
    "weft_shard_requests_total",
    "Exchanges that ended on a shard.",
);
/// By shard.
pub const SHARD_CONNECTIONS_ACTIVE: Metric = gauge(
    "weft_shard_connections_active",
    "Connections open on a shard.",
);
/// One series.
pub const ACCESS_LOG_LINES: Metric =
    counter("weft_access_log_lines_total", "Access-log lines written.");
/// One series.
pub const ACCESS_LOG_DROPPED: Metric = counter(
    "weft_access_log_dropped_lines_total",
    "Access-log lines dropped because the file did not keep up.",
);
/// One series.
pub const TASK_PANICS: Metric = counter(
    "weft_task_panics_total",
    "Connections lost to a bug in weft; please report each.",
);
/// One series.
pub const WITHOUT_HISTOGRAM: Metric = counter(
    "weft_requests_untimed_total",
    "Exchanges not in a route's or cluster's histogram because too many of them exist.",
);

/// One series.
pub const GENERATION: Metric = gauge(
    "weft_config_generation",
    "Number of the configuration generation that new requests go by.",
);
/// One series.
pub const GENERATION_SINCE: Metric = gauge(
    "weft_config_last_success_timestamp_seconds",
    "When that generation took effect, since 1970.",
);
/// One series.
pub const GENERATIONS_ALIVE: Metric = gauge(
    "weft_config_generations_alive",
    "Configuration generations that requests still go by, that of new requests included.",
);
/// By result.
pub const RELOADS: Metric = counter(
    "weft_config_reloads_total",
    "Times the configuration was read anew: accepted, rejected (the one before stays in effect), \
     or unchanged.",
);
/// Services with a registered instance.
pub const REGISTRY_SERVICES: Metric = gauge(
    "weft_registry_services",
    "Services with a registered instance.",
);
/// Registered instances.
pub const REGISTRY_INSTANCES: Metric = gauge(
    "weft_registry_instances",
    "Registered instances, those of other proxies included.",
);
/// By change.
pub const REGISTRY_CHANGES: Metric = counter(
    "weft_registry_changes_total",
    "Changes of the registry, by change.",
);
/// By reason.
pub const REGISTRY_REFUSED: Metric = counter(
    "weft_registry_refused_total",
    "Requests that the registration API refused, by reason.",
);
/// Writes.
pub const REGISTRY_UNWRITTEN: Metric = counter(
    "weft_registry_unwritten_total",
    "Writes of the registry's journal that failed.",
);
/// One series.
pub const ETCD_CONNECTED: Metric = gauge(
    "weft_etcd_connected",
    "Whether the registry is shared through etcd at this moment.",
);
/// One series.
pub const ETCD_AGE: Metric = gauge(
    "weft_etcd_contact_age_seconds",
    "Time since a member of etcd last answered.",
);
/// One series.
pub const ETCD_REMOTE: Metric = gauge(
    "weft_etcd_remote_instances",
    "Registered instances that other proxies vouch for.",
);
/// One series.
pub const ETCD_PENDING: Metric = gauge(
    "weft_etcd_pending_changes",
    "Instances of this proxy of which etcd has not confirmed the last change.",
);
/// One series.
pub const ETCD_FAILURES: Metric = counter(
    "weft_etcd_failures_total",
    "Connections to a member of etcd that failed, or could not be made.",
);
/// One series.
pub const ETCD_REFUSED: Metric = counter(
    "weft_etcd_refused_writes_total",
    "Writes that etcd refused.",
);
/// One series.
pub const ETCD_LISTS: Metric = counter(
    "weft_etcd_lists_total",
    "Times that all instances were read from etcd.",
);
/// One series.
pub const ETCD_LEASES: Metric = counter("weft_etcd_leases_total", "Leases that were made in etcd.");
/// By type.
pub const ETCD_EVENTS: Metric = counter(
    "weft_etcd_events_total",
    "Changes that the watch of etcd told, those of this proxy included, by type.",
);
/// By reason.
pub const ETCD_SKIPPED: Metric = counter(
    "weft_etcd_skipped_total",
    "Values in etcd that were not used, by reason; counted each time they are read.",
);
/// By source.
pub const DISCOVERY_ENDPOINTS: Metric = gauge(
    "weft_discovery_endpoints",
    "Endpoints that a source found last, by source.",
);
/// By source.
pub const DISCOVERY_AGE: Metric = gauge(
    "weft_discovery_age_seconds",
    "Time since a source last answered, by source.",
);
/// By source.
pub const DISCOVERY_FAILURES: Metric = counter(
    "weft_discovery_failures_total",
    "Attempts at asking a source that failed, by source.",
);
/// Of all clusters.
pub const DISCOVERY_UPDATES: Metric = counter(
    "weft_discovery_updates_total",
    "Changes of a cluster's endpoints that the shards were told.",
);
/// By address.
pub const KEY_SET_KEYS: Metric = gauge(
    "weft_key_set_keys",
    "Usable keys of an issuer; 0 while there are none to verify tokens by.",
);
/// By address; only once keys were fetched.
pub const KEY_SET_AGE: Metric = gauge(
    "weft_key_set_age_seconds",
    "Time since the keys of an issuer were fetched.",
);
/// By address and result.
pub const KEY_SET_FETCHES: Metric = counter(
    "weft_key_set_fetches_total",
    "Fetches of an issuer's keys, by result: ok or error.",
);
/// Only with a Workload API, as are those below.
pub const IDENTITY_EXPIRY: Metric = gauge(
    "weft_identity_expiry_timestamp_seconds",
    "When the identity that the Workload API gave last expires, since 1970.",
);
/// Whether.
pub const IDENTITY_CONNECTED: Metric = gauge(
    "weft_identity_source_connected",
    "1 while the Workload API's stream of answers is open.",
);
/// Whether.
pub const IDENTITY_IN_USE: Metric = gauge(
    "weft_identity_in_use",
    "1 while connections are made with the identity that was given last; 0 while a configuration \
     that cannot be used stands in its way.",
);
/// Times.
pub const IDENTITY_FAILURES: Metric = counter(
    "weft_identity_source_failures_total",
    "Times the Workload API was not reached, refused, or ended its stream.",
);
/// By result.
pub const IDENTITY_ANSWERS: Metric = counter(
    "weft_identity_answers_total",
    "Answers of the Workload API: accepted (another identity), unchanged, or rejected (the one \
     before stays in use).",
);

/// By listener and place of the certificate in its configuration.
pub const CERTIFICATE_EXPIRY: Metric = gauge(
    "weft_listener_certificate_expiry_timestamp_seconds",
    "When a certificate that the listener shows expires, since 1970.",
);

/// Upper bounds of the buckets of the text exposition, in nanoseconds, with their labels in
/// seconds. Fine below a millisecond, where the time that a proxy adds lies.
pub const BUCKETS: [(u64, &str); 19] = [
    (10_000, "1e-05"),
    (25_000, "2.5e-05"),
    (50_000, "5e-05"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1"),
    (2_500_000_000, "2.5"),
    (10_000_000_000, "10"),
    (60_000_000_000, "60"),
];
