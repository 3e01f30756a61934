//! One member: what there is, then what changes.
//!
//! Everything is asked for at first, unless what was seen last can be proved to be a
//! part of the history that the member knows: then the watch goes on where it ended. An etcd that
//! was restarted without its data has another history, whatever its revisions say.

use std::collections::HashSet;

use tokio::time::{Instant as Timer, sleep_until};

use super::client::{Client, Failure, Watch};
use super::message::{self, KeyValue, Page, Refusal, Watched};
use super::record;
use super::{End, Etcd};
use crate::config::EtcdEndpoint;
use crate::control::discovery::registrar::key_of;
use crate::control::discovery::registry::{Key, Owner};
use crate::io::clock;
use crate::limits;

/// A key of a history. Leases have random numbers, so that no other history has the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Witness {
    key: Vec<u8>,
    revision: i64,
    lease: i64,
}

/// What is known of the member's history.
enum History {
    /// It is ours, and is remembered from there on.
    Goes(i64),
    /// It is ours, but some of it is forgotten.
    Forgotten,
    /// It may be another one.
    Unknown,
}

/// What a list has to settle: what was not found is gone, or was never there.
struct Listing {
    /// Instances of others that were not found so far.
    missing: HashSet<Key>,
    /// Our own that were not found so far.
    untold: HashSet<Key>,
}

impl Etcd {
    /// Talks to a member until it fails or all has to be asked for again.
    pub(super) async fn attend(&self, endpoint: &EtcdEndpoint) -> End {
        self.outbox.borrow_mut().put_all_back();
        match self.begin(endpoint).await {
            Ok((mut client, mut watch)) => tokio::select! {
                end = self.follow(&mut watch) => end,
                failure = self.write(&mut client) => End::Failed(failure),
            },
            Err(end) => end,
        }
    }

