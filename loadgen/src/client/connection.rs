//! One HTTP/1.1 connection of the generator: take the next request, wait until it is due, send,
//! read, note. It is opened again as often as needed. The hot path allocates nothing and reads the
//! clock once per request (closed loop) or twice (open).

use std::rc::Rc;
use std::time::Duration;

use engine::io::clock;
use engine::io::{self, Elapsed, Stream, Timer};

use super::load::{Load, Pending, Plan};
use crate::http1::Progress;
use crate::http1::response::ResponseParser;
use crate::sample::{Failure, Times};
use crate::traffic::Exchange;

/// How long a closed loop pauses after a connection could not be opened, doubled up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(640));

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
    let answer = ResponseParser::new(load.plan.traffic.hashes());
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
    while let Some(ticket) = load.take(free) {
        let due = ticket.due;
        load.set_pending(index, Some(Pending { ticket, sent: None }));
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
                ticket,
                sent: Some(sent),
            }),
        );
        timer.arm(sent + load.plan.timeout);
        let result = timer
            .guard(connection.exchange(&load.exchange(&ticket)))
            .await
            .unwrap_or(Err(Failure::Timeout));
        let done = clock::now();
        load.set_pending(index, None);
        load.note(&ticket, &times, done, result, &connection.answer.answer());
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
    async fn exchange(&mut self, exchange: &Exchange<'_>) -> Result<(), Failure> {
        let plan = &self.load.plan;
        self.answer.expect(exchange.request.is_head);
        let stream = match self.stream.take() {
            Some(stream) if stream.quiet() => stream,
            Some(stream) => self.reopen(stream).await?,
            None => Stream::connect(&plan.address)
                .await
                .map_err(|_| Failure::Connect)?,
        };
        stream.write(|out| exchange.write_head(out));
        if !exchange.body.is_empty() {
            stream.push(exchange.body.clone());
        }
        self.read(&stream).await?;
        // An answer that overtook its request leaves the connection in the middle of a message.
        if self.answer.keeps_open() && stream.queued() == 0 {
            self.stream = Some(stream);
        }
        exchange.expectation.check(&self.answer.answer())
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
