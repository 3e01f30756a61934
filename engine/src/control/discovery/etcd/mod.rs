//! Registries that are shared through etcd: what registers with one proxy is known to all.
//!
//! Each proxy writes its own instances under one lease, and watches those of all others. *In:* what
//! the registrar says of instances that changed here. *Out:* instances of other proxies, which the
//! registrar takes in as it takes its own.
//!
//! One member is talked to at a time: `member.rs` asks for everything once, or only for what has
//! changed since the last time where that can be proved, and then follows the watch; beside it
//! `writer.rs` tells what has changed here and keeps the lease alive. When either fails the member
//! is left and the next one tried.
//!
//! Must stay true: while etcd is away everything that is known stays in effect, and what changes
//! here is told when it is back; what others wrote is never believed beyond its bounds, and never
//! ends the watch; a key of another proxy is never deleted by this one.

mod client;
mod lease;
mod member;
mod message;
mod orphans;
mod outbox;
mod pause;
pub(super) mod record;
mod status;
mod writer;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_local;
use tokio::time::sleep;

use self::client::Failure;
use self::lease::Lease;
use self::member::Witness;
use self::orphans::Orphans;
use self::outbox::Outbox;
use self::status::Status;
use super::directory::{Contact, Directory};
use super::registrar::Registrar;
use super::registry::{Key, Owner};
use crate::config;
use crate::control::log::{Log, Throttle};
use crate::io::clock;
use crate::tls;

/// A registry's part of what is shared.
pub struct Etcd {
    settings: config::Etcd,
    /// What this proxy calls itself: its machine.
    proxy: String,
    registrar: Rc<Registrar>,
    directory: Rc<Directory>,
    outbox: RefCell<Outbox>,
    /// Rung when there is something in the outbox.
    bell: Notify,
    lease: Lease,
    /// The revision up to which all of etcd's history is known; none until all has been read.
    seen: Cell<Option<i64>>,
    /// A key that is in that history.
    witness: RefCell<Option<Witness>>,
    orphans: RefCell<Orphans>,
    status: RefCell<Status>,
    /// Of lines about members that fail, values that are skipped, and refusals.
    throttles: [Throttle; 3],
    log: Log,
}

/// Why a member is left.
enum End {
    /// It failed.
    Failed(Failure),
    /// Everything has to be asked for again.
    Again(&'static str),
}

impl Etcd {
    /// Shares what `registrar` has, from now on. Runs inside a `LocalSet`; `folder` is the
    /// registry's.
    pub fn start(
        settings: &config::Etcd,
        folder: &Path,
        registrar: &Rc<Registrar>,
        directory: &Rc<Directory>,
        log: Log,
    ) -> Rc<Self> {
        let etcd = Rc::new(Self {
            settings: settings.clone(),
            proxy: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            registrar: Rc::clone(registrar),
            directory: Rc::clone(directory),
            outbox: RefCell::default(),
            bell: Notify::new(),
            lease: Lease::of(folder),
            seen: Cell::default(),
            witness: RefCell::default(),
            orphans: RefCell::default(),
            status: RefCell::new(Status::new(clock::now())),
            throttles: [(); 3].map(|()| Throttle::new(Duration::from_secs(10))),
            log,
        });
        let told = Rc::downgrade(&etcd);
        registrar.connect(Box::new(move |key| {
            if let Some(etcd) = told.upgrade() {
                etcd.note(key.clone());
            }
        }));
        etcd.tell_directory();
        spawn_local(Rc::clone(&etcd).run());
        etcd
    }

    /// Talks to one member after another.
    async fn run(self: Rc<Self>) {
        let members = self.settings.endpoints.len();
        // Not all proxies at the first one.
        let mut turn = random();
        loop {
            let which = usize::try_from(turn).unwrap_or_default() % members.max(1);
            let Some(endpoint) = self.settings.endpoints.get(which) else {
                return;
            };
            match self.attend(endpoint).await {
                End::Failed(failure) => {
                    let failures = self.failed(endpoint, &failure);
                    turn = turn.wrapping_add(1);
                    sleep(pause::after(failures, members, random())).await;
                }
                End::Again(why) => {
                    self.seen.take();
                    self.log
                        .debug("All of etcd is asked for again.", &[("cause", &why)]);
                    // However often that should be needed, it is no reason to do nothing else.
                    sleep(pause::after(1, 1, random())).await;
                }
            }
        }
    }

