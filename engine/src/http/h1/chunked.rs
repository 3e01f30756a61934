//! Chunked bodies: RFC 9112 §7.1.
//!
//! Bytes go in as they arrive, split anywhere; out come ranges of data, which are never looked
//! at. Framing is strict: CRLF only, at most 16 hexadecimal digits, no whitespace around the size.
//! Chunk extensions must follow the grammar, are bounded in sum and dropped. Trailer fields must
//! be well-formed, are bounded in sum and dropped: none of them can ever become a field of the
//! head (RFC 9110 §6.5.1), whatever its name.
//!
//! ```text
//!             hex          CR          LF                         LF of size 0
//!   SizeStart ---> Size ----> SizeEnd ----> Data ---> DataCr ...  SizeEnd -----> TrailerStart
//!                   | ;          ^                                 CR |      | token
//!                   v            | CR                                 v      v
//!                  Extension ----+                              BodyEnd    TrailerName : ...
//!                                                                  | LF      back to TrailerStart
//!                                                                  v
//!                                                                Done
//! ```
//!
//! The proxy either takes the data ([`Decoder::decode`]) and frames it anew, or forwards the
//! checked framing as it is ([`Decoder::relay`]), which saves a write per chunk.

use super::scan;
use crate::limits::{BODY_BYTES_MAX, CHUNK_EXTENSION_BYTES_MAX, TRAILER_BYTES_MAX};

/// What the decoder found in the bytes it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `bytes[skip..skip + len]` is body; `len > 0`. Give the bytes after it to the next call.
    Data {
        /// Framing bytes before the data.
        skip: usize,
        /// Bytes of data.
        len: usize,
    },
    /// All `consumed` bytes were framing, and more are needed. `consumed` is all there were.
    Partial {
        /// Bytes taken.
        consumed: usize,
    },
    /// The body is complete; the next message begins after `consumed` bytes.
    End {
        /// Bytes taken.
        consumed: usize,
    },
}

/// What of the bytes can be forwarded with their framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Bytes to drop first: extensions, trailers.
    pub skip: usize,
    /// Bytes after these to forward unchanged. Give the bytes after them to the next call.
    pub len: usize,
    /// Of `len`, the bytes that are data.
    pub data: u64,
    /// The body is complete; the next message begins after the run.
    pub is_end: bool,
}

/// Why a chunked body is refused. The connection cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// The size is missing or holds something other than hexadecimal digits.
    Size,
    /// The size has more than 16 digits or exceeds `BODY_BYTES_MAX`.
    SizeOverflow,
    /// A chunk extension does not follow the grammar.
    Extension,
    /// The extensions of the body exceed `CHUNK_EXTENSION_BYTES_MAX`.
    ExtensionTooLong,
    /// A line ends in something other than CRLF.
    LineEnd,
    /// The data of a chunk is not followed by CRLF.
    DataEnd,
    /// A trailer field is malformed.
    Trailer,
    /// The trailer fields exceed `TRAILER_BYTES_MAX`.
    TrailerTooLong,
}

impl ChunkError {
    /// The status that answers a request refused for this reason, if it is not answered yet.
    pub fn status(self) -> u16 {
        match self {
            Self::Size
            | Self::SizeOverflow
            | Self::Extension
            | Self::ExtensionTooLong
            | Self::LineEnd
            | Self::DataEnd
            | Self::Trailer => 400,
            // RFC 6585 §5.
            Self::TrailerTooLong => 431,
        }
    }

    /// A metric label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Size => "chunk_size",
            Self::SizeOverflow => "chunk_size_overflow",
            Self::Extension => "chunk_extension",
            Self::ExtensionTooLong => "chunk_extension_too_long",
            Self::LineEnd => "chunk_line_end",
            Self::DataEnd => "chunk_data_end",
            Self::Trailer => "trailer",
            Self::TrailerTooLong => "trailer_too_long",
        }
    }
}

/// What the next byte must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The first digit of a size.
    #[default]
    SizeStart,
    /// More digits, `;` or CR.
    Size,
    /// Inside a chunk extension.
    Extension(Extension),
    /// The LF of a size line.
    SizeEnd,
    /// Data: `remaining` bytes of it.
    Data,
    /// The CR after data.
    DataCr,
    /// The LF after data.
    DataLf,
    /// The first byte of a trailer line, or the CR of the empty line.
    TrailerStart,
    /// The rest of a trailer field's name, or its colon.
    TrailerName,
    /// A trailer field's value, or its CR.
    TrailerValue,
    /// The LF of a trailer line.
    TrailerLf,
    /// The LF that ends the body.
    BodyEnd,
    /// Nothing: the body is complete.
    Done,
    /// Nothing: the body was refused.
    Failed(ChunkError),
}

/// Where in `*( ";" name [ "=" ( token / quoted-string ) ] )`, RFC 9112 §7.1.1. Whitespace is
/// accepted after `;` only, where nobody can take it for something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    /// The first byte of a name.
    NameStart,
    /// The rest of a name, `=`, `;` or CR.
    Name,
    /// The first byte of a value.
    ValueStart,
    /// The rest of a token, `;` or CR.
    Token,
    /// Inside a quoted string.
    Quoted,
    /// The byte after a backslash in a quoted string.
    QuotedPair,
    /// After a quoted string: `;` or CR.
    QuotedEnd,
}

