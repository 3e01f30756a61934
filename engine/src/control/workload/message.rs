//! What the Workload API says: gRPC messages out of bytes, and what is in them.
//!
//! Pure. In: the bytes of a response body, as they come. Out: whole messages, and the fields of an
//! `X509SVIDResponse`. The two messages that are read have eight fields, all of them strings of
//! bytes, which is why they are read here and not by generated code; unknown fields are passed
//! over. Standards: gRPC over HTTP/2 (Length-Prefixed-Message), Protocol Buffers (encoding), SPIFFE
//! Workload API, sections 4.5 and 5.2.1.

use crate::limits::WORKLOAD_MESSAGE_BYTES_MAX;
use crate::tls::GivenSvid;

/// Bytes before each message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// More of the stream has come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, if all of it is there.
    ///
    /// *Errors:* it is too long, or compressed, which was not asked for.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(&[is_compressed, ref length @ ..]) = self.bytes.first_chunk::<PREFIX_BYTES>()
        else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if is_compressed != 0 {
            return Err("a compressed message, which was not asked for".to_owned());
        }
        if length > WORKLOAD_MESSAGE_BYTES_MAX {
            let most = WORKLOAD_MESSAGE_BYTES_MAX;
            return Err(format!(
                "a message of {length} bytes, at most {most} are taken"
            ));
        }
        let end = PREFIX_BYTES.saturating_add(length);
        if self.bytes.len() < end {
            return Ok(None);
        }
        let rest = self.bytes.split_off(end);
        let mut message = std::mem::replace(&mut self.bytes, rest);
        message.drain(..PREFIX_BYTES);
        Ok(Some(message))
    }
}

/// An `X509SVIDResponse`.
#[derive(Debug, Default)]
pub(super) struct Answer<'a> {
    /// The identities, the default one first.
    svids: Vec<Entry<'a>>,
    /// Revocation lists in DER.
    pub(super) crls: Vec<&'a [u8]>,
    /// The IDs of other trust domains whose bundles are there.
    pub(super) federated: Vec<&'a str>,
}

/// An `X509SVID`.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    svid: GivenSvid<'a>,
    hint: &'a str,
}

impl<'a> Answer<'a> {
    /// Reads a message.
    ///
    /// *Errors:* it is not one, for a person.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut answer = Self::default();
        for field in Fields(message) {
            match field? {
                (1, bytes) => answer.svids.push(Entry::parse(bytes)?),
                (2, bytes) => answer.crls.push(bytes),
                // An entry of a map: its key is field 1.
                (3, bytes) => {
                    let mut entry = Fields(bytes).filter_map(Result::ok);
                    let key = entry.find_map(|(number, key)| (number == 1).then_some(key));
                    answer.federated.push(text(key.unwrap_or_default())?);
                }
                (_, _) => {}
            }
        }
        Ok(answer)
    }

    /// The identity with this hint; the first of all without one (Workload API §5.3).
    ///
    /// *Errors:* there is none, or it lacks something.
    pub(super) fn choose(&self, hint: Option<&str>) -> Result<GivenSvid<'a>, String> {
        let mut svids = self.svids.iter();
        let found = match hint {
            None => svids.next().ok_or("an answer without an identity")?,
            Some(hint) => svids.find(|entry| entry.hint == hint).ok_or_else(|| {
                let hints = self.svids.iter().map(|entry| format!("{:?}", entry.hint));
                let hints: Vec<String> = hints.collect();
                format!(
                    "no identity has the hint {hint:?}; there are: {}",
                    hints.join(", ")
                )
            })?,
        };
        // Workload API §4.5: what lacks a mandatory field is reported, and not used.
        for (is_missing, field) in [
            (found.svid.spiffe_id.is_empty(), "spiffe_id"),
            (found.svid.chain.is_empty(), "x509_svid"),
            (found.svid.key.is_empty(), "x509_svid_key"),
            (found.svid.bundle.is_empty(), "bundle"),
        ] {
            if is_missing {
                return Err(format!("an identity without `{field}`"));
            }
        }
        Ok(found.svid)
    }
}

impl<'a> Entry<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, String> {
        let mut entry = Self {
            svid: GivenSvid {
                spiffe_id: "",
                chain: &[],
                key: &[],
                bundle: &[],
            },
            hint: "",
        };
        for field in Fields(message) {
            match field? {
                (1, bytes) => entry.svid.spiffe_id = text(bytes)?,
                (2, bytes) => entry.svid.chain = bytes,
                (3, bytes) => entry.svid.key = bytes,
                (4, bytes) => entry.svid.bundle = bytes,
                (5, bytes) => entry.hint = text(bytes)?,
                (_, _) => {}
            }
        }
        Ok(entry)
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| malformed())
}