    /// An instance is to be told of.
    fn note(&self, key: Key) {
        let (is_here, _) = self.local(&key);
        self.outbox.borrow_mut().note(key, is_here);
        self.bell.notify_one();
    }

    /// All instances that registered here are to be told of.
    fn note_all(&self) {
        let local = self.registrar.local();
        let mut outbox = self.outbox.borrow_mut();
        let keys = local.iter().map(|it| super::registrar::key_of(it));
        keys.for_each(|key| outbox.note(key, true));
        self.bell.notify_one();
    }

    /// A member has answered.
    fn heard(&self) {
        self.status.borrow_mut().contact = Some(clock::now());
        self.tell_directory();
    }

    /// The watch of a member has begun.
    fn begun(&self, endpoint: &config::EtcdEndpoint, how: &'static str) {
        let was_away = {
            let mut status = self.status.borrow_mut();
            status.failures_in_a_row = 0;
            status.error = None;
            !std::mem::replace(&mut status.is_connected, true)
        };
        self.heard();
        if was_away {
            let remote = self.registrar.read(|registry| registry.remote_count());
            self.log.note(
                "The registry is shared through etcd.",
                &[
                    ("member", endpoint),
                    ("instances_of_others", &remote),
                    ("read", &how),
                ],
            );
        }
    }

    /// A member has failed; how often in a row that was.
    fn failed(&self, endpoint: &config::EtcdEndpoint, failure: &Failure) -> u32 {
        let why = format!("{endpoint}: {failure}");
        let (failures, was_connected, is_other) = {
            let mut status = self.status.borrow_mut();
            status.failures += 1;
            status.failures_in_a_row = status.failures_in_a_row.saturating_add(1);
            let was_connected = std::mem::take(&mut status.is_connected);
            if was_connected {
                status.lost_at = status.contact.unwrap_or(status.lost_at);
            }
            let is_other = status.error.as_ref() != Some(&why);
            status.error = Some(why.clone());
            (status.failures_in_a_row, was_connected, is_other)
        };
        self.tell_directory();
        let [throttle, ..] = &self.throttles;
        let suppressed = is_other.then(|| throttle.admit(clock::now())).flatten();
        if let Some(suppressed) = suppressed.or_else(|| was_connected.then_some(0)) {
            self.log.warn(
                "etcd cannot be used; what is known stays in effect, and what changes here is told \
                 when it is back.",
                &[("error", &why), ("suppressed", &suppressed)],
            );
        }
        failures
    }

    fn tell_directory(&self) {
        let status = self.status.borrow();
        self.directory.in_contact(Contact {
            at: status.contact,
            is_known: status.lists > 0,
            error: status.error.clone(),
            failures: status.failures,
        });
    }

    /// Whether an instance registered here, and whether it was renewed since etcd was lost.
    fn local(&self, (service, id): &Key) -> (bool, bool) {
        let lost_at = self.status.borrow().lost_at;
        self.registrar.read(|registry| {
            let instance = registry.instance(service, id);
            let local = instance.filter(|it| it.owner == Owner::Local);
            let is_renewed = local.is_some_and(|it| it.is_renewed_since(lost_at));
            (local.is_some(), is_renewed)
        })
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TooLarge => Self::Again("a message was too large"),
            other => Self::Failed(other),
        }
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Etcd")
            .field("settings", &self.settings)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Checks that the files that are named can be used.
///
/// # Errors
/// The first that cannot be, and why.
pub fn examine(settings: &config::Etcd) -> Result<(), String> {
    if let Some(login) = &settings.login {
        let file = login.password_file.display();
        fs::read_to_string(&login.password_file).map_err(|error| format!("{file}: {error}"))?;
    }
    let plain = config::ClusterTls::default();
    let trust = settings.tls.as_ref().unwrap_or(&plain);
    let secure = settings.endpoints.iter().filter(|it| it.is_secure);
    for endpoint in secure {
        tls::https_as(trust, &endpoint.host)?;
    }
    Ok(())
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}
