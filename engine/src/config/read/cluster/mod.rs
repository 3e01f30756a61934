//! Clusters and their endpoints, from the file to the model.
//!
//! A cluster that has a name but other problems still counts as existing, so that the routes that
//! name it are not reported as well.

pub(super) mod discovery;

use std::sync::Arc;

use super::defaults::{self, Defaults};
use super::{Names, grammar, health, resilience};
use crate::config::file::{Field, Section};
use crate::config::model::{Cluster, Discovery, Endpoint, Identity, LbPolicy, NamedEndpoint, Pool};
use crate::config::scalar;
use crate::limits;

const ENDPOINT_ADDRESS: &str = "an IP address and port such as \"10.0.0.1:80\" or \"[::1]:80\", \
    a host name and port such as \"app.internal:80\", \"unix:/run/app.sock\" or \"builtin:echo\"";
const LB_POLICIES: [(&str, LbPolicy); 2] = [
    ("round_robin", LbPolicy::RoundRobin),
    ("least_request", LbPolicy::LeastRequest),
];

/// A cluster: its name, and the rest if that is in order.
pub(super) fn cluster(
    section: &mut Section<'_>,
    defaults: &Defaults,
    identity: Option<&Identity>,
    names: &mut Names,
) -> Option<(Arc<str>, Option<Cluster>)> {
    let name = section.required("name", grammar::NAME).and_then(|field| {
        let name = field.parse(grammar::NAME, grammar::name)?;
        names.take(&name, &field);
        Some(name)
    });
    let lb_policy = section.choice("lb_policy", LbPolicy::RoundRobin, &LB_POLICIES);
    let connect_timeout = section.duration("connect_timeout", defaults.connect_timeout);
    let circuit_breaker = section.section_or_empty("circuit_breaker", resilience::circuit_breaker);
    let retry_budget = section.section_or_empty("retry_budget", resilience::retry_budget);
    let tls = section.section("tls", |section| super::tls::cluster(section, identity));
    let tls = tls.flatten();
    let has_tls = section.has("tls");
    let health_check = section.section("health_check", |section| health::check(section, has_tls));
    let pool = section.section("pool", pool).unwrap_or_else(default_pool);
    let discovery = section.section("discovery", discovery::discovery);
    let mut discovery_and_names = discovery.clone().unwrap_or_default();
    let endpoints = match section.field("endpoints") {
        None if discovery.is_some() => Some(Vec::new()),
        None => {
            section.missing("endpoints", "a list of addresses (empty to answer 503)");
            None
        }
        Some(field) => Some(endpoints(&field, &mut discovery_and_names)),
    };
    let name = name?;
    let cluster = endpoints.map(|endpoints| Cluster {
        name: Arc::clone(&name),
        lb_policy,
        connect_timeout,
        tls,
        circuit_breaker,
        retry_budget,
        health_check,
        pool,
        discovery: discovery_and_names,
        endpoints,
    });
    Some((name, cluster))
}

fn pool(section: &mut Section<'_>) -> Pool {
    let default = default_pool();
    Pool {
        max_idle: section.count("max_idle", default.max_idle, 0..=u32::MAX),
        idle_timeout: section.duration("idle_timeout", default.idle_timeout),
        lifetime: section.duration("lifetime", default.lifetime),
    }
}

fn default_pool() -> Pool {
    Pool {
        max_idle: limits::POOL_IDLE_DEFAULT,
        idle_timeout: defaults::POOL_IDLE,
        lifetime: defaults::LIFETIME,
    }
}

/// The endpoints of a list; names are given to discovery.
fn endpoints(field: &Field<'_>, discovery: &mut Discovery) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for field in field.clone().list() {
        match endpoint(field) {
            Some(Listed::Address(endpoint)) => endpoints.push(endpoint),
            Some(Listed::Name(named)) => discovery.dns.push(named),
            None => {}
        }
    }
    endpoints
}

/// What stands in a list of endpoints.
enum Listed {
    Address(Endpoint),
    Name(NamedEndpoint),
}

/// `"10.0.0.1:80"`, or `{ address = "10.0.0.1:80", weight = 2 }`.
fn endpoint(field: Field<'_>) -> Option<Listed> {
    if !field.is_table() {
        return listed(&field, 1);
    }
    field.section(|section| {
        let weight = section.count("weight", 1, 0..=limits::WEIGHT_MAX);
        let address = section.required("address", ENDPOINT_ADDRESS)?;
        listed(&address, weight)
    })?
}

fn listed(field: &Field<'_>, weight: u32) -> Option<Listed> {
    // Without DNS in the build a name is no address like any other mistake.
    let name = field.text().filter(|_| cfg!(feature = "dns"));
    if let Some(address) = name.and_then(discovery::host_port) {
        return Some(Listed::Name(NamedEndpoint { address, weight }));
    }
    let address = field.parse(ENDPOINT_ADDRESS, scalar::parse_endpoint_address)?;
    Some(Listed::Address(Endpoint { address, weight }))
}
