//! One downstream connection, from admission to close.
//!
//! [`serve`] is its whole life: wait for a request, serve what comes, wait again, close. While it
//! waits it holds no buffer and its future is small; what an exchange needs is taken from the
//! shard for the busy time only ([`super::place`]).
//!
//! ```text
//!   wait ──bytes──> busy: read head, exchange, keep alive? ──nothing more to read──> wait
//!     └─ closed, idle too long, drained ─> close    └─ not kept alive ─> linger, close
//! ```
//!
//! An idle connection is closed without a word; one that ends after a response is closed in
//! order: FIN, then a bounded time of discarding what still arrives, since a close with unread
//! bytes would reset the connection and could destroy the response on its way (RFC 9112 §9.6).
//! Where the client said that nothing follows there is nothing to discard: the close sends the FIN.

use std::cell::{Cell, OnceCell};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use super::exchange::{self, Scratch};
use super::fold;
use super::local::Local;
use super::passthrough;
use super::place::{Inbox, Place};
use super::request_head::{self, NoRequest};
use super::snapshot::ListenerPlan;
use super::snapshot::generation::ListenerSlot;
use crate::accept::Admitted;
use crate::http::{Method, Request, Scheme};
use crate::io::{Instant, Stream, Timer, clock};
use crate::limits;
use crate::record::{CloseReason, DownstreamFailure, Handshake, ListenerId};
use crate::tls::{HandshakeError, Peer, Secure};

/// Serves one connection to its end.
///
/// Not `async` itself: what the future is made from would stay in it for life.
pub fn serve(
    local: Rc<Local>,
    listener: ListenerId,
    stream: Stream,
    admitted: Admitted,
) -> impl Future<Output = ()> + 'static {
    let connection = Connection::open(local, listener, stream, admitted);
    async move {
        let Some(connection) = connection else { return };
        if let Some(reason) = connection.live().await {
            connection.closed_for.set(connection.cut_for(reason));
            // Its state is large, and other connections live without it.
            Box::pin(connection.linger()).await;
        }
    }
}

/// Storage for the future of a busy connection.
pub(super) type Busy = Place<Rc<Connection>, Option<CloseReason>>;

/// Serves one busy connection after the other.
async fn busy(inbox: Rc<Inbox<Rc<Connection>, Option<CloseReason>>>) -> Infallible {
    let mut scratch = Scratch::default();
    loop {
        let connection = inbox.next().await;
        let close = requests(&connection, &mut scratch).await;
        drop(connection);
        scratch.shrink();
        inbox.answer(close);
    }
}

/// Reads requests and serves them while there are any. Says why the connection must end, if it
/// must.
async fn requests(connection: &Connection, scratch: &mut Scratch) -> Option<CloseReason> {
    loop {
        // Nobody is given another response before most of the earlier ones have been taken.
        if let Some(stalled) = connection.drained().await {
            return Some(stalled);
        }
        // From here to the end of the response, the request goes by this generation.
        let Some(slot) = connection.slot() else {
            return Some(CloseReason::Drained);
        };
        let head = request_head::read(connection, &slot.plan, scratch);
        let received_at = match head.await {
            Ok(received_at) => received_at,
            Err(why) => return Some(connection.no_request(&slot, scratch, why)),
        };
        if received_at >= connection.proof_ends() {
            // As if it had been closed a moment earlier: the client repeats it elsewhere.
            return Some(CloseReason::ProofExpired);
        }
        if connection.is_distrusted.get() {
            return Some(CloseReason::ProofRevoked);
        }
        connection
            .requests
            .set(connection.requests.get().saturating_add(1));
        let close = exchange::run(connection, &slot, scratch, received_at).await;
        if close.is_some() || connection.stream.quiet() {
            return close;
        }
        // More was pipelined.
        connection.stream.others_first().await;
    }
}

/// One downstream connection.
pub(super) struct Connection {
    pub(super) local: Rc<Local>,
    listener: ListenerId,
    /// The `since` of the listener by which it came in.
    since: u64,
    /// It ends with its next response.
    pub(super) is_draining: Cell<bool>,
    /// What its client has shown would not be taken any more: no further request is.
    is_distrusted: Cell<bool>,
    /// It took too long to drain.
    pub(super) is_cut: Cell<bool>,
    pub(super) stream: Stream,
    pub(super) peer: Option<SocketAddr>,
    /// What the TLS handshake found out.
    secure: OnceCell<Box<Secure>>,
    pub(super) timer: Timer,
    opened_at: Instant,
    /// Since when it has waited for a request; `NEVER` while it is busy.
    idle_since: Cell<Instant>,
    requests: Cell<u32>,
    closed_for: Cell<CloseReason>,
    /// The client said that nothing follows the last request, and has sent all of that.
    is_last: Cell<bool>,
    key: usize,
    _admitted: Admitted,
}

