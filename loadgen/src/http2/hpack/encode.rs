//! Writes field blocks that leave no trace at the peer (RFC 7541 §6.1, §6.2.2).
//!
//! Fields of the static table are sent as its index, all others as literals that are not
//! remembered. So a block means the same on every connection and at any time.

use super::huffman;
use super::table::STATIC;

/// Appends one field.
pub(crate) fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let mut named = 0;
    for (at, &entry) in STATIC.iter().enumerate() {
        if entry.0 != name {
            continue;
        }
        if entry.1 == value {
            push_integer(out, 0x80, 7, at + 1);
            return;
        }
        if named == 0 {
            named = at + 1;
        }
    }
    push_integer(out, 0x00, 4, named);
    if named == 0 {
        push_string(out, name);
    }
    push_string(out, value);
}

/// Appends `:status`: one byte for those that the static table holds.
pub(crate) fn push_status(out: &mut Vec<u8>, status: u16) {
    let index = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        _ => {
            let digit = |size| b'0' + (status / size % 10) as u8;
            push_named(out, 8, &[digit(100), digit(10), digit(1)]);
            return;
        }
    };
    push_integer(out, 0x80, 7, index);
}

/// Appends one field whose name has this index in the static table.
pub(crate) fn push_named(out: &mut Vec<u8>, name: usize, value: &[u8]) {
    push_integer(out, 0x00, 4, name);
    push_string(out, value);
}

/// Appends one field whose name has this index in the static table, and whose value `fill` appends;
/// as it is, without Huffman, for values that are made when they are sent.
pub(crate) fn push_made(out: &mut Vec<u8>, name: usize, fill: impl FnOnce(&mut Vec<u8>)) {
    push_integer(out, 0x00, 4, name);
    let start = out.len();
    fill(out);
    let end = out.len();
    push_integer(out, 0x00, 7, end - start);
    // The length is known last and stands first.
    let length = out.len() - end;
    out[start..].rotate_right(length);
}

/// A number whose beginning shares a byte with `pattern` (§5.1).
fn push_integer(out: &mut Vec<u8>, pattern: u8, bits: u32, value: usize) {
    let mask = (1 << bits) - 1;
    if value < mask {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The shorter of the two forms (§5.2).
fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    let coded = huffman::coded_len(text);
    if coded < text.len() {
        push_integer(out, 0x80, 7, coded);
        huffman::encode(text, out);
    } else {
        push_integer(out, 0x00, 7, text.len());
        out.extend_from_slice(text);
    }
}
