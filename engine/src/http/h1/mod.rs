//! HTTP/1.0 and HTTP/1.1 syntax: RFC 9112.
//!
//! [`request::parse`] and [`response::parse`] read heads, [`chunked::Decoder`] reads bodies,
//! [`encode`] writes messages. All are pure functions of bytes; input may end anywhere, and the
//! result does not depend on where it was split.

pub mod chunked;
mod digits;
pub mod encode;
pub mod request;
pub mod response;
pub(crate) mod scan;

use std::mem::MaybeUninit;

use super::collect::Notes;
use super::field::{FieldLine, FieldName};
use super::head::{HeadError, Span};
use super::target::TargetRules;
use crate::limits;

/// What may stand in a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head, leading empty lines included; above it 431. At most
    /// [`limits::HEAD_BYTES_MAX`].
    pub head_bytes: usize,
    /// Bytes of the request line without its CRLF; above it 414. Not used for responses.
    pub request_line_bytes: usize,
    /// Field lines; above it 431. At most [`limits::FIELD_COUNT_MAX`].
    pub field_count: usize,
    /// Field names with `_`. Not used for responses.
    pub names: UnderscoreNames,
    /// How request targets are read.
    pub target: TargetRules,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            head_bytes: limits::HEAD_BYTES,
            request_line_bytes: limits::REQUEST_LINE_BYTES,
            field_count: limits::FIELD_COUNT,
            names: UnderscoreNames::default(),
            target: TargetRules::default(),
        }
    }
}

/// Field names with `_`. CGI-like upstreams read `X_Forwarded_For` as `X-Forwarded-For`, so a
/// name that would become a known one is refused in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnderscoreNames {
    /// 400.
    #[default]
    Refuse,
    /// Forwarded, unless it imitates a name the proxy knows.
    Allow,
}

/// What a parser found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The head is complete and takes this many bytes.
    Complete {
        /// Bytes of the head; the body begins after them.
        bytes: usize,
    },
    /// More bytes are needed; nothing wrong so far.
    Partial,
}

/// How far a head that came in pieces was looked at.
///
/// A head that trickles in is not parsed again for every byte: only when its end has come, when
/// the bytes have doubled since the last attempt (so that errors are found early), when one of its
/// first lines has ended (nothing may follow one that is refused, as of HTTP/0.9), when a line end
/// is broken or when the limit is reached. The total work stays linear: at most 2n bytes of
/// attempts before the last one, those for first lines, and each byte searched once for the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    /// Bytes present at the last full attempt; 0 before the first. `attempted <= scanned`.
    pub(super) attempted: usize,
    /// Bytes searched for the end of the head.
    scanned: usize,
    /// Attempts made because a line had ended.
    lines_tried: u8,
}

/// Attempts that line ends are worth: the first line, and the empty ones that may precede it.
const LINES_TRIED_MAX: u8 = 4;

impl Progress {
    /// Is it worth parsing `window`? `is_full`: no more bytes of this head will be looked at.
    #[inline]
    fn is_due(&mut self, window: &[u8], is_full: bool) -> bool {
        self.attempted == 0 || is_full || self.is_due_again(window)
    }

    /// After a first attempt.
    fn is_due_again(&mut self, window: &[u8]) -> bool {
        debug_assert!(self.attempted <= self.scanned);
        if window.len() < self.scanned {
            // Fewer bytes than before: this is another message.
            *self = Self::default();
        }
        if window.len() >= self.attempted.saturating_mul(2) {
            return true;
        }
        let fresh = window.get(self.scanned..).unwrap_or_default();
        if self.lines_tried < LINES_TRIED_MAX && memchr::memchr(b'\n', fresh).is_some() {
            self.lines_tried = self.lines_tried.saturating_add(1);
            return true;
        }
        // The LF of the last line may have been the last or last but one byte scanned.
        let unseen = window.get(self.scanned.saturating_sub(2)..);
        self.scanned = window.len();
        unseen.is_some_and(|bytes| holds_head_end(bytes) || holds_bare_cr(bytes))
    }

