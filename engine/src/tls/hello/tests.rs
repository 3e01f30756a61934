//! Hellos as clients send them, cut anywhere, and what is none.

use super::{ClientHello, HandshakeError, HelloReader, Taken};
use crate::limits;

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
