//! The registrar: the registry at work.
//!
//! *In:* what instances ask for through the API. *Out:* answers when changes are in the journal,
//! and endpoints for the directory.
//!
//! Must stay true: what was answered with success survives the process; what a failing disk did not
//! take is in effect all the same, is answered with an error, and is written as soon as the disk
//! takes it; leases run out on time whether or not anybody asks, but not while nobody could be
//! asked; an instance is checked for as long as it is registered here, and no longer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::check;
use super::directory::{Directory, Source};
use super::journal::{Journal, Record, Recovered, WriteError};
use super::recovery::{put, tell, until, wall_millis};
use super::registry::{
    Bounds, Full, Health, Key, Missing, Owner, Registered, Registration, Registry,
};
use crate::config::{self, Address, Endpoint, EndpointAddress};
use crate::control::aside::Task;
use crate::control::health::{Checker, Standing, State};
use crate::control::log::{Log, Throttle};
use crate::io::Instant;
use crate::io::clock;
use crate::limits;

/// Why a change was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It does not fit.
    Full(Full),
    /// There is no such instance.
    Missing(Missing),
    /// It is not in the journal.
    Unwritten(WriteError),
}

/// What happened since the start, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Instances that were new.
    pub registered: u64,
    /// Leases that began anew.
    pub renewed: u64,
    /// Instances that were told to drain.
    pub drained: u64,
    /// Instances that left.
    pub deregistered: u64,
    /// Leases that ran out.
    pub expired: u64,
    /// Writes of the journal that failed.
    pub unwritten: u64,
}

/// The registry, its journal, and who has to know of changes.
pub struct Registrar {
    registry: RefCell<Registry>,
    journal: Journal,
    directory: Rc<Directory>,
    log: Log,
    /// Rung when the next lease to run out may be another one.
    deadlines: Notify,
    is_healing: Cell<bool>,
    /// Rung when the journal is behind.
    behind: Notify,
    events: Cell<Events>,
    checker: Rc<Checker>,
    /// Of the instances that are checked here.
    checks: RefCell<HashMap<Key, Task>>,
    /// Of lines about the journal, and about services with too many instances.
    throttles: [Throttle; 2],
    tell: RefCell<Option<Tell>>,
}

/// Is told of an instance that changed here.
pub(super) type Tell = Box<dyn Fn(&Key)>;

impl Registrar {
    /// A registrar with nobody registered.
    pub fn new(
        settings: &config::Registry,
        journal: Journal,
        directory: Rc<Directory>,
        checker: Rc<Checker>,
        log: Log,
    ) -> Self {
        let bounds = Bounds {
            services: settings.max_services as usize,
            instances: settings.max_instances as usize,
            metadata_bytes: limits::REGISTRY_METADATA_BYTES_MAX,
        };
        Self {
            registry: RefCell::new(Registry::new(bounds)),
            journal,
            directory,
            log,
            deadlines: Notify::new(),
            is_healing: Cell::new(false),
            behind: Notify::new(),
            events: Cell::default(),
            checker,
            checks: RefCell::default(),
            throttles: [(); 2].map(|()| Throttle::new(Duration::from_secs(10))),
            tell: RefCell::default(),
        }
    }

    /// Lets leases run out and checks instances, until the future is dropped.
    pub async fn run(self: Rc<Self>) {
        self.local().iter().for_each(|it| self.watch(&key_of(it)));
        loop {
            let (begin, next) = (clock::now(), self.registry.borrow().next_deadline());
            let Some(deadline) = next else {
                self.deadlines.notified().await;
                continue;
            };
            let wait = deadline.since(begin).min(limits::ABSENCE_MIN);
            tokio::select! {
                () = self.deadlines.notified() => {}
                () = sleep(wait) => {}
            }
            let now = clock::now();
            let absence = now.since(begin + wait);
            if absence >= limits::ABSENCE_MIN {
                self.excuse(absence, now);
            }
            self.expire(now);
        }
    }

    /// The process was stopped, or had no processor, and nobody could renew a lease meanwhile: as
    /// after a restart, each has a moment left.
    fn excuse(&self, absence: Duration, now: Instant) {
        let mut registry = self.registry.borrow_mut();
        let leases = registry.prolong(now, limits::LEASE_RESTART_GRACE);
        if leases > 0 {
            self.log.warn(
                "weft could not run for a while; leases that nobody could renew meanwhile go on for \
                 a moment.",
                &[("seconds", &absence.as_secs_f64()), ("leases", &leases)],
            );
        }
    }

