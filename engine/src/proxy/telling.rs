//! One exchange being told: filled while it runs, recorded exactly once when it ends.
//!
//! A [`Telling`] is a guard. Whatever ends the exchange, also a future dropped half-way, its drop
//! folds what is known into an [`Outcome`], hands it to the recorder and writes the access-log
//! line.

use std::rc::Rc;

use super::connection::Connection;
use super::snapshot::ListenerPlan;
use super::snapshot::generation::{ClusterSlot, ListenerSlot};
use crate::authenticate::{Challenges, Principal};
use crate::authorize::external::{ExternalResult, Refusal};
use crate::authorize::rate_limit::Exceeded;
use crate::forward::Trace;
use crate::http::{FieldName, Request};
use crate::io::{Instant, clock};
use crate::record::access_log::AccessLine;
use crate::record::{
    CloseReason, Failure, Outcome, Peer, PolicyId, ProxyFailure, ResponseFlag, Times,
};
use crate::route::Route;

/// The story of one exchange so far.
pub(super) struct Telling<'a> {
    connection: &'a Connection,
    slot: &'a ListenerSlot,
    request: Option<Request<'a>>,
    request_id: &'a [u8],
    /// The name that was asked for where there is no request to see.
    server_name: &'a str,
    /// Who is calling.
    principal: Principal<'a>,
    /// What a caller who is not known is told to show.
    challenges: Challenges<'a>,
    /// The rate limit that refuses it.
    exceeded: Option<Exceeded<'a>>,
    /// What the client is told, when a service outside did not let it pass.
    refusal: Option<Box<Refusal>>,
    /// The query holds a secret.
    hides_query: bool,
    route: Option<&'a Route>,
    cluster: Option<Rc<ClusterSlot>>,
    outcome: Outcome,
    /// What forwarding has come to.
    pub(super) trace: Trace,
    received_at: Instant,
    head_bytes: usize,
    /// It came to an end, and was not just dropped.
    is_ended: bool,
}

impl<'a> Telling<'a> {
    /// An exchange begins with `request`, whose head of `head_bytes` was complete at
    /// `received_at`; `None` if it could not be read.
    pub(super) fn begin(
        connection: &'a Connection,
        slot: &'a ListenerSlot,
        request: Option<Request<'a>>,
        request_id: &'a [u8],
        head_bytes: usize,
        received_at: Instant,
    ) -> Self {
        let listener = slot.plan.id;
        connection
            .local
            .record(|recorder| recorder.exchange_started(listener));
        Self {
            connection,
            slot,
            request,
            request_id,
            server_name: "",
            principal: Principal::of_peer(connection.client()),
            challenges: Challenges::default(),
            exceeded: None,
            refusal: None,
            hides_query: false,
            route: None,
            cluster: None,
            outcome: Outcome::new(listener),
            trace: Trace {
                is_request_whole: request.is_some_and(|request| request.body().is_empty()),
                ..Trace::default()
            },
            received_at,
            head_bytes,
            is_ended: false,
        }
    }

