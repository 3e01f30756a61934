//! What one shard, or the whole run, has measured: histograms and counts.
//!
//! A request has four instants. It is *due* when the schedule says so; it is *free* to go when a
//! connection is available for it; it is *sent*; it is *done* when the last byte of the answer is
//! here. From these come three series, in nanoseconds with three significant digits:
//!
//! ```text
//!   due ──────── free ──────── sent ─────────────────── done
//!    │             └─ send lag ─┘└──── service time ─────┘
//!    └───────────────── response time ───────────────────┘
//! ```
//!
//! When a connection was free before the due time, send lag counts from the due time.
//!
//! Response time ([`Samples::latency`]) is the figure: it starts at the due time, so a stall of
//! the target cannot hide behind requests that were not sent. Only right answers enter as
//! answers; a request that got none (timed out, or unanswered at the end) enters at its age, since
//! leaving it out would flatter the target. Recording does not allocate.

use engine::io::Instant;
use hdrhistogram::Histogram;

use crate::grpc;

/// The longest time a histogram tells apart: one hour. Longer ones count as one hour.
const NANOS_MAX: u64 = 3_600_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why a request did not get the right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection could be opened.
    Connect,
    /// The TLS handshake failed, or TLS later: a certificate, a version, a broken record.
    Tls,
    /// The connection broke: reset, or another socket error.
    Reset,
    /// HTTP/2: the peer refused the request, again and again, without looking at it.
    Refused,
    /// The peer closed the connection before the answer was complete.
    Closed,
    /// No whole answer within the timeout.
    Timeout,
    /// The answer breaks HTTP/1.1, or bytes came that nobody asked for.
    Malformed,
    /// The answer has a status that was not expected.
    Status,
    /// The body has another length than expected.
    Length,
    /// The body has another hash than expected.
    Hash,
    /// A gRPC call ended with a status that was not expected, or without one.
    Grpc,
}

impl Failure {
    /// All of them, in the order they are counted.
    pub(crate) const ALL: [Self; 11] = [
        Self::Connect,
        Self::Tls,
        Self::Reset,
        Self::Refused,
        Self::Closed,
        Self::Timeout,
        Self::Malformed,
        Self::Status,
        Self::Length,
        Self::Hash,
        Self::Grpc,
    ];

    /// The word for it in reports.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::Refused => "refused",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed",
            Self::Status => "status",
            Self::Length => "length",
            Self::Hash => "hash",
            Self::Grpc => "grpc",
        }
    }
}

/// The instants of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// When the schedule wanted it sent; in a closed loop, when its connection became free.
    pub due: Instant,
    /// When a connection was there for it.
    pub free: Instant,
    /// When it was handed to the socket.
    pub sent: Instant,
}

impl Times {
    /// Nanoseconds the generator itself was late: neither the schedule nor a missing connection
    /// held the request back any longer.
    fn lag(&self) -> u64 {
        nanos(self.due.max(self.free), self.sent)
    }
}

/// How many of what.
#[derive(Clone, Debug)]
pub(crate) struct Counts {
    /// Requests that got the right answer.
    pub answered: u64,
    /// Requests due but without an answer when the run was over.
    pub unanswered: u64,
    /// Requests that were due while no connection was free.
    pub waited: u64,
    /// Bytes of answers.
    pub received_bytes: u64,
    failures: [u64; Failure::ALL.len()],
    /// Answers by status; the index is the status.
    statuses: Box<[u64; 1000]>,
    /// Answers to gRPC calls by their status.
    grpc_statuses: [u64; grpc::CODES],
}

impl Counts {
    fn new() -> Self {
        Self {
            answered: 0,
            unanswered: 0,
            waited: 0,
            received_bytes: 0,
            failures: [0; Failure::ALL.len()],
            statuses: Box::new([0; 1000]),
            grpc_statuses: [0; grpc::CODES],
        }
    }

    /// Failures of one kind.
    pub(crate) const fn failed(&self, failure: Failure) -> u64 {
        self.failures[failure as usize]
    }

    /// Failures of all kinds.
    pub(crate) fn failed_total(&self) -> u64 {
        self.failures.iter().sum()
    }

    /// Requests that were due: every one is answered, failed or unanswered.
    pub(crate) fn total(&self) -> u64 {
        self.answered + self.unanswered + self.failed_total()
    }

