//! One HTTP/2 connection of the generator, with many requests under way at a time.
//!
//! One task serves all lanes of a connection: it reads what came, notes the answers, and sends what
//! is due, in one batch. The clock is read once for a batch, so requests that leave together have
//! the same instant. A connection that is lost is opened again; one that the peer leaves (GOAWAY)
//! ends its answers while the next is opened already, and requests the peer did not look at go out
//! again there (RFC 9113 §6.8), as do those whose stream it refuses (§8.7).
//!
//! The first request waits for the peer's SETTINGS, so that its limits hold from the first stream
//! on. A request that times out resets its stream; the connection stays.

use std::fmt::{self, Debug, Formatter};
use std::future::{Future, poll_fn};
use std::io::{Error, ErrorKind, Result};
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use engine::io::{Buf, Instant, Timer, clock};

use super::connection::PAUSE;
use super::lanes::{Lanes, Place};
use super::link::Link;
use super::load::Load;
use crate::http2::connection::Event;
use crate::http2::{ErrorCode, Fault};
use crate::sample::Failure;
use crate::transport::dial::Dialer;
use crate::transport::{Protocol, Wire};

/// What the task waits for.
#[derive(Debug)]
enum Wake {
    /// A connection was opened, or not.
    Opened(Result<Wire>),
    /// Something came on the connection of this number, or it ended.
    Received(u64, Result<Option<Buf>>),
    /// A full queue has room again.
    Room,
    /// A request is due, or a pause is over.
    Due,
    /// Some request may have timed out.
    Late,
}

type Opening = Pin<Box<dyn Future<Output = Result<Wire>>>>;

/// The connection and its lanes.
struct Multiplex<'a> {
    load: &'a Load,
    lanes: Lanes<'a>,
    dialer: Rc<Dialer>,
    /// Where requests go.
    current: Option<Link>,
    /// Connections that the peer leaves and that have answers to come.
    leaving: Vec<Link>,
    opening: Option<Opening>,
    /// How many connections there were.
    opened: u64,
    /// May a connection be opened before a request needs it? Not right after that has failed.
    opens_early: bool,
    /// The peer takes no more requests at the moment.
    held: bool,
    /// When it last did so again.
    held_until: Instant,
    /// A closed loop takes no requests until then, because it could not connect.
    paused_until: Option<Instant>,
    pause: std::time::Duration,
    due: Timer,
    late: Timer,
    late_armed: bool,
}

impl Debug for Multiplex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multiplex")
            .field("lanes", &self.lanes)
            .field("current", &self.current)
            .field("opening", &self.opening.is_some())
            .finish_non_exhaustive()
    }
}

/// Sends and reads on one connection until the load has no more requests. `lanes` are its numbers
/// among the lanes of the shard, `wire` is the connection opened before the start, if it could be.
pub(crate) async fn run(load: Rc<Load>, lanes: Range<usize>, dialer: Dialer, wire: Option<Wire>) {
    let mut now = match load.plan.schedule {
        Some(_) => clock::now(),
        None => load.wait(load.start).await,
    };
    let mut multiplex = Multiplex {
        load: &load,
        lanes: Lanes::new(&load, lanes.start, lanes.len(), now),
        current: wire.map(|wire| Link::new(0, wire, dialer.quota())),
        dialer: Rc::new(dialer),
        leaving: Vec::new(),
        opening: None,
        opened: 0,
        opens_early: true,
        held: false,
        held_until: now,
        paused_until: None,
        pause: PAUSE.0,
        due: Timer::new(),
        late: Timer::new(),
        late_armed: false,
    };
    loop {
        multiplex.advance(now);
        if multiplex.lanes.are_done() {
            break;
        }
        let wake = multiplex.wait().await;
        now = clock::now();
        multiplex.woken(wake, now);
    }
    let links = multiplex.current.into_iter().chain(multiplex.leaving);
    links.for_each(|link| link.part(None));
}