    pub(super) fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// What the request goes by.
    pub(super) fn slot(&self) -> &'a ListenerSlot {
        self.slot
    }

    pub(super) fn plan(&self) -> &'a ListenerPlan {
        &self.slot.plan
    }

    pub(super) fn request(&self) -> Option<Request<'a>> {
        self.request
    }

    pub(super) fn request_id(&self) -> &'a [u8] {
        self.request_id
    }

    pub(super) fn received_at(&self) -> Instant {
        self.received_at
    }

    /// The client asks for this name, and nothing else can be seen.
    pub(super) fn asked_for(&mut self, server_name: &'a str) {
        self.server_name = server_name;
    }

    /// This rule applies.
    pub(super) fn routed(&mut self, route: &'a Route) {
        self.route = Some(route);
        self.outcome.route = Some(route.id);
        self.hides_query = route.requirement.reads_query();
    }

    /// Who is calling, as far as is known.
    pub(super) fn principal(&self) -> &Principal<'a> {
        &self.principal
    }

    /// This caller has proved who it is.
    pub(super) fn authenticated(&mut self, principal: Principal<'a>) {
        self.principal = principal;
    }

    /// The caller has to show one of these.
    pub(super) fn challenged(&mut self, challenges: Challenges<'a>) {
        self.challenges = challenges;
    }

    pub(super) fn challenges(&self) -> Challenges<'a> {
        self.challenges
    }

    /// The caller has to wait.
    pub(super) fn limited(&mut self, exceeded: Exceeded<'a>) {
        self.exceeded = Some(exceeded);
    }

    pub(super) fn exceeded(&self) -> Option<Exceeded<'a>> {
        self.exceeded
    }

    /// It was denied, or would have been, by these policies.
    pub(super) fn judged(&mut self, denied_by: Option<PolicyId>, would_deny: Option<PolicyId>) {
        self.outcome.denied_by = denied_by;
        self.outcome.would_deny = would_deny;
    }

    /// A service outside was asked about it, and this came of it.
    pub(super) fn ruled(&mut self, result: ExternalResult) {
        self.outcome.external = Some(result);
    }

    /// The client of this refused request is told this.
    pub(super) fn refused(&mut self, refusal: Box<Refusal>) {
        self.refusal = Some(refusal);
    }

    pub(super) fn take_refusal(&mut self) -> Option<Box<Refusal>> {
        self.refusal.take()
    }

    /// This cluster is to serve it.
    pub(super) fn sent_to(&mut self, cluster: &Rc<ClusterSlot>) {
        self.outcome.cluster = Some(cluster.plan.cluster.id());
        self.cluster = Some(Rc::clone(cluster));
    }

    /// The proxy answered itself, with so many bytes.
    pub(super) fn replied(&mut self, status: u16, bytes: u64) {
        self.outcome.status = status;
        self.outcome.sent_bytes = self.outcome.sent_bytes.saturating_add(bytes);
    }

    /// Something went wrong, and did not keep the request.
    pub(super) fn noted(&mut self, detail: &'static str) {
        self.outcome.detail = detail;
    }

    /// It failed.
    pub(super) fn failed(&mut self, failure: Failure, detail: &'static str) {
        self.outcome.failure = Some(failure);
        self.outcome.detail = detail;
    }

    /// A response has begun to leave.
    pub(super) fn is_answered(&self) -> bool {
        self.trace.status != 0
    }

    /// The connection may carry another request after a reply of the proxy's own: the request has
    /// been read to its end, and nothing else is against it.
    pub(super) fn may_persist(&self) -> bool {
        let request = self.request.as_ref();
        self.trace.is_request_whole
            && request.is_some_and(|it| self.connection.may_persist(self.plan(), it))
    }

    /// The exchange has ended. Says why the connection ends with it, unless it `persists`.
    pub(super) fn end(&mut self, persists: bool) -> Option<CloseReason> {
        self.is_ended = true;
        if persists {
            return None;
        }
        if let Some(request) = &self.request
            && self.trace.is_request_whole
            && !self.trace.is_tunnel
        {
            self.connection.received_whole(request);
        }
        Some(if self.trace.is_tunnel {
            CloseReason::TunnelEnded
        } else if self.outcome.failure.is_some() {
            CloseReason::Failure
        } else {
            self.connection.reason_to_close(self.plan())
        })
    }

    /// What the trace says, in the words of the record.
    fn fold(&mut self, now: Instant) {
        let (outcome, trace) = (&mut self.outcome, &self.trace);
        if self.is_ended {
            outcome.times.last_byte = now;
        } else if outcome.failure.is_none() {
            outcome.failure = Some(ProxyFailure::Draining.into());
        }
        outcome.received_bytes = (self.head_bytes as u64).saturating_add(trace.received_bytes);
        outcome.sent_bytes = outcome
            .sent_bytes
            .saturating_add(trace.sent_head_bytes)
            .saturating_add(trace.sent_body_bytes);
        if trace.status != 0 {
            outcome.status = trace.status;
        }
        outcome.attempts = trace.attempts;
        outcome.endpoint = trace.endpoint;
        outcome.is_reused = trace.is_reused;
        outcome.retries = trace.retries;
        outcome.is_budget_exhausted = trace.is_budget_exhausted;
        if trace.is_retry_limit_reached {
            let flag = ResponseFlag::UpstreamRetryLimitExceeded;
            outcome.extra_flags.insert(flag);
        }
        outcome.is_tunnel = trace.is_tunnel;
        fold_times(&mut outcome.times, trace, self.received_at);
    }

    fn write_log_line(&self) {
        let local = &self.connection.local;
        // Those that are kept are counted by whoever writes them.
        if !local.logs.add(|| self.log_line()) {
            local.record(|recorder| recorder.access_log(0, 1));
        }
    }

    fn log_line(&self) -> AccessLine<'_> {
        let outcome = &self.outcome;
        let cluster = self.cluster.as_ref().map(|slot| &slot.plan.cluster);
        let endpoint = cluster
            .zip(outcome.endpoint)
            .and_then(|(cluster, id)| cluster.endpoint(id));
        let label_of = |id: PolicyId| self.plan().policies.label(id);
        let request = self.request.as_ref();
        AccessLine {
            wall: clock::wall(),
            shard: self.connection.local.shard(),
            listener: &self.plan().name,
            route: self.route.map(|route| &*route.name),
            cluster: cluster.map(|cluster| &**cluster.name()),
            endpoint: endpoint.map(|endpoint| endpoint.label()),
            client: self.connection.peer,
            policy: outcome.denied_by.and_then(label_of),
            audit: outcome.would_deny.and_then(label_of),
            limit: self.exceeded.map(|exceeded| exceeded.limit.label()),
            principal: self.principal().label(),
            method: request.map_or(&[], |request| request.method_bytes()),
            authority: request.map_or(self.server_name.as_bytes(), |request| request.authority()),
            path: request.map_or(&[], |request| request.path()),
            query: request
                .and_then(|request| request.query())
                .filter(|_| !self.hides_query),
            request_id: self.request_id,
            user_agent: request
                .and_then(|request| request.field(FieldName::UserAgent))
                .unwrap_or_default(),
            outcome,
        }
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.fold(clock::now());
        let local = &self.connection.local;
        local.record(|recorder| recorder.record(&self.outcome));
        self.write_log_line();
    }
}

fn fold_times(times: &mut Times, trace: &Trace, received_at: Instant) {
    times.head_received = received_at;
    if !trace.lost.is_zero() {
        times.endpoint_chosen = received_at;
        times.attempt_failed(received_at + trace.lost);
    }
    times.endpoint_chosen = trace.chosen_at;
    if trace.connected_at != Instant::default() {
        times.connected(trace.connected_at, !trace.is_reused);
    }
    times.request_sent = trace.sent_at;
    times.first_byte = trace.first_byte_at;
    for (peer, waited) in [
        (Peer::Downstream, trace.waited_downstream),
        (Peer::Upstream, trace.waited_upstream),
    ] {
        times.waited(peer, received_at, received_at + waited);
    }
}
