//! The directory: which sources the clusters want, and what each of them found last.
//!
//! *In:* a configuration ([`Directory::adopt`]), then what sources find and how they fail. *Out:*
//! the endpoints of one cluster at a time, whenever they are different from before.
//!
//! Must stay true: a source that fails keeps what it found last, over reloads too; a change costs
//! as much as the clusters that use its source are large, and nothing of the others; the same
//! endpoints twice are no change.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Notify;

use crate::config::{Config, Endpoint, HostName, NamedEndpoint, Subset};
use crate::io::Instant;
use crate::limits;

/// Where endpoints are found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The registered instances of a service.
    Registry(Arc<str>),
    /// A file that lists them.
    File(PathBuf),
    /// The addresses of a name.
    Name(NamedEndpoint),
    /// The SRV records of a name.
    Srv(HostName),
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(service) => write!(out, "registry:{service}"),
            Self::File(path) => write!(out, "file:{}", path.display()),
            Self::Name(named) => write!(out, "dns:{}", named.address),
            Self::Srv(name) => write!(out, "srv:{name}"),
        }
    }
}

/// Takes the endpoints of one cluster.
pub type Publish = Box<dyn Fn(&Arc<str>, &[Endpoint])>;

/// Sources and the clusters that use them.
#[derive(Default)]
pub struct Directory {
    clusters: RefCell<HashMap<Arc<str>, Fed>>,
    sources: RefCell<BTreeMap<Source, Found>>,
    publish: RefCell<Option<Publish>>,
    /// Rung when other sources are wanted than before.
    bell: Notify,
    /// Rung when a source answers for the first time.
    first: Notify,
    published: Cell<u64>,
    /// How it goes with what the registry is shared through, if it is.
    shared: RefCell<Option<Contact>>,
}

/// A cluster with sources.
#[derive(Debug)]
struct Fed {
    /// The endpoints that stand in its configuration.
    own: Vec<Endpoint>,
    sources: Vec<Source>,
    /// Which of what they find is in it.
    subset: Option<Subset>,
    /// What was published last.
    endpoints: Vec<Endpoint>,
}

/// What a source found.
#[derive(Debug, Default)]
struct Found {
    /// The clusters that use it.
    users: Vec<Arc<str>>,
    endpoints: Vec<Endpoint>,
    /// When it last answered.
    answered: Option<Instant>,
    /// It has had its time to answer first: nobody waits for it again.
    is_overdue: bool,
    /// Why it did not, since it last did.
    error: Option<String>,
    failures: u64,
}

/// A source as the admin interface shows it.
#[derive(Debug, Serialize)]
pub struct SourceRow {
    /// What kind of source, and which one.
    pub source: String,
    /// Endpoints found last.
    pub endpoints: usize,
    /// Seconds since it last answered; none when it never did.
    pub age_seconds: Option<f64>,
    /// Why its last attempt failed; none when it did not.
    pub last_error: Option<String>,
    /// Attempts that failed since the start.
    pub failures: u64,
}

/// How it goes with what a registry is shared through: as old as that are its instances.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// When it last answered.
    pub at: Option<Instant>,
    /// Whether all that it had was read since the start.
    pub is_known: bool,
    /// Why there is no contact; none while there is.
    pub error: Option<String>,
    /// Attempts that failed since the start.
    pub failures: u64,
}

impl SourceRow {
    fn new(source: &Source, found: &Found, shared: Option<&Contact>, now: Instant) -> Self {
        let is_registry = matches!(source, Source::Registry(_));
        let (answered, error, failures) = match shared.filter(|_| is_registry) {
            Some(contact) => (contact.at, &contact.error, contact.failures),
            None => (found.answered, &found.error, found.failures),
        };
        let age = answered.map(|answered| now.since(answered));
        Self {
            source: source.to_string(),
            endpoints: found.endpoints.len(),
            age_seconds: age.map(|age| age.as_secs_f64()),
            last_error: error.clone(),
            failures,
        }
    }
}

impl Directory {
    /// Takes the clusters of a configuration in, and puts into them what their sources found last.
    /// To be called before it is compiled.
    pub fn adopt(&self, config: &mut Config) {
        let mut sources = self.sources.borrow_mut();
        sources.values_mut().for_each(|found| found.users.clear());
        let mut clusters = HashMap::new();
        for cluster in &mut config.clusters {
            let wanted = wanted(cluster);
            if wanted.is_empty() {
                continue;
            }
            for source in &wanted {
                let found = sources.entry(source.clone()).or_default();
                found.users.push(Arc::clone(&cluster.name));
            }
            let own = cluster.endpoints.clone();
            let subset = cluster.subset.clone();
            cluster.endpoints = merge(&own, &wanted, subset.as_ref(), &sources);
            let fed = Fed {
                own,
                sources: wanted,
                subset,
                endpoints: cluster.endpoints.clone(),
            };
            clusters.insert(Arc::clone(&cluster.name), fed);
        }
        // What the registry knows stays there; the others would have to be asked again.
        sources.retain(|_, found| !found.users.is_empty());
        drop(sources);
        self.clusters.replace(clusters);
        self.bell.notify_waiters();
    }

