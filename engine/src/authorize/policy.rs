//! One policy: what it is for, and what it does.
//!
//! The one place that judges all conditions of a policy: serving, explaining and comparing with
//! the index all ask [`Policy::failing`].

use std::sync::Arc;

use super::attributes::{Attributes, Readings};
use super::condition::{Aspect, Conditions, Wanted};
use crate::config::{self, PolicyAction};

/// A compiled policy.
#[derive(Debug)]
pub struct Policy {
    pub(super) name: Arc<str>,
    pub(super) action: PolicyAction,
    pub(super) is_audited: bool,
    pub(super) conditions: Conditions,
    not: Conditions,
}

/// The condition that keeps a policy from being for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What it is about.
    pub aspect: Aspect,
    /// It was to hold, or it was not to.
    pub wanted: Wanted,
}

impl Policy {
    pub(super) fn compile(policy: &config::Policy) -> Self {
        Self {
            name: Arc::clone(&policy.name),
            action: policy.action,
            is_audited: policy.audit,
            conditions: Conditions::compile(&policy.conditions),
            not: Conditions::compile(&policy.not),
        }
    }

    /// Its name, unique in its level.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it does with the requests it is for.
    #[must_use]
    pub fn action(&self) -> PolicyAction {
        self.action
    }

    /// It decides nothing.
    #[must_use]
    pub fn is_audited(&self) -> bool {
        self.is_audited
    }

    /// Whether it is for the request.
    pub(super) fn is_for(&self, attributes: &Attributes<'_>) -> bool {
        self.failing(attributes).is_none()
    }

    /// The first condition that keeps it from being for the request, if it is not.
    ///
    /// A policy that denies is for whatever has a reading that it is for, one that allows only for
    /// what it is for in every reading; what is excluded, the other way round.
    #[must_use]
    pub fn failing(&self, attributes: &Attributes<'_>) -> Option<Failing> {
        let (to_hold, to_fail) = match self.action {
            PolicyAction::Allow => (Readings::All, Readings::Any),
            PolicyAction::Deny => (Readings::Any, Readings::All),
        };
        let sides = [
            (&self.conditions, to_hold, Wanted::Each, true),
            (&self.not, to_fail, Wanted::None, false),
        ];
        for (conditions, readings, wanted, expected) in sides {
            for aspect in Aspect::ALL {
                if !conditions.is_free(aspect)
                    && conditions.holds(aspect, attributes, readings, wanted) != expected
                {
                    return Some(Failing { aspect, wanted });
                }
            }
        }
        None
    }
}
