//! Reading the next request head of a connection.
//!
//! In: runs of received bytes. Out: a head, parsed, with a copy of its bytes; what came behind it
//! is given back to the stream. The head is parsed where it was received; the copy (a few hundred
//! bytes) is made so that the block goes back to the kernel at once, however long the upstream
//! takes to answer. A head that comes in pieces is gathered, and its time is bounded.

use super::connection::Connection;
use super::exchange::Scratch;
use super::snapshot::ListenerPlan;
use crate::http::HeadError;
use crate::http::h1::{Parsed, request};
use crate::io::{Elapsed, Instant, clock};

/// Why there is no next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRequest {
    /// The client closed or reset the connection; it may have sent part of a head.
    Closed,
    /// The head did not arrive in time.
    TimedOut,
    /// The head is refused.
    Refused(HeadError),
}

/// Reads a head into `scratch`. Gives the time at which it was complete.
pub(super) async fn read(
    connection: &Connection,
    plan: &ListenerPlan,
    scratch: &mut Scratch,
) -> Result<Instant, NoRequest> {
    let (stream, timer) = (&connection.stream, &connection.timer);
    scratch.request.clear();
    scratch.head.clear();
    // The first run is there: the connection is only busy when it has something to read.
    timer.disarm();
    loop {
        let mut run = match timer.guard(stream.recv()).await {
            Ok(Ok(Some(run))) => run,
            Ok(Ok(None) | Err(_)) => return Err(NoRequest::Closed),
            Err(Elapsed) => return Err(NoRequest::TimedOut),
        };
        let before = scratch.head.len();
        if before > 0 {
            scratch.head.extend_from_slice(&run);
        }
        let bytes = if before > 0 {
            scratch.head.as_slice()
        } else {
            &*run
        };
        match request::parse(bytes, &plan.head_limits, &mut scratch.request) {
            Ok(Parsed::Complete { bytes }) => {
                if before == 0 {
                    scratch
                        .head
                        .extend_from_slice(run.get(..bytes).unwrap_or(&run));
                } else {
                    scratch.head.truncate(bytes);
                }
                run.advance(bytes.saturating_sub(before));
                stream.unread(run);
                return Ok(clock::now());
            }
            Ok(Parsed::Partial) => {
                if before == 0 {
                    scratch.head.extend_from_slice(&run);
                    timer.arm(clock::now() + plan.timeouts.header);
                }
            }
            Err(error) => {
                if before == 0 {
                    // For the record, which counts what was received.
                    scratch.head.extend_from_slice(&run);
                }
                return Err(NoRequest::Refused(error));
            }
        }
    }
}
