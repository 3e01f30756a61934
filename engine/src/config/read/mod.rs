//! From the file as written to the model: which keys exist, what they default to, what they may
//! be, and what must fit together.
//!
//! Readers never stop at a problem: it is noted where it stands, a default or nothing takes its
//! place, and the rest is read. A key exists if a reader asks for it.

mod authentication;
mod authorization;
mod balancing;
mod cluster;
mod defaults;
mod grammar;
mod health;
mod jwt;
mod listener;
mod passthrough;
mod resilience;
mod route;
mod tls;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::error::near_miss;
use super::file::{Field, Section};
use super::model::{
    AccessLog, AccessLogFormat, Address, Admin, Cluster, ClusterRef, Config, Endpoint,
    HistogramDump, Histograms, Listener, Profile, Shards,
};
use super::scalar;
use super::sources::Include;
use crate::limits;

use defaults::Defaults;

const ADDRESS: &str =
    "an address such as \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/run/weft.sock\"";
const PROFILES: [(&str, Profile); 2] = [("edge", Profile::Edge), ("sidecar", Profile::Sidecar)];

/// The whole configuration.
pub(super) fn config(root: &mut Section<'_>) -> Option<Config> {
    includes(root);
    let profile = root.choice("profile", Profile::Edge, &PROFILES);
    let defaults = Defaults::of(profile);
    let max_connections = root.count("max_connections", limits::CONNECTIONS_DEFAULT, 1..=u32::MAX);
    let drain = root.duration("drain", defaults.drain);
    let identity = root.section("identity", tls::identity).flatten();
    let watch = root.flag("watch", true);
    let overload = root.section_or_empty("overload", resilience::overload);
    let locality = root.field("locality");
    let locality = locality.and_then(|field| field.parse(grammar::NAME, grammar::name));
    let shards = root.section("shards", shards).unwrap_or_default();
    let mut places = Places::default();
    let admin = root
        .section("admin", |section| admin(section, &mut places))
        .flatten();
    let access_log = root.section("access_log", access_log).flatten();
    let histograms = root.section("histograms", histograms).unwrap_or_default();
    let authentication = root.section_or_empty("authentication", authentication::authentication);
    let methods = authentication::Methods::of(&authentication);
    let has_admin = root.has("admin");
    let registry = root.section("registry", |section| {
        cluster::discovery::registry(section, has_admin, identity.as_ref())
    });
    let dns = root
        .section("dns", cluster::discovery::dns)
        .unwrap_or_default();
    let surroundings = cluster::Surroundings {
        defaults: &defaults,
        identity: identity.as_ref(),
        home: locality.as_ref(),
    };
    let clusters = clusters(root, &surroundings);
    require_registry(root, &clusters);
    let names = clusters
        .iter()
        .map(|(name, _)| Arc::clone(name))
        .enumerate();
    let names = names.map(|(index, name)| (name, index)).collect();
    let attached = listener::Attached::read(root);
    let known = listener::Known {
        clusters: &names,
        methods: &methods,
        identity: identity.as_ref(),
        attached: &attached,
    };
    let mut listeners = listeners(root, profile, &mut places, known);
    authorization::number(&mut listeners);
    passthrough::refuse_policies(root, &listeners);
    passthrough::refuse_tls_behind(root, &listeners, &clusters);
    Some(Config {
        profile,
        max_connections,
        drain,
        watch,
        identity,
        overload,
        locality,
        shards,
        admin,
        access_log,
        histograms,
        authentication,
        registry: registry.flatten(),
        dns,
        listeners,
        clusters: clusters
            .into_iter()
            .map(|(_, cluster)| cluster)
            .collect::<Option<_>>()?,
    })
}

/// Registered instances want a registry.
fn require_registry(root: &Section<'_>, clusters: &[(Arc<str>, Option<Cluster>)]) {
    let known = clusters.iter().filter_map(|(_, cluster)| cluster.as_ref());
    let mut wanting = known.filter(|cluster| cluster.discovery.registry.is_some());
    if let Some(cluster) = wanting.next().filter(|_| !root.has("registry")) {
        let expected = format!(
            "a table: instances of cluster `{}` register there",
            cluster.name
        );
        root.missing("registry", &expected);
    }
}

/// A name, wherever one is written.
pub(super) fn name(text: &str) -> Option<Arc<str>> {
    grammar::name(text)
}

/// Judges the list of other files, which have been read by now.
fn includes(root: &mut Section<'_>) {
    let fields = root.list("include");
    if let Some(field) = fields.get(limits::INCLUDES_MAX) {
        field.expected::<()>(&format!("at most {} places", limits::INCLUDES_MAX));
    }
    for field in fields {
        field.parse(Include::EXPECTED, Include::parse);
    }
}

/// The endpoints of a file that lists nothing else.
pub(super) fn endpoints(root: &mut Section<'_>) -> Vec<Endpoint> {
    let field = root.required("endpoints", "a list of addresses");
    field.map_or_else(Vec::new, |field| cluster::addresses(&field))
}

/// Addresses that are taken, with the field that took them.
#[derive(Default)]
struct Places(HashMap<Address, String>);

impl Places {
    /// The address in `field`, if no other field has it. Port 0 is a different port every time.
    fn take(&mut self, field: &Field<'_>) -> Option<Address> {
        let address = field.parse(ADDRESS, scalar::parse_address)?;
        let shared = matches!(&address, Address::Tcp(address) if address.port() == 0);
        match self.0.get(&address) {
            Some(other) if !shared => field.refuse(&format!("already used in {other}")),
            _ => {
                self.0.insert(address.clone(), field.place());
                Some(address)
            }
        }
    }
}

