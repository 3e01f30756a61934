//! Waits of an exchange in which nothing is on its way: for a slot of the cluster, and between two
//! attempts.
//!
//! Both end at once when the client goes away, so that nothing is started for it. A client whose
//! request body has not been received to its end is only noticed by the next attempt: until then
//! its bytes stay where they are.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Entry, PendingError, Slot};
use crate::forward::relay::{RelayError, Upload};
use crate::forward::{Call, ForwardError};
use crate::io::{Instant, clock};

/// A slot for the next attempt, as soon as there is one.
///
/// *Cost:* nothing while the cluster has room.
pub(in crate::forward) async fn slot(
    call: &Call<'_>,
    upload: &mut Upload<'_>,
) -> Result<Slot, ForwardError> {
    let pending = match call.circuit.enter() {
        Entry::Open(slot) => return Ok(slot),
        Entry::Full => return Err(ForwardError::Pending(PendingError::Full)),
        Entry::Waits(pending) => pending,
    };
    let request_ends = call.timeouts.request_ends;
    let ends = request_ends.min(clock::now() + call.circuit.pending_timeout());
    match until(call, upload, ends, |cx| pending.poll_slot(cx)).await {
        Ok(Some(slot)) => Ok(slot),
        Ok(None) if ends == request_ends => Err(ForwardError::Relay(RelayError::RequestTimeout)),
        Ok(None) => {
            call.circuit.timed_out();
            Err(ForwardError::Pending(PendingError::TimedOut))
        }
        Err(error) => Err(ForwardError::Relay(error)),
    }
}

/// Nothing for `time`, before the next attempt.
pub(in crate::forward) async fn pause(
    call: &Call<'_>,
    upload: &mut Upload<'_>,
    time: Duration,
) -> Result<(), ForwardError> {
    let ends = clock::now() + time;
    let waited = until(call, upload, ends, |_| Poll::<()>::Pending).await;
    waited.map(drop).map_err(ForwardError::Relay)
}

/// What `poll` gives, or nothing when it is `ends` first.
async fn until<T>(
    call: &Call<'_>,
    upload: &mut Upload<'_>,
    ends: Instant,
    poll: impl Fn(&mut Context<'_>) -> Poll<T>,
) -> Result<Option<T>, RelayError> {
    call.timer.arm(ends);
    poll_fn(|cx| {
        if let Poll::Ready(value) = poll(cx) {
            return Poll::Ready(Ok(Some(value)));
        }
        upload.poll_client(cx, call.downstream)?;
        call.timer.poll_elapsed(cx).map(|()| Ok(None))
    })
    .await
}
