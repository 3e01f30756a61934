//! An endpoint: a queue, so many requests served at once, and faults.
//!
//! In: attempts by their tickets. Out: which one to serve next. The times are drawn by the caller.

use std::collections::VecDeque;
use std::time::Duration;

use engine::io::Instant;

use super::scenario::{Mode, Plan};

/// An attempt, for as long as somebody waits for it: a place, and a number that no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) place: usize,
    pub(crate) number: u64,
}

/// One endpoint.
#[derive(Debug)]
pub(crate) struct Upstream {
    plan: Plan,
    pub(crate) mode: Mode,
    busy: u32,
    waiting: VecDeque<Ticket>,
    /// It began cold at this time: so many times slower, getting warm over so long.
    cold: Option<(Instant, f64, Duration)>,
}

impl Upstream {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan,
            mode: Mode::Well,
            busy: 0,
            waiting: VecDeque::new(),
            cold: None,
        }
    }

    /// One that has just started.
    pub(crate) fn cold(plan: Plan, now: Instant, slowness: f64, time: Duration) -> Self {
        Self {
            cold: Some((now, slowness, time)),
            ..Self::new(plan)
        }
    }

    pub(crate) fn weight(&self) -> u32 {
        self.plan.weight
    }

    pub(crate) fn plan(&self) -> Plan {
        self.plan
    }

    /// Requests that it has, served or waiting.
    pub(crate) fn load(&self) -> u32 {
        self.busy + self.waiting.len() as u32
    }

    /// How many times as long as the service time says a request takes now.
    pub(crate) fn slowness(&self, now: Instant) -> f64 {
        let cold = self.cold.map_or(1.0, |(since, slowness, time)| {
            let warm = now.since(since).as_secs_f64() / time.as_secs_f64();
            1.0 + (slowness - 1.0) * (1.0 - warm).max(0.0)
        });
        let mode = match self.mode {
            Mode::Slow(slowness) => slowness,
            Mode::Well | Mode::Failing(_) | Mode::Flapping | Mode::Refusing | Mode::Partitioned => {
                1.0
            }
        };
        self.plan.slowness * cold * mode
    }

    /// When one more request would be over, in service times. Infinite when it fails.
    pub(crate) fn delay(&self, now: Instant) -> f64 {
        match self.mode {
            Mode::Well | Mode::Slow(_) => self.wait(now),
            // Who fails now and then is as good as any; who fails often is not.
            Mode::Failing(share) if share < 0.1 => self.wait(now),
            Mode::Failing(_) | Mode::Flapping | Mode::Refusing | Mode::Partitioned => f64::INFINITY,
        }
    }

    fn wait(&self, now: Instant) -> f64 {
        let (load, at_once) = (self.load() + 1, self.plan.concurrency);
        self.slowness(now) * (f64::from(load) / f64::from(at_once)).max(1.0)
    }

    /// An attempt arrives. `true`: it is served at once.
    pub(crate) fn arrive(&mut self, ticket: Ticket) -> bool {
        if self.busy < self.plan.concurrency {
            self.busy += 1;
            return true;
        }
        self.waiting.push_back(ticket);
        false
    }

    /// A request is over: the next one that is served, of those that somebody waits for.
    pub(crate) fn leave(&mut self, is_wanted: impl Fn(Ticket) -> bool) -> Option<Ticket> {
        while let Some(next) = self.waiting.pop_front() {
            if is_wanted(next) {
                return Some(next);
            }
        }
        self.busy -= 1;
        None
    }

    /// The process is gone, and all that it had.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
    }
}
