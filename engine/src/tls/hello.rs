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

use super::HandshakeError;
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#[allow(clippy::expect_used, clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn block16(content: &[u8]) -> Vec<u8> {
        [&(content.len() as u16).to_be_bytes()[..], content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &block16(content)].concat()
    }

    fn named(name: &[u8]) -> Vec<u8> {
        extension(0, &block16(&[&[0][..], &block16(name)].concat()))
    }

    /// A message with these extensions; none at all when absent.
    fn message(extensions: Option<&[u8]>) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0]);
        body.extend([0, 2, 0x13, 0x01, 1, 0]);
        body.extend(extensions.map(block16).unwrap_or_default());
        let length = (body.len() as u32).to_be_bytes();
        [&[1][..], &length[1..], &body].concat()
    }

    /// `message` in records whose fragments have at most `most` bytes.
    fn records(message: &[u8], most: usize) -> Vec<u8> {
        let record = |fragment: &[u8]| [&[22, 3, 1][..], &block16(fragment)].concat();
        message.chunks(most).flat_map(record).collect()
    }

    fn read(bytes: &[u8]) -> Result<Option<ClientHello>, HandshakeError> {
        let taken = HelloReader::default().take(bytes)?;
        assert_eq!(taken.used, bytes.len());
        Ok(taken.hello)
    }

    fn name_of(extensions: Option<&[u8]>) -> Result<Option<String>, HandshakeError> {
        let hello = read(&records(&message(extensions), 1 << 14))?;
        let name = hello.expect("a whole hello").server_name;
        Ok(name.map(Into::into))
    }

    #[test]
    fn rfc6066_3_the_name_is_found_or_there_is_none() {
        assert_eq!(name_of(Some(&named(b"A.test"))), Ok(Some("a.test".into())));
        assert_eq!(name_of(Some(&[])), Ok(None));
        assert_eq!(name_of(None), Ok(None));
        let others = [
            extension(10, &[0; 9]),
            named(b"a.test"),
            extension(0xfe0d, &[1; 300]),
        ];
        assert_eq!(name_of(Some(&others.concat())), Ok(Some("a.test".into())));
    }

    #[test]
    fn rfc8446_5_1_a_hello_may_be_cut_anywhere() {
        let padding = extension(21, &vec![0; 40_000]);
        let long = message(Some(&[padding, named(b"a.test")].concat()));
        let short = message(Some(&named(b"a.test")));
        for (message, fragments) in [(&short, &[1, 2, 3, 7, 1000][..]), (&long, &[5000, 1 << 14])] {
            for &most in fragments {
                let bytes = records(message, most);
                // What follows is left alone.
                let followed = [&bytes[..], b"early"].concat();
                let mut reader = HelloReader::default();
                let taken = reader.take(&followed).unwrap();
                assert_eq!(taken.used, bytes.len());
                assert_eq!(taken.hello.unwrap().server_name.as_deref(), Some("a.test"));
                assert_eq!(reader.bytes(), bytes);
            }
        }
        let bytes = records(&short, 20);
        for cut in 0..bytes.len() {
            let mut reader = HelloReader::default();
            let first = reader.take(&bytes[..cut]).unwrap();
            assert_eq!(
                first,
                Taken {
                    used: cut,
                    hello: None
                }
            );
            let second = reader.take(&bytes[cut..]).unwrap();
            assert_eq!(
                second.hello.unwrap().server_name.as_deref(),
                Some("a.test"),
                "{cut}"
            );
        }
        let mut reader = HelloReader::default();
        let mut found = None;
        for byte in &bytes {
            assert_eq!(found, None);
            found = reader.take(&[*byte]).unwrap().hello;
        }
        assert!(found.is_some());
    }

    #[test]
    fn what_is_no_tls_is_known_by_its_first_byte() {
        for bytes in [
            &b"G"[..],
            b"\x15",
            b"\x80\x2e\x01",
            b"\x16\x02",
            b"SSH-2.0-x\r\n",
        ] {
            assert_eq!(read(bytes), Err(HandshakeError::NotTls), "{bytes:?}");
        }
    }

    #[test]
    fn rfc8446_4_1_2_what_is_no_hello() {
        let malformed = Err(HandshakeError::Malformed);
        let good = message(Some(&named(b"a.test")));
        // Every byte too few or too many in the message.
        for length in 4..good.len() {
            let mut cut = good[..length].to_vec();
            cut[3] = (length - 4) as u8;
            // Extensions may be missing as a whole.
            let is_whole = length == message(None).len();
            assert_eq!(read(&records(&cut, 1 << 14)).is_ok(), is_whole, "{length}");
        }
        let mut longer = good.clone();
        longer.push(0);
        longer[3] += 1;
        assert_eq!(read(&records(&longer, 1 << 14)), malformed);
        // Another message, an empty record, a record that is too long, one with two messages.
        let mut other = good.clone();
        other[0] = 2;
        assert_eq!(read(&records(&other, 1 << 14)), malformed);
        assert_eq!(read(&[22, 3, 1, 0, 0]), malformed);
        assert_eq!(read(&[22, 3, 1, 0x40, 1]), malformed);
        let two = [&good[..], &good].concat();
        assert_eq!(read(&records(&two, 1 << 14)), malformed);
        for name in [
            &b""[..],
            b"a b",
            b"a/b",
            b"\xc3\xa9.test",
            &[b'a'; 256],
            b"[::1]",
        ] {
            assert_eq!(
                name_of(Some(&named(name))),
                Err(HandshakeError::Malformed),
                "{name:?}"
            );
        }
        let twice = [named(b"a.test"), named(b"b.test")].concat();
        let two_names = [&[0][..], &block16(b"a"), &[0], &block16(b"b")].concat();
        for extensions in [twice, extension(0, &block16(&two_names)), extension(0, &[])] {
            assert_eq!(name_of(Some(&extensions)), Err(HandshakeError::Malformed));
        }
    }

    #[test]
    fn a_hello_is_bounded_whatever_it_is_cut_into() {
        let endless = [&[1, 0xff, 0xff, 0xff][..], &[0; 9000]].concat();
        assert_eq!(
            read(&records(&endless, 1 << 14)),
            Err(HandshakeError::Malformed)
        );
        // In records of one byte, the headers count.
        let most = limits::CLIENT_HELLO_BYTES_MAX;
        let padded = message(Some(&extension(21, &vec![0; 30_000])));
        let bytes = records(&padded, 1);
        assert!(bytes.len() > most);
        assert_eq!(read(&bytes), Err(HandshakeError::Malformed));
    }
}