/// Names that are taken, with the field that took them.
#[derive(Default)]
struct Names(HashMap<String, String>);

impl Names {
    /// Notes `name`; refuses `field` if another field has it.
    fn take(&mut self, name: &str, field: &Field<'_>) {
        if let Some(other) = self.0.insert(name.to_owned(), field.place()) {
            field.refuse::<()>(&format!("already used in {other}"));
        }
    }

    /// Notes a name that `section` has because it says nothing else.
    fn take_default(&mut self, name: &str, section: &Section<'_>) {
        if let Some(other) = self.0.insert(name.to_owned(), section.place()) {
            section.refuse(
                "name",
                &format!("the default \"{name}\" is already used in {other}"),
            );
        }
    }
}

fn shards(section: &mut Section<'_>) -> Shards {
    let shard_max = u32::try_from(limits::SHARDS_MAX).unwrap_or(u32::MAX);
    let cpus = section.field("cpus").and_then(|field| {
        field.parse("a list of cores such as \"0-3,8\", each once", |text| {
            scalar::parse_cpus(text, limits::SHARDS_MAX - 1)
        })
    });
    let count = section.field("count").and_then(|field| {
        let count = field.count(1..=shard_max)? as usize;
        match &cpus {
            Some(cpus) if cpus.len() < count => field.refuse(&format!(
                "more shards than the {} cores in `cpus`",
                cpus.len()
            )),
            _ => Some(count),
        }
    });
    Shards { count, cpus }
}

fn admin(section: &mut Section<'_>, places: &mut Places) -> Option<Admin> {
    let field = section.required("address", ADDRESS)?;
    Some(Admin {
        address: places.take(&field)?,
    })
}

fn access_log(section: &mut Section<'_>) -> Option<AccessLog> {
    let formats = [
        ("json", AccessLogFormat::Json),
        ("text", AccessLogFormat::Text),
    ];
    let format = section.choice("format", AccessLogFormat::Json, &formats);
    let buffer_bytes = section.size(
        "buffer",
        limits::ACCESS_LOG_BUFFER_BYTES_DEFAULT,
        limits::ACCESS_LOG_BUFFER_BYTES_RANGE,
    );
    let flush = section.duration("flush", Duration::from_secs(1));
    Some(AccessLog {
        path: required_path(section)?,
        format,
        buffer_bytes,
        flush,
    })
}

fn histograms(section: &mut Section<'_>) -> Histograms {
    let dump = section.section("dump", |section| {
        let interval = section.duration("interval", Duration::from_secs(10));
        Some(HistogramDump {
            path: required_path(section)?,
            interval,
        })
    });
    Histograms {
        dump: dump.flatten(),
    }
}

const FILE: &str = "the path of a file";

/// The path under `path`, which must be there.
fn required_path(section: &mut Section<'_>) -> Option<PathBuf> {
    path_in(&section.required("path", FILE)?)
}

/// The path under `key`, if it is there.
fn file_path(section: &mut Section<'_>, key: &'static str) -> Option<PathBuf> {
    path_in(&section.field(key)?)
}

fn path_in(field: &Field<'_>) -> Option<PathBuf> {
    let usable = |text: &str| !text.is_empty() && !text.contains('\0');
    field.parse(FILE, |text| usable(text).then(|| PathBuf::from(text)))
}

/// The clusters, by name. One that has problems keeps its place, so that routes that name it are
/// not wrong as well.
fn clusters(
    root: &mut Section<'_>,
    surroundings: &cluster::Surroundings<'_>,
) -> Vec<(Arc<str>, Option<Cluster>)> {
    let mut names = Names::default();
    let clusters = root.list("clusters").into_iter().filter_map(|field| {
        field
            .section(|section| cluster::cluster(section, surroundings, &mut names))
            .flatten()
    });
    let mut clusters: Vec<_> = clusters.collect();
    cluster::fill_subsets(&mut clusters);
    let named = clusters.into_iter();
    named.map(|read| (read.name, read.cluster)).collect()
}

/// The cluster that is named under `cluster`, which must be there.
fn required_cluster(
    section: &mut Section<'_>,
    known: &HashMap<Arc<str>, usize>,
) -> Option<ClusterRef> {
    let field = section.required("cluster", "the name of a cluster")?;
    cluster_ref(&field, known)
}

/// The cluster that `field` names.
fn cluster_ref(field: &Field<'_>, known: &HashMap<Arc<str>, usize>) -> Option<ClusterRef> {
    let written = field.parse("the name of a cluster", Some)?;
    if let Some((name, index)) = known.get_key_value(written) {
        let index = u32::try_from(*index).unwrap_or(u32::MAX);
        return Some(ClusterRef {
            name: Arc::clone(name),
            index,
        });
    }
    let known: Vec<&str> = known.keys().map(|name| &**name).collect();
    match near_miss(written, &known) {
        Some(near) => field.refuse(&format!("no such cluster, did you mean \"{near}\"?")),
        None => field.refuse("no such cluster"),
    }
}

fn listeners(
    root: &mut Section<'_>,
    profile: Profile,
    places: &mut Places,
    known: listener::Known<'_>,
) -> Vec<Listener> {
    let mut names = Names::default();
    let mut reader = listener::Reader::new(profile, known);
    let mut read = |field: Field<'_>| {
        field
            .section(|section| reader.listener(section, &mut names, places))
            .flatten()
    };
    let fields = root.some_list("listeners", "at least one listener");
    fields.into_iter().filter_map(&mut read).collect()
}
