//! One HTTP/1.1 connection of the generator with several requests under way (pipelining, RFC 9112
//! §9.3.2).
//!
//! ```text
//!   idle slot ── take ──> waiting ── send, when due ──> under way ── answered, failed ──> idle
//!                            ^──────── the peer left before it ────────┘
//! ```
//!
//! Answers come in the order of the requests; each request is timed from its own due and sent
//! instants. An answer that ends the connection says that the peer has not looked at the requests
//! behind it (RFC 9112 §9.6): they go out again on the next connection, with their own times. A
//! connection that ends in the middle of an answer in any other way takes all its requests with
//! it, and each fails as the first does.
//!
//! The clock is read once for what is sent together. One request is taken ahead of its due time.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{ErrorKind, Result};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use engine::io::{self, Buf, Elapsed, Instant, Timer, clock};

use super::connection::PAUSE;
use super::load::{Load, Pending, Ticket};
use crate::expect::Answer;
use crate::http1::Progress;
use crate::http1::response::ResponseParser;
use crate::sample::{Failure, Times};
use crate::traffic::request;
use crate::transport::Wire;
use crate::transport::dial::{self, Dialer};

/// A request that holds a slot.
#[derive(Clone, Copy, Debug)]
struct Held {
    slot: usize,
    ticket: Ticket,
    /// Since when nothing but the schedule holds it back.
    free: Instant,
    sent: Option<Instant>,
}

/// What the task waits for.
#[derive(Debug)]
enum Wake {
    Received(Result<Option<Buf>>),
    /// The next request is due, or nearly so.
    Due,
    /// The oldest request has had its time.
    Late,
}

/// The connection and its requests.
struct Pipeline<'a> {
    load: &'a Load,
    dialer: &'a Dialer,
    answer: ResponseParser,
    wire: Option<Wire>,
    /// Requests that the open connection still gets.
    left: u64,
    /// Slots without a request, and since when.
    idle: VecDeque<(Instant, usize)>,
    /// Requests to be sent, the next one first.
    waiting: VecDeque<Held>,
    /// Requests sent, the oldest first.
    under_way: VecDeque<Held>,
    /// Bytes came that nobody had asked for; the next request is to blame them.
    spoilt: bool,
    /// The schedule has no more requests.
    exhausted: bool,
    pause: Duration,
    due: Timer,
    late: Timer,
}

/// Sends and reads on one connection until the load has no more requests. `lanes` are its slots'
/// numbers, `wire` is the connection opened before the start, if it could be.
pub(crate) async fn run(
    load: Rc<Load>,
    lanes: std::ops::Range<usize>,
    dialer: Dialer,
    wire: Option<Wire>,
) {
    let free = match load.plan.schedule {
        Some(_) => clock::now(),
        None => load.wait(load.start).await,
    };
    let mut pipeline = Pipeline {
        left: dialer.quota(),
        load: &load,
        dialer: &dialer,
        answer: ResponseParser::new(load.plan.traffic.hashes()),
        wire,
        waiting: VecDeque::with_capacity(lanes.len() + 1),
        under_way: VecDeque::with_capacity(lanes.len()),
        idle: lanes.map(|slot| (free, slot)).collect(),
        spoilt: false,
        exhausted: false,
        pause: PAUSE.0,
        due: Timer::new(),
        late: Timer::new(),
    };
    loop {
        if pipeline.wire.is_none() {
            pipeline.await_turn().await;
        }
        pipeline.take();
        if pipeline.waiting.is_empty() && pipeline.under_way.is_empty() {
            return;
        }
        if pipeline.wire.is_none() {
            pipeline.reopen().await;
            continue;
        }
        pipeline.send_due(clock::now());
        let wake = pipeline.wait().await;
        pipeline.woken(wake, clock::now()).await;
    }
}