    /// Registers an instance.
    ///
    /// # Errors
    /// When it does not fit, or is not in the journal (it is in effect then).
    pub async fn register(
        self: &Rc<Self>,
        registration: Registration,
    ) -> Result<Registered, Refused> {
        let key = (
            Arc::clone(&registration.service),
            Arc::clone(&registration.id),
        );
        let now = clock::now();
        let outcome = self
            .registry
            .borrow_mut()
            .register(registration, now)
            .map_err(Refused::Full)?;
        self.count(|events| match outcome {
            Registered::Created | Registered::Replaced => events.registered += 1,
            Registered::Renewed => events.renewed += 1,
        });
        let record = self.registry.borrow().instance(&key.0, &key.1).map(put);
        self.after_change();
        if outcome != Registered::Renewed {
            self.tell_others(&key);
            self.watch(&key);
        }
        self.write(record).await?;
        Ok(outcome)
    }

    /// Begins a lease anew; gives how long it is.
    ///
    /// # Errors
    /// When there is no such instance here.
    pub fn renew(&self, service: &str, id: &str) -> Result<Duration, Refused> {
        let now = clock::now();
        let renewed = self.registry.borrow_mut().renew(service, id, now);
        let deadline = renewed.map_err(Refused::Missing)?;
        self.count(|events| events.renewed += 1);
        let record = Record::Renew {
            service: service.into(),
            id: id.into(),
            until: until(deadline, now),
        };
        if let Err(error) = self.journal.note(&[record]) {
            self.heal(&error);
        }
        Ok(deadline.since(now))
    }

    /// Gives an instance nothing new.
    ///
    /// # Errors
    /// When there is no such instance here, or it is not in the journal.
    pub async fn drain(self: &Rc<Self>, service: &str, id: &str) -> Result<(), Refused> {
        self.must_be_local(service, id)?;
        let drained = self.registry.borrow_mut().drain(service, id);
        drained.map_err(Refused::Missing)?;
        self.count(|events| events.drained += 1);
        let record = self.registry.borrow().instance(service, id).map(put);
        self.after_change();
        self.tell_others(&(service.into(), id.into()));
        self.write(record).await
    }

    /// Takes an instance out.
    ///
    /// # Errors
    /// When there is no such instance here, or it is not in the journal.
    pub async fn deregister(self: &Rc<Self>, service: &str, id: &str) -> Result<(), Refused> {
        self.must_be_local(service, id)?;
        let gone = self.registry.borrow_mut().deregister(service, id);
        let gone = gone.map_err(Refused::Missing)?;
        self.count(|events| events.deregistered += 1);
        let key = key_of(&gone.registration);
        self.checks.borrow_mut().remove(&key);
        self.after_change();
        self.tell_others(&key);
        let (service, id) = key;
        self.write(Some(Record::Gone { service, id })).await
    }

