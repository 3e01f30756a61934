//! Ciphertext to content and back, and who the peer is. The only module that names rustls.
//!
//! *In:* what the configuration says of listeners and clusters ([`Secrets::load`]), then a
//! connected stream. *Out:* the same stream, which from then on gives
//! and takes content, and what the handshake found out ([`Secure`]).
//!
//! `secrets.rs` reads for a whole configuration; `channel.rs` is one connection, `accept.rs` and
//! `connect.rs` the two ends' handshakes, `certificates.rs` chooses by name, `files.rs` reads and
//! judges what is configured, `settings.rs` decides what is allowed, `peer.rs` says who the other
//! side is, `identity/` who it must be and whether an SVID of our own is in order, `error.rs` why
//! there is no connection. `hello/` is for listeners that take no part in it: what name a client
//! asks for.
//!
//! What must stay true: keys never leave this module; a resumed session is as much bound to the
//! peer's certificate as the one it was made in; no handshake is waited for without a deadline.
//! Standards: RFC 8446 and 5246 (by rustls), 6066 (server names), 7301 (application protocols),
//! SPIFFE X.509-SVID.

mod accept;
mod certificates;
mod channel;
mod connect;
mod error;
mod files;
mod hello;
mod identity;
mod peer;
mod secrets;
mod settings;
#[cfg(test)]
mod tests;

pub use accept::{Acceptor, Secure};
pub use connect::{Connector, Link, https, https_as};
pub use error::HandshakeError;
pub use files::{FileKind, describe_file, inspect_pem};
pub use hello::{ClientHello, HelloReader, Taken, alert};
pub use identity::{GivenSvid, UsableSvid};
pub use peer::Peer;
pub use secrets::{InUse, Secrets};
