//! Request heads: bytes to [`RequestHead`].

use super::{HeadLimits, Parsed};
use crate::http::{HeadError, RequestHead};

/// Reads a request head from the start of `bytes`.
///
/// *Input*: everything received so far of this message; after [`Parsed::Partial`] call again with
/// the same bytes and more. `head` remembers how far it got; give it [`RequestHead::clear`] when a
/// partly read message is abandoned.
/// *Output*: `Complete` fills `head` and tells how many bytes the head takes.
/// *Errors*: the request cannot be forwarded and the connection cannot be read further; the answer
/// is [`HeadError::status`], then close.
/// *Cost*: linear in the head, also when it arrives one byte at a time; no allocation once `head`
/// has grown to what the traffic needs.
/// *Standard*: RFC 9112 §2 to §6, RFC 9110 §5 and §7.
pub fn parse(
    bytes: &[u8],
    limits: &HeadLimits,
    head: &mut RequestHead,
) -> Result<Parsed, HeadError> {
    let _ = (bytes, limits, head);
    unimplemented!()
}
