//! Step 6 of an exchange: may this caller do this?
//!
//! In: a routed request. Out: that policies and limits let it pass, or the reason why they do not;
//! whoever is asked besides is asked in [`external`]. Every decision is counted, also those that
//! only would have been made.

pub mod course;
pub(super) mod external;

use super::fold::Reason;
use super::telling::Telling;
use crate::authorize::external::Passed;
use crate::authorize::{self, Attributes, Facts, LevelOutcome, PolicyAction, Verdict, rate_limit};
use crate::http::{Request, client_address};
use crate::record::{Decision, DownstreamFailure, PolicyId};
use crate::route::Location;

/// Asks the policies of the listener, the virtual host and the route. `storage` is scratch space.
pub(super) fn run<'a>(
    telling: &mut Telling<'a>,
    request: Request<'_>,
    location: Location<'_>,
    storage: &mut Vec<u8>,
) -> Result<Passed, Reason> {
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
    let verdict = authorize::authorize(plan.policies.levels(location), &attributes);
    tell(telling, &verdict);
    let denied = |_: PolicyId| (DownstreamFailure::Denied.into(), "");
    let allowed = verdict.result.map_err(denied)?;
    let limits = plan.rate_limits.at(location);
    let count = |limit, decision| {
        let local = &connection.local;
        local.record(|recorder| recorder.limited(limit, decision));
    };
    let passed = |limit| count(limit, Decision::Allow);
    rate_limit::limit(allowed, limits, &attributes, telling.received_at(), passed).map_err(
        |exceeded| {
            count(exceeded.limit.id(), Decision::Deny);
            telling.limited(exceeded);
            (DownstreamFailure::RateLimited.into(), "")
        },
    )
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
