//! RFC 9110 §7.6 and §6.6: what the proxy adds, keeps and removes on the way.

use crate::harness::{Message, Origin, Proxy, Setup};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the origin saw of a request with these field lines.
fn seen(listener: &str, lines: &str) -> Message {
    let origin = Origin::answering(OK);
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(listener));
    let request = format!("GET /f HTTP/1.1\r\nHost: shop.example:81\r\n{lines}\r\n");
    assert_eq!(proxy.connect().exchange(request).status(), 200);
    origin.request()
}

/// What the client got when the origin sent these field lines.
fn got(listener: &str, lines: &str) -> Message {
    let origin = Origin::answering(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{lines}\r\nok"
    ));
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(listener));
    proxy.get("/f")
}

const FORGED: &str = "X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n\
    X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n";

#[test]
fn forwarded_fields_of_strangers_are_replaced() {
    let seen = seen("", FORGED);
    assert_eq!(seen.field("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(seen.field("X-Forwarded-Proto"), Some("http"));
    assert_eq!(seen.field("X-Forwarded-Host"), Some("shop.example:81"));
    assert_eq!(seen.field("Host"), Some("shop.example:81"));
}

#[test]
fn forwarded_fields_of_trusted_hops_are_kept() {
    let seen = seen("fields.trusted_hops = 1", FORGED);
    assert_eq!(seen.field("X-Forwarded-For"), Some("192.0.2.2, 127.0.0.1"));
    assert_eq!(seen.field("X-Forwarded-Proto"), Some("https"));
}

#[test]
fn forwarded_fields_pass_untouched_when_configured() {
    let seen = seen("fields.forwarded = \"pass\"", FORGED);
    assert_eq!(seen.field("X-Forwarded-For"), Some("192.0.2.1, 192.0.2.2"));
    assert_eq!(seen.field("X-Forwarded-Host"), Some("evil"));
}

#[test]
fn rfc9110_7_6_3_via_is_appended_in_both_directions() {
    let request = seen("", "Via: 1.0 before\r\n");
    assert_eq!(request.fields("Via").join(", "), "1.0 before, 1.1 weft");
    let response = got("fields.via = \"edge-1\"", "Via: 1.1 behind\r\n");
    assert_eq!(response.fields("Via").join(", "), "1.1 behind, 1.1 edge-1");
    assert_eq!(seen("fields.via = \"off\"", "").field("Via"), None);
}

#[test]
fn request_ids_are_new_for_strangers_and_the_same_on_both_sides() {
    let origin = Origin::answering(OK);
    let proxy = Proxy::to(origin.address());
    let mut ids = Vec::new();
    for _ in 0..2 {
        let request = "GET /i HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\n\r\n";
        let response = proxy.connect().exchange(request);
        ids.push(response.field("X-Request-Id").expect("an id").to_owned());
    }
    let seen: Vec<_> = origin.requests();
    let seen: Vec<_> = seen
        .iter()
        .filter_map(|seen| seen.field("X-Request-Id"))
        .collect();
    assert_eq!(seen, ids);
    assert!(
        ids[0] != ids[1] && ids[0] != "mine" && ids[0].len() >= 16,
        "{ids:?}"
    );
}

#[test]
fn request_ids_of_trusted_hops_are_kept() {
    let seen = seen("fields.trusted_hops = 1", "X-Request-Id: theirs-1\r\n");
    assert_eq!(seen.field("X-Request-Id"), Some("theirs-1"));
}

#[test]
fn rfc9110_6_6_1_date_is_added_and_kept() {
    assert!(
        got("", "")
            .field("Date")
            .is_some_and(|date| date.ends_with(" GMT"))
    );
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(
        got("", &format!("Date: {date}\r\n")).field("Date"),
        Some(date)
    );
    assert_eq!(got("fields.date = false", "").field("Date"), None);
}

#[test]
fn rfc9110_10_2_4_product_is_ours_at_the_edge() {
    assert_eq!(
        got("", "Server: nginx/1.0\r\n").field("Server"),
        Some("weft")
    );
    let pass = "fields.server = \"pass\"";
    assert_eq!(
        got(pass, "Server: nginx/1.0\r\n").field("Server"),
        Some("nginx/1.0")
    );
    let remove = "fields.server = \"remove\"";
    assert_eq!(got(remove, "Server: nginx/1.0\r\n").field("Server"), None);
}

#[test]
fn rfc9110_7_6_1_hop_by_hop_fields_of_responses_stay_on_their_hop() {
    let lines = "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Authenticate: Basic\r\nX-Other: 2\r\n";
    let response = got("", lines);
    for name in ["X-Mine", "Keep-Alive"] {
        assert_eq!(response.field(name), None, "{name}");
    }
    assert_eq!(response.field("X-Other"), Some("2"));
}

#[test]
fn rfc9110_5_3_repeated_fields_stay_apart_and_in_order() {
    let request = seen("", "X-A: 1\r\nCookie: a\r\nX-A: 2\r\nx-a: 3\r\n");
    assert_eq!(request.fields("X-A"), ["1", "2", "3"]);
    let response = got("", "Set-Cookie: a=1\r\nX-B: b\r\nSet-Cookie: b=2\r\n");
    assert_eq!(response.fields("Set-Cookie"), ["a=1", "b=2"]);
}

#[test]
fn rfc9112_3_2_2_absolute_form_decides_the_host() {
    let origin = Origin::answering(OK);
    let proxy = Proxy::to(origin.address());
    let request = "GET http://named.example/f?q HTTP/1.1\r\nHost: other.example\r\n\r\n";
    let response = proxy.connect().exchange(request);
    if response.status() == 400 {
        // A Host that contradicts the target may be refused.
        return;
    }
    let seen = origin.request();
    assert_eq!(
        (seen.target(), seen.field("Host")),
        ("/f?q", Some("named.example"))
    );
}

#[test]
fn spoofed_spellings_do_not_pass_beside_the_real_ones() {
    for name in [
        "X_Forwarded_For",
        "X-Forwarded_For",
        "Content_Length",
        "Transfer_Encoding",
    ] {
        for policy in ["", "fields.underscores = \"pass\""] {
            let origin = Origin::answering(OK);
            let proxy = Proxy::start(&Setup::to(origin.address()).listener(policy));
            let request = format!("GET /u HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n\r\n");
            assert_eq!(
                proxy.connect().exchange(request).status(),
                400,
                "{name} {policy}"
            );
        }
    }
}
