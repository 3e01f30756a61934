//! Field lines: bytes to [`FieldLine`]s and [`Notes`], in one pass over the bytes; RFC 9112 §5.
//!
//! Owns their syntax: what passes has names that are tokens, values without controls, and CRLF
//! behind each line. What fields mean is judged later, from the notes.

use super::{line_end, scan};
use crate::http::collect::Notes;
use crate::http::field::{Field, FieldLine, FieldName};
use crate::http::head::{HeadError, Span};
use crate::limits::FIELD_COUNT_MAX;

/// Reads field lines up to the empty line behind them. Gives what is behind that, or `None` if more
/// bytes are needed.
///
/// *Input*: `rest` is the end of `bytes`, which spans are relative to.
pub(super) fn read<'a>(
    mut rest: &'a [u8],
    bytes: &'a [u8],
    count_max: usize,
    fields: &mut Vec<FieldLine>,
    notes: &mut Notes,
) -> Result<Option<&'a [u8]>, HeadError> {
    fields.clear();
    while !matches!(rest, [b'\r' | b'\n', ..]) {
        let Some((field, behind)) = read_line(rest)? else {
            return Ok(None);
        };
        if fields.len() >= count_max.min(FIELD_COUNT_MAX) {
            return Err(HeadError::TooManyFields);
        }
        let (name, value) = (
            Span::within(bytes, field.name_bytes),
            Span::within(bytes, field.value),
        );
        fields.push(notes.field(field.name, name, value));
        rest = behind;
    }
    line_end(rest, HeadError::LineEnd)
}

/// `field-name ":" OWS field-value OWS CRLF`, and what is behind it.
#[inline]
fn read_line(bytes: &[u8]) -> Result<Option<(Field<'_>, &[u8])>, HeadError> {
    // No token holds a control or a space.
    let length = scan::until::<0x21, b':'>(bytes);
    let (name_bytes, rest) = bytes.split_at_checked(length).unwrap_or_default();
    let name = FieldName::recognise(name_bytes);
    let is_known = !matches!(name, FieldName::Other | FieldName::XForwardedOther);
    let rest = match rest {
        // RFC 9110 §5.1: a name is a token, as every known one is.
        [b':', rest @ ..] if is_known || scan::is_token(name_bytes) => rest,
        [] if bytes.is_empty() || scan::is_token(name_bytes) => return Ok(None),
        // RFC 9112 §5.1: no whitespace before the colon; §5.2: no folded lines.
        _ => return Err(HeadError::FieldName),
    };
    let length = scan::value_length(rest);
    let (value, rest) = rest.split_at_checked(length).unwrap_or_default();
    let behind = line_end(rest, HeadError::FieldValue)?;
    let field = Field {
        name,
        name_bytes,
        // RFC 9112 §5.1: the whitespace around a value is not part of it.
        value: scan::trim(value),
    };
    Ok(behind.map(|behind| (field, behind)))
}
