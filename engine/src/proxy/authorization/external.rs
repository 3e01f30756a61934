//! Where a service outside is asked about a request, and its answer told.
//!
//! In: the [`Question`] that stands between the request and its permit. Out: the permit, with what
//! the answer changes; or the failure, with what the client is told instead. The question has the
//! request's method, path, host and the configured fields, with what an upstream would be told of
//! the client; it goes to a cluster like any other.

use super::Left;
use crate::authenticate::query_without;
use crate::authorize::Permit;
use crate::authorize::external::{Changes, ExternalResult, Question, Ruling, Service};
use crate::balance::PickError;
use crate::forward::{self, ForwardError, Inquiry, RelayError, Space, Trace};
use crate::http::Request;
use crate::http::h1::encode::{self, RequestEdits};
use crate::io::{Instant, clock};
use crate::limits;
use crate::proxy::exchange;
use crate::proxy::fold::{self, Reason};
use crate::proxy::telling::Telling;
use crate::record::{DownstreamFailure, ProxyFailure};
use crate::route::Route;

/// Leave to forward a request, and what changes in it.
#[derive(Debug)]
pub(in crate::proxy) struct Granted {
    pub(in crate::proxy) permit: Permit,
    pub(in crate::proxy) changes: Option<Box<Changes>>,
}

impl Granted {
    /// Nothing changes.
    pub(in crate::proxy) fn as_it_is(permit: Permit) -> Self {
        Self {
            permit,
            changes: None,
        }
    }

    /// The client is told what is `left`, too.
    pub(in crate::proxy) fn telling(mut self, left: Option<&Left>) -> Self {
        if let Some(left) = left {
            left.tell(&mut self.changes.get_or_insert_default().client);
        }
        self
    }
}

/// Asks. `text` is scratch space.
pub(in crate::proxy) async fn run<'a>(
    telling: &mut Telling<'a>,
    request: Request<'a>,
    route: &Route,
    question: Question<'_>,
    text: &mut Vec<u8>,
    space: &mut Space,
) -> Result<Granted, Reason> {
    let asked_at = clock::now();
    let service = question.service();
    let mut head = std::mem::take(&mut space.replay);
    write_question(telling, &request, route, service, text, &mut head);
    let request_timeout = route.timeouts.request;
    let request_ends = request_timeout.map_or(Instant::NEVER, |it| telling.received_at() + it);
    let ends = request_ends.min(asked_at + service.timeout);
    let answered = send(telling, &request, service, &head, ends, space).await;
    space.replay = head;
    telling.trace.waited_outside(clock::now().since(asked_at));
    let (ruling, detail) = match answered {
        Ok(content) => {
            let answer = space.response.view(&space.gathered);
            let is_error = answer.status() >= 500;
            let detail = if is_error { "status" } else { "external" };
            (question.answered(&answer, content), detail)
        }
        Err(error @ ForwardError::Relay(RelayError::ClientGone)) => {
            return Err(fold::forward(error, &telling.trace));
        }
        Err(error) => {
            let is_late = error == ForwardError::Relay(RelayError::RequestTimeout);
            let (failure, _) = fold::forward(error, &Trace::default());
            (question.unanswered(is_late), failure.label())
        }
    };
    tell(telling, ruling, detail)
}

/// Sends the question in `head`, and waits for the answer. A service that is not there does not
/// answer.
async fn send(
    telling: &Telling<'_>,
    request: &Request<'_>,
    service: &Service,
    head: &[u8],
    ends: Instant,
    space: &mut Space,
) -> Result<Option<Vec<u8>>, ForwardError> {
    let connection = telling.connection();
    let generation = &telling.slot().generation;
    let no_endpoint = ForwardError::Pick(PickError::NoEndpoint);
    let cluster = generation.cluster(service.cluster).ok_or(no_endpoint)?;
    let upstream = &cluster.plan.upstream;
    let inquiry = Inquiry {
        head,
        method: request.method(),
        response_limits: &generation.snapshot.response_limits,
        content_bytes_max: limits::EXTERNAL_CONTENT_BYTES_MAX,
        ends,
        downstream: &connection.stream,
        timer: &connection.timer,
        connect_timeout: upstream.connect_timeout,
        connector: upstream.tls.as_deref(),
        balancer: &cluster.balancer,
        circuit: &cluster.circuit,
        pool: &cluster.pool,
        random: connection.local.random.next(),
    };
    forward::ask(&inquiry, space).await
}

/// Writes the question into `head`, and its target into `target`.
fn write_question(
    telling: &Telling<'_>,
    request: &Request<'_>,
    route: &Route,
    service: &Service,
    target: &mut Vec<u8>,
    head: &mut Vec<u8>,
) {
    target.clear();
    target.extend_from_slice(&service.path_prefix);
    // `*` holds no path (RFC 9112 §3.2.4).
    if request.path().starts_with(b"/") || target.is_empty() {
        target.extend_from_slice(request.path());
    }
    if let Some(query) = request.query() {
        query_without(query, route.requirement.query_removals(), target);
    }
    let token = telling.principal().token.as_deref();
    let fields = [
        route.requirement.removals(),
        &service.added,
        exchange::told_by(token),
    ];
    let edits = RequestEdits {
        target: Some(target),
        fields: &fields,
        ..exchange::told(telling)
    };
    head.clear();
    encode::inquiry(head, request, &edits, &service.asked);
}

fn tell(
    telling: &mut Telling<'_>,
    ruling: Ruling,
    detail: &'static str,
) -> Result<Granted, Reason> {
    let result = ruling.result;
    telling.ruled(result);
    match ruling.verdict {
        Ok((permit, changes)) => {
            if result != ExternalResult::Allowed {
                telling.noted(detail);
            }
            let changes = Some(Box::new(changes));
            Ok(Granted { permit, changes })
        }
        Err(refusal) => {
            telling.refused(Box::new(refusal));
            let failure = match result {
                ExternalResult::Denied => DownstreamFailure::Denied.into(),
                _ => ProxyFailure::AuthorizationMissing.into(),
            };
            Err((failure, detail))
        }
    }
}
