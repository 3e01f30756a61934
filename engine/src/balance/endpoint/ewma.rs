//! Peak-sensitive moving average of an endpoint's latency.
//!
//! The idea is Finagle's (`PeakEwma`), taken over by linkerd: the expected cost of sending one
//! more request is the latency seen lately times the requests that would then be in flight. The
//! average jumps to a latency above it at once and forgets it exponentially: after the decay time,
//! a peak weighs 1/e. Time without samples counts as if samples of zero had come, so that an
//! endpoint that was slow is tried again.
//!
//! No connection and no answer count as a bound that is far above any latency. An answer that says
//! "not here, not now", or a connection that breaks, counts as twice what the cluster needs on
//! average, and each further one in a row as four times as much as the one before, up to that
//! bound: who refuses now and then, as anybody does, is not left out for a minute, and who always
//! does is.
//!
//! An endpoint that never answered is taken to be as fast as its cluster on average, and the first
//! ones of all to take the configured time.

use std::cell::Cell;
use std::time::Duration;

use crate::io::Instant;

/// How latencies are averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EwmaPolicy {
    /// After this time a latency weighs 1/e.
    pub decay: Duration,
    /// What an endpoint is taken to need as long as nothing is known of its cluster.
    pub default_latency: Duration,
    /// What an attempt without a connection or an answer counts as; and at most one with an answer
    /// that says that the endpoint is overloaded or out of service (429, 502, 503, 504).
    pub penalty: Duration,
}

impl Default for EwmaPolicy {
    fn default() -> Self {
        Self {
            decay: Duration::from_secs(10),
            default_latency: Duration::from_millis(30),
            penalty: Duration::from_secs(5),
        }
    }
}

/// The latency of one endpoint, or of a cluster.
#[derive(Debug, Default)]
pub(in crate::balance) struct PeakEwma {
    /// Nanoseconds, at `at`.
    average: Cell<f64>,
    /// The last sample; zero before the first.
    at: Cell<Instant>,
}

impl PeakEwma {
    /// A request took `latency`.
    pub(in crate::balance) fn observe(&self, latency: Duration, now: Instant, decay: Duration) {
        let sample = latency.as_secs_f64() * 1e9;
        if self.at.get() == Instant::default() || sample > self.average.get() {
            self.average.set(sample);
        } else {
            let kept = kept(now.since(self.at.get()), decay);
            self.average
                .set(self.average.get() * kept + sample * (1.0 - kept));
        }
        self.at.set(now.max(Instant::from_nanos(1)));
    }

    /// A request failed, and counts as `penalty`, unless that is better than what is known.
    pub(in crate::balance) fn punish(&self, penalty: Duration, now: Instant, decay: Duration) {
        let known = self.nanos(now, decay);
        if known.is_none_or(|known| penalty.as_secs_f64() * 1e9 > known) {
            self.observe(penalty, now, decay);
        }
    }

    /// The average at the last sample, in nanoseconds.
    pub(in crate::balance) fn last(&self) -> f64 {
        self.average.get()
    }

    /// The average now, in nanoseconds; `None` before the first sample.
    pub(in crate::balance) fn nanos(&self, now: Instant, decay: Duration) -> Option<f64> {
        let at = self.at.get();
        (at != Instant::default()).then(|| self.average.get() * kept(now.since(at), decay))
    }
}

/// What is left of an average after `idle`.
fn kept(idle: Duration, decay: Duration) -> f64 {
    (-idle.as_secs_f64() / decay.as_secs_f64().max(1e-9)).exp()
}

/// A plain moving average over about the last hundred samples, in nanoseconds: what a newcomer is
/// taken to need. Samples are the averages of endpoints, with their peaks: next to those a newcomer
/// that was taken at the latencies themselves would be the fastest, and flooded.
#[derive(Debug, Default)]
pub(in crate::balance) struct Mean(Cell<f64>);

impl Mean {
    const SHARE: f64 = 1.0 / 64.0;

    pub(in crate::balance) fn observe(&self, sample: f64) {
        let mean = self.0.get();
        self.0.set(if mean == 0.0 {
            sample
        } else {
            mean + (sample - mean) * Self::SHARE
        });
    }

    /// In nanoseconds; `None` before the first sample.
    pub(in crate::balance) fn nanos(&self) -> Option<f64> {
        Some(self.0.get()).filter(|mean| *mean > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn millis(average: &PeakEwma, now: Instant) -> f64 {
        average.nanos(now, DECAY).expect("a sample") / 1e6
    }

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let average = PeakEwma::default();
        assert_eq!(average.nanos(at(1), DECAY), None);
        average.observe(Duration::from_millis(10), at(1), DECAY);
        average.observe(Duration::from_millis(100), at(1), DECAY);
        assert!((millis(&average, at(1)) - 100.0).abs() < 1e-9);
        let faded = 100.0 / std::f64::consts::E;
        assert!((millis(&average, at(11)) - faded).abs() < 1e-9);
    }

    #[test]
    fn steady_latencies_are_their_own_average() {
        let average = PeakEwma::default();
        for second in 1..100 {
            average.observe(Duration::from_millis(7), at(second), DECAY);
        }
        assert!((millis(&average, at(99)) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn a_lower_latency_is_approached_over_the_decay_time() {
        let average = PeakEwma::default();
        average.observe(Duration::from_millis(100), at(0), DECAY);
        for second in 1..=10 {
            average.observe(Duration::from_millis(10), at(second), DECAY);
        }
        let expected = 10.0 + 90.0 / std::f64::consts::E;
        assert!((millis(&average, at(10)) - expected).abs() < 1.0);
    }
}
