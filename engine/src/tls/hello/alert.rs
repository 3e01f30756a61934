//! Alerts for whoever is not served, in the clear (RFC 8446 §6): a record with two bytes.

/// The hello breaks the protocol.
pub const DECODE_ERROR: [u8; 7] = fatal(50);
/// The client may not.
pub const ACCESS_DENIED: [u8; 7] = fatal(49);
/// Something is wrong on our side.
pub const INTERNAL_ERROR: [u8; 7] = fatal(80);
/// Nobody here goes by that name (RFC 6066 §3).
pub const UNRECOGNIZED_NAME: [u8; 7] = fatal(112);

const fn fatal(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}