impl Connection {
    /// Begins to serve; `None` for a listener that no generation has.
    fn open(
        local: Rc<Local>,
        listener: ListenerId,
        stream: Stream,
        admitted: Admitted,
    ) -> Option<Rc<Self>> {
        let slot = local.listener(listener)?;
        local.record(|recorder| recorder.connection_opened(listener));
        let peer = stream.peer();
        Some(Rc::new_cyclic(|weak| Self {
            key: local.remember(weak.clone()),
            listener,
            since: slot.plan.since,
            is_cut: Cell::new(false),
            is_distrusted: Cell::new(false),
            is_draining: Cell::new(local.is_draining() || slot.is_removed.get()),
            stream,
            peer,
            secure: OnceCell::new(),
            timer: Timer::new(),
            opened_at: clock::now(),
            idle_since: Cell::new(Instant::NEVER),
            requests: Cell::new(0),
            closed_for: Cell::new(CloseReason::Drained),
            is_last: Cell::new(false),
            _admitted: admitted,
            local,
        }))
    }

    /// Serves what comes. Says why the connection ends if its client may still be reading; one
    /// whose client has read everything just ends.
    async fn live(self: &Rc<Self>) -> Option<CloseReason> {
        if let Some(slot) = self.slot().filter(|slot| slot.plan.is_passthrough) {
            // Its state is large, and other connections live without it.
            return Some(Box::pin(passthrough::run(self, slot)).await);
        }
        if !self.secure().await {
            return Some(CloseReason::Failure);
        }
        loop {
            if let Some(reason) = self.wait().await {
                self.closed_for.set(reason);
                return (self.stream.queued() > 0).then_some(reason);
            }
            let kept = self.local.take_place();
            let mut place = kept.unwrap_or_else(|| Place::new(busy));
            let close = place.run(Rc::clone(self)).await;
            self.local.keep_place(place);
            if close.is_some() {
                return close;
            }
        }
    }

    /// By which listener it came in.
    pub(super) fn listener(&self) -> ListenerId {
        self.listener
    }

    /// What a request that begins now goes by. It is there as long as the connection is.
    fn slot(&self) -> Option<Rc<ListenerSlot>> {
        self.local.listener(self.listener)
    }

    /// Begins TLS where the listener has it. `false` when the connection has to end for it.
    async fn secure(&self) -> bool {
        let Some(slot) = self.slot() else {
            return false;
        };
        let Some(acceptor) = &slot.plan.tls else {
            return true;
        };
        self.timer.arm(clock::now() + slot.plan.timeouts.handshake);
        // Its state is large, and the connection will live on without it.
        let handshake = Box::pin(acceptor.accept(&self.stream));
        let result = self.timer.guard(handshake).await;
        let result = result.unwrap_or(Err(HandshakeError::TimedOut));
        let count = match &result {
            Ok(secure) if secure.is_resumed => Handshake::Resumed,
            Ok(_) => Handshake::Full,
            Err(error) => Handshake::Failed(*error),
        };
        self.local
            .record(|recorder| recorder.handshake(self.listener, count));
        // It is set once in the life of a connection.
        let is_set = result.is_ok_and(|secure| self.secure.set(Box::new(secure)).is_ok());
        if self.proof_ends() != Instant::NEVER {
            self.local.watch_proofs();
        }
        // The certificates may have been replaced while the client was shown them.
        is_set && self.is_trusted()
    }

    /// The listener's certificates, when it has TLS now.
    pub(super) fn is_secured(&self) -> bool {
        self.secure.get().is_some()
    }

    /// Whether what the client has shown would be taken now.
    pub(super) fn is_trusted(&self) -> bool {
        let Some(secure) = self.secure.get() else {
            return true;
        };
        let slot = self.slot();
        let acceptor = slot.as_ref().and_then(|slot| slot.plan.tls.as_ref());
        acceptor.is_none_or(|acceptor| acceptor.trusts(secure))
    }

    /// The client, if it has shown a certificate.
    pub(super) fn client(&self) -> Option<&Peer> {
        self.secure.get()?.peer.as_ref()
    }

    /// When the client's certificate expires; `NEVER` if it has shown none.
    pub(super) fn proof_ends(&self) -> Instant {
        let secure = self.secure.get();
        secure.map_or(Instant::NEVER, |secure| secure.proof_ends)
    }

