//! RFC 9112 §7.1: chunk sizes, extensions, ends and trailers that could be read in two ways.
//!
//! The head of these requests is fine and may have been forwarded when the body turns out wrong:
//! then the origin must never get a whole request, and its connection must end.

use crate::http1::table::{Case, Either, Refused, Seen, case, run};

const BAD: &[u16] = &[400];

#[test]
fn rfc9112_7_1_chunk_size() {
    run(SIZES);
}

#[test]
fn rfc9112_7_1_1_chunk_extensions() {
    run(EXTENSIONS);
}

#[test]
fn rfc9112_7_1_chunk_ends() {
    run(ENDS);
}

#[test]
fn rfc9112_7_1_2_trailers() {
    run(TRAILERS);
}

/// A chunked request with this body.
macro_rules! chunked {
    ($body:expr) => {
        concat_bytes(concat!(
            "POST /k HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            $body
        ))
    };
}

const fn concat_bytes(text: &'static str) -> &'static [u8] {
    text.as_bytes()
}

const HELLO: &[&str] = &["POST /k hello"];

#[rustfmt::skip]
const SIZES: &[Case] = &[
    case("rfc9112_7_1_two_chunks", chunked!("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), Seen(HELLO)),
    case("rfc9112_7_1_upper_case_digits",
        chunked!("A\r\n0123456789\r\n0\r\n\r\n"), Seen(&["POST /k 0123456789"])),
    case("rfc9112_7_1_leading_zeros", chunked!("0005\r\nhello\r\n0\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9112_7_1_many_zeros_end_the_body",
        chunked!("5\r\nhello\r\n000\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9112_7_1_sixty_leading_zeros",
        chunked!("0000000000000000000000000000000000000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"),
        Either(BAD, HELLO)),
    case("rfc9112_7_1_prefix_0x", chunked!("0x5\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_plus_sign", chunked!("+5\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_minus_sign", chunked!("-5\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_no_digit", chunked!("\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_no_hex_digit", chunked!("g\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_suffix_h", chunked!("5h\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_underscore", chunked!("0_5\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_comma", chunked!("5,5\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_leading_space", chunked!(" 5\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_space_between_digits", chunked!("0 5\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_trailing_space", chunked!("5 \r\nhello\r\n0\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9112_7_1_trailing_vertical_tab",
        chunked!("5\x0b\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_trailing_nul", chunked!("5\x00\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_sixteen_f",
        chunked!("FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), Refused(&[400, 413])),
    case("rfc9112_7_1_wraps_to_five_in_64_bits",
        chunked!("10000000000000005\r\nhello\r\n0\r\n\r\n"), Refused(&[400, 413])),
    case("rfc9112_7_1_wraps_to_five_in_32_bits",
        chunked!("100000005\r\nhello\r\n0\r\n\r\n"), Refused(&[400, 413])),
    case("rfc9112_7_1_negative_in_64_bits",
        chunked!("8000000000000000\r\nhello\r\n0\r\n\r\n"), Refused(&[400, 413])),
];

#[rustfmt::skip]
const EXTENSIONS: &[Case] = &[
    case("rfc9112_7_1_1_extension_is_dropped",
        chunked!("5;a=b\r\nhello\r\n0\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9112_7_1_1_extension_of_the_last_chunk",
        chunked!("5\r\nhello\r\n0;a=b\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9112_7_1_1_quoted_extension",
        chunked!("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9112_7_1_1_extension_without_a_name",
        chunked!("5;\r\nhello\r\n0\r\n\r\n"), Either(BAD, HELLO)),
    case("cve_2025_55315_lf_in_an_extension", chunked!("5;\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("cve_2025_55315_lf_ends_an_extension",
        chunked!("5;a\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), Refused(BAD)),
    case("chunk_extension_with_cr", chunked!("5;a\rb\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("chunk_extension_with_cr_cr", chunked!("5;a\r\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("chunk_extension_with_nul", chunked!("5;a\x00b\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("chunk_extension_quotes_a_line_end",
        chunked!("5;a=\"\r\nhello\r\n0\r\n\r\n\"\r\n"), Refused(BAD)),
    case("chunk_extension_quotes_a_lf", chunked!("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("chunk_extension_without_a_semicolon",
        chunked!("5 a\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
];

#[rustfmt::skip]
const ENDS: &[Case] = &[
    case("rfc9112_7_1_size_line_ends_in_lf", chunked!("5\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_size_line_ends_in_cr", chunked!("5\rhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_size_line_ends_in_cr_cr_lf",
        chunked!("5\r\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_content_ends_in_lf", chunked!("5\r\nhello\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_content_ends_in_cr", chunked!("5\r\nhello\r0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_content_ends_in_lf_cr", chunked!("5\r\nhello\n\r0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_content_is_longer_than_its_size",
        chunked!("4\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_two_other_bytes_after_content",
        chunked!("5\r\nhelloXX0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_nothing_after_content", chunked!("5\r\nhello0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_content_is_shorter_than_its_size",
        chunked!("6\r\nhello\r\n0\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_last_chunk_ends_in_lf", chunked!("5\r\nhello\r\n0\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_body_ends_in_lf", chunked!("5\r\nhello\r\n0\r\n\n"), Refused(BAD)),
    case("rfc9112_7_1_body_ends_in_lf_lf", chunked!("5\r\nhello\r\n0\n\n"), Refused(BAD)),
    case("rfc9112_7_1_body_ends_in_cr_cr", chunked!("5\r\nhello\r\n0\r\r"), Refused(BAD)),
    case("rfc9112_7_1_next_request_after_the_body",
        chunked!("5\r\nhello\r\n0\r\n\r\nGET /m HTTP/1.1\r\nHost: a\r\n\r\n"),
        Seen(&["POST /k hello", "GET /m"])),
    case("rfc9112_7_1_empty_body", chunked!("0\r\n\r\n"), Seen(&["POST /k"])),
];

#[rustfmt::skip]
const TRAILERS: &[Case] = &[
    case("rfc9112_7_1_2_trailer_is_fine", chunked!("5\r\nhello\r\n0\r\nA: b\r\n\r\n"), Seen(HELLO)),
    case("rfc9110_6_5_1_trailer_with_a_length",
        chunked!("5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9110_6_5_1_trailer_with_a_coding",
        chunked!("5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9110_6_5_1_trailer_with_a_host",
        chunked!("5\r\nhello\r\n0\r\nHost: b\r\n\r\n"), Either(BAD, HELLO)),
    case("rfc9112_7_1_2_trailer_with_a_space_before_the_colon",
        chunked!("5\r\nhello\r\n0\r\nA : b\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_2_trailer_without_a_colon",
        chunked!("5\r\nhello\r\n0\r\nA\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_2_folded_trailer",
        chunked!("5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_2_trailer_ends_in_lf",
        chunked!("5\r\nhello\r\n0\r\nA: b\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_2_trailer_with_nul",
        chunked!("5\r\nhello\r\n0\r\nA: b\x00\r\n\r\n"), Refused(BAD)),
    case("rfc9112_7_1_2_a_request_line_as_trailer",
        chunked!("5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), Refused(BAD)),
];
