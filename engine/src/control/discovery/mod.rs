//! Discovery: instances come and go, and the clusters follow.
//!
//! Each source says what the endpoints of one service or name are now: the registry, in which
//! instances register themselves, and which may be shared through [`etcd`]; files; DNS.
//! The [`directory`] merges what they found for each cluster; the [`feed`] tells the shards.
//!
//! Must stay true: all of it runs on the control thread; a change costs as much as the clusters
//! that it concerns are large, whatever else there is; a source that fails keeps what it found
//! last, and says so.

pub mod api;
pub mod check;
pub mod directory;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod feed;
mod figures;
#[cfg(feature = "endpoint-files")]
pub(super) mod files;
pub mod first_answers;
pub mod journal;
mod recovery;
pub mod registrar;
pub mod registry;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use flume::Sender;
use tokio::task::spawn_local;

use self::api::{Access, AccessError, Api};
use self::directory::{Directory, Source};
use self::feed::Feed;
use self::first_answers::names;
use self::journal::{Entry, Journal, OpenError, Recovered};
use self::registrar::Registrar;
use super::health::Checker;
use super::log::Log;
use crate::config::{self, Config, Endpoint};
use crate::proxy::Snapshot;
use crate::shard::ShardCommand;

/// What discovery has of its own before the control thread runs.
#[derive(Debug)]
pub struct Opened {
    registry: Option<(Journal, Recovered, Access)>,
    /// The endpoints that stand in the configuration, of clusters that got others as well.
    own: HashMap<Arc<str>, Vec<Endpoint>>,
}

/// Why discovery cannot start.
#[derive(Debug)]
pub enum Fault {
    /// The registry's journal cannot be opened.
    Journal(OpenError),
    /// The registry's tokens cannot be read.
    Access(AccessError),
    /// A file that is needed for etcd cannot be used; why.
    Etcd(String),
}

/// Discovery at work.
#[derive(Debug)]
pub struct Discovery {
    /// What the sources found.
    pub directory: Rc<Directory>,
    /// What the shards were told.
    pub feed: Rc<Feed>,
    /// The registry's API, if there is a registry.
    pub api: Option<Rc<Api>>,
    log: Log,
    /// What it is shared through, if it is.
    #[cfg(feature = "etcd")]
    pub etcd: Option<Rc<etcd::Etcd>>,
}

impl Opened {
    /// Opens what a configuration asks for, and puts the endpoints that are known already into its
    /// clusters, so that the first request finds them.
    ///
    /// # Errors
    /// What cannot be opened or read.
    pub fn open(config: &mut Config) -> Result<Self, Fault> {
        let registry = match &config.registry {
            None => None,
            Some(settings) => {
                examine(settings)?;
                let access = Access::open(settings).map_err(Fault::Access)?;
                let opened = Journal::open(&settings.path, recovery::wall_millis() / 1000);
                let (journal, recovered) = opened.map_err(Fault::Journal)?;
                Some((journal, recovered, access))
            }
        };
        let own = match &registry {
            Some((_, recovered, _)) => fill(config, &recovered.entries),
            None => HashMap::new(),
        };
        Ok(Self { registry, own })
    }

    /// Begins to work, on the control thread; `snapshot` is what the shards run.
    pub fn start(
        self,
        config: &Config,
        snapshot: &Snapshot,
        shards: Vec<Sender<ShardCommand>>,
        checker: &Rc<Checker>,
        log: Log,
    ) -> Discovery {
        let directory = Rc::new(Directory::default());
        let feed = Rc::new(Feed::new(shards));
        feed.adopt(snapshot);
        let mut meant = config.clone();
        for cluster in &mut meant.clusters {
            if let Some(own) = self.own.get(&cluster.name) {
                cluster.endpoints.clone_from(own);
            }
        }
        directory.adopt(&mut meant);
        let told = Rc::clone(&feed);
        directory.connect(Box::new(move |cluster, endpoints| {
            told.publish(cluster, endpoints);
        }));
        let telling = Rc::clone(&feed);
        spawn_local(async move { telling.run().await });
        #[cfg(feature = "endpoint-files")]
        spawn_local(files::run(Rc::clone(&directory), log));
        #[cfg(feature = "dns")]
        spawn_local(dns::run(Rc::clone(&directory), config.dns.clone(), log));
        let registry = self.registry.zip(config.registry.as_ref());
        let api: Option<Rc<Api>> = registry.map(|((journal, recovered, access), settings)| {
            let (offered, checker) = (Rc::clone(&directory), Rc::clone(checker));
            let registrar = Registrar::new(settings, journal, offered, checker, log);
            let registrar = Rc::new(registrar);
            registrar.restore(recovered);
            registrar.offer_all();
            spawn_local(Rc::clone(&registrar).run());
            spawn_local(Rc::clone(&registrar).keep_written());
            spawn_local(Rc::clone(&registrar).keep_offered());
            Rc::new(Api::new(registrar, access, settings.max_rate))
        });
        #[cfg(feature = "etcd")]
        let etcd = config.registry.as_ref().zip(api.as_ref());
        #[cfg(feature = "etcd")]
        let etcd = etcd.and_then(|(settings, api)| {
            let (registrar, folder) = (api.registrar(), &settings.path);
            let shared = settings.etcd.as_ref()?;
            Some(etcd::Etcd::start(
                shared, folder, registrar, &directory, log,
            ))
        });
        Discovery {
            directory,
            feed,
            api,
            log,
            #[cfg(feature = "etcd")]
            etcd,
        }
    }
}

