//! A question of the proxy's own to a cluster, on whose answer it depends what becomes of a
//! request: not forwarded, not relayed.
//!
//! In: an [`Inquiry`]: a head without content, and the cluster whose balancing, pool, circuit and
//! TLS are used as for any request. Out: the whole answer, its head in the caller's storage, its
//! content bounded; or a [`ForwardError`]. Nothing of it goes to the client.
//!
//! A question changes nothing, so it is asked once more, of another endpoint if there is one, when
//! no connection could be made or one ended before a byte of the answer; the retry budget pays.
//! The client is watched all the while: who has gone is not asked about any more. What it sends
//! meanwhile stays where it is, but for one run, which is given back.

mod client;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::attempt::is_http;
use super::body::Body;
use super::circuit::{Circuit, Entry, PendingError, Slot};
use super::pool::{ClusterPool, PoolEvent, Upstream};
use super::relay::RelayError;
use super::{ForwardError, Space, connect};
use crate::balance::{Avoided, Balancer, Lease, Pick};
use crate::http::h1::{HeadLimits, Parsed, response};
use crate::http::{BodyLength, HeadError, Method, ResponseHead};
use crate::io::{Buf, Instant, Stream, Timer, clock};
use crate::limits;
use crate::tls::Connector;
use client::Client;

/// A question, and whom it is asked.
pub struct Inquiry<'a> {
    /// The head of the request. It has no content.
    pub head: &'a [u8],
    /// Its method, by which the answer has content or not.
    pub method: Method,
    /// Bounds of the answer's head.
    pub response_limits: &'a HeadLimits,
    /// Bytes of the answer's content that are kept.
    pub content_bytes_max: usize,
    /// When the whole answer must be there.
    pub ends: Instant,
    /// The client that waits.
    pub downstream: &'a Stream,
    /// Its connection's timer.
    pub timer: &'a Timer,
    /// How long one connection may take to be made.
    pub connect_timeout: Duration,
    /// TLS on that connection, if the cluster wants it.
    pub connector: Option<&'a Connector>,
    /// Gives the endpoints.
    pub balancer: &'a Balancer,
    /// Gives the places in the cluster, and pays for asking again.
    pub circuit: &'a Rc<Circuit>,
    /// Its idle connections.
    pub pool: &'a ClusterPool,
    /// A random number for this question.
    pub random: u64,
}

/// A question that was not answered.
struct Failed {
    error: ForwardError,
    /// Nobody has answered a byte, and there is time left.
    may_repeat: bool,
}

impl Failed {
    fn for_good(error: ForwardError) -> Self {
        Self {
            error,
            may_repeat: false,
        }
    }
}

/// Asks, and waits for the whole answer: its head is in `space.response`, of the bytes in
/// `space.gathered`. Gives its content; `None` if that is longer than is kept.
///
/// *Errors:* see [`ForwardError`]; a deadline that passed is [`RelayError::RequestTimeout`].
pub async fn ask(
    inquiry: &Inquiry<'_>,
    space: &mut Space,
) -> Result<Option<Vec<u8>>, ForwardError> {
    let mut client = Client::new(inquiry.downstream);
    inquiry.circuit.deposit(clock::now());
    let _slot = slot(inquiry, &mut client).await?;
    let mut avoided = Avoided::default();
    loop {
        let pick = Pick {
            avoid: avoided.keys(),
            ..Pick::new(clock::recent(), inquiry.random)
        };
        let lease = inquiry.balancer.pick(&pick).map_err(ForwardError::Pick)?;
        let is_first = avoided.keys().is_empty();
        let failed = match attempt(inquiry, &lease, is_first, &mut client, space).await {
            Ok(content) => return Ok(content),
            Err(failed) => failed,
        };
        let now = clock::now();
        if let Some(fault) = failed.error.fault() {
            lease.failed(fault, now);
        }
        if !(is_first && failed.may_repeat && inquiry.circuit.withdraw(now)) {
            return Err(failed.error);
        }
        avoided.push(lease.key());
    }
}