/// Digits of a chunk size: 64 bits.
const SIZE_DIGITS_MAX: u8 = 16;

/// Reads one chunked body.
///
/// After an error it stays in error.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    /// Digits read of the size.
    digits: u8,
    /// The size read so far, then the bytes of data that are still to come.
    remaining: u64,
    /// Bytes of extensions in this body. `<= CHUNK_EXTENSION_BYTES_MAX`.
    extension_bytes: u32,
    /// Bytes of trailer fields. `<= TRAILER_BYTES_MAX`.
    trailer_bytes: u32,
}

impl Decoder {
    /// At the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has the body ended?
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of the chunk being read that are still to come. With those already read they bound
    /// the body from below, before it has arrived.
    pub fn announced(&self) -> u64 {
        if self.state == State::Data {
            self.remaining
        } else {
            0
        }
    }

    /// The next event in `bytes`, which follow those already consumed.
    ///
    /// *Output*: everything before the data, and the data itself, is consumed.
    /// *Cost*: one step per framing byte, none per data byte; no allocation.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Event, ChunkError> {
        let mut rest = bytes;
        loop {
            let consumed = bytes.len().saturating_sub(rest.len());
            match self.state {
                State::Done => return Ok(Event::End { consumed }),
                State::Data if !rest.is_empty() => {
                    let len = self.take_content(rest.len());
                    let skip = consumed;
                    return Ok(Event::Data { skip, len });
                }
                _ => {}
            }
            let Some((&byte, tail)) = rest.split_first() else {
                return Ok(Event::Partial { consumed });
            };
            self.step(byte)?;
            rest = tail;
        }
    }

    /// The longest run of `bytes`, which follow those already consumed, that can be forwarded with
    /// its framing: sizes and data, without extensions and trailers.
    ///
    /// *Output*: `skip + len` bytes are consumed; call again with the rest until nothing is left
    /// or `is_end`.
    /// *Cost*: as [`Decoder::decode`].
    pub fn relay(&mut self, bytes: &[u8]) -> Result<Run, ChunkError> {
        let mut run = Run {
            skip: 0,
            len: 0,
            data: 0,
            is_end: false,
        };
        let mut rest = bytes;
        while self.state != State::Done {
            if self.state == State::Data && !rest.is_empty() {
                let len = self.take_content(rest.len());
                run.len = run.len.saturating_add(len);
                run.data = run.data.saturating_add(len as u64);
                rest = rest.get(len..).unwrap_or_default();
                continue;
            }
            let Some((&byte, tail)) = rest.split_first() else {
                return Ok(run);
            };
            if !self.is_ballast(byte) {
                run.len = run.len.saturating_add(1);
            } else if run.len == 0 {
                run.skip = run.skip.saturating_add(1);
            } else {
                // The run ends before this byte; the next call begins with it.
                return Ok(run);
            }
            self.step(byte)?;
            rest = tail;
        }
        run.is_end = true;
        Ok(run)
    }

    /// Takes as much of the chunk as `available` bytes hold.
    #[inline]
    fn take_content(&mut self, available: usize) -> usize {
        debug_assert!(self.remaining > 0);
        let len = usize::try_from(self.remaining).map_or(available, |left| left.min(available));
        self.remaining = self.remaining.saturating_sub(len as u64);
        if self.remaining == 0 {
            self.state = State::DataCr;
        }
        len
    }

    /// Does this byte belong to an extension or a trailer?
    #[inline]
    fn is_ballast(&self, byte: u8) -> bool {
        match self.state {
            State::Size => byte == b';',
            State::Extension(_) | State::TrailerStart => byte != b'\r',
            State::TrailerName | State::TrailerValue | State::TrailerLf => true,
            _ => false,
        }
    }

    /// One byte of framing.
    #[inline]
    fn step(&mut self, byte: u8) -> Result<(), ChunkError> {
        let next = self.advance(byte);
        self.state = next.unwrap_or_else(State::Failed);
        next.map(drop)
    }

    /// The state after `byte`.
    #[inline]
    fn advance(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::SizeStart, _) => {
                self.digits = 0;
                self.remaining = 0;
                self.size_digit(byte)?;
                Ok(State::Size)
            }
            (State::Size | State::Extension(_), b'\r') => self.size_line_cr(),
            (State::Size, b';') => self.extension(Extension::NameStart),
            (State::Size, _) => {
                self.size_digit(byte)?;
                Ok(State::Size)
            }
            (State::Extension(at), _) => self.extension(next_in_extension(at, byte)?),
            (State::SizeEnd, b'\n') if self.remaining == 0 => Ok(State::TrailerStart),
            (State::SizeEnd, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::SizeStart),
            (State::DataCr | State::DataLf, _) => Err(ChunkError::DataEnd),
            (State::TrailerStart, b'\r') => Ok(State::BodyEnd),
            (State::BodyEnd, b'\n') => Ok(State::Done),
            (State::SizeEnd | State::BodyEnd, _) => Err(ChunkError::LineEnd),
            (
                State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf,
                _,
            ) => self.trailer(byte),
            (State::Failed(error), _) => Err(error),
            // `decode` and `relay` do not step here.
            (State::Data | State::Done, _) => {
                debug_assert!(false, "no framing byte is expected");
                Err(ChunkError::Size)
            }
        }
    }

    /// `chunk-size = 1*HEXDIG`.
    #[inline]
    fn size_digit(&mut self, byte: u8) -> Result<(), ChunkError> {
        // A bare LF is the wrong end of a line, not a wrong digit; RFC 9112 §2.2 lets a recipient
        // accept it in heads, never here (§7.1).
        let digit = scan::hex(byte).ok_or(match byte {
            b'\n' => ChunkError::LineEnd,
            _ => ChunkError::Size,
        })?;
        self.digits = self.digits.saturating_add(1);
        // RFC 9112 §7.1: recipients must anticipate large sizes and prevent overflow.
        let size = self.remaining.checked_mul(16);
        self.remaining = size
            .and_then(|size| size.checked_add(u64::from(digit)))
            .filter(|&size| size <= BODY_BYTES_MAX && self.digits <= SIZE_DIGITS_MAX)
            .ok_or(ChunkError::SizeOverflow)?;
        Ok(())
    }

    /// The CR of a size line: a size was read and the extension, if any, is whole.
    fn size_line_cr(&self) -> Result<State, ChunkError> {
        match self.state {
            State::Size
            | State::Extension(Extension::Name | Extension::Token | Extension::QuotedEnd) => {
                Ok(State::SizeEnd)
            }
            _ => Err(ChunkError::Extension),
        }
    }

    /// Counts a byte of an extension; RFC 9112 §7.1.1: the total is to be limited.
    fn extension(&mut self, next: Extension) -> Result<State, ChunkError> {
        if self.extension_bytes >= CHUNK_EXTENSION_BYTES_MAX {
            return Err(ChunkError::ExtensionTooLong);
        }
        self.extension_bytes = self.extension_bytes.saturating_add(1);
        Ok(State::Extension(next))
    }

    /// Checks and counts a byte of a trailer field; RFC 9112 §7.1.2.
    fn trailer(&mut self, byte: u8) -> Result<State, ChunkError> {
        if self.trailer_bytes >= TRAILER_BYTES_MAX {
            return Err(ChunkError::TrailerTooLong);
        }
        self.trailer_bytes = self.trailer_bytes.saturating_add(1);
        let state = match (self.state, byte) {
            (State::TrailerStart | State::TrailerName, _) if scan::is_token_byte(byte) => {
                State::TrailerName
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if scan::is_value_byte(byte) => State::TrailerValue,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::TrailerStart | State::TrailerValue, b'\n') | (State::TrailerLf, _) => {
                return Err(ChunkError::LineEnd);
            }
            _ => return Err(ChunkError::Trailer),
        };
        Ok(state)
    }
}