impl Multiplex<'_> {
    /// Sends whatever can be sent now, and sets the timers.
    fn advance(&mut self, now: Instant) {
        self.end_pause(now);
        if self.paused_until.is_none() && !self.awaits_turn() {
            self.lanes.take();
        }
        self.send_due(now);
        let lanes = &self.lanes;
        for link in self.current.iter_mut().chain(&mut self.leaving) {
            link.pump(|at| lanes.exchange(at));
            link.flush();
            link.seal();
        }
        let next = self.paused_until.or_else(|| self.lanes.next_due());
        match next.filter(|&next| next > now) {
            Some(next) => self.due.arm_exact(early(next, self.load.plan.spin)),
            None => self.due.disarm(),
        }
    }

    /// Sends the requests that are due as far as the peer takes them.
    fn send_due(&mut self, now: Instant) {
        self.retire();
        let Some(link) = self
            .current
            .as_mut()
            .filter(|link| link.connection.is_greeted())
        else {
            self.await_connection(now);
            return;
        };
        if std::mem::take(&mut self.held) {
            self.held_until = now;
        }
        let mut sends = false;
        while let Some(at) = self.lanes.due(now) {
            if link.left == 0 {
                break;
            }
            if !link.connection.may_open() {
                self.held = true;
                break;
            }
            let Some(exchange) = self.lanes.exchange(at) else {
                break;
            };
            let key = link.open(&exchange, at);
            self.lanes.send(link.number, key, now, self.held_until);
            sends = true;
        }
        let is_used_up = link.left == 0;
        if sends {
            self.guard(now);
        }
        if is_used_up {
            self.retire();
            self.await_connection(now);
        }
    }

    /// A connection that gets no more requests makes room for the next, and ends with the last
    /// answer that it owes.
    fn retire(&mut self) {
        let is_over = |link: &mut Link| link.left == 0 || link.connection.is_leaving();
        if let Some(link) = self.current.take_if(is_over) {
            self.leaving.push(link);
            self.opens_early = true;
        }
        let owes_nothing = |link: &mut Link| link.connection.open_count() == 0;
        for link in self.leaving.extract_if(.., owes_nothing) {
            link.part(None);
        }
    }

    /// In a closed loop nothing is due before a connection may be opened for it.
    fn awaits_turn(&self) -> bool {
        let is_closed_loop = self.load.plan.schedule.is_none();
        is_closed_loop && self.current.is_none() && self.dialer.is_paced()
    }

    /// There is no connection to send on: opens one, if that is not under way.
    fn await_connection(&mut self, now: Instant) {
        let is_needed = self.lanes.mark_due(now);
        if is_needed {
            self.guard(now);
        }
        let is_wanted = self.lanes.has_queue() || (self.awaits_turn() && !self.lanes.are_done());
        let may_open = is_needed || (self.opens_early && is_wanted);
        if self.current.is_none() && self.opening.is_none() && may_open {
            let dialer = Rc::clone(&self.dialer);
            self.opening = Some(Box::pin(async move { dialer.open().await }));
        }
    }

    /// Sees to it that requests sent at `now` can time out. All have the same limit, so the first
    /// deadline is enough.
    fn guard(&mut self, now: Instant) {
        if !self.late_armed {
            self.late.arm(now + self.load.plan.timeout);
            self.late_armed = true;
        }
    }

    fn end_pause(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|end| end <= now) {
            self.paused_until = None;
            self.lanes.resume(now);
        }
    }

    /// Until something is to be done. The last stretch before a due time is polled, if so wished.
    async fn wait(&mut self) -> Wake {
        let next = self
            .lanes
            .next_due()
            .filter(|_| !self.load.plan.spin.is_zero());
        poll_fn(|cx| match self.poll_wake(cx) {
            Poll::Ready(Wake::Due) if next.is_some_and(|next| clock::now() < next) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            wake => wake,
        })
        .await
    }

    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        for link in self.current.iter_mut().chain(&mut self.leaving) {
            if let Poll::Ready(received) = link.poll(cx) {
                let wake = received.map(|received| Wake::Received(link.number, received));
                return Poll::Ready(wake.unwrap_or(Wake::Room));
            }
        }
        if let Some(opening) = &mut self.opening
            && let Poll::Ready(opened) = opening.as_mut().poll(cx)
        {
            self.opening = None;
            return Poll::Ready(Wake::Opened(opened));
        }
        if self.due.poll_elapsed(cx).is_ready() {
            return Poll::Ready(Wake::Due);
        }
        self.late.poll_elapsed(cx).map(|()| Wake::Late)
    }

    fn woken(&mut self, wake: Wake, now: Instant) {
        match wake {
            Wake::Opened(opened) => match opened.and_then(speaks_http2) {
                Ok(wire) => {
                    if self.awaits_turn() {
                        self.lanes.resume(now);
                    }
                    self.opened += 1;
                    let quota = self.dialer.quota();
                    self.current = Some(Link::new(self.opened, wire, quota));
                }
                Err(error) => self.not_opened(now, &error),
            },
            Wake::Received(number, Ok(Some(run))) => self.received(number, &run, now),
            Wake::Received(number, Ok(None)) => self.lost(number, now, Failure::Closed, None),
            Wake::Received(number, Err(error)) => {
                // An end without TLS's notice is one without the answers all the same.
                let failure = match error.kind() {
                    ErrorKind::UnexpectedEof => Failure::Closed,
                    _ => self.dialer.failure(&error, Failure::Reset),
                };
                self.lost(number, now, failure, None);
            }
            Wake::Late => self.time_out(now),
            Wake::Room | Wake::Due => {}
        }
    }

    fn received(&mut self, number: u64, run: &[u8], now: Instant) {
        let mut links = self.current.iter_mut().chain(&mut self.leaving);
        let Some(link) = links.find(|link| link.number == number) else {
            return;
        };
        let was_greeted = link.connection.is_greeted();
        match read(link, &mut self.lanes, run, now) {
            Ok(()) if !was_greeted && link.connection.is_greeted() => self.pause = PAUSE.0,
            Ok(()) => {}
            Err(fault) => self.lost(number, now, Failure::Malformed, Some(&fault)),
        }
    }

    /// No connection could be opened.
    fn not_opened(&mut self, now: Instant, error: &Error) {
        let failure = self.dialer.failure(error, Failure::Connect);
        self.lanes.fail_waiting(now, failure);
        self.opens_early = false;
        if self.load.plan.schedule.is_none() {
            self.paused_until = Some(now + self.pause);
            self.pause = PAUSE.1.min(self.pause * 2);
        }
    }

    /// A connection is over, and with it all requests on it.
    fn lost(&mut self, number: u64, now: Instant, failure: Failure, fault: Option<&Fault>) {
        let Some(mut link) = self.take_link(number) else {
            return;
        };
        if !link.connection.is_greeted() {
            self.lanes.fail_waiting(now, failure);
        }
        for at in link.connection.drop_above(0) {
            self.lanes.failed(at, now, failure);
        }
        if fault.is_some() {
            link.part(fault);
        }
        self.opens_early = true;
    }

    fn take_link(&mut self, number: u64) -> Option<Link> {
        if self
            .current
            .as_ref()
            .is_some_and(|link| link.number == number)
        {
            return self.current.take();
        }
        let at = self.leaving.iter().position(|link| link.number == number)?;
        Some(self.leaving.swap_remove(at))
    }

    fn time_out(&mut self, now: Instant) {
        let (late, next) = self.lanes.overdue(now, self.load.plan.timeout);
        for (at, place) in late {
            match place {
                Place::Stream { link: number, key } => {
                    let mut links = self.current.iter_mut().chain(&mut self.leaving);
                    if let Some(link) = links.find(|link| link.number == number) {
                        link.cancel(key);
                    }
                }
                // It waited for a connection, which is given up as well.
                Place::Waiting => {
                    self.opening = None;
                    self.current.take_if(|link| !link.connection.is_greeted());
                }
            }
            self.lanes.failed(at, now, Failure::Timeout);
        }
        self.late_armed = next.is_some();
        match next {
            Some(next) => self.late.arm(next),
            None => self.late.disarm(),
        }
    }
}