    /// Looks at the registry.
    pub fn read<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        read(&self.registry.borrow())
    }

    /// What is registered here.
    pub fn local(&self) -> Vec<Arc<Registration>> {
        let registry = self.registry.borrow();
        let local = registry.owned_by(Owner::Local);
        local.map(|it| Arc::clone(&it.registration)).collect()
    }

    /// What happened since the start.
    pub fn events(&self) -> Events {
        self.events.get()
    }

    /// Whether the journal is behind what is registered.
    pub fn is_unwritten(&self) -> bool {
        self.is_healing.get()
    }

    /// Has `tell` told of every instance that registered here, changed here or left, from now on.
    #[cfg(feature = "etcd")]
    pub(super) fn connect(&self, tell: Tell) {
        self.tell.replace(Some(tell));
    }

    fn tell_others(&self, key: &Key) {
        if let Some(tell) = &*self.tell.borrow() {
            tell(key);
        }
    }

    /// Another proxy vouches for an instance, maybe for one that had registered here. To be
    /// published.
    ///
    /// # Errors
    /// Which bound it would break.
    #[cfg(feature = "etcd")]
    pub(super) fn adopt(&self, read: super::etcd::record::Read) -> Result<(), Full> {
        let (registration, proxy) = (read.registration, read.proxy);
        let key = key_of(&registration);
        let was_local = {
            let registry = self.registry.borrow();
            let before = registry.instance(&key.0, &key.1);
            before.is_some_and(|instance| instance.owner == Owner::Local)
        };
        self.registry
            .borrow_mut()
            .adopt(registration, read.state, proxy)?;
        if was_local {
            self.forget(&key);
            self.log.note(
                "An instance has registered with another proxy.",
                &[("service", &key.0), ("instance", &key.1)],
            );
        }
        Ok(())
    }

    /// No other proxy vouches for an instance any more. To be published.
    #[cfg(feature = "etcd")]
    pub(super) fn dismiss(&self, (service, id): &Key) {
        let mut registry = self.registry.borrow_mut();
        let is_remote = registry.instance(service, id);
        if is_remote.is_some_and(|instance| instance.owner == Owner::Remote) {
            // Present: it has just been looked at.
            let _gone = registry.deregister(service, id);
        }
    }

    fn must_be_local(&self, service: &str, id: &str) -> Result<(), Refused> {
        let registry = self.registry.borrow();
        match registry.instance(service, id).map(|it| it.owner) {
            Some(Owner::Local) => Ok(()),
            Some(Owner::Remote) => Err(Refused::Missing(Missing::Elsewhere)),
            None => Err(Refused::Missing(registry.missing(service, id))),
        }
    }

    /// Takes back who was registered when the process ended. Leases go on by the wall clock; one
    /// that would have run out meanwhile gets a grace: its instance had nobody to renew it with.
    pub fn restore(&self, recovered: Recovered) {
        tell(&recovered, self.log);
        let (wall, now) = (wall_millis(), clock::now());
        let mut refused = 0_usize;
        for entry in recovered.entries {
            let left = Duration::from_millis(entry.until.saturating_sub(wall));
            let ttl = entry.registration.ttl;
            let left = left.clamp(limits::LEASE_RESTART_GRACE.min(ttl), ttl);
            let registration = Arc::unwrap_or_clone(entry.registration);
            let mut registry = self.registry.borrow_mut();
            if registry
                .restore(registration, entry.is_draining, now + left)
                .is_err()
            {
                refused += 1;
            }
        }
        if refused > 0 {
            self.log.error(
                "Instances of the journal do not fit the bounds of the configuration any more.",
                &[("instances", &refused)],
            );
        }
        self.publish();
    }

    fn expire(&self, now: Instant) {
        let expired = self.registry.borrow_mut().expire(now);
        if expired.is_empty() {
            return;
        }
        self.count(|events| events.expired += expired.len() as u64);
        for key in &expired {
            self.forget(key);
            self.tell_others(key);
            self.log.note(
                "A lease ran out.",
                &[("service", &key.0), ("instance", &key.1)],
            );
        }
        self.after_change();
    }

    /// An instance is registered here no longer, and nobody waits until that is on the disk.
    fn forget(&self, key: &Key) {
        self.checks.borrow_mut().remove(key);
        let (service, id) = key.clone();
        if let Err(error) = self.journal.note(&[Record::Gone { service, id }]) {
            self.heal(&error);
        }
    }

    fn after_change(&self) {
        self.deadlines.notify_one();
        self.publish();
    }

    /// Gives the directory what has changed.
    pub(super) fn publish(&self) {
        let changed = self.registry.borrow_mut().take_changed();
        for service in changed {
            self.offer(&service);
        }
    }

    /// Gives the directory the endpoints of one service.
    pub(super) fn offer(&self, service: &Arc<str>) {
        let source = Source::Registry(Arc::clone(service));
        if !self.directory.wants(&source) {
            return;
        }
        let endpoints: Vec<Endpoint> = {
            let registry = self.registry.borrow();
            let instances = registry.instances(service);
            let serving = instances.filter(|instance| instance.is_endpoint());
            serving
                .map(|instance| endpoint(&instance.registration))
                .collect()
        };
        let now = clock::now();
        let left_out = self.directory.found(&source, endpoints, now);
        let [_, throttle] = &self.throttles;
        if left_out > 0
            && let Some(suppressed) = throttle.admit(now)
        {
            self.log.warn(
                "A service has more instances than are used.",
                &[
                    ("service", service),
                    ("left_out", &left_out),
                    ("suppressed", &suppressed),
                ],
            );
        }
    }

    /// Gives the directory the endpoints of every service that is wanted, also of those that have
    /// none.
    pub(super) fn offer_all(&self) {
        for source in self.directory.wanted() {
            if let Source::Registry(service) = source {
                self.offer(&service);
            }
        }
    }

    /// Writes a record and waits until the disk has it.
    async fn write(self: &Rc<Self>, record: Option<Record>) -> Result<(), Refused> {
        let Some(record) = record else {
            return Ok(());
        };
        let written = match self.journal.write(&[record]) {
            Ok(answer) => answer.await.unwrap_or(Err(WriteError::Behind)),
            Err(error) => Err(error),
        };
        written.map_err(|error| {
            self.heal(&error);
            Refused::Unwritten(error)
        })
    }

    /// The journal is behind: it is to be written as a whole.
    fn heal(&self, error: &WriteError) {
        self.count(|events| events.unwritten += 1);
        self.is_healing.set(true);
        let [throttle, _] = &self.throttles;
        if let Some(suppressed) = throttle.admit(clock::now()) {
            self.log.error(
                "The registry's journal cannot be written; changes are in effect, but would not \
                 survive a restart.",
                &[("error", error), ("suppressed", &suppressed)],
            );
        }
        self.behind.notify_one();
    }

    /// Offers what is registered whenever the clusters want other services. A task of its own.
    pub async fn keep_offered(self: Rc<Self>) {
        loop {
            self.directory.changed().await;
            self.offer_all();
        }
    }

    /// Writes the whole journal, as long as it is behind: at first soon, then less and less often,
    /// for all of it is much. A task of its own.
    pub async fn keep_written(self: Rc<Self>) {
        let mut pause = limits::JOURNAL_PAUSE;
        loop {
            self.behind.notified().await;
            sleep(pause).await;
            if !self.is_healing.get() {
                continue;
            }
            let records: Vec<Record> = {
                let registry = self.registry.borrow();
                registry.owned_by(Owner::Local).map(put).collect()
            };
            // What fails from here on is behind again.
            self.is_healing.set(false);
            let written = match self.journal.rewrite(records.into_iter()) {
                Ok(answer) => answer.await.unwrap_or(Err(WriteError::Behind)),
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => {
                    pause = limits::JOURNAL_PAUSE;
                    self.log
                        .note("The registry's journal is written again.", &[]);
                }
                Err(error) => {
                    pause = pause.saturating_mul(2).min(limits::JOURNAL_PAUSE_MAX);
                    self.heal(&error);
                }
            }
        }
    }

    /// Checks an instance as it is registered now, and no longer as it was before.
    fn watch(self: &Rc<Self>, key: &Key) {
        let mut checks = self.checks.borrow_mut();
        checks.remove(key);
        let registry = self.registry.borrow();
        let instance = registry.instance(&key.0, &key.1);
        let checked = instance.filter(|instance| instance.registration.check.is_some());
        if let Some(instance) = checked {
            let registration = Arc::clone(&instance.registration);
            let check = Rc::clone(self).check(registration);
            checks.insert(key.clone(), Task(spawn_local(check)));
        }
    }

    async fn check(self: Rc<Self>, registration: Arc<Registration>) {
        let Some(settings) = &registration.check else {
            return;
        };
        let (address, probe) = (&registration.address, &settings.probe);
        let target = check::target(address, probe, settings.interval, settings.timeout);
        let standing = RefCell::new(Standing::new(clock::wall()));
        let after = |known: &Standing, has_changed| {
            if has_changed {
                self.set_health(&registration, known);
            }
        };
        let name = (&registration.service, &registration.id);
        self.checker.watch(&target, name, &standing, after).await;
    }

    fn set_health(&self, registration: &Registration, known: &Standing) {
        let health = match known.state {
            State::Unhealthy => Health::Failing,
            State::Healthy | State::Unknown => Health::Passing,
        };
        let why = known.last_error.map(|error| error.to_string());
        let why = why.unwrap_or_default();
        let (service, id) = (&registration.service, &registration.id);
        // Present: its check ends with it.
        let _known = self.registry.borrow_mut().set_health(service, id, health);
        let facts: [crate::control::log::Field<'_>; 3] =
            [("service", service), ("instance", id), ("error", &why)];
        if health == Health::Failing {
            self.log.warn("An instance fails its checks.", &facts);
        } else {
            self.log.note("An instance passes its checks.", &facts[..2]);
        }
        self.after_change();
        self.tell_others(&key_of(registration));
    }

    fn count(&self, count: impl FnOnce(&mut Events)) {
        let mut events = self.events.get();
        count(&mut events);
        self.events.set(events);
    }
}

impl fmt::Debug for Registrar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Registrar")
            .field("registry", &self.registry)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// The key of an instance.
pub(super) fn key_of(registration: &Registration) -> Key {
    (
        Arc::clone(&registration.service),
        Arc::clone(&registration.id),
    )
}

/// An instance as an endpoint of a cluster.
pub(super) fn endpoint(registration: &Registration) -> Endpoint {
    let address = match &registration.address {
        Address::Tcp(address) => EndpointAddress::Tcp(*address),
        Address::Unix(path) => EndpointAddress::Unix(path.clone()),
    };
    Endpoint {
        weight: registration.weight,
        locality: registration.locality.clone(),
        metadata: Arc::clone(&registration.metadata),
        ..Endpoint::at(address)
    }
}
