//! When a request of a route may be tried again, how often, and how long is waited before.
//!
//! In: what went wrong, the number of the retry, a random number. Out: yes or no, and a time. Who
//! else has a say (the method, the body, the cluster's budget) is asked in `forward`.

use std::time::Duration;

use crate::config::model::{self, RetryOn};

/// What went wrong with an attempt after which there may be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RetryReason {
    /// No connection: nothing of the request was sent.
    ConnectFailure,
    /// A connection that had carried other requests ended before a byte of the response.
    StaleConnection,
    /// A connection made for the request ended before a byte of the response.
    Reset,
    /// The response did not begin in time.
    Timeout,
    /// What came is no response.
    BadResponse,
    /// The response has a status that is listed.
    Status,
}

impl RetryReason {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 6] = [
        Self::ConnectFailure,
        Self::StaleConnection,
        Self::Reset,
        Self::Timeout,
        Self::BadResponse,
        Self::Status,
    ];

    /// The name in logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectFailure => "connect_failure",
            Self::StaleConnection => "stale_connection",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::BadResponse => "bad_response",
            Self::Status => "status",
        }
    }

    /// No application can have seen the request, whatever its method.
    pub const fn is_unprocessed(self) -> bool {
        matches!(self, Self::ConnectFailure)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The retries of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub count: u32,
    /// From the choice of an endpoint to the first byte of its response.
    pub per_try_timeout: Option<Duration>,
    /// The longest `Retry-After` that is waited for.
    pub retry_after_max: Duration,
    reasons: u8,
    statuses: Box<[u16]>,
    are_gateway_errors_listed: bool,
    are_server_errors_listed: bool,
    backoff: Duration,
    backoff_max: Duration,
}

impl RetryPolicy {
    /// The policy as configured.
    #[must_use]
    pub fn compile(retry: &model::Retry) -> Self {
        let mut policy = Self {
            count: retry.count,
            per_try_timeout: retry.per_try_timeout,
            retry_after_max: retry.max_retry_after,
            statuses: retry.statuses.clone().into(),
            backoff: retry.backoff,
            backoff_max: retry.max_backoff,
            ..Self::default()
        };
        for on in &retry.on {
            match on {
                RetryOn::ConnectFailure => policy.add(RetryReason::ConnectFailure),
                RetryOn::StaleConnection => policy.add(RetryReason::StaleConnection),
                RetryOn::Reset => {
                    policy.add(RetryReason::Reset);
                    policy.add(RetryReason::StaleConnection);
                }
                RetryOn::Timeout => policy.add(RetryReason::Timeout),
                RetryOn::BadResponse => policy.add(RetryReason::BadResponse),
                RetryOn::GatewayError => policy.are_gateway_errors_listed = true,
                RetryOn::ServerError => policy.are_server_errors_listed = true,
            }
        }
        let are_statuses_listed = policy.are_gateway_errors_listed
            || policy.are_server_errors_listed
            || !policy.statuses.is_empty();
        if are_statuses_listed {
            policy.add(RetryReason::Status);
        }
        policy
    }

    const fn add(&mut self, reason: RetryReason) {
        self.reasons |= reason.bit();
    }

    /// Whether there may be another attempt after this.
    pub const fn allows(&self, reason: RetryReason) -> bool {
        self.count > 0 && self.reasons & reason.bit() != 0
    }

    /// Whether a request that might have been processed may be tried again after anything: then
    /// its body has to be kept.
    pub const fn repeats(&self) -> bool {
        self.count > 0 && self.reasons & !RetryReason::ConnectFailure.bit() != 0
    }

    /// Whether a response with this status is listed.
    pub fn lists(&self, status: u16) -> bool {
        match status {
            502..=504 if self.are_gateway_errors_listed => true,
            500..=599 if self.are_server_errors_listed => true,
            _ => self.statuses.contains(&status),
        }
    }

    /// How long is waited before retry number `retry`, from 1: anything up to a bound that doubles
    /// with each retry (full jitter), so that those that failed together do not come together.
    pub fn backoff(&self, retry: u32, random: u64) -> Duration {
        let doubled = 1_u32.checked_shl(retry.saturating_sub(1));
        let bound = match doubled {
            Some(factor) if factor > 0 => self.backoff.saturating_mul(factor),
            _ => Duration::MAX,
        };
        let bound = bound.min(self.backoff_max).as_nanos();
        let share = u128::from(random & 0xffff_ffff);
        let nanos = bound.saturating_mul(share) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(on: &[RetryOn], statuses: &[u16]) -> RetryPolicy {
        RetryPolicy::compile(&model::Retry {
            on: on.to_vec(),
            statuses: statuses.to_vec(),
            count: 3,
            per_try_timeout: None,
            backoff: Duration::from_millis(25),
            max_backoff: Duration::from_millis(250),
            max_retry_after: Duration::from_secs(1),
        })
    }

    #[test]
    fn only_what_is_listed_is_retried() {
        let default = policy(&[RetryOn::ConnectFailure, RetryOn::StaleConnection], &[]);
        for reason in RetryReason::ALL {
            let expected = matches!(
                reason,
                RetryReason::ConnectFailure | RetryReason::StaleConnection
            );
            assert_eq!(default.allows(reason), expected, "{reason:?}");
        }
        assert!(!default.lists(503));
        let gateway = policy(&[RetryOn::GatewayError], &[429]);
        for (status, expected) in [
            (429, true),
            (500, false),
            (502, true),
            (504, true),
            (505, false),
            (200, false),
        ] {
            assert_eq!(gateway.lists(status), expected, "{status}");
        }
        assert!(gateway.allows(RetryReason::Status) && gateway.repeats());
        assert!(policy(&[RetryOn::ServerError], &[]).lists(500));
    }

    #[test]
    fn no_retries_means_none() {
        let none = RetryPolicy::default();
        assert!(RetryReason::ALL.iter().all(|&reason| !none.allows(reason)));
        assert!(!none.repeats());
    }

    #[test]
    fn waits_double_and_are_spread_from_nothing_to_a_bound() {
        let policy = policy(&[], &[]);
        for (retry, bound) in [(1, 25), (2, 50), (3, 100), (4, 200), (5, 250), (99, 250)] {
            assert_eq!(policy.backoff(retry, 0), Duration::ZERO);
            let longest = policy.backoff(retry, u64::MAX);
            let bound = Duration::from_millis(bound);
            assert!(longest <= bound && longest > bound * 99 / 100, "{retry}");
            let half = policy.backoff(retry, 0x8000_0000);
            assert_eq!(half, bound / 2, "{retry}");
        }
    }
}
