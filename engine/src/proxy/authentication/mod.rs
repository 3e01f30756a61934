//! Who is calling: where the step `authenticate` is asked, and its answer told.

use std::time::UNIX_EPOCH;

use super::fold::Reason;
use super::telling::Telling;
use crate::authenticate::Asked;
use crate::http::Request;
use crate::io::clock;
use crate::record::DownstreamFailure;
use crate::route::Route;

/// Finds out who sent `request`, as far as its route asks. From here on the telling has the
/// principal; or the challenges, when the route is for those who prove who they are.
pub(super) fn run<'a>(
    telling: &mut Telling<'a>,
    request: Request<'a>,
    route: &Route,
) -> Result<(), Reason> {
    let requirement = &route.requirement;
    if requirement.is_none() {
        return Ok(());
    }
    let connection = telling.connection();
    let methods = &telling.plan().methods;
    let asked = Asked {
        request,
        peer: connection.client(),
        now: clock::wall().duration_since(UNIX_EPOCH).unwrap_or_default(),
    };
    match methods.authenticate(requirement, &asked) {
        Ok(principal) => {
            telling.authenticated(principal);
            Ok(())
        }
        Err(refusal) => {
            telling.challenged(methods.challenges(requirement, refusal));
            Err((
                DownstreamFailure::Unauthenticated(refusal.fault).into(),
                refusal.detail,
            ))
        }
    }
}
