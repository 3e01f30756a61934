//! One run: requests arrive, are sent to endpoints, are answered or not, and are tried again.
//!
//! In: a scenario. Out: its figures. What the proxy decides is decided by the engine: its balancers
//! pick and eject, its retry rule and budget grant. A request is on the shard that it arrived at
//! until its end; shards know nothing of each other.

use std::time::Duration;

use engine::balance::{Avoided, EndpointFault, Lease};
use engine::forward::{RetryAfter, RetryWish, Trace};
use engine::io::Instant;
use engine::route::RetryReason;

use super::agenda::Agenda;
use super::figures::Figures;
use super::random::Random;
use super::scenario::{Change, Mode, Scenario};
use super::shards::Pickers;
use super::upstream::{Ticket, Upstream};

/// Far from the clock's start, as in life.
const BEGIN: Instant = Instant::from_nanos(1_000_000_000_000);
/// How long it takes to say no.
const REFUSAL: Duration = Duration::from_millis(1);

enum Event {
    Arrival,
    /// An endpoint has served an attempt.
    Served(u32, Ticket),
    /// An attempt failed in this way.
    Failed(Ticket, Failure),
    /// A request is tried again.
    Again(Box<Request>),
    Change(usize),
    Look,
}

#[derive(Clone, Copy)]
enum Failure {
    Unavailable,
    Refused,
    Reset,
    Timeout,
}

/// A request, between attempts.
struct Request {
    shard: usize,
    arrived: Instant,
    random: u64,
    trace: Trace,
    avoided: Avoided,
}

/// An attempt under way.
struct Attempt {
    ticket: Ticket,
    request: Box<Request>,
    number: u32,
    lease: Option<Lease>,
    begun: Instant,
}

struct World<'a> {
    scenario: &'a Scenario,
    agenda: Agenda<Event>,
    arrivals: Random,
    services: Random,
    upstreams: Vec<Upstream>,
    /// Numbers of the endpoints that the cluster has, by place.
    members: Vec<u32>,
    pickers: Pickers,
    attempts: Vec<Option<Attempt>>,
    free: Vec<usize>,
    next_number: u64,
    figures: Figures,
}

/// Runs it.
pub(crate) fn run(scenario: &Scenario) -> Figures {
    let upstreams: Vec<_> = scenario
        .endpoints
        .iter()
        .map(|it| Upstream::new(*it))
        .collect();
    let members: Vec<u32> = (0..).take(upstreams.len()).collect();
    let mut world = World {
        scenario,
        agenda: Agenda::new(BEGIN),
        arrivals: Random::of(scenario.seed, 1),
        services: Random::of(scenario.seed, 2),
        pickers: Pickers::new(scenario, &members, &upstreams),
        upstreams,
        members,
        attempts: Vec::new(),
        free: Vec::new(),
        next_number: 0,
        figures: Figures::new(),
    };
    for (number, (at, _)) in scenario.changes.iter().enumerate() {
        world.agenda.note(*at, Event::Change(number));
    }
    world.agenda.note(Duration::ZERO, Event::Arrival);
    world.agenda.note(scenario.sample, Event::Look);
    while let Some(event) = world.agenda.next(BEGIN + scenario.time) {
        world.happen(event);
    }
    world.close();
    world.figures
}

/// How long after the begin of a run this is.
pub(crate) fn since_begin(at: Instant) -> Duration {
    at.since(BEGIN)
}

