//! One request and its response: the steps, in order.
//!
//! [`run`] starts the telling, goes through the steps, and answers a failure; [`steps`] is the
//! sequence itself. Between the head's last byte and the end of the response, everything that
//! happens to a request is called from here.

use super::authentication;
use super::authorization;
use super::authorization::course::{self, Course};
use super::authorization::external::{self, Granted};
use super::connection::Connection;
use super::fold::{self, Reason};
use super::local_reply;
use super::snapshot::ListenerPlan;
use super::snapshot::generation::ListenerSlot;
use super::telling::Telling;
use crate::authenticate::{Token, query_without};
use crate::forward::{self, Call, Space, Timeouts};
use crate::http::h1::encode::{RequestEdits, ResponseEdits};
use crate::http::{
    EditList, FieldEdits, Forwarded, Request, RequestHead, Scheme, trusted_request_id,
};
use crate::io::Instant;
use crate::limits;
use crate::record::{CloseReason, DownstreamFailure, ProxyFailure};
use crate::route::{Route, RouteAction, WeightedClusters};

/// What is changed where there is nothing to change.
const NO_EDITS: &FieldEdits = &FieldEdits::new();

/// Storage for one exchange at a time, reused from one to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The request's head...
    pub(super) request: RequestHead,
    /// ...and its bytes.
    pub(super) head: Vec<u8>,
    /// A rewritten target, the location of a redirect, the body of a TRACE response.
    text: Vec<u8>,
    request_id: Vec<u8>,
    space: Space,
}

impl Scratch {
    /// Gives back what an unusual request made large.
    pub(super) fn shrink(&mut self) {
        if self.head.len() > limits::HEAD_STORAGE_KEPT_BYTES {
            self.request = RequestHead::new();
        }
        self.head.clear();
        self.head.shrink_to(limits::HEAD_STORAGE_KEPT_BYTES);
        self.text.clear();
        self.text.shrink_to(limits::HEAD_STORAGE_KEPT_BYTES);
        self.space.shrink();
    }
}

/// Serves the request in `scratch`, whose head was complete at `received_at`, and records what
/// happened, once. Says why the connection must end, if it must.
pub(super) async fn run(
    connection: &Connection,
    slot: &ListenerSlot,
    scratch: &mut Scratch,
    received_at: Instant,
) -> Option<CloseReason> {
    let request = scratch.request.view(&scratch.head);
    let head_bytes = scratch.head.len();
    identify(connection, &slot.plan, &request, &mut scratch.request_id);
    let id = scratch.request_id.as_slice();
    let mut telling = Telling::begin(connection, slot, Some(request), id, head_bytes, received_at);
    let served = steps(&mut telling, request, &mut scratch.text, &mut scratch.space).await;
    let persists = match served {
        Ok(persists) => persists,
        Err((_, _)) if connection.is_cut.get() => {
            telling.failed(ProxyFailure::Draining.into(), "");
            false
        }
        Err((failure, detail)) => {
            telling.failed(failure, detail);
            // Once a response has begun, only the end of the connection can say that it is cut.
            !telling.is_answered() && local_reply::failure(&mut telling, failure, &mut scratch.text)
        }
    };
    telling.end(persists)
}

/// Answers what could not be read as a request, and records it.
pub(super) fn refuse(
    connection: &Connection,
    slot: &ListenerSlot,
    head_bytes: usize,
    now: Instant,
    why: Reason,
) {
    let (failure, detail) = why;
    let mut telling = Telling::begin(connection, slot, None, b"", head_bytes, now);
    telling.failed(failure, detail);
    let persists = local_reply::failure(&mut telling, failure, &mut Vec::new());
    debug_assert!(
        !persists,
        "nothing can be read behind an unreadable request"
    );
    telling.end(persists);
}

