//! The levels of a listener: its own, its virtual hosts' and its routes'.
//!
//! Kept beside the route table and indexed by the places it finds: `route` stands to the left of
//! this step and knows nothing of it.

use std::sync::Arc;

use super::level::PolicyTable;
use super::{LEVELS, Levels, PolicyId};
use crate::config;
use crate::route::Location;

/// All policies of one listener.
#[derive(Debug, Default)]
pub struct ListenerPolicies {
    listener: Option<Arc<PolicyTable>>,
    /// By the place of the virtual host in the listener.
    virtual_hosts: Box<[Option<Arc<PolicyTable>>]>,
    /// By the place of the route in the listener.
    routes: Box<[Option<Arc<PolicyTable>>]>,
    /// What each policy is called, `level/policy`, in the order of their numbers.
    labels: Box<[(PolicyId, Box<str>)]>,
}

impl ListenerPolicies {
    /// The policies of `listener`. `ids` are those of the whole configuration, by place in it.
    #[must_use]
    pub fn compile(listener: &config::Listener, ids: &[PolicyId]) -> Self {
        let ids_of = |authorization: &config::Authorization| {
            let first = usize::try_from(authorization.index).unwrap_or(usize::MAX);
            let count = usize::try_from(authorization.decision_count()).unwrap_or(0);
            let ids = ids.get(first..first.saturating_add(count));
            debug_assert!(ids.is_some(), "a number for every policy");
            ids.unwrap_or_default()
        };
        let mut labels: Vec<(PolicyId, Box<str>)> = Vec::new();
        for (level, authorization) in listener.authorizations() {
            let names = ids_of(authorization).iter().zip(authorization.names());
            labels.extend(names.map(|(id, name)| (*id, format!("{level}/{name}").into())));
        }
        labels.sort_unstable_by_key(|(id, _)| *id);
        let compile = |level: &Option<config::Authorization>| {
            level
                .as_ref()
                .map(|level| PolicyTable::compile(level, ids_of(level)))
        };
        let hosts = &listener.virtual_hosts;
        let routes = hosts.iter().flat_map(|host| &host.routes);
        Self {
            labels: labels.into(),
            listener: compile(&listener.authorization),
            virtual_hosts: hosts
                .iter()
                .map(|host| compile(&host.authorization))
                .collect(),
            routes: routes.map(|route| compile(&route.authorization)).collect(),
        }
    }

    /// What a policy, or the default of a level, is called: `level/policy`.
    #[must_use]
    pub fn label(&self, id: PolicyId) -> Option<&str> {
        let found = self.labels.binary_search_by_key(&id, |(id, _)| *id);
        let (_, label) = self.labels.get(found.ok()?)?;
        Some(label)
    }

    /// What a request that was routed to `location` has to pass. Where no route was found, the
    /// outer levels still hold: who may not enter is not told what there is.
    #[must_use]
    pub fn levels(&self, location: Location<'_>) -> Levels<'_> {
        let virtual_host = location
            .virtual_host
            .and_then(|at| self.virtual_hosts.get(at));
        let route = location.place.and_then(|at| self.routes.get(at));
        let levels: [Option<&Arc<PolicyTable>>; LEVELS] = [
            self.listener.as_ref(),
            virtual_host.and_then(Option::as_ref),
            route.and_then(Option::as_ref),
        ];
        levels.map(|level| level.map(Arc::as_ref))
    }
}
