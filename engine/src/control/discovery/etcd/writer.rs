//! What this proxy says: its instances, and that it is still there.
//!
//! In: the keys that the outbox holds. Out: transactions, and beats that keep the lease alive.
//! What is written is what the registry knows at that moment; a key is deleted only while it lives
//! by the lease of this proxy.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant as Timer, sleep_until};

use super::Etcd;
use super::client::{Client, Failure};
use super::lease;
use super::message::{self, Lease, Page, Streamed, Written};
use super::record;
use crate::control::discovery::registry::{Key, Owner};
use crate::io::clock;
use crate::limits;

/// Changes of one transaction.
#[derive(Default)]
struct Batch {
    changes: Vec<Value>,
    bytes: usize,
    /// The keys that they settle, and whether these are there afterwards.
    keys: Vec<(Key, bool)>,
}

impl Etcd {
    /// Tells what changes here and keeps the lease alive, until that fails.
    pub(super) async fn write(&self, client: &mut Client<'_>) -> Failure {
        let mut beat_at = Timer::now() + self.period();
        loop {
            // Also between two transactions: however much there is to write, the lease goes on.
            if Timer::now() >= beat_at {
                if let Err(failure) = self.beat(client).await {
                    return failure;
                }
                beat_at = Timer::now() + self.period();
            }
            match self.tell_next(client).await {
                Ok(true) => {}
                Ok(false) => tokio::select! {
                    () = self.bell.notified() => {}
                    () = sleep_until(beat_at) => {}
                },
                // The watch may be as it should be all the same: tried again at the next beat.
                Err(failure @ Failure::Refused(_)) => {
                    self.refused(&failure);
                    sleep_until(beat_at).await;
                }
                Err(failure) => return failure,
            }
        }
    }

    /// Says that this proxy is there; at the same time asks whether the member is.
    pub(super) async fn beat(&self, client: &mut Client<'_>) -> Result<(), Failure> {
        if let Some(number) = self.lease.current() {
            let question = message::keep_alive(number);
            let kept: Streamed<Lease> = client.ask("/v3/lease/keepalive", &question).await?;
            if let Some(refusal) = kept.error {
                return Err(Failure::Refused(refusal));
            }
            if kept.result.unwrap_or_default().ttl <= 0 {
                self.lease_ended();
            }
        } else {
            // Needs a majority of the members, as a lease does.
            let (from, end) = record::all(&self.settings.prefix);
            let question = message::keys(&from, &end, 1, 0);
            let _page: Page = client.ask("/v3/kv/range", &question).await?;
        }
        self.heard();
        Ok(())
    }

    /// Writes as much of what is noted as one transaction holds. Whether there was anything.
    async fn tell_next(&self, client: &mut Client<'_>) -> Result<bool, Failure> {
        let most = limits::ETCD_TRANSACTION_CHANGES;
        let keys = self.outbox.borrow_mut().take(most);
        if keys.is_empty() {
            return Ok(false);
        }
        let told = self.tell(client, &keys).await;
        // Those that did not fit, and all of them after a failure.
        keys.iter()
            .for_each(|key| self.outbox.borrow_mut().put_back(key));
        match told {
            Err(failure) if failure.is_lease_missing() => self.lease_ended(),
            told => told?,
        }
        Ok(true)
    }

    async fn tell(&self, client: &mut Client<'_>, keys: &[Key]) -> Result<(), Failure> {
        let is_any_here = keys.iter().any(|key| self.local(key).0);
        let number = match self.lease.current() {
            Some(number) => number,
            None if is_any_here => self.new_lease(client).await?,
            // Nothing is in etcd because of us, so nothing is to be deleted.
            None => {
                let mut outbox = self.outbox.borrow_mut();
                keys.iter().for_each(|key| outbox.confirm(key, 0, false));
                return Ok(());
            }
        };
        let batch = self.batch(keys, number);
        let question = message::transaction(batch.changes);
        let written: Written = client.ask("/v3/kv/txn", &question).await?;
        let mut outbox = self.outbox.borrow_mut();
        for (key, is_there) in batch.keys {
            outbox.confirm(&key, written.header.revision, is_there);
        }
        drop(outbox);
        self.heard();
        Ok(())
    }

    /// As much of what is to be told as fits one transaction.
    fn batch(&self, keys: &[Key], lease: i64) -> Batch {
        let mut batch = Batch::default();
        self.registrar.read(|registry| {
            for key in keys {
                let name = record::key(&self.settings.prefix, key);
                let instance = registry.instance(&key.0, &key.1);
                let local = instance.filter(|it| it.owner == Owner::Local);
                let change = match local {
                    Some(instance) => {
                        message::put(&name, &record::value(instance, &self.proxy), lease)
                    }
                    None => message::delete(&name, lease),
                };
                let bytes = change.to_string().len();
                let is_full = batch.bytes + bytes > limits::ETCD_TRANSACTION_BYTES;
                if is_full && !batch.keys.is_empty() {
                    break;
                }
                batch.bytes += bytes;
                batch.changes.push(change);
                batch.keys.push((key.clone(), local.is_some()));
            }
        });
        batch
    }

    async fn new_lease(&self, client: &mut Client<'_>) -> Result<i64, Failure> {
        let number = lease::number();
        let ttl = self.settings.lease_ttl.as_secs();
        let question = message::grant(number, ttl);
        let _granted: Lease = client.ask("/v3/lease/grant", &question).await?;
        self.status.borrow_mut().leases += 1;
        if let Err(error) = self.lease.begin(number).await {
            self.log.warn(
                "The number of the lease in etcd cannot be kept; after a restart the instances of \
                 this proxy are gone for a moment.",
                &[("error", &error)],
            );
        }
        Ok(number)
    }

    /// What lived by the lease is gone from etcd.
    fn lease_ended(&self) {
        self.lease.end();
        self.outbox.borrow_mut().forget_all();
        self.note_all();
        let local = self.registrar.local().len();
        self.log.note(
            "The lease in etcd has ended; what registered here is written anew.",
            &[("instances", &local)],
        );
    }

    fn refused(&self, failure: &Failure) {
        self.status.borrow_mut().refused += 1;
        let [.., throttle] = &self.throttles;
        if let Some(suppressed) = throttle.admit(clock::now()) {
            self.log.error(
                "etcd refuses what changed here; other proxies do not know of it.",
                &[("error", failure), ("suppressed", &suppressed)],
            );
        }
    }

    /// Time between two beats.
    fn period(&self) -> Duration {
        (self.settings.lease_ttl / 3).min(limits::ETCD_BEAT_MAX)
    }
}
