//! Written heads: what is forwarded, what is added, and that it reads back the same.

use super::forwarded::{FORGED, forwarded};
use super::random;
use crate::http::h1::encode::{
    self, ConnectionReply, LocalReply, RequestEdits, ResponseEdits, ServerPolicy,
};
use crate::http::h1::{HeadLimits, Parsed, request, response};
use crate::http::{BodyLength, FieldEdits, Method, RequestHead, ResponseHead};

pub(super) fn parse_request(bytes: &[u8]) -> RequestHead {
    let mut head = RequestHead::new();
    match request::parse(bytes, &HeadLimits::default(), &mut head) {
        Ok(Parsed::Complete { .. }) => head,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

fn parse_response(bytes: &[u8], method: Method) -> ResponseHead {
    let mut head = ResponseHead::new();
    match response::parse(bytes, &HeadLimits::default(), method, &mut head) {
        Ok(Parsed::Complete { .. }) => head,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

/// The request as it is forwarded.
pub(super) fn forward(text: &str, edits: &RequestEdits<'_>) -> String {
    let head = parse_request(text.as_bytes());
    let mut out = Vec::new();
    encode::request(&mut out, &head.view(text.as_bytes()), edits);
    parse_request(&out);
    String::from_utf8(out).unwrap()
}

/// The response as it is forwarded.
fn answer(text: &str, method: Method, edits: &ResponseEdits<'_>) -> String {
    let head = parse_response(text.as_bytes(), method);
    let mut out = Vec::new();
    encode::response(&mut out, &head.view(text.as_bytes()), edits);
    String::from_utf8(out).unwrap()
}

fn edits(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> FieldEdits {
    let mut edits = FieldEdits::new();
    for (name, value) in set {
        edits.set(name.as_bytes(), value.as_bytes()).unwrap();
    }
    for (name, value) in add {
        edits.add(name.as_bytes(), value.as_bytes()).unwrap();
    }
    for name in remove {
        edits.remove(name.as_bytes()).unwrap();
    }
    edits
}

#[test]
fn rfc9110_7_6_a_request_is_forwarded_as_received() {
    let text = "GET /a?b HTTP/1.1\r\nAccept:  */*\t\r\nhOst: Example.com:80\r\nX-cAsE: v w\r\n\
                x-UTF: \u{e9}\r\nConnection: keep-alive, x-gone\r\nX-Gone: 1\r\nX-Last: z\r\n\r\n";
    assert_eq!(
        forward(text, &RequestEdits::default()),
        "GET /a?b HTTP/1.1\r\nHost: Example.com:80\r\nAccept: */*\r\nX-cAsE: v w\r\n\
         x-UTF: \u{e9}\r\nX-Last: z\r\n\r\n"
    );
}

#[test]
fn rfc9112_3_2_targets_are_written_in_the_form_the_upstream_takes() {
    let line = |text: &str| {
        let sent = forward(text, &RequestEdits::default());
        let mut lines = sent.lines();
        (
            lines.next().unwrap().to_owned(),
            lines.next().unwrap().to_owned(),
        )
    };
    let expect = |line: &str, host: &str| (format!("{line} HTTP/1.1"), format!("Host: {host}"));
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(line(&get("/a/./%62?%62")), expect("GET /a/b?%62", "h"));
    assert_eq!(line(&get("http://x:1/a")), expect("GET /a", "x:1"));
    assert_eq!(line(&get("http://x?q")), expect("GET /?q", "x"));
    let options = "OPTIONS http://x HTTP/1.1\r\nHost: h\r\n\r\n";
    assert_eq!(line(options), expect("OPTIONS *", "x"));
    let connect = "CONNECT x:443 HTTP/1.1\r\nHost: y\r\n\r\n";
    assert_eq!(line(connect), expect("CONNECT x:443", "x:443"));
    let edits = RequestEdits {
        target: Some(b"/new?x"),
        host: Some(b"upstream:8080"),
        ..RequestEdits::default()
    };
    let sent = forward(&get("/old?y"), &edits);
    assert!(
        sent.starts_with("GET /new?x HTTP/1.1\r\nHost: upstream:8080\r\n"),
        "{sent}"
    );
}

#[test]
fn rfc9112_2_3_an_http10_request_is_forwarded_as_http11() {
    let text = "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\
                Content-Length: 3\r\n\r\n";
    let via = RequestEdits {
        via: Some(b"weft"),
        ..RequestEdits::default()
    };
    assert_eq!(
        forward(text, &via),
        "POST / HTTP/1.1\r\nHost: a\r\nVia: 1.0 weft\r\nContent-Length: 3\r\n\r\n"
    );
}

#[test]
fn rfc9112_6_framing_is_written_never_copied() {
    let sent = |fields: &str, body| {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let edits = RequestEdits {
            body,
            ..RequestEdits::default()
        };
        forward(&text, &edits).replace("POST / HTTP/1.1\r\nHost: a\r\n", "")
    };
    assert_eq!(
        sent("content-LENGTH: 007\r\n", None),
        "Content-Length: 7\r\n\r\n"
    );
    assert_eq!(
        sent("TRANSFER-encoding: Chunked\r\n", None),
        "Transfer-Encoding: chunked\r\n\r\n"
    );
    assert_eq!(sent("", None), "\r\n");
    let sized = Some(BodyLength::Sized(u64::MAX));
    let expected = "Content-Length: 18446744073709551615\r\n\r\n";
    let text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let head = parse_request(text.as_bytes());
    let mut out = Vec::new();
    let edits = RequestEdits {
        body: sized,
        ..RequestEdits::default()
    };
    encode::request(&mut out, &head.view(text.as_bytes()), &edits);
    assert!(String::from_utf8(out).unwrap().ends_with(expected));
}

#[test]
fn rfc9110_7_8_upgrade_is_written_when_wanted() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                Sec-WebSocket-Key: k\r\n\r\n";
    let upgrade = RequestEdits {
        upgrade: true,
        ..RequestEdits::default()
    };
    assert!(
        forward(text, &upgrade)
            .ends_with("Sec-WebSocket-Key: k\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    );
    assert!(!forward(text, &RequestEdits::default()).contains("pgrade"));
    let close = RequestEdits {
        close: true,
        ..RequestEdits::default()
    };
    assert!(forward(text, &close).ends_with("Connection: close\r\n\r\n"));
}

#[test]
fn rfc9110_7_6_2_max_forwards_is_decremented() {
    let text = "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n";
    assert!(forward(text, &RequestEdits::default()).ends_with("Max-Forwards: 6\r\n\r\n"));
    let text = "GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n";
    assert!(forward(text, &RequestEdits::default()).ends_with("Max-Forwards: 7\r\n\r\n"));
}

#[test]
fn rfc9110_7_6_3_via_is_appended() {
    let text = "GET / HTTP/1.1\r\nVia: 1.0 fred\r\nHost: a\r\nX: y\r\n\r\n";
    let edits = RequestEdits {
        via: Some(b"weft"),
        ..RequestEdits::default()
    };
    assert!(forward(text, &edits).ends_with("Via: 1.0 fred\r\nX: y\r\nVia: 1.1 weft\r\n\r\n"));
}

#[test]
fn field_edits_are_applied_in_order_and_win() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\na: 2\r\nB: 1\r\nC: 1\r\nUser-Agent: u\r\n\r\n";
    let first = edits(
        &[("A", "set"), ("D", "first")],
        &[("C", "added"), ("E", "e")],
        &["b"],
    );
    let second = edits(
        &[("D", "second"), ("X-Forwarded-For", "hidden")],
        &[],
        &["e", "user-agent"],
    );
    let fields = [&first, &second];
    let edits = RequestEdits {
        fields: &fields,
        ..forwarded(0)
    };
    assert_eq!(
        forward(text, &edits),
        "GET / HTTP/1.1\r\nHost: a\r\nC: 1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\
         A: set\r\nC: added\r\nD: second\r\nX-Forwarded-For: hidden\r\n\r\n"
    );
}

#[test]
fn rfc9110_7_6_a_response_is_forwarded() {
    let text = "HTTP/1.0 200 All right\r\nserver: up\r\nContent-Length: 03\r\nConnection: x\r\n\
                X: 1\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n";
    let edits = ResponseEdits {
        via: Some(b"weft"),
        date: Some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
        server: ServerPolicy::Default(b"weft"),
        request_id: Some(b"id"),
        connection: ConnectionReply::KeepAlive,
        ..ResponseEdits::default()
    };
    assert_eq!(
        answer(text, Method::Get, &edits),
        "HTTP/1.1 200 All right\r\nserver: up\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Request-Id: id\r\nVia: 1.0 weft\r\n\
         Content-Length: 3\r\nConnection: keep-alive\r\n\r\n"
    );
}

#[test]
fn rfc9110_6_2_responses_are_written_in_our_version() {
    let text = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n";
    let sent = answer(text, Method::Get, &ResponseEdits::default());
    assert_eq!(sent, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn rfc9110_6_6_1_a_received_date_is_kept() {
    let text = "HTTP/1.1 200 OK\r\nDate: then\r\nContent-Length: 0\r\n\r\n";
    let edits = ResponseEdits {
        date: Some(b"now"),
        ..ResponseEdits::default()
    };
    let sent = answer(text, Method::Get, &edits);
    assert!(sent.contains("Date: then\r\n") && !sent.contains("now"));
}

#[test]
fn rfc9110_10_2_4_the_product_field_follows_its_policy() {
    let with = "HTTP/1.1 200 OK\r\nServer: up\r\nContent-Length: 0\r\n\r\n";
    let without = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for (server, has, has_not) in [
        (ServerPolicy::Pass, Some("up"), None),
        (ServerPolicy::Default(b"w"), Some("up"), Some("w")),
        (ServerPolicy::Replace(b"w"), Some("w"), Some("w")),
        (ServerPolicy::Remove, None, None),
    ] {
        let edits = ResponseEdits {
            server,
            ..ResponseEdits::default()
        };
        for (text, expected) in [(with, has), (without, has_not)] {
            let sent = answer(text, Method::Get, &edits);
            let found = sent.lines().find_map(|line| line.strip_prefix("Server: "));
            assert_eq!(found, expected, "{server:?}");
        }
    }
}

#[test]
fn rfc9110_8_6_lengths_of_responses_without_a_body() {
    let fields = |status: u16, method, body| {
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: 9\r\n\r\n");
        let edits = ResponseEdits {
            body,
            ..ResponseEdits::default()
        };
        let sent = answer(&text, method, &edits);
        sent.replace(&format!("HTTP/1.1 {status} X\r\n"), "")
    };
    assert_eq!(fields(200, Method::Head, None), "Content-Length: 9\r\n\r\n");
    assert_eq!(fields(304, Method::Get, None), "Content-Length: 9\r\n\r\n");
    assert_eq!(fields(204, Method::Get, None), "\r\n");
    assert_eq!(fields(103, Method::Get, None), "\r\n");
    assert_eq!(fields(200, Method::Connect, None), "\r\n");
    let chunked = Some(BodyLength::Chunked);
    assert_eq!(
        fields(200, Method::Get, chunked),
        "Transfer-Encoding: chunked\r\n\r\n"
    );
    assert_eq!(
        fields(200, Method::Get, Some(BodyLength::UntilClose)),
        "\r\n"
    );
}

#[test]
fn rfc9110_15_2_interim_responses_and_switches() {
    let edits = ResponseEdits {
        via: Some(b"weft"),
        date: Some(b"now"),
        connection: ConnectionReply::Close,
        ..ResponseEdits::default()
    };
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n";
    assert_eq!(
        answer(hints, Method::Get, &edits),
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    );
    let switch = "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: k\r\n\r\n";
    let edits = ResponseEdits {
        connection: ConnectionReply::Upgrade,
        ..ResponseEdits::default()
    };
    assert_eq!(
        answer(switch, Method::Get, &edits),
        "HTTP/1.1 101 Go\r\nSec-WebSocket-Accept: k\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\n\r\n"
    );
}

#[test]
fn rfc9110_8_6_local_replies() {
    let reply = |reply: LocalReply<'_>| {
        let mut out = Vec::new();
        encode::local_reply(&mut out, &reply);
        parse_response(
            &out,
            if reply.head_only {
                Method::Head
            } else {
                Method::Get
            },
        );
        String::from_utf8(out).unwrap()
    };
    let base = LocalReply {
        status: 404,
        body: b"no route\n",
        ..LocalReply::default()
    };
    let head = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
                Content-Length: 9\r\n\r\n";
    assert_eq!(reply(base), format!("{head}no route\n"));
    assert_eq!(
        reply(LocalReply {
            head_only: true,
            ..base
        }),
        head
    );
    let empty = LocalReply {
        status: 204,
        body: b"",
        ..LocalReply::default()
    };
    assert_eq!(reply(empty), "HTTP/1.1 204 No Content\r\n\r\n");
    let change = edits(&[("X-A", "1")], &[], &["server"]);
    let full = LocalReply {
        status: 302,
        body: b"",
        fields: &[(b"Location", b"/x"), (b"X-A", b"0")],
        edits: &[&change],
        connection: ConnectionReply::Close,
        date: Some(b"now"),
        server: Some(b"weft"),
        request_id: Some(b"id"),
        ..LocalReply::default()
    };
    assert_eq!(
        reply(full),
        "HTTP/1.1 302 Found\r\nDate: now\r\nX-Request-Id: id\r\nLocation: /x\r\nX-A: 1\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let mut out = Vec::new();
    encode::interim_continue(&mut out);
    assert!(parse_response(&out, Method::Post).view(&out).is_interim());
}

/// Random changes to sound heads: refused, or read back as the same request after forwarding.
#[test]
fn rfc9112_11_2_what_is_forwarded_has_the_same_reading() {
    const HEADS: [&str; 3] = [
        "POST /a/b?c HTTP/1.1\r\nHost: h:1\r\nContent-Length: 5\r\nX-A: b\r\n\r\n",
        "PUT http://h/%61/../x HTTP/1.1\r\nHost: i\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade, x-a\r\nUpgrade: y\r\nX-A: b\r\n\r\n",
    ];
    let mut random = random(0x5eed_0003);
    let mut accepted = 0;
    let edits = RequestEdits {
        upgrade: true,
        ..RequestEdits::default()
    };
    for _ in 0..30_000 {
        let mut text = HEADS[random() as usize % HEADS.len()].as_bytes().to_vec();
        for _ in 0..=random() % 3 {
            let place = random() as usize % text.len();
            let byte = b"\r\n\0 \t:,;/.%2a@\x80"[random() as usize % 15];
            match random() % 3 {
                0 => text[place] = byte,
                1 => text.insert(place, byte),
                _ => drop(text.remove(place)),
            }
        }
        let mut head = RequestHead::new();
        let parsed = request::parse(&text, &HeadLimits::default(), &mut head);
        if !matches!(parsed, Ok(Parsed::Complete { .. })) || head.view(&text).host().is_empty() {
            continue;
        }
        accepted += 1;
        let received = head.view(&text);
        let mut out = Vec::new();
        encode::request(&mut out, &received, &edits);
        let again = parse_request(&out);
        let sent = again.view(&out);
        assert_eq!(sent.method_bytes(), received.method_bytes());
        assert_eq!(sent.path(), received.path());
        assert_eq!(sent.query(), received.query());
        assert_eq!(sent.authority(), received.authority());
        assert_eq!(sent.body(), received.body());
        assert_eq!(sent.upgrade(), received.upgrade());
    }
    // Not vacuous: about one change in seven leaves a sound head.
    assert!(accepted > 3_000, "{accepted}");
}

/// In steady state neither reading nor writing grows any storage.
#[test]
fn storage_is_reused() {
    let text = FORGED.replace("GET / ", "GET /a/../b?q ");
    let mut head = RequestHead::new();
    let mut out = Vec::new();
    let mut round = |head: &mut RequestHead| {
        out.clear();
        request::parse(text.as_bytes(), &HeadLimits::default(), head).unwrap();
        encode::request(&mut out, &head.view(text.as_bytes()), &forwarded(1));
        (head.fields.as_ptr(), head.path.as_ptr(), out.as_ptr())
    };
    let first = round(&mut head);
    let second = round(&mut head);
    assert_eq!(first, second);
    head.clear();
    assert_eq!(round(&mut head), first);
}
