//! From the errors of the steps to the one [`Failure`] of an exchange.
//!
//! Every match is exhaustive: a new error of a step makes the compiler ask what it is.

use crate::balance::PickError;
use crate::forward::{
    BodyError, ConnectError, ForwardError, PendingError, PoolEvent, RelayError, Trace,
};
use crate::http::HeadError;
use crate::io::Instant;
use crate::record::{self, DownstreamFailure, Failure, HeadFault, UpstreamFailure};

/// A failure and its exact reason in the words of the step that found it.
pub(super) type Reason = (Failure, &'static str);

/// A request head that was refused.
pub(super) fn request_head(error: HeadError) -> Reason {
    let fault = HeadFault::from_status(error.status());
    (DownstreamFailure::BadHead(fault).into(), error.label())
}

/// No endpoint.
fn pick(error: PickError) -> Reason {
    let failure = match error {
        PickError::NoEndpoint => UpstreamFailure::NoEndpoint,
    };
    (failure.into(), "")
}

/// A request that was not forwarded, or not to the end.
pub(super) fn forward(error: ForwardError, trace: &Trace) -> Reason {
    match error {
        ForwardError::Pick(error) => pick(error),
        ForwardError::Pending(PendingError::Full) => {
            (UpstreamFailure::Overflow.into(), "pending_full")
        }
        ForwardError::Pending(PendingError::TimedOut) => {
            (UpstreamFailure::Overflow.into(), "pending_timeout")
        }
        ForwardError::Connect(ConnectError::Refused) => {
            (UpstreamFailure::ConnectRefused.into(), "")
        }
        ForwardError::Connect(ConnectError::TimedOut) => {
            (UpstreamFailure::ConnectTimeout.into(), "")
        }
        ForwardError::Connect(ConnectError::Failed) => (UpstreamFailure::ConnectFailed.into(), ""),
        ForwardError::Connect(ConnectError::Tls(error)) => {
            (UpstreamFailure::TlsFailed.into(), error.label())
        }
        ForwardError::Relay(error) => relay(error, trace),
        ForwardError::ResponseHead(error) => (UpstreamFailure::BadResponse.into(), error.label()),
        ForwardError::InterimFlood => (UpstreamFailure::BadResponse.into(), "interim_flood"),
        ForwardError::UnaskedSwitch => (UpstreamFailure::BadResponse.into(), "unasked_switch"),
    }
}

fn relay(error: RelayError, trace: &Trace) -> Reason {
    let failure: Failure = match error {
        RelayError::ClientGone => DownstreamFailure::Closed.into(),
        RelayError::BodyTruncated => DownstreamFailure::BodyTruncated.into(),
        RelayError::ClientStalled => DownstreamFailure::ReadStalled.into(),
        RelayError::BodyTimeout => DownstreamFailure::BodyTimeout.into(),
        RelayError::RequestBody(error) => match error {
            BodyError::TooLarge => DownstreamFailure::BodyTooLarge.into(),
            BodyError::Chunk(_) => DownstreamFailure::BadBody.into(),
        },
        RelayError::RequestTimeout => UpstreamFailure::RequestTimeout.into(),
        RelayError::FirstByteTimeout | RelayError::TryTimeout => {
            UpstreamFailure::FirstByteTimeout.into()
        }
        RelayError::IdleTimeout => UpstreamFailure::IdleTimeout.into(),
        RelayError::UpstreamClosed | RelayError::UpstreamUntrusted => {
            match trace.first_byte_at == Instant::default() {
                true => UpstreamFailure::ClosedBeforeResponse.into(),
                false => UpstreamFailure::ClosedMidResponse.into(),
            }
        }
        RelayError::ResponseBody(_) => UpstreamFailure::BadResponse.into(),
    };
    let detail = match error {
        RelayError::RequestBody(BodyError::Chunk(_)) | RelayError::ResponseBody(_) => "chunked",
        RelayError::TryTimeout => "per_try",
        RelayError::UpstreamUntrusted => "untrusted",
        _ => "",
    };
    (failure, detail)
}

/// What the pool tells, in the words of the record.
pub(super) fn pool_event(event: PoolEvent) -> record::PoolEvent {
    match event {
        PoolEvent::Connected => record::PoolEvent::Connected,
        PoolEvent::ConnectFailed => record::PoolEvent::ConnectFailed,
        PoolEvent::Reused => record::PoolEvent::Reused,
        PoolEvent::Returned => record::PoolEvent::Returned,
        PoolEvent::ClosedByUpstream => record::PoolEvent::ClosedByUpstream,
        PoolEvent::IdleTimeout => record::PoolEvent::IdleTimeout,
        PoolEvent::LifetimeReached => record::PoolEvent::LifetimeReached,
        PoolEvent::Full => record::PoolEvent::PoolFull,
        PoolEvent::Unclean => record::PoolEvent::Unclean,
        PoolEvent::Untrusted => record::PoolEvent::Untrusted,
        PoolEvent::Replaced => record::PoolEvent::Replaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_told_by_how_far_the_response_had_come() {
        let closed = ForwardError::Relay(RelayError::UpstreamClosed);
        let mut trace = Trace::default();
        let (failure, _) = forward(closed, &trace);
        assert_eq!(failure, UpstreamFailure::ClosedBeforeResponse.into());
        trace.first_byte_at = Instant::from_nanos(1);
        let (failure, _) = forward(closed, &trace);
        assert_eq!(failure, UpstreamFailure::ClosedMidResponse.into());
        let cut = ForwardError::Relay(RelayError::UpstreamUntrusted);
        assert_eq!(forward(cut, &trace), (failure, "untrusted"));
    }

    #[test]
    fn a_refused_head_keeps_its_status_and_reason() {
        let (failure, detail) = request_head(HeadError::LineTooLong);
        assert_eq!(
            failure,
            DownstreamFailure::BadHead(HeadFault::TargetTooLong).into()
        );
        assert_eq!(detail, "line_too_long");
    }
}
