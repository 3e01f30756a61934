//! May this caller do this: step 6 of a request.
//!
//! A listener, a virtual host and a route may each have a level of ordered policies
//! ([`PolicyTable`]). Within a level the first policy that is for a request decides, else the
//! level's default; a request passes if every level lets it pass. What [`authorize`] allows has to
//! pass the rate limits ([`rate_limit`]), too, and then the service outside that its route may ask
//! ([`external`]), which alone makes a [`Permit`], without which nothing can be forwarded.
//!
//! ```text
//!   listener   virtual host   route     the request
//!   allow      allow          allow     passes
//!   deny       –              –         403, decided by the listener
//!   allow      deny           –         403, decided by the virtual host
//!   allow      allow          deny      403, decided by the route
//!   no level   ...            ...       as if it allowed
//! ```
//!
//! What is audited (a policy or a level) decides nothing: what it would have decided is in the
//! [`Verdict`] beside it.
//!
//! Must stay true: nothing here panics or allocates on network bytes; what has several readings (a
//! path with parameters, a field with several lines) is judged by the worst one, see
//! [`Attributes`]. Not here: who the caller is, what a refusal looks like.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod attributes;
mod condition;
pub mod external;
mod index;
mod key;
mod level;
mod levels;
mod path;
mod policy;
pub mod rate_limit;
#[cfg(test)]
mod tests;

pub use attributes::{Attributes, Facts};
pub use condition::{Aspect, Wanted};
pub use level::{Decided, LevelOutcome, PolicyTable};
pub use levels::ListenerPolicies;
pub use policy::{Failing, Policy};
pub use rate_limit::{Allowed, LimitId};

pub use crate::config::PolicyAction;

/// The number of a policy, or of the default of a level, over the whole configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId(pub u32);

/// Proof that a request may be forwarded.
#[derive(Debug)]
#[must_use]
pub struct Permit(());

/// The levels that a request has to pass, outermost first: those of its listener, its virtual host
/// and its route.
pub type Levels<'a> = [Option<&'a PolicyTable>; LEVELS];

/// How many levels there are.
pub const LEVELS: usize = 3;

/// What was decided about a request, and by what.
#[derive(Debug)]
pub struct Verdict {
    /// Leave to go on, or the policy that denies.
    pub result: Result<Allowed, PolicyId>,
    /// What each level decided, outermost first; `None` where there is no level, and behind one
    /// that denied.
    pub levels: [Option<LevelOutcome>; LEVELS],
}

impl Verdict {
    /// The first audited policy, or default of an audited level, that would have denied.
    #[must_use]
    pub fn would_deny(&self) -> Option<PolicyId> {
        let audited = self
            .levels
            .iter()
            .flatten()
            .filter_map(|level| level.audited);
        let mut denied = audited.filter(|decided| decided.action == PolicyAction::Deny);
        denied.next().map(|decided| decided.id)
    }
}

/// Decides about the request that `attributes` tells of.
///
/// *Cost:* for each level a few look-ups, whatever the number of its policies; see
/// [`PolicyTable::decide`]. Allocates nothing.
pub fn authorize(levels: Levels<'_>, attributes: &Attributes<'_>) -> Verdict {
    let mut outcomes = [None; LEVELS];
    for (level, outcome) in levels.into_iter().zip(&mut outcomes) {
        let Some(level) = level else { continue };
        let decided = level.decide(attributes);
        *outcome = Some(decided);
        if let Some(denied) = decided.denied() {
            return Verdict {
                result: Err(denied),
                levels: outcomes,
            };
        }
    }
    Verdict {
        result: Ok(Allowed(())),
        levels: outcomes,
    }
}
