//! Path normalisation: RFC 3986 §6.2.2 and §5.2.4, RFC 9110 §4.2.3.
//!
//! One path for routing, policy and upstream. Escapes of unreserved characters are decoded,
//! others written in upper case, dot segments resolved, double slashes merged (by rule). A path
//! whose meaning upstreams disagree about is refused: an encoded slash, backslash or NUL (by
//! rule), a backslash, a dot segment with a parameter (`/..;/`), a path that climbs above the
//! root.
//!
//! Most paths are normal already: one pass finds that out and nothing is copied. The normal form
//! of a normal form is itself.

use super::h1::scan;
use super::target::{Encoded, TargetError, TargetRules};

/// Where the normal form of a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The received path is in normal form.
    AsReceived,
    /// In the storage.
    Normalised,
}

/// May not stand in a path.
const BAD: u8 = 1;
/// Begins an escape.
const PERCENT: u8 = 2;
/// Begins a segment.
const SLASH: u8 = 4;
/// After a slash it needs a closer look. Must be `SLASH << 1`: see [`read`].
const AFTER_SLASH: u8 = SLASH << 1;

static CLASS: [u8; 256] = classes();

/// RFC 3986 §3.3 `pchar` and `/`, and the visible characters that clients send unencoded without
/// harm: `[ ] ^ { | }` and the grave accent.
const fn classes() -> [u8; 256] {
    let mut table = [BAD; 256];
    let mut byte: u8 = 0x21;
    while byte < 0x7f {
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte is below 256; runs at compile time"
        )]
        {
            table[byte as usize] = match byte {
                b'#' | b'?' | b'\\' | b'"' | b'<' | b'>' => BAD,
                b'%' => PERCENT,
                b'/' => SLASH | AFTER_SLASH,
                b'.' => AFTER_SLASH,
                _ => 0,
            };
        }
        byte = byte.wrapping_add(1);
    }
    table
}

/// Brings a path, which begins with `/`, into its normal form.
pub(super) fn read(
    path: &[u8],
    rules: TargetRules,
    storage: &mut Vec<u8>,
) -> Result<Reading, TargetError> {
    debug_assert_eq!(path.first(), Some(&b'/'));
    let mut seen = 0;
    let mut pairs = 0;
    let mut before = 0;
    for &byte in path {
        let class = CLASS.get(usize::from(byte)).copied().unwrap_or(BAD);
        seen |= class;
        // A slash followed by a dot or a slash: its bit, moved up by one, meets AFTER_SLASH.
        pairs |= (before << 1) & class;
        before = class;
    }
    if seen & BAD != 0 {
        return Err(TargetError::Character);
    }
    if seen & PERCENT == 0 && pairs & AFTER_SLASH == 0 {
        return Ok(Reading::AsReceived);
    }
    normalise(path, rules, storage)?;
    Ok(Reading::Normalised)
}

/// Segment by segment, each decoded before it is judged; RFC 3986 §5.2.4.
fn normalise(path: &[u8], rules: TargetRules, out: &mut Vec<u8>) -> Result<(), TargetError> {
    out.clear();
    let mut segments = path.split(|&byte| byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let start = out.len();
        out.push(b'/');
        decode(segment, rules, out)?;
        match out.get(start.saturating_add(1)..).unwrap_or_default() {
            b"" if rules.merge_slashes && !is_last => out.truncate(start),
            b"." => {
                out.truncate(start);
                if is_last {
                    out.push(b'/');
                }
            }
            b".." => {
                out.truncate(start);
                // RFC 3986 would stay at the root; a client that climbs above it is probing.
                let parent = memchr::memrchr(b'/', out).ok_or(TargetError::AboveRoot)?;
                out.truncate(parent);
                if is_last {
                    out.push(b'/');
                }
            }
            // Servlet containers cut the parameter off and then see a dot segment.
            [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(TargetError::AboveRoot),
            _ => {}
        }
    }
    debug_assert_eq!(out.first(), Some(&b'/'));
    Ok(())
}

/// Decodes the escapes of a segment once; RFC 3986 §6.2.2.1 and §6.2.2.2.
fn decode(segment: &[u8], rules: TargetRules, out: &mut Vec<u8>) -> Result<(), TargetError> {
    let mut rest = segment;
    while let Some(percent) = memchr::memchr(b'%', rest) {
        let (plain, escape) = rest.split_at_checked(percent).unwrap_or((rest, b""));
        out.extend_from_slice(plain);
        let [b'%', high, low, tail @ ..] = escape else {
            return Err(TargetError::Percent);
        };
        let (Some(upper), Some(lower)) = (scan::hex(*high), scan::hex(*low)) else {
            return Err(TargetError::Percent);
        };
        let byte = upper << 4 | lower;
        let policy = match byte {
            b'/' | b'\\' => rules.encoded_separators,
            0 => rules.encoded_nul,
            _ => Encoded::Keep,
        };
        if policy == Encoded::Refuse {
            return Err(TargetError::EncodedSeparator);
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            let escape = [b'%', high.to_ascii_uppercase(), low.to_ascii_uppercase()];
            out.extend_from_slice(&escape);
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    Ok(())
}
