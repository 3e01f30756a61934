//! Both bodies of one exchange at once, in one task, with every deadline that applies to them.
//!
//! In: the two streams, the upload as far as it has come, the timeouts. Out: runs of the response,
//! while the request body flows the other way; or why the exchange cannot go on.
//!
//! Rules:
//! - The upload may fail towards the upstream without failing the exchange: an upstream that has
//!   answered early may stop reading (RFC 9112 §9.3). Its answer decides.
//! - A client that resets the connection is gone at once. One that only closes its sending side
//!   may still read: it gets [`limits::HALF_CLOSE_GRACE`] for its response to begin, then the
//!   exchange is given up so that nothing works for a client that has left.
//! - Pipelined bytes seen while watching for that are given back to the stream.
//! - One timer serves all deadlines: the earliest is armed, and says what it means when it passes.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::Call;
use super::body::BodyError;
use super::pump::{Pump, PumpError, Waiting};
use super::replay::Replay;
use super::trace::{Peer, Trace};
use crate::io::{Buf, Instant, Stream, Timer, clock};
use crate::limits;

/// How long the phases of an exchange may take; an absent one is unbounded.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// When the whole exchange must be over; [`Instant::NEVER`] for no bound.
    pub request_ends: Instant,
    /// From the request sent to the response head.
    pub first_byte: Option<Duration>,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
    /// Between two receives of the request body.
    pub body_gap: Duration,
    /// Until the client has taken the next part of the response.
    pub send_gap: Duration,
}

/// Why the bodies of an exchange stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayError {
    /// The client closed or reset its connection.
    ClientGone,
    /// The client closed its sending side before the end of its body.
    BodyTruncated,
    /// The client does not take the response.
    ClientStalled,
    /// The client does not send the rest of the request body.
    BodyTimeout,
    /// The request body is too large or broken.
    RequestBody(BodyError),
    /// The exchange took longer than the route allows.
    RequestTimeout,
    /// The response did not begin in time.
    FirstByteTimeout,
    /// The response did not begin in the time of one attempt.
    TryTimeout,
    /// Nothing moved in either direction for too long.
    IdleTimeout,
    /// The upstream closed or reset its connection.
    UpstreamClosed,
    /// The connection was cut, since the endpoint at its end is not trusted any more.
    UpstreamUntrusted,
    /// The response body is broken.
    ResponseBody(BodyError),
}

/// What is known of the client beyond the request.
#[derive(Debug)]
enum Client {
    Silent,
    /// It sent more: the beginning of its next request.
    Pipelined(Buf),
    /// It closed its sending side.
    HalfClosed(Instant),
}

/// The request body, over all attempts of one exchange.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    pub(super) pump: Pump,
    pub(super) replay: Replay<'a>,
    moved_at: Instant,
    client: Client,
    /// An attempt has begun to send it.
    is_begun: bool,
    /// The upstream may still want the rest: it has not refused it by an early response.
    pub(super) is_wanted: bool,
}

impl<'a> Upload<'a> {
    pub(super) fn new(pump: Pump, replay: Replay<'a>, now: Instant) -> Self {
        Self {
            pump,
            replay,
            moved_at: now,
            client: Client::Silent,
            is_begun: false,
            is_wanted: true,
        }
    }

    /// The client closed its sending side: no request follows.
    pub(super) fn is_last(&self) -> bool {
        matches!(self.client, Client::HalfClosed(_))
    }

    /// Gives bytes of the client's next request back to its stream.
    pub(super) fn release(&mut self, downstream: &Stream) {
        if matches!(self.client, Client::Pipelined(_))
            && let Client::Pipelined(run) = std::mem::replace(&mut self.client, Client::Silent)
        {
            downstream.unread(run);
        }
    }

    /// Notices a client that leaves. While its body is being received the pump does that.
    pub(super) fn poll_client(
        &mut self,
        cx: &mut Context<'_>,
        downstream: &Stream,
    ) -> Result<(), RelayError> {
        let is_watched = matches!(self.client, Client::Silent);
        if !is_watched || !self.pump.is_ended() {
            return Ok(());
        }
        match downstream.poll_recv(cx) {
            Poll::Pending => {}
            Poll::Ready(Err(_)) => return Err(RelayError::ClientGone),
            Poll::Ready(Ok(None)) => self.client = Client::HalfClosed(clock::now()),
            Poll::Ready(Ok(Some(run))) => self.client = Client::Pipelined(run),
        }
        Ok(())
    }

    /// The request can be sent again, to an endpoint that has seen nothing of it.
    pub(super) fn is_replayable(&self) -> bool {
        self.replay.whole().is_some()
    }

