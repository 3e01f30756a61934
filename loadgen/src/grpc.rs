//! gRPC over HTTP/2, as far as a unary call needs it: messages with their prefixes, status codes,
//! the deadline (the public document "gRPC over HTTP2", PROTOCOL-HTTP2.md of the gRPC project).
//!
//! A message travels as one byte (0: not compressed; nothing else is asked for), its length in four
//! bytes, and itself. Whether the call went well stands in the field `grpc-status`, in trailers, or
//! in the only head of an answer that has no message. What a message means is not looked at.

use std::time::Duration;

use crate::target::Field;

/// Bytes before each message.
pub(crate) const PREFIX_BYTES: usize = 5;
/// The content type of requests and answers; a subtype `+proto` may follow.
pub(crate) const CONTENT_TYPE: &[u8] = b"application/grpc";
/// The code of a call that went well.
pub(crate) const OK: u8 = 0;

/// The names of the codes, from 0 on.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// How many codes there are.
pub(crate) const CODES: usize = NAMES.len();

/// The name of a code.
pub(crate) fn name(code: usize) -> &'static str {
    NAMES.get(code).copied().unwrap_or("?")
}

/// A code as the command line writes it: its number or its name.
pub(crate) fn code(text: &str) -> Result<u8, String> {
    let named = NAMES
        .iter()
        .position(|name| name.eq_ignore_ascii_case(text));
    let found = named.or_else(|| text.parse().ok().filter(|&number| number < CODES));
    found
        .and_then(|number| u8::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is no gRPC status; write 0 to 16, or a name as NOT_FOUND"))
}

/// The code in a field `grpc-status`; `None` if it is none of the seventeen.
pub(crate) fn code_in_field(value: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(value).ok()?;
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(text)?;
    number
        .parse()
        .ok()
        .filter(|&code| usize::from(code) < CODES)
}

/// The code that stands for an HTTP status, as gRPC's mapping of them has it.
pub(crate) const fn code_of_status(status: u16) -> u8 {
    match status {
        200..=299 => OK,
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// A set of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codes(u32);

impl Codes {
    /// Only calls that went well.
    pub(crate) const OK: Self = Self(1 << OK);

    /// Parses `0`, `OK`, `0,5`, `OK,NOT_FOUND`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bits = text
            .split(',')
            .try_fold(0, |bits, part| Ok::<_, String>(bits | 1 << code(part)?));
        bits.map(Self)
    }

    /// Is `code` in it?
    pub(crate) const fn contains(self, code: u8) -> bool {
        (code as usize) < CODES && self.0 >> code & 1 == 1
    }
}

/// What an answer said about the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The code; `None` when there was none, or the answer was not gRPC.
    pub code: Option<u8>,
    /// How many messages came; `None` when what came was not a row of whole ones.
    pub messages: Option<u32>,
}

/// The fields of a call that may take `limit`: those given, and ours that are not among them.
pub(crate) fn fields(given: &[Field], limit: Duration) -> Vec<Field> {
    let ours = [
        "te: trailers".into(),
        "content-type: application/grpc".into(),
        format!("grpc-timeout: {}", timeout(limit)),
    ];
    let ours = ours.iter().filter_map(|line| Field::parse(line).ok());
    let missing = ours.filter(|field| !given.iter().any(|other| other.is(field.name())));
    missing.chain(given.iter().cloned()).collect()
}

/// What goes before a message of this length.
pub(crate) fn prefix(length: usize) -> [u8; PREFIX_BYTES] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [0, a, b, c, d]
}

/// The value of `grpc-timeout`: at most eight digits, in the finest unit that they reach.
pub(crate) fn timeout(limit: Duration) -> String {
    let units = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
    ];
    let nanos = limit.as_nanos();
    let counts = units.map(|(size, unit)| (nanos.div_ceil(size), unit));
    let fit = counts.into_iter().find(|&(count, _)| count < 100_000_000);
    let (count, unit) = fit.unwrap_or((99_999_999, 'S'));
    format!("{count}{unit}")
}

/// Takes messages out of content that comes in runs of any length.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Messages {
    prefix: [u8; PREFIX_BYTES],
    /// Bytes of the prefix that have come; all of them while a message is read.
    have: usize,
    /// Bytes of the message that have not come.
    left: u32,
    count: u32,
    broken: bool,
}

impl Messages {
    /// Reads a run; `each` gets the parts of messages.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.have < PREFIX_BYTES {
                let missing = (PREFIX_BYTES - self.have).min(bytes.len());
                let (part, rest) = bytes.split_at(missing);
                self.prefix[self.have..self.have + missing].copy_from_slice(part);
                self.have += missing;
                bytes = rest;
                if self.have == PREFIX_BYTES {
                    let [compressed, length @ ..] = self.prefix;
                    self.broken |= compressed != 0;
                    self.left = u32::from_be_bytes(length);
                }
            } else {
                let here = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let (part, rest) = bytes.split_at(here);
                each(part);
                self.left -= here as u32;
                bytes = rest;
            }
            if self.have == PREFIX_BYTES && self.left == 0 {
                (self.have, self.count) = (0, self.count.saturating_add(1));
            }
        }
    }

    /// How many messages came; `None` if one was cut off or compressed.
    pub(crate) fn whole(&self) -> Option<u32> {
        (self.have == 0 && !self.broken).then_some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(message: &[u8]) -> Vec<u8> {
        [&prefix(message.len())[..], message].concat()
    }

    #[test]
    fn messages_are_the_same_wherever_they_are_split() {
        let bytes = [framed(b"hello"), framed(b""), framed(b"world")].concat();
        for step in 1..=bytes.len() {
            let (mut messages, mut content) = (Messages::default(), Vec::new());
            for run in bytes.chunks(step) {
                messages.feed(run, |part| content.extend_from_slice(part));
            }
            assert_eq!(
                (messages.whole(), &content[..]),
                (Some(3), &b"helloworld"[..]),
                "{step}"
            );
        }
    }

    #[test]
    fn a_message_that_is_cut_off_or_compressed_is_not_whole() {
        let whole = framed(b"abc");
        for end in 1..whole.len() {
            let mut messages = Messages::default();
            messages.feed(&whole[..end], |_| {});
            assert_eq!(messages.whole(), None, "{end}");
        }
        let mut messages = Messages::default();
        messages.feed(&[1, 0, 0, 0, 0], |_| {});
        assert_eq!(messages.whole(), None);
        assert_eq!(Messages::default().whole(), Some(0));
    }

    #[test]
    fn codes_have_numbers_and_names() {
        assert_eq!(
            (code("5"), code("not_found"), name(5)),
            (Ok(5), Ok(5), "NOT_FOUND")
        );
        assert!(code("17").is_err() && code("").is_err() && Codes::parse("0,").is_err());
        let set = Codes::parse("OK,14").expect("a set");
        let inside: Vec<u8> = (0..=255).filter(|&code| set.contains(code)).collect();
        assert_eq!(inside, [0, 14]);
        assert_eq!(
            (code_in_field(b"0"), code_in_field(b"16")),
            (Some(0), Some(16))
        );
        for value in [&b""[..], b"17", b"+1", b"OK", b"\xff"] {
            assert_eq!(code_in_field(value), None, "{value:?}");
        }
    }

    #[test]
    fn a_timeout_has_at_most_eight_digits() {
        for (limit, expected) in [
            (Duration::from_nanos(1), "1n"),
            (Duration::from_millis(99), "99000000n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(10), "10000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
            (Duration::MAX, "99999999S"),
        ] {
            assert_eq!(timeout(limit), expected);
        }
    }
}