/// A place in the cluster, as soon as there is one.
async fn slot(inquiry: &Inquiry<'_>, client: &mut Client<'_>) -> Result<Slot, ForwardError> {
    let circuit = inquiry.circuit;
    let pending = match circuit.enter() {
        Entry::Open(slot) => return Ok(slot),
        Entry::Full => return Err(ForwardError::Pending(PendingError::Full)),
        Entry::Waits(pending) => pending,
    };
    let ends = clock::now() + circuit.pending_timeout();
    let waited = until(inquiry, client, ends, |cx| pending.poll_slot(cx));
    waited.await.map_err(|error| match error {
        RelayError::RequestTimeout if ends < inquiry.ends => {
            circuit.timed_out();
            ForwardError::Pending(PendingError::TimedOut)
        }
        error => ForwardError::Relay(error),
    })
}

/// Asks one endpoint.
async fn attempt(
    inquiry: &Inquiry<'_>,
    lease: &Lease,
    may_reuse: bool,
    client: &mut Client<'_>,
    space: &mut Space,
) -> Result<Option<Vec<u8>>, Failed> {
    let upstream = connection(inquiry, lease, may_reuse).await?;
    let sent_at = clock::now();
    upstream
        .stream
        .write(|out| out.extend_from_slice(inquiry.head));
    let mut answer = Answer {
        inquiry,
        upstream: &upstream.stream,
        client,
        began_at: None,
    };
    let result = match answer.head(&mut space.response, &mut space.gathered).await {
        Ok(rest) => {
            let response = space.response.view(&space.gathered);
            let began_at = answer.began_at.unwrap_or(sent_at);
            lease.answered(response.status(), began_at.since(sent_at), began_at);
            answer.content(response.body(), rest).await
        }
        Err(error) => Err(error),
    };
    let error = match result {
        Ok(content) => {
            let response = space.response.view(b"");
            let may_reuse = content.is_some()
                && response.keep_alive()
                && response.body() != BodyLength::UntilClose
                && upstream.stream.queued() == 0;
            if may_reuse {
                let kept_for = response.keep_alive_timeout();
                inquiry.pool.put(lease.id(), upstream, kept_for);
            } else {
                inquiry.pool.tell(PoolEvent::Unclean);
            }
            return Ok(content);
        }
        Err(error) => error,
    };
    inquiry.pool.tell(PoolEvent::Unclean);
    let is_closed = error == ForwardError::Relay(RelayError::UpstreamClosed);
    Err(Failed {
        error,
        may_repeat: is_closed && answer.began_at.is_none(),
    })
}

/// A connection to the endpoint, from the pool or new.
async fn connection(
    inquiry: &Inquiry<'_>,
    lease: &Lease,
    may_reuse: bool,
) -> Result<Upstream, Failed> {
    let (pool, circuit) = (inquiry.pool, inquiry.circuit);
    let now = clock::now();
    if may_reuse && let Some(upstream) = pool.take(lease.id(), now, Duration::MAX) {
        return Ok(upstream);
    }
    let open = connect::place(circuit, pool);
    let ends = inquiry.ends.min(now + inquiry.connect_timeout);
    let to = lease.address();
    let made = connect::connect(to, inquiry.connector, pool, inquiry.timer, ends).await;
    match made {
        Ok(stream) => Ok(connect::made(stream, lease, open, pool, inquiry.random)),
        Err(error) => {
            pool.tell(PoolEvent::ConnectFailed);
            Err(match error.is_timeout() && ends == inquiry.ends {
                true => Failed::for_good(ForwardError::Relay(RelayError::RequestTimeout)),
                false => Failed {
                    error: ForwardError::Connect(error),
                    may_repeat: true,
                },
            })
        }
    }
}

