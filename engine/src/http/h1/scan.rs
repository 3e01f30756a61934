//! Byte classes of RFC 9110 and RFC 9112, and the small scans built on them.
//!
//! Everything is a pure function of a byte slice, without allocation and linear in its length.

/// `tchar`, RFC 9110 §5.6.2.
const TOKEN: u8 = 1;
/// What a field value may hold: HTAB, SP, VCHAR, obs-text; RFC 9110 §5.5.
const VALUE: u8 = 2;
/// What a registered name may hold, RFC 3986 §3.2.2, without commas and percent-encoding.
const HOST: u8 = 4;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte: u8 = 0;
    loop {
        let mut class = 0;
        if byte.is_ascii_alphanumeric()
            || matches!(
                byte,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            )
        {
            class |= TOKEN;
        }
        if byte == b'\t' || (byte >= b' ' && byte != 0x7f) {
            class |= VALUE;
        }
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || matches!(
                byte,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
            )
        {
            class |= HOST;
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "a byte is below 256; runs at compile time"
        )]
        {
            table[byte as usize] = class;
        }
        if byte == u8::MAX {
            return table;
        }
        byte = byte.wrapping_add(1);
    }
}

#[inline]
fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// May the byte stand in a token?
#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    class(byte) & TOKEN != 0
}

/// A token: at least one token character, nothing else.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// May the byte stand in a host that is no bracketed address?
#[inline]
pub(crate) fn is_host_byte(byte: u8) -> bool {
    class(byte) & HOST != 0
}

/// May the byte stand in a field value?
#[inline]
pub(crate) fn is_value_byte(byte: u8) -> bool {
    class(byte) & VALUE != 0
}

/// A field value, possibly empty.
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| is_value_byte(byte))
}

/// Without the optional whitespace (SP, HTAB) at both ends; RFC 9110 §5.6.3.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The members of a comma-separated list, trimmed, empty ones left out; RFC 9110 §5.6.1.2.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value
        .split(|&byte| byte == b',')
        .map(trim)
        .filter(|member| !member.is_empty())
}

/// A number of digits only; `None` on anything else or overflow.
pub(crate) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, &byte| {
        let digit = Some(byte.wrapping_sub(b'0')).filter(|&digit| digit < 10)?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The value of a hexadecimal digit.
#[inline]
pub(crate) fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte.wrapping_sub(b'0')),
        b'a'..=b'f' => Some(byte.wrapping_sub(b'a').wrapping_add(10)),
        b'A'..=b'F' => Some(byte.wrapping_sub(b'A').wrapping_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_5_6_2_token_characters() {
        let separators = b"\"(),/:;<=>?@[\\]{} \t";
        for byte in 0..=u8::MAX {
            let expected = (0x21..0x7f).contains(&byte) && !separators.contains(&byte);
            assert_eq!(is_token_byte(byte), expected, "{byte:#x}");
        }
        assert!(!is_token(b""));
    }

    #[test]
    fn rfc9110_5_6_1_2_empty_list_members_are_left_out() {
        let members: Vec<_> = list(b", a ,,\tb\t, ").collect();
        assert_eq!(members, [b"a", b"b"]);
        assert_eq!(list(b"").count(), 0);
    }

    #[test]
    fn rfc9110_5_6_3_only_space_and_tab_are_whitespace() {
        assert_eq!(trim(b" \t a \t b\t "), b"a \t b");
        assert_eq!(trim(b" \t "), b"");
        assert_eq!(trim(b"\x0ba\x0c\xa0"), b"\x0ba\x0c\xa0");
    }

    #[test]
    fn rfc9110_8_6_numbers_are_digits_only_and_do_not_overflow() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "18446744073709551616",
            "+1",
            "-1",
            "1 ",
            "0x1",
            "1e3",
            "1_0",
        ] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
    }
}
