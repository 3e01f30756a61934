//! One thread of the generator: its connections, its intervals, its end.
//!
//! A shard opens its connections, reports, waits for the common start, runs one task per
//! connection, and hands the samples of each interval to the collector by ownership; the collector
//! sends the emptied memory back, so that nothing is allocated or shared while requests run.
//!
//! ```text
//! open ─> report ─> begin ─> [warm-up] ─> measure, an interval a second ─> grace ─> settle ─> stop
//! ```
//!
//! Requests due before the end of the measuring window get `grace` to be answered; what is then
//! still open is counted at its age.

use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::Duration;

use engine::io::clock;
use engine::io::{self, Instant, Timer};
use flume::{Receiver, Sender};

use crate::client::load::{Load, Plan};
use crate::client::{connection, multiplex, pipeline};
use crate::sample::Samples;
use crate::transport::dial::Dialer;
use crate::transport::opening::{Opening, Tally};
use crate::transport::{Protocol, Wire};

use super::usage::Usage;

/// The length of an interval.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);
/// Connections opened at a time: below the accept backlog of any server in use.
const OPENING_MAX: usize = 64;

/// How long each part of a run is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phases {
    /// Sent but not recorded.
    pub warmup: Duration,
    /// Recorded.
    pub measure: Duration,
    /// Waited, after that, for answers.
    pub grace: Duration,
}

/// What one shard is to do.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    /// Number of the shard, from 0.
    pub shard: u64,
    /// How many there are.
    pub shard_count: u64,
    /// Its share of the connections.
    pub connection_count: usize,
    /// What to send.
    pub plan: Plan,
    /// For how long.
    pub phases: Phases,
}

/// What the collector tells a shard.
#[derive(Debug)]
pub(crate) enum Order {
    /// Everybody is ready; the schedule starts at this instant.
    Begin(Instant),
    /// End now and report.
    End,
}

/// What a shard tells the collector.
#[derive(Debug)]
pub(crate) enum News {
    /// As many connections as could be opened are open; the last error, if some could not.
    Ready {
        opened: usize,
        error: Option<std::io::Error>,
    },
    /// One interval is over.
    Interval(Interval),
    /// All is recorded and the shard ends.
    Finished {
        shard: u64,
        usage: Usage,
        tally: Box<Tally>,
        /// What was measured by entry, if there are several.
        entries: Vec<Samples>,
    },
}

/// What one shard measured in one interval.
#[derive(Debug)]
pub(crate) struct Interval {
    /// The shard.
    pub shard: u64,
    /// Number of the interval, from 0.
    pub number: usize,
    /// When it began.
    pub from: Instant,
    /// When it ended.
    pub to: Instant,
    /// What was measured.
    pub samples: Box<Samples>,
}

/// A shard's ends of its channels.
#[derive(Debug)]
pub(crate) struct Link {
    pub orders: Receiver<Order>,
    pub news: Sender<News>,
    /// Emptied samples that come back.
    pub spares: Receiver<Box<Samples>>,
}

/// A connection's dialer, and the connection if it could be opened.
type Line = (Dialer, Option<Wire>);

/// The root task of a shard's thread.
pub(crate) async fn run(assignment: Assignment, link: Link) {
    // The default slack of 50 us would be most of the send lag.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let place = [assignment.shard, assignment.shard_count];
    let opening = Opening::new(assignment.plan.dial.rate, place, clock::now());
    let opening = Rc::new(opening);
    let (lines, error) = open(&assignment, &opening).await;
    let opened = lines.iter().filter(|(_, wire)| wire.is_some()).count();
    let _ = link.news.send(News::Ready { opened, error });
    if let Ok(Order::Begin(start)) = link.orders.recv_async().await {
        opening.start();
        let (shard, news) = (assignment.shard, link.news.clone());
        let (usage, entries) = measure(assignment, link, lines, start).await;
        let tally = Box::new(opening.tally());
        let _ = news.send(News::Finished {
            shard,
            usage,
            tally,
            entries,
        });
    }
    io::stop();
}

