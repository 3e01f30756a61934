//! One try on one endpoint: a connection, the request's head, then the response.
//!
//! In: the [`Call`], the [`Way`] to go, the upload as far as earlier attempts brought it. Out: the
//! whole response queued for the client; or a response thrown away because its status lets there be
//! another attempt; or an error, with how far the attempt had come, from which [`super::retry`]
//! decides.
//!
//! Interim responses are passed on to HTTP/1.1 clients and swallowed for HTTP/1.0 (RFC 9110
//! §15.2). The final head is queued as soon as it is there; a body that came with it is queued at
//! once, without the relay.

use std::time::Duration;

use super::body::{Body, Outgoing};
use super::circuit::Slot;
use super::connect;
use super::pool::{PoolEvent, Upstream};
use super::pump::Pump;
use super::relay::{Relay, RelayError, Upload};
use super::retry::{self, Grant, RetryAfter};
use super::trace::Trace;
use super::tunnel;
use super::{Call, ForwardError, Forwarded};
use crate::balance::Lease;
use crate::http::date::DATE_BYTES;
use crate::http::h1::encode::{self, ConnectionReply, ResponseEdits};
use crate::http::h1::{Parsed, response};
use crate::http::{BodyLength, HeadError, Response, ResponseHead, Version};
use crate::io::{Buf, Instant, Stream, clock};
use crate::limits;
use crate::route::RetryReason;

/// How an attempt goes about it.
#[derive(Debug)]
pub(super) struct Way {
    /// The endpoint.
    pub(super) lease: Lease,
    /// The place in the cluster; behind the lease, so that who gets it next finds that given back.
    pub(super) _slot: Slot,
    /// A connection from the pool may be taken...
    pub(super) may_reuse: bool,
    /// ...if it has idled no longer than this.
    pub(super) idle_max: Duration,
}

