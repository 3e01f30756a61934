//! Asking the Workload API, for the first identity and then for as long as the process runs.
//!
//! The agent keeps the stream open and says when something has changed (Workload API §4.2, §4.3).
//! When the stream ends it is asked again, later and later, never at the same moment as by others.
//! That the agent refuses (`PermissionDenied`) while it runs ends nothing: an agent that has just
//! been restarted says so before it knows its workloads again, and what was given ends by itself.

use std::cell::{Cell, RefCell};
use std::env;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::client::{Answers, Failure};
use super::message::Answer;
use super::{Fault, Held, Told, Workload, since_1970};
use crate::config::{Address, SpiffeId, WorkloadApi, WorkloadEndpoint};
use crate::control::log::Log;
use crate::control::reload::wishes::Wishes;
use crate::limits::{WORKLOAD_LOOK, WORKLOAD_RETRY_MAX, WORKLOAD_RETRY_MIN};

/// Where agents say that they are (Workload Endpoint §4).
const ENVIRONMENT: &str = "SPIFFE_ENDPOINT_SOCKET";
/// Looks after which a generation with a new identity is wished for once more.
const LOOKS_UNTIL_WISH: u32 = 5;

/// Waits for the first identity.
///
/// *Errors:* none came in time, or the agent says that none will.
pub(super) fn first(settings: &WorkloadApi, log: Log) -> Result<Workload, Fault> {
    let endpoint = address(&settings.endpoint)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Fault {
        what: format!("The Workload API cannot be asked: {error}."),
        fix: "See what the machine is short of: weft doctor",
    })?;
    let held = LocalSet::new().block_on(&runtime, wait(settings, &endpoint, log));
    held.map(|held| Workload {
        settings: settings.clone(),
        endpoint,
        held: RefCell::new(held),
        number: Cell::new(0),
        placed: Cell::new(0),
        used: Cell::new(0),
        is_connected: Cell::new(false),
        error: RefCell::default(),
        answers: Cell::default(),
        failures: Cell::new(0),
        told: Cell::new(Told::Nothing),
        log,
    })
}

fn address(endpoint: &WorkloadEndpoint) -> Result<Address, Fault> {
    let named = match endpoint {
        WorkloadEndpoint::At(address) => return Ok(address.clone()),
        WorkloadEndpoint::Environment => env::var(ENVIRONMENT),
    };
    let fix = "Set it to the agent's socket, unix:///run/spire/agent.sock, or write that as \
        identity.workload_api";
    let named = named.map_err(|_| Fault {
        what: format!("{ENVIRONMENT} is not set, and identity.workload_api is \"environment\"."),
        fix,
    })?;
    match WorkloadEndpoint::parse(&named) {
        Some(WorkloadEndpoint::At(address)) => Ok(address),
        Some(WorkloadEndpoint::Environment) | None => Err(Fault {
            what: format!("{ENVIRONMENT} is {named:?}, which is no socket on this machine."),
            fix,
        }),
    }
}

/// The first usable answer.
async fn wait(settings: &WorkloadApi, endpoint: &Address, log: Log) -> Result<Held, Fault> {
    let deadline = Instant::now() + settings.start_timeout;
    let (mut failures, mut last) = (0, String::from("no answer yet"));
    loop {
        let asked = timeout_at(deadline, ask_once(settings, endpoint));
        let (why, is_final) = match asked.await {
            Ok(Ok(held)) => return Ok(held),
            Ok(Err((why, is_final))) => (why, is_final),
            Err(_) => (last.clone(), true),
        };
        let pause = pause(failures);
        if is_final || Instant::now() + pause >= deadline {
            return Err(Fault {
                what: format!("There is no identity to start with from {endpoint}: {why}."),
                fix: "See that the agent runs and has an entry for this process (its user, its \
                      binary), or give it more time by identity.start_timeout",
            });
        }
        if why != last {
            log.warn(
                "Waiting for an identity.",
                &[("source", endpoint), ("error", &why)],
            );
        }
        last = why;
        failures += 1;
        sleep(pause).await;
    }
}

/// One answer; else why not, and whether asking again is of no use.
async fn ask_once(settings: &WorkloadApi, endpoint: &Address) -> Result<Held, (String, bool)> {
    let failed = |failure: Failure| (failure.to_string(), failure.is_final());
    let mut answers = Answers::ask(endpoint).await.map_err(failed)?;
    let message = answers.next().await.map_err(failed)?;
    held(&message, settings.hint.as_deref()).map_err(|why| (why, false))
}

/// The identity in an answer.
///
/// *Errors:* it cannot be used, and why.
fn held(message: &[u8], hint: Option<&str>) -> Result<Held, String> {
    let answer = Answer::parse(message)?;
    let given = answer.choose(hint)?;
    let now = since_1970();
    let refused = |why| format!("the identity {:?} is of no use: {why}", given.spiffe_id);
    let usable = given.judge(&answer.crls, now).map_err(refused)?;
    let own = format!("spiffe://{}", usable.id.trust_domain());
    // One of our own domain among them is not ours: it says who may sign for others.
    let federated = answer.federated.iter().filter(|domain| ***domain != own);
    Ok(Held {
        identity: Arc::new(usable.identity),
        id: usable.id,
        since: now,
        not_after: usable.not_after,
        federated: federated.map(|domain| (*domain).to_owned()).collect(),
    })
}