/// What `poll` gives, unless the client goes, or it is `ends` or the end of the inquiry, first.
async fn until<T>(
    inquiry: &Inquiry<'_>,
    client: &mut Client<'_>,
    ends: Instant,
    poll: impl Fn(&mut Context<'_>) -> Poll<T>,
) -> Result<T, RelayError> {
    let ends = ends.min(inquiry.ends);
    poll_fn(|cx| {
        if let Poll::Ready(value) = poll(cx) {
            return Poll::Ready(Ok(value));
        }
        client.poll(cx)?;
        let given_up_at = client.given_up_at();
        inquiry.timer.arm(ends.min(given_up_at));
        let elapsed = inquiry.timer.poll_elapsed(cx);
        elapsed.map(|()| match given_up_at < ends {
            true => Err(RelayError::ClientGone),
            false => Err(RelayError::RequestTimeout),
        })
    })
    .await
}

/// The answer of one endpoint, as it arrives.
struct Answer<'a, 'c> {
    inquiry: &'a Inquiry<'a>,
    upstream: &'a Stream,
    client: &'a mut Client<'c>,
    /// When its first byte arrived.
    began_at: Option<Instant>,
}

impl Answer<'_, '_> {
    /// The next run of bytes; `None` at the end.
    async fn run(&mut self) -> Result<Option<Buf>, ForwardError> {
        let upstream = self.upstream;
        let poll = |cx: &mut Context<'_>| upstream.poll_recv(cx);
        let received = until(self.inquiry, self.client, Instant::NEVER, poll).await;
        let run = received.map_err(ForwardError::Relay)?;
        if matches!(run, Ok(Some(_))) && self.began_at.is_none() {
            self.began_at = Some(clock::now());
        }
        run.map_err(|_| ForwardError::Relay(RelayError::UpstreamClosed))
    }

    /// Reads the head of the final response, whose bytes are gathered. Gives what came behind it.
    async fn head(
        &mut self,
        head: &mut ResponseHead,
        gathered: &mut Vec<u8>,
    ) -> Result<Option<Buf>, ForwardError> {
        let mut rest = None;
        for _ in 0..=limits::INTERIM_RESPONSES_MAX {
            rest = self.next_head(rest, head, gathered).await?;
            let response = head.view(gathered);
            if response.is_switch() {
                return Err(ForwardError::UnaskedSwitch);
            }
            if !response.is_interim() {
                return Ok(rest);
            }
        }
        Err(ForwardError::InterimFlood)
    }

    async fn next_head(
        &mut self,
        mut rest: Option<Buf>,
        head: &mut ResponseHead,
        gathered: &mut Vec<u8>,
    ) -> Result<Option<Buf>, ForwardError> {
        let (limits, method) = (self.inquiry.response_limits, self.inquiry.method);
        head.clear();
        gathered.clear();
        loop {
            let received = match rest.take() {
                Some(run) => Some(run),
                None => self.run().await?,
            };
            let Some(mut run) = received else {
                return Err(ForwardError::Relay(RelayError::UpstreamClosed));
            };
            let before = gathered.len();
            gathered.extend_from_slice(&run);
            if !is_http(gathered) {
                return Err(ForwardError::ResponseHead(HeadError::Line));
            }
            let parsed = response::parse(gathered, limits, method, head);
            match parsed.map_err(ForwardError::ResponseHead)? {
                Parsed::Partial => {}
                Parsed::Complete { bytes } => {
                    gathered.truncate(bytes);
                    run.advance(bytes.saturating_sub(before));
                    return Ok(Some(run).filter(|run| !run.is_empty()));
                }
            }
        }
    }

    /// Reads the content, which begins with `first`. `None` if it is longer than is kept, or
    /// something follows it.
    async fn content(
        &mut self,
        length: BodyLength,
        mut first: Option<Buf>,
    ) -> Result<Option<Vec<u8>>, ForwardError> {
        let mut body = Body::new(length, u64::MAX);
        let mut content = Vec::new();
        while !body.is_ended() {
            let received = match first.take() {
                Some(run) => Some(run),
                None => self.run().await?,
            };
            let Some(run) = received else {
                match body.close() {
                    true => break,
                    false => return Err(ForwardError::Relay(RelayError::UpstreamClosed)),
                }
            };
            let taken = body.take(run);
            let taken = taken.map_err(|it| ForwardError::Relay(RelayError::ResponseBody(it)))?;
            if let Some(payload) = taken.payload {
                if content.len().saturating_add(payload.len()) > self.inquiry.content_bytes_max {
                    return Ok(None);
                }
                content.extend_from_slice(&payload);
            }
            first = taken.rest;
        }
        Ok(first.is_none().then_some(content))
    }
}
