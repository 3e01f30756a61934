//! Clusters and their endpoints, from the file to the model.
//!
//! A cluster that has a name but other problems still counts as existing, so that the routes that
//! name it are not reported as well.

pub(super) mod discovery;
mod etcd;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::defaults::{self, Defaults};
use super::{Names, balancing, grammar, health, resilience};
use crate::config::file::{Field, Section};
use crate::config::model::{
    Cluster, Discovery, Endpoint, EndpointAddress, Identity, NamedEndpoint, Pool, Subset,
};
use crate::config::scalar;
use crate::limits;

const ENDPOINT_ADDRESS: &str = "an IP address and port such as \"10.0.0.1:80\" or \"[::1]:80\", \
    a host name and port such as \"app.internal:80\", \"unix:/run/app.sock\" or \"builtin:echo\"";

/// What a cluster is read with.
pub(super) struct Surroundings<'a> {
    pub(super) defaults: &'a Defaults,
    pub(super) identity: Option<&'a Identity>,
    /// Where the process is.
    pub(super) home: Option<&'a Arc<str>>,
}

/// A cluster as far as it could be read.
pub(super) struct Read<'a> {
    pub(super) name: Arc<str>,
    pub(super) cluster: Option<Cluster>,
    /// Which cluster it is a subset of.
    subset_of: Option<Field<'a>>,
    /// Its own endpoints.
    listed: Option<Field<'a>>,
    /// Where others come from.
    fed: Option<Field<'a>>,
}

/// A cluster: its name, and the rest if that is in order.
pub(super) fn cluster<'a>(
    section: &mut Section<'a>,
    surroundings: &Surroundings<'_>,
    names: &mut Names,
) -> Option<Read<'a>> {
    let name = section.required("name", grammar::NAME).and_then(|field| {
        let name = field.parse(grammar::NAME, grammar::name)?;
        names.take(&name, &field);
        Some(name)
    });
    let (lb_policy, balancing) = balancing::balancing(section, surroundings.home);
    let connect_timeout =
        section.duration("connect_timeout", surroundings.defaults.connect_timeout);
    let circuit_breaker = section.section_or_empty("circuit_breaker", resilience::circuit_breaker);
    let retry_budget = section.section_or_empty("retry_budget", resilience::retry_budget);
    let tls = section.section("tls", |section| {
        super::tls::cluster(section, surroundings.identity)
    });
    let tls = tls.flatten();
    let has_tls = section.has("tls");
    let health_check = section.section("health_check", |section| health::check(section, has_tls));
    let pool = section.section("pool", pool).unwrap_or_else(default_pool);
    let fed = section.field("discovery");
    let discovery = fed.clone().and_then(|it| it.section(discovery::discovery));
    let mut discovery_and_names = discovery.clone().unwrap_or_default();
    let subset_of = section.field("subset_of");
    let subset = subset(section, subset_of.as_ref());
    // A subset's are those of its cluster; a dump lists them.
    let listed = section.field("endpoints");
    let endpoints = match &listed {
        None if discovery.is_some() || subset_of.is_some() => Some(Vec::new()),
        None => {
            section.missing("endpoints", "a list of addresses (empty to answer 503)");
            None
        }
        Some(field) => Some(endpoints(field, &mut discovery_and_names)),
    };
    let name = name?;
    let cluster = endpoints.map(|endpoints| Cluster {
        name: Arc::clone(&name),
        lb_policy,
        balancing,
        connect_timeout,
        tls: tls.clone(),
        circuit_breaker,
        retry_budget,
        health_check,
        pool,
        discovery: discovery_and_names,
        subset,
        endpoints,
    });
    Some(Read {
        name,
        cluster,
        subset_of,
        listed,
        fed,
    })
}

/// Which endpoints of another cluster are in this one.
fn subset(section: &mut Section<'_>, of: Option<&Field<'_>>) -> Option<Subset> {
    let metadata = section.field("metadata");
    match (of, metadata) {
        (None, None) => None,
        (None, Some(field)) => {
            field.refuse("only with `subset_of`; an endpoint's own belongs to the endpoint")
        }
        (Some(_), None) => {
            section.missing(
                "metadata",
                "what its endpoints must say, `{ version = \"2\" }`",
            );
            None
        }
        (Some(of), Some(field)) => Some(Subset {
            of: of.text()?.into(),
            metadata: metadata_in(field),
        }),
    }
}

