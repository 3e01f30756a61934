//! What a request comes to, once it may pass: the decisions of an exchange that need no connection.
//!
//! Serving and explaining ask the same functions, in this order: [`refusal`], the route, who
//! calls, the policies, the limits, [`of`].

use crate::http::{BodyLength, Method, Request, TargetForm};
use crate::proxy::local_reply;
use crate::proxy::snapshot::ListenerPlan;
use crate::record::DownstreamFailure;
use crate::route::{DirectResponse, Location, Redirect, Route, RouteAction, WeightedClusters};

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Course<'a> {
    /// The proxy answers it.
    Local(LocalAnswer<'a>),
    /// It is sent to one of these clusters.
    Forward(&'a Route, &'a WeightedClusters),
}

/// An answer of the proxy's own that is no refusal.
#[derive(Clone, Copy, Debug)]
pub enum LocalAnswer<'a> {
    /// It ends here: RFC 9110 §7.6.2 and §9.3.7.
    LastRecipient,
    /// It is answered with another location.
    Redirect(&'a Route, &'a Redirect),
    /// It is answered from the configuration.
    Direct(&'a Route, &'a DirectResponse),
}

/// Why a request is refused before its route is looked for, if it is.
pub fn refusal(plan: &ListenerPlan, request: &Request<'_>) -> Option<DownstreamFailure> {
    let is_refused = request.method() == Method::Connect && !plan.is_connect_allowed;
    is_refused.then_some(DownstreamFailure::MethodRefused)
}

/// What becomes of a request that was routed to `location` and may pass.
///
/// # Errors
/// There is no route, or its body is announced to be too large.
pub fn of<'a>(
    plan: &ListenerPlan,
    request: &Request<'_>,
    location: Location<'a>,
) -> Result<Course<'a>, DownstreamFailure> {
    if local_reply::is_last_recipient(request) {
        return Ok(Course::Local(LocalAnswer::LastRecipient));
    }
    let Some(route) = location.route else {
        // RFC 9110 §9.3.7: asks about the server, not about anything that has a route.
        return match request.target_form() {
            TargetForm::Asterisk => Ok(Course::Local(LocalAnswer::LastRecipient)),
            TargetForm::Origin | TargetForm::Absolute | TargetForm::Authority => {
                Err(DownstreamFailure::NoRoute)
            }
        };
    };
    let clusters = match &route.action {
        RouteAction::Redirect(to) => {
            return Ok(Course::Local(LocalAnswer::Redirect(route, to)));
        }
        RouteAction::Direct(response) => {
            return Ok(Course::Local(LocalAnswer::Direct(route, response)));
        }
        RouteAction::Forward(clusters) => clusters,
    };
    match request.body() {
        BodyLength::Sized(bytes) if bytes > plan.body_bytes_max => {
            Err(DownstreamFailure::BodyTooLarge)
        }
        _ => Ok(Course::Forward(route, clusters)),
    }
}