    /// By what scheme requests come in.
    pub(super) fn scheme(&self) -> Scheme {
        match self.secure.get() {
            Some(_) => Scheme::Https,
            None => Scheme::Http,
        }
    }

    /// Whether requests for `host` belong on this connection.
    pub(super) fn is_for(&self, plan: &ListenerPlan, host: &[u8]) -> bool {
        let secure = self.secure.get().map(Box::as_ref);
        let asked = secure.and_then(|secure| secure.server_name.as_deref());
        match (&plan.tls, asked) {
            (Some(acceptor), Some(asked)) => {
                std::str::from_utf8(host).is_ok_and(|host| acceptor.serves(asked, host))
            }
            // In clear text, or without a name asked for, any host will do.
            (_, _) => true,
        }
    }

    /// Waits for the first byte of a request. Says why the connection ends instead.
    async fn wait(&self) -> Option<CloseReason> {
        let now = clock::recent();
        // What idles holds no generation.
        let Some(timeouts) = self.slot().map(|slot| slot.plan.timeouts.clone()) else {
            return Some(CloseReason::Drained);
        };
        // A client that connects is expected to send its request, not to idle.
        let patience = if self.requests.get() == 0 {
            timeouts.header
        } else {
            timeouts.idle
        };
        let ends = (now + patience).min(self.proof_ends());
        self.idle_since.set(now);
        // Who does not take the last response is not left alone with it for all the idle time.
        self.timer.arm(ends.min(now + timeouts.send_gap));
        if self.is_draining.get() {
            self.shorten_wait();
        }
        let mut is_readable = self.readable().await;
        let has_time = || !self.is_draining.get() && clock::now() < ends;
        if !is_readable && self.stream.queued() == 0 && has_time() {
            self.timer.arm(ends);
            is_readable = self.readable().await;
        }
        self.idle_since.set(Instant::NEVER);
        match (is_readable, self.is_draining.get()) {
            (true, _) => None,
            (false, true) => Some(self.reason_to_drain()),
            (false, false) if clock::now() >= self.proof_ends() => Some(CloseReason::ProofExpired),
            (false, false) => Some(CloseReason::IdleTimeout),
        }
    }

    /// Waits for something to read, also the end; `false` when the armed deadline passes first.
    async fn readable(&self) -> bool {
        poll_fn(|cx| {
            if self.stream.poll_closed_or_readable(cx).is_ready() {
                return Poll::Ready(true);
            }
            self.timer.poll_elapsed(cx).map(|()| false)
        })
        .await
    }

    /// It ends with its next response; if it waits for a request, it does not wait long any more.
    pub(super) fn drain(&self) {
        self.is_draining.set(true);
        self.shorten_wait();
    }

    /// Its client is not who may be served any more: nothing further is read, and what is under way
    /// is its last.
    pub(super) fn distrust(&self) {
        self.is_distrusted.set(true);
        self.is_draining.set(true);
        if self.idle_since.get() != Instant::NEVER {
            self.timer.arm(Instant::default());
        }
    }

    fn reason_to_drain(&self) -> CloseReason {
        if self.is_distrusted.get() {
            CloseReason::ProofRevoked
        } else {
            CloseReason::Drained
        }
    }

    /// It has to end: its listener was removed or moved.
    pub(super) fn is_over(&self) -> bool {
        let slot = self.slot();
        slot.is_none_or(|slot| slot.is_over_for(self.since))
    }

    /// Ends at once, whatever it is doing: it has had its time to drain.
    pub(super) fn cut(&self) {
        self.is_cut.set(true);
        self.stream.cutter().cut();
    }

    /// Why it ends, if what it did ended for `reason`: it may have been cut.
    fn cut_for(&self, reason: CloseReason) -> CloseReason {
        match self.is_cut.get() {
            true if self.is_distrusted.get() => CloseReason::ProofRevoked,
            true if clock::recent() >= self.proof_ends() => CloseReason::ProofExpired,
            true | false => reason,
        }
    }

    fn shorten_wait(&self) {
        let since = self.idle_since.get();
        if since != Instant::NEVER {
            self.timer.arm(since + limits::DRAIN_IDLE_GRACE);
        }
    }

    /// May the connection go on after `request`, as far as is known before its response?
    pub(super) fn may_persist(&self, plan: &ListenerPlan, request: &Request<'_>) -> bool {
        // RFC 9110 §9.3.6: behind a CONNECT comes what is meant for a tunnel. If there is none, a
        // client that did not wait for the answer must not have it read as requests.
        request.method() != Method::Connect
            && request.keep_alive()
            && self.reason_to_close(plan) == CloseReason::Requested
    }