    async fn begin<'a>(&'a self, endpoint: &'a EtcdEndpoint) -> Result<(Client<'a>, Watch), End> {
        let mut client = Client::connect(&self.settings, endpoint).await?;
        let contact = self.status.borrow().contact;
        let absence = contact.map(|contact| clock::now().since(contact));
        if absence.is_some_and(|absence| absence >= self.settings.lease_ttl / 2) {
            // Leases of others may have ended because they could not reach etcd either.
            self.forgive();
        }
        self.beat(&mut client).await?;
        let (how, revision) = match self.history(&mut client).await? {
            History::Goes(revision) => ("what changed", revision),
            History::Forgotten => ("all", self.list(&mut client).await?),
            History::Unknown => {
                self.forgive();
                ("all", self.list(&mut client).await?)
            }
        };
        let (from, end) = record::all(&self.settings.prefix);
        let question = message::watch(&from, &end, revision.saturating_add(1));
        let mut watch = client.watch(&question).await?;
        let first = tokio::time::timeout(self.settings.timeout, watch.next()).await;
        let first = first.map_err(|_| Failure::Away("the watch does not begin".into()))??;
        if let Some(end) = self.take(first) {
            return Err(end);
        }
        self.begun(endpoint, how);
        Ok((client, watch))
    }

    /// Whether the member knows what was seen last.
    async fn history(&self, client: &mut Client<'_>) -> Result<History, Failure> {
        let witness = self.witness.borrow().clone();
        let Some((revision, witness)) = self.seen.get().zip(witness) else {
            return Ok(History::Unknown);
        };
        let is_it = |page: &Page| {
            let found = page.kvs.first();
            found.is_some_and(|kv| kv.mod_revision == witness.revision && kv.lease == witness.lease)
        };
        let path = "/v3/kv/range";
        match client
            .ask(path, &message::key_at(&witness.key, revision))
            .await
        {
            Ok(page) if is_it(&page) => return Ok(History::Goes(revision)),
            Err(failure) if failure.is_revision_missing() => {}
            Ok(_) => return Ok(History::Unknown),
            Err(failure) => return Err(failure),
        }
        let page = client.ask(path, &message::key_at(&witness.key, 0)).await?;
        match is_it(&page) {
            true => Ok(History::Forgotten),
            false => Ok(History::Unknown),
        }
    }

    /// Asks for everything. Gives the revision at which it was so.
    async fn list(&self, client: &mut Client<'_>) -> Result<i64, Failure> {
        let mut listing = self.registrar.read(|registry| {
            let keys = |owner| registry.owned_by(owner).map(|it| key_of(&it.registration));
            Listing {
                missing: keys(Owner::Remote).collect(),
                untold: keys(Owner::Local).collect(),
            }
        });
        self.status.borrow_mut().is_full = false;
        // A part of what there is proves nothing.
        self.seen.take();
        self.witness.take();
        let (mut from, end) = record::all(&self.settings.prefix);
        let (mut revision, mut limit) = (0, limits::ETCD_PAGE_KEYS);
        loop {
            let question = message::range(&from, &end, limit, revision);
            let page: Page = match client.ask("/v3/kv/range", &question).await {
                Err(Failure::TooLarge) if limit > 1 => {
                    limit = (limit / 8).max(1);
                    continue;
                }
                // One value that is too large by itself.
                Err(Failure::TooLarge) => {
                    let question = message::keys(&from, &end, 1, revision);
                    client.ask("/v3/kv/range", &question).await?
                }
                answer => answer?,
            };
            if revision == 0 {
                revision = page.header.revision;
            }
            for kv in &page.kvs {
                self.listed(kv, &mut listing);
            }
            self.registrar.publish();
            self.heard();
            let Some(last) = page.kvs.last().filter(|_| page.more) else {
                break;
            };
            from.clone_from(&last.key);
            from.push(0);
        }
        self.settle(listing);
        self.seen.set(Some(revision));
        self.status.borrow_mut().lists += 1;
        self.heard();
        Ok(revision)
    }

    /// A key was found while everything was asked for.
    fn listed(&self, kv: &KeyValue, listing: &mut Listing) {
        let Some(key) = record::instance_of(&self.settings.prefix, &kv.key) else {
            self.skip_key(kv);
            return;
        };
        listing.missing.remove(&key);
        if self.lease.is_own(kv.lease) {
            listing.untold.remove(&key);
        } else if matches!(self.local(&key), (true, true)) {
            // Its own proxy heard of it after whoever wrote this was heard of: told again.
            self.witness(kv);
            return;
        } else {
            listing.untold.remove(&key);
        }
        self.put(&key, kv);
    }

    /// What was not found.
    fn settle(&self, listing: Listing) {
        listing.missing.iter().for_each(|key| self.let_go(key));
        self.registrar.publish();
        listing.untold.into_iter().for_each(|key| self.note(key));
    }

    /// From now on for a moment: what is gone from etcd may be so because the proxy that it
    /// registered with has lost etcd as we have, and will write it again.
    fn forgive(&self) {
        self.orphans.borrow_mut().forgive(clock::now());
    }

    /// An instance of another proxy is gone from etcd.
    fn let_go(&self, key: &Key) {
        let owner = self
            .registrar
            .read(|it| Some(it.instance(&key.0, &key.1)?.owner));
        if owner != Some(Owner::Remote) {
            return;
        }
        let mut orphans = self.orphans.borrow_mut();
        if !orphans.keep(key, clock::now()) {
            orphans.remove(key);
            self.registrar.dismiss(key);
        }
    }

    /// Takes what the watch brings.
    async fn follow(&self, watch: &mut Watch) -> End {
        let list_at = Timer::now() + limits::ETCD_RELIST;
        loop {
            let is_full = self.status.borrow().is_full;
            let next = tokio::select! {
                next = watch.next() => next,
                () = sleep_until(list_at), if is_full => {
                    return End::Again("there were more instances than fit");
                }
                () = self.orphaned() => continue,
            };
            match next {
                Ok(watched) => {
                    if let Some(end) = self.take(watched) {
                        return end;
                    }
                }
                Err(failure) => return failure.into(),
            }
        }
    }

    /// Waits until some orphans have waited long enough, and lets them go.
    async fn orphaned(&self) {
        let first = self.orphans.borrow().next();
        let Some(first) = first else {
            return std::future::pending().await;
        };
        let wait = first.since(clock::now());
        tokio::time::sleep(wait).await;
        let due = self.orphans.borrow_mut().due(clock::now());
        due.iter().for_each(|key| self.registrar.dismiss(key));
        self.registrar.publish();
    }

    /// Takes one message of the watch.
    fn take(&self, watched: Watched) -> Option<End> {
        if watched.compact_revision > 0 {
            return Some(End::Again("etcd has forgotten what changed meanwhile"));
        }
        if watched.canceled {
            return Some(End::Failed(ended(watched)));
        }
        for event in &watched.events {
            let kv = &event.kv;
            let key = record::instance_of(&self.settings.prefix, &kv.key);
            {
                let mut status = self.status.borrow_mut();
                match event.is_delete() {
                    true => status.deletes += 1,
                    false => status.puts += 1,
                }
            }
            match key {
                Some(key) if event.is_delete() => self.gone(&key, kv),
                Some(key) => self.put(&key, kv),
                None if event.is_delete() => {}
                None => self.skip_key(kv),
            }
        }
        self.registrar.publish();
        if let Some((seen, reached)) = self.seen.get().zip(watched.reached()) {
            self.seen.set(Some(seen.max(reached)));
        }
        self.heard();
        None
    }

    /// A key has this value.
    fn put(&self, key: &Key, kv: &KeyValue) {
        self.witness(kv);
        if self.outbox.borrow().outdates(key, kv.mod_revision) {
            return;
        }
        if self.lease.is_own(kv.lease) {
            self.own(key, kv);
            return;
        }
        self.orphans.borrow_mut().remove(key);
        match record::read(key, &kv.value) {
            Ok(read) => {
                self.outbox.borrow_mut().forget(key);
                if self.registrar.adopt(read).is_err() {
                    self.leave_out(key);
                }
            }
            Err(why) => {
                self.status.borrow_mut().skipped.count(&why);
                self.tell_skipped(kv, &why);
                let is_later = matches!(why, record::Unreadable::Version(_));
                if !is_later && self.local(key).0 {
                    // Nonsense in its place: others have to read it all the same.
                    self.note(key.clone());
                }
            }
        }
    }

    /// A key of ours, as it was written by this process or the one before.
    fn own(&self, key: &Key, kv: &KeyValue) {
        let value = self.registrar.read(|registry| {
            let instance = registry.instance(&key.0, &key.1);
            let local = instance.filter(|it| it.owner == Owner::Local);
            local.map(|instance| record::value(instance, &self.proxy))
        });
        self.outbox.borrow_mut().found(key.clone(), kv.mod_revision);
        if value.as_ref() != Some(&kv.value) {
            self.note(key.clone());
        }
    }

    /// A key is gone.
    fn gone(&self, key: &Key, kv: &KeyValue) {
        self.witness.borrow_mut().take_if(|it| it.key == kv.key);
        let (is_local, _) = self.local(key);
        if self.outbox.borrow().outdates(key, kv.mod_revision) {
            return;
        }
        self.outbox.borrow_mut().forget(key);
        if is_local {
            // The lease has ended, or somebody deleted it; but it is here.
            self.note(key.clone());
        } else {
            self.let_go(key);
        }
    }

    fn witness(&self, kv: &KeyValue) {
        if kv.lease != 0 {
            self.witness.replace(Some(Witness {
                key: kv.key.clone(),
                revision: kv.mod_revision,
                lease: kv.lease,
            }));
        }
    }

    fn leave_out(&self, (service, id): &Key) {
        {
            let mut status = self.status.borrow_mut();
            status.skipped.full += 1;
            status.is_full = true;
        }
        let [_, throttle, _] = &self.throttles;
        if let Some(suppressed) = throttle.admit(clock::now()) {
            self.log.warn(
                "An instance of another proxy does not fit the bounds of the registry.",
                &[
                    ("service", service),
                    ("instance", id),
                    ("suppressed", &suppressed),
                ],
            );
        }
    }

    fn skip_key(&self, kv: &KeyValue) {
        let why = record::Unreadable::Malformed("its key is not SERVICE/INSTANCE".into());
        self.status.borrow_mut().skipped.count(&why);
        self.tell_skipped(kv, &why);
    }

    fn tell_skipped(&self, kv: &KeyValue, why: &record::Unreadable) {
        let key = String::from_utf8_lossy(&kv.key);
        let [_, throttle, _] = &self.throttles;
        if let Some(suppressed) = throttle.admit(clock::now()) {
            self.log.warn(
                "A value in etcd cannot be used, and changes nothing.",
                &[("key", &key), ("error", why), ("suppressed", &suppressed)],
            );
        }
    }
}

/// Why a watch was ended by etcd.
fn ended(watched: Watched) -> Failure {
    let message = match watched.cancel_reason.is_empty() {
        true => "the watch was ended".into(),
        false => watched.cancel_reason,
    };
    Failure::Refused(Refusal { code: 0, message })
}
