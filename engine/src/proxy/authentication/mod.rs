//! Who is calling: where the step `authenticate` is asked, and its answer told.
//!
//! The step itself is pure. What it cannot do goes out as an errand from here: a password that was
//! not seen before is verified elsewhere while the request waits, a missing key is asked for and
//! not waited for. Whatever keeps the answer from coming refuses the request.

mod errands;
mod keys;
mod turns;

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use super::connection::Connection;
use super::fold::Reason;
use super::telling::Telling;
use crate::authenticate::{Asked, Obstacle, Question};
use crate::http::{Request, client_address};
use crate::io::{Elapsed, clock};
use crate::limits;
use crate::record::{DownstreamFailure, ProxyFailure};
use crate::route::Route;

pub use errands::{ErrandQueues, Errands, PasswordErrand};
pub(super) use keys::compile;
pub(super) use turns::Turns;

/// Finds out who sent `request`, as far as its route asks. From here on the telling has the
/// principal; or the challenges, when the route is for those who prove who they are.
pub(super) async fn run<'a>(
    telling: &mut Telling<'a>,
    request: Request<'a>,
    route: &Route,
) -> Result<(), Reason> {
    let requirement = &route.requirement;
    if requirement.is_none() {
        return Ok(());
    }
    let connection = telling.connection();
    let (local, methods) = (&connection.local, &telling.plan().methods);
    let asked = Asked {
        request,
        peer: connection.client(),
        now: now(),
    };
    let mut found = methods.authenticate(requirement, &asked, &mut local.memory.borrow_mut());
    // With all-of, each method may have a password of its own.
    for _ in 0..limits::REQUIRED_METHODS_MAX {
        let Err(Obstacle::Unverified(question)) = found else {
            break;
        };
        let hops = telling.plan().fields.trusted_hops;
        let peer = connection.peer.map(|peer| peer.ip());
        let client = client_address(&request, peer, hops);
        // Its state is large, and few requests have a password that was not seen before.
        Box::pin(verify(connection, client, question)).await?;
        found = methods.authenticate(requirement, &asked, &mut local.memory.borrow_mut());
    }
    if let Some(address) = local.memory.borrow_mut().take_wanted() {
        local.errands.want_keys(address);
    }
    match found {
        Ok(principal) => {
            telling.authenticated(principal);
            Ok(())
        }
        Err(Obstacle::Refused(refusal)) => {
            telling.challenged(methods.challenges(requirement, refusal));
            Err((
                DownstreamFailure::Unauthenticated(refusal.fault).into(),
                refusal.detail,
            ))
        }
        Err(Obstacle::KeysMissing) => Err((ProxyFailure::KeysMissing.into(), "")),
        Err(Obstacle::Unverified(_)) => Err((ProxyFailure::Internal.into(), "")),
    }
}

/// Has a password of `client` verified, off the shard, and remembers the answer.
async fn verify(
    connection: &Connection,
    client: Option<IpAddr>,
    question: Question,
) -> Result<(), Reason> {
    let local = &connection.local;
    let overloaded = (ProxyFailure::Overloaded.into(), "passwords");
    let timer = &connection.timer;
    timer.arm(clock::now() + limits::PASSWORD_PATIENCE);
    let turn = timer.guard(local.turns.take(client)).await;
    let _turn = turn.ok().flatten().ok_or(overloaded)?;
    let answered = local.errands.verify(question).ok_or(overloaded)?;
    match timer.guard(answered.recv_async()).await {
        Ok(Ok((question, is_right))) => {
            let mut memory = local.memory.borrow_mut();
            memory.answer(&question, is_right, now());
            Ok(())
        }
        Ok(Err(_)) => Err((ProxyFailure::Internal.into(), "passwords")),
        Err(Elapsed) => Err(overloaded),
    }
}

/// The time since 1970.
fn now() -> Duration {
    let wall = clock::wall().duration_since(UNIX_EPOCH);
    wall.unwrap_or_default()
}