    /// Wants the sources of a configuration that may take effect, beside those that are wanted.
    pub fn want(&self, config: &Config) {
        let mut sources = self.sources.borrow_mut();
        let before = sources.len();
        for source in config.clusters.iter().flat_map(wanted) {
            sources.entry(source).or_default();
        }
        if sources.len() > before {
            self.bell.notify_waiters();
        }
    }

    /// The configuration does not take effect: wants those of the clusters that run.
    pub fn want_no_more(&self) {
        let mut sources = self.sources.borrow_mut();
        sources.retain(|_, found| !found.users.is_empty());
        self.bell.notify_waiters();
    }

    /// Puts what the sources found last into a configuration.
    pub fn fill(&self, config: &mut Config) {
        let sources = self.sources.borrow();
        for cluster in &mut config.clusters {
            let wanted = wanted(cluster);
            if !wanted.is_empty() {
                let subset = cluster.subset.as_ref();
                cluster.endpoints = merge(&cluster.endpoints, &wanted, subset, &sources);
            }
        }
    }

    /// Publishes every cluster, for whoever compares with what it has.
    pub fn republish(&self) {
        let clusters = self.clusters.borrow();
        if let Some(publish) = &*self.publish.borrow() {
            let fed = clusters.iter();
            fed.for_each(|(name, fed)| publish(name, &fed.endpoints));
        }
    }

    /// Has changes given to `publish` from now on.
    pub fn connect(&self, publish: Publish) {
        self.publish.replace(Some(publish));
    }

    /// The sources that are wanted.
    pub fn wanted(&self) -> Vec<Source> {
        self.sources.borrow().keys().cloned().collect()
    }

    /// The files that are wanted.
    #[cfg(feature = "endpoint-files")]
    pub fn files(&self) -> HashSet<PathBuf> {
        let sources = self.sources.borrow();
        let file = |source: &Source| match source {
            Source::File(path) => Some(path.clone()),
            Source::Registry(_) | Source::Name(_) | Source::Srv(_) => None,
        };
        sources.keys().filter_map(file).collect()
    }

    /// Whether a source has answered since it was wanted.
    pub fn has_answered(&self, source: &Source) -> bool {
        let sources = self.sources.borrow();
        let found = sources.get(source);
        found.is_some_and(|found| found.answered.is_some()) && self.is_shared_known(source)
    }

    /// Whether what a source shares is known; so it is of one that shares nothing.
    fn is_shared_known(&self, source: &Source) -> bool {
        let shared = self.shared.borrow();
        let is_registry = matches!(source, Source::Registry(_));
        !is_registry || shared.as_ref().is_none_or(|contact| contact.is_known)
    }

    /// Whether a source has answered, or has had its time to.
    pub fn is_settled(&self, source: &Source) -> bool {
        let sources = self.sources.borrow();
        let found = sources.get(source);
        let is_known = self.is_shared_known(source);
        found.is_some_and(|it| (it.answered.is_some() && is_known) || it.is_overdue)
    }

    /// A source has had its time to answer.
    pub fn give_up(&self, source: &Source) {
        if let Some(found) = self.sources.borrow_mut().get_mut(source) {
            found.is_overdue = true;
        }
    }

    /// Waits until a source answers for the first time.
    pub async fn answered(&self) {
        self.first.notified().await;
    }

    /// Whether anybody wants a source.
    pub fn wants(&self, source: &Source) -> bool {
        self.sources.borrow().contains_key(source)
    }

    /// Waits until other sources are wanted than when this was called.
    pub fn changed(&self) -> impl Future<Output = ()> {
        self.bell.notified()
    }

    /// A source has answered. Gives how many of its endpoints are left out as too many.
    pub fn found(&self, source: &Source, mut endpoints: Vec<Endpoint>, now: Instant) -> usize {
        let left_out = endpoints
            .len()
            .saturating_sub(limits::DISCOVERED_ENDPOINTS_MAX);
        endpoints.truncate(limits::DISCOVERED_ENDPOINTS_MAX);
        let users = {
            let mut sources = self.sources.borrow_mut();
            let Some(found) = sources.get_mut(source) else {
                return left_out;
            };
            if found.answered.replace(now).is_none() {
                self.first.notify_waiters();
            }
            found.error = None;
            if found.endpoints == endpoints {
                return left_out;
            }
            found.endpoints = endpoints;
            found.users.clone()
        };
        users.iter().for_each(|cluster| self.refresh(cluster));
        left_out
    }

