//! What may be tried again.
//!
//! In: how an attempt failed, and what is known about the request. Out: a [`Grant`] for another
//! attempt, or nothing. All of these must hold:
//!
//! - The route's policy lists what went wrong, and has retries left.
//! - Nothing of the request can have been processed (no connection was made), or its method is
//!   idempotent: a proxy must not repeat others by itself (RFC 9110 §9.2.2).
//! - The request is still whole: its body unsent, or all that was sent kept for replay.
//! - Nothing of a response has gone to the client but interim ones.
//! - The wait before the attempt ends within the time of the whole exchange.
//! - The cluster's budget has something left.
//!
//! The wait is the policy's back-off, or what the response's `Retry-After` asks for (RFC 9110
//! §10.2.3) if that is longer; one that is longer than allowed, or a date, means no retry: to wait
//! for a date would be to trust two clocks.

use std::time::Duration;

use super::attempt::{Failed, Reached};
use super::relay::RelayError;
use super::trace::Trace;
use super::{Call, Circuit, ForwardError};
use crate::http::{FieldName, Method, Response};
use crate::io::{Instant, clock};
use crate::route::{RetryPolicy, RetryReason};

/// The right to make another attempt.
#[derive(Clone, Copy, Debug)]
pub struct Grant {
    /// Why it was given.
    pub reason: RetryReason,
    /// How long to wait first.
    pub wait: Duration,
}

/// A wish for another attempt: what is known of the request, and of the one that failed.
#[derive(Clone, Copy, Debug)]
pub struct RetryWish {
    /// What went wrong.
    pub reason: RetryReason,
    /// What the response says about when to come again.
    pub retry_after: RetryAfter,
    /// To repeat the request has the same effect as to send it once.
    pub is_idempotent: bool,
    /// Its body is unsent or wholly kept.
    pub is_replayable: bool,
    /// The request's random number.
    pub random: u64,
    /// When the time of the whole exchange is over.
    pub ends: Instant,
}

/// What a response says about when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Nothing.
    Unsaid,
    /// After so long.
    Delay(Duration),
    /// At some date, or something that cannot be read.
    Unknown,
}

impl RetryAfter {
    pub(super) fn of(response: &Response<'_>) -> Self {
        response
            .field(FieldName::RetryAfter)
            .map_or(Self::Unsaid, Self::parse)
    }

    fn parse(value: &[u8]) -> Self {
        let text = std::str::from_utf8(value).ok();
        let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|text| text.parse().ok()) {
            Some(seconds) => Self::Delay(Duration::from_secs(seconds)),
            None => Self::Unknown,
        }
    }

    /// The wait, if it may be waited for.
    fn wait(self, backoff: Duration, longest: Duration) -> Option<Duration> {
        match self {
            Self::Unsaid => Some(backoff),
            Self::Delay(delay) if delay <= longest => Some(delay.max(backoff)),
            Self::Delay(_) | Self::Unknown => None,
        }
    }
}

/// In what way an attempt failed, if it is one of those after which there may be another.
pub(super) fn reason(failed: &Failed) -> Option<RetryReason> {
    match (failed.error, failed.reached) {
        (ForwardError::Connect(_), Reached::Nothing) => Some(RetryReason::ConnectFailure),
        (_, Reached::Nothing | Reached::Committed) => None,
        (ForwardError::Relay(RelayError::UpstreamClosed), Reached::SentOnReused) => {
            Some(RetryReason::StaleConnection)
        }
        // What is cut by us may have been read, also on a connection that had idled.
        (
            ForwardError::Relay(RelayError::UpstreamClosed | RelayError::UpstreamUntrusted),
            Reached::SentOnFresh,
        )
        | (ForwardError::Relay(RelayError::UpstreamUntrusted), Reached::SentOnReused) => {
            Some(RetryReason::Reset)
        }
        (ForwardError::Relay(RelayError::TryTimeout | RelayError::FirstByteTimeout), _) => {
            Some(RetryReason::Timeout)
        }
        // A head that is cut short, too.
        (
            ForwardError::Relay(RelayError::UpstreamClosed | RelayError::UpstreamUntrusted),
            Reached::Begun,
        )
        | (
            ForwardError::ResponseHead(_)
            | ForwardError::InterimFlood
            | ForwardError::UnaskedSwitch,
            _,
        ) => Some(RetryReason::BadResponse),
        (
            ForwardError::Pick(_)
            | ForwardError::Pending(_)
            | ForwardError::Connect(_)
            | ForwardError::Relay(_),
            _,
        ) => None,
    }
}

/// Asks for another attempt. What is granted is paid for and noted in `trace`.
///
/// *Input:* `is_replayable`: the body is unsent or wholly kept.
pub(super) fn ask(
    call: &Call<'_>,
    reason: RetryReason,
    retry_after: RetryAfter,
    is_replayable: bool,
    trace: &mut Trace,
) -> Option<Grant> {
    let wish = RetryWish {
        reason,
        retry_after,
        is_idempotent: is_idempotent(call.request.method()),
        is_replayable,
        random: call.random,
        ends: call.timeouts.request_ends,
    };
    wish.grant(call.retry, call.circuit, trace, clock::now())
}