    /// Each status that occurred, and how often.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = (usize, u64)> {
        self.statuses
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, count)| count > 0)
    }

    /// Each gRPC status that occurred, and how often.
    pub(crate) fn grpc_statuses(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.grpc_statuses.iter().copied().enumerate();
        counts.filter(|&(_, count)| count > 0)
    }

    /// Counts the status of a gRPC call.
    pub(crate) fn grpc_status(&mut self, code: u8) {
        if let Some(count) = self.grpc_statuses.get_mut(usize::from(code)) {
            *count += 1;
        }
    }

    fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.unanswered += other.unanswered;
        self.waited += other.waited;
        self.received_bytes += other.received_bytes;
        let sums = self.failures.iter_mut().zip(other.failures);
        sums.for_each(|(sum, count)| *sum += count);
        let sums = self.statuses.iter_mut().zip(*other.statuses);
        sums.for_each(|(sum, count)| *sum += count);
        let sums = self.grpc_statuses.iter_mut().zip(other.grpc_statuses);
        sums.for_each(|(sum, count)| *sum += count);
    }
}

/// The series that only an open loop has.
#[derive(Clone, Debug)]
pub(crate) struct OpenSeries {
    /// Service time: sent to done; what a closed loop would report ("uncorrected").
    pub service: Histogram<u64>,
    /// How late the generator itself sent.
    pub lag: Histogram<u64>,
}

/// Everything measured in one stretch of time.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    /// Response time: due to done.
    pub latency: Histogram<u64>,
    /// Present in an open loop; in a closed loop due is sent, and the two would be equal.
    pub open: Option<OpenSeries>,
    /// How many of what.
    pub counts: Counts,
}

impl Samples {
    /// Empty samples for an open or closed loop.
    pub(crate) fn new(open: bool) -> Self {
        Self {
            latency: histogram(),
            open: open.then(|| OpenSeries {
                service: histogram(),
                lag: histogram(),
            }),
            counts: Counts::new(),
        }
    }

    /// The right answer came.
    pub(crate) fn answered(&mut self, times: &Times, done: Instant, status: u16) {
        self.counts.answered += 1;
        self.status(status);
        self.timed(times, done);
    }

    /// An answer came that is not the expected one: counted, never timed.
    pub(crate) fn wrong(&mut self, times: &Times, failure: Failure, status: u16) {
        self.status(status);
        self.failed(times, failure);
    }

    /// No answer came. A timeout is timed at its age; other failures are fast or slow for reasons
    /// that say nothing of an answer, so they are counted only.
    pub(crate) fn broken(&mut self, times: &Times, failure: Failure, done: Instant) {
        if failure == Failure::Timeout {
            self.counts.failures[failure as usize] += 1;
            self.timed(times, done);
        } else {
            self.failed(times, failure);
        }
    }

    /// The run ended at `end` and the request, sent or not, had no answer.
    pub(crate) fn unanswered(&mut self, due: Instant, sent: Option<Instant>, end: Instant) {
        self.counts.unanswered += 1;
        self.latency.saturating_record(nanos(due, end));
        if let (Some(open), Some(sent)) = (&mut self.open, sent) {
            open.service.saturating_record(nanos(sent, end));
        }
    }

    /// Adds what `other` holds.
    pub(crate) fn add(&mut self, other: &Self) {
        add(&mut self.latency, &other.latency);
        if let (Some(open), Some(other)) = (&mut self.open, &other.open) {
            add(&mut open.service, &other.service);
            add(&mut open.lag, &other.lag);
        }
        self.counts.add(&other.counts);
    }

    /// Forgets everything; the memory stays.
    pub(crate) fn reset(&mut self) {
        self.latency.reset();
        if let Some(open) = &mut self.open {
            open.service.reset();
            open.lag.reset();
        }
        let Counts {
            answered,
            unanswered,
            waited,
            received_bytes,
            failures,
            statuses,
            grpc_statuses,
        } = &mut self.counts;
        (*answered, *unanswered, *waited, *received_bytes) = (0, 0, 0, 0);
        *failures = [0; Failure::ALL.len()];
        statuses.fill(0);
        grpc_statuses.fill(0);
    }

    fn timed(&mut self, times: &Times, done: Instant) {
        self.latency.saturating_record(nanos(times.due, done));
        if let Some(open) = &mut self.open {
            open.service.saturating_record(nanos(times.sent, done));
        }
        self.departed(times);
    }

    fn failed(&mut self, times: &Times, failure: Failure) {
        self.counts.failures[failure as usize] += 1;
        self.departed(times);
    }