    /// A source has failed; what it found last stays. Whether it had not failed before.
    pub fn failed(&self, source: &Source, why: &str) -> bool {
        let mut sources = self.sources.borrow_mut();
        let Some(found) = sources.get_mut(source) else {
            return false;
        };
        found.failures = found.failures.saturating_add(1);
        let is_new = found.error.as_deref() != Some(why);
        found.error = Some(why.to_owned());
        is_new
    }

    /// The registry is shared, and this is how it goes.
    pub fn in_contact(&self, contact: Contact) {
        let is_known = contact.is_known;
        let before = self.shared.replace(Some(contact));
        if is_known && before.is_none_or(|before| !before.is_known) {
            self.first.notify_waiters();
        }
    }

    /// The sources of a cluster, for its page.
    pub fn rows(&self, cluster: &str, now: Instant) -> Vec<SourceRow> {
        let clusters = self.clusters.borrow();
        let sources = self.sources.borrow();
        let Some(fed) = clusters.get(cluster) else {
            return Vec::new();
        };
        let shared = self.shared.borrow();
        let shared = shared.as_ref();
        let row = |source: &Source| Some(SourceRow::new(source, sources.get(source)?, shared, now));
        fed.sources.iter().filter_map(row).collect()
    }

    /// All sources, for metrics: the row and what was published in all.
    pub fn totals(&self, now: Instant) -> (Vec<SourceRow>, u64) {
        let sources = self.sources.borrow();
        let shared = self.shared.borrow();
        let row = |(source, found)| SourceRow::new(source, found, shared.as_ref(), now);
        let rows = sources.iter().map(row);
        (rows.collect(), self.published.get())
    }

