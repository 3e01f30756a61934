//! One connection of the generator: take the next request, wait until it is due, send, read, note.
//!
//! The connections of a shard share a [`Load`]. In an open loop a connection that is free takes
//! the next number of the shard's schedule and sleeps until that request is due; requests are
//! taken in order, so when all connections are busy the oldest due request goes to the first that
//! becomes free, exactly as from one queue, and its wait counts because it is timed from its due
//! time. Nothing hands requests out; one timer wakes the very task that sends.
//!
//! In a closed loop a request is due when its connection is free. The hot path allocates nothing
//! and reads the clock once per request (closed) or twice (open).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use engine::io::clock;
use engine::io::{self, Address, Buf, Elapsed, Instant, Stream, Timer};

use crate::expect::Expectation;
use crate::http1::Progress;
use crate::http1::response::ResponseParser;
use crate::sample::{Failure, Samples, Times};
use crate::schedule::Schedule;
use crate::target::Request;

/// How long a closed loop pauses after a connection could not be opened, doubled up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(640));

/// What is sent, to whom, at what pace; the same for all shards.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where connections go.
    pub address: Address,
    /// What is sent.
    pub request: Request,
    /// What must come back.
    pub expectation: Expectation,
    /// When requests are due; `None` for a closed loop.
    pub schedule: Option<Schedule>,
    /// How long one request may take once it is sent.
    pub timeout: Duration,
    /// How long before a due time the wait turns from sleeping into polling.
    pub spin: Duration,
}

/// A request that has been taken and not finished.
#[derive(Clone, Copy, Debug)]
struct Pending {
    due: Instant,
    sent: Option<Instant>,
}

/// What the connections of one shard share.
#[derive(Debug)]
pub(crate) struct Load {
    plan: Plan,
    /// The request's content, pushed without copying.
    body: Buf,
    shard: u64,
    start: Instant,
    /// Requests due before this are warm-up: sent, not recorded.
    measured_from: Instant,
    /// Requests due at or after this are not sent.
    until: Cell<Instant>,
    /// Number of the next request of the schedule that no connection has taken.
    next: Cell<u64>,
    /// By connection.
    pending: RefCell<Vec<Option<Pending>>>,
    samples: RefCell<Box<Samples>>,
}

impl Load {
    /// The load of shard `shard`, to run from `start` until `until`.
    pub(crate) fn new(
        plan: Plan,
        shard: u64,
        connection_count: usize,
        start: Instant,
        [measured_from, until]: [Instant; 2],
        samples: Box<Samples>,
    ) -> Rc<Self> {
        Rc::new(Self {
            body: Buf::from_vec(plan.request.body.clone()),
            plan,
            shard,
            start,
            measured_from,
            until: Cell::new(until),
            next: Cell::new(0),
            pending: RefCell::new(vec![None; connection_count]),
            samples: RefCell::new(samples),
        })
    }

    /// When the last request may be due.
    pub(crate) fn until(&self) -> Instant {
        self.until.get()
    }

    /// Ends the run now: what is due later is not sent.
    pub(crate) fn end(&self, now: Instant) {
        self.until.set(self.until.get().min(now));
    }

    /// Takes what was recorded and records into `spare` from here on.
    pub(crate) fn swap(&self, spare: Box<Samples>) -> Box<Samples> {
        self.samples.replace(spare)
    }

    /// Counts every request that was due and has no answer, sent or not, at its age at `now`.
    pub(crate) fn settle(&self, now: Instant) {
        let mut samples = self.samples.borrow_mut();
        for pending in self
            .pending
            .borrow_mut()
            .iter_mut()
            .filter_map(Option::take)
        {
            if self.is_measured(pending.due) {
                samples.unanswered(pending.due, pending.sent, now);
            }
        }
        // What a closed loop has not sent was never due.
        while self.plan.schedule.is_some()
            && let Some(due) = self.take(now)
        {
            if self.is_measured(due) {
                samples.unanswered(due, None, now);
            }
        }
    }

    /// The next request to send from a connection that became free at `free`: when it is due.
    fn take(&self, free: Instant) -> Option<Instant> {
        let due = match &self.plan.schedule {
            Some(schedule) => self.start + schedule.due(self.shard, self.next.get()),
            None => free,
        };
        if due >= self.until.get() {
            return None;
        }
        self.next.set(self.next.get() + 1);
        Some(due)
    }

    fn is_measured(&self, due: Instant) -> bool {
        self.measured_from <= due && due < self.until.get()
    }

    /// Sleeps until `due`, the last stretch polling if the plan says so; returns the time then.
    /// Polling yields in every round, so other connections' answers are still read.
    async fn wait(&self, due: Instant) -> Instant {
        let spin = u64::try_from(self.plan.spin.as_nanos()).unwrap_or(u64::MAX);
        io::sleep_until(Instant::from_nanos(due.nanos().saturating_sub(spin))).await;
        loop {
            let now = clock::now();
            if now >= due {
                return now;
            }
            if spin > 0 {
                io::yield_now().await;
            } else {
                io::sleep_until(due).await;
            }
        }
    }

