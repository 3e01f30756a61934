//! The identity of the process from the SPIFFE Workload API, kept up to date while it runs.
//!
//! In: an address. Out: an identity in memory, from which every generation's TLS is made
//! ([`Workload::place`]), and a wish for a new generation whenever the agent gave another one. The
//! agent's answer is judged before it replaces anything; one that cannot be used, and an agent that
//! has gone, leave what is there until it ends. No key is written to a disk.
//!
//! `keep.rs` asks and asks again, `client.rs` is one call, `message.rs` what is said in it. gRPC is
//! hyper's HTTP/2 and two small messages, not the crate `spiffe`: that is 29 crates more where this
//! is 5, passes over revocation lists, and takes the bundle of a foreign trust domain that bears
//! the name of our own for our own. Standards: SPIFFE Workload API, Workload Endpoint.

#![cfg_attr(
    not(feature = "spiffe"),
    expect(
        dead_code,
        unused_imports,
        reason = "only what asks an agent has an identity to keep"
    )
)]

#[cfg(feature = "spiffe")]
mod client;
#[cfg(feature = "spiffe")]
mod keep;
#[cfg(feature = "spiffe")]
mod message;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::log::Log;
use crate::config::{Address, Config, HeldIdentity, SpiffeId, WorkloadApi};
use crate::io::clock;
use crate::record::access_log::time_text;
use crate::record::expose::prometheus;
use crate::record::names;

/// The identity that the agent gave last, and what is known of the agent.
#[derive(Debug)]
pub struct Workload {
    settings: WorkloadApi,
    endpoint: Address,
    held: RefCell<Held>,
    /// How often another identity was given; what is held is of this number.
    number: Cell<u64>,
    /// The number of what was put into a configuration last...
    placed: Cell<u64>,
    /// ...and of what the shards go by.
    used: Cell<u64>,
    is_connected: Cell<bool>,
    /// Why there was no usable answer the last time; empty when there was one.
    error: RefCell<String>,
    /// Answers that were another identity, the same one, and of no use.
    answers: Cell<[u64; 3]>,
    /// Times the agent was lost or not reached.
    failures: Cell<u64>,
    /// What was said of the end of what is held.
    told: Cell<Told>,
    log: Log,
}

/// An identity that can be used.
#[derive(Debug)]
struct Held {
    identity: Arc<HeldIdentity>,
    id: SpiffeId,
    /// Since 1970.
    since: Duration,
    /// Since 1970.
    not_after: Duration,
    /// Other trust domains whose bundles came with it.
    federated: Vec<String>,
}

/// How urgent the end of an identity has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Told {
    Nothing,
    EndsSoon,
    HasEnded,
}

/// Why there is no identity to start with.
#[derive(Debug)]
pub struct Fault {
    what: String,
    fix: &'static str,
}

/// What there is to say on a page.
#[derive(Debug, Serialize)]
pub struct WorkloadRow {
    id: String,
    since: String,
    not_after: String,
    source: String,
    is_connected: bool,
    is_in_use: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    federated_unused: Vec<String>,
}

impl Workload {
    /// Asks for the first identity, if `config` says so, and waits for it.
    ///
    /// # Errors
    /// There is none in time, or the agent says that there will be none.
    #[cfg(feature = "spiffe")]
    pub fn open(config: &Config, log: Log) -> Result<Option<Self>, Fault> {
        let identity = config.identity.as_ref();
        let Some(settings) = identity.and_then(|identity| identity.workload_api()) else {
            return Ok(None);
        };
        keep::first(settings, log).map(Some)
    }

    /// A configuration cannot ask for it in this build.
    ///
    /// # Errors
    /// None.
    #[cfg(not(feature = "spiffe"))]
    pub fn open(_: &Config, _: Log) -> Result<Option<Self>, Fault> {
        Ok(None)
    }

    /// Puts the identity into a configuration as written: where its TLS defaults to the identity,
    /// from now on that is what is held.
    pub fn place(&self, config: &mut Config) {
        let Some(identity) = &mut config.identity else {
            return;
        };
        identity.held = Some(Arc::clone(&self.held.borrow().identity));
        self.placed.set(self.number.get());
        let (bundle, crls) = (identity.bundle(), identity.crls());
        let listeners = config.listeners.iter_mut().filter_map(|it| it.tls.as_mut());
        let listeners = listeners.map(|tls| (&tls.client_ca, &mut tls.client_crls));
        let clusters = config.clusters.iter_mut().filter_map(|it| it.tls.as_mut());
        let clusters = clusters.map(|tls| (&tls.ca, &mut tls.crls));
        for (trusted, lists) in listeners.chain(clusters) {
            if trusted.as_ref() == Some(&bundle) {
                lists.extend(crls.clone());
            }
        }
    }

    /// The shards go by what was placed last.
    pub fn placed_is_used(&self) {
        self.used.set(self.placed.get());
    }

    /// Whether the shards go by what is held.
    fn is_in_use(&self) -> bool {
        self.used.get() == self.number.get()
    }

    /// For `/config_dump`.
    pub fn row(&self) -> WorkloadRow {
        let held = self.held.borrow();
        WorkloadRow {
            id: held.id.to_string(),
            since: date(held.since),
            not_after: date(held.not_after),
            source: format!("{} ({})", self.settings.endpoint, self.endpoint),
            is_connected: self.is_connected.get(),
            is_in_use: self.is_in_use(),
            error: self.error.borrow().clone(),
            federated_unused: held.federated.clone(),
        }
    }

    /// For the index page.
    pub fn line(&self) -> String {
        let held = self.held.borrow();
        let mut line = format!("identity {} until {}", held.id, date(held.not_after));
        if !self.error.borrow().is_empty() {
            line.push_str(&format!(" ({})", self.error.borrow()));
        }
        line + "\n"
    }

    /// Appends the metrics of the identity.
    pub fn write_metrics(&self, out: &mut String) {
        let expiry = self.held.borrow().not_after.as_secs();
        let failures = self.failures.get();
        for (metric, value) in [
            (names::IDENTITY_EXPIRY, expiry),
            (
                names::IDENTITY_CONNECTED,
                u64::from(self.is_connected.get()),
            ),
            (names::IDENTITY_IN_USE, u64::from(self.is_in_use())),
            (names::IDENTITY_FAILURES, failures),
        ] {
            prometheus::write_metric(out, metric, [(&[][..], value)]);
        }
        let [accepted, unchanged, rejected] = self.answers.get();
        let results = [
            (&[("result", "accepted")][..], accepted),
            (&[("result", "unchanged")][..], unchanged),
            (&[("result", "rejected")][..], rejected),
        ];
        prometheus::write_metric(out, names::IDENTITY_ANSWERS, results);
    }
}

/// The time, since 1970.
#[cfg(feature = "spiffe")]
fn since_1970() -> Duration {
    let since = clock::wall().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

fn date(since_1970: Duration) -> String {
    time_text(UNIX_EPOCH + since_1970)
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n  FIX  {}", self.what, self.fix)
    }
}
