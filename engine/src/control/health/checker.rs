//! Asks whoever is to be checked, again and again.
//!
//! In: where it is and what is asked of it. Out: after each check, what is known of it by now. Who
//! wants to know, and what follows from it, is theirs: clusters check their endpoints, the registry
//! the instances that are registered here.
//!
//! Must stay true: at most [`limits::HEALTH_CHECKS_AT_ONCE`] checks run at once, whoever wants
//! them, beside [`limits::HEALTH_CHECKS_HANGING`] of endpoints that hang, for which the others do
//! not wait; a check begins an interval after the one before had begun, however long that took.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::probe;
use super::standing::{CheckError, Standing};
use crate::config::HealthCheck;
use crate::io::{Address, Instant, clock};
use crate::limits;
use crate::tls::Connector;

/// Who is checked, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is.
    pub address: Address,
    /// What is asked of it, and when.
    pub check: HealthCheck,
    /// TLS on the connection.
    pub tls: Option<Arc<Connector>>,
}

impl Target {
    /// The other is checked in the same way at the same place.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let is_same_tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same_tls && self.check == other.check && self.address == other.address
    }
}

/// What all checks share.
#[derive(Debug)]
pub struct Checker {
    at_once: Semaphore,
    hanging: Semaphore,
    random: RandomState,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            at_once: Semaphore::new(limits::HEALTH_CHECKS_AT_ONCE),
            hanging: Semaphore::new(limits::HEALTH_CHECKS_HANGING),
            random: RandomState::new(),
        }
    }
}

impl Checker {
    /// Checks until the future is dropped. `after` gets what is known after each check, and whether
    /// the state is another than before; `name` spreads the checks of many.
    pub async fn watch(
        &self,
        target: &Target,
        name: impl Hash,
        standing: &RefCell<Standing>,
        mut after: impl FnMut(&Standing, bool),
    ) {
        loop {
            let (begun, result) = self.check(target).await;
            let (has_changed, known) = {
                let mut standing = standing.borrow_mut();
                let has_changed = standing.record(result, &target.check, clock::wall());
                (has_changed, *standing)
            };
            after(&known, has_changed);
            let random = self.random.hash_one((&name, known.checks));
            let wait = known.wait(&target.check, random);
            let wait = wait.saturating_sub(clock::now().since(begun));
            // With a check that takes as long as its interval, others get their turn all the same.
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }

    /// One check, as soon as there is a place for it. When it began, and how it ended.
    async fn check(&self, target: &Target) -> (Instant, Result<(), CheckError>) {
        // They are never closed.
        let mut place = self.at_once.acquire().await;
        let begun = clock::now();
        let mut check = pin!(probe::run(target));
        let result = tokio::select! {
            biased;
            result = &mut check => result,
            () = sleep(limits::HEALTH_CHECK_SHORT) => {
                if let Ok(other) = self.hanging.try_acquire() {
                    place = Ok(other);
                }
                check.await
            }
        };
        drop(place);
        (begun, result)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::rc::Rc;
    use std::time::SystemTime;

    use tokio::task::{LocalSet, spawn_local, yield_now};
    use tokio::time::timeout;

    use super::*;
    use crate::config::{HealthProtocol, HttpCheck};

    #[test]
    fn endpoints_that_hang_keep_no_others_from_being_checked() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        LocalSet::new().block_on(&runtime.expect("a runtime"), async {
            // The kernel takes connections, and nobody answers on them.
            let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = Address::Tcp(silent.local_addr().expect("bound"));
            let target = |protocol| Target {
                address: address.clone(),
                check: HealthCheck {
                    protocol,
                    http: Some(HttpCheck::default()),
                    timeout: Duration::from_secs(300),
                    ..HealthCheck::default()
                },
                tls: None,
            };
            let checker = Rc::new(Checker::default());
            for name in 0..limits::HEALTH_CHECKS_AT_ONCE + 32 {
                let (checker, hangs) = (Rc::clone(&checker), target(HealthProtocol::Http));
                let standing = RefCell::new(Standing::new(SystemTime::UNIX_EPOCH));
                spawn_local(async move {
                    let after = |_: &Standing, _| panic!("it was answered");
                    checker.watch(&hangs, name, &standing, after).await;
                });
            }
            while checker.at_once.available_permits() > 0 {
                yield_now().await;
            }
            let well = target(HealthProtocol::Tcp);
            let checked = timeout(Duration::from_secs(60), checker.check(&well)).await;
            assert_eq!(checked.map(|(_, result)| result), Ok(Ok(())));
        });
    }
}