    fn set_pending(&self, connection: usize, pending: Option<Pending>) {
        if let Some(slot) = self.pending.borrow_mut().get_mut(connection) {
            *slot = pending;
        }
    }

    fn note(
        &self,
        times: &Times,
        done: Instant,
        result: Result<(), Failure>,
        parser: &ResponseParser,
    ) {
        if !self.is_measured(times.due) {
            return;
        }
        let mut samples = self.samples.borrow_mut();
        samples.counts.received_bytes += parser.received_bytes();
        match result {
            Ok(()) => samples.answered(times, done, parser.status()),
            Err(failure @ (Failure::Status | Failure::Length | Failure::Hash)) => {
                samples.wrong(times, failure, parser.status());
            }
            Err(failure) => samples.broken(times, failure, done),
        }
    }
}

/// Opens a connection, within the plan's timeout.
///
/// *Errors:* as `connect(2)`, or `TimedOut`.
pub(crate) async fn connect(plan: &Plan) -> std::io::Result<Stream> {
    let timer = Timer::new();
    timer.arm(clock::now() + plan.timeout);
    let connected = timer.guard(Stream::connect(&plan.address)).await;
    connected.unwrap_or_else(|Elapsed| Err(std::io::ErrorKind::TimedOut.into()))
}

/// One connection, which is opened again as often as needed.
#[derive(Debug)]
struct Connection<'a> {
    load: &'a Load,
    stream: Option<Stream>,
    answer: ResponseParser,
}

/// Sends and reads on one connection until the load has no more requests. `stream` is a connection
/// opened before the start, if there is one.
pub(crate) async fn run(load: Rc<Load>, index: usize, stream: Option<Stream>) {
    let answer = ResponseParser::new(load.plan.expectation.hash.is_some());
    let mut connection = Connection {
        load: &load,
        stream,
        answer,
    };
    let (timer, mut pause) = (Timer::new(), PAUSE.0);
    let mut free = match load.plan.schedule {
        Some(_) => clock::now(),
        None => load.wait(load.start).await,
    };
    while let Some(due) = load.take(free) {
        load.set_pending(index, Some(Pending { due, sent: None }));
        if due > free && connection.stream.is_none() {
            // There is time: open the connection now, and let a failure count only if it lasts.
            connection.stream = connect(&load.plan).await.ok();
            free = clock::now();
        }
        let sent = if due > free {
            load.wait(due).await
        } else {
            free
        };
        let times = Times { due, free, sent };
        load.set_pending(
            index,
            Some(Pending {
                due,
                sent: Some(sent),
            }),
        );
        timer.arm(sent + load.plan.timeout);
        let result = timer
            .guard(connection.exchange())
            .await
            .unwrap_or(Err(Failure::Timeout));
        let done = clock::now();
        load.set_pending(index, None);
        load.note(&times, done, result, &connection.answer);
        free = done;
        if result == Err(Failure::Connect) && load.plan.schedule.is_none() {
            io::sleep(pause).await;
            pause = PAUSE.1.min(pause * 2);
            free = clock::now();
        } else {
            pause = PAUSE.0;
        }
    }
}

impl Connection<'_> {
    /// One request and its answer, on an open connection if there is one.
    async fn exchange(&mut self) -> Result<(), Failure> {
        let plan = &self.load.plan;
        self.answer.expect(plan.request.is_head);
        let stream = match self.stream.take() {
            Some(stream) if stream.quiet() => stream,
            Some(stream) => self.reopen(stream).await?,
            None => Stream::connect(&plan.address)
                .await
                .map_err(|_| Failure::Connect)?,
        };
        stream.write(|out| out.extend_from_slice(&plan.request.head));
        if !self.load.body.is_empty() {
            stream.push(self.load.body.clone());
        }
        self.read(&stream).await?;
        // An answer that overtook its request leaves the connection in the middle of a message.
        if self.answer.keeps_open() && stream.queued() == 0 {
            self.stream = Some(stream);
        }
        plan.expectation.check(&self.answer)
    }

    /// Replaces a connection that the peer has closed since its last answer; bytes that nobody
    /// asked for are an error of the peer.
    async fn reopen(&self, stale: Stream) -> Result<Stream, Failure> {
        match stale.recv().await {
            Ok(Some(_)) => Err(Failure::Malformed),
            Ok(None) | Err(_) => Stream::connect(&self.load.plan.address)
                .await
                .map_err(|_| Failure::Connect),
        }
    }

    async fn read(&mut self, stream: &Stream) -> Result<(), Failure> {
        loop {
            let Some(run) = stream.recv().await.map_err(|_| Failure::Reset)? else {
                return self.answer.finish().map_err(|_| Failure::Closed);
            };
            match self.answer.feed(&run) {
                Ok(Progress::Partial) => {}
                Ok(Progress::Complete { used }) if used == run.len() => return Ok(()),
                // Nothing is pipelined, so nothing may follow.
                Ok(Progress::Complete { .. }) | Err(_) => return Err(Failure::Malformed),
            }
        }
    }
}
