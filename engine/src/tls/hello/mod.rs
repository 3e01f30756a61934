//! The first thing a TLS client says, read without taking part: which name it asks for.
//!
//! In: bytes as they arrive, cut anywhere. Out: a [`ClientHello`] once it is whole, or why it is
//! none. Nothing is decrypted and nothing is lost: [`HelloReader::bytes`] has all that was taken,
//! for whoever is to answer. Only what is needed to find the name is judged; versions, suites and
//! all the rest are between the client and the endpoint. With Encrypted Client Hello the name is
//! the public one, which is all that anybody in between can know.
//!
//! Standards: RFC 8446 §4.1.2 and §5.1, RFC 5246 §7.4.1.2, RFC 6066 §3, RFC 6101 (SSL 3.0 has no
//! extensions). Pure. Bounds: [`limits::CLIENT_HELLO_BYTES_MAX`].

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod alert;
#[cfg(test)]
mod tests;

use super::{HandshakeError, channel};
use crate::limits;

/// Type, version and length before the fragment of a record (RFC 8446 §5.1).
const RECORD_HEADER_BYTES: usize = 5;
/// The most that a record may hold in the clear (RFC 8446 §5.1).
const FRAGMENT_BYTES_MAX: usize = 1 << 14;
/// Record type (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Major version of all records since SSL 3.0 (RFC 8446 §5.1).
const VERSION_MAJOR: u8 = 3;
/// Handshake type (RFC 8446 §4).
const CLIENT_HELLO: u8 = 1;
/// Type and length before a handshake message (RFC 8446 §4).
const MESSAGE_HEADER_BYTES: usize = 4;
/// Extension type (RFC 6066 §1.1).
const SERVER_NAME: u16 = 0;
/// Name type (RFC 6066 §3).
const HOST_NAME: u8 = 0;
/// The longest host name (RFC 1035 §2.3.4).
const HOST_NAME_BYTES_MAX: usize = 255;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The host by which it knows the endpoint, in lower case; most likely it was given an address
    /// when absent.
    pub server_name: Option<Box<str>>,
}

/// Collects a hello.
#[derive(Debug, Default)]
pub struct HelloReader {
    /// All that was taken.
    bytes: Vec<u8>,
    /// Where in it the record begins that is not complete.
    record_at: usize,
    /// The fragments of complete records.
    message: Vec<u8>,
}

/// What [`HelloReader::take`] came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// How many bytes were taken. The rest, if there is any, lies behind the hello.
    pub used: usize,
    /// The hello, once it is whole.
    pub hello: Option<ClientHello>,
}

impl HelloReader {
    /// All that was taken so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What a client is told whose bytes are no hello, for this reason: an alert, or that it has to
    /// speak TLS.
    #[must_use]
    pub fn refusal(&self, error: HandshakeError) -> &'static [u8] {
        match error {
            HandshakeError::NotTls => channel::plaintext_answer(&self.bytes),
            HandshakeError::Malformed => &alert::DECODE_ERROR,
            _ => &[],
        }
    }

    /// Takes what belongs to the hello from the front of `received`.
    ///
    /// *Cost:* linear in the bytes, however they are cut.
    ///
    /// # Errors
    /// It is not TLS, or breaks the protocol, or is longer than any hello; nothing more can be
    /// taken then.
    pub fn take(&mut self, received: &[u8]) -> Result<Taken, HandshakeError> {
        let mut rest = received;
        loop {
            let record = self.bytes.get(self.record_at..).unwrap_or_default();
            let wanted = RECORD_HEADER_BYTES.saturating_add(fragment_bytes(record)?.unwrap_or(0));
            let lacking = wanted.saturating_sub(record.len());
            let is_complete = lacking == 0 && record.len() > RECORD_HEADER_BYTES;
            if is_complete && self.end_record()? {
                let hello = parse(&self.message).ok_or(HandshakeError::Malformed)?;
                return Ok(Taken {
                    used: received.len().saturating_sub(rest.len()),
                    hello: Some(hello),
                });
            }
            if rest.is_empty() {
                return Ok(Taken {
                    used: received.len(),
                    hello: None,
                });
            }
            let (now, later) = rest.split_at_checked(lacking).unwrap_or((rest, &[]));
            self.bytes.extend_from_slice(now);
            rest = later;
        }
    }

    /// Adds the fragment of a complete record to the message; says whether that is whole.
    fn end_record(&mut self) -> Result<bool, HandshakeError> {
        let fragment_at = self.record_at.saturating_add(RECORD_HEADER_BYTES);
        let fragment = self.bytes.get(fragment_at..).unwrap_or_default();
        self.message.extend_from_slice(fragment);
        self.record_at = self.bytes.len();
        if self.message.first() != Some(&CLIENT_HELLO) {
            return Err(HandshakeError::Malformed);
        }
        let length = self.message.get(1..MESSAGE_HEADER_BYTES);
        let length = length.map(|bytes| {
            bytes.iter().fold(0, |sum: usize, &byte| {
                sum.wrapping_shl(8) | usize::from(byte)
            })
        });
        let whole = length.map(|length| MESSAGE_HEADER_BYTES.saturating_add(length));
        let is_long = whole.is_some_and(|whole| whole > limits::CLIENT_HELLO_BYTES_MAX);
        if is_long || self.bytes.len() > limits::CLIENT_HELLO_BYTES_MAX {
            return Err(HandshakeError::Malformed);
        }
        match whole {
            Some(whole) if self.message.len() > whole => Err(HandshakeError::Malformed),
            Some(whole) => Ok(self.message.len() == whole),
            None => Ok(false),
        }
    }
}