    /// What is known of every request that left, whatever became of it.
    fn departed(&mut self, times: &Times) {
        self.counts.waited += u64::from(times.free > times.due);
        if let Some(open) = &mut self.open {
            open.lag.saturating_record(times.lag());
        }
    }

    fn status(&mut self, status: u16) {
        if let Some(count) = self.counts.statuses.get_mut(usize::from(status)) {
            *count += 1;
        }
    }
}

fn nanos(from: Instant, to: Instant) -> u64 {
    to.nanos().saturating_sub(from.nanos())
}

/// An empty histogram of nanoseconds, as all of this program are.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that the crate accepts")
}

/// Adds one histogram to another.
pub(crate) fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) {
    sum.add(other)
        .expect("all histograms here have the same bounds");
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn latency_starts_at_the_due_time_and_lag_where_the_generator_is_to_blame() {
        let mut samples = Samples::new(true);
        // Connection idle at 100, due at 1000, sent 50 late, answered at 3000.
        let punctual = Times {
            due: at(1_000),
            free: at(100),
            sent: at(1_050),
        };
        samples.answered(&punctual, at(3_000), 200);
        // Due at 1000, but a connection became free only at 9000; sent 10 after that.
        let waited = Times {
            due: at(1_000),
            free: at(9_000),
            sent: at(9_010),
        };
        samples.answered(&waited, at(10_000), 200);
        let open = samples.open.as_ref().expect("an open loop");
        let latency = &samples.latency;
        assert!(latency.equivalent(latency.min(), 2_000));
        assert!(latency.equivalent(latency.max(), 9_000));
        assert_eq!((open.service.min(), open.service.max()), (990, 1_950));
        assert_eq!((open.lag.min(), open.lag.max()), (10, 50));
        assert_eq!((samples.counts.answered, samples.counts.waited), (2, 1));
    }

    #[test]
    fn wrong_answers_are_counted_but_never_timed() {
        let mut samples = Samples::new(true);
        let times = Times {
            due: at(0),
            free: at(0),
            sent: at(0),
        };
        for failure in Failure::ALL {
            samples.wrong(&times, failure, 503);
        }
        assert!(samples.latency.is_empty());
        let all = Failure::ALL.len() as u64;
        assert_eq!(samples.counts.failed_total(), all);
        assert_eq!(samples.counts.statuses().collect::<Vec<_>>(), [(503, all)]);
        samples.broken(&times, Failure::Reset, at(5));
        assert!(samples.latency.is_empty());
    }

    #[test]
    fn requests_without_an_answer_count_at_their_age() {
        let mut samples = Samples::new(true);
        let times = Times {
            due: at(0),
            free: at(0),
            sent: at(500),
        };
        samples.broken(&times, Failure::Timeout, at(1_000));
        samples.unanswered(at(200), None, at(1_000));
        samples.unanswered(at(300), Some(at(900)), at(1_000));
        assert_eq!((samples.latency.len(), samples.latency.max()), (3, 1_000));
        let open = samples.open.as_ref().expect("an open loop");
        assert_eq!((open.service.len(), open.service.min()), (2, 100));
        assert_eq!((samples.counts.unanswered, samples.counts.total()), (2, 3));
    }

    #[test]
    fn adding_and_resetting_cover_every_field() {
        let mut one = Samples::new(true);
        let times = Times {
            due: at(1),
            free: at(2),
            sent: at(3),
        };
        one.answered(&times, at(10), 200);
        one.wrong(&times, Failure::Hash, 200);
        one.unanswered(at(0), Some(at(0)), at(9));
        one.counts.received_bytes = 7;
        one.counts.grpc_status(5);
        let mut sum = Samples::new(true);
        sum.add(&one);
        sum.add(&one);
        assert_eq!(sum.latency.len(), 4);
        assert_eq!(sum.open.as_ref().map(|open| open.lag.len()), Some(4));
        assert_eq!(sum.counts.failed(Failure::Hash), 2);
        assert_eq!((sum.counts.total(), sum.counts.waited), (6, 4));
        assert_eq!(
            (sum.counts.received_bytes, sum.counts.statuses().count()),
            (14, 1)
        );
        assert_eq!(sum.counts.grpc_statuses().collect::<Vec<_>>(), [(5, 2)]);
        sum.reset();
        assert_eq!(format!("{sum:?}"), format!("{:?}", Samples::new(true)));
    }

    #[test]
    fn times_beyond_an_hour_saturate() {
        let mut samples = Samples::new(false);
        samples.unanswered(at(0), None, at(u64::MAX));
        assert!(samples.latency.max() >= NANOS_MAX);
    }
}