/// Between half and all of a time that doubles with each failure, so that the workloads of a
/// machine do not all come back to an agent at once.
fn pause(failures: u32) -> Duration {
    let whole = WORKLOAD_RETRY_MIN.saturating_mul(1 << failures.min(16));
    let whole = whole.min(WORKLOAD_RETRY_MAX);
    let random = RandomState::new().hash_one(0) % 1000;
    let thousandths = u32::try_from(500 + random / 2).unwrap_or(1000);
    whole.saturating_mul(thousandths) / 1000
}

impl Workload {
    /// Keeps the identity up to date for as long as the process runs; `wishes` are for new
    /// generations. Runs inside a `LocalSet`.
    pub async fn keep(self: Rc<Self>, wishes: Rc<Wishes>) {
        tokio::join!(self.follow(&wishes), self.look(&wishes));
    }

    async fn follow(&self, wishes: &Wishes) {
        let mut failures = 0;
        loop {
            let why = self.follow_once(wishes, &mut failures).await;
            self.lost(&why);
            sleep(pause(failures)).await;
            failures = failures.saturating_add(1);
        }
    }

    /// One stream, to its end. An answer of use makes the next failure the first.
    async fn follow_once(&self, wishes: &Wishes, failures: &mut u32) -> Failure {
        let mut answers = match Answers::ask(&self.endpoint).await {
            Ok(answers) => answers,
            Err(why) => return why,
        };
        loop {
            let message = match answers.next().await {
                Ok(message) => message,
                Err(why) => return why,
            };
            self.is_connected.set(true);
            let taken = held(&message, self.settings.hint.as_deref());
            match taken.and_then(|held| self.take(held)) {
                Ok(is_another) => {
                    *failures = 0;
                    if is_another {
                        wishes.identity();
                    }
                }
                Err(why) => self.refused(why),
            }
        }
    }

    /// Takes an identity; says whether it is another one.
    fn take(&self, held: Held) -> Result<bool, String> {
        let before = &mut *self.held.borrow_mut();
        if held.id.trust_domain() != before.id.trust_domain() {
            let (found, own) = (&held.id, before.id.trust_domain());
            return Err(format!(
                "{found} is of another trust domain than {own}, ours"
            ));
        }
        if !self.error.take().is_empty() {
            let source: &Address = &self.endpoint;
            self.log
                .note("The Workload API answers again.", &[("source", source)]);
        }
        let is_same = held.identity == before.identity;
        if is_same {
            before.federated = held.federated;
        } else {
            let end = super::date(held.not_after);
            self.log.note(
                "Another identity was given.",
                &[("id", &held.id as &SpiffeId), ("not_after", &end)],
            );
            *before = held;
            self.told.set(Told::Nothing);
            self.number.set(self.number.get().saturating_add(1));
        }
        self.count(usize::from(is_same));
        Ok(!is_same)
    }

    /// The agent gave what cannot be used.
    fn refused(&self, why: String) {
        self.count(2);
        self.log.error(
            "The Workload API gave an identity that cannot be used; the one before stays.",
            &[("source", &self.endpoint), ("error", &why)],
        );
        self.error.replace(why);
    }

    /// The stream has ended or was never there.
    fn lost(&self, why: &Failure) {
        self.failures.set(self.failures.get().saturating_add(1));
        self.is_connected.set(false);
        let why = why.to_string();
        if *self.error.borrow() != why {
            self.log.warn(
                "The Workload API does not answer; the identity is used on until it ends.",
                &[("source", &self.endpoint), ("error", &why)],
            );
            self.error.replace(why);
        }
    }

    fn count(&self, result: usize) {
        let mut answers = self.answers.get();
        if let Some(count) = answers.get_mut(result) {
            *count = count.saturating_add(1);
        }
        self.answers.set(answers);
    }

    /// Sees that a new identity comes into use, also when something else stood in its way at first,
    /// and says when the one in use ends.
    async fn look(&self, wishes: &Wishes) {
        let mut looks = 0;
        loop {
            sleep(WORKLOAD_LOOK).await;
            looks = if self.is_in_use() { 0 } else { looks + 1 };
            if looks >= LOOKS_UNTIL_WISH {
                looks = 0;
                wishes.identity();
            }
            self.tell_end(since_1970());
        }
    }

    /// Says once that the identity ends soon, and once that it has ended.
    fn tell_end(&self, now: Duration) {
        let held = self.held.borrow();
        let quarter = held.not_after.saturating_sub(held.since) / 4;
        let urgency = match now {
            _ if now >= held.not_after => Told::HasEnded,
            _ if now >= held.not_after.saturating_sub(quarter) => Told::EndsSoon,
            _ => Told::Nothing,
        };
        if urgency <= self.told.get() {
            return;
        }
        self.told.set(urgency);
        let end = super::date(held.not_after);
        let fields: [(&'static str, &dyn std::fmt::Display); 2] =
            [("id", &held.id), ("not_after", &end)];
        match urgency {
            Told::HasEnded => self.log.error(
                "The identity has ended, and peers refuse it: the agent gave no other.",
                &fields,
            ),
            Told::EndsSoon | Told::Nothing => self.log.warn(
                "The identity ends soon, and the agent has given no other.",
                &fields,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        for failures in 0..40 {
            let most = WORKLOAD_RETRY_MIN
                .saturating_mul(1 << failures.min(10))
                .min(WORKLOAD_RETRY_MAX);
            let pauses: Vec<Duration> = (0..50).map(|_| pause(failures)).collect();
            assert!(
                pauses
                    .iter()
                    .all(|pause| *pause >= most / 2 && *pause <= most)
            );
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}");
        }
    }
}
