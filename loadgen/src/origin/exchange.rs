//! One connection of the origin: read a request, wait, answer, again. HTTP/2 goes its own way, in
//! `multiplex.rs`, once the client has begun with it.
//!
//! A request is read to the end of its body before it is answered, so the delay counts from its
//! last byte. Requests that arrive early (pipelined) are answered one after the other. A request
//! that breaks HTTP/1.1 or wishes something impossible gets 400 and the connection is closed.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display, Formatter};
use std::rc::Rc;
use std::time::Duration;

use engine::io::{self, Buf, Instant, Stream, Timer, clock};

use super::bell::{Bell, Seat};
use super::content::Content;
use super::multiplex;
use super::plan::{Defaults, Reply};
use super::record::Record;
use super::reply::{BodyFraming, Date, push_decimal, push_head};
use crate::http1::Progress;
use crate::http1::request::RequestParser;
use crate::http2::PREFACE;
use crate::random::Random;
use crate::transport::door::Door;
use crate::transport::{Protocol, Wire};

/// How long a connection stays half open after its last answer, so that the client can read it
/// before unread bytes of its own turn the close into a reset.
const LINGER: Duration = Duration::from_secs(1);
/// How long a TLS handshake may take.
const ADMISSION: Duration = Duration::from_secs(10);

/// What a shard's connections share.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Rung when the origin drains.
    pub bell: Rc<Bell>,
    /// How connections come in.
    pub door: Door,
    defaults: Defaults,
    pub(super) content: Content,
    random: RefCell<Random>,
    date: RefCell<Date>,
    served: Cell<Served>,
    /// How long each request was kept, if anybody wants to know.
    record: RefCell<Option<Record>>,
}

impl Origin {
    /// An origin that lets in whom `door` does and answers as `defaults` say.
    pub(crate) fn new(
        door: Door,
        defaults: Defaults,
        random: Random,
        record: Option<Record>,
    ) -> Self {
        Self {
            record: RefCell::new(record),
            bell: Bell::new(),
            door,
            defaults,
            content: Content::new(),
            random: RefCell::new(random),
            date: RefCell::new(Date::new()),
            served: Cell::default(),
        }
    }

    /// What was served so far.
    pub(crate) fn served(&self) -> Served {
        self.served.get()
    }

    /// The record, which ends here.
    pub(crate) fn take_record(&self) -> Option<Record> {
        self.record.take()
    }

    /// The time, if requests are recorded.
    pub(super) fn now(&self) -> Option<Instant> {
        self.record.borrow().as_ref().map(|_| clock::now())
    }

    /// Records a request that was whole at `received` and is answered now.
    pub(super) fn note(&self, received: Option<Instant>) {
        if let (Some(record), Some(received)) = (self.record.borrow_mut().as_mut(), received) {
            record.note(received, clock::now());
        }
    }

    /// What the answer to a request with this query will be like; `None` when it wishes what cannot
    /// be.
    pub(super) fn draw(&self, query: &[u8]) -> Option<Reply> {
        let mut random = self.random.borrow_mut();
        self.defaults.reply(query, &mut random).ok()
    }

    /// Gives `write` the value of `Date`.
    pub(super) fn with_date(&self, write: impl FnOnce(&Date)) {
        let mut date = self.date.borrow_mut();
        date.set(clock::wall());
        write(&date);
    }

    /// Adds to what was served.
    pub(super) fn count(&self, served: Served) {
        let mut total = self.served.get();
        total.add(&served);
        self.served.set(total);
    }
}

/// What an origin has served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Served {
    connections: u64,
    requests: u64,
    refused: u64,
    faults: u64,
    /// Connections whose handshake failed.
    turned_away: u64,
}

impl Served {
    /// One request, answered like this.
    pub(super) fn request(reply: &Reply) -> Self {
        Self {
            requests: 1,
            faults: u64::from(reply.fault.is_some()),
            ..Self::default()
        }
    }

    /// One request, or connection, that broke the rules or wished what cannot be.
    pub(super) fn refused() -> Self {
        Self {
            refused: 1,
            ..Self::default()
        }
    }

