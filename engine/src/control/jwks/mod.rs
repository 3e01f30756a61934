//! The keys of issuers that publish them behind an address.
//!
//! One task for each address fetches its key set ahead of the time at which it would be old, and
//! tells the shards when it has changed. A shard never waits for it. A token that names a key which
//! is not there has the set fetched again, but not more than once in
//! [`crate::limits::KEYS_FETCH_PAUSE`], whatever strangers send. While an issuer is down, the keys
//! that were fetched last stay, for [`crate::limits::KEYS_STALE_MAX`]: its outage is not ours. They
//! stay through a reload, too; where it names other authorities, until those have been asked once.
//!
//! In: the configuration, and the addresses that shards ask for. Out: `ShardCommand::Keys`.

mod fetch;
mod schedule;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use flume::{Receiver, Sender};
use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use self::fetch::Fetched;
use self::schedule::{Schedule, jitter};
use super::log::Log;
use super::tell;
use crate::authenticate::KeySet;
use crate::config::{Config, JwtKeys};
use crate::io::clock;
use crate::shard::ShardCommand;

/// All key sets that are fetched.
#[derive(Debug)]
pub struct KeySets {
    sources: RefCell<Vec<Rc<Source>>>,
    shards: Vec<Sender<ShardCommand>>,
    log: Log,
}

/// One address and what is known of it.
#[derive(Debug)]
struct Source {
    url: Arc<str>,
    settings: RefCell<Settings>,
    schedule: RefCell<Schedule>,
    keys: RefCell<Option<Arc<KeySet>>>,
    error: RefCell<String>,
    fetches: Cell<u64>,
    failures: Cell<u64>,
    /// Rung when a key is missed, and at the end.
    bell: Notify,
    is_over: Cell<bool>,
}

/// How a key set is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    ca: Option<PathBuf>,
    refresh: Duration,
}

/// What is known of one key set, for pages.
#[derive(Clone, Debug, PartialEq)]
pub struct KeySetReport {
    /// Where it is fetched from.
    pub url: Arc<str>,
    /// Usable keys; `None` before the first was fetched, and when they are too old.
    pub keys: Option<usize>,
    /// How long ago they were fetched.
    pub age: Option<Duration>,
    /// Why the last fetch failed; empty when it did not.
    pub error: String,
    /// Fetches that brought keys, and that did not.
    pub fetches: [u64; 2],
}

impl KeySets {
    /// Nothing is fetched yet.
    #[must_use]
    pub fn new(shards: Vec<Sender<ShardCommand>>, log: Log) -> Self {
        Self {
            sources: RefCell::default(),
            shards,
            log,
        }
    }

    /// From now on fetches what `config` names, and nothing else. What stays the same goes on.
    /// Runs inside a `LocalSet`.
    pub fn follow(self: &Rc<Self>, config: &Config) {
        let mut wanted: Vec<(Arc<str>, Settings)> = Vec::new();
        for issuer in &config.authentication.jwt {
            if let JwtKeys::Url { url, ca, refresh } = &issuer.keys
                && wanted.iter().all(|(known, _)| known != url)
            {
                let (ca, refresh) = (ca.clone(), *refresh);
                wanted.push((Arc::clone(url), Settings { ca, refresh }));
            }
        }
        let mut sources = self.sources.borrow_mut();
        sources.retain(|source| {
            let stays = wanted.iter().any(|(url, _)| *url == source.url);
            if !stays {
                source.is_over.set(true);
                source.bell.notify_one();
            }
            stays
        });
        for (url, settings) in wanted {
            if let Some(known) = sources.iter().find(|source| source.url == url) {
                known.adopt(settings);
                continue;
            }
            let source = Rc::new(Source::new(url, settings));
            sources.push(Rc::clone(&source));
            spawn_local(Rc::clone(self).keep(source));
        }
    }

    /// Has keys fetched that shards miss, for as long as there are shards.
    pub async fn answer(self: Rc<Self>, wanted: Receiver<Arc<str>>) {
        while let Ok(url) = wanted.recv_async().await {
            let sources = self.sources.borrow();
            if let Some(source) = sources.iter().find(|source| source.url == url) {
                source.schedule.borrow_mut().missed();
                source.bell.notify_one();
            }
        }
    }

