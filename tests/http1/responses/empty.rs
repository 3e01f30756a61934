//! RFC 9110 §6.4 and §15: responses that have no content, whatever their fields say.

use super::table::{BadGateway, Case, Either, Passed, PassedOnce, open, run};
use crate::harness::{Origin, Proxy};

#[test]
fn rfc9110_6_4_1_responses_to_get_without_content() {
    run("GET", GET);
}

#[test]
fn rfc9110_9_3_2_responses_to_head() {
    run("HEAD", HEAD);
}

#[rustfmt::skip]
const GET: &[Case] = &[
    open("rfc9110_15_3_5_no_content", b"HTTP/1.1 204 No Content\r\n\r\n", Passed(204, "")),
    open("rfc9110_8_6_no_content_with_a_length",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", PassedOnce(204, "")),
    open("rfc9110_8_6_no_content_with_length_zero",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Passed(204, "")),
    open("rfc9112_6_1_no_content_with_a_coding",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Either(204, "")),
    open("rfc9110_15_4_5_not_modified",
        b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n", Passed(304, "")),
    open("rfc9110_15_4_5_not_modified_with_a_length",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Passed(304, "")),
    open("rfc9110_15_4_5_not_modified_with_content",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", PassedOnce(304, "")),
    open("rfc9110_15_3_6_reset_content",
        b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", Passed(205, "")),
];

#[rustfmt::skip]
const HEAD: &[Case] = &[
    open("rfc9110_9_3_2_length_without_content",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Passed(200, "")),
    open("rfc9110_9_3_2_coding_without_content",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Passed(200, "")),
    open("rfc9110_9_3_2_neither", b"HTTP/1.1 200 OK\r\n\r\n", Passed(200, "")),
    open("rfc9110_9_3_2_content_all_the_same",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", PassedOnce(200, "")),
    open("rfc9110_9_3_2_a_response_as_content",
        b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        PassedOnce(200, "")),
    open("rfc9112_6_3_head_does_not_excuse_two_lengths",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", BadGateway),
];

#[test]
fn rfc9110_8_6_length_of_head_is_passed_on() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    for _ in 0..2 {
        let response = client.exchange("HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(response.field("Content-Length"), Some("5"));
    }
    assert_eq!(origin.connections(), 1, "nothing was in doubt");
}