impl World<'_> {
    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrival => self.arrive(),
            Event::Served(number, ticket) => self.served(number, ticket),
            Event::Failed(ticket, failure) => {
                if self.is_wanted(ticket) {
                    self.failed(ticket, failure);
                }
            }
            Event::Again(request) => self.attempt(request),
            Event::Change(number) => self.change(self.scenario.changes[number].1),
            Event::Look => self.look(),
        }
    }

    /// Requests that nobody has answered by the end have taken as long as that, at least.
    fn close(&mut self) {
        let end = BEGIN + self.scenario.time;
        let left = self.attempts.iter().flatten();
        let arrived = left.map(|attempt| attempt.request.arrived);
        for arrived in arrived.filter(|at| at.since(BEGIN) >= self.scenario.warm_up) {
            self.figures.answered(end.since(arrived));
        }
    }

    fn since_begin(&self) -> Duration {
        self.agenda.now().since(BEGIN)
    }

    fn is_measured(&self, at: Instant) -> bool {
        at.since(BEGIN) >= self.scenario.warm_up
    }

    fn arrive(&mut self) {
        let mean = Duration::from_secs_f64(1.0 / self.scenario.rate);
        let gap = self
            .arrivals
            .time(mean, super::scenario::Shape::Exponential);
        self.agenda.note(gap, Event::Arrival);
        let now = self.agenda.now();
        let shard = self.arrivals.below(self.pickers.shards.len());
        let since = self.since_begin();
        self.figures.second(since).requests += 1;
        self.figures.tenth(since).requests += 1;
        self.figures.requests += u64::from(self.is_measured(now));
        self.pickers.shards[shard].circuit.deposit(now);
        let request = Request {
            shard,
            arrived: now,
            random: self.arrivals.next(),
            trace: Trace::default(),
            avoided: Avoided::default(),
        };
        self.attempt(Box::new(request));
    }

    fn attempt(&mut self, mut request: Box<Request>) {
        let now = self.agenda.now();
        let endpoints = (&self.members[..], &self.upstreams[..]);
        let picked = self
            .pickers
            .pick(request.shard, &request.avoided, endpoints, now);
        let Some((number, lease)) = picked else {
            self.end(&request, false);
            return;
        };
        request.trace.attempts += 1;
        let since = self.since_begin();
        self.figures.tenth(since).retries += u64::from(request.trace.attempts > 1);
        self.count(number, now);
        let place = self.free.pop().unwrap_or_else(|| {
            self.attempts.push(None);
            self.attempts.len() - 1
        });
        self.next_number += 1;
        let ticket = Ticket {
            place,
            number: self.next_number,
        };
        self.attempts[place] = Some(Attempt {
            ticket,
            request,
            number,
            lease,
            begun: now,
        });
        self.reach(number, ticket);
    }

    fn count(&mut self, number: u32, now: Instant) {
        let since = self.since_begin();
        self.figures.second(since).attempts += 1;
        if self.is_measured(now) {
            self.figures.attempts += 1;
            let endpoint = self.figures.endpoint(number as usize);
            endpoint.attempts += 1;
            endpoint.attempted(since);
        }
    }

    /// The attempt reaches its endpoint, or what is left of that.
    fn reach(&mut self, number: u32, ticket: Ticket) {
        let is_odd = self.since_begin().as_secs() % 2 == 1;
        let upstream = &mut self.upstreams[number as usize];
        let fails = match upstream.mode {
            Mode::Failing(share) => self.services.chance(share),
            Mode::Flapping => is_odd,
            Mode::Well | Mode::Slow(_) | Mode::Refusing | Mode::Partitioned => false,
        };
        match upstream.mode {
            Mode::Failing(_) | Mode::Flapping if fails => {
                let failed = Event::Failed(ticket, Failure::Unavailable);
                self.agenda.note(REFUSAL, failed);
            }
            Mode::Well | Mode::Slow(_) | Mode::Failing(_) | Mode::Flapping => {
                if upstream.arrive(ticket) {
                    self.serve(number, ticket);
                }
                self.limit(ticket);
            }
            Mode::Refusing => {
                let failed = Event::Failed(ticket, Failure::Refused);
                self.agenda.note(REFUSAL, failed);
            }
            Mode::Partitioned => self.limit(ticket),
        }
    }

    fn limit(&mut self, ticket: Ticket) {
        let failed = Event::Failed(ticket, Failure::Timeout);
        self.agenda.note(self.scenario.timeout, failed);
    }

    fn serve(&mut self, number: u32, ticket: Ticket) {
        let slowness = self.upstreams[number as usize].slowness(self.agenda.now());
        let mean = self.scenario.service.mul_f64(slowness);
        let time = self.services.time(mean, self.scenario.shape);
        self.agenda.note(time, Event::Served(number, ticket));
    }

    fn served(&mut self, number: u32, ticket: Ticket) {
        let attempts = &self.attempts;
        let upstream = &mut self.upstreams[number as usize];
        let next = upstream.leave(|waiting| is_in(attempts, waiting));
        let is_cut_off = matches!(upstream.mode, Mode::Partitioned | Mode::Refusing);
        if let Some(next) = next {
            self.serve(number, next);
        }
        if self.is_wanted(ticket) && !is_cut_off {
            let attempt = self.take(ticket);
            let (begun, now) = (attempt.begun, self.agenda.now());
            if let Some(lease) = &attempt.lease {
                lease.answered(200, now.since(begun), now);
                lease.completed(now);
            }
            self.end(&attempt.request, true);
        }
    }

    fn is_wanted(&self, ticket: Ticket) -> bool {
        is_in(&self.attempts, ticket)
    }

    fn take(&mut self, ticket: Ticket) -> Attempt {
        self.free.push(ticket.place);
        self.attempts[ticket.place].take().expect("an attempt")
    }

    fn failed(&mut self, ticket: Ticket, failure: Failure) {
        let now = self.agenda.now();
        let Attempt {
            mut request,
            number,
            lease,
            begun,
            ..
        } = self.take(ticket);
        self.figures.endpoint(number as usize).errors += u64::from(self.is_measured(now));
        let reason = match failure {
            Failure::Unavailable => RetryReason::Status,
            Failure::Refused => RetryReason::ConnectFailure,
            Failure::Reset => RetryReason::Reset,
            Failure::Timeout => RetryReason::Timeout,
        };
        if let Some(lease) = lease {
            match failure {
                Failure::Unavailable => lease.answered(503, now.since(begun), now),
                Failure::Refused => lease.failed(EndpointFault::Connect, now),
                Failure::Reset => lease.failed(EndpointFault::Broken, now),
                Failure::Timeout => lease.failed(EndpointFault::Timeout, now),
            }
            request.avoided.push(lease.key());
        }
        let wish = RetryWish {
            reason,
            retry_after: RetryAfter::Unsaid,
            is_idempotent: true,
            is_replayable: true,
            random: request.random,
            ends: Instant::NEVER,
        };
        let circuit = &self.pickers.shards[request.shard].circuit;
        match wish.grant(&self.scenario.retry, circuit, &mut request.trace, now) {
            Some(grant) => {
                // Nobody has seen the request: another endpoint can have it at once.
                if grant.reason.is_unprocessed() {
                    self.attempt(request);
                } else {
                    self.agenda.note(grant.wait, Event::Again(request));
                }
            }
            None => self.end(&request, false),
        }
    }

    /// A request is over.
    fn end(&mut self, request: &Request, is_answered: bool) {
        let now = self.agenda.now();
        if !is_answered {
            let since = self.since_begin();
            self.figures.second(since).failed += 1;
        }
        if self.is_measured(request.arrived) {
            if is_answered {
                self.figures.answered(now.since(request.arrived));
            } else {
                self.figures.failed += 1;
            }
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Mode(number, mode) => {
                self.upstreams[number as usize].mode = mode;
                if mode == Mode::Refusing {
                    self.cut(number);
                }
            }
            Change::Replace(number, slowness, time) => {
                let now = self.agenda.now();
                let plan = self.upstreams[number as usize].plan();
                let next = self.upstreams.len() as u32;
                self.upstreams
                    .push(Upstream::cold(plan, now, slowness, time));
                let member = self.members.iter_mut().find(|it| **it == number);
                *member.expect("a member") = next;
                self.pickers.change(&self.members, &self.upstreams);
            }
        }
    }

    /// The process behind an endpoint is gone: what it had is reset.
    fn cut(&mut self, number: u32) {
        self.upstreams[number as usize].clear();
        let all = self.attempts.iter().flatten();
        let had = all.filter(|attempt| attempt.number == number);
        let tickets: Vec<Ticket> = had.map(|attempt| attempt.ticket).collect();
        for ticket in tickets {
            self.failed(ticket, Failure::Reset);
        }
    }

    fn look(&mut self) {
        self.agenda.note(self.scenario.sample, Event::Look);
        let now = self.agenda.now();
        self.pickers.look(&self.members, &mut self.figures, now);
        if self.is_measured(now) {
            let upstreams = &self.upstreams;
            let loads = self.members.iter().map(|it| upstreams[*it as usize].load());
            self.figures.queues.look(loads);
        }
    }
}

fn is_in(attempts: &[Option<Attempt>], ticket: Ticket) -> bool {
    let attempt = attempts.get(ticket.place).and_then(Option::as_ref);
    attempt.is_some_and(|attempt| attempt.ticket == ticket)
}
