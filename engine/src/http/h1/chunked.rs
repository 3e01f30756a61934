//! Chunked bodies: RFC 9112 §7.1.

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

/// Why a chunked body is refused. The connection cannot be read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// The size is missing or holds something other than hexadecimal digits.
    Size,
    /// The size is too large.
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

/// Reads one chunked body.
#[derive(Clone, Debug, Default)]
pub struct Decoder {}

impl Decoder {
    /// At the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next event in `bytes`.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<Event, ChunkError> {
        let _ = bytes;
        unimplemented!()
    }

    /// Has the body ended?
    pub fn is_done(&self) -> bool {
        false
    }
}

/// Begins a chunk of `len` bytes, `len > 0`: the size line. The data and [`DATA_END`] follow.
pub fn write_size(out: &mut Vec<u8>, len: usize) {
    let _ = (out, len);
}

/// Ends the data of a chunk.
pub const DATA_END: &[u8] = b"\r\n";

/// Ends a body: the last chunk, no trailer.
pub const BODY_END: &[u8] = b"0\r\n\r\n";
