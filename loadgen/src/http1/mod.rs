//! HTTP/1.1 as the generator and its origin need it; shares no code with the engine's parser.
//!
//! A judge that shares the parser shares the bug, so this is written from RFC 9112 alone, and it
//! is strict: what the engine must not send is an error here, never a guess. Bytes come in runs of
//! any length, split anywhere; a byte is looked at once, except that a line split over two runs is
//! gathered in a small buffer first. Body bytes are counted (and hashed if asked) where they lie.
//! Nothing allocates once the buffers have grown to the longest split line.
//!
//! Deliberately missing: trailers as values, content codings, upgrades.

pub(crate) mod chunked;
pub(crate) mod request;
pub(crate) mod response;

use memchr::memchr;

/// The longest head (start line and fields) that is accepted, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What is wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// The request line or status line breaks RFC 9112 §3 or §4.
    StartLine,
    /// A field line without colon, with a bad name, folded, or ending in a bare LF or CR.
    FieldLine,
    /// Content-Length is not one number, or contradicts itself or Transfer-Encoding.
    ContentLength,
    /// Transfer-Encoding does not end in `chunked` exactly once.
    TransferEncoding,
    /// A chunk size, extension, chunk end or trailer breaks RFC 9112 §7.1.
    Chunk,
    /// The head is longer than [`HEAD_BYTES_MAX`].
    HeadTooLong,
    /// The peer closed in the middle of the message.
    Truncated,
    /// 101 although no upgrade was asked for.
    Upgrade,
}

/// How far a run of bytes took a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All bytes were used and more are needed.
    Partial,
    /// The message ended after `used` bytes of this run.
    Complete {
        /// Bytes of the run that belong to the message.
        used: usize,
    },
}

/// Cuts lines that end in CRLF out of runs of bytes.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The beginning of a line whose end has not come yet, or the last line that was gathered.
    carry: Vec<u8>,
    carry_used: bool,
    /// Bytes of this head so far.
    head_bytes: usize,
}

impl Lines {
    /// The next whole line, without its CRLF, taken from the front of `bytes`; `None` when the
    /// line's end has not come (then `bytes` is used up).
    fn next<'line, 'run: 'line>(
        &'line mut self,
        bytes: &mut &'run [u8],
    ) -> Result<Option<&'line [u8]>, Malformed> {
        if std::mem::take(&mut self.carry_used) {
            self.carry.clear();
        }
        let run = *bytes;
        let end = memchr(b'\n', run).map(|at| at + 1);
        let (line, rest) = run.split_at(end.unwrap_or(run.len()));
        *bytes = rest;
        self.head_bytes += line.len();
        if self.head_bytes > HEAD_BYTES_MAX {
            return Err(Malformed::HeadTooLong);
        }
        if end.is_none() {
            self.carry.extend_from_slice(line);
            return Ok(None);
        }
        let line = if self.carry.is_empty() {
            line
        } else {
            self.carry.extend_from_slice(line);
            self.carry_used = true;
            &self.carry
        };
        // RFC 9112 §2.2 lets a recipient accept a bare LF; a judge does not.
        line.strip_suffix(b"\r\n")
            .map(Some)
            .ok_or(Malformed::FieldLine)
    }

    /// Forgets the head; the buffer stays.
    fn reset(&mut self) {
        self.carry.clear();
        self.carry_used = false;
        self.head_bytes = 0;
    }
}

/// What the field lines of one head say about its framing and its connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    expects_continue: bool,
}

impl Framing {
    /// Reads one field line; most are only checked for their form.
    fn field(&mut self, line: &[u8]) -> Result<(), Malformed> {
        // RFC 9112 §5.1: no whitespace before the colon; §5.2: no folding (a leading blank).
        let colon = memchr(b':', line).ok_or(Malformed::FieldLine)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        // Without leaving the loop early, so that it is done many bytes at a time.
        let is_name = name
            .iter()
            .fold(true, |is_name, &byte| is_name & is_token_byte(byte));
        let is_control = |byte: u8| (byte < b' ') & (byte != b'\t') | (byte == 0x7f);
        let controls = value
            .iter()
            .fold(false, |found, &byte| found | is_control(byte));
        if name.is_empty() || !is_name || controls {
            return Err(Malformed::FieldLine);
        }
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            10 if name.eq_ignore_ascii_case(b"connection") => {
                for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    self.close |= option.eq_ignore_ascii_case(b"close");
                    self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                }
                Ok(())
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expects_continue |= value.trim_ascii().eq_ignore_ascii_case(b"100-continue");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// RFC 9112 §6.3 rule 5: one decimal number; repeated only if it says the same.
    fn content_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        let length = decimal(value.trim_ascii()).ok_or(Malformed::ContentLength)?;
        if self.chunked || self.content_length.is_some_and(|earlier| earlier != length) {
            return Err(Malformed::ContentLength);
        }
        self.content_length = Some(length);
        Ok(())
    }

    /// RFC 9112 §6.1: `chunked` alone is the only coding spoken here.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Malformed> {
        if self.chunked || !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed::TransferEncoding);
        }
        // RFC 9112 §6.3 rule 3: both at once is request smuggling or response splitting.
        if self.content_length.is_some() {
            return Err(Malformed::ContentLength);
        }
        self.chunked = true;
        Ok(())
    }

    /// RFC 9112 §9.3: does the connection stay open after this message?
    const fn persists(&self, http11: bool) -> bool {
        !self.close && (http11 || self.keep_alive)
    }
}

/// Decimal digits only, no sign, no overflow (RFC 9110 §8.6).
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// RFC 9110 §5.6.2 `tchar`.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z');
        byte += 1;
    }
    table
};
