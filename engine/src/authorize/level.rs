//! The policies of one listener, virtual host or route.
//!
//! Decides by the index; [`PolicyTable::decide_in_order`] is the definition that it is held to.
//! What is audited is looked up apart from what is enforced, so that neither changes the other.

use std::sync::Arc;

use super::PolicyId;
use super::attributes::Attributes;
use super::index::Index;
use super::policy::Policy;
use crate::config::{self, PolicyAction};

/// A level of policies, compiled.
#[derive(Debug)]
pub struct PolicyTable {
    policies: Box<[Policy]>,
    default: PolicyAction,
    is_audited: bool,
    /// The numbers of its policies, and last that of its default.
    ids: Box<[PolicyId]>,
    /// The policies that decide.
    enforced: Index,
    /// Those that only say what they would decide.
    audited: Index,
}

/// What a policy, or the default of a level, decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Which.
    pub id: PolicyId,
    /// What.
    pub action: PolicyAction,
}

/// What a level decides about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelOutcome {
    /// What holds; `None` of a level that is audited as a whole.
    pub enforced: Option<Decided>,
    /// What would hold if what is audited were enforced, where that comes from something audited.
    pub audited: Option<Decided>,
}

impl LevelOutcome {
    /// What denies, if anything does.
    pub(super) fn denied(&self) -> Option<PolicyId> {
        let denied = |decided: &Decided| decided.action == PolicyAction::Deny;
        self.enforced.filter(denied).map(|decided| decided.id)
    }
}

impl PolicyTable {
    /// The table of a level.
    ///
    /// *Cost:* about proportional to the number of conditions; done once per generation.
    #[must_use]
    pub fn compile(authorization: &config::Authorization, ids: &[PolicyId]) -> Arc<Self> {
        let policies: Box<[Policy]> = authorization.policies.iter().map(Policy::compile).collect();
        let places = || (0..).zip(policies.iter());
        let audited = places().filter(|(_, policy)| policy.is_audited);
        let enforced = places().filter(|(_, policy)| !policy.is_audited);
        Arc::new(Self {
            enforced: Index::new(enforced),
            audited: Index::new(audited),
            policies,
            default: authorization.default,
            is_audited: authorization.audit,
            ids: ids.into(),
        })
    }

    /// What is decided about the request.
    ///
    /// *Cost:* a look-up by each aspect that the policies are told apart by, and the conditions of
    /// those that are left: flat in the number of policies, as long as their callers, addresses,
    /// methods, paths or hosts differ. Policies that differ by expressions, fields or ports alone,
    /// or only by what they exclude, are tried one after the other.
    #[must_use]
    pub fn decide(&self, attributes: &Attributes<'_>) -> LevelOutcome {
        let enforced = self.enforced.first(&self.policies, attributes);
        let audited = self.audited.first(&self.policies, attributes);
        self.outcome(enforced, audited)
    }

    /// [`PolicyTable::decide`] as it is defined: one policy after the other.
    #[must_use]
    pub fn decide_in_order(&self, attributes: &Attributes<'_>) -> LevelOutcome {
        let first = |is_audited: bool| {
            let mut places = (0..).zip(&self.policies);
            let found = places
                .find(|(_, policy)| policy.is_audited == is_audited && policy.is_for(attributes));
            found.map(|(place, _)| place)
        };
        self.outcome(first(false), first(true))
    }

    /// Its policies, in order, each with its number.
    pub fn policies(&self) -> impl Iterator<Item = (PolicyId, &Policy)> {
        self.ids.iter().copied().zip(&self.policies)
    }

    /// What happens to a request that no policy is for.
    #[must_use]
    pub fn default_action(&self) -> PolicyAction {
        self.default
    }

    /// Nothing is denied here.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        self.is_audited
    }

    /// The number of its default.
    #[must_use]
    pub fn default_id(&self) -> PolicyId {
        self.id(self.policies.len())
    }

    fn outcome(&self, enforced: Option<u32>, audited: Option<u32>) -> LevelOutcome {
        // An audited policy behind the one that decides would not have been reached.
        let audited = audited.filter(|place| enforced.is_none_or(|enforced| *place < enforced));
        let decides = self.decided(enforced);
        match self.is_audited {
            false => LevelOutcome {
                enforced: Some(decides),
                audited: audited.map(|place| self.decided(Some(place))),
            },
            true => LevelOutcome {
                enforced: None,
                audited: Some(audited.map_or(decides, |place| self.decided(Some(place)))),
            },
        }
    }

    fn id(&self, place: usize) -> PolicyId {
        let id = self.ids.get(place).copied();
        debug_assert!(
            id.is_some(),
            "a number for every policy and for the default"
        );
        id.unwrap_or(PolicyId(u32::MAX))
    }

    fn decided(&self, place: Option<u32>) -> Decided {
        let found = place.and_then(|place| {
            let place = usize::try_from(place).ok()?;
            Some((place, self.policies.get(place)?.action))
        });
        match found {
            Some((place, action)) => Decided {
                id: self.id(place),
                action,
            },
            None => Decided {
                id: self.default_id(),
                action: self.default,
            },
        }
    }
}