impl Way {
    /// The first attempt's way. A request that could not be repeated takes only connections that
    /// were used a moment ago, which no peer closes for idleness: for it, losing the keep-alive
    /// race would be an error to the client.
    pub(super) fn first(call: &Call<'_>, lease: Lease, slot: Slot) -> Self {
        let is_short = match call.request.body() {
            BodyLength::Sized(bytes) => bytes <= limits::REPLAY_BYTES_MAX as u64,
            BodyLength::None | BodyLength::Chunked | BodyLength::UntilClose => true,
        };
        let is_repeatable = is_short
            && retry::is_idempotent(call.request.method())
            && call.retry.allows(RetryReason::StaleConnection);
        let idle_max = if is_repeatable {
            Duration::MAX
        } else {
            limits::UNREPEATABLE_IDLE_MAX
        };
        Self {
            lease,
            _slot: slot,
            may_reuse: true,
            idle_max,
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tried {
    /// The response was forwarded to its end.
    Forwarded(Forwarded),
    /// The response was thrown away, since there is to be another attempt.
    Again(Grant),
    /// There was no whole response.
    Failed(Failed),
}

/// An attempt that brought no whole response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) error: ForwardError,
    pub(super) reached: Reached,
}

/// How far a failed attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// No connection: nothing left this process.
    Nothing,
    /// The request went (at least partly) over a connection that had carried others before.
    SentOnReused,
    /// The request went over a connection made for it.
    SentOnFresh,
    /// A byte of the answer arrived.
    Begun,
    /// The head of the response is on its way to the client.
    Committed,
}

/// Makes one attempt.
pub(super) async fn run(
    call: &Call<'_>,
    way: &Way,
    upload: &mut Upload<'_>,
    head: &mut ResponseHead,
    gathered: &mut Vec<u8>,
    trace: &mut Trace,
) -> Tried {
    let upstream = match connection(call, way, trace).await {
        Ok(upstream) => upstream,
        Err(error) => {
            let reached = Reached::Nothing;
            return Tried::Failed(Failed { error, reached });
        }
    };
    let is_repeatable = call.retry.repeats() && retry::is_idempotent(call.request.method());
    upload.replay.set_kept(is_repeatable);
    upstream
        .stream
        .write(|out| encode::request(out, &call.request, &call.request_edits));
    upload.resend(&upstream.stream);
    let mut answer = Answer {
        call,
        lease: &way.lease,
        head,
        gathered,
        is_begun: false,
    };
    match answer.forward(&upstream.stream, upload, trace).await {
        Ok(ended) => {
            if ended.may_reuse {
                let endpoint = way.lease.id();
                call.pool.put(endpoint, upstream, ended.kept_for);
            } else {
                call.pool.tell(upstream.ended());
            }
            match ended.again {
                Some(grant) => Tried::Again(grant),
                None => Tried::Forwarded(Forwarded {
                    may_persist: ended.may_persist && !upload.is_last(),
                }),
            }
        }
        Err(error) => {
            let event = upstream.ended();
            call.pool.tell(event);
            let error = match (error, event) {
                (ForwardError::Relay(RelayError::UpstreamClosed), PoolEvent::Untrusted) => {
                    ForwardError::Relay(RelayError::UpstreamUntrusted)
                }
                (error, _) => error,
            };
            let reached = match () {
                () if trace.status != 0 => Reached::Committed,
                () if answer.is_begun => Reached::Begun,
                () if upstream.is_reused => Reached::SentOnReused,
                () => Reached::SentOnFresh,
            };
            Tried::Failed(Failed { error, reached })
        }
    }
}

/// A connection to the endpoint, from the pool or new.
async fn connection(
    call: &Call<'_>,
    way: &Way,
    trace: &mut Trace,
) -> Result<Upstream, ForwardError> {
    let now = clock::now();
    trace.attempt(way.lease.id(), now);
    if way.may_reuse
        && let Some(upstream) = call.pool.take(way.lease.id(), now, way.idle_max)
    {
        trace.is_reused = true;
        trace.connected_at = now;
        return Ok(upstream);
    }
    let open = connect::place(call.circuit, call.pool);
    let per_try = call.retry.per_try_timeout.unwrap_or(Duration::MAX);
    let request_ends = call.timeouts.request_ends;
    let ends = request_ends.min(now + call.connect_timeout.min(per_try));
    let to = way.lease.address();
    match connect::connect(to, call.connector, call.pool, call.timer, ends).await {
        Ok(stream) => {
            trace.connected_at = clock::now();
            let (lease, pool) = (&way.lease, call.pool);
            Ok(connect::made(stream, lease, open, pool, call.random))
        }
        Err(error) => {
            call.pool.tell(PoolEvent::ConnectFailed);
            Err(match error.is_timeout() && ends == request_ends {
                true => ForwardError::Relay(RelayError::RequestTimeout),
                false => ForwardError::Connect(error),
            })
        }
    }
}

/// How a whole response left both connections.
struct Ended {
    may_persist: bool,
    may_reuse: bool,
    /// How long the upstream says it keeps its connection.
    kept_for: Option<Duration>,
    /// It was not forwarded, since there is to be another attempt.
    again: Option<Grant>,
}

/// A complete response head and what came behind it.
struct Received {
    /// The head's bytes, if they came in one run; gathered otherwise.
    head: Option<Buf>,
    rest: Option<Buf>,
}

/// The response of one attempt.
struct Answer<'a, 'b> {
    call: &'a Call<'b>,
    lease: &'a Lease,
    head: &'a mut ResponseHead,
    gathered: &'a mut Vec<u8>,
    /// A byte of it has arrived.
    is_begun: bool,
}

impl Answer<'_, '_> {
    /// Forwards the response, while the request body flows.
    async fn forward(
        &mut self,
        upstream: &Stream,
        upload: &mut Upload<'_>,
        trace: &mut Trace,
    ) -> Result<Ended, ForwardError> {
        let call = self.call;
        let mut relay = Relay::new(call, upstream, upload, trace);
        let received = self.final_head(&mut relay).await?;
        let bytes = received.head.as_deref().unwrap_or(self.gathered);
        let response = self.head.view(bytes);
        let latency = relay.trace.answered_after();
        self.lease
            .answered(response.status(), latency, relay.trace.first_byte_at);
        if call.retry.lists(response.status()) {
            let (after, whole) = (RetryAfter::of(&response), relay.upload.is_replayable());
            let again = retry::ask(call, RetryReason::Status, after, whole, relay.trace);
            if again.is_some() {
                self.lease.completed(clock::recent());
                return Ok(Ended {
                    may_persist: false,
                    may_reuse: relay.is_upload_ended() && is_whole(&response, &received),
                    kept_for: response.keep_alive_timeout(),
                    again,
                });
            }
        }
        let is_tunnel = tunnel::is_tunnel(&call.request, &response, call.request_edits.upgrade)
            .ok_or(ForwardError::UnaskedSwitch)?;
        relay.upload.is_wanted = relay.is_upload_ended() || wants_rest(&response);
        let reply = Reply::to(call, &response, is_tunnel, relay.upload.is_wanted);
        queue_head(call, &response, &reply, relay.trace);
        if is_tunnel {
            return self.tunnel(upstream, received.rest, relay).await;
        }
        let length = response.body();
        let mut download = Pump::new(Body::new(length, u64::MAX), Outgoing::of(reply.body));
        drop(received.head);
        if let Err(error) = relay.download(received.rest, &mut download).await {
            cut(call.downstream, &reply, error);
            return Err(ForwardError::Relay(error));
        }
        self.lease.completed(clock::recent());
        let is_upload_ended = relay.is_upload_ended();
        Ok(Ended {
            may_persist: reply.may_persist && is_upload_ended,
            may_reuse: self.head.view(b"").keep_alive()
                && length != BodyLength::UntilClose
                && is_upload_ended
                && upstream.queued() == 0,
            kept_for: self.head.view(b"").keep_alive_timeout(),
            again: None,
        })
    }

