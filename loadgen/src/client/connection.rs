//! One HTTP/1.1 connection of the generator: take the next request, wait until it is due, send,
//! read, note. It is opened again as often as needed. The hot path allocates nothing and reads the
//! clock once per request (closed loop) or twice (open).

use std::io::{Error, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

use engine::io::clock;
use engine::io::{self, Timer};

use super::load::{Load, Pending};
use crate::http1::Progress;
use crate::http1::response::ResponseParser;
use crate::sample::{Failure, Times};
use crate::traffic::Exchange;
use crate::transport::dial::Dialer;
use crate::transport::{Wire, is_tls};

/// How long a closed loop pauses after a connection could not be opened, doubled up to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(640));

/// One connection, which is opened again as often as needed.
#[derive(Debug)]
struct Connection<'a> {
    dialer: &'a Dialer,
    wire: Option<Wire>,
    answer: ResponseParser,
}

/// Sends and reads on one connection until the load has no more requests. `wire` is the connection
/// opened before the start, if it could be.
pub(crate) async fn run(load: Rc<Load>, index: usize, dialer: Dialer, wire: Option<Wire>) {
    let answer = ResponseParser::new(load.plan.traffic.hashes());
    let mut connection = Connection {
        dialer: &dialer,
        wire,
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
        if due > free && connection.wire.is_none() {
            // There is time: open the connection now, and let a failure count only if it lasts.
            connection.wire = dialer.open_within(load.plan.timeout).await.ok();
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
        if matches!(result, Err(Failure::Connect | Failure::Tls)) && load.plan.schedule.is_none() {
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
        self.answer.expect(exchange.request.is_head);
        let wire = match self.wire.take() {
            Some(wire) if wire.quiet() => wire,
            Some(wire) => self.reopen(wire).await?,
            None => self.open().await?,
        };
        wire.write(|out| exchange.write_head(out));
        if !exchange.body.is_empty() {
            wire.push(exchange.body.clone());
        }
        self.read(&wire).await?;
        // An answer that overtook its request leaves the connection in the middle of a message.
        if self.answer.keeps_open() && wire.queued() == 0 {
            self.wire = Some(wire);
        }
        exchange.expectation.check(&self.answer.answer())
    }

    async fn open(&self) -> Result<Wire, Failure> {
        let opened = self.dialer.open().await;
        opened.map_err(|error| cause(&error, Failure::Connect))
    }

    /// Replaces a connection that the peer has closed since its last answer; bytes that nobody
    /// asked for are an error of the peer.
    async fn reopen(&self, stale: Wire) -> Result<Wire, Failure> {
        match stale.recv().await {
            Ok(Some(_)) => Err(Failure::Malformed),
            Ok(None) | Err(_) => self.open().await,
        }
    }

    async fn read(&mut self, wire: &Wire) -> Result<(), Failure> {
        loop {
            let run = match wire.recv().await {
                Ok(Some(run)) => run,
                Ok(None) => return self.answer.finish().map_err(|_| Failure::Closed),
                // An end without TLS's notice may have cut the answer off.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(Failure::Closed);
                }
                Err(error) => return Err(cause(&error, Failure::Reset)),
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

/// A failure of TLS is one of its own, whenever it comes.
fn cause(error: &Error, otherwise: Failure) -> Failure {
    if is_tls(error) {
        Failure::Tls
    } else {
        otherwise
    }
}
