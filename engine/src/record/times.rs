//! When an exchange reached each step, and how long each phase took.
//!
//! ```text
//!  head       endpoint              request       first         last byte
//!  received   chosen     connected  sent          byte          handed to the kernel
//!     |--pick----|--connect--|--send---|--first_byte--|-----body-----|
//!     |==========|           |=====.===|              |==..==..======|   added
//!     |-----------------------------total----------------------------|
//! ```
//!
//! *Added* is the time the proxy itself took: the total, without what it spent waiting for others.
//! It waits for the upstream in `connect` (when the connection is new) and in `first_byte`, and
//! for either side at the dots: for more of the client's body, for the client or the upstream to
//! take what is queued, for more of the response. The relay tells those last waits through
//! [`Times::waited`]; a request without a body and a response that came in one piece have none,
//! and then no clock is read beyond the six instants. `head_received` and `first_byte` are the
//! instants at which the shard reaped the read, so queueing inside the shard counts as added.
//!
//! A failed attempt's time, from its endpoint's choice to its failure, is time spent on the
//! upstream: [`Times::attempt_failed`] takes it out of `pick` and `added`; the total keeps it.
//!
//! Invariant: the waits told do not overlap each other, `connect` of a new connection, or
//! `first_byte`. If they do, `added` is too small, never negative.

use std::time::Duration;

use crate::io::Instant;

/// A part of an exchange that has a histogram of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Phase {
    /// From the head's last byte to the response's last byte.
    Total,
    /// The total without waiting for upstream or client.
    Added,
    /// From the head's last byte to the choice of the endpoint: parse, route, balance.
    Pick,
    /// From the choice to an established connection; only when the connection is new.
    Connect,
    /// From the connection to the last byte of the request handed to the kernel.
    Send,
    /// From there to the first byte of the response: what the upstream took.
    FirstByte,
    /// From there to the last byte of the response handed to the kernel.
    Body,
}

impl Phase {
    /// All phases, in the order in which they are kept and printed.
    pub const ALL: [Self; 7] = [
        Self::Total,
        Self::Added,
        Self::Pick,
        Self::Connect,
        Self::Send,
        Self::FirstByte,
        Self::Body,
    ];

    /// The name in logs, metrics and dumps.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Added => "added",
            Self::Pick => "pick",
            Self::Connect => "connect",
            Self::Send => "send",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
        }
    }

    /// The phase with this name.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.label() == label)
    }
}

/// Whom an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The client.
    Downstream,
    /// The endpoint.
    Upstream,
}

/// When an exchange reached each step; an instant of zero means not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The read that completed the request's head was reaped.
    pub head_received: Instant,
    /// An endpoint was chosen, for the last attempt.
    pub endpoint_chosen: Instant,
    /// Its connection was ready, new or from the pool.
    pub connected: Instant,
    /// The last byte of the request was handed to the kernel.
    pub request_sent: Instant,
    /// The read with the first byte of the response was reaped.
    pub first_byte: Instant,
    /// The last byte of the response was handed to the kernel.
    pub last_byte: Instant,
    is_new_connection: bool,
    lost_nanos: u64,
    waited_upstream_nanos: u64,
    waited_downstream_nanos: u64,
}

impl Times {
    /// Nothing reached yet.
    pub const fn new() -> Self {
        let never = Instant::from_nanos(0);
        Self {
            head_received: never,
            endpoint_chosen: never,
            connected: never,
            request_sent: never,
            first_byte: never,
            last_byte: never,
            is_new_connection: false,
            lost_nanos: 0,
            waited_upstream_nanos: 0,
            waited_downstream_nanos: 0,
        }
    }

    /// The connection is ready; `is_new` if it had to be made for this attempt.
    pub const fn connected(&mut self, now: Instant, is_new: bool) {
        self.connected = now;
        self.is_new_connection = is_new;
    }