impl RetryWish {
    /// Grants it or not, by the rules above (pure). What is granted is paid for and noted in
    /// `trace`, which says how many attempts there were.
    pub fn grant(
        &self,
        policy: &RetryPolicy,
        circuit: &Circuit,
        trace: &mut Trace,
        now: Instant,
    ) -> Option<Grant> {
        let is_safe = self.reason.is_unprocessed() || self.is_idempotent;
        if !(policy.allows(self.reason) && is_safe && self.is_replayable) {
            return None;
        }
        let retries = trace.attempts.saturating_sub(1);
        if retries >= policy.count {
            trace.is_retry_limit_reached = true;
            return None;
        }
        let retry = retries.saturating_add(1);
        let random = self.random.rotate_right(retry.wrapping_mul(13));
        let backoff = policy.backoff(retry, random);
        let wait = self.retry_after.wait(backoff, policy.retry_after_max)?;
        if now + wait >= self.ends {
            return None;
        }
        if !circuit.withdraw(now) {
            trace.is_budget_exhausted = true;
            return None;
        }
        trace.retried(self.reason);
        Some(Grant {
            reason: self.reason,
            wait,
        })
    }
}

/// RFC 9110 §9.2.2: repeating the request has the same effect as sending it once. An unknown
/// method is not assumed to be.
pub(super) const fn is_idempotent(method: Method) -> bool {
    match method {
        Method::Get
        | Method::Head
        | Method::Put
        | Method::Delete
        | Method::Options
        | Method::Trace => true,
        Method::Post | Method::Patch | Method::Connect | Method::Other => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::ConnectError;
    use crate::http::HeadError;

    fn reason_of(error: ForwardError, reached: Reached) -> Option<RetryReason> {
        reason(&Failed { error, reached })
    }

    #[test]
    fn rfc9110_9_2_2_only_idempotent_methods_are_repeated() {
        for method in [
            Method::Get,
            Method::Head,
            Method::Put,
            Method::Delete,
            Method::Options,
            Method::Trace,
        ] {
            assert!(is_idempotent(method), "{method:?}");
        }
        for method in [Method::Post, Method::Patch, Method::Connect, Method::Other] {
            assert!(!is_idempotent(method), "{method:?}");
        }
    }

    #[test]
    fn rfc9112_9_3_1_a_close_is_told_by_the_connection_it_came_on() {
        let closed = ForwardError::Relay(RelayError::UpstreamClosed);
        for (reached, expected) in [
            (Reached::Nothing, None),
            (Reached::SentOnReused, Some(RetryReason::StaleConnection)),
            (Reached::SentOnFresh, Some(RetryReason::Reset)),
            (Reached::Begun, Some(RetryReason::BadResponse)),
            (Reached::Committed, None),
        ] {
            assert_eq!(reason_of(closed, reached), expected, "{reached:?}");
        }
    }

    #[test]
    fn what_was_never_sent_was_not_processed() {
        let refused = ForwardError::Connect(ConnectError::Refused);
        let reason = reason_of(refused, Reached::Nothing);
        assert_eq!(reason, Some(RetryReason::ConnectFailure));
        assert!(reason.is_some_and(RetryReason::is_unprocessed));
    }

    #[test]
    fn a_response_that_was_begun_is_final() {
        for error in [
            ForwardError::Relay(RelayError::UpstreamClosed),
            ForwardError::Relay(RelayError::IdleTimeout),
            ForwardError::Relay(RelayError::FirstByteTimeout),
            ForwardError::ResponseHead(HeadError::Line),
        ] {
            assert_eq!(reason_of(error, Reached::Committed), None, "{error:?}");
        }
    }

    #[test]
    fn what_the_client_did_is_no_reason() {
        for error in [
            RelayError::ClientGone,
            RelayError::BodyTruncated,
            RelayError::BodyTimeout,
            RelayError::RequestTimeout,
        ] {
            let error = ForwardError::Relay(error);
            assert_eq!(reason_of(error, Reached::SentOnFresh), None, "{error:?}");
        }
    }

    #[test]
    fn rfc9110_10_2_3_retry_after_is_obeyed_or_nothing_is_tried() {
        let (backoff, longest) = (Duration::from_millis(20), Duration::from_secs(2));
        for (value, expected) in [
            (&b"0"[..], Some(backoff)),
            (b"1", Some(Duration::from_secs(1))),
            (b"2", Some(longest)),
            (b"3", None),
            (b"Sun, 06 Nov 1994 08:49:37 GMT", None),
            (b"-1", None),
            (b"", None),
            (b"99999999999999999999999999", None),
        ] {
            let wait = RetryAfter::parse(value).wait(backoff, longest);
            assert_eq!(wait, expected, "{:?}", String::from_utf8_lossy(value));
        }
        assert_eq!(RetryAfter::Unsaid.wait(backoff, longest), Some(backoff));
    }
}
