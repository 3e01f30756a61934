//! Response heads: bytes to [`ResponseHead`].

use super::{HeadLimits, Parsed};
use crate::http::{HeadError, Method, ResponseHead};

/// Reads a response head from the start of `bytes`; same contract as the request's `parse`.
///
/// *Input*: `request_method` is the method of the request that this response answers: it decides
/// whether there is a body.
/// *Output*: also for 1xx, after which the next head follows.
/// *Errors*: the response cannot be forwarded (502) and the connection is not reused.
pub fn parse(
    bytes: &[u8],
    limits: &HeadLimits,
    request_method: Method,
    head: &mut ResponseHead,
) -> Result<Parsed, HeadError> {
    let _ = (bytes, limits, request_method, head);
    unimplemented!()
}