/// The place in an extension after `byte`, which is not CR.
fn next_in_extension(at: Extension, byte: u8) -> Result<Extension, ChunkError> {
    Ok(match (at, byte) {
        (_, b'\n') => return Err(ChunkError::LineEnd),
        (Extension::NameStart, b' ' | b'\t') => Extension::NameStart,
        (Extension::NameStart | Extension::Name, _) if scan::is_token_byte(byte) => Extension::Name,
        (Extension::Name, b'=') => Extension::ValueStart,
        (Extension::Name | Extension::Token | Extension::QuotedEnd, b';') => Extension::NameStart,
        (Extension::ValueStart, b'"') => Extension::Quoted,
        (Extension::ValueStart | Extension::Token, _) if scan::is_token_byte(byte) => {
            Extension::Token
        }
        (Extension::Quoted, b'"') => Extension::QuotedEnd,
        (Extension::Quoted, b'\\') => Extension::QuotedPair,
        // RFC 9110 §5.6.4: a quoted string holds no controls.
        (Extension::Quoted | Extension::QuotedPair, _) if scan::is_value_byte(byte) => {
            Extension::Quoted
        }
        _ => return Err(ChunkError::Extension),
    })
}

/// Begins a chunk of `len` bytes: the size line. The data and [`DATA_END`] follow. Writes nothing
/// for 0, which would end the body.
pub fn write_size(out: &mut Vec<u8>, len: usize) {
    debug_assert!(len > 0);
    if len == 0 {
        return;
    }
    let digits = usize::BITS.saturating_sub(len.leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        let digit = len.unbounded_shr(place.saturating_mul(4)) & 0xf;
        out.push(b"0123456789abcdef".get(digit).copied().unwrap_or(b'0'));
    }
    out.extend_from_slice(b"\r\n");
}

/// Ends the data of a chunk.
pub const DATA_END: &[u8] = b"\r\n";

/// Ends a body: the last chunk, no trailer.
pub const BODY_END: &[u8] = b"0\r\n\r\n";