/// Opens the connections, a few at a time.
async fn open(
    assignment: &Assignment,
    opening: &Rc<Opening>,
) -> (Vec<Line>, Option<std::io::Error>) {
    let (shard, shard_count) = (assignment.shard, assignment.shard_count);
    let count = assignment.connection_count;
    let plan = Rc::new(assignment.plan.clone());
    let (sender, opened) = flume::bounded(count);
    for lane in 0..OPENING_MAX.min(count) {
        let (plan, sender) = (Rc::clone(&plan), sender.clone());
        let opening = Rc::clone(opening);
        io::spawn(async move {
            for number in (lane..count).step_by(OPENING_MAX) {
                let number = number as u64 * shard_count + shard;
                let dialer = plan.dial.dialer(&opening, number);
                let opened = dialer.open_approved(plan.timeout).await;
                let opened = match plan.protocol {
                    Some(Protocol::Http2) => opened.and_then(multiplex::speaks_http2),
                    _ => opened,
                };
                let _ = sender.send((dialer, opened));
            }
        });
    }
    drop(sender);
    let (mut lines, mut failed) = (Vec::with_capacity(count), None);
    while let Ok((dialer, opened)) = opened.recv_async().await {
        lines.push((dialer, opened.map_err(|error| failed = Some(error)).ok()));
    }
    (lines, failed)
}

/// What TLS has agreed on; all connections go to one peer.
fn agreed(lines: &[Line]) -> Option<Protocol> {
    lines.iter().find_map(|(_, wire)| wire.as_ref()?.protocol())
}

/// Runs the load; gives what the thread used in the measured time, and what was measured by entry.
async fn measure(
    assignment: Assignment,
    link: Link,
    lines: Vec<Line>,
    start: Instant,
) -> (Usage, Vec<Samples>) {
    let Assignment {
        shard,
        shard_count,
        plan,
        phases,
        ..
    } = assignment;
    let is_open = plan.schedule.is_some();
    let samples = || Box::new(Samples::new(is_open));
    let from = start + phases.warmup;
    let window = [from, from + phases.measure];
    let place = [shard, shard_count];
    let protocol = plan.protocol.or_else(|| agreed(&lines));
    let lanes = match protocol {
        Some(Protocol::Http2) => plan.streams,
        _ => plan.pipeline,
    };
    let load = Load::new(plan, place, lanes * lines.len(), start, window, samples());
    // Nothing is ever sent over `alive`: it is closed when the last connection has ended.
    let (alive, ended) = flume::bounded::<()>(0);
    for (index, (dialer, wire)) in lines.into_iter().enumerate() {
        let (load, alive) = (Rc::clone(&load), alive.clone());
        io::spawn(async move {
            let own = index * lanes..(index + 1) * lanes;
            match protocol {
                Some(Protocol::Http2) => multiplex::run(load, own, dialer, wire).await,
                _ if lanes == 1 => connection::run(load, index, dialer, wire).await,
                _ => pipeline::run(load, own, dialer, wire).await,
            }
            drop(alive);
        });
    }
    drop(alive);

    let timer = Timer::new();
    wait(&timer, from, &load, &link.orders).await;
    let before = Usage::read();
    let mut intervals = Intervals {
        shard,
        number: 0,
        from,
        load: &load,
        link: &link,
    };
    let mut boundary = from + INTERVAL;
    while boundary < load.until() {
        if wait(&timer, boundary, &load, &link.orders).await {
            intervals.close(clock::now(), samples);
            boundary = boundary + INTERVAL;
        }
    }
    wait(&timer, load.until(), &load, &link.orders).await;
    let usage = Usage::read().since(&before);
    intervals.close(clock::now(), samples);
    timer.arm(load.until() + phases.grace);
    let _ = timer.guard(ended.recv_async()).await;
    let now = clock::now();
    load.settle(now);
    intervals.close(now, samples);
    (usage, load.take_entries())
}

/// Waits until `at` (true), or (false) until the collector ends the run or is gone.
async fn wait(timer: &Timer, at: Instant, load: &Load, orders: &Receiver<Order>) -> bool {
    timer.arm(at.min(load.until()));
    match timer.guard(orders.recv_async()).await {
        Err(io::Elapsed) => at <= load.until(),
        Ok(_) => {
            load.end(clock::now());
            false
        }
    }
}

/// Cuts the run into intervals.
struct Intervals<'a> {
    shard: u64,
    number: usize,
    from: Instant,
    load: &'a Load,
    link: &'a Link,
}

impl Intervals<'_> {
    /// Hands over the interval that ends at `to`, and begins the next.
    fn close(&mut self, to: Instant, fresh: impl Fn() -> Box<Samples>) {
        let spare = self.link.spares.try_recv().unwrap_or_else(|_| fresh());
        let samples = self.load.swap(spare);
        let interval = Interval {
            shard: self.shard,
            number: self.number,
            from: self.from,
            to,
            samples,
        };
        let _ = self.link.news.send(News::Interval(interval));
        (self.number, self.from) = (self.number + 1, to);
    }
}