    /// The exchange had nothing to do from `since` to `now` but to wait for `peer`.
    pub fn waited(&mut self, peer: Peer, since: Instant, now: Instant) {
        let nanos = nanos(now.since(since));
        let sum = match peer {
            Peer::Downstream => &mut self.waited_downstream_nanos,
            Peer::Upstream => &mut self.waited_upstream_nanos,
        };
        *sum = sum.saturating_add(nanos);
    }

    /// The attempt failed and another will be made: what it took is lost, and its steps are
    /// not reached any more.
    pub fn attempt_failed(&mut self, now: Instant) {
        if is_reached(self.endpoint_chosen) {
            let nanos = nanos(now.since(self.endpoint_chosen));
            self.lost_nanos = self.lost_nanos.saturating_add(nanos);
        }
        let never = Instant::from_nanos(0);
        self.endpoint_chosen = never;
        self.connected = never;
        self.request_sent = never;
        self.first_byte = never;
        self.is_new_connection = false;
    }

    /// Time spent waiting for `peer` outside `connect` and `first_byte`.
    pub const fn waited_for(&self, peer: Peer) -> Duration {
        Duration::from_nanos(match peer {
            Peer::Downstream => self.waited_downstream_nanos,
            Peer::Upstream => self.waited_upstream_nanos,
        })
    }

    /// Time lost on attempts that failed.
    pub const fn lost(&self) -> Duration {
        Duration::from_nanos(self.lost_nanos)
    }

    /// How long each phase took, of those whose two ends were reached.
    pub fn phases(&self) -> PhaseTimes {
        let mut phases = PhaseTimes::default();
        let lost = self.lost_nanos;
        phases.set(
            Phase::Pick,
            between(self.head_received, self.endpoint_chosen).map(|all| all.saturating_sub(lost)),
        );
        if self.is_new_connection {
            phases.set(
                Phase::Connect,
                between(self.endpoint_chosen, self.connected),
            );
        }
        phases.set(Phase::Send, between(self.connected, self.request_sent));
        phases.set(
            Phase::FirstByte,
            between(self.request_sent, self.first_byte),
        );
        phases.set(Phase::Body, between(self.first_byte, self.last_byte));
        let total = between(self.head_received, self.last_byte);
        phases.set(Phase::Total, total);
        phases.set(
            Phase::Added,
            total.map(|all| self.added_nanos(all, &phases)),
        );
        phases
    }

    fn added_nanos(&self, total: u64, phases: &PhaseTimes) -> u64 {
        total
            .saturating_sub(phases.nanos(Phase::Connect).unwrap_or(0))
            .saturating_sub(phases.nanos(Phase::FirstByte).unwrap_or(0))
            .saturating_sub(self.lost_nanos)
            .saturating_sub(self.waited_upstream_nanos)
            .saturating_sub(self.waited_downstream_nanos)
    }
}

/// How long each phase of one exchange took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseTimes {
    nanos: [u64; Phase::ALL.len()],
}

/// Marks a phase that did not happen. No phase lasts 584 years.
const NOT_REACHED: u64 = u64::MAX;

impl PhaseTimes {
    /// How long the phase took, in nanoseconds; `None` if it did not happen.
    pub fn nanos(&self, phase: Phase) -> Option<u64> {
        let nanos = self.nanos.get(phase as usize).copied();
        nanos.filter(|nanos| *nanos != NOT_REACHED)
    }

    /// How long the phase took; `None` if it did not happen.
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        self.nanos(phase).map(Duration::from_nanos)
    }

    /// The same without the phases that end with the last byte: what an exchange that became a
    /// tunnel says about latency.
    #[must_use]
    pub fn until_first_byte(mut self) -> Self {
        for phase in [Phase::Total, Phase::Added, Phase::Body] {
            self.set(phase, None);
        }
        self
    }

    fn set(&mut self, phase: Phase, nanos: Option<u64>) {
        if let Some(place) = self.nanos.get_mut(phase as usize) {
            *place = nanos.unwrap_or(NOT_REACHED);
        }
    }
}

impl Default for PhaseTimes {
    fn default() -> Self {
        Self {
            nanos: [NOT_REACHED; Phase::ALL.len()],
        }
    }
}

