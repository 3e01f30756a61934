//! What is measured of a run.
//!
//! In: what happens, as it happens. Out: figures. Latencies are those of clients: from a request's
//! arrival to the end of its last attempt.

use std::time::Duration;

use engine::io::Instant;
use hdrhistogram::Histogram;

/// The figures of one run.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    pub(crate) attempts: u64,
    /// Of requests that did not fail, in microseconds.
    latency: Histogram<u64>,
    /// By number of the endpoint.
    pub(crate) by_endpoint: Vec<OfEndpoint>,
    pub(crate) queues: Queues,
    /// By second since the begin.
    pub(crate) seconds: Vec<Second>,
    /// By tenth of a second since the begin.
    pub(crate) tenths: Vec<Tenth>,
    /// Most endpoints that one shard had ejected at once, and fewest that it had left.
    pub(crate) ejected_most: usize,
    pub(crate) left_least: usize,
}

/// The figures of one endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct OfEndpoint {
    pub(crate) attempts: u64,
    pub(crate) errors: u64,
    /// By tenth of a second since the begin.
    pub(crate) attempts_by_tenth: Vec<u32>,
    /// Shards that have it ejected, at the last look.
    pub(crate) ejected_shards: u32,
    /// Ejections, over all shards, as far as they were seen.
    pub(crate) ejections: u32,
    pub(crate) ejected_first: Option<Instant>,
    /// When the last shard ejected it, and when the last one took it back.
    pub(crate) ejected_by_all: Option<Instant>,
    pub(crate) is_back: Option<Instant>,
}

/// One second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    pub(crate) requests: u64,
    pub(crate) attempts: u64,
    pub(crate) failed: u64,
}

/// One tenth of a second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tenth {
    pub(crate) requests: u64,
    /// Further attempts that were made.
    pub(crate) retries: u64,
}

/// How long the queues were, on average over many looks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Queues {
    looks: f64,
    mean: f64,
    longest: f64,
    deviation: f64,
}

impl Queues {
    /// At one moment they are so long.
    pub(crate) fn look(&mut self, lengths: impl Iterator<Item = u32>) {
        let (mut count, mut sum, mut squares, mut longest) = (0.0, 0.0, 0.0, 0.0_f64);
        for length in lengths.map(f64::from) {
            count += 1.0;
            sum += length;
            squares += length * length;
            longest = longest.max(length);
        }
        let mean = sum / count;
        self.looks += 1.0;
        self.mean += mean;
        self.longest += longest;
        self.deviation += (squares / count - mean * mean).max(0.0).sqrt();
    }

    pub(crate) fn mean(&self) -> f64 {
        self.mean / self.looks
    }

    pub(crate) fn longest(&self) -> f64 {
        self.longest / self.looks
    }

    pub(crate) fn deviation(&self) -> f64 {
        self.deviation / self.looks
    }
}

impl Figures {
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, 3_600_000_000, 3);
        Self {
            requests: 0,
            failed: 0,
            attempts: 0,
            latency: latency.expect("valid bounds"),
            by_endpoint: Vec::new(),
            queues: Queues::default(),
            seconds: Vec::new(),
            tenths: Vec::new(),
            ejected_most: 0,
            left_least: usize::MAX,
        }
    }

    /// A request was answered after this time.
    pub(crate) fn answered(&mut self, after: Duration) {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record(micros.max(1));
    }

    /// This percentile, in milliseconds.
    pub(crate) fn millis(&self, percentile: f64) -> f64 {
        self.latency.value_at_percentile(percentile) as f64 / 1e3
    }

    /// The second that began so long after the run did.
    pub(crate) fn second(&mut self, since: Duration) -> &mut Second {
        at(&mut self.seconds, since.as_secs() as usize)
    }

    /// The tenth of a second that began so long after the run did.
    pub(crate) fn tenth(&mut self, since: Duration) -> &mut Tenth {
        at(&mut self.tenths, tenth(since))
    }

    /// The figures of the endpoint of this number.
    pub(crate) fn endpoint(&mut self, number: usize) -> &mut OfEndpoint {
        at(&mut self.by_endpoint, number)
    }

    /// Requests that failed, in percent.
    pub(crate) fn failed_percent(&self) -> f64 {
        self.failed as f64 * 100.0 / self.requests.max(1) as f64
    }

    /// What the busiest endpoint got, of what each would get if all got the same.
    pub(crate) fn busiest(&self) -> f64 {
        let attempts = self.by_endpoint.iter().map(|it| it.attempts);
        let (most, sum) = (attempts.clone().max().unwrap_or(0), attempts.sum::<u64>());
        most as f64 * self.by_endpoint.len() as f64 / sum.max(1) as f64
    }
}

impl OfEndpoint {
    /// An attempt was sent to it, so long after the begin.
    pub(crate) fn attempted(&mut self, since: Duration) {
        *at(&mut self.attempts_by_tenth, tenth(since)) += 1;
    }

    /// At the moment so many of all shards have it ejected.
    pub(crate) fn look(&mut self, shards: u32, all: u32, now: Instant) {
        self.ejections += shards.saturating_sub(self.ejected_shards);
        if shards > 0 {
            self.ejected_first.get_or_insert(now);
        }
        if shards == all {
            self.ejected_by_all.get_or_insert(now);
        }
        if shards == 0 && self.ejected_shards > 0 {
            self.is_back = Some(now);
        }
        self.ejected_shards = shards;
    }
}

/// The number of the tenth of a second that began so long after the run did.
fn tenth(since: Duration) -> usize {
    (since.as_millis() / 100) as usize
}

/// The figures of this number, and of those before it.
fn at<T: Clone + Default>(figures: &mut Vec<T>, number: usize) -> &mut T {
    if figures.len() <= number {
        figures.resize(number + 1, T::default());
    }
    &mut figures[number]
}
