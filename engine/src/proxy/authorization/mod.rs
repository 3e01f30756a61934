//! Step 6 of an exchange: may this caller do this?
//!
//! In: a routed request. Out: that policies and limits let it pass, or the reason why they do not;
//! whoever is asked besides is asked in [`external`]. Every decision is counted, also those that
//! only would have been made.

pub mod course;
pub(super) mod external;

use super::fold::Reason;
use super::telling::Telling;
use crate::authenticate::Principal;
use crate::authorize::external::Passed;
use crate::authorize::rate_limit::Passing;
use crate::authorize::{
    self, Allowed, Attributes, Facts, LevelOutcome, Permit, PolicyAction, Verdict, rate_limit,
};
use crate::http::{FieldEdits, Request, RequestHead, Scheme, client_address};
use crate::record::{Decision, DownstreamFailure, PolicyId, ProxyFailure};
use crate::route::Location;

/// Asks the policies of the listener, the virtual host and the route. `storage` is scratch space.
pub(super) fn run<'a>(
    telling: &mut Telling<'a>,
    request: Request<'_>,
    location: Location<'_>,
    storage: &mut Vec<u8>,
) -> Result<(Passed, Option<Box<Left>>), Reason> {
    let connection = telling.connection();
    let plan = telling.plan();
    let peer_address = connection.peer.map(|peer| peer.ip());
    let principal = telling.principal().clone();
    let facts = Facts {
        principal: &principal,
        client: client_address(&request, peer_address, plan.fields.trusted_hops),
        scheme: connection.scheme(),
    };
    let attributes = Attributes::new(request, facts, storage);
    let allowed = policies(telling, location, &attributes)?;
    let limits = plan.rate_limits.at(location);
    let count = |limit, decision| {
        let local = &connection.local;
        local.record(|recorder| recorder.limited(limit, decision));
    };
    let mut left: Option<Box<Left>> = None;
    let passed = |passing: Passing<'_>| {
        count(passing.limit.id(), Decision::Allow);
        if passing.limit.source().always_tell {
            left.get_or_insert_default().add(passing);
        }
    };
    match rate_limit::limit(allowed, limits, &attributes, telling.received_at(), passed) {
        Ok(passed) => Ok((passed, left)),
        Err(exceeded) => {
            count(exceeded.limit.id(), Decision::Deny);
            telling.limited(exceeded);
            Err((DownstreamFailure::RateLimited.into(), ""))
        }
    }
}

/// Asks the policies about a connection to `name`, of which nothing else can be seen.
pub(super) fn of_connection(
    telling: &mut Telling<'_>,
    name: &str,
    location: Location<'_>,
) -> Result<Permit, Reason> {
    let connection = telling.connection();
    let nobody = Principal::default();
    let facts = Facts {
        principal: &nobody,
        client: connection.peer.map(|peer| peer.ip()),
        scheme: Scheme::Https,
    };
    let nothing = RequestHead::new();
    let attributes = Attributes::of_connection(name.as_bytes(), facts, &nothing);
    let allowed = policies(telling, location, &attributes)?;
    let none = std::iter::empty();
    let passed = rate_limit::limit(allowed, none, &attributes, telling.received_at(), |_| ());
    let permit = passed.ok().and_then(|passed| passed.permit(None).ok());
    permit.ok_or_else(|| (ProxyFailure::Internal.into(), ""))
}

fn policies(
    telling: &mut Telling<'_>,
    location: Location<'_>,
    attributes: &Attributes<'_>,
) -> Result<Allowed, Reason> {
    let levels = telling.plan().policies.levels(location);
    let verdict = authorize::authorize(levels, attributes);
    tell(telling, &verdict);
    let denied = |_: PolicyId| (DownstreamFailure::Denied.into(), "");
    verdict.result.map_err(denied)
}

/// What is left of limits that a request has passed, for its client.
#[derive(Debug, Default)]
pub(super) struct Left {
    policies: Vec<u8>,
    left: Vec<u8>,
}

impl Left {
    fn add(&mut self, passing: Passing<'_>) {
        if !self.left.is_empty() {
            self.policies.extend_from_slice(b", ");
            self.left.extend_from_slice(b", ");
        }
        passing.limit.write_policy(&mut self.policies);
        passing.write_left(&mut self.left);
    }

    /// Puts it in what is added to the response.
    fn tell(&self, fields: &mut FieldEdits) {
        let policies = fields.add(b"RateLimit-Policy", &self.policies);
        let left = fields.add(b"RateLimit", &self.left);
        debug_assert!(policies.is_ok() && left.is_ok(), "{self:?}");
    }
}

/// Counts and notes what was decided.
fn tell(telling: &mut Telling<'_>, verdict: &Verdict) {
    if verdict.levels.iter().all(Option::is_none) {
        return;
    }
    telling.judged(verdict.result.as_ref().err().copied(), verdict.would_deny());
    telling.connection().local.record(|recorder| {
        for level in verdict.levels.iter().flatten() {
            for (policy, decision) in decisions(level) {
                recorder.decided(policy, decision);
            }
        }
    });
}

fn decisions(level: &LevelOutcome) -> impl Iterator<Item = (PolicyId, Decision)> {
    let enforced = level.enforced.map(|decided| {
        let decision = match decided.action {
            PolicyAction::Allow => Decision::Allow,
            PolicyAction::Deny => Decision::Deny,
        };
        (decided.id, decision)
    });
    let audited = level.audited.map(|decided| {
        let decision = match decided.action {
            PolicyAction::Allow => Decision::WouldAllow,
            PolicyAction::Deny => Decision::WouldDeny,
        };
        (decided.id, decision)
    });
    enforced.into_iter().chain(audited)
}