impl Pipeline<'_> {
    const fn is_open_loop(&self) -> bool {
        self.load.plan.schedule.is_some()
    }

    /// Waits until a connection may be opened. In a closed loop nothing is due before.
    async fn await_turn(&mut self) {
        let is_wanted = !self.waiting.is_empty() || !self.is_open_loop();
        if is_wanted && self.dialer.turn().await {
            let now = clock::now();
            let idle = self.idle.iter_mut().map(|(free, _)| free);
            let waiting = self.waiting.iter_mut().map(|held| &mut held.free);
            idle.chain(waiting).for_each(|free| *free = now);
        }
    }

    /// The next request of the schedule gets a slot, unless one waits already.
    fn take(&mut self) {
        if self.exhausted || !self.waiting.is_empty() {
            return;
        }
        let Some(&(free, slot)) = self.idle.front() else {
            return;
        };
        let Some(ticket) = self.load.take(free) else {
            self.exhausted = true;
            return;
        };
        self.idle.pop_front();
        let sent = None;
        self.load.set_pending(slot, Some(Pending { ticket, sent }));
        self.waiting.push_back(Held {
            slot,
            ticket,
            free,
            sent,
        });
    }

    /// Opens the connection for the request that waits: before it is due if there is time, and
    /// then a failure counts only if it lasts.
    async fn reopen(&mut self) {
        let Some(next) = self.waiting.front().copied() else {
            return;
        };
        if std::mem::take(&mut self.spoilt) {
            let sent = self.load.wait(next.ticket.due).await;
            self.mark_sent(sent);
            return self.fail_next(Failure::Malformed);
        }
        let (now, timeout) = (clock::now(), self.load.plan.timeout);
        if next.sent.is_none() && next.ticket.due > now {
            match self.dialer.open_within(timeout).await {
                Ok(wire) => self.opened(wire),
                Err(_) => drop(self.load.wait(next.ticket.due).await),
            }
            if let Some(next) = self.waiting.front_mut() {
                next.free = clock::now();
            }
            return;
        }
        let sent = self.mark_sent(now);
        self.late.arm(sent + timeout);
        let failure = match self.late.guard(self.dialer.open()).await {
            Ok(Ok(wire)) => return self.opened(wire),
            Ok(Err(error)) => self.dialer.failure(&error, Failure::Connect),
            Err(Elapsed) => Failure::Timeout,
        };
        self.fail_next(failure);
        if matches!(failure, Failure::Connect | Failure::Tls) && !self.is_open_loop() {
            io::sleep(self.pause).await;
            self.pause = PAUSE.1.min(self.pause * 2);
            let now = clock::now();
            self.idle.iter_mut().for_each(|(free, _)| *free = now);
        }
    }

    /// The request that waits has failed before it could be sent.
    fn fail_next(&mut self, failure: Failure) {
        if let Some(next) = self.waiting.pop_front() {
            self.complete(next, clock::now(), Err(failure), &Answer::default());
        }
    }

    fn opened(&mut self, wire: Wire) {
        (self.wire, self.left) = (Some(wire), self.dialer.quota());
        self.pause = PAUSE.0;
    }

    /// The request that waits counts as sent from `now` on, unless it did before; gives since when.
    fn mark_sent(&mut self, now: Instant) -> Instant {
        let Some(next) = self.waiting.front_mut() else {
            return now;
        };
        let sent = *next.sent.get_or_insert(now);
        let (ticket, sent_at) = (next.ticket, next.sent);
        let pending = Pending {
            ticket,
            sent: sent_at,
        };
        self.load.set_pending(next.slot, Some(pending));
        sent
    }

    /// Sends what is due, as far as there are slots.
    fn send_due(&mut self, now: Instant) {
        let load = self.load;
        // What has come, on a connection where nothing is under way, has to be looked at first.
        let is_ready = |wire: &&Wire| !self.under_way.is_empty() || wire.quiet();
        if self.wire.as_ref().filter(is_ready).is_none() {
            return;
        }
        while self.left > 0
            && let Some(next) = self.waiting.front()
            && (next.sent.is_some() || next.ticket.due <= now)
        {
            let exchange = load.exchange(&next.ticket);
            self.mark_sent(now);
            self.left -= 1;
            let announces = self.left == 0 && self.dialer.announces();
            if let Some(wire) = &self.wire {
                wire.write(|out| {
                    exchange.write_head(out);
                    if announces {
                        request::announce_close(out);
                    }
                });
                wire.push(exchange.body);
            }
            if self.under_way.is_empty() {
                self.answer.expect(exchange.request.is_head);
            }
            self.under_way.extend(self.waiting.pop_front());
            self.take();
        }
    }

    /// Waits until something is to be done. What was written leaves first.
    async fn wait(&self) -> Wake {
        let Some(wire) = &self.wire else {
            return Wake::Received(Ok(None));
        };
        let next = self.waiting.front().filter(|_| self.left > 0);
        match next.filter(|next| next.sent.is_none()) {
            Some(next) => self
                .due
                .arm_exact(early(next.ticket.due, self.load.plan.spin)),
            None => self.due.disarm(),
        }
        match self.under_way.front().and_then(|oldest| oldest.sent) {
            Some(sent) => self.late.arm(sent + self.load.plan.timeout),
            None => self.late.disarm(),
        }
        poll_fn(|cx| {
            if let Poll::Ready(received) = wire.poll_recv(cx) {
                return Poll::Ready(Wake::Received(received));
            }
            if self.due.poll_elapsed(cx).is_ready() {
                return Poll::Ready(Wake::Due);
            }
            self.late.poll_elapsed(cx).map(|()| Wake::Late)
        })
        .await
    }

    async fn woken(&mut self, wake: Wake, now: Instant) {
        match wake {
            Wake::Received(Ok(Some(run))) => self.read(&run, now),
            Wake::Received(Ok(None)) => self.ended(now),
            Wake::Received(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                self.fail(now, Failure::Closed);
            }
            Wake::Received(Err(error)) => {
                let failure = self.dialer.failure(&error, Failure::Reset);
                self.fail(now, failure);
            }
            Wake::Late => self.fail(now, Failure::Timeout),
            // Polling, for the last stretch: the others have their turn in every round.
            Wake::Due if !self.load.plan.spin.is_zero() => io::yield_now().await,
            Wake::Due => {}
        }
    }

    /// Reads what came: the end of one answer, whole ones, the beginning of another.
    fn read(&mut self, mut run: &[u8], now: Instant) {
        while !run.is_empty() {
            if self.under_way.is_empty() {
                (self.wire, self.spoilt) = (None, true);
                return;
            }
            match self.answer.feed(run) {
                Ok(Progress::Partial) => return,
                Ok(Progress::Complete { used }) => {
                    run = &run[used..];
                    self.answered(now, run.is_empty());
                    if self.wire.is_none() {
                        return;
                    }
                }
                Err(_) => return self.fail(now, Failure::Malformed),
            }
        }
    }

    /// The oldest request is answered; `is_last` when nothing came behind the answer.
    fn answered(&mut self, now: Instant, is_last: bool) {
        let Some(oldest) = self.under_way.pop_front() else {
            return;
        };
        let (answer, is_ending) = (self.answer.answer(), !self.answer.keeps_open());
        let overtook =
            self.under_way.is_empty() && self.wire.as_ref().is_some_and(|wire| wire.queued() > 0);
        let result = if is_last || !self.under_way.is_empty() {
            self.load
                .exchange(&oldest.ticket)
                .expectation
                .check(&answer)
        } else {
            Err(Failure::Malformed)
        };
        self.complete(oldest, now, result, &answer);
        let has_had_all = self.left == 0 && self.under_way.is_empty();
        if overtook || result == Err(Failure::Malformed) {
            self.wire = None;
        } else if is_ending || (has_had_all && self.dialer.announces()) {
            self.leave();
        } else if has_had_all {
            self.wire = None;
        } else if let Some(next) = self.under_way.front() {
            let exchange = self.load.exchange(&next.ticket);
            self.answer.expect(exchange.request.is_head);
        }
    }

    /// The peer closes the connection now, and has not looked at what is still under way.
    fn leave(&mut self) {
        if let Some(wire) = self.wire.take() {
            dial::part(wire);
        }
        while let Some(youngest) = self.under_way.pop_back() {
            self.waiting.push_front(youngest);
        }
    }

    /// The peer has closed its side.
    fn ended(&mut self, now: Instant) {
        if !self.under_way.is_empty() && self.answer.finish().is_ok() {
            // An answer that lasts until the close.
            self.answered(now, true);
        }
        self.fail(now, Failure::Closed);
    }

    /// The connection is over, and with it all that is under way.
    fn fail(&mut self, now: Instant, failure: Failure) {
        self.wire = None;
        let mut answer = self.answer.answer();
        while let Some(oldest) = self.under_way.pop_front() {
            self.complete(oldest, now, Err(failure), &answer);
            // Nothing came for those behind it.
            answer = Answer::default();
        }
    }

    /// A request is accounted for; its slot is free.
    fn complete(
        &mut self,
        held: Held,
        done: Instant,
        result: std::result::Result<(), Failure>,
        answer: &Answer,
    ) {
        let times = Times {
            due: held.ticket.due,
            free: held.free,
            sent: held.sent.unwrap_or(done),
        };
        self.load.set_pending(held.slot, None);
        self.load.note(&held.ticket, &times, done, result, answer);
        self.idle.push_back((done, held.slot));
    }
}

/// When to begin to poll for `due`.
fn early(due: Instant, spin: Duration) -> Instant {
    let spin = u64::try_from(spin.as_nanos()).unwrap_or(u64::MAX);
    Instant::from_nanos(due.nanos().saturating_sub(spin))
}
