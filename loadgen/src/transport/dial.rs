//! Opening connections to the one peer of a run, and ending them.
//!
//! [`Dial`] is the plan, the same for all shards; each connection of a run has a [`Dialer`] of its
//! own, which opens it again as often as needed. So every connection is a client by itself: it
//! takes up its own TLS session when it comes back, and no other's.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Result};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::io::{self, Address, Elapsed, Stream, Timer, clock};
use rustls::ClientConnection;

use super::opening::Opening;
use super::tls::Tls;
use super::trust::Trust;
use super::{Wire, is_tls};
use crate::quantity::Rate;
use crate::random::Random;
use crate::sample::Failure;

/// How long a peer may take to close a connection after it was agreed that it would.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long a peer may take to say what it thinks of our certificate; most answer the handshake at
/// once, with a ticket or an alert.
const VERDICT: Duration = Duration::from_millis(200);

/// Where connections go, whether through TLS, and how long they live.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    /// The peer.
    pub address: Address,
    /// Present for `https://`.
    pub tls: Option<Trust>,
    /// The most connections to open in a second, over all shards.
    pub rate: Option<Rate>,
    /// How many requests a connection gets; `None` for any number.
    pub requests: Option<Requests>,
    /// Who closes a connection that has had its requests.
    pub closing: Closing,
}

/// How many requests a connection gets: drawn evenly from `least` to `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requests {
    least: u64,
    most: u64,
}

/// How a connection that has had its requests is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Closing {
    /// The last request says `Connection: close`, and the peer closes after its answer.
    Announced,
    /// We close after the last answer, without a word.
    Plain,
}

impl Requests {
    /// Parses `100` or `1..100`.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let read = |text: &str| text.parse().ok().filter(|&count| count > 0);
        read(least)
            .zip(read(most))
            .filter(|(least, most)| least <= most)
            .map(|(least, most)| Self { least, most })
            .ok_or_else(|| format!("`{text}` is not a number of requests; write 100 or 1..100"))
    }

    fn draw(self, random: &mut Random) -> u64 {
        self.least + random.below((self.most - self.least).saturating_add(1))
    }
}

impl Dial {
    /// A dialer for connection `number` of the run.
    pub(crate) fn dialer(&self, opening: &Rc<Opening>, number: u64) -> Dialer {
        Dialer {
            address: self.address.clone(),
            tls: self.tls.as_ref().map(Trust::of_one_connection),
            requests: self.requests,
            closing: self.closing,
            opening: Rc::clone(opening),
            may_open: Cell::new(!opening.is_paced()),
            random: RefCell::new(Random::new(0, number)),
        }
    }
}

/// Opens one connection, again and again.
#[derive(Debug)]
pub(crate) struct Dialer {
    address: Address,
    tls: Option<Trust>,
    requests: Option<Requests>,
    closing: Closing,
    opening: Rc<Opening>,
    /// It is our turn, or there are no turns.
    may_open: Cell<bool>,
    random: RefCell<Random>,
}

impl Dialer {
    /// Waits until a connection may be opened, if there is a limit on the rate of that; gives
    /// whether it had to ask. The turn stays until it is used.
    pub(crate) async fn turn(&self) -> bool {
        let waits = !self.may_open.get();
        if waits {
            self.opening.turn().await;
            self.may_open.set(true);
        }
        waits
    }

    /// Connects and, if asked, shakes hands; when it is our turn.
    ///
    /// *Errors:* as `connect(2)`, or what [`super::is_tls`] knows.
    pub(crate) async fn open(&self) -> Result<Wire> {
        self.turn().await;
        self.may_open.set(!self.opening.is_paced());
        self.opening.attempt();
        let opened = self.connect().await;
        match &opened {
            Ok(wire) => self.opening.opened(wire.handshake()),
            Err(error) => self.opening.broke(error),
        }
        opened
    }

    /// [`Dialer::open`], or `TimedOut`. Waiting for our turn is not part of the time.
    pub(crate) async fn open_within(&self, timeout: Duration) -> Result<Wire> {
        self.turn().await;
        let timer = Timer::new();
        timer.arm(clock::now() + timeout);
        let opened = timer.guard(self.open()).await;
        opened.unwrap_or_else(|Elapsed| Err(ErrorKind::TimedOut.into()))
    }

    /// [`Dialer::open_within`], and not content before a peer that asked who we are has judged it:
    /// in TLS 1.3 that comes after the handshake, and before the first request is the best time to
    /// know.
    pub(crate) async fn open_approved(&self, timeout: Duration) -> Result<Wire> {
        let wire = self.open_within(timeout).await?;
        if let (Wire::Tls(tls), Some(trust)) = (&wire, &self.tls)
            && trust.was_asked()
        {
            let timer = Timer::new();
            timer.arm(clock::now() + VERDICT);
            // Whoever says nothing has nothing against us.
            let heard = timer.guard(tls.heard()).await.unwrap_or(Ok(()));
            heard.inspect_err(|error| self.opening.broke(error))?;
        }
        Ok(wire)
    }

    async fn connect(&self) -> Result<Wire> {
        let stream = Stream::connect(&self.address).await?;
        let Some(trust) = &self.tls else {
            return Ok(Wire::Plain(stream));
        };
        let config = Arc::clone(&trust.config);
        let client = ClientConnection::new(config, trust.name.clone())
            .map_err(|error| std::io::Error::new(ErrorKind::InvalidInput, error))?;
        let tls = Tls::start(stream, client.into()).await?;
        Ok(Wire::Tls(Box::new(tls)))
    }

    /// Is there a limit on how fast connections are opened?
    pub(crate) fn is_paced(&self) -> bool {
        self.opening.is_paced()
    }

    /// How many requests the connection just opened gets.
    pub(crate) fn quota(&self) -> u64 {
        let draw = |requests: Requests| requests.draw(&mut self.random.borrow_mut());
        self.requests.map_or(u64::MAX, draw)
    }

    /// Does the last request of a connection say that it is the last?
    pub(crate) const fn announces(&self) -> bool {
        matches!(self.closing, Closing::Announced)
    }

    /// What a connection's error is counted as, if it is not TLS's.
    pub(crate) fn failure(&self, error: &std::io::Error, otherwise: Failure) -> Failure {
        self.opening.broke(error);
        if is_tls(error) {
            Failure::Tls
        } else {
            otherwise
        }
    }
}

/// Lets the peer close a connection, as was agreed: who closes first has the port in TIME_WAIT.
pub(crate) fn part(wire: Wire) {
    io::spawn(async move {
        let timer = Timer::new();
        timer.arm(clock::now() + FAREWELL);
        while let Ok(Ok(Some(_))) = timer.guard(wire.recv()).await {}
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_as_many_requests_as_asked() {
        let mut random = Random::new(1, 0);
        let one = Requests::parse("7").expect("a number");
        assert!((0..100).all(|_| one.draw(&mut random) == 7));
        let range = Requests::parse("1..4").expect("a range");
        let mut seen = [0; 6];
        for _ in 0..1_000 {
            seen[range.draw(&mut random) as usize] += 1;
        }
        assert!(seen[0] == 0 && seen[5] == 0, "{seen:?}");
        assert!(seen[1..5].iter().all(|&count| count > 150), "{seen:?}");
        let any = Requests::parse("1..18446744073709551615").expect("a range");
        assert!(any.draw(&mut random) > 0);
        for text in ["0", "0..3", "4..3", "many", "1..", "..2", "-1"] {
            assert!(Requests::parse(text).is_err(), "{text}");
        }
    }
}
