//! Lines as servers write them, hostile ones included.

use super::*;

fn request(line: &str) -> Logged<'_> {
    match read(line.as_bytes()) {
        Ok(Line::Request(logged)) => logged,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn wefts_json_tells_when_a_request_began() {
    let logged = request(
        r#"{"time":"2026-11-23T01:43:33.120Z","shard":1,"listener":"web","method":"POST","authority":"example.com","path":"/a\"b?x=1","status":201,"flags":"-","received_bytes":321,"sent_bytes":4567,"attempts":1,"reused":false,"total_us":1541.5,"added_us":41.0,"request_id":"0af7"}"#,
    );
    let expected = Logged {
        time: 1_795_398_213_120_000_000 - 1_541_500,
        is_whole_second: false,
        method: "POST".into(),
        authority: Some("example.com".into()),
        path: "/a\"b?x=1".into(),
        lacks_query: false,
        status: 201,
        received_bytes: Some(321),
    };
    assert_eq!(logged, expected);
}

#[test]
fn wefts_text_tells_the_same() {
    let logged = request(
        r#"2026-11-23T01:43:33.120Z 1 192.0.2.7:50123 web api\x20v1 service 127.0.0.1:9000 "POST example.com /a\x22b?[redacted]" 201 - - 321 4567 1 1.541/0.041/0.012/0.003/0.005/1.500/0.021 "0af7" "curl/8.5 (\x22)""#,
    );
    let expected = Logged {
        time: 1_795_398_213_120_000_000 - 1_541_000,
        is_whole_second: false,
        method: "POST".into(),
        authority: Some("example.com".into()),
        path: "/a\"b".into(),
        lacks_query: true,
        status: 201,
        received_bytes: Some(321),
    };
    assert_eq!(logged, expected);
}

#[test]
fn servers_lines_are_read_with_and_without_referer() {
    for line in [
        r#"127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.0" 404 2326 "http://r/" "M (x; \"y\")""#,
        r#"::1 - a [b] c [10/Oct/2000:13:55:36 -0700] "GET /a?b HTTP/1.1" 404 2326"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET http://host:1/a?b HTTP/1.1" 404 -"#,
    ] {
        let logged = request(line);
        assert_eq!(
            (logged.method.as_ref(), logged.path.as_ref()),
            ("GET", "/a?b"),
            "{line}"
        );
        assert_eq!((logged.time, logged.status), (971_211_336_000_000_000, 404));
        assert!(logged.is_whole_second && logged.received_bytes.is_none());
    }
    let escaped = request(r#"h - - [10/Oct/2000:13:55:36 -0700] "GET /\x22\"\\ HTTP/1.1" 200 0"#);
    assert_eq!(escaped.path, "/\"\"\\");
}

#[test]
fn what_cannot_be_sent_is_no_request() {
    for line in [
        r#"{"time":"2026-11-23T01:43:33.120Z","status":400}"#,
        r#"{"time":"2026-11-23T01:43:33.120Z","method":"GET","path":"/�","status":400}"#,
        r#"2026-11-23T01:43:33.120Z 1 - web - - - "  " 400 DPE head 3 100 0 -/-/-/-/-/-/- "" """#,
        r#"2026-11-23T01:43:33.120Z 1 - web - - - "CONNECT h:1 /" 200 - - 3 100 0 1.0/-/-/-/-/-/- "" """#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "-" 400 0"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 0"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET /a b HTTP/1.1" 400 0"#,
        r#"h - - [10/Oct/2000:13:55:36 -0700] "GET a HTTP/1.1" 400 0"#,
    ] {
        assert_eq!(read(line.as_bytes()), Ok(Line::NoRequest), "{line}");
    }
    let cut = format!("/{}...", "a".repeat(2_047));
    let line = format!(r#"{{"time":"2026-11-23T01:43:33Z","method":"GET","path":"{cut}"}}"#);
    assert_eq!(read(line.as_bytes()), Ok(Line::NoRequest));
}

#[test]
fn what_is_not_understood_says_why() {
    for (line, complaint) in [
        (&b"\xff"[..], "not UTF-8"),
        (b"", "neither"),
        (b"hello", "neither"),
        (b"{", "not a JSON object"),
        (br#"{"path":"/"}"#, "not a JSON object"),
        (br#"{"time":"yesterday","path":"/"}"#, "RFC 3339"),
        (b"2026-11-23T01:43:33Z GET /", "weft's text log"),
        (
            br#"2026-11-23T01:43:33Z 1 - - - - - "GET h /" 200"#,
            "weft's text log",
        ),
        (br#"h - - [now] "GET / HTTP/1.1" 200 1"#, "10/Oct/2000"),
        (
            br#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1"#,
            "neither",
        ),
        (
            br#"h - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" -"#,
            "no status",
        ),
    ] {
        let error = read(line).expect_err("a complaint");
        assert!(error.contains(complaint), "{line:?}: {error}");
    }
}