/// Route, authenticate, authorize, balance, forward. Says whether the connection may carry another
/// request.
async fn steps<'a>(
    telling: &mut Telling<'a>,
    request: Request<'a>,
    text: &mut Vec<u8>,
    space: &mut Space,
) -> Result<bool, Reason> {
    let (connection, plan) = (telling.connection(), telling.plan());
    if let Some(failure) = course::refusal(plan, &request) {
        return Err((failure.into(), ""));
    }
    if !connection.is_for(plan, request.host()) {
        return Err((DownstreamFailure::Misdirected.into(), ""));
    }
    let location = plan.routes.locate(&request);
    if let Some(route) = location.route {
        admit(telling, route)?;
        authentication::run(telling, request, route).await?;
    }
    // Before anything is said about the request, also that there is nothing for it.
    let (passed, left) = authorization::run(telling, request, location, text)?;
    let service = plan.services.at(location);
    let granted = match (passed.permit(service), location.route) {
        (Ok(permit), _) => Granted::as_it_is(permit),
        (Err(question), Some(route)) => {
            // Its state is large, and most requests ask nobody.
            Box::pin(external::run(
                telling, request, route, question, text, space,
            ))
            .await?
        }
        (Err(_), None) => return Err((ProxyFailure::Internal.into(), "")),
    };
    let granted = granted.telling(left.as_deref());
    let course = course::of(plan, &request, location).map_err(|failure| (failure.into(), ""))?;
    match course {
        Course::Local(answer) => {
            let changes = granted.changes.as_deref();
            let added = changes.map_or(NO_EDITS, |changes| &changes.client);
            Ok(local_reply::answer(telling, answer, added, text))
        }
        Course::Forward(route, clusters) => {
            let own = || route.requirement.removals();
            let removals = service.map_or_else(own, |it| &it.removals);
            let to = To {
                route,
                clusters,
                removals,
            };
            forward(telling, request, to, granted, text, space).await
        }
    }
}

/// Where a request is forwarded to.
#[derive(Clone, Copy)]
struct To<'a> {
    route: &'a Route,
    clusters: &'a WeightedClusters,
    /// What is taken out of it.
    removals: &'a FieldEdits,
}

/// Balance, forward.
async fn forward<'a>(
    telling: &mut Telling<'a>,
    request: Request<'a>,
    to: To<'_>,
    granted: Granted,
    text: &mut Vec<u8>,
    space: &mut Space,
) -> Result<bool, Reason> {
    let connection = telling.connection();
    let (local, plan, route) = (&*connection.local, telling.plan(), to.route);
    let random = local.random.next();
    // The upper half chooses the cluster, all of it the endpoint.
    let cluster = to.clusters.pick((random >> 32) as u32);
    let generation = &telling.slot().generation;
    let no_cluster = (ProxyFailure::NoCluster.into(), "");
    let cluster = generation.cluster(cluster).ok_or(no_cluster)?;
    telling.sent_to(&cluster);
    let (balancer, upstream) = (&cluster.balancer, &cluster.plan.upstream);
    let (source, is_secure) = (connection.peer, connection.scheme() == Scheme::Https);
    let source = source.map(|peer| peer.ip());
    let affinity = cluster.plan.cluster.affinity(&request, source, is_secure);
    let token = telling.principal().token.clone();
    let changes = granted.changes.as_deref();
    let request_fields = EditList::new([
        to.removals,
        &route.request_edits,
        told_by(token.as_deref()),
        changes.map_or(NO_EDITS, |changes| &changes.upstream),
    ]);
    let added = changes.map_or(NO_EDITS, |changes| &changes.client);
    let response_fields = EditList::new([&route.response_edits, added]);
    let call = Call {
        permit: granted.permit,
        request,
        request_edits: request_edits(telling, &request, route, request_fields.as_slice(), text),
        response_edits: response_edits(telling, response_fields.as_slice()),
        response_limits: &generation.snapshot.response_limits,
        date: plan.fields.adds_date.then_some(&local.date),
        downstream: &connection.stream,
        may_persist: connection.may_persist(plan, &request),
        is_draining: &connection.is_draining,
        body_bytes_max: plan.body_bytes_max,
        timeouts: timeouts(telling, route),
        connect_timeout: upstream.connect_timeout,
        connector: upstream.tls.as_deref(),
        timer: &connection.timer,
        balancer,
        affinity,
        circuit: &cluster.circuit,
        retry: &route.retry,
        pool: &cluster.pool,
        random,
    };
    let forwarded = forward::run(&call, space, &mut telling.trace).await;
    match forwarded {
        Ok(forwarded) => Ok(forwarded.may_persist),
        Err(error) => Err(fold::forward(error, &telling.trace)),
    }
}