    /// The head of the final response; interim ones before it are passed on.
    async fn final_head(&mut self, relay: &mut Relay<'_, '_>) -> Result<Received, ForwardError> {
        let mut rest = None;
        for _ in 0..=limits::INTERIM_RESPONSES_MAX {
            relay.trace.first_byte_at = Instant::default();
            let received = self.next_head(rest.take(), relay).await?;
            let bytes = received.head.as_deref().unwrap_or(self.gathered);
            let response = self.head.view(bytes);
            if !response.is_interim() {
                return Ok(received);
            }
            // RFC 9110 §15.2: an HTTP/1.0 client does not know interim responses.
            if self.call.request.version() == Version::Http11 {
                queue_interim(self.call, &response, relay.trace);
            }
            rest = received.rest;
        }
        Err(ForwardError::InterimFlood)
    }

    /// The next response head, beginning with `rest` if there is some.
    async fn next_head(
        &mut self,
        mut rest: Option<Buf>,
        relay: &mut Relay<'_, '_>,
    ) -> Result<Received, ForwardError> {
        let (limits, method) = (self.call.response_limits, self.call.request.method());
        self.head.clear();
        self.gathered.clear();
        loop {
            let received = match rest.take() {
                Some(run) => Some(run),
                None => relay.response_run().await.map_err(ForwardError::Relay)?,
            };
            let Some(mut run) = received else {
                return Err(ForwardError::Relay(RelayError::UpstreamClosed));
            };
            self.is_begun = true;
            if relay.trace.first_byte_at == Instant::default() {
                relay.trace.first_byte_at = clock::now();
            }
            let before = self.gathered.len();
            let is_whole = before == 0;
            if !is_whole {
                self.gathered.extend_from_slice(&run);
            }
            let bytes = if is_whole {
                &*run
            } else {
                self.gathered.as_slice()
            };
            if !is_http(bytes) {
                return Err(ForwardError::ResponseHead(HeadError::Line));
            }
            let parsed = response::parse(bytes, limits, method, self.head);
            match parsed.map_err(ForwardError::ResponseHead)? {
                Parsed::Partial if is_whole => self.gathered.extend_from_slice(&run),
                Parsed::Partial => {}
                Parsed::Complete { bytes } => {
                    // Only the head: room is made for what it is, not for the body behind it.
                    let head = is_whole.then(|| {
                        let mut head = run.clone();
                        head.truncate(bytes);
                        head
                    });
                    run.advance(bytes.saturating_sub(before));
                    return Ok(Received {
                        head,
                        rest: Some(run).filter(|run| !run.is_empty()),
                    });
                }
            }
        }
    }

