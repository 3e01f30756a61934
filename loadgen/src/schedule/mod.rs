//! When each request is due: fixed by the command line, whatever the target does.
//!
//! The whole run has one sequence of requests `0, 1, 2, …`. A law of [`Arrivals`] places them on an
//! axis of work (evenly, at random, in groups), and the [`Course`] of the rate says when so much
//! work has been asked. A recorded trace gives the times themselves. No clock: the same flags give
//! the same times, for any number of shards.
//!
//! Of `S` shards, shard `s` sends the requests `s, s + S, s + 2S, …`; of a Poisson process it sends
//! those drawn for it, because a random part of such a process is one too, and a regular part is
//! not. No shard needs to know how far another is.
//!
//! Work is never added up in floating point, so nothing drifts: the millionth request is as exact
//! as the first.

mod arrivals;
mod course;
mod pace;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use arrivals::Arrivals;
use course::Course;
pub(crate) use pace::Pace;

use arrivals::Draw;

/// What says when requests are due.
#[derive(Clone, Debug)]
enum Law {
    /// A law along the course of a pace.
    Paced {
        arrivals: Arrivals,
        pace: Pace,
        course: Arc<Course>,
        seed: u64,
    },
    /// Times in nanoseconds, in their order, and how much faster they were made.
    Recorded { times: Arc<[u64]>, speed: f64 },
}

/// The due times of one run.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    law: Law,
    shard_count: u64,
    /// Requests from this number on are never due.
    limit: u64,
}

/// A request of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Its number among those of all shards.
    pub number: u64,
    /// How long after the start it is due.
    pub due: Duration,
}

impl Schedule {
    /// Requests spaced by `arrivals` at `pace` within a `window` (from the start to the beginning
    /// and the end of the measured time), sent by `shard_count` shards.
    pub(crate) fn paced(
        arrivals: Arrivals,
        pace: &Pace,
        [from, to]: [Duration; 2],
        seed: u64,
        shard_count: u64,
    ) -> Self {
        let law = Law::Paced {
            arrivals,
            pace: pace.clone(),
            course: Arc::new(Course::new(pace, from, to.saturating_sub(from))),
            seed,
        };
        Self {
            law,
            shard_count,
            limit: u64::MAX,
        }
    }

    /// Requests due at recorded `times`, which were made `speed` times faster.
    pub(crate) fn recorded(times: Arc<[u64]>, speed: f64, shard_count: u64) -> Self {
        Self {
            limit: times.len() as u64,
            law: Law::Recorded { times, speed },
            shard_count,
        }
    }

    /// The same with no more than `count` requests.
    pub(crate) fn limited(self, count: u64) -> Self {
        Self {
            limit: self.limit.min(count),
            ..self
        }
    }

    /// When the last request is due, if there are not endlessly many.
    pub(crate) fn last(&self) -> Option<Duration> {
        let last = self.limit.checked_sub(1)?;
        let whole = self.whole();
        let nanos = match whole.due(u128::from(last)) {
            Some(nanos) => nanos,
            None if self.limit == u64::MAX => u64::MAX,
            None => {
                let mut cursor = whole.cursor(0);
                let arrivals = std::iter::from_fn(|| cursor.next(&whole));
                return arrivals.last().map(|arrival| arrival.due);
            }
        };
        (nanos < u64::MAX).then(|| Duration::from_nanos(nanos))
    }

    /// Before the first request of `shard`.
    pub(crate) const fn cursor(&self, shard: u64) -> Cursor {
        Cursor {
            shard,
            count: 0,
            drawn: 0,
            work: 0,
        }
    }

    /// How many requests of all shards are due in `[from, to)`; what the run promises to send.
    ///
    /// A law that needs only a request's number is searched by bisection, a random one is walked
    /// through: some 20 ns a request, so call it while nothing is measured.
    pub(crate) fn count(&self, from: Duration, to: Duration) -> u64 {
        let whole = self.whole();
        let before = |end: Duration| match whole.due(0) {
            Some(_) => whole.bisect(end),
            None => whole.walk(end),
        };
        before(to) - before(from)
    }

