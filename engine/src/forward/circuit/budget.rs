//! How much of a cluster's load may be retries (pure).
//!
//! In: each request and each wish for a retry, with `now`. Out: whether there may be one. Of any
//! ten seconds ([`limits::RETRY_BUDGET_WINDOW`]) that end with a retry, retries are at most the
//! configured share of the requests, or the number that is allowed in any case, whichever is more
//! (Finagle and Gateway API count over the same time). So a cluster that fails half of its requests
//! sees at most 1.2 times the offered load with the default of 20 %, as soon as that is more than
//! the default of ten retries a second.
//!
//! Ten seconds that end later hold no further retry, but fewer of the requests that paid. Where
//! the load goes on, those that came since make up for them; where it falls, the retries of ten
//! seconds are within the share of the requests of ten seconds that ended in their course. No rule
//! can do better and still repeat what a dying endpoint had in hand: nobody knows whether more will
//! come.
//!
//! Each shard has its own budget: its requests pay for its retries, and it has an equal share of
//! the allowed number, at least one retry per window. The sum over shards is therefore exact where
//! their load is even, but for that one.
//!
//! Time is counted in halves of a second. Retries count for ten seconds at least, and requests for
//! nine and a half at most: so it holds wherever the ten seconds begin, with back-offs that move
//! retries into others and loads that come at random. The price is a tenth: under a load that goes
//! on, retries are 18 % of the requests where 20 are allowed.

use std::time::Duration;

use crate::config;
use crate::io::Instant;
use crate::limits;

const SLICE: Duration = Duration::from_millis(500);
/// The slices in which retries count and requests do not: the one in which the window begins, and
/// the next.
const LATE: usize = 2;
const SLICES: usize = (limits::RETRY_BUDGET_WINDOW.as_nanos() / SLICE.as_nanos()) as usize + 1;

const _: () = assert!(SLICES > LATE);

/// What happened in one slice of time, or in several.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    requests: u32,
    retries: u32,
}

/// The requests and retries of one cluster on one shard.
#[derive(Debug)]
pub(super) struct RetryBudget {
    percent: u64,
    /// Retries per window that are allowed in any case.
    min: u64,
    /// In the [`LATE`] ones requests are forgotten.
    slices: [Counts; SLICES],
    /// The number of the newest slice since the clock's start.
    newest: u64,
    sum: Counts,
}

impl RetryBudget {
    /// The share of shard number `shard` of `shards` in a configured budget.
    pub(super) fn new(budget: config::RetryBudget, shard: u32, shards: u32) -> Self {
        let mut new = Self {
            percent: 0,
            min: 0,
            slices: [Counts::default(); SLICES],
            newest: 0,
            sum: Counts::default(),
        };
        new.set(budget, shard, shards);
        new
    }

    /// Changes what is allowed. What was counted stays.
    pub(super) fn set(&mut self, budget: config::RetryBudget, shard: u32, shards: u32) {
        let seconds = limits::RETRY_BUDGET_WINDOW.as_secs();
        let total = u64::from(budget.min_per_second).saturating_mul(seconds);
        let shards = u64::from(shards.max(1));
        let until = |shard: u64| total.saturating_mul(shard).checked_div(shards).unwrap_or(0);
        let shard = u64::from(shard);
        let share = until(shard.saturating_add(1)).saturating_sub(until(shard));
        self.percent = u64::from(budget.percent);
        self.min = if total > 0 { share.max(1) } else { 0 };
    }

    /// A request begins.
    pub(super) fn deposit(&mut self, now: Instant) {
        self.roll(now);
        if let Some(slice) = self.slices.get_mut(place(self.newest)) {
            slice.requests = slice.requests.saturating_add(1);
            self.sum.requests = self.sum.requests.saturating_add(1);
        }
    }

    /// Whether there may be a retry now. One that may be is counted.
    pub(super) fn withdraw(&mut self, now: Instant) -> bool {
        self.roll(now);
        let share = u64::from(self.sum.requests).saturating_mul(self.percent) / 100;
        if u64::from(self.sum.retries) >= share.max(self.min) {
            return false;
        }
        if let Some(slice) = self.slices.get_mut(place(self.newest)) {
            slice.retries = slice.retries.saturating_add(1);
            self.sum.retries = self.sum.retries.saturating_add(1);
        }
        true
    }

    /// Forgets what has left the window.
    fn roll(&mut self, now: Instant) {
        let slice = now.nanos() / SLICE.as_nanos() as u64;
        let steps = slice.saturating_sub(self.newest).min(SLICES as u64);
        for step in 1..=steps {
            // Counted back from the new one, so that a long pause clears each place once.
            let number = slice.saturating_sub(steps.saturating_sub(step));
            if let Some(gone) = self.slices.get_mut(place(number)) {
                self.sum.retries = self.sum.retries.saturating_sub(gone.retries);
                *gone = Counts::default();
            }
            if let Some(late) = self
                .slices
                .get_mut(place(number.saturating_add(LATE as u64)))
            {
                self.sum.requests = self.sum.requests.saturating_sub(late.requests);
                late.requests = 0;
            }
        }
        self.newest = self.newest.max(slice);
    }
}

/// Where the slice number `number` is kept.
fn place(number: u64) -> usize {
    usize::try_from(number % SLICES as u64).unwrap_or(0)
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
