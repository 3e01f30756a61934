//! §4, §5, §6, §7, §8 from the other side: status lines, fields, lengths and chunks that are wrong.

use super::table::{BadGateway, Case, Cut, Either, Passed, closed, open, run};

#[test]
fn rfc9112_4_status_line() {
    run("GET", STATUS_LINE);
}

#[test]
fn rfc9112_5_response_fields() {
    run("GET", FIELDS);
}

#[test]
fn rfc9112_6_3_response_length() {
    run("GET", LENGTH);
}

#[test]
fn rfc9112_8_incomplete_responses() {
    run("GET", INCOMPLETE);
}

#[rustfmt::skip]
const STATUS_LINE: &[Case] = &[
    open("rfc9112_4_reason_phrase",
        b"HTTP/1.1 200 All is \xe9\r\nContent-Length: 2\r\n\r\nok", Passed(200, "ok")),
    open("rfc9112_4_empty_reason",
        b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", Passed(200, "ok")),
    open("rfc9112_4_no_space_after_status",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", Either(200, "ok")),
    open("rfc9112_4_no_status", b"HTTP/1.1 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_4_two_digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_4_four_digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_4_letters_in_status",
        b"HTTP/1.1 2OO OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9110_15_status_below_100",
        b"HTTP/1.1 099 No\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_4_two_spaces", b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_4_tab", b"HTTP/1.1\t200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_4_nul_in_reason",
        b"HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_4_cr_in_reason", b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_2_3_other_protocol", b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_2_3_version_2", b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_2_3_version_1_10",
        b"HTTP/1.10 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    open("rfc9112_2_3_lower_case", b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", BadGateway),
    closed("rfc9112_2_3_http_0_9_answer", b"<html>hello</html>", BadGateway),
    closed("rfc9112_4_empty_answer", b"", BadGateway),
    open("ssh_banner", b"SSH-2.0-OpenSSH_9.2\r\n", BadGateway),
    open("tls_alert", b"\x15\x03\x01\x00\x02\x02\x46", BadGateway),
    open("a_request_instead_of_a_response", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", BadGateway),
];

#[rustfmt::skip]
const FIELDS: &[Case] = &[
    open("rfc9112_5_1_space_before_the_colon",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA : b\r\n\r\nok", Either(200, "ok")),
    open("rfc9112_5_1_space_before_the_colon_of_a_length",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", BadGateway),
    open("rfc9112_5_2_obsolete_folding",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\r\n c\r\n\r\nok", Either(200, "ok")),
    open("rfc9112_5_2_folded_length",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok", Either(200, "ok")),
    open("rfc9112_5_no_colon", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA\r\n\r\nok", BadGateway),
    open("rfc9112_5_empty_name",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n: a\r\n\r\nok", BadGateway),
    open("rfc9110_5_6_2_space_in_a_name",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA b: c\r\n\r\nok", BadGateway),
    open("rfc9110_5_5_nul_in_a_value",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\x00\r\n\r\nok", BadGateway),
    open("rfc9110_5_5_cr_in_a_value",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\rc\r\n\r\nok", BadGateway),
    open("response_splitting_by_a_bare_lf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: b\nSet-Cookie: c\r\n\r\nok", BadGateway),
    open("rfc9112_2_2_every_line_ends_in_lf",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", BadGateway),
    open("rfc9112_2_2_head_ends_in_lf",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\nok", BadGateway),
    open("rfc9112_2_2_empty_line_before",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Either(200, "ok")),
    open("rfc9110_5_5_8_bit_value",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: \xe9\r\n\r\nok", Passed(200, "ok")),
];

#[rustfmt::skip]
const LENGTH: &[Case] = &[
    open("rfc9112_6_3_sized", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Passed(200, "ok")),
    open("rfc9112_6_3_chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Passed(200, "ok")),
    closed("rfc9112_6_3_rule_8_until_close", b"HTTP/1.1 200 OK\r\n\r\nok", Passed(200, "ok")),
    closed("rfc9112_9_3_http_1_0_until_close", b"HTTP/1.0 200 OK\r\n\r\nok", Passed(200, "ok")),
    open("rfc9112_6_3_rule_3_cl_te",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        BadGateway),
    open("rfc9112_6_3_rule_3_te_cl",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        BadGateway),
    open("rfc9112_6_3_rule_5_differing_lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", BadGateway),
    open("rfc9112_6_3_rule_5_differing_list",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok", BadGateway),
    open("rfc9112_6_3_rule_5_same_length_twice",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", Either(200, "ok")),
    open("rfc9112_6_3_rule_5_negative_length",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", BadGateway),
    open("rfc9112_6_3_rule_5_signed_length",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", BadGateway),
    open("rfc9112_6_3_rule_5_empty_length",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok", BadGateway),
    open("rfc9112_6_3_rule_5_length_overflows",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok", BadGateway),
    closed("rfc9112_6_3_rule_4_unknown_coding",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: cow\r\n\r\nok", BadGateway),
    closed("rfc9112_6_3_rule_4_chunked_is_not_last",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        BadGateway),
    open("rfc9112_6_1_chunked_twice",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        BadGateway),
    open("rfc9112_6_1_vertical_tab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        BadGateway),
    closed("rfc9112_6_1_http_1_0_with_a_coding",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", BadGateway),
];

#[rustfmt::skip]
const INCOMPLETE: &[Case] = &[
    closed("rfc9112_8_closed_in_the_status_line", b"HTTP/1.1 20", BadGateway),
    closed("rfc9112_8_closed_in_the_head", b"HTTP/1.1 200 OK\r\nContent-Le", BadGateway),
    closed("rfc9112_8_closed_before_the_empty_line",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", BadGateway),
    closed("rfc9112_8_closed_before_content", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Cut),
    closed("rfc9112_8_closed_in_content", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok", Cut),
    closed("rfc9112_8_closed_before_the_first_chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Cut),
    closed("rfc9112_8_closed_in_a_chunk_size",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2", Cut),
    closed("rfc9112_8_closed_in_a_chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", Cut),
    closed("rfc9112_8_closed_after_a_chunk",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", Cut),
    closed("rfc9112_8_closed_before_the_last_line",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", Cut),
    open("rfc9112_7_1_bad_size",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\nx\r\n", Cut),
    open("rfc9112_7_1_size_overflows",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
        Cut),
    open("rfc9112_7_1_size_line_ends_in_lf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n", Cut),
    open("rfc9112_7_1_content_ends_in_lf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n", Cut),
    open("rfc9112_7_1_content_longer_than_its_size",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n", Cut),
    open("rfc9112_7_1_lf_in_an_extension",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;\nok\r\n0\r\n\r\n", Cut),
    open("rfc9112_7_1_2_bad_trailer",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA : b\r\n\r\n", Cut),
];