/// What a run of received bytes means for the lanes.
fn read(
    link: &mut Link,
    lanes: &mut Lanes<'_>,
    mut run: &[u8],
    now: Instant,
) -> std::result::Result<(), Fault> {
    loop {
        let before = run.len();
        let Some(event) = link.connection.next(&mut link.frames, &mut run)? else {
            return Ok(());
        };
        let (key, ended) = match event {
            Event::Answer { key, ended, .. } | Event::Content { key, ended, .. } => (key, ended),
            Event::Trailers { key } => (key, true),
            Event::Reset { key, .. } | Event::Malformed { key, .. } => (key, false),
            Event::Leaving { last } => {
                for at in link.connection.drop_above(last) {
                    lanes.requeue(at);
                }
                continue;
            }
            // Never an event of a client.
            Event::Request { .. } => continue,
        };
        let Some(&mut at) = link.connection.owned(key) else {
            continue;
        };
        let reader = lanes.reader(at);
        reader.received(before - run.len());
        let failure = match event {
            Event::Answer { status, .. } => {
                reader.head(status, link.connection.fields());
                None
            }
            Event::Content { bytes, .. } => {
                reader.content(bytes);
                None
            }
            Event::Trailers { .. } => {
                reader.trailers(link.connection.fields());
                None
            }
            Event::Reset { .. } => Some(Failure::Reset),
            Event::Malformed { .. } => Some(Failure::Malformed),
            Event::Request { .. } | Event::Leaving { .. } => None,
        };
        let is_refused =
            matches!(event, Event::Reset { code, .. } if code == ErrorCode::RefusedStream as u32);
        if ended || failure.is_some() {
            // An answer may overtake the content of its request, which is then not wanted.
            link.connection.finish(key, ErrorCode::Cancel);
        }
        match failure {
            Some(_) if is_refused => lanes.refused(at, now),
            Some(failure) => lanes.failed(at, now, failure),
            None if ended => lanes.answered(at, now),
            None => {}
        }
    }
}

/// A connection through TLS must have agreed on HTTP/2.
pub(crate) fn speaks_http2(wire: Wire) -> Result<Wire> {
    let agreed = wire.handshake().is_none() || wire.protocol() == Some(Protocol::Http2);
    agreed
        .then_some(wire)
        .ok_or_else(|| Error::other("the peer does not speak HTTP/2 (ALPN)"))
}

/// `spin` before `at`.
fn early(at: Instant, spin: std::time::Duration) -> Instant {
    let spin = u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX);
    Instant::from_nanos(at.nanos().saturating_sub(spin))
}
