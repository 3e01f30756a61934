//! HPACK against the examples of RFC 7541 appendix C, and against what it forbids.

use super::super::fields::Fields;
use super::super::{FIELDS_BYTES_MAX, Fault};
use super::decode::Decoder;
use super::encode::{push_field, push_status};
use super::table::{STATIC, TABLE_BYTES_MAX};

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> = hexadecimal.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn read(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Fault> {
    let mut fields = Fields::default();
    decoder.decode(block, &mut fields)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok(fields
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect())
}

/// Decodes the blocks one after the other with one decoder, and compares.
fn check(blocks: &[(&str, &[(&str, &str)])]) {
    let mut decoder = Decoder::new();
    for (block, expected) in blocks {
        let expected: Vec<_> = expected
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(read(&mut decoder, &bytes(block)), Ok(expected), "{block}");
    }
}

#[test]
fn rfc7541_c_2_literals_and_indexed_fields() {
    check(&[(
        "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
        &[("custom-key", "custom-header")],
    )]);
    check(&[(
        "040c 2f73 616d 706c 652f 7061 7468",
        &[(":path", "/sample/path")],
    )]);
    check(&[(
        "1008 7061 7373 776f 7264 0673 6563 7265 74",
        &[("password", "secret")],
    )]);
    check(&[("82", &[(":method", "GET")])]);
}

const REQUESTS: [&[(&str, &str)]; 3] = [
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

#[test]
fn rfc7541_c_3_requests_without_huffman() {
    check(&[
        (
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            REQUESTS[0],
        ),
        ("8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1]),
        (
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
            REQUESTS[2],
        ),
    ]);
}

#[test]
fn rfc7541_c_4_requests_with_huffman() {
    check(&[
        ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", REQUESTS[0]),
        ("8286 84be 5886 a8eb 1064 9cbf", REQUESTS[1]),
        (
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
            REQUESTS[2],
        ),
    ]);
}

#[test]
fn rfc7541_c_6_1_an_answer_with_huffman() {
    check(&[(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e \
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        &[
            (":status", "302"),
            ("cache-control", "private"),
            ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("location", "https://www.example.com"),
        ],
    )]);
}

#[test]
fn rfc7541_c_1_numbers() {
    // 10 and 1337 with a prefix of five bits, 42 with eight: as table sizes and as an index.
    let mut decoder = Decoder::new();
    assert_eq!(read(&mut decoder, &bytes("2a")), Ok(vec![]));
    assert_eq!(read(&mut decoder, &bytes("3f9a0a")), Ok(vec![]));
    for block in ["3f", "3f9a", "3fffffffffffff01", "7fffffffff7f"] {
        assert!(read(&mut Decoder::new(), &bytes(block)).is_err(), "{block}");
    }
}

#[test]
fn rfc7541_4_2_the_size_changes_only_at_the_beginning_and_within_bounds() {
    let table = |size: usize| {
        let rest = size - 31;
        vec![0x3f, rest as u8 | 0x80, (rest >> 7) as u8]
    };
    let mut decoder = Decoder::new();
    assert!(read(&mut decoder, &table(TABLE_BYTES_MAX)).is_ok());
    assert!(read(&mut decoder, &table(TABLE_BYTES_MAX + 1)).is_err());
    assert!(read(&mut Decoder::new(), &bytes("20 3fe11f 82")).is_ok());
    assert!(read(&mut Decoder::new(), &bytes("82 20")).is_err());
    assert!(read(&mut Decoder::new(), &bytes("20 20 20")).is_err());
}

#[test]
fn rfc7541_2_3_3_an_index_beyond_the_tables_is_an_error() {
    for block in ["80", "be", "ff00", "7e 01 61", "0f 30 01 61"] {
        assert!(read(&mut Decoder::new(), &bytes(block)).is_err(), "{block}");
    }
}

#[test]
fn rfc7541_5_2_a_block_that_ends_early_is_an_error_wherever_it_ends() {
    let whole = bytes("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf");
    let mut first = Decoder::new();
    let before = bytes("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff");
    assert!(read(&mut first, &before).is_ok());
    for end in 5..whole.len() {
        let mut decoder = Decoder::new();
        assert!(read(&mut decoder, &before).is_ok());
        assert!(read(&mut decoder, &whole[..end]).is_err(), "{end}");
    }
}

#[test]
fn a_small_block_cannot_unfold_without_limit() {
    // One entry of nearly the whole table, then as many references to it as fit into a frame.
    let mut block = vec![0x40, 1, b'a', 0x7f, 0xa0, 0x1e];
    block.extend([b'v'; 3999]);
    block.extend([0xbe; 12_000]);
    let error = read(&mut Decoder::new(), &block).expect_err("48 MB");
    assert_eq!(error.why, "more fields than are accepted");
    const { assert!(FIELDS_BYTES_MAX < 12_000 * 4000) };
}

#[test]
fn rfc7541_6_what_is_encoded_is_decoded_and_remembered_by_nobody() {
    let mut decoder = Decoder::new();
    let long = "x".repeat(1000);
    let fields = [
        (":method", "PATCH"),
        (":path", "/a?b=c"),
        ("content-length", "65536"),
        ("x-own", &long),
        ("empty", ""),
        ("odd", "\u{7f}\u{1}"),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        push_field(&mut block, name.as_bytes(), value.as_bytes());
    }
    for (name, value) in STATIC {
        push_field(&mut block, name, value);
    }
    for _ in 0..2 {
        let got = read(&mut decoder, &block).expect("a block");
        assert_eq!(got.len(), fields.len() + STATIC.len());
        for ((name, value), expected) in got.iter().zip(fields) {
            assert_eq!((&**name, &**value), expected);
        }
        assert!(read(&mut decoder, &[0xbe]).is_err());
    }
}

#[test]
fn rfc7541_appendix_a_statuses_are_what_they_say() {
    let mut decoder = Decoder::new();
    for status in 100..1000 {
        let mut block = Vec::new();
        push_status(&mut block, status);
        let expected = vec![(":status".to_owned(), status.to_string())];
        assert_eq!(read(&mut decoder, &block), Ok(expected));
    }
}

#[test]
fn rfc7541_c_5_answers_in_a_table_of_256_bytes() {
    let first = ("cache-control", "private");
    let dated = |date| {
        vec![
            first,
            ("date", date),
            ("location", "https://www.example.com"),
        ]
    };
    let mut decoder = Decoder::new();
    // The examples assume this size; here the block itself begins by choosing it.
    let table = "3fe101";
    let mut check = |block: &str, status: &str, rest: Vec<(&str, &str)>| {
        let expected: Vec<_> = std::iter::once((":status", status))
            .chain(rest)
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(read(&mut decoder, &bytes(block)), Ok(expected), "{block}");
    };
    let block = "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
                 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 \
                 6c65 2e63 6f6d";
    check(
        &format!("{table}{block}"),
        "302",
        dated("Mon, 21 Oct 2013 20:13:21 GMT"),
    );
    // 307 evicts 302; the others are still there.
    check(
        "4803 3330 37c1 c0bf",
        "307",
        dated("Mon, 21 Oct 2013 20:13:21 GMT"),
    );
    let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let block = "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d \
                 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 \
                 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e \
                 3d31";
    let mut third = dated("Mon, 21 Oct 2013 20:13:22 GMT");
    third.extend([("content-encoding", "gzip"), ("set-cookie", cookie)]);
    check(block, "200", third);
}

#[test]
fn rfc7541_5_2_the_shorter_form_is_written() {
    let mut block = Vec::new();
    push_field(&mut block, b":authority", b"www.example.com");
    assert_eq!(block, bytes("01 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"));
}