/// Puts the instances of a journal into the clusters of their services. Gives the endpoints that
/// those clusters have of their own.
fn fill(config: &mut Config, entries: &[Entry]) -> HashMap<Arc<str>, Vec<Endpoint>> {
    let mut by_service: HashMap<&Arc<str>, Vec<Endpoint>> = HashMap::new();
    for entry in entries.iter().filter(|entry| !entry.is_draining) {
        let endpoints = by_service.entry(&entry.registration.service).or_default();
        endpoints.push(registrar::endpoint(&entry.registration));
    }
    let mut own = HashMap::new();
    for cluster in &mut config.clusters {
        let Some(service) = &cluster.discovery.registry else {
            continue;
        };
        own.insert(Arc::clone(&cluster.name), cluster.endpoints.clone());
        let listed = cluster.endpoints.iter().map(|it| it.address.clone());
        let mut seen: HashSet<_> = listed.collect();
        let subset = cluster.subset.as_ref();
        let registered = by_service.get(service).into_iter().flatten();
        let registered = registered.filter(|it| subset.is_none_or(|subset| subset.has(it)));
        let new = registered.filter(|it| seen.insert(it.address.clone()));
        cluster.endpoints.extend(new.cloned());
    }
    own
}

/// Checks what can be known of a registry before it is opened.
///
/// # Errors
/// What would keep it from working.
pub fn examine(settings: &config::Registry) -> Result<(), Fault> {
    #[cfg(feature = "etcd")]
    if let Some(shared) = &settings.etcd {
        etcd::examine(shared).map_err(Fault::Etcd)?;
    }
    #[cfg(not(feature = "etcd"))]
    let _never_shared = settings;
    Ok(())
}

impl Discovery {
    /// Discovery of nothing, for tests of what stands beside it.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self {
            directory: Rc::default(),
            feed: Rc::new(Feed::new(Vec::new())),
            api: None,
            log: Log::new(super::log::Level::Error),
            #[cfg(feature = "etcd")]
            etcd: None,
        }
    }

    /// Waits for the first answers of what the clusters of the start want, and has the shards told.
    /// Who has not answered by then is told in the log.
    pub async fn begin(&self, config: &Config) {
        let silent = self.directory.first_answers(&config.clusters).await;
        self.tell_silent(&silent);
        self.feed.deliver().await;
    }

    /// Puts what is known into a configuration that may take effect, when all of its sources have
    /// answered or have had their time.
    pub async fn prepare(&self, config: &mut Config) {
        // Wanted first, so that the sources have somebody to ask for.
        self.directory.want(config);
        if let Some(api) = &self.api {
            let services = config.clusters.iter();
            let services = services.filter_map(|cluster| cluster.discovery.registry.clone());
            services.for_each(|service| api.registrar().offer(&service));
        }
        let silent = self.directory.first_answers(&config.clusters).await;
        self.tell_silent(&silent);
        self.directory.fill(config);
    }

    /// What was prepared does not take effect.
    pub fn abandon(&self) {
        self.directory.want_no_more();
    }

    fn tell_silent(&self, silent: &[Source]) {
        if !silent.is_empty() {
            self.log.warn(
                "Sources of endpoints have not answered; their clusters begin without them.",
                &[("sources", &names(silent))],
            );
        }
    }

    /// A configuration has taken effect, and `snapshot` is what the shards run. What has changed
    /// since it was prepared is told to them again.
    pub fn commit(&self, mut meant: Config, snapshot: &Snapshot) {
        self.feed.adopt(snapshot);
        self.directory.adopt(&mut meant);
        self.directory.republish();
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journal(error) => write!(
                out,
                "The registry's journal cannot be opened: {error}.\n  FIX  Make the folder of \
                 registry.path writable, or stop the weft that uses it."
            ),
            Self::Etcd(why) => write!(
                out,
                "The registry cannot be shared through etcd: {why}.\n  FIX  Make the file \
                 readable and whole, or name another one in registry.etcd."
            ),
            Self::Access(error) => write!(
                out,
                "The registry's tokens cannot be read: {error}.\n  FIX  Write one into \
                 registry.token_file: head -c 24 /dev/urandom | base64"
            ),
        }
    }
}