/// The length of a record's fragment, if its header is there; judges as much of it as there is.
fn fragment_bytes(record: &[u8]) -> Result<Option<usize>, HandshakeError> {
    if record.first().is_some_and(|&kind| kind != HANDSHAKE) {
        return Err(HandshakeError::NotTls);
    }
    if record.get(1).is_some_and(|&major| major != VERSION_MAJOR) {
        return Err(HandshakeError::NotTls);
    }
    let (Some(&high), Some(&low)) = (record.get(3), record.get(4)) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    // RFC 8446 §5.1: handshake records are not empty.
    match (1..=FRAGMENT_BYTES_MAX).contains(&length) {
        true => Ok(Some(length)),
        false => Err(HandshakeError::Malformed),
    }
}

/// Reads a whole message; `None` if it breaks the protocol.
fn parse(message: &[u8]) -> Option<ClientHello> {
    let mut hello = Reader(message.get(MESSAGE_HEADER_BYTES..)?);
    hello.skip(2 + 32)?; // legacy_version, random
    hello.block8().filter(|id| id.len() <= 32)?; // legacy_session_id
    let suites = hello.block16()?;
    let methods = hello.block8()?;
    if suites.is_empty() || suites.len() % 2 == 1 || methods.is_empty() {
        return None;
    }
    let mut server_name = None;
    // RFC 5246 §7.4.1.2: extensions may be missing as a whole.
    if !hello.0.is_empty() {
        let mut extensions = Reader(hello.block16()?);
        let mut is_named = false;
        while !extensions.0.is_empty() {
            let (kind, content) = (extensions.number16()?, extensions.block16()?);
            if kind != SERVER_NAME {
                continue;
            }
            // RFC 8446 §4.2: at most one of each type.
            if std::mem::replace(&mut is_named, true) {
                return None;
            }
            server_name = Some(host_name(content)?);
        }
    }
    hello.0.is_empty().then_some(ClientHello { server_name })
}

/// The host name in a `server_name` extension (RFC 6066 §3).
fn host_name(content: &[u8]) -> Option<Box<str>> {
    let mut content = Reader(content);
    let mut names = Reader(content.block16()?);
    let kind = names.number8()?;
    let name = names.block16()?;
    // RFC 6066 §3: one name of a type, and there is but one type.
    if kind != HOST_NAME || !names.0.is_empty() || !content.0.is_empty() {
        return None;
    }
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_name = (1..=HOST_NAME_BYTES_MAX).contains(&name.len()) && name.iter().all(is_letter);
    let name = std::str::from_utf8(name).ok().filter(|_| is_name)?;
    Some(name.to_ascii_lowercase().into_boxed_str())
}

/// What is left of a message.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn skip(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn number8(&mut self) -> Option<u8> {
        self.skip(1)?.first().copied()
    }

    fn number16(&mut self) -> Option<u16> {
        let bytes = self.skip(2)?.try_into().ok()?;
        Some(u16::from_be_bytes(bytes))
    }

    /// A vector whose length is told in one byte (RFC 8446 §3.4).
    fn block8(&mut self) -> Option<&'a [u8]> {
        let length = self.number8()?;
        self.skip(length.into())
    }

    /// A vector whose length is told in two bytes.
    fn block16(&mut self) -> Option<&'a [u8]> {
        let length = self.number16()?;
        self.skip(length.into())
    }
}
