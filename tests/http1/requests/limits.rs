//! RFC 9110 §15.5 and RFC 6585 §5: what is too long is refused with its own status, and bounded.

use crate::harness::{Origin, Proxy, Setup};

/// Heads of 4 KiB at most.
const SMALL_HEAD: &str = "limits.head_bytes = \"4KiB\"\nlimits.request_line_bytes = \"1KiB\"";

/// Sends `bytes` to a proxy with these listener lines; the status, and that the connection ends.
fn refusal(lines: &str, bytes: &str) -> u16 {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(lines));
    let mut client = proxy.connect();
    let status = client.exchange(bytes).status();
    client.expect_end();
    assert!(origin.requests().is_empty(), "{:?}", origin.requests());
    status
}

/// A request with these additional field lines.
fn with_fields(lines: &str) -> String {
    format!("GET /l HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn rfc6585_5_too_many_fields() {
    let lines: String = (0..20).map(|number| format!("X-{number}: a\r\n")).collect();
    assert_eq!(
        refusal("limits.field_count = 20", &with_fields(&lines)),
        431
    );
}

#[test]
fn rfc6585_5_as_many_fields_as_allowed() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).listener("limits.field_count = 20");
    let proxy = Proxy::start(&setup);
    let lines: String = (0..19).map(|number| format!("X-{number}: a\r\n")).collect();
    assert_eq!(proxy.connect().exchange(with_fields(&lines)).status(), 200);
}

#[test]
fn rfc6585_5_head_too_large() {
    let field = format!("X: {}\r\n", "a".repeat(5_000));
    assert_eq!(refusal(SMALL_HEAD, &with_fields(&field)), 431);
}

#[test]
fn rfc6585_5_head_that_never_ends_is_cut() {
    let endless = format!("GET /l HTTP/1.1\r\nHost: a\r\nX: {}", "a".repeat(5_000));
    assert_eq!(refusal(SMALL_HEAD, &endless), 431);
}

#[test]
fn rfc6585_5_many_small_fields_are_too_large_together() {
    let lines = format!("X: {}\r\n", "a".repeat(60)).repeat(70);
    assert_eq!(refusal(SMALL_HEAD, &with_fields(&lines)), 431);
}

#[test]
fn rfc9110_15_5_15_target_too_long() {
    let bytes = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(1_100));
    assert_eq!(refusal("limits.request_line_bytes = \"1KiB\"", &bytes), 414);
}

#[test]
fn rfc9110_15_5_15_request_line_that_never_ends_is_cut() {
    let bytes = format!("GET /{}", "a".repeat(1_100));
    assert_eq!(refusal("limits.request_line_bytes = \"1KiB\"", &bytes), 414);
}

#[test]
fn rfc9110_9_1_method_that_never_ends_is_cut() {
    let status = refusal("limits.request_line_bytes = \"1KiB\"", &"A".repeat(1_100));
    assert!([400, 414, 501].contains(&status), "{status}");
}

#[test]
fn rfc9110_15_5_14_sized_content_too_large() {
    let bytes = "POST /l HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n";
    assert_eq!(refusal("limits.body_bytes = \"1KiB\"", bytes), 413);
}

#[test]
fn rfc9110_15_5_14_chunked_content_too_large() {
    let chunks = format!("400\r\n{}\r\n1\r\na\r\n0\r\n\r\n", "a".repeat(1024));
    let bytes =
        format!("POST /l HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    assert_eq!(refusal("limits.body_bytes = \"1KiB\"", &bytes), 413);
}

#[test]
fn rfc9112_7_1_1_endless_chunk_extension_is_cut() {
    let extension = format!("5;{}", "a".repeat(200_000));
    let bytes =
        format!("POST /l HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{extension}");
    let status = refusal("", &bytes);
    assert!([400, 413, 431].contains(&status), "{status}");
}

#[test]
fn rfc9112_7_1_2_endless_trailers_are_cut() {
    let trailers = "X: aaaaaaaaaa\r\n".repeat(20_000);
    let bytes =
        format!("POST /l HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{trailers}");
    let status = refusal("", &bytes);
    assert!([400, 413, 431].contains(&status), "{status}");
}

#[test]
fn rfc9112_2_2_endless_empty_lines_are_cut() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let mut client = proxy.connect();
    client.send("\r\n".repeat(200_000));
    let (_, bytes) = client.rest();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "{text}");
}

#[test]
fn requests_per_connection_are_counted() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).listener("limits.requests_per_connection = 3");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    for turn in 1..=3 {
        let response = client.get("/n");
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.field("Connection") == Some("close"),
            turn == 3,
            "request {turn}"
        );
    }
    client.expect_end();
}
