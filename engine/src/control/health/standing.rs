//! What is known of one endpoint by its checks (pure).
//!
//! In: the result of each check, with `now`. Out: whether the endpoint's state has changed, and
//! when the next check is due. A state changes only after as many results in a row as configured,
//! so that one lost packet takes no endpoint out; only the first good check of an endpoint that
//! nothing is known of makes it healthy at once.
//!
//! ```text
//!   Unknown ── good ──> Healthy ── bad x unhealthy_after ──> Unhealthy
//!      └─ bad x unhealthy_after ─────────────────────────────────^ │
//!                          ^────────── good x healthy_after ───────┘
//! ```

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::config::HealthCheck;
use crate::tls::HandshakeError;

/// Per cent of an interval by which it may be shorter or longer, so that checks of many endpoints,
/// and of many proxies, do not come together.
const JITTER_PERCENT: u32 = 15;

/// What an endpoint is held to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No check has ended, or too few have failed.
    Unknown,
    /// Fit to serve.
    Healthy,
    /// Not fit to serve.
    Unhealthy,
}

impl State {
    /// As text, for logs and pages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// Why a check failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckError {
    /// Nothing listens there.
    Refused,
    /// No connection for another reason.
    Unreachable,
    /// It took longer than allowed.
    TimedOut,
    /// It did not prove who it is, or the handshake failed otherwise.
    Tls(HandshakeError),
    /// What came is no HTTP response, or the connection ended before one.
    BadResponse,
    /// The status is not an expected one, but this.
    Status(u16),
    /// The content lacks what it must contain.
    Content,
}

impl CheckError {
    /// The name in logs and metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Refused => "connect_refused",
            Self::Unreachable => "connect_failed",
            Self::TimedOut => "timeout",
            Self::Tls(_) => "tls_failed",
            Self::BadResponse => "bad_response",
            Self::Status(_) => "status",
            Self::Content => "content",
        }
    }
}

impl fmt::Display for CheckError {
    /// As the end of a sentence.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => out.write_str("nothing listens there"),
            Self::Unreachable => out.write_str("no connection could be made"),
            Self::TimedOut => out.write_str("it took longer than allowed"),
            Self::Tls(error) => write!(out, "the TLS handshake failed: {}", error.label()),
            Self::BadResponse => out.write_str("what came is no HTTP response"),
            Self::Status(status) => write!(out, "the status was {status}"),
            Self::Content => out.write_str("the content lacks what it must contain"),
        }
    }
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is held to be.
    pub state: State,
    /// Since when.
    pub since: SystemTime,
    /// How the last check went: nothing, or why it failed.
    pub last_error: Option<CheckError>,
    /// When it ended.
    pub checked_at: Option<SystemTime>,
    /// Checks that ended.
    pub checks: u64,
    /// Those of them that failed.
    pub failures: u64,
    /// Results in a row that do not agree with the state.
    streak: u32,
}

impl Standing {
    /// Nothing is known at `now`.
    #[must_use]
    pub const fn new(now: SystemTime) -> Self {
        Self {
            state: State::Unknown,
            since: now,
            last_error: None,
            checked_at: None,
            checks: 0,
            failures: 0,
            streak: 0,
        }
    }

    /// A check has ended. Says whether the state changed.
    pub fn record(
        &mut self,
        result: Result<(), CheckError>,
        check: &HealthCheck,
        now: SystemTime,
    ) -> bool {
        self.checks = self.checks.saturating_add(1);
        self.failures = self.failures.saturating_add(u64::from(result.is_err()));
        self.last_error = result.err();
        self.checked_at = Some(now);
        let (next, needed) = match (self.state, result) {
            (State::Healthy, Ok(())) | (State::Unhealthy, Err(_)) => {
                self.streak = 0;
                return false;
            }
            (State::Unknown, Ok(())) => (State::Healthy, 1),
            (State::Unhealthy, Ok(())) => (State::Healthy, check.healthy_after),
            (State::Unknown | State::Healthy, Err(_)) => (State::Unhealthy, check.unhealthy_after),
        };
        self.streak = self.streak.saturating_add(1);
        if self.streak < needed {
            return false;
        }
        self.state = next;
        self.since = now;
        self.streak = 0;
        true
    }

    /// How long to wait before the next check. `random` spreads it.
    #[must_use]
    pub fn wait(&self, check: &HealthCheck, random: u64) -> Duration {
        let interval = if self.streak > 0 {
            check.changing_interval.min(check.interval)
        } else {
            check.interval
        };
        let span = u64::from(2 * JITTER_PERCENT + 1);
        let percent = u32::try_from(random % span).unwrap_or(JITTER_PERCENT);
        interval.saturating_mul(100 - JITTER_PERCENT + percent) / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HealthProtocol;

    fn check() -> HealthCheck {
        HealthCheck {
            protocol: HealthProtocol::Tcp,
            http: None,
            interval: Duration::from_secs(10),
            changing_interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
            unhealthy_after: 3,
            healthy_after: 2,
        }
    }

    const BAD: Result<(), CheckError> = Err(CheckError::Refused);

    fn after(results: &[Result<(), CheckError>]) -> (Standing, Vec<bool>) {
        let mut standing = Standing::new(SystemTime::UNIX_EPOCH);
        let record = |result: &_| standing.record(*result, &check(), SystemTime::UNIX_EPOCH);
        let changes = results.iter().map(record).collect();
        (standing, changes)
    }

    #[test]
    fn three_bad_take_it_out_and_two_good_bring_it_back() {
        let (standing, changes) = after(&[Ok(()), BAD, BAD, BAD, BAD, Ok(()), Ok(())]);
        assert_eq!(changes, [true, false, false, true, false, false, true]);
        assert_eq!(standing.state, State::Healthy);
        assert_eq!((standing.checks, standing.failures), (7, 4));
    }

    #[test]
    fn one_lost_packet_changes_nothing() {
        let (standing, changes) = after(&[Ok(()), BAD, BAD, Ok(()), BAD, BAD, Ok(())]);
        assert_eq!(changes, [true, false, false, false, false, false, false]);
        assert_eq!(standing.state, State::Healthy);
        let (standing, _) = after(&[BAD, BAD, BAD, Ok(()), BAD, Ok(()), BAD]);
        assert_eq!(standing.state, State::Unhealthy);
    }

    #[test]
    fn an_unknown_endpoint_needs_as_many_failures_as_a_healthy_one() {
        let (standing, changes) = after(&[BAD, BAD, BAD]);
        assert_eq!(changes, [false, false, true]);
        assert_eq!(standing.last_error, Some(CheckError::Refused));
    }

    #[test]
    fn checks_come_faster_while_a_change_is_in_the_air() {
        let check = check();
        let (steady, _) = after(&[Ok(()), Ok(())]);
        let (changing, _) = after(&[Ok(()), BAD]);
        for random in 0..100 {
            let wait = steady.wait(&check, random).as_millis();
            assert!((8_500..=11_500).contains(&wait), "{wait}");
            let wait = changing.wait(&check, random).as_millis();
            assert!((850..=1_150).contains(&wait), "{wait}");
        }
        assert_eq!(steady.wait(&check, 0).as_millis(), 8_500);
        assert_eq!(steady.wait(&check, 30).as_millis(), 11_500);
    }
}