    /// Carries the bytes of the protocol that was switched to.
    async fn tunnel(
        &self,
        upstream: &Stream,
        rest: Option<Buf>,
        relay: Relay<'_, '_>,
    ) -> Result<Ended, ForwardError> {
        let call = self.call;
        self.lease.completed(clock::recent());
        relay.upload.release(call.downstream);
        if let Some(rest) = rest {
            upstream.unread(rest);
        }
        let ends = tunnel::Ends {
            downstream: call.downstream,
            upstream,
            timer: call.timer,
            idle: call.timeouts.idle,
        };
        tunnel::carry(&ends, relay.trace)
            .await
            .map_err(ForwardError::Relay)?;
        Ok(Ended {
            may_persist: false,
            may_reuse: false,
            kept_for: None,
            again: None,
        })
    }
}

/// Whether all of a response is there that nobody will read, so that its connection can be used
/// again. One whose body is still to come is not waited for: closing is cheaper than reading.
fn is_whole(response: &Response<'_>, received: &Received) -> bool {
    let rest = received.rest.as_ref().map_or(0, |rest| rest.len() as u64);
    let is_at_end = match response.body() {
        BodyLength::None => rest == 0,
        BodyLength::Sized(bytes) => rest == bytes,
        BodyLength::Chunked | BodyLength::UntilClose => false,
    };
    is_at_end && response.keep_alive()
}

/// Whether `bytes` may begin a status line (RFC 9112 §4). A peer that speaks something else, a TLS
/// alert for example, may never send a line end that the parser waits for.
pub(super) fn is_http(bytes: &[u8]) -> bool {
    let begin = b"HTTP/";
    let known = bytes.len().min(begin.len());
    begin.starts_with(bytes.get(..known).unwrap_or_default())
}

/// An upstream that answers before it has the request does not want the rest when it says so, by
/// an error or by closing; the client is told, and the connection ends (RFC 9112 §9.3). In all
/// other cases the rest may still arrive while the response is relayed.
fn wants_rest(response: &Response<'_>) -> bool {
    response.keep_alive() && response.status() < 400
}

/// How the response is told to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reply {
    /// The framing of the body.
    body: BodyLength,
    connection: ConnectionReply,
    may_persist: bool,
}

impl Reply {
    fn to(
        call: &Call<'_>,
        response: &Response<'_>,
        is_tunnel: bool,
        is_upload_wanted: bool,
    ) -> Self {
        if is_tunnel {
            let connection = if response.is_switch() {
                ConnectionReply::Upgrade
            } else {
                ConnectionReply::Persist
            };
            return Self {
                body: response.body(),
                connection,
                may_persist: false,
            };
        }
        Self::framed(
            response.body(),
            call.request.version(),
            call.may_persist && !call.is_draining.get() && is_upload_wanted,
        )
    }

    /// The framing for a client of `version` of a body that came as `length`.
    fn framed(length: BodyLength, version: Version, may_persist: bool) -> Self {
        let body = match (length, version) {
            (BodyLength::None | BodyLength::Sized(_), _) => length,
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http11) => BodyLength::Chunked,
            // RFC 9112 §6.1: no chunks for an HTTP/1.0 client.
            (BodyLength::Chunked | BodyLength::UntilClose, Version::Http10) => {
                BodyLength::UntilClose
            }
        };
        let may_persist = may_persist && body != BodyLength::UntilClose;
        let connection = match version {
            _ if !may_persist => ConnectionReply::Close,
            Version::Http11 => ConnectionReply::Persist,
            Version::Http10 => ConnectionReply::KeepAlive,
        };
        Self {
            body,
            connection,
            may_persist,
        }
    }
}

