//! The Huffman code of RFC 7541 §5.2 and appendix B.
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols, and
//! shorter ones come first. So the lengths are the whole table, and everything else is computed
//! from them when this is compiled. Codes of up to nine bits, which is nearly all of what is sent,
//! are found with one look; longer ones by comparing with the first code of each length.

use super::super::Fault;

/// Bits that are looked up at once.
const QUICK_BITS: u32 = 9;
/// The end-of-string symbol: its beginning is the padding, the whole of it is an error.
const END: usize = 256;
/// Bits of the longest code.
const BITS_MAX: usize = 30;

/// Length in bits of the code of each symbol.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The code of each symbol, in the low bits.
const CODES: [u32; 257] = {
    let mut codes = [0; 257];
    let mut length = 1;
    let mut code = 0;
    while length <= BITS_MAX {
        let mut symbol = 0;
        while symbol <= END {
            if LENGTHS[symbol] as usize == length {
                codes[symbol] = code;
                code += 1;
            }
            symbol += 1;
        }
        code <<= 1;
        length += 1;
    }
    codes
};

/// Symbols in the order of their codes.
const ORDER: [u16; 257] = {
    let mut order = [0; 257];
    let mut at = 0;
    let mut length = 1;
    while length <= BITS_MAX {
        let mut symbol = 0;
        while symbol <= END {
            if LENGTHS[symbol] as usize == length {
                order[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    order
};

/// The codes of one length.
#[derive(Clone, Copy)]
struct Row {
    /// The first code beyond those of this length and all shorter ones, moved to the high end of
    /// 32 bits: what lies below it has at most this length.
    end: u64,
    /// The first code of this length, moved likewise.
    first: u64,
    /// Where its symbols begin in [`ORDER`].
    at: usize,
}

const ROWS: [Row; BITS_MAX + 1] = {
    let mut rows = [Row {
        end: 0,
        first: 0,
        at: 0,
    }; BITS_MAX + 1];
    let mut length = 1;
    let mut code: u64 = 0;
    let mut at = 0;
    while length <= BITS_MAX {
        let mut count = 0;
        let mut symbol = 0;
        while symbol <= END {
            if LENGTHS[symbol] as usize == length {
                count += 1;
            }
            symbol += 1;
        }
        rows[length] = Row {
            end: (code + count as u64) << (32 - length),
            first: code << (32 - length),
            at,
        };
        at += count;
        code = (code + count as u64) << 1;
        length += 1;
    }
    rows
};

/// By the next nine bits: symbol and length of a code that is no longer; length 0 if it is longer.
const QUICK: [(u8, u8); 1 << QUICK_BITS] = {
    let mut quick = [(0, 0); 1 << QUICK_BITS];
    let mut symbol = 0;
    while symbol < END {
        let length = LENGTHS[symbol] as u32;
        if length <= QUICK_BITS {
            let spare = QUICK_BITS - length;
            let first = (CODES[symbol] << spare) as usize;
            let mut at = first;
            while at < first + (1 << spare) {
                quick[at] = (symbol as u8, length as u8);
                at += 1;
            }
        }
        symbol += 1;
    }
    quick
};

/// Appends the string that `coded` holds to `out`.
pub(crate) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let (mut bits, mut count) = (0_u64, 0_u32);
    let mut rest = coded.iter();
    loop {
        // The bits wait at the high end of 64; at least 57 are there unless the input has ended.
        while count <= 56
            && let Some(&byte) = rest.next()
        {
            bits |= u64::from(byte) << (56 - count);
            count += 8;
        }
        if count == 0 {
            return Ok(());
        }
        let (symbol, length) = match QUICK[(bits >> (64 - QUICK_BITS)) as usize] {
            (_, 0) => long_code(bits >> 32),
            (symbol, length) => (usize::from(symbol), u32::from(length)),
        };
        if length > count {
            return padding(bits, count);
        }
        if symbol == END {
            // §5.2: a string that contains EOS is a decoding error.
            return Err(Fault::compression("EOS within a Huffman string"));
        }
        out.push(symbol as u8);
        bits <<= length;
        count -= length;
    }
}

/// The symbol, and its length, with whose code the 32 bits begin. The code is complete: every 30
/// bits begin with exactly one.
fn long_code(bits: u64) -> (usize, u32) {
    let mut length = QUICK_BITS as usize + 1;
    while length < BITS_MAX && bits >= ROWS[length].end {
        length += 1;
    }
    let Row { first, at, .. } = ROWS[length];
    let nth = (bits.saturating_sub(first) >> (32 - length)) as usize;
    let symbol = ORDER[(at + nth).min(END)];
    (usize::from(symbol), length as u32)
}

/// §5.2: what remains is the beginning of EOS, all ones, and shorter than a byte.
fn padding(bits: u64, count: u32) -> Result<(), Fault> {
    if count > 7 {
        return Err(Fault::compression(
            "Huffman padding of more than seven bits",
        ));
    }
    if bits >> (64 - count) != (1 << count) - 1 {
        return Err(Fault::compression("Huffman padding that is not all ones"));
    }
    Ok(())
}

/// Bytes that `text` takes when it is coded.
pub(crate) fn coded_len(text: &[u8]) -> usize {
    let bits = |&byte: &u8| usize::from(LENGTHS[usize::from(byte)]);
    text.iter().map(bits).sum::<usize>().div_ceil(8)
}

/// Appends `text`, coded, to `out`.
pub(crate) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u64, 0_u32);
    for &byte in text {
        let length = u32::from(LENGTHS[usize::from(byte)]);
        bits = bits << length | u64::from(CODES[usize::from(byte)]);
        count += length;
        while count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    if count > 0 {
        let ones = 0xff >> count;
        out.push((bits << (8 - count)) as u8 | ones);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coded(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(text, &mut out);
        assert_eq!(out.len(), coded_len(text));
        out
    }

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::new();
        decode(bytes, &mut out).map(|()| out)
    }

    #[test]
    fn rfc7541_appendix_b_codes_follow_from_their_lengths() {
        // The first, some in between, and the last, as the appendix prints them.
        for (symbol, code, length) in [
            (0, 0x1ff8, 13),
            (usize::from(b'0'), 0x0, 5),
            (usize::from(b'a'), 0x3, 5),
            (usize::from(b' '), 0x14, 6),
            (usize::from(b'~'), 0x1ffd, 13),
            (127, 0xffffffc, 28),
            (203, 0x7ffffde, 27),
            (249, 0xffffffe, 28),
            (255, 0x3ffffee, 26),
            (END, 0x3fffffff, 30),
        ] {
            assert_eq!((CODES[symbol], LENGTHS[symbol]), (code, length), "{symbol}");
        }
        // Kraft's sum: the code is complete, so that every input is a code or a beginning of EOS.
        let sum: u64 = LENGTHS
            .iter()
            .map(|&length| 1 << (BITS_MAX - usize::from(length)))
            .sum();
        assert_eq!(sum, 1 << BITS_MAX);
    }

    #[test]
    fn rfc7541_5_2_every_byte_survives() {
        for byte in 0..=255 {
            let text = [byte; 5];
            assert_eq!(decoded(&coded(&text)).as_deref(), Ok(&text[..]), "{byte}");
        }
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decoded(&coded(&all)), Ok(all));
    }

    #[test]
    fn rfc7541_5_2_padding_is_short_and_all_ones() {
        assert_eq!(decoded(b""), Ok(vec![]));
        // `0` is five zeros: three ones must follow.
        assert_eq!(decoded(&[0b0000_0111]), Ok(b"0".to_vec()));
        for bytes in [
            &[0b0000_0110][..],
            &[0b0000_0111, 0xff],
            &[0xff],
            &[0xff; 4],
        ] {
            assert!(decoded(bytes).is_err(), "{bytes:x?}");
        }
    }
}