    /// Queues again what a failed attempt had sent, if one had sent anything.
    pub(super) fn resend(&mut self, upstream: &Stream) {
        if !std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        self.is_wanted = true;
        let sent = self.replay.whole().unwrap_or_default();
        self.pump.resend(sent, upstream);
        self.moved_at = clock::now();
    }
}

/// Both directions of one attempt.
pub(super) struct Relay<'a, 'b> {
    downstream: &'a Stream,
    upstream: &'a Stream,
    pub(super) upload: &'a mut Upload<'b>,
    timeouts: &'a Timeouts,
    /// How long one attempt may wait for the response.
    per_try: Option<Duration>,
    timer: &'a Timer,
    pub(super) trace: &'a mut Trace,
    /// Whom the last poll left waiting, since when.
    wait: Option<(Peer, Instant)>,
}

impl<'a, 'b> Relay<'a, 'b> {
    pub(super) fn new(
        call: &'a Call<'_>,
        upstream: &'a Stream,
        upload: &'a mut Upload<'b>,
        trace: &'a mut Trace,
    ) -> Self {
        Self {
            downstream: call.downstream,
            upstream,
            upload,
            timeouts: &call.timeouts,
            per_try: call.retry.per_try_timeout,
            timer: call.timer,
            trace,
            wait: None,
        }
    }

    /// The next run of the response, while the request body flows; `None` when the upstream closed
    /// its sending side.
    pub(super) async fn response_run(&mut self) -> Result<Option<Buf>, RelayError> {
        poll_fn(|cx| self.poll_response_run(cx)).await
    }

    /// Relays the response body, which begins with `first`, to its end, while the request body
    /// flows.
    pub(super) async fn download(
        &mut self,
        first: Option<Buf>,
        download: &mut Pump,
    ) -> Result<(), RelayError> {
        if let Some(run) = first {
            let taken = download.take(run, self.upstream, self.downstream, |_| ());
            self.trace.sent_body_bytes = download.bytes();
            taken.map_err(download_error)?;
        }
        if download.is_ended() {
            return Ok(());
        }
        let mut moved_at = clock::now();
        poll_fn(|cx| self.poll_download(cx, download, &mut moved_at)).await
    }

    /// The whole request has been queued.
    pub(super) fn is_upload_ended(&self) -> bool {
        self.upload.pump.is_ended()
    }

