//! RFC 9112 §2 and §3: message starts, request lines, versions, other protocols.

use crate::http1::table::{Case, Either, Refused, Seen, case, run};

const BAD: &[u16] = &[400];
const BAD_VERSION: &[u16] = &[400, 505];

#[test]
fn rfc9112_3_request_line() {
    run(REQUEST_LINE);
}

#[test]
fn rfc9112_2_3_http_version() {
    run(VERSION);
}

#[test]
fn rfc9112_2_2_message_start() {
    run(START);
}

#[rustfmt::skip]
const REQUEST_LINE: &[Case] = &[
    case("rfc9112_3_two_spaces_before_the_target",
        b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_two_spaces_before_the_version",
        b"GET /a  HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_tabs_between_parts", b"GET\t/a\tHTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_vertical_tab_between_parts",
        b"GET\x0b/a\x0bHTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_trailing_space", b"GET /a HTTP/1.1 \r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_trailing_tab", b"GET /a HTTP/1.1\t\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_space_in_the_target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_version_twice", b"GET /a HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_no_target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_2_request_line_ends_in_lf", b"GET /a HTTP/1.1\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_request_line_ends_in_cr", b"GET /a HTTP/1.1\rHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_request_line_ends_in_cr_cr_lf",
        b"GET /a HTTP/1.1\r\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_method_is_a_token", b"G@T /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_method_with_a_colon", b"GET: /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_method_with_a_nul",
        b"GE\x00T /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_method_with_an_8_bit_byte",
        b"G\xc9T /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_9_1_methods_mind_case",
        b"get /a HTTP/1.1\r\nHost: a\r\n\r\n", Either(&[400, 405, 501], &["get /a"])),
    case("rfc9110_9_1_any_token_is_a_method",
        b"PURGE /a HTTP/1.1\r\nHost: a\r\n\r\n", Either(&[405, 501], &["PURGE /a"])),
    case("rfc9110_9_1_a_known_method_with_a_suffix",
        b"GETS /a HTTP/1.1\r\nHost: a\r\n\r\n", Either(&[405, 501], &["GETS /a"])),
    case("rfc9112_3_2_nul_in_the_target", b"GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_control_in_the_target",
        b"GET /a\x01b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_delete_in_the_target",
        b"GET /a\x7fb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_lf_in_the_target", b"GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
];

#[rustfmt::skip]
const VERSION: &[Case] = &[
    case("rfc9112_2_3_http_0_9", b"GET /v\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_http_0_9_with_fields", b"GET /v\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_two_digits", b"GET /v HTTP/1.10\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_leading_zero", b"GET /v HTTP/01.1\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_minor_leading_zero",
        b"GET /v HTTP/1.01\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_higher_minor",
        b"GET /v HTTP/1.2\r\nHost: a\r\n\r\n", Either(BAD_VERSION, &["GET /v"])),
    case("rfc9112_2_3_major_0", b"GET /v HTTP/0.9\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_major_2", b"GET /v HTTP/2.0\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_major_3", b"GET /v HTTP/3\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_lower_case", b"GET /v http/1.1\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_comma", b"GET /v HTTP/1,1\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_no_minor", b"GET /v HTTP/1\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_space_inside", b"GET /v HTTP/ 1.1\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_other_name", b"GET /v HTTQ/1.1\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_letters_after", b"GET /v HTTP/1.1x\r\nHost: a\r\n\r\n", Refused(BAD_VERSION)),
    case("rfc9112_2_3_http_1_0_is_answered",
        b"GET /v HTTP/1.0\r\nHost: a\r\n\r\n", Seen(&["GET /v"])),
];

#[rustfmt::skip]
const START: &[Case] = &[
    case("rfc9112_2_2_one_empty_line_before",
        b"\r\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n", Either(BAD, &["GET /s"])),
    case("rfc9112_2_2_empty_line_between_requests",
        b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /t HTTP/1.1\r\nHost: a\r\n\r\n",
        Seen(&["GET /s", "GET /t"])),
    case("rfc9112_2_2_bare_lf_before",
        b"\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n", Either(BAD, &["GET /s"])),
    case("rfc9112_2_2_space_before", b" GET /s HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_nul_before", b"\x00GET /s HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_byte_order_mark_before",
        b"\xef\xbb\xbfGET /s HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_space_after_the_start_line",
        b"GET /s HTTP/1.1\r\n Host: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_every_line_ends_in_lf", b"GET /s HTTP/1.1\nHost: a\n\n", Refused(BAD)),
    case("rfc9112_2_2_every_line_ends_in_cr", b"GET /s HTTP/1.1\rHost: a\r\r", Refused(BAD)),
    case("rfc9113_3_4_http_2_preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        Refused(BAD_VERSION)),
    case("tls_client_hello_on_a_clear_text_port",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", Refused(BAD)),
    case("tls_client_hello_without_a_line_end",
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", Refused(BAD)),
    case("proxy_protocol_v1_that_nobody_configured",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET /s HTTP/1.1\r\nHost: a\r\n\r\n",
        Refused(BAD_VERSION)),
    case("proxy_protocol_v2_that_nobody_configured",
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x02GET /s HTTP/1.1\r\nHost: a\r\n\r\n",
        Refused(BAD)),
    case("a_response_instead_of_a_request",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Refused(BAD_VERSION)),
];