    /// Publishes a cluster whose endpoints are different now.
    fn refresh(&self, cluster: &Arc<str>) {
        let endpoints = {
            let mut clusters = self.clusters.borrow_mut();
            let Some(fed) = clusters.get_mut(cluster) else {
                return;
            };
            let (sources, subset) = (self.sources.borrow(), fed.subset.as_ref());
            let endpoints = merge(&fed.own, &fed.sources, subset, &sources);
            if endpoints == fed.endpoints {
                return;
            }
            fed.endpoints.clone_from(&endpoints);
            endpoints
        };
        self.published.set(self.published.get().saturating_add(1));
        if let Some(publish) = &*self.publish.borrow() {
            publish(cluster, &endpoints);
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Directory")
            .field("clusters", &self.clusters)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

/// The sources of a cluster, in the order in which their endpoints count.
pub(super) fn wanted(cluster: &crate::config::Cluster) -> Vec<Source> {
    let discovery = &cluster.discovery;
    let mut wanted = Vec::new();
    wanted.extend(discovery.registry.clone().map(Source::Registry));
    wanted.extend(discovery.file.clone().map(Source::File));
    wanted.extend(discovery.dns.iter().cloned().map(Source::Name));
    wanted.extend(discovery.srv.iter().cloned().map(Source::Srv));
    let mut seen = HashSet::new();
    wanted.retain(|source| seen.insert(source.clone()));
    wanted
}

/// A cluster's own endpoints, then those of its sources that are in it; of two with one address the
/// first counts.
fn merge(
    own: &[Endpoint],
    wanted: &[Source],
    subset: Option<&Subset>,
    sources: &BTreeMap<Source, Found>,
) -> Vec<Endpoint> {
    let found = wanted.iter().filter_map(|source| sources.get(source));
    let found = found.flat_map(|found| &found.endpoints);
    let found = found.filter(|endpoint| subset.is_none_or(|subset| subset.has(endpoint)));
    let mut seen = HashSet::new();
    own.iter()
        .chain(found)
        .filter(|endpoint| seen.insert(&endpoint.address))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::rc::Rc;

    use super::*;
    use crate::config::{self, EndpointAddress};

    fn config(clusters: &str) -> Config {
        let text = format!(
            "registry = {{ path = \"r\", uids = [0] }}\nadmin = {{ address = \"127.0.0.1:2\" }}\n\
             clusters = [{clusters}]\n[[listeners]]\nname = \"l\"\naddress = \"127.0.0.1:1\"\n\
             [[listeners.virtual_hosts]]\nhosts = [\"*\"]\nroutes = [{{ forward = \"a\" }}]\n"
        );
        config::parse(&text, Path::new("f")).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::at(EndpointAddress::Tcp(([10, 0, 0, 1], port).into()))
    }

    fn ports(endpoints: &[Endpoint]) -> Vec<u16> {
        let port = |endpoint: &Endpoint| match endpoint.address {
            EndpointAddress::Tcp(address) => address.port(),
            EndpointAddress::Unix(_) | EndpointAddress::BuiltinEcho => 0,
        };
        endpoints.iter().map(port).collect()
    }

    type Published = Rc<RefCell<Vec<(String, Vec<u16>)>>>;

    fn listen(directory: &Directory) -> Published {
        let published = Published::default();
        let heard = Rc::clone(&published);
        directory.connect(Box::new(move |cluster, endpoints| {
            let entry = (cluster.to_string(), ports(endpoints));
            heard.borrow_mut().push(entry);
        }));
        published
    }

    #[test]
    fn a_subset_has_what_matches_of_what_the_sources_of_its_cluster_find() {
        let directory = Directory::default();
        let mut config = config(
            "{ name = \"a\", discovery = { file = \"f.json\" } },
             { name = \"two\", subset_of = \"a\", metadata = { version = \"2\" } }",
        );
        directory.adopt(&mut config);
        let published = listen(&directory);
        let of = |port, version: &str| Endpoint {
            metadata: Arc::new([("version".to_owned(), version.to_owned())].into()),
            ..endpoint(port)
        };
        let found = vec![of(1, "1"), of(2, "2"), endpoint(3)];
        let source = Source::File("f.json".into());
        directory.found(&source, found, Instant::from_nanos(1));
        let expected = [("a".to_owned(), vec![1, 2, 3]), ("two".to_owned(), vec![2])];
        assert_eq!(published.take(), expected);
        // What is not in it is no change of it.
        let found = vec![of(1, "1"), of(2, "2")];
        directory.found(&source, found, Instant::from_nanos(2));
        assert_eq!(published.take(), [("a".to_owned(), vec![1, 2])]);
        directory.adopt(&mut config);
        assert_eq!(ports(&config.clusters[1].endpoints), [2]);
    }

    const A: &str =
        "{ name = \"a\", endpoints = [\"10.0.0.1:1\"], discovery = { registry = \"s\" } }";
    const B: &str = "{ name = \"b\", discovery = { registry = \"s\", file = \"f.json\" } }";
    const C: &str = "{ name = \"c\", endpoints = [] }";

    #[test]
    fn what_a_source_finds_goes_to_the_clusters_that_use_it_and_once() {
        let directory = Directory::default();
        let mut config = config(&format!("{A}, {B}, {C}"));
        directory.adopt(&mut config);
        let published = listen(&directory);
        let (registry, file) = (Source::Registry("s".into()), Source::File("f.json".into()));
        assert_eq!(directory.wanted(), [registry.clone(), file.clone()]);
        let now = Instant::from_nanos(1);
        directory.found(&registry, vec![endpoint(2), endpoint(1)], now);
        directory.found(&registry, vec![endpoint(2), endpoint(1)], now);
        directory.found(&Source::Registry("other".into()), vec![endpoint(9)], now);
        let expected = [("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![2, 1])];
        assert_eq!(published.take(), expected);
        directory.found(&file, vec![endpoint(3)], now);
        assert!(directory.failed(&file, "gone") && !directory.failed(&file, "gone"));
        assert_eq!(published.take(), [("b".to_owned(), vec![2, 1, 3])]);
        let rows = directory.rows("b", now);
        assert_eq!(rows[1].source, "file:f.json");
        assert_eq!(
            (rows[1].endpoints, rows[1].failures),
            (1, 2),
            "the last good ones stay"
        );
        assert_eq!(rows[1].last_error.as_deref(), Some("gone"));
        directory.found(&registry, vec![], now);
        assert_eq!(published.take().len(), 2);
    }

    #[test]
    fn a_reload_keeps_what_was_found() {
        let directory = Directory::default();
        directory.adopt(&mut config(A));
        let source = Source::Registry("s".into());
        directory.found(&source, vec![endpoint(5)], Instant::from_nanos(1));
        let mut next = config(&format!("{A}, {B}"));
        directory.adopt(&mut next);
        assert_eq!(ports(&next.clusters[0].endpoints), [1, 5]);
        assert_eq!(ports(&next.clusters[1].endpoints), [5]);
        let published = listen(&directory);
        directory.found(&source, vec![endpoint(5)], Instant::from_nanos(2));
        assert_eq!(published.take(), []);
        directory.adopt(&mut config("{ name = \"a\", endpoints = [] }"));
        assert_eq!(directory.wanted(), []);
    }
}