    fn poll_response_run(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Buf>, RelayError>> {
        self.waited();
        self.poll_upload(cx)?;
        if let Poll::Ready(run) = self.upstream.poll_recv(cx) {
            return Poll::Ready(run.map_err(|_| RelayError::UpstreamClosed));
        }
        self.upload.poll_client(cx, self.downstream)?;
        let first_byte = match (self.timeouts.first_byte, self.upload.pump.waiting()) {
            (Some(timeout), Waiting::Ended | Waiting::Stopped) => {
                let since = self.trace.sent_at.max(self.upload.moved_at);
                (since + timeout, RelayError::FirstByteTimeout)
            }
            _ => NEVER,
        };
        let given_up = match self.upload.client {
            Client::HalfClosed(at) => (at + limits::HALF_CLOSE_GRACE, RelayError::ClientGone),
            Client::Silent | Client::Pipelined(_) => NEVER,
        };
        // Waiting for the first byte is a phase of its own.
        self.wait = match self.upload.pump.waiting() {
            Waiting::Source => Some((Peer::Downstream, clock::now())),
            Waiting::Sink => Some((Peer::Upstream, clock::now())),
            Waiting::Ended | Waiting::Stopped => None,
        };
        let meaning = match self.upload.pump.waiting() {
            Waiting::Source => RelayError::BodyTimeout,
            Waiting::Sink | Waiting::Ended | Waiting::Stopped => RelayError::IdleTimeout,
        };
        let idle = self.idle_deadline(self.upload.moved_at, meaning);
        let deadlines = [
            self.upload_deadline(),
            first_byte,
            idle,
            given_up,
            self.try_deadline(),
        ];
        self.poll_deadline(cx, deadlines).map(Err)
    }

    fn poll_download(
        &mut self,
        cx: &mut Context<'_>,
        download: &mut Pump,
        moved_at: &mut Instant,
    ) -> Poll<Result<(), RelayError>> {
        self.waited();
        self.poll_upload(cx)?;
        let moved = download.poll(cx, self.upstream, self.downstream, |_| ());
        self.trace.sent_body_bytes = download.bytes();
        if let Poll::Ready(ended) = moved {
            return Poll::Ready(ended.map_err(download_error));
        }
        self.upload.poll_client(cx, self.downstream)?;
        let now = clock::now();
        if std::mem::take(&mut download.has_moved) {
            *moved_at = now;
        }
        let (peer, send_gap, meaning) = match download.waiting() {
            Waiting::Sink => (
                Peer::Downstream,
                *moved_at + self.timeouts.send_gap,
                RelayError::ClientStalled,
            ),
            Waiting::Source | Waiting::Ended | Waiting::Stopped => {
                (Peer::Upstream, Instant::NEVER, RelayError::IdleTimeout)
            }
        };
        self.wait = Some((peer, now));
        let taken = (send_gap, RelayError::ClientStalled);
        let idle = self.idle_deadline(self.upload.moved_at.max(*moved_at), meaning);
        let deadlines = [self.upload_deadline(), taken, idle];
        self.poll_deadline(cx, deadlines).map(Err)
    }

    /// Moves the request body on.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), RelayError> {
        let upload = &mut *self.upload;
        let replay = &mut upload.replay;
        let keep = |payload: &[u8]| replay.keep(payload);
        let moved = upload.pump.poll(cx, self.downstream, self.upstream, keep);
        if std::mem::take(&mut upload.pump.has_moved) {
            upload.moved_at = clock::now();
            self.trace.received_bytes = upload.pump.bytes();
        }
        match moved {
            Poll::Ready(Ok(())) if upload.pump.is_ended() => {
                if self.trace.sent_at == Instant::default() {
                    self.trace.sent_at = clock::now();
                    self.trace.is_request_whole = true;
                }
                Ok(())
            }
            Poll::Pending | Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(PumpError::Sink)) => {
                upload.pump.stop();
                Ok(())
            }
            // RFC 9112 §9.5: a client that sees the early response ceases to send its body.
            Poll::Ready(Err(_)) if !upload.is_wanted => {
                upload.pump.stop();
                Ok(())
            }
            Poll::Ready(Err(PumpError::Source)) => Err(RelayError::BodyTruncated),
            Poll::Ready(Err(PumpError::Body(error))) => Err(RelayError::RequestBody(error)),
        }
    }

    fn waited(&mut self) {
        if let Some((peer, since)) = self.wait.take() {
            self.trace.waited(peer, clock::now().since(since));
        }
    }

    fn upload_deadline(&self) -> Deadline {
        match self.upload.pump.waiting() {
            Waiting::Source if self.upload.is_wanted => (
                self.upload.moved_at + self.timeouts.body_gap,
                RelayError::BodyTimeout,
            ),
            Waiting::Source | Waiting::Sink | Waiting::Ended | Waiting::Stopped => NEVER,
        }
    }

    /// Only the endpoint's time counts, and only until a byte of the response is there.
    fn try_deadline(&self) -> Deadline {
        match (self.per_try, self.upload.pump.waiting()) {
            (Some(timeout), Waiting::Sink | Waiting::Ended | Waiting::Stopped)
                if self.trace.first_byte_at == Instant::default() =>
            {
                let since = self.trace.chosen_at.max(self.upload.moved_at);
                (since + timeout, RelayError::TryTimeout)
            }
            _ => NEVER,
        }
    }

    /// `meaning` tells who is to blame: the one who is waited for.
    fn idle_deadline(&self, moved_at: Instant, meaning: RelayError) -> Deadline {
        let idle = self.timeouts.idle;
        idle.map_or(NEVER, |idle| (moved_at + idle, meaning))
    }

    /// Ready with its meaning when the earliest of these deadlines, or the whole exchange's, has
    /// passed.
    fn poll_deadline<const COUNT: usize>(
        &self,
        cx: &mut Context<'_>,
        deadlines: [Deadline; COUNT],
    ) -> Poll<RelayError> {
        let mut earliest = (self.timeouts.request_ends, RelayError::RequestTimeout);
        for deadline in deadlines {
            if deadline.0 < earliest.0 {
                earliest = deadline;
            }
        }
        self.timer.arm(earliest.0);
        self.timer.poll_elapsed(cx).map(|()| earliest.1)
    }
}

fn download_error(error: PumpError) -> RelayError {
    match error {
        PumpError::Source => RelayError::UpstreamClosed,
        PumpError::Sink => RelayError::ClientGone,
        PumpError::Body(error) => RelayError::ResponseBody(error),
    }
}

/// When, and what it means.
type Deadline = (Instant, RelayError);

const NEVER: Deadline = (Instant::NEVER, RelayError::IdleTimeout);
