//! What a TLS client says first. What must hold for any bytes: no panic; the same outcome at once,
//! byte by byte and in two pieces; nothing is lost; a name is one.

use engine::limits::CLIENT_HELLO_BYTES_MAX;
use engine::tls::{ClientHello, HandshakeError, HelloReader};

/// Checks it for `bytes`; says whether they began with a hello.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let whole = read(bytes, bytes.len());
    let split = bytes.first().map_or(1, |&byte| usize::from(byte).max(1));
    for most in [1, split] {
        assert_eq!(read(bytes, most), whole);
    }
    let Ok(Some((hello, _))) = whole else {
        return false;
    };
    if let Some(name) = hello.server_name {
        assert!((1..=255).contains(&name.len()));
        let is_letter =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        assert!(name.bytes().all(is_letter), "{name}");
    }
    true
}

/// What pieces of at most `most` bytes come to, and how many bytes the hello has.
fn read(bytes: &[u8], most: usize) -> Result<Option<(ClientHello, usize)>, HandshakeError> {
    let mut reader = HelloReader::default();
    for piece in bytes.chunks(most.max(1)) {
        let taken = reader.take(piece)?;
        let read = reader.bytes().len();
        assert!(read <= CLIENT_HELLO_BYTES_MAX + (1 << 14) + 5, "{read}");
        assert_eq!(reader.bytes(), &bytes[..read]);
        match taken.hello {
            Some(hello) => return Ok(Some((hello, read))),
            None => assert_eq!(taken.used, piece.len()),
        }
    }
    Ok(None)
}
