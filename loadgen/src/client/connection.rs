//! One HTTP/1.1 connection of the generator: take the next request, wait until it is due, send,
//! read, note. It is opened again as often as needed. The hot path allocates nothing and reads the
//! clock once per request (closed loop) or twice (open).

use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use engine::io::clock;
use engine::io::{self, Instant, Timer};

use super::load::{Load, Pending};
use crate::http1::Progress;
use crate::http1::response::ResponseParser;
use crate::sample::{Failure, Times};
use crate::traffic::{Exchange, request};
use crate::transport::dial::{self, Dialer};
use crate::transport::{Wire, is_tls};

/// How long a closed loop pauses after a connection could not be opened, doubled up to the second.
pub(super) const PAUSE: (Duration, Duration) =
    (Duration::from_millis(5), Duration::from_millis(640));

/// One connection, which is opened again as often as needed.
#[derive(Debug)]
struct Connection<'a> {
    dialer: &'a Dialer,
    wire: Option<Wire>,
    /// Requests that the open connection still gets.
    left: u64,
    answer: ResponseParser,
}

/// Sends and reads on one connection until the load has no more requests. `wire` is the connection
/// opened before the start, if it could be.
pub(crate) async fn run(load: Rc<Load>, index: usize, dialer: Dialer, wire: Option<Wire>) {
    let is_open_loop = load.plan.schedule.is_some();
    let mut connection = Connection {
        dialer: &dialer,
        wire,
        left: dialer.quota(),
        answer: ResponseParser::new(load.plan.traffic.hashes()),
    };
    let (timer, mut pause) = (Timer::new(), PAUSE.0);
    let mut free = match load.plan.schedule {
        Some(_) => clock::now(),
        None => load.wait(load.start).await,
    };
    loop {
        // In a closed loop nothing is due before there may be a connection for it.
        if !is_open_loop && connection.wire.is_none() && dialer.turn().await {
            free = clock::now();
        }
        let Some(ticket) = load.take(free) else { break };
        let due = ticket.due;
        load.set_pending(index, Some(Pending { ticket, sent: None }));
        if connection.wire.is_none() {
            free = connection.prepare(&load, due, free).await;
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
        if matches!(result, Err(Failure::Connect | Failure::Tls)) && !is_open_loop {
            io::sleep(pause).await;
            pause = PAUSE.1.min(pause * 2);
            free = clock::now();
        } else {
            pause = PAUSE.0;
        }
    }
}

impl Connection<'_> {
    /// Makes a connection ready for a request that is due at `due`, as far as there is time, and
    /// waits for the turn to open one; gives since when nothing holds the request back but that.
    async fn prepare(&mut self, load: &Load, due: Instant, mut free: Instant) -> Instant {
        if self.dialer.turn().await {
            free = clock::now();
        }
        if due > free {
            // There is time: open the connection now, and let a failure count only if it lasts.
            if let Ok(wire) = self.dialer.open_within(load.plan.timeout).await {
                (self.wire, self.left) = (Some(wire), self.dialer.quota());
            }
            free = clock::now();
        }
        free
    }

    /// One request and its answer, on an open connection if there is one.
    async fn exchange(&mut self, exchange: &Exchange<'_>) -> Result<(), Failure> {
        self.answer.expect(exchange.request.is_head);
        let wire = match self.wire.take() {
            Some(wire) if wire.quiet() => wire,
            Some(wire) => self.reopen(wire).await?,
            None => self.open().await?,
        };
        self.left = self.left.saturating_sub(1);
        let announces = self.left == 0 && self.dialer.announces();
        wire.write(|out| {
            exchange.write_head(out);
            if announces {
                request::announce_close(out);
            }
        });
        if !exchange.body.is_empty() {
            wire.push(exchange.body.clone());
        }
        self.read(&wire).await?;
        let announced = announces || !self.answer.keeps_open();
        // An answer that overtook its request leaves the connection in the middle of a message.
        let is_between = wire.queued() == 0;
        if is_between && announced {
            dial::part(wire);
        } else if is_between && self.left > 0 {
            self.wire = Some(wire);
        }
        exchange.expectation.check(&self.answer.answer())
    }

    async fn open(&mut self) -> Result<Wire, Failure> {
        let opened = self.dialer.open().await;
        self.left = self.dialer.quota();
        opened.map_err(|error| self.dialer.failure(&error, Failure::Connect))
    }

    /// Replaces a connection that the peer has closed since its last answer; bytes that nobody
    /// asked for are an error of the peer.
    async fn reopen(&mut self, stale: Wire) -> Result<Wire, Failure> {
        match stale.recv().await {
            Ok(Some(_)) => Err(Failure::Malformed),
            // Whoever is refused late, as TLS 1.3 does it, would be refused again and again.
            Err(error) if is_tls(&error) => Err(self.dialer.failure(&error, Failure::Reset)),
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
                Err(error) => return Err(self.dialer.failure(&error, Failure::Reset)),
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
