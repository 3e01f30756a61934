//! RFC 9112 §3.2 and §3.3, RFC 3986: which resource is meant, by path, authority and Host.

use crate::http1::table::{Case, Either, Refused, Seen, case, run};

const BAD: &[u16] = &[400];

#[test]
fn rfc9112_3_2_request_target_forms() {
    run(FORMS);
}

#[test]
fn rfc3986_6_2_2_one_path_for_policy_and_origin() {
    run(PATHS);
}

#[test]
fn rfc9112_3_2_host_field() {
    run(HOSTS);
}

#[rustfmt::skip]
const FORMS: &[Case] = &[
    case("rfc9112_3_2_1_origin_form_with_query",
        b"GET /f?a=b&c=%2e%2e/ HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /f?a=b&c=%2e%2e/"])),
    case("rfc9112_3_2_1_no_leading_slash", b"GET f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_1_query_without_a_path", b"GET ?f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_fragment", b"GET /f#g HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_2_absolute_form",
        b"GET http://a/f HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /f"])),
    case("rfc9112_3_2_2_absolute_form_wins_over_host",
        b"GET http://a/f HTTP/1.1\r\nHost: b\r\n\r\n", Either(BAD, &["GET /f"])),
    case("rfc9112_3_2_2_absolute_form_without_a_path",
        b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /"])),
    case("rfc9112_3_2_2_absolute_form_query_without_a_path",
        b"GET http://a?f HTTP/1.1\r\nHost: a\r\n\r\n", Either(BAD, &["GET /?f"])),
    case("rfc9112_3_2_2_absolute_form_needs_host_too",
        b"GET http://a/f HTTP/1.1\r\n\r\n", Refused(BAD)),
    case("rfc9110_4_2_4_user_information",
        b"GET http://u:p@a/f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_4_2_1_empty_host", b"GET http:///f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_4_2_1_empty_host_with_port",
        b"GET http://:80/f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_7_4_other_scheme",
        b"GET ftp://a/f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(&[400, 421])),
    case("rfc9112_3_2_2_absolute_form_backslash",
        b"GET http:\\\\a\\f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_3_authority_form_is_for_connect",
        b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9110_9_3_6_connect_is_off",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", Refused(&[400, 403, 405, 501])),
    case("rfc9110_9_3_6_connect_with_a_path",
        b"CONNECT /f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(&[400, 405, 501])),
    case("rfc9112_3_2_4_asterisk_is_for_options",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_1_two_slashes_are_no_authority",
        b"GET //b/f HTTP/1.1\r\nHost: a\r\n\r\n", Either(BAD, &["GET /b/f"])),
];

#[rustfmt::skip]
const PATHS: &[Case] = &[
    case("rfc3986_6_2_2_3_dot_segments",
        b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /b"])),
    case("rfc3986_6_2_2_3_dot_segment_at_the_end",
        b"GET /a/b/.. HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /a/"])),
    case("rfc3986_6_2_2_3_single_dots",
        b"GET /a/./b/. HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /a/b/"])),
    case("rfc3986_5_2_4_above_the_root",
        b"GET /../../a HTTP/1.1\r\nHost: a\r\n\r\n", Either(BAD, &["GET /a"])),
    case("rfc3986_6_2_2_2_encoded_dots",
        b"GET /a/%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /b"])),
    case("rfc3986_6_2_2_2_half_encoded_dots",
        b"GET /a/.%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /b"])),
    case("rfc3986_6_2_2_2_unreserved_letter",
        b"GET /%61dmin HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /admin"])),
    case("rfc3986_2_4_decoded_only_once",
        b"GET /%2561 HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /%2561"])),
    case("rfc3986_2_4_encoded_dots_decoded_only_once",
        b"GET /a/%252e%252e/b HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /a/%252e%252e/b"])),
    case("rfc3986_2_2_encoded_slash", b"GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc3986_2_2_encoded_slash_behind_dots",
        b"GET /a/..%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("windows_backslash", b"GET /a\\..\\b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("windows_encoded_backslash", b"GET /a%5c..%5cb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("encoded_nul", b"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc3986_2_1_percent_without_digits",
        b"GET /a% HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc3986_2_1_percent_with_one_digit",
        b"GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc3986_2_1_percent_with_other_letters",
        b"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("cve_2020_1938_style_path_parameter",
        b"GET /a/..;/b HTTP/1.1\r\nHost: a\r\n\r\n", Either(BAD, &["GET /a/..;/b"])),
    case("overlong_utf_8_dots",
        b"GET /a/%C0%AE%C0%AE/b HTTP/1.1\r\nHost: a\r\n\r\n",
        Either(BAD, &["GET /a/%C0%AE%C0%AE/b"])),
    case("iis_unicode_escape", b"GET /a/%u002e%u002e/b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("repeated_slashes", b"GET /a//b HTTP/1.1\r\nHost: a\r\n\r\n", Seen(&["GET /a/b"])),
    case("repeated_slashes_then_dots",
        b"GET /a//../b HTTP/1.1\r\nHost: a\r\n\r\n", Either(BAD, &["GET /b"])),
    case("eight_bit_path", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(BAD)),
];

#[rustfmt::skip]
const HOSTS: &[Case] = &[
    case("rfc9112_3_2_no_host", b"GET /h HTTP/1.1\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_two_hosts", b"GET /h HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_the_same_host_twice",
        b"GET /h HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_two_hosts_in_other_cases",
        b"GET /h HTTP/1.1\r\nHost: a\r\nhOST: b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_list", b"GET /h HTTP/1.1\r\nHost: a, b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_a_space", b"GET /h HTTP/1.1\r\nHost: a b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_a_slash", b"GET /h HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_user_information",
        b"GET /h HTTP/1.1\r\nHost: u@a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_a_query", b"GET /h HTTP/1.1\r\nHost: a?b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_a_fragment", b"GET /h HTTP/1.1\r\nHost: a#b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_a_backslash",
        b"GET /h HTTP/1.1\r\nHost: a\\b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_markup", b"GET /h HTTP/1.1\r\nHost: <a>\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_a_nul", b"GET /h HTTP/1.1\r\nHost: a\x00b\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_with_an_8_bit_byte",
        b"GET /h HTTP/1.1\r\nHost: \xe9\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_host_is_a_uri", b"GET /h HTTP/1.1\r\nHost: http://a\r\n\r\n", Refused(BAD)),
    case("rfc3986_3_2_3_port_is_a_word", b"GET /h HTTP/1.1\r\nHost: a:http\r\n\r\n", Refused(BAD)),
    case("rfc3986_3_2_3_port_is_too_large",
        b"GET /h HTTP/1.1\r\nHost: a:65536\r\n\r\n", Refused(BAD)),
    case("rfc3986_3_2_3_two_ports", b"GET /h HTTP/1.1\r\nHost: a:80:80\r\n\r\n", Refused(BAD)),
    case("rfc3986_3_2_2_ipv6_without_its_bracket",
        b"GET /h HTTP/1.1\r\nHost: [::1\r\n\r\n", Refused(BAD)),
    case("rfc3986_3_2_2_ipv6_without_brackets",
        b"GET /h HTTP/1.1\r\nHost: ::1\r\n\r\n", Refused(BAD)),
    case("rfc3986_3_2_2_ipv6_is_fine",
        b"GET /h HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", Seen(&["GET /h"])),
    case("rfc9112_3_2_empty_host", b"GET /h HTTP/1.1\r\nHost:\r\n\r\n", Either(BAD, &["GET /h"])),
    case("rfc9112_5_1_host_with_a_space_before_the_colon",
        b"GET /h HTTP/1.1\r\nHost : a\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_2_folded_host", b"GET /h HTTP/1.1\r\nHost:\r\n a\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_2_host_folded_away",
        b"GET /h HTTP/1.1\r\nX: x\r\n Host: b\r\nHost: a\r\n\r\n", Refused(BAD)),
    case("rfc9112_3_2_http_1_0_may_lack_host",
        b"GET /h HTTP/1.0\r\n\r\n", Either(BAD, &["GET /h"])),
];