    /// Notes a full attempt that needs more bytes.
    fn attempted(&mut self, window: &[u8]) {
        self.attempted = window.len();
        self.scanned = window.len();
    }
}

/// Is there an empty line, with any line ends that the tokeniser accepts?
fn holds_head_end(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|line_feed| {
        matches!(
            bytes.get(line_feed.saturating_add(1)..),
            Some([b'\n', ..] | [b'\r', b'\n', ..])
        )
    })
}

/// Is there a CR that no LF follows? Such a head is refused (RFC 9112 §2.2), so that parsing it
/// once more is the last time.
fn holds_bare_cr(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\r', bytes)
        .any(|cr| !matches!(bytes.get(cr.saturating_add(1)), Some(b'\n') | None))
}

/// Runs `attempt` on as much of `bytes` as a head may take, if it is due.
fn resume<H>(
    bytes: &[u8],
    head_bytes: usize,
    head: &mut H,
    progress: fn(&mut H) -> &mut Progress,
    attempt: impl FnOnce(&[u8], &mut H) -> Result<Parsed, HeadError>,
) -> Result<Parsed, HeadError> {
    let limit = head_bytes.min(limits::HEAD_BYTES_MAX);
    let window = bytes.get(..limit).unwrap_or(bytes);
    let is_full = window.len() == limit;
    if !progress(head).is_due(window, is_full) {
        return Ok(Parsed::Partial);
    }
    let result = match attempt(window, head) {
        Ok(Parsed::Partial) if is_full => Err(HeadError::HeadTooLarge),
        other => other,
    };
    match result {
        Ok(Parsed::Partial) => progress(head).attempted(window),
        Ok(Parsed::Complete { .. }) | Err(_) => *progress(head) = Progress::default(),
    }
    result
}

/// Room for the tokeniser; on the stack, not initialised.
type Slots<'a> = [MaybeUninit<httparse::Header<'a>>; limits::FIELD_COUNT_MAX];

/// As many slots as fields are allowed.
fn allowed<'s, 'a>(
    slots: &'s mut Slots<'a>,
    limits: &HeadLimits,
) -> &'s mut [MaybeUninit<httparse::Header<'a>>] {
    let count = limits.field_count.min(slots.len());
    slots.get_mut(..count).unwrap_or_default()
}

/// The tokeniser's errors in our words; `Version` is judged by the callers.
fn tokenise_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::HeaderName => HeadError::FieldName,
        httparse::Error::HeaderValue => HeadError::FieldValue,
        httparse::Error::NewLine => HeadError::LineEnd,
        httparse::Error::Status | httparse::Error::Token | httparse::Error::Version => {
            HeadError::Line
        }
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
    }
}

/// `HTTP/` DIGIT `.` DIGIT, RFC 9112 §2.3.
fn is_version(text: &[u8]) -> bool {
    matches!(text, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit())
}

/// Takes the tokenised fields into the head: one pass.
///
/// *Input*: `text` is the head from its first line to its empty line; `bytes` is what spans are
/// relative to. The tokeniser has checked every byte of names and values and has refused folded
/// lines (RFC 9112 §5.2) and whitespace before the colon (§5.1); that every line ends in CRLF
/// (§2.2) is checked here.
fn take_fields(
    headers: &[httparse::Header<'_>],
    text: &[u8],
    bytes: &[u8],
    fields: &mut Vec<FieldLine>,
    notes: &mut Notes,
) -> Result<(), HeadError> {
    fields.clear();
    // The empty line and the line before it.
    if !text.ends_with(b"\r\n\r\n") {
        return Err(HeadError::LineEnd);
    }
    for header in headers {
        let name = header.name.as_bytes();
        let name_span = Span::within(bytes, name);
        // What precedes a name is the end of the line before.
        if !name_span.is_after(b"\r\n", bytes) {
            return Err(HeadError::LineEnd);
        }
        let value = Span::within(bytes, header.value);
        let name = FieldName::recognise(name);
        fields.push(notes.field(name, name_span, value));
    }
    Ok(())
}
