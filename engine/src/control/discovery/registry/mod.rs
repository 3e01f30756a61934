//! The registry: services, their instances, and how long each instance is believed.
//!
//! *In:* registrations, renewals, drains and farewells, each with `now`. *Out:* which services'
//! endpoints are different now ([`Registry::take_changed`]), and the endpoints of one service.
//!
//! Must stay true: a change costs as much as the service it changes is large, however many other
//! services there are; leases run out in the order of their deadlines, without a look at those that
//! do not; every table has a bound, and what does not fit is refused rather than dropped. Pure:
//! no clock, no I/O; the journal and the API stand around it.

mod instance;
mod registration;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use instance::{Health, Instance, Owner, State};
pub use registration::{Check, FieldError, Probe, Registration, check_name, is_name, is_of_name};

use crate::io::Instant;
use crate::limits;

/// How much a registry holds at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Services with an instance.
    pub services: usize,
    /// Instances of all services.
    pub instances: usize,
    /// Bytes of metadata of all instances.
    pub metadata_bytes: usize,
}

/// Why a registration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are as many services as may be.
    Services,
    /// There are as many instances as may be.
    Instances,
    /// There is as much metadata as may be.
    Metadata,
}

/// Why an instance cannot be renewed, drained or deregistered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It never registered here, or left long ago.
    Unknown,
    /// Its lease has run out.
    Expired,
    /// It registered with another proxy, and is that one's to change.
    Elsewhere,
}

/// What is known of an instance besides what it says itself.
struct Standing {
    owner: Owner,
    proxy: Option<Arc<str>>,
    deadline: Instant,
    is_draining: bool,
    health: Health,
}

/// What registering did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The instance is new.
    Created,
    /// It was there, and something about it is different.
    Replaced,
    /// It was there as it is; its lease begins anew.
    Renewed,
}

#[derive(Debug, Default)]
struct Service {
    instances: BTreeMap<Arc<str>, Instance>,
    version: u64,
}

/// An instance by its service and its id.
pub type Key = (Arc<str>, Arc<str>);