    /// Adds another shard's.
    pub(crate) const fn add(&mut self, other: &Self) {
        self.connections += other.connections;
        self.requests += other.requests;
        self.refused += other.refused;
        self.faults += other.faults;
        self.turned_away += other.turned_away;
    }
}

impl Display for Served {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            requests,
            refused,
            faults,
            turned_away,
        } = self;
        write!(
            f,
            "{requests} requests on {connections} connections, {refused} refused"
        )?;
        match faults {
            0 => {}
            _ => write!(f, ", {faults} faults")?,
        }
        match turned_away {
            0 => Ok(()),
            _ => write!(f, ", {turned_away} handshakes failed"),
        }
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The client has closed it, or it broke.
    Gone,
    /// Answered with `Connection: close`.
    Close,
    /// The request cannot be answered as asked.
    Refuse,
}

/// Lets one connection in and serves it until it ends.
pub(crate) async fn serve(origin: Rc<Origin>, stream: Stream) {
    origin.count(Served {
        connections: 1,
        ..Served::default()
    });
    let seat = origin.bell.seat();
    let Some(wire) = admit(&origin, &seat, stream).await else {
        return;
    };
    let mut connection = Connection {
        origin: &origin,
        wire: &wire,
        request: RequestParser::new(),
    };
    let end = match connection.greeting(&seat).await {
        Ok(Greeting::Http1(first)) => connection.serve(&seat, first).await,
        Ok(Greeting::Http2(first)) => multiplex::serve(&origin, &wire, &seat, first).await,
        Err(end) => end,
    };
    if end == End::Refuse {
        origin.count(Served::refused());
        connection.head(400, BodyFraming::Sized(0), true);
    }
    if end != End::Gone && wire.drained(0).await.is_ok() {
        wire.shutdown_send();
        let timer = Timer::new();
        timer.arm(clock::now() + LINGER);
        while let Ok(Ok(Some(_))) = timer.guard(wire.recv()).await {}
    }
}

/// Lets a connection in; `None` when it fails, takes too long or the origin drains.
async fn admit(origin: &Origin, seat: &Seat, stream: Stream) -> Option<Wire> {
    let timer = Timer::new();
    timer.arm(clock::now() + ADMISSION);
    let admitted = timer.guard(origin.door.admit(stream));
    if let Ok(Ok(wire)) = seat.until(admitted).await? {
        return Some(wire);
    }
    origin.count(Served {
        turned_away: 1,
        ..Served::default()
    });
    None
}

/// How a client begins.
enum Greeting {
    /// With a request of HTTP/1.1.
    Http1(Buf),
    /// With HTTP/2: agreed on in TLS, or by its preface.
    Http2(Option<Buf>),
}

pub(super) struct Connection<'a> {
    pub(super) origin: &'a Origin,
    pub(super) wire: &'a Wire,
    request: RequestParser,
}

