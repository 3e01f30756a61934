//! An instance as the registry knows it: who vouches for it, and what it does.
//!
//! In: a registration, and what became of it. Out: whether it is given requests, and the one word
//! for that which the API, the log and other proxies are told. Pure.

use std::sync::Arc;

use super::Registration;
use crate::io::Instant;

/// Who vouches for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It registered here; its lease is counted here.
    Local,
    /// It registered with another proxy, which tells when it is gone.
    Remote,
}

/// What the checks of an instance say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is not checked here, and believed.
    Unchecked,
    /// Its first check has not been answered.
    Pending,
    /// It works.
    Passing,
    /// It does not.
    Failing,
}

/// What an instance does, in one word: what its proxy tells the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is given requests.
    Serving,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// Its first check has not been answered.
    Pending,
    /// It fails its checks.
    Failing,
}

impl State {
    const ALL: [Self; 4] = [Self::Serving, Self::Draining, Self::Pending, Self::Failing];

    /// The word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Pending => "pending",
            Self::Failing => "failing",
        }
    }

    /// The state that `name` is the word for.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// An instance that is registered.
#[derive(Clone, Debug)]
pub struct Instance {
    /// As it registered.
    pub registration: Arc<Registration>,
    /// Who vouches for it.
    pub owner: Owner,
    /// What the other proxy that vouches for it calls itself, if it does.
    pub proxy: Option<Arc<str>>,
    /// When its lease runs out; never for a remote one.
    pub deadline: Instant,
    /// It finishes what it has and takes nothing new.
    pub is_draining: bool,
    /// What its checks say.
    pub health: Health,
    /// The registry's version when it last changed, renewals not counted.
    pub version: u64,
    /// Its place among those that run out at the same instant.
    pub(super) ticket: u64,
}

impl Instance {
    /// Whether it may be given requests.
    #[must_use]
    pub fn is_endpoint(&self) -> bool {
        self.state() == State::Serving
    }

    /// What it does.
    #[must_use]
    pub const fn state(&self) -> State {
        match (self.is_draining, self.health) {
            (true, _) => State::Draining,
            (false, Health::Pending) => State::Pending,
            (false, Health::Failing) => State::Failing,
            (false, Health::Unchecked | Health::Passing) => State::Serving,
        }
    }

    /// Whether it registered or was renewed here after `time`.
    #[must_use]
    pub fn is_renewed_since(&self, time: Instant) -> bool {
        self.owner == Owner::Local && self.deadline.since(time) > self.registration.ttl
    }
}
