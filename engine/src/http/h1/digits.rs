//! Numbers and addresses as they stand in heads.
//!
//! Each is written for every request: without the formatter, and without a call for each piece.
//! What is written is what the formatter would write; the tests hold one against the other.

use std::io::Write as _;
use std::net::IpAddr;

/// Digits of a 64-bit number.
pub(super) const DECIMAL_BYTES: usize = 20;

/// A number in decimal, at the end of `digits`.
pub(super) fn decimal(digits: &mut [u8; DECIMAL_BYTES], mut number: u64) -> &[u8] {
    let mut unused = DECIMAL_BYTES;
    for place in digits.iter_mut().rev() {
        *place = b'0' | (number % 10) as u8;
        number /= 10;
        unused = unused.saturating_sub(1);
        if number == 0 {
            break;
        }
    }
    digits.get(unused..).unwrap_or_default()
}

/// The three digits of a status code.
#[inline]
pub(super) fn three(number: u16) -> [u8; 3] {
    let digit = |number: u16| b'0'.saturating_add((number % 10) as u8);
    [digit(number / 100), digit(number / 10), digit(number)]
}

/// An address as text; an IPv4 client of an IPv6 socket is written as IPv4.
pub(super) fn write_address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        // Most clients; the formatter takes ten times as long.
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets().map(octet);
            for octet in [a, b, c] {
                extend_by(out, octet.text, octet.length);
            }
            extend_by(out, d.text, d.length.saturating_sub(1));
        }
        // Writing to a Vec does not fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// Adds the first `length` bytes of `text`: all of it is written, which is one store, and what is
/// too much taken back.
#[inline]
fn extend_by(out: &mut Vec<u8>, text: [u8; 4], length: usize) {
    let end = out.len().saturating_add(length);
    out.extend_from_slice(&text);
    out.truncate(end);
}

/// A number below 256 in decimal with a dot behind it.
#[derive(Clone, Copy)]
struct Octet {
    text: [u8; 4],
    /// Of the number and the dot.
    length: usize,
}

impl Octet {
    const fn new(number: u8) -> Self {
        let hundreds = b'0'.saturating_add(number / 100);
        let tens = b'0'.saturating_add(number / 10 % 10);
        let ones = b'0'.saturating_add(number % 10);
        let (text, length) = match number {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            100.. => ([hundreds, tens, ones, b'.'], 4),
        };
        Self { text, length }
    }
}

/// All of them: to divide takes ten times as long as to look up.
static OCTETS: [Octet; 256] = {
    let mut octets = [Octet::new(0); 256];
    let mut rest: &mut [Octet] = &mut octets;
    let mut number: u8 = 0;
    while let Some((octet, others)) = rest.split_first_mut() {
        *octet = Octet::new(number);
        number = number.wrapping_add(1);
        rest = others;
    }
    octets
};

#[inline]
fn octet(number: u8) -> Octet {
    let known = OCTETS.get(usize::from(number));
    known.copied().unwrap_or(const { Octet::new(0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_formatter_does() {
        let each = |octet| [0, 9, 10, 99, 100, 255].map(move |other| [octet, other, 7, octet]);
        let v4 = (0..=255).flat_map(each).map(IpAddr::from);
        let v6 = ["::1", "2001:db8::ff00:42:8329"].map(|text| text.parse().expect("valid"));
        for address in v4.chain(v6) {
            let mut out = b"before ".to_vec();
            write_address(&mut out, address);
            assert_eq!(out, format!("before {address}").as_bytes());
        }
        let mut out = Vec::new();
        write_address(&mut out, "::ffff:192.0.2.1".parse().expect("valid"));
        assert_eq!(out, b"192.0.2.1");
    }

    #[test]
    fn numbers_are_written_as_the_formatter_does() {
        let mut digits = [0; DECIMAL_BYTES];
        for number in [0, 1, 9, 10, 1024, u64::from(u32::MAX), u64::MAX] {
            assert_eq!(decimal(&mut digits, number), number.to_string().as_bytes());
        }
        for status in [100, 200, 404, 999] {
            assert_eq!(three(status), *status.to_string().as_bytes());
        }
    }
}