impl Connection<'_> {
    /// What the client speaks. In clear text it says so by its first bytes: no method of HTTP/1.1
    /// begins as the preface of HTTP/2 does (RFC 9113 §3.4).
    async fn greeting(&self, seat: &Seat) -> Result<Greeting, End> {
        if self.wire.protocol() == Some(Protocol::Http2) {
            return Ok(Greeting::Http2(None));
        }
        let mut first = self.first_run(seat).await?;
        let telling = &PREFACE[..3];
        while first.len() < telling.len() && telling.starts_with(&first) {
            let more = self.more().await?;
            first = Buf::from_vec([&first[..], &more[..]].concat());
        }
        Ok(match first.starts_with(telling) {
            true => Greeting::Http2(Some(first)),
            false => Greeting::Http1(first),
        })
    }

    /// Request after request, the first of which begins in `first`; why it ended.
    async fn serve(&mut self, seat: &Seat, first: Buf) -> End {
        let mut rest = Some(first);
        loop {
            let first = match rest.take() {
                Some(run) => run,
                None => match self.first_run(seat).await {
                    Ok(run) => run,
                    Err(end) => return end,
                },
            };
            match self.exchange(first).await {
                Ok(run) if run.is_empty() => {}
                Ok(run) => rest = Some(run),
                Err(end) => return end,
            }
        }
    }

    /// Waits, idle, for the first bytes of a request; a drain ends the wait.
    async fn first_run(&self, seat: &Seat) -> Result<Buf, End> {
        match seat.until(self.wire.recv()).await {
            Some(Ok(Some(run))) => Ok(run),
            Some(Ok(None) | Err(_)) => Err(End::Gone),
            // What is here already is answered.
            None if !self.wire.quiet() => self.more().await,
            None => Err(End::Close),
        }
    }

    async fn more(&self) -> Result<Buf, End> {
        self.wire.recv().await.ok().flatten().ok_or(End::Gone)
    }

    /// One request, which begins in `run`, and its answer; gives what was received after it.
    async fn exchange(&mut self, mut run: Buf) -> Result<Buf, End> {
        self.request.reset();
        loop {
            match self.request.feed_head(&run).map_err(|_| End::Refuse)? {
                Progress::Partial => run = self.more().await?,
                Progress::Complete { used } => {
                    run.advance(used);
                    break;
                }
            }
        }
        let reply = self.origin.draw(self.request.query()).ok_or(End::Refuse)?;
        if reply.echo {
            self.request.hash_body();
        }
        if self.request.expects_continue() && run.is_empty() {
            self.wire
                .write(|out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        loop {
            match self.request.feed_body(&run).map_err(|_| End::Refuse)? {
                Progress::Partial => run = self.more().await?,
                Progress::Complete { used } => {
                    run.advance(used);
                    break;
                }
            }
        }
        let received = self.origin.now();
        if !reply.delay.is_zero() {
            io::sleep(reply.delay).await;
        }
        let answered = self.answer(&reply).await;
        self.origin.note(received);
        answered.map(|()| run)
    }

    async fn answer(&mut self, reply: &Reply) -> Result<(), End> {
        self.origin.count(Served::request(reply));
        let close = reply.close || !self.request.keeps_open() || self.origin.bell.is_rung();
        if let Some(fault) = reply.fault {
            let framing = self.framing(reply);
            self.misbehave(fault, reply, framing, close).await?;
        } else if reply.echo {
            self.echo(reply.status, close);
        } else {
            self.send(reply, close).await.map_err(|_| End::Gone)?;
        }
        if close { Err(End::Close) } else { Ok(()) }
    }

    fn framing(&self, reply: &Reply) -> BodyFraming {
        match reply.status {
            204 | 304 => BodyFraming::Absent,
            _ if reply.chunked && self.request.reads_chunked() => BodyFraming::Chunked,
            _ => BodyFraming::Sized(reply.size),
        }
    }

    /// Does a body follow a head with this framing?
    pub(super) fn sends_body(&self, framing: BodyFraming) -> bool {
        framing != BodyFraming::Absent && !self.request.is_head()
    }

    async fn send(&self, reply: &Reply, close: bool) -> std::io::Result<()> {
        let framing = self.framing(reply);
        self.head(reply.status, framing, close);
        if !self.sends_body(framing) {
            return Ok(());
        }
        let chunked = framing == BodyFraming::Chunked;
        self.origin
            .content
            .send(self.wire, reply.size, chunked)
            .await
    }

    /// Answers with the length and hash of the request's body: `11 0d4a1185`.
    fn echo(&self, status: u16, close: bool) {
        let mut told = Vec::with_capacity(32);
        push_decimal(&mut told, self.request.body_bytes());
        let hash = self.request.body_hash().unwrap_or_default();
        told.extend_from_slice(format!(" {hash:08x}\n").as_bytes());
        self.head(status, BodyFraming::Sized(told.len() as u64), close);
        if !self.request.is_head() {
            self.wire.write(|out| out.extend_from_slice(&told));
        }
    }

    pub(super) fn head(&self, status: u16, framing: BodyFraming, close: bool) {
        self.origin.with_date(|date| {
            self.wire
                .write(|out| push_head(out, status, framing, close, date));
        });
    }
}