/// This route applies. Refuses a request that it would forward when the shard is overloaded: before
/// anything else is spent on it.
fn admit<'a>(telling: &mut Telling<'a>, route: &'a Route) -> Result<(), Reason> {
    telling.routed(route);
    match route.action {
        RouteAction::Redirect(_) | RouteAction::Direct(_) => Ok(()),
        RouteAction::Forward(_) => {
            let lag_max = telling.slot().generation.snapshot.overload.max_lag;
            let local = &telling.connection().local;
            let admitted = local.admit(telling.received_at(), lag_max);
            admitted.map_err(|why| (ProxyFailure::Overloaded.into(), why.label()))
        }
    }
}

/// Writes the request's id: a trusted hop's, or a new one; empty when the listener sets none.
fn identify(connection: &Connection, plan: &ListenerPlan, request: &Request<'_>, id: &mut Vec<u8>) {
    id.clear();
    let fields = &plan.fields;
    if !fields.sets_request_id {
        return;
    }
    match trusted_request_id(request, fields.trusted_hops) {
        Some(trusted) => id.extend_from_slice(trusted),
        None => connection.local.random.write_request_id(id),
    }
}

/// What changes in the request's head. A rewritten target is written into `target`.
fn request_edits<'a>(
    telling: &Telling<'a>,
    request: &Request<'_>,
    route: &'a Route,
    edits: &'a [&'a FieldEdits],
    target: &'a mut Vec<u8>,
) -> RequestEdits<'a> {
    let plan = telling.plan();
    // `*` and the authority of CONNECT hold no path to rewrite (RFC 9112 §3.2.3 and §3.2.4).
    let is_rewritten = request.path().starts_with(b"/") && write_target(request, route, target);
    RequestEdits {
        target: is_rewritten.then_some(target.as_slice()),
        host: route.rewrite.host(),
        fields: edits,
        upgrade: request
            .upgrade()
            .is_some_and(|protocol| plan.may_upgrade(protocol)),
        ..told(telling)
    }
}

/// What a peer behind is told of the client and of this proxy.
pub(super) fn told<'a>(telling: &Telling<'a>) -> RequestEdits<'a> {
    let connection = telling.connection();
    let fields = &telling.plan().fields;
    RequestEdits {
        forwarded: fields.sets_forwarded.then(|| Forwarded {
            client: connection.peer.map(|peer| peer.ip()),
            scheme: connection.scheme(),
            trusted_hops: fields.trusted_hops,
            is_proved: connection.client().is_some(),
        }),
        client_certificate: connection
            .client()
            .filter(|_| fields.sets_forwarded)
            .map(|client| &*client.forwarded),
        via: fields.via.as_deref(),
        request_id: Some(telling.request_id()).filter(|id| !id.is_empty()),
        ..RequestEdits::default()
    }
}

/// What a peer behind is told of a token.
pub(super) fn told_by(token: Option<&Token>) -> &FieldEdits {
    token.map_or(NO_EDITS, Token::forwarded)
}

/// Writes the target as the upstream sees it. `false` when it is the one that was received.
fn write_target(request: &Request<'_>, route: &Route, target: &mut Vec<u8>) -> bool {
    let secrets = route.requirement.query_removals();
    let query = request.query();
    if !route.rewrite.changes_target() && (secrets.is_empty() || query.is_none()) {
        return false;
    }
    target.clear();
    match query {
        Some(query) if !secrets.is_empty() => {
            route.rewrite.apply(request.path(), None, target);
            query_without(query, secrets, target);
        }
        query => route.rewrite.apply(request.path(), query, target),
    }
    true
}

/// What changes in the response's head.
fn response_edits<'a>(telling: &Telling<'a>, edits: &'a [&'a FieldEdits]) -> ResponseEdits<'a> {
    let fields = &telling.plan().fields;
    ResponseEdits {
        fields: edits,
        via: fields.via.as_deref(),
        server: fields.server(),
        request_id: Some(telling.request_id()).filter(|id| !id.is_empty()),
        ..ResponseEdits::default()
    }
}

fn timeouts(telling: &Telling<'_>, route: &Route) -> Timeouts {
    let listener = &telling.plan().timeouts;
    Timeouts {
        request_ends: route
            .timeouts
            .request
            .map_or(Instant::NEVER, |timeout| telling.received_at() + timeout),
        first_byte: route.timeouts.first_byte,
        idle: route.timeouts.idle,
        body_gap: listener.body_gap,
        send_gap: listener.send_gap,
    }
}