fn is_reached(instant: Instant) -> bool {
    instant != Instant::from_nanos(0)
}

/// From `start` to `end` if both were reached; zero if they were reached in the other order (a
/// response that began before the request was sent whole).
fn between(start: Instant, end: Instant) -> Option<u64> {
    (is_reached(start) && is_reached(end)).then(|| nanos(end.since(start)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(1_000_000_000 + micros * 1_000)
    }

    fn micros(times: &Times, phase: Phase) -> Option<u64> {
        times.phases().nanos(phase).map(|nanos| nanos / 1_000)
    }

    fn whole(is_new: bool) -> Times {
        let mut times = Times::new();
        times.head_received = at(0);
        times.endpoint_chosen = at(5);
        times.connected(at(105), is_new);
        times.request_sent = at(115);
        times.first_byte = at(1_115);
        times.last_byte = at(1_135);
        times
    }

    #[test]
    fn phases_of_a_new_connection() {
        let times = whole(true);
        assert_eq!(micros(&times, Phase::Pick), Some(5));
        assert_eq!(micros(&times, Phase::Connect), Some(100));
        assert_eq!(micros(&times, Phase::Send), Some(10));
        assert_eq!(micros(&times, Phase::FirstByte), Some(1_000));
        assert_eq!(micros(&times, Phase::Body), Some(20));
        assert_eq!(micros(&times, Phase::Total), Some(1_135));
        assert_eq!(micros(&times, Phase::Added), Some(5 + 10 + 20));
    }

    #[test]
    fn taking_a_pooled_connection_is_the_proxys_own_time() {
        let times = whole(false);
        assert_eq!(micros(&times, Phase::Connect), None);
        assert_eq!(micros(&times, Phase::Added), Some(5 + 100 + 10 + 20));
    }

    #[test]
    fn waits_told_by_the_relay_are_not_added() {
        let mut times = whole(true);
        times.waited(Peer::Downstream, at(105), at(111));
        times.waited(Peer::Upstream, at(1_115), at(1_127));
        assert_eq!(micros(&times, Phase::Added), Some(35 - 6 - 12));
        assert_eq!(micros(&times, Phase::Total), Some(1_135));
        assert_eq!(times.waited_for(Peer::Downstream), Duration::from_micros(6));
        assert_eq!(times.waited_for(Peer::Upstream), Duration::from_micros(12));
    }

    #[test]
    fn a_failed_attempt_is_lost_but_not_added() {
        let mut times = Times::new();
        times.head_received = at(0);
        times.endpoint_chosen = at(4);
        times.connected(at(6), false);
        times.attempt_failed(at(504));
        times.endpoint_chosen = at(507);
        times.connected(at(607), true);
        times.request_sent = at(610);
        times.first_byte = at(710);
        times.last_byte = at(715);
        assert_eq!(times.lost(), Duration::from_micros(500));
        assert_eq!(micros(&times, Phase::Pick), Some(7));
        assert_eq!(micros(&times, Phase::Added), Some(7 + 3 + 5));
        assert_eq!(micros(&times, Phase::Total), Some(715));
    }

    #[test]
    fn a_local_reply_is_all_added() {
        let mut times = Times::new();
        times.head_received = at(0);
        times.last_byte = at(9);
        assert_eq!(micros(&times, Phase::Total), Some(9));
        assert_eq!(micros(&times, Phase::Added), Some(9));
        assert_eq!(micros(&times, Phase::FirstByte), None);
    }

    #[test]
    fn an_early_response_waits_no_time_for_its_first_byte() {
        let mut times = whole(false);
        times.request_sent = at(1_120);
        assert_eq!(micros(&times, Phase::FirstByte), Some(0));
        assert_eq!(micros(&times, Phase::Body), Some(20));
    }

    #[test]
    fn nothing_reached_has_no_phases() {
        let phases = Times::new().phases();
        for phase in Phase::ALL {
            assert_eq!(phases.get(phase), None);
            assert_eq!(Phase::from_label(phase.label()), Some(phase));
        }
    }
}