/// Gives subsets their endpoints, and the sources of further ones.
pub(super) fn fill_subsets(clusters: &mut [Read<'_>]) {
    let whole: HashMap<Arc<str>, Option<(Vec<Endpoint>, Discovery)>> = clusters
        .iter()
        .filter(|read| read.subset_of.is_none())
        .map(|read| {
            let cluster = read.cluster.as_ref();
            let known = |cluster: &Cluster| (cluster.endpoints.clone(), cluster.discovery.clone());
            (Arc::clone(&read.name), cluster.map(known))
        })
        .collect();
    for read in clusters {
        let Some(field) = &read.subset_of else {
            continue;
        };
        let found = field.text().and_then(|text| whole.get(text));
        let expected = "the name of a cluster that is not a subset itself";
        match (found, &mut read.cluster) {
            (None, _) => read.cluster = field.expected(expected),
            (Some(Some((endpoints, discovery))), Some(cluster)) => {
                let subset = cluster.subset.as_ref();
                let matching = subset.map_or_else(Vec::new, |it| it.endpoints(endpoints));
                if let Some(listed) = &read.listed
                    && cluster.endpoints != matching
                {
                    listed.refuse::<()>("a subset has those of its cluster that match");
                }
                cluster.endpoints = matching;
                if let Some(fed) = &read.fed
                    && cluster.discovery != *discovery
                {
                    fed.refuse::<()>("a subset has the sources of its cluster");
                }
                cluster.discovery.clone_from(discovery);
            }
            // The other cluster has been refused already.
            (Some(_), _) => {}
        }
    }
}

fn metadata_in(field: Field<'_>) -> BTreeMap<String, String> {
    let entries = field.entries().into_iter();
    let entry = |(key, field): (&str, Field<'_>)| {
        let value = field.parse("a text", |text| Some(text.to_owned()))?;
        Some((key.to_owned(), value))
    };
    entries.filter_map(entry).collect()
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
    let mut places = HashMap::new();
    for field in field.clone().list() {
        match endpoint(field.clone()) {
            Some(Listed::Address(endpoint)) => {
                let place = places.insert(endpoint.address.clone(), field.place());
                match place {
                    // Every built-in origin is another one.
                    Some(other) if endpoint.address != EndpointAddress::BuiltinEcho => {
                        field.refuse::<()>(&format!("already used in {other}"));
                    }
                    _ => endpoints.push(endpoint),
                }
            }
            Some(Listed::Name(named)) => discovery.dns.push(named),
            None => {}
        }
    }
    endpoints
}

/// The endpoints of a list that has no names.
pub(super) fn addresses(field: &Field<'_>) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for field in field.clone().list() {
        match endpoint(field.clone()) {
            Some(Listed::Address(endpoint)) => endpoints.push(endpoint),
            Some(Listed::Name(_)) => {
                let why = "a host name cannot stand in an endpoint file: use `discovery.dns`";
                field.refuse::<()>(why);
            }
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
        let locality = section.field("locality");
        let locality = locality.and_then(|field| field.parse(grammar::NAME, grammar::name));
        let metadata = section
            .field("metadata")
            .map(metadata_in)
            .unwrap_or_default();
        let address = section.required("address", ENDPOINT_ADDRESS)?;
        match listed(&address, weight)? {
            Listed::Name(named) => Some(Listed::Name(named)),
            Listed::Address(endpoint) => Some(Listed::Address(Endpoint {
                locality,
                metadata: Arc::new(metadata),
                ..endpoint
            })),
        }
    })?
}

fn listed(field: &Field<'_>, weight: u32) -> Option<Listed> {
    if let Some(address) = field.text().and_then(discovery::host_port) {
        discovery::built_with(field, cfg!(feature = "dns"), "dns")?;
        return Some(Listed::Name(NamedEndpoint { address, weight }));
    }
    let address = field.parse(ENDPOINT_ADDRESS, scalar::parse_endpoint_address)?;
    Some(Listed::Address(Endpoint {
        weight,
        ..Endpoint::at(address)
    }))
}