    /// Requests per second within a window, on average.
    pub(crate) fn mean_rate(&self, [from, to]: [Duration; 2]) -> f64 {
        match &self.law {
            Law::Paced { course, .. } if self.limit == u64::MAX => course.mean_rate([from, to]),
            Law::Paced { .. } | Law::Recorded { .. } => {
                let length = to.saturating_sub(from).as_secs_f64();
                self.count(from, to) as f64 / length.max(1e-9)
            }
        }
    }

    /// As one shard would send it.
    fn whole(&self) -> Self {
        Self {
            shard_count: 1,
            ..self.clone()
        }
    }

    /// When request `number` is due, in nanoseconds, if that needs nothing but its number.
    fn due(&self, number: u128) -> Option<u64> {
        let is_over = number >= u128::from(self.limit);
        match &self.law {
            Law::Paced {
                arrivals, course, ..
            } => arrivals.place(number).map(|work| match is_over {
                true => u64::MAX,
                false => course.time_of(work),
            }),
            Law::Recorded { times, .. } => {
                let time = usize::try_from(number).ok().and_then(|at| times.get(at));
                Some(time.copied().unwrap_or(u64::MAX))
            }
        }
    }

    /// The number of the first request that is not due before `end`.
    fn bisect(&self, end: Duration) -> u64 {
        let (mut below, mut above) = (0, u64::MAX);
        while below < above {
            let middle = below + (above - below) / 2;
            let due = self.due(u128::from(middle)).unwrap_or(u64::MAX);
            if u128::from(due) < end.as_nanos() {
                below = middle + 1;
            } else {
                above = middle;
            }
        }
        below
    }

    fn walk(&self, end: Duration) -> u64 {
        let mut cursor = self.cursor(0);
        let mut count = 0;
        while cursor.next(self).is_some_and(|arrival| arrival.due < end) {
            count += 1;
        }
        count
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.law {
            Law::Paced { arrivals, pace, .. } => {
                write!(f, "{} requests/s", pace.text())?;
                match arrivals {
                    Arrivals::Constant => Ok(()),
                    Arrivals::Poisson => write!(f, ", Poisson arrivals"),
                    Arrivals::Burst(count) => write!(f, ", {count} at once"),
                }
            }
            Law::Recorded { speed, .. } if *speed == 1.0 => write!(f, "the recorded pace"),
            Law::Recorded { speed, .. } => write!(f, "{speed} times the recorded pace"),
        }
    }
}

/// How far a shard is in its part of a schedule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    shard: u64,
    /// Requests of this shard so far.
    count: u64,
    /// Poisson: requests of all shards that have been drawn, and the work up to the last of them.
    drawn: u64,
    work: u128,
}

impl Cursor {
    /// The shard's next request; `None` when there are no more.
    pub(crate) fn next(&mut self, schedule: &Schedule) -> Option<Arrival> {
        let shards = u128::from(schedule.shard_count);
        let number = u128::from(self.count) * shards + u128::from(self.shard);
        let (number, nanos) = match schedule.due(number) {
            Some(due) => (u64::try_from(number).ok()?, due),
            None => self.draw(schedule)?,
        };
        self.count += 1;
        (nanos < u64::MAX).then_some(Arrival {
            number,
            due: Duration::from_nanos(nanos),
        })
    }

    fn draw(&mut self, schedule: &Schedule) -> Option<(u64, u64)> {
        let Law::Paced { course, seed, .. } = &schedule.law else {
            return None;
        };
        while self.drawn < schedule.limit && self.work < course.end() {
            let draw = Draw::new(*seed, self.drawn, schedule.shard_count);
            self.drawn += 1;
            self.work += draw.gap;
            if draw.shard == self.shard {
                return Some((self.drawn - 1, course.time_of(self.work)));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