fn malformed() -> String {
    "a message that is no X509SVIDResponse".to_owned()
}

/// The fields of a message that are strings of bytes, with their numbers.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// Seven bits a byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn bytes(&mut self, count: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The number and the content of a field; no content for one of another kind.
    fn field(&mut self) -> Option<(u64, Option<&'a [u8]>)> {
        let key = self.varint()?;
        let content = match key & 7 {
            0 => {
                self.varint()?;
                None
            }
            1 => {
                self.bytes(8)?;
                None
            }
            2 => {
                let count = self.varint()?;
                Some(self.bytes(count)?)
            }
            5 => {
                self.bytes(4)?;
                None
            }
            // Groups are not of this version, and the others are of none.
            _ => return None,
        };
        Some((key >> 3, content))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), String>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            match self.field() {
                Some((number, Some(content))) => return Some(Ok((number, content))),
                Some((_, None)) => {}
                None => {
                    self.0 = &[];
                    return Some(Err(malformed()));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        assert!(length < 128);
        [&[number << 3 | 2, length], content].concat()
    }

    fn svid(id: &str, hint: &str) -> Vec<u8> {
        let parts = [
            field(1, id.as_bytes()),
            field(2, b"chain"),
            field(3, b"key"),
            field(4, b"bundle"),
            field(5, hint.as_bytes()),
        ];
        field(1, &parts.concat())
    }

    #[test]
    fn messages_come_in_pieces_of_any_size() {
        let stream = [
            &[0, 0, 0, 0, 3][..],
            b"abc",
            &[0; 5],
            &[0, 0, 0, 0, 1],
            b"d",
        ]
        .concat();
        for size in 1..=stream.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in stream.chunks(size) {
                frames.push(piece);
                while let Some(message) = frames.next().expect("a message") {
                    found.push(message);
                }
            }
            assert_eq!(found, [&b"abc"[..], b"", b"d"], "{size}");
        }
    }

    #[test]
    fn what_is_compressed_or_too_long_is_refused() {
        for prefix in [[1, 0, 0, 0, 0], [0, 0xff, 0, 0, 0]] {
            let mut frames = Frames::default();
            frames.push(&prefix);
            assert!(frames.next().is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn workload_api_5_3_the_first_identity_is_the_default() {
        let message = [
            svid("spiffe://x.org/a", ""),
            field(2, b"list"),
            field(3, &field(1, b"spiffe://y.org")),
            svid("spiffe://x.org/b", "internal"),
            svid("spiffe://x.org/c", "internal"),
            // A field of a later version, of each other kind.
            vec![9 << 3, 200, 1],
            [&[9 << 3 | 1][..], &[0; 8]].concat(),
            [&[9 << 3 | 5][..], &[0; 4]].concat(),
        ]
        .concat();
        let answer = Answer::parse(&message).expect("an answer");
        assert_eq!(
            (&*answer.crls, &*answer.federated),
            (&[&b"list"[..]][..], &["spiffe://y.org"][..])
        );
        let chosen = |hint| answer.choose(hint).map(|svid| svid.spiffe_id);
        assert_eq!(chosen(None), Ok("spiffe://x.org/a"));
        // §5.2.1: the first of those with the same hint.
        assert_eq!(chosen(Some("internal")), Ok("spiffe://x.org/b"));
        let missing = chosen(Some("external")).expect_err("none");
        assert!(missing.contains("\"internal\""), "{missing}");
        for cut in 1..message.len() {
            // Cut between two fields it is an answer, elsewhere it is none; nothing panics.
            let _either = Answer::parse(&message[..cut]).is_ok();
        }
    }

    #[test]
    fn workload_api_4_5_what_lacks_a_mandatory_field_is_not_used() {
        let nothing = Answer::parse(&[]).expect("an answer");
        let why = nothing.choose(None).expect_err("none");
        assert!(why.contains("without an identity"), "{why}");
        for missing in 1..=4 {
            let parts = (1..=4).filter(|number| *number != missing);
            let parts: Vec<u8> = parts.flat_map(|number| field(number, b"x")).collect();
            let message = field(1, &parts);
            let answer = Answer::parse(&message).expect("an answer");
            let why = answer.choose(None).expect_err("not used");
            assert!(why.contains("an identity without `"), "{why}");
        }
        assert!(Answer::parse(&[0xff; 12]).is_err());
        assert!(Answer::parse(&[3 << 3 | 3]).is_err());
    }
}