    /// What is known now.
    #[must_use]
    pub fn reports(&self) -> Vec<KeySetReport> {
        let sources = self.sources.borrow();
        sources.iter().map(|source| source.report()).collect()
    }

    /// Fetches one key set again and again.
    async fn keep(self: Rc<Self>, source: Rc<Source>) {
        while !source.is_over.get() {
            let asked = source.settings.borrow().clone();
            let fetched = fetch::fetch(&source.url, asked.ca.as_deref()).await;
            if source.is_over.get() {
                break;
            }
            if *source.settings.borrow() != asked {
                continue;
            }
            self.take(&source, fetched.map(Arc::new));
            let now = clock::now();
            let mut waits = source.schedule.borrow().wait(now);
            while !waits.is_zero() && !source.is_over.get() {
                tokio::select! {
                    () = sleep(waits) => {}
                    () = source.bell.notified() => {}
                }
                waits = source.schedule.borrow().wait(clock::now());
            }
        }
        // It may have come back meanwhile.
        let sources = self.sources.borrow();
        if sources.iter().all(|other| other.url != source.url) {
            self.publish(&source.url, None);
        }
    }

    /// Takes what a fetch brought.
    fn take(&self, source: &Source, fetched: Fetched) {
        let (now, refresh) = (clock::now(), source.settings.borrow().refresh);
        match fetched {
            Ok(keys) => {
                source.fetches.set(source.fetches.get().saturating_add(1));
                let again = jitter(refresh);
                source.schedule.borrow_mut().fetched(now, again);
                if !source.error.take().is_empty() || source.fetches.get() == 1 {
                    self.log.note(
                        "The keys of an issuer are there.",
                        &[("url", &source.url), ("keys", &keys.len())],
                    );
                }
                let is_same = source
                    .keys
                    .borrow()
                    .as_ref()
                    .is_some_and(|known| known.is_same(&keys));
                if !is_same {
                    self.publish(&source.url, Some(&keys));
                    source.keys.replace(Some(keys));
                }
            }
            Err(error) => {
                source.failures.set(source.failures.get().saturating_add(1));
                let is_stale = source.schedule.borrow_mut().failed(now, refresh);
                if *source.error.borrow() != error {
                    self.log.warn(
                        "The keys of an issuer cannot be fetched; those that were are used on.",
                        &[("url", &source.url), ("error", &error)],
                    );
                    source.error.replace(error);
                }
                if is_stale && source.keys.take().is_some() {
                    self.log.error(
                        "The keys of an issuer are too old to be used any longer.",
                        &[("url", &source.url)],
                    );
                    self.publish(&source.url, None);
                }
            }
        }
    }

    fn publish(&self, url: &Arc<str>, keys: Option<&Arc<KeySet>>) {
        tell(&self.shards, || ShardCommand::Keys {
            address: Arc::clone(url),
            keys: keys.map(Arc::clone),
        });
    }
}

impl Source {
    fn new(url: Arc<str>, settings: Settings) -> Self {
        Self {
            url,
            settings: RefCell::new(settings),
            schedule: RefCell::default(),
            keys: RefCell::default(),
            error: RefCell::default(),
            fetches: Cell::new(0),
            failures: Cell::new(0),
            bell: Notify::new(),
            is_over: Cell::new(false),
        }
    }

    /// Has it fetched by these from now on, and first at once. What there is stays meanwhile.
    fn adopt(&self, settings: Settings) {
        let before = self.settings.replace(settings);
        let settings = self.settings.borrow();
        if before == *settings {
            return;
        }
        let has_same_authorities = before.ca == settings.ca;
        self.schedule.borrow_mut().begin_anew(has_same_authorities);
        self.bell.notify_one();
    }

    fn report(&self) -> KeySetReport {
        let fetched_at = self.schedule.borrow().fetched_at();
        let keys = self.keys.borrow();
        KeySetReport {
            url: Arc::clone(&self.url),
            keys: keys.as_ref().map(|keys| keys.len()),
            age: fetched_at.map(|at| clock::now().since(at)),
            error: self.error.borrow().clone(),
            fetches: [self.fetches.get(), self.failures.get()],
        }
    }
}
