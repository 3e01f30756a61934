//! The chunked transfer coding, decoding side (RFC 9112 §7.1).
//!
//! A state machine over runs of bytes. Size lines, extensions and trailers are walked byte by
//! byte; chunk data is passed on as slices of the run it arrived in. Extensions and trailers are
//! bounded and dropped. The state after an error is not defined: the connection is closed.
//!
//! ```text
//! size ─┬─> extension ─┐                    ┌───────────────────────────┐
//!       └──────────────┴─> size LF ─┬─> data ─> data CR ─> data LF ─────┘ (next size)
//!                                   └─> trailer start ─> trailer line ─> trailer LF ─> end LF
//! ```

use super::Malformed;

/// Digits of a chunk size: 15 hexadecimal digits cannot overflow and no chunk needs more.
const SIZE_DIGITS_MAX: u8 = 15;
/// Bytes of all extensions of one chunk, or of all trailers.
const EXTRA_BYTES_MAX: u16 = 8 * 1024;

/// Where the decoder is in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Size { digits: u8 },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
    End,
}

/// Decoder of one chunked body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunked {
    place: Place,
    /// The size being read, then what is left of the chunk.
    left: u64,
    extra_bytes: u16,
}

impl Chunked {
    /// A decoder before the first size line.
    pub(crate) const fn new() -> Self {
        Self {
            place: Place::Size { digits: 0 },
            left: 0,
            extra_bytes: 0,
        }
    }

    /// Takes bytes from the front of `bytes`, hands body bytes to `data`; true when the body,
    /// with its trailers, has ended (`bytes` then starts after it).
    pub(crate) fn feed(
        &mut self,
        bytes: &mut &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<bool, Malformed> {
        while self.place != Place::End {
            if self.place == Place::Data {
                let most = usize::try_from(self.left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let (run, rest) = bytes.split_at(most);
                *bytes = rest;
                data(run);
                self.left -= most as u64;
                if self.left > 0 {
                    return Ok(false);
                }
                self.place = Place::DataCr;
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(false);
            };
            *bytes = rest;
            self.step(byte)?;
        }
        Ok(true)
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.place = match (self.place, byte) {
            (Place::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == SIZE_DIGITS_MAX {
                    return Err(Malformed::Chunk);
                }
                let digit = (byte as char).to_digit(16).unwrap_or(0);
                self.left = self.left << 4 | u64::from(digit);
                Place::Size { digits: digits + 1 }
            }
            (Place::Size { digits: 1.. }, b'\r') => Place::SizeLf,
            (Place::Size { digits: 1.. }, b';' | b' ' | b'\t') => Place::Extension,
            (Place::Extension, b'\r') => Place::SizeLf,
            (Place::Extension, _) => self.extra(byte, Place::Extension)?,
            (Place::SizeLf, b'\n') if self.left == 0 => Place::TrailerStart,
            (Place::SizeLf, b'\n') => Place::Data,
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => {
                self.extra_bytes = 0;
                Place::Size { digits: 0 }
            }
            (Place::TrailerStart, b'\r') => Place::EndLf,
            (Place::TrailerStart, _) if !super::is_token_byte(byte) => {
                return Err(Malformed::Chunk);
            }
            (Place::TrailerStart, _) => self.extra(byte, Place::TrailerName)?,
            (Place::TrailerName, b':') => self.extra(byte, Place::TrailerValue)?,
            (Place::TrailerName, _) if super::is_token_byte(byte) => {
                self.extra(byte, Place::TrailerName)?
            }
            (Place::TrailerValue, b'\r') => Place::TrailerLf,
            (Place::TrailerValue, _) => self.extra(byte, Place::TrailerValue)?,
            (Place::TrailerLf, b'\n') => Place::TrailerStart,
            (Place::EndLf, b'\n') => Place::End,
            _ => return Err(Malformed::Chunk),
        };
        Ok(())
    }

    /// One byte of an extension or trailer: bounded, and no control character but a tab.
    fn extra(&mut self, byte: u8, next: Place) -> Result<Place, Malformed> {
        self.extra_bytes += 1;
        if self.extra_bytes > EXTRA_BYTES_MAX || (byte < b' ' && byte != b'\t') || byte == 0x7f {
            return Err(Malformed::Chunk);
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` split at `at`: the body, the bytes left over and whether it ended.
    fn decode(input: &[u8], at: usize) -> Result<(Vec<u8>, usize, bool), Malformed> {
        let (mut chunked, mut body) = (Chunked::new(), Vec::new());
        let (mut first, mut second) = input.split_at(at);
        let mut ended = chunked.feed(&mut first, |run| body.extend_from_slice(run))?;
        if !ended {
            assert!(first.is_empty());
            ended = chunked.feed(&mut second, |run| body.extend_from_slice(run))?;
        }
        Ok((body, first.len() + second.len(), ended))
    }

    #[test]
    fn rfc9112_7_1_bodies_at_every_split() {
        let check = |input: &str, body: &str, left: usize| {
            for at in 0..=input.len() {
                let expected = Ok((body.as_bytes().to_vec(), left, true));
                assert_eq!(decode(input.as_bytes(), at), expected, "{input:?} at {at}");
            }
        };
        check("0\r\n\r\n", "", 0);
        check("3\r\nabc\r\n0\r\n\r\n", "abc", 0);
        check(
            "A\r\n0123456789\r\n2\r\n\r\n\r\n000\r\n\r\nrest",
            "0123456789\r\n",
            4,
        );
        check("1;name=value;x=\"y\"\r\na\r\n0;last\r\n\r\n", "a", 0);
        check("1 \r\na\r\n0\r\nOne: 1\r\ntwo:\r\n\r\n", "a", 0);
    }

    #[test]
    fn rfc9112_7_1_1_broken_chunks_are_refused_at_every_split() {
        for input in [
            "\r\n",
            ";\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            "1\n",
            "1\ra",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\r\r",
            "1;\n",
            "1;a\0\r\n",
            "0\r\n:x\r\n",
            "0\r\n a:b\r\n",
            "0\r\na b:c\r\n",
            "0\r\na\r\n",
            "0\r\na:b\n",
            "0\r\n\n",
            "1234567890123456\r\n",
        ] {
            for at in 0..=input.len() {
                assert_eq!(
                    decode(input.as_bytes(), at),
                    Err(Malformed::Chunk),
                    "{input:?}"
                );
            }
        }
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let long = "x".repeat(usize::from(EXTRA_BYTES_MAX) + 1);
        let extension = format!("1;{long}\r\n");
        assert_eq!(decode(extension.as_bytes(), 0), Err(Malformed::Chunk));
        let trailer = format!("0\r\na:{long}\r\n");
        assert_eq!(decode(trailer.as_bytes(), 0), Err(Malformed::Chunk));
    }
}
