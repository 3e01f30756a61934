//! RFC 9112 §5 and RFC 9110 §7.6: field lines, and what `Connection` may take away.

use crate::harness::{Origin, Proxy};
use crate::http1::table::{Case, Either, Refused, Seen, case, run};

const BAD: &[u16] = &[400];

#[test]
fn rfc9112_5_field_lines() {
    run(LINES);
}

#[test]
fn rfc9110_7_6_1_connection_takes_no_framing_away() {
    run(CONNECTION);
}

#[rustfmt::skip]
const LINES: &[Case] = &[
    case("rfc9112_5_1_space_before_the_colon",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_1_tab_before_the_colon",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA\t: b\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_no_colon", b"GET /l HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_empty_name", b"GET /l HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_2_obsolete_folding",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_2_obsolete_folding_by_tab",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\r\n\tc\r\n\r\n", Refused(BAD)),
    case("rfc9112_5_2_folding_of_nothing",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\r\n \r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_space_in_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA b: c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_parenthesis_in_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA(b): c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_slash_in_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA/b: c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_quote_in_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\n\"A\": c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_8_bit_byte_in_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA\xe9: c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_nul_in_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA\x00: c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_vertical_tab_in_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\nContent-Length\x0b: 5\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_6_2_nul_starts_a_name",
        b"GET /l HTTP/1.1\r\nHost: a\r\n\x00Content-Length: 5\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_5_nul_in_a_value",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\x00c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_5_cr_in_a_value",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_5_lf_in_a_value",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\nc: d\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_5_control_in_a_value",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\x01c\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_5_delete_in_a_value",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\x7fc\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_5_backspace_in_a_value",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\x08c\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_line_ends_in_cr_cr_lf",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\r\r\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_line_ends_in_lf", b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\n\r\n", Refused(BAD)),
    case("rfc9112_2_2_head_ends_in_lf", b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\r\n\n", Refused(BAD)),
    case("rfc9112_2_2_head_ends_in_cr_lf_cr",
        b"GET /l HTTP/1.1\r\nHost: a\r\n\rA: b\r\n\r\n", Refused(BAD)),
    case("rfc9110_5_5_8_bit_value_is_opaque",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: \xe9\r\n\r\n", Either(BAD, &["GET /l"])),
    case("rfc9110_5_5_tab_in_a_value",
        b"GET /l HTTP/1.1\r\nHost: a\r\nA: b\tc\r\n\r\n", Seen(&["GET /l"])),
    case("rfc9110_5_5_empty_value", b"GET /l HTTP/1.1\r\nHost: a\r\nA:\r\n\r\n", Seen(&["GET /l"])),
    case("rfc9110_5_6_2_every_token_character",
        b"GET /l HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^`|~0aZ: b\r\n\r\n", Seen(&["GET /l"])),
];

#[rustfmt::skip]
const CONNECTION: &[Case] = &[
    case("rfc9110_7_6_1_connection_names_content_length",
        b"POST /c HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        Either(BAD, &["POST /c GET /smuggled HTTP/1.1\r\nHost: a"])),
    case("rfc9110_7_6_1_connection_names_transfer_encoding",
        b"POST /c HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        Either(BAD, &["POST /c hello"])),
    case("rfc9110_7_6_1_connection_names_host",
        b"GET /c HTTP/1.1\r\nHost: a\r\nConnection: Host\r\n\r\n",
        Either(BAD, &["GET /c"])),
    case("rfc9110_7_6_1_connection_names_close_and_host",
        b"GET /c HTTP/1.1\r\nHost: a\r\nConnection: close, Host\r\n\r\n",
        Either(BAD, &["GET /c"])),
    case("rfc9110_7_6_1_connection_is_no_token_list",
        b"GET /c HTTP/1.1\r\nHost: a\r\nConnection: close; x\r\n\r\n",
        Either(BAD, &["GET /c"])),
    case("cve_2026_2833_bytes_behind_an_upgrade_that_is_refused",
        b"GET /c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /d HTTP/1.1\r\nHost: a\r\n\r\n",
        Seen(&["GET /c", "GET /d"])),
    case("rfc9113_3_1_upgrade_to_h2c_is_not_passed_on",
        b"GET /c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Either(&[400, 505], &["GET /c"])),
    case("rfc9110_7_8_upgrade_without_connection",
        b"GET /c HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        Seen(&["GET /c"])),
];

/// Fields that a client cannot strip by naming them, with the values it sends.
const KEPT: &[(&str, &str)] = &[
    ("Host", "a"),
    ("Authorization", "Bearer 1"),
    ("Cookie", "a=b"),
];

#[test]
fn rfc9110_7_6_1_connection_cannot_strip_what_policy_reads() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let fields: String = KEPT
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let names = "Host, Authorization, Cookie, X-Forwarded-For, X-Forwarded-Proto, X-Request-Id";
    let mut client = proxy.connect();
    let response = client.exchange(format!(
        "GET /k HTTP/1.1\r\n{fields}Connection: {names}\r\n\r\n"
    ));
    // Refusing is as good as ignoring the nomination.
    if response.status() == 400 {
        assert!(origin.requests().is_empty());
        return;
    }
    assert_eq!(response.status(), 200);
    let seen = origin.request();
    for &(name, value) in KEPT {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
    assert_eq!(seen.field("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(seen.field("X-Forwarded-Proto"), Some("http"));
}

#[test]
fn rfc9110_7_6_1_hop_by_hop_fields_stay_on_their_hop() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let response = proxy.connect().exchange(
        "GET /h HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nUpgrade: foo\r\n\
         X-Other: 2\r\n\r\n",
    );
    assert_eq!(response.status(), 200);
    let seen = origin.request();
    for name in ["X-Mine", "Keep-Alive", "Proxy-Connection", "Upgrade"] {
        assert_eq!(seen.field(name), None, "{name} in {:?}", seen.fields);
    }
    assert_eq!(seen.field("X-Other"), Some("2"));
}