/// All services and their instances.
#[derive(Debug)]
pub struct Registry {
    bounds: Bounds,
    services: HashMap<Arc<str>, Service>,
    /// Leases by the end of them.
    deadlines: BTreeMap<(Instant, u64), Key>,
    /// Services whose endpoints are different from what was last taken.
    changed: BTreeSet<Arc<str>>,
    /// The last leases that ran out, for a better answer than "unknown".
    expired: VecDeque<Key>,
    instance_count: usize,
    remote_count: usize,
    metadata_bytes: usize,
    version: u64,
    next_ticket: u64,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            services: HashMap::new(),
            deadlines: BTreeMap::new(),
            changed: BTreeSet::new(),
            expired: VecDeque::new(),
            instance_count: 0,
            remote_count: 0,
            metadata_bytes: 0,
            version: 0,
            next_ticket: 0,
        }
    }

    /// Takes an instance in, in the place of the one with its name if there is one. Its lease
    /// begins at `now`; it no longer drains.
    ///
    /// # Errors
    /// Which bound it would break; nothing has changed then.
    pub fn register(
        &mut self,
        registration: Registration,
        now: Instant,
    ) -> Result<Registered, Full> {
        self.admit(&registration)?;
        let health = match &registration.check {
            Some(_) => Health::Pending,
            None => Health::Unchecked,
        };
        let standing = Standing {
            owner: Owner::Local,
            proxy: None,
            deadline: now + registration.ttl,
            is_draining: false,
            health,
        };
        Ok(self.put(registration, standing))
    }

    /// Takes an instance in that another proxy vouches for, in the place of the one with its name
    /// if there is one, also when that had registered here: it has moved.
    ///
    /// # Errors
    /// Which bound it would break; nothing has changed then.
    pub fn adopt(
        &mut self,
        registration: Registration,
        state: State,
        proxy: Option<Arc<str>>,
    ) -> Result<Registered, Full> {
        self.admit(&registration)?;
        let standing = Standing {
            owner: Owner::Remote,
            proxy,
            deadline: Instant::NEVER,
            is_draining: state == State::Draining,
            health: match state {
                State::Serving | State::Draining => Health::Unchecked,
                State::Pending => Health::Pending,
                State::Failing => Health::Failing,
            },
        };
        Ok(self.put(registration, standing))
    }

    /// Takes an instance back in that had registered before a restart, with what is left of its
    /// lease.
    ///
    /// # Errors
    /// Which bound it would break.
    pub fn restore(
        &mut self,
        registration: Registration,
        is_draining: bool,
        deadline: Instant,
    ) -> Result<(), Full> {
        self.admit(&registration)?;
        let standing = Standing {
            owner: Owner::Local,
            proxy: None,
            deadline,
            is_draining,
            // It worked when the process ended; its check says soon if it does not any more.
            health: Health::Unchecked,
        };
        self.put(registration, standing);
        Ok(())
    }

    /// Begins the lease of a local instance anew; gives its end.
    ///
    /// # Errors
    /// When there is no such instance here: it has to register again.
    pub fn renew(&mut self, service: &str, id: &str, now: Instant) -> Result<Instant, Missing> {
        let missing = self.missing(service, id);
        let instance = self.services.get_mut(service);
        let instance = instance.and_then(|service| service.instances.get_mut(id));
        let instance = instance
            .filter(|instance| instance.owner == Owner::Local)
            .ok_or(missing)?;
        let key = self
            .deadlines
            .remove(&(instance.deadline, instance.ticket))
            .ok_or(missing)?;
        instance.deadline = now + instance.registration.ttl;
        self.deadlines
            .insert((instance.deadline, instance.ticket), key);
        Ok(instance.deadline)
    }

    /// Gives an instance nothing new; its lease goes on.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn drain(&mut self, service: &str, id: &str) -> Result<(), Missing> {
        self.change(service, id, |instance| instance.is_draining = true)
    }

    /// Notes what the checks of an instance say.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn set_health(&mut self, service: &str, id: &str, health: Health) -> Result<(), Missing> {
        self.change(service, id, |instance| instance.health = health)
    }

    /// Takes an instance out.
    ///
    /// # Errors
    /// When there is no such instance.
    pub fn deregister(&mut self, service: &str, id: &str) -> Result<Instance, Missing> {
        let missing = self.missing(service, id);
        self.remove(service, id).ok_or(missing)
    }

    /// Takes out the instances whose leases have run out, in the order of their deadlines.
    ///
    /// *Cost:* by how many there are, not by how many there are not.
    pub fn expire(&mut self, now: Instant) -> Vec<Key> {
        let mut expired = Vec::new();
        while let Some(entry) = self.deadlines.first_entry()
            && entry.key().0 <= now
        {
            let key = entry.get().clone();
            self.remove(&key.0, &key.1);
            if self.expired.len() == limits::REGISTRY_EXPIRED_KEPT {
                self.expired.pop_front();
            }
            self.expired.push_back(key.clone());
            expired.push(key);
        }
        expired
    }

    /// Has no lease run out before it has had a moment from `now` on: `grace`, or its whole length
    /// if that is less. Gives how many were to run out sooner.
    ///
    /// *Cost:* by how many these are.
    pub fn prolong(&mut self, now: Instant, grace: Duration) -> usize {
        let later = self.deadlines.split_off(&(now + grace, 0));
        let soon = std::mem::replace(&mut self.deadlines, later);
        let mut prolonged = 0;
        for ((deadline, ticket), key) in soon {
            let service = self.services.get_mut(&key.0);
            let instance = service.and_then(|service| service.instances.get_mut(&key.1));
            let mut next = deadline;
            if let Some(instance) = instance {
                next = deadline.max(now + grace.min(instance.registration.ttl));
                instance.deadline = next;
            }
            prolonged += usize::from(next > deadline);
            self.deadlines.insert((next, ticket), key);
        }
        prolonged
    }

    /// When the next lease runs out.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|(key, _)| key.0)
    }

    /// The services whose endpoints have changed since this was last asked.
    pub fn take_changed(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.changed)
    }

    /// The instances of a service, by id; none when it has none.
    pub fn instances(&self, service: &str) -> impl Iterator<Item = &Instance> {
        let service = self.services.get(service);
        service
            .into_iter()
            .flat_map(|service| service.instances.values())
    }

    /// One instance.
    #[must_use]
    pub fn instance(&self, service: &str, id: &str) -> Option<&Instance> {
        self.services.get(service)?.instances.get(id)
    }

    /// Why `instance` would find nothing.
    #[must_use]
    pub fn missing(&self, service: &str, id: &str) -> Missing {
        let is_it = |key: &&Key| &*key.0 == service && &*key.1 == id;
        match self.expired.iter().find(is_it) {
            Some(_) => Missing::Expired,
            None => Missing::Unknown,
        }
    }

    /// Services with an instance: name, instances, version; in no order.
    pub fn services(&self) -> impl Iterator<Item = (&Arc<str>, usize, u64)> {
        let services = self.services.iter();
        services.map(|(name, service)| (name, service.instances.len(), service.version))
    }

    /// The version of a service: it grows whenever something about its instances changes. 0 when it
    /// has none.
    #[must_use]
    pub fn service_version(&self, service: &str) -> u64 {
        self.services
            .get(service)
            .map_or(0, |service| service.version)
    }

    /// Instances of all services.
    #[must_use]
    pub fn instance_count(&self) -> usize {
        self.instance_count
    }

    /// Those of them that other proxies vouch for.
    #[must_use]
    pub fn remote_count(&self) -> usize {
        self.remote_count
    }

    /// The instances of all services that `owner` has, in no order.
    pub fn owned_by(&self, owner: Owner) -> impl Iterator<Item = &Instance> {
        let instances = self.services.values().flat_map(|it| it.instances.values());
        instances.filter(move |instance| instance.owner == owner)
    }

    /// Services with an instance.
    #[must_use]
    pub fn service_count(&self) -> usize {
        self.services.len()
    }

    /// Bytes of metadata of all instances.
    #[must_use]
    pub fn metadata_bytes(&self) -> usize {
        self.metadata_bytes
    }

    fn admit(&self, registration: &Registration) -> Result<(), Full> {
        let service = self.services.get(&registration.service);
        let before = service.and_then(|service| service.instances.get(&registration.id));
        if service.is_none() && self.services.len() >= self.bounds.services {
            return Err(Full::Services);
        }
        if before.is_none() && self.instance_count >= self.bounds.instances {
            return Err(Full::Instances);
        }
        let given_back = before.map_or(0, |before| before.registration.metadata_bytes());
        let kept = self.metadata_bytes.saturating_sub(given_back);
        if kept.saturating_add(registration.metadata_bytes()) > self.bounds.metadata_bytes {
            return Err(Full::Metadata);
        }
        Ok(())
    }

    /// Puts an instance in its place. It has been admitted.
    fn put(&mut self, registration: Registration, standing: Standing) -> Registered {
        let Standing {
            owner,
            proxy,
            deadline,
            is_draining,
            health,
        } = standing;
        let key = (
            Arc::clone(&registration.service),
            Arc::clone(&registration.id),
        );
        let before = self.take_out(&key.0, &key.1);
        let is_same = before.as_ref().is_some_and(|before| {
            *before.registration == registration
                && before.owner == owner
                && before.is_draining == is_draining
                // What is known of one's own stays known as long as it is the same one.
                && (owner == Owner::Local || before.health == health)
        });
        let health = match &before {
            Some(before) if is_same => before.health,
            _ => health,
        };
        let outcome = match (&before, is_same) {
            (None, _) => Registered::Created,
            (Some(_), false) => Registered::Replaced,
            (Some(_), true) => Registered::Renewed,
        };
        if !is_same {
            self.version += 1;
        }
        self.next_ticket += 1;
        let instance = Instance {
            owner,
            proxy,
            deadline,
            is_draining,
            health,
            version: match &before {
                Some(before) if is_same => before.version,
                _ => self.version,
            },
            ticket: self.next_ticket,
            // The same one, so that whoever watches it knows it again.
            registration: match &before {
                Some(before) if is_same => Arc::clone(&before.registration),
                _ => Arc::new(registration),
            },
        };
        let is_other_endpoint = match &before {
            Some(before) if before.is_endpoint() && instance.is_endpoint() => before
                .registration
                .differs_for_balancing(&instance.registration),
            Some(before) => before.is_endpoint() != instance.is_endpoint(),
            None => instance.is_endpoint(),
        };
        if is_other_endpoint {
            self.changed.insert(Arc::clone(&key.0));
        }
        self.instance_count += 1;
        self.metadata_bytes += instance.registration.metadata_bytes();
        match owner {
            Owner::Local => {
                self.deadlines
                    .insert((deadline, instance.ticket), key.clone());
            }
            Owner::Remote => self.remote_count += 1,
        }
        let service = self.services.entry(key.0).or_default();
        service.version = service.version.max(instance.version);
        service.instances.insert(key.1, instance);
        outcome
    }

    /// Changes an instance in place, and notes what became of it.
    fn change(
        &mut self,
        service: &str,
        id: &str,
        change: impl FnOnce(&mut Instance),
    ) -> Result<(), Missing> {
        let missing = self.missing(service, id);
        let service = self.services.get_mut(service).ok_or(missing)?;
        let instance = service.instances.get_mut(id).ok_or(missing)?;
        let before = (
            instance.is_endpoint(),
            instance.is_draining,
            instance.health,
        );
        change(instance);
        let after = (
            instance.is_endpoint(),
            instance.is_draining,
            instance.health,
        );
        if before != after {
            self.version += 1;
            instance.version = self.version;
            service.version = self.version;
        }
        if before.0 != after.0 {
            self.changed
                .insert(Arc::clone(&instance.registration.service));
        }
        Ok(())
    }

    fn remove(&mut self, service: &str, id: &str) -> Option<Instance> {
        let instance = self.take_out(service, id)?;
        self.version += 1;
        let name = &instance.registration.service;
        if instance.is_endpoint() {
            self.changed.insert(Arc::clone(name));
        }
        match self.services.get_mut(service) {
            Some(rest) if rest.instances.is_empty() => {
                self.services.remove(service);
            }
            Some(rest) => rest.version = self.version,
            None => {}
        }
        Some(instance)
    }

    /// Takes an instance out of every table; its service stays, even when it is empty.
    fn take_out(&mut self, service: &str, id: &str) -> Option<Instance> {
        let instance = self.services.get_mut(service)?.instances.remove(id)?;
        self.deadlines.remove(&(instance.deadline, instance.ticket));
        self.instance_count = self.instance_count.saturating_sub(1);
        if instance.owner == Owner::Remote {
            self.remote_count = self.remote_count.saturating_sub(1);
        }
        let bytes = instance.registration.metadata_bytes();
        self.metadata_bytes = self.metadata_bytes.saturating_sub(bytes);
        Some(instance)
    }
}