    /// `request` has been received whole: does anything follow? RFC 9112 §9.6: a client that asks
    /// for the close, or implies it by its version, sends nothing behind its request.
    pub(super) fn received_whole(&self, request: &Request<'_>) {
        let is_last = request.method() != Method::Connect && !request.keep_alive();
        self.is_last.set(is_last);
    }

    /// Why the connection ends after this exchange although the exchange ended well:
    /// [`CloseReason::Requested`] if there is no reason on our side.
    pub(super) fn reason_to_close(&self, plan: &ListenerPlan) -> CloseReason {
        if self.is_draining.get() {
            return self.reason_to_drain();
        }
        if clock::recent() >= self.proof_ends() {
            return CloseReason::ProofExpired;
        }
        let lifetime = plan.timeouts.lifetime;
        let is_old = lifetime.is_some_and(|lifetime| clock::recent() >= self.opened_at + lifetime);
        if is_old || self.requests.get() >= plan.requests_max {
            return CloseReason::RequestLimit;
        }
        CloseReason::Requested
    }

    /// Answers what is not a request, where somebody reads it. Says why the connection ends.
    fn no_request(&self, slot: &ListenerSlot, scratch: &Scratch, why: NoRequest) -> CloseReason {
        let why = match why {
            NoRequest::Closed => return CloseReason::Downstream,
            NoRequest::TimedOut => (DownstreamFailure::HeadTimeout.into(), ""),
            NoRequest::Refused(error) => fold::request_head(error),
        };
        exchange::refuse(self, slot, scratch.head.len(), clock::now(), why);
        CloseReason::Failure
    }

    /// How long a client may take nothing.
    fn send_gap(&self) -> Duration {
        let slot = self.slot();
        slot.map_or(Duration::ZERO, |slot| slot.plan.timeouts.send_gap)
    }

    /// Waits until the client has taken most of its responses. Says why the connection ends when
    /// it does not.
    async fn drained(&self) -> Option<CloseReason> {
        if self.stream.queued() <= limits::RELAY_QUEUE_BYTES_MAX {
            return None;
        }
        self.timer.arm(clock::now() + self.send_gap());
        let drained = self.stream.drained(limits::RELAY_QUEUE_BYTES_LOW);
        match self.timer.guard(drained).await {
            Ok(Ok(())) => None,
            Ok(Err(_)) => Some(CloseReason::Downstream),
            Err(_) => {
                self.stream.reset();
                Some(CloseReason::Failure)
            }
        }
    }

    /// Lets the client read its last response: what is queued, FIN, then a bounded discard of what
    /// it still sends, if it may.
    async fn linger(&self) {
        // RFC 9112 §9.6: who closed the sending side may still read what is on its way.
        if self.closed_for.get() == CloseReason::Downstream && self.stream.queued() == 0 {
            return;
        }
        // A peer behind a cipher answers the notice that nothing follows by its own.
        let is_last = self.is_last.get() && self.stream.quiet() && !self.stream.is_secured();
        if is_last {
            self.stream.close_when_sent();
        } else {
            self.stream.shutdown_send();
        }
        self.timer.arm(clock::recent() + self.send_gap());
        if !matches!(self.timer.guard(self.stream.drained(0)).await, Ok(Ok(()))) {
            self.stream.reset();
            return;
        }
        if is_last {
            return;
        }
        self.timer.arm(clock::now() + limits::LINGER);
        let mut discarded = 0;
        while discarded <= limits::LINGER_BYTES_MAX {
            match self.timer.guard(self.stream.recv()).await {
                Ok(Ok(Some(run))) => discarded = run.len().saturating_add(discarded),
                Ok(Ok(None) | Err(_)) | Err(_) => return,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let (reason, requests) = (self.closed_for.get(), self.requests.get());
        self.local
            .record(|recorder| recorder.connection_closed(self.listener, reason, requests));
        self.local.forget(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the future that `make` gives would take, without making one.
    fn future_bytes<A, B, C, D, F>(_: impl Fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_waiting_connection_is_small() {
        let waiting = future_bytes(serve);
        let state = size_of::<Connection>();
        assert!(waiting <= 176, "the future takes {waiting} bytes");
        assert!(state <= 168, "the state takes {state} bytes");
    }

    #[test]
    fn a_busy_connection_is_bounded() {
        fn future_bytes<A, F>(_: fn(A) -> F) -> usize {
            size_of::<F>()
        }
        let busy = future_bytes(busy);
        assert!(busy <= 6 * 1024, "the future takes {busy} bytes");
    }
}