fn queue_head(call: &Call<'_>, response: &Response<'_>, reply: &Reply, trace: &mut Trace) {
    let date = call.date.map(|cache| cache.at(trace.first_byte_at));
    let edits = ResponseEdits {
        connection: reply.connection,
        date: date.as_ref().map(<[u8; DATE_BYTES]>::as_slice),
        body: Some(reply.body).filter(|body| *body != response.body()),
        set_cookie: trace.endpoint.and_then(|id| call.affinity.set_cookie(id)),
        ..call.response_edits
    };
    trace.status = response.status();
    queue(call.downstream, response, &edits, trace);
}

fn queue_interim(call: &Call<'_>, response: &Response<'_>, trace: &mut Trace) {
    let edits = ResponseEdits {
        via: call.response_edits.via,
        ..ResponseEdits::default()
    };
    queue(call.downstream, response, &edits, trace);
}

fn queue(
    downstream: &Stream,
    response: &Response<'_>,
    edits: &ResponseEdits<'_>,
    trace: &mut Trace,
) {
    downstream.write(|out| {
        let before = out.len();
        encode::response(out, response, edits);
        let bytes = out.len().saturating_sub(before) as u64;
        trace.sent_head_bytes = trace.sent_head_bytes.saturating_add(bytes);
    });
}

/// Makes sure that the client does not take what it got for the whole response.
fn cut(downstream: &Stream, reply: &Reply, error: RelayError) {
    match error {
        RelayError::ClientGone | RelayError::ClientStalled => downstream.reset(),
        // Only the close ends this body: an orderly one would say that it is whole.
        _ if reply.body == BodyLength::UntilClose => downstream.reset(),
        // The length, or the missing last chunk, says it.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9112_4_another_protocol_is_known_by_its_first_byte() {
        assert!(!is_http(b"\x15") && !is_http(b"SSH-2.0-x\r\n"));
        assert!(is_http(b"") && is_http(b"HT") && is_http(b"HTTP/1.1 200 OK\r\n"));
    }

    #[test]
    fn rfc9112_6_1_an_http_1_0_client_gets_no_chunks() {
        for length in [BodyLength::Chunked, BodyLength::UntilClose] {
            let reply = Reply::framed(length, Version::Http10, true);
            assert_eq!(reply.body, BodyLength::UntilClose);
            assert_eq!(reply.connection, ConnectionReply::Close);
            assert!(!reply.may_persist);
        }
    }

    #[test]
    fn rfc9112_7_1_a_body_without_length_is_chunked_for_an_http_1_1_client() {
        for length in [BodyLength::Chunked, BodyLength::UntilClose] {
            let reply = Reply::framed(length, Version::Http11, true);
            assert_eq!(reply.body, BodyLength::Chunked);
            assert_eq!(reply.connection, ConnectionReply::Persist);
            assert!(reply.may_persist);
        }
    }

    #[test]
    fn rfc9112_9_3_the_connection_field_says_what_happens() {
        for (version, may_persist, connection) in [
            (Version::Http11, true, ConnectionReply::Persist),
            (Version::Http11, false, ConnectionReply::Close),
            (Version::Http10, true, ConnectionReply::KeepAlive),
            (Version::Http10, false, ConnectionReply::Close),
        ] {
            for length in [BodyLength::None, BodyLength::Sized(3)] {
                let reply = Reply::framed(length, version, may_persist);
                assert_eq!(reply.body, length);
                assert_eq!(reply.connection, connection);
                assert_eq!(reply.may_persist, may_persist);
            }
        }
    }
}
