//! Asks whoever is to be checked, again and again.
//!
//! In: where it is and what is asked of it. Out: after each check, what is known of it by now. Who
//! wants to know, and what follows from it, is theirs: clusters check their endpoints, the registry
//! the instances that are registered here.
//!
//! Must stay true: at most [`limits::HEALTH_CHECKS_AT_ONCE`] checks run at once, whoever wants
//! them; a check begins an interval after the one before had begun, however long that took.

use std::cell::RefCell;
use std::hash::{BuildHasher, Hash, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::probe;
use super::standing::Standing;
use crate::config::HealthCheck;
use crate::io::{Address, clock};
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
    random: RandomState,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            at_once: Semaphore::new(limits::HEALTH_CHECKS_AT_ONCE),
            random: RandomState::new(),
        }
    }
}

impl Checker {
    /// Checks until `after` breaks it off or the future is dropped. `after` gets what is known
    /// after each check, and whether the state is another than before; `name` spreads the checks of
    /// many.
    pub async fn watch(
        &self,
        target: &Target,
        name: impl Hash,
        standing: &RefCell<Standing>,
        mut after: impl FnMut(&Standing, bool) -> ControlFlow<()>,
    ) {
        loop {
            let (begun, result) = {
                // It is never closed.
                let _permit = self.at_once.acquire().await;
                let begun = clock::now();
                (begun, probe::run(target).await)
            };
            let (has_changed, known) = {
                let mut standing = standing.borrow_mut();
                let has_changed = standing.record(result, &target.check, clock::wall());
                (has_changed, *standing)
            };
            if after(&known, has_changed).is_break() {
                return;
            }
            let random = self.random.hash_one((&name, known.checks));
            let wait = known.wait(&target.check, random);
            let wait = wait.saturating_sub(clock::now().since(begun));
            // With a check that takes as long as its interval, others get their turn all the same.
            sleep(wait.max(Duration::from_millis(1))).await;
        }
    }
}
