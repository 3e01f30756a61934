//! Request heads: what is read, what is refused, and that splits do not matter.

use crate::http::h1::request::parse;
use crate::http::h1::{HeadLimits, Parsed, UnderscoreNames, scan};
use crate::http::{BodyLength, FieldName, HeadError, Method, RequestHead, TargetForm, Version};
use crate::limits::FIELD_COUNT_MAX;

/// Everything that is decided about a request, as text, so that two readings can be compared.
fn reading(bytes: &[u8], head: &RequestHead) -> String {
    let request = head.view(bytes);
    let text = String::from_utf8_lossy;
    let fields: Vec<String> = head
        .fields
        .iter()
        .map(|line| {
            let (name, value) = (line.name_span.of(bytes), line.value.of(bytes));
            format!(
                "{:?} {} {} {}",
                line.name,
                line.forward,
                text(name),
                text(value)
            )
        })
        .collect();
    format!(
        "{:?} {} {:?} {:?} path={} query={:?} authority={} host={} port={:?} {:?} body={:?} \
         keep={} continue={} upgrade={:?} hops={:?} {fields:?}",
        request.method(),
        text(request.method_bytes()),
        request.version(),
        request.target_form(),
        text(request.path()),
        request.query().map(text),
        text(request.authority()),
        text(request.host()),
        request.port(),
        request.scheme(),
        request.body(),
        request.keep_alive(),
        request.expects_continue(),
        request.upgrade().map(text),
        request.max_forwards(),
    )
}

/// Parses at once, at every split in two and one byte at a time; all must agree.
fn read(bytes: &[u8], limits: &HeadLimits) -> Result<(usize, String), HeadError> {
    let mut whole = RequestHead::new();
    let outcome = finish(parse(bytes, limits, &mut whole), bytes, &whole);
    for split in 1..bytes.len() {
        let mut head = RequestHead::new();
        let outcome_of_split = match parse(&bytes[..split], limits, &mut head) {
            Ok(Parsed::Partial) => finish(parse(bytes, limits, &mut head), bytes, &head),
            early => finish(early, bytes, &head),
        };
        assert_eq!(outcome_of_split, outcome, "split at {split}");
    }
    let mut head = RequestHead::new();
    let mut outcome_of_trickle = None;
    for length in 1..=bytes.len() {
        match parse(&bytes[..length], limits, &mut head) {
            Ok(Parsed::Partial) => {}
            end => {
                outcome_of_trickle = Some(finish(end, bytes, &head));
                break;
            }
        }
    }
    assert_eq!(
        outcome_of_trickle.unwrap_or(Ok(None)),
        outcome,
        "byte by byte"
    );
    outcome.map(|complete| complete.expect("the head is incomplete"))
}

type Outcome = Result<Option<(usize, String)>, HeadError>;

fn finish(parsed: Result<Parsed, HeadError>, bytes: &[u8], head: &RequestHead) -> Outcome {
    Ok(match parsed? {
        Parsed::Complete { bytes: length } => Some((length, reading(bytes, head))),
        Parsed::Partial => None,
    })
}

pub(super) fn refused(text: &str) -> HeadError {
    match read(text.as_bytes(), &HeadLimits::default()) {
        Err(error) => error,
        Ok((_, reading)) => panic!("accepted {text:?}: {reading}"),
    }
}

/// Parses a head that must be good.
fn accepted(text: &str) -> (RequestHead, Vec<u8>) {
    let bytes = text.as_bytes().to_vec();
    let (length, expected) = read(&bytes, &HeadLimits::default())
        .unwrap_or_else(|error| panic!("refused {text:?}: {error:?}"));
    assert!(length <= bytes.len());
    let mut head = RequestHead::new();
    assert!(parse(&bytes, &HeadLimits::default(), &mut head).is_ok());
    assert_eq!(reading(&bytes, &head), expected);
    (head, bytes)
}

fn with_fields(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn rfc9112_2_1_a_request_is_read() {
    let text = "POST /a/b?x=1&y HTTP/1.1\r\nHost: example.com:8080\r\nX-Thing:  some value\t\r\n\
                Content-Length: 5\r\nconnection: Keep-Alive, x-thing\r\n\r\nhello";
    let (head, bytes) = accepted(text);
    let request = head.view(&bytes);
    assert_eq!(request.method(), Method::Post);
    assert_eq!(request.version(), Version::Http11);
    assert_eq!(request.path(), b"/a/b");
    assert_eq!(request.query(), Some(&b"x=1&y"[..]));
    assert_eq!(request.target(), b"/a/b?x=1&y");
    assert_eq!(request.authority(), b"example.com:8080");
    assert_eq!(request.host(), b"example.com");
    assert_eq!(request.port(), Some(8080));
    assert_eq!(request.body(), BodyLength::Sized(5));
    assert_eq!(request.field_by_name(b"X-THING"), Some(&b"some value"[..]));
    assert_eq!(request.field(FieldName::ContentLength), Some(&b"5"[..]));
    assert_eq!(request.fields().count(), 4);
    assert!(request.keep_alive());
    let length = read(&bytes, &HeadLimits::default()).unwrap().0;
    assert_eq!(length, bytes.len() - 5);
}

#[test]
fn rfc9112_2_2_a_few_empty_lines_before_the_request_are_skipped() {
    let (head, bytes) = accepted("\r\n\r\n\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(head.view(&bytes).path(), b"/x");
    assert_eq!(head.view(&bytes).host(), b"a");
}

#[test]
fn rfc9110_5_5_values_may_hold_obs_text_and_tabs() {
    let text = with_fields("X-A: caf\u{e9}\tau lait\r\nX-Empty:\r\nX-Blank: \t \r\n");
    let (head, bytes) = accepted(&text);
    let request = head.view(&bytes);
    assert_eq!(
        request.field_by_name(b"x-a"),
        Some("caf\u{e9}\tau lait".as_bytes())
    );
    assert_eq!(request.field_by_name(b"x-empty"), Some(&b""[..]));
    assert_eq!(request.field_by_name(b"x-blank"), Some(&b""[..]));
    assert_eq!(request.field_by_name(b"x-none"), None);
}

/// Every byte at every place of a long name, value and target, so that scanners by words are held
/// to the grammar too.
#[test]
fn rfc9110_5_every_byte_at_every_place() {
    let limits = HeadLimits {
        names: UnderscoreNames::Allow,
        ..HeadLimits::default()
    };
    let mut head = RequestHead::new();
    for byte in 0..=u8::MAX {
        for place in 0..40 {
            let mut text = vec![b'x'; 40];
            text[place] = byte;
            let mut is_ok = |start: &[u8], end: &[u8]| {
                let bytes = [start, &text, end].concat();
                matches!(
                    parse(&bytes, &limits, &mut head),
                    Ok(Parsed::Complete { .. })
                )
            };
            let name = is_ok(b"GET / HTTP/1.1\r\nHost: a\r\n", b": b\r\n\r\n");
            assert_eq!(
                name,
                scan::is_token_byte(byte) || (byte == b':' && place > 0),
                "name {byte:#x} at {place}"
            );
            let value = is_ok(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n\r\n");
            assert_eq!(
                value,
                scan::is_value_byte(byte),
                "value {byte:#x} at {place}"
            );
            let target = is_ok(b"GET /", b" HTTP/1.1\r\nHost: a\r\n\r\n");
            let is_visible = byte.is_ascii_graphic();
            let expected = is_visible && !b"#\\\"<>%".contains(&byte);
            assert_eq!(target, expected, "target {byte:#x} at {place}");
            let query = is_ok(b"GET /?", b" HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(
                query,
                is_visible && byte != b'#',
                "query {byte:#x} at {place}"
            );
        }
    }
}

#[test]
fn rfc9112_9_3_persistence() {
    for (line, fields, keep_alive) in [
        ("HTTP/1.1", "", true),
        ("HTTP/1.1", "Connection: close\r\n", false),
        ("HTTP/1.1", "Connection: x, CLOSE\r\n", false),
        ("HTTP/1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("HTTP/1.1", "Connection: keep-alive, close\r\n", false),
        ("HTTP/1.1", "Connection: xclose\r\n", true),
        ("HTTP/1.0", "", false),
        ("HTTP/1.0", "Connection: keep-alive\r\n", true),
        ("HTTP/1.0", "Connection: Keep-Alive, close\r\n", false),
        ("HTTP/1.0", "Proxy-Connection: keep-alive\r\n", false),
        ("HTTP/1.0", "Keep-Alive: timeout=5\r\n", false),
    ] {
        let (head, bytes) = accepted(&format!("GET / {line}\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(
            head.view(&bytes).keep_alive(),
            keep_alive,
            "{line} {fields}"
        );
    }
}

#[test]
fn rfc9112_3_2_http10_may_come_without_host() {
    let (head, bytes) = accepted("GET /x HTTP/1.0\r\n\r\n");
    assert_eq!(head.view(&bytes).authority(), b"");
    assert_eq!(head.view(&bytes).host(), b"");
}

#[test]
fn rfc9112_3_2_2_the_absolute_form_wins_over_host() {
    let (head, bytes) = accepted("GET http://Real.example:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n");
    let request = head.view(&bytes);
    assert_eq!(request.target_form(), TargetForm::Absolute);
    assert_eq!(request.authority(), b"Real.example:81");
    assert_eq!(request.host(), b"Real.example");
    assert_eq!(request.path(), b"/p");
    assert_eq!(request.query(), Some(&b"q"[..]));
}

#[test]
fn rfc9110_7_6_1_connection_takes_out_unknown_fields_only() {
    let nominations = "Connection: x-a, Host, authorization, cookie, x-forwarded-for, \
                       X-Forwarded-Port, forwarded, x-real-ip, x-request-id, via, cache-control, \
                       content-length, traceparent\r\n";
    let fields = "Authorization: k\r\nCookie: c\r\nX-Forwarded-For: 1.1.1.1\r\nX-A: 1\r\nx-a: 2\r\n\
                  X-Forwarded-Port: 1\r\nForwarded: for=x\r\nX-Real-Ip: 1.1.1.1\r\n\
                  X-Request-Id: i\r\n\
                  Via: 1.1 x\r\nCache-Control: no-store\r\nTraceparent: t\r\nX-B: 3\r\n";
    let (head, bytes) = accepted(&with_fields(&format!("{nominations}{fields}")));
    for line in &head.fields {
        let name = String::from_utf8_lossy(line.name_span.of(&bytes)).to_lowercase();
        let expected = !matches!(name.as_str(), "x-a" | "connection" | "host");
        assert_eq!(line.forward, expected, "{name}");
    }
    assert_eq!(head.view(&bytes).host(), b"a");
}

#[test]
fn rfc9110_7_6_1_nominations_are_bounded() {
    let names = |count: usize| {
        (0..count)
            .map(|n| format!("x{n}"))
            .collect::<Vec<_>>()
            .join(",")
    };
    let allowed = with_fields(&format!("Connection: {}\r\n", names(32)));
    accepted(&allowed);
    let (first, second) = (names(16), names(17));
    let text = with_fields(&format!("Connection: {first}\r\nConnection: {second}\r\n"));
    assert_eq!(refused(&text), HeadError::Connection);
}

#[test]
fn rfc9110_7_6_1_hop_by_hop_fields_end_here() {
    let fields = "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\n\
                  Trailer: X-T\r\nUpgrade: websocket\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
                  Proxy-Authorization: Basic eDp5\r\nProxy-Authenticate: Basic\r\n";
    let (head, bytes) = accepted(&with_fields(fields));
    assert!(head.fields.iter().all(|line| !line.forward));
    assert_eq!(head.view(&bytes).upgrade(), None);
}

#[test]
fn rfc9113_3_1_an_upgrade_to_http2_is_not_forwarded() {
    for protocol in ["h2c", "H2C", "h2", "HTTP/2.0", "http/3"] {
        let fields = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n\
             HTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        );
        let (head, bytes) = accepted(&with_fields(&fields));
        assert_eq!(head.view(&bytes).upgrade(), None, "{protocol}");
        assert!(head.fields.iter().all(|line| !line.forward));
    }
}

#[test]
fn rfc9110_7_8_upgrade_is_forwarded_only_when_it_is_sound() {
    let upgrade = |text: &str| {
        let (head, bytes) = accepted(text);
        head.view(&bytes)
            .upgrade()
            .map(|protocol| String::from_utf8_lossy(protocol).into_owned())
    };
    let websocket = with_fields("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n");
    assert_eq!(upgrade(&websocket).as_deref(), Some("websocket"));
    let versioned = with_fields("Connection: upgrade\r\nUpgrade: IRC/6.9\r\n");
    assert_eq!(upgrade(&versioned).as_deref(), Some("IRC/6.9"));
    for fields in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n",
        "Connection: upgrade\r\nUpgrade: TLS/1.2\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: web socket\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert_eq!(upgrade(&with_fields(fields)), None, "{fields}");
    }
    let old = "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(upgrade(old), None);
}

#[test]
fn rfc9110_10_1_1_expect() {
    let expects = |line: &str, fields: &str| {
        let (head, bytes) = accepted(&format!("POST / {line}\r\nHost: a\r\n{fields}\r\n"));
        let is_forwarded = |name| head.fields.iter().any(|f| f.name == name && f.forward);
        (
            head.view(&bytes).expects_continue(),
            is_forwarded(FieldName::Expect),
        )
    };
    let with_body = "Expect: 100-Continue\r\nContent-Length: 5\r\n";
    assert_eq!(expects("HTTP/1.1", with_body), (true, true));
    assert_eq!(expects("HTTP/1.0", with_body), (false, false));
    assert_eq!(
        expects("HTTP/1.0", "Expect: x\r\nContent-Length: 5\r\n"),
        (false, false)
    );
    assert_eq!(
        expects("HTTP/1.1", "Expect: 100-continue\r\n"),
        (false, false)
    );
    assert_eq!(refused(&with_fields("Expect: x\r\n")).status(), 417);
}

#[test]
fn rfc9110_7_6_2_max_forwards() {
    let hops = |method: &str, value: &str| {
        let (head, bytes) = accepted(&format!(
            "{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n"
        ));
        head.view(&bytes).max_forwards()
    };
    assert_eq!(hops("TRACE", "0"), Some(0));
    assert_eq!(hops("OPTIONS", "10"), Some(10));
    assert_eq!(hops("OPTIONS", "99999999999"), Some(u32::MAX));
    assert_eq!(hops("GET", "10"), None);
    assert_eq!(hops("GET", "ten"), None);
}

#[test]
fn rfc9110_15_5_and_rfc6585_5_limits() {
    let limits = HeadLimits {
        head_bytes: 200,
        request_line_bytes: 40,
        field_count: 3,
        ..HeadLimits::default()
    };
    let read = |text: &str| read(text.as_bytes(), &limits).map(|_| ());
    let line = |length: usize| {
        let target = "a".repeat(length - "GET / HTTP/1.1".len());
        format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n")
    };
    assert_eq!(read(&line(40)), Ok(()));
    assert_eq!(read(&line(41)), Err(HeadError::LineTooLong));
    assert_eq!(read(&line(150)), Err(HeadError::LineTooLong));
    assert_eq!(read(&line(1500)), Err(HeadError::LineTooLong));
    let head = |length: usize| {
        let value = "v".repeat(length - "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len());
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n")
    };
    assert_eq!(read(&head(200)), Ok(()));
    assert_eq!(read(&head(201)), Err(HeadError::HeadTooLarge));
    assert_eq!(read(&head(2000)), Err(HeadError::HeadTooLarge));
    assert_eq!(
        read("GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n"),
        Ok(())
    );
    let four = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n";
    assert_eq!(read(four), Err(HeadError::TooManyFields));
    assert_eq!(HeadError::HeadTooLarge.status(), 431);
    assert_eq!(HeadError::TooManyFields.status(), 431);
}

#[test]
fn limits_above_what_can_be_held_are_lowered() {
    let limits = HeadLimits {
        head_bytes: usize::MAX,
        request_line_bytes: usize::MAX,
        field_count: usize::MAX,
        ..HeadLimits::default()
    };
    let mut head = RequestHead::new();
    let mut with_count = |count: usize| {
        let text = with_fields(&"A: b\r\n".repeat(count - 1));
        parse(text.as_bytes(), &limits, &mut head).map(|_| ())
    };
    assert_eq!(with_count(FIELD_COUNT_MAX), Ok(()));
    assert_eq!(
        with_count(FIELD_COUNT_MAX + 1),
        Err(HeadError::TooManyFields)
    );
}

#[test]
fn rfc9110_15_5_15_a_long_target_is_414() {
    let text = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8 << 10));
    let error = parse(
        text.as_bytes(),
        &HeadLimits::default(),
        &mut RequestHead::new(),
    );
    assert_eq!(error, Err(HeadError::LineTooLong));
    assert_eq!(HeadError::LineTooLong.status(), 414);
}

#[test]
fn rfc9110_15_5_18_an_unknown_expectation_is_417() {
    assert_eq!(refused(&with_fields("Expect: 200-ok\r\n")).status(), 417);
    let twice = with_fields("Expect: 100-continue\r\nExpect: x\r\n");
    assert_eq!(refused(&twice).status(), 417);
}

#[test]
fn rfc9110_15_6_6_another_version_is_505() {
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/1.2", "HTTP/0.9"] {
        assert_eq!(
            refused(&format!("GET / {version}\r\n\r\n")).status(),
            505,
            "{version}"
        );
    }
    for version in [
        "HTTP/1.", "HTTP/1", "HTTP", "HTTP/x.y", "HTTP/11", "http/1.1",
    ] {
        assert_eq!(
            refused(&format!("GET / {version}\r\n\r\n")).status(),
            400,
            "{version}"
        );
    }
}

#[test]
fn rfc9112_5_2_folded_lines_are_refused() {
    for fold in ["\r\n ", "\r\n\t", "\r\n \r\n "] {
        for place in ["X: a{}b\r\n", "X:{}b\r\n", "X: a{}\r\n"] {
            let error = refused(&with_fields(&place.replace("{}", fold)));
            assert_eq!(error, HeadError::FieldName, "{place} {fold:?}");
        }
    }
}

#[test]
fn a_head_is_never_attempted_more_often_than_its_length_doubles() {
    let value = "v".repeat(60_000);
    let text = with_fields(&format!("X: {value}\r\n"));
    let mut head = RequestHead::new();
    let mut attempts = 0;
    for length in 1..text.len() {
        let before = head.progress.attempted;
        let parsed = parse(
            &text.as_bytes()[..length],
            &HeadLimits::default(),
            &mut head,
        );
        assert_eq!(parsed, Ok(Parsed::Partial));
        attempts += usize::from(head.progress.attempted != before);
    }
    assert!(attempts <= 20, "{attempts} attempts");
    let parsed = parse(text.as_bytes(), &HeadLimits::default(), &mut head);
    assert_eq!(parsed, Ok(Parsed::Complete { bytes: text.len() }));
}

#[test]
fn rfc9112_3_a_broken_request_line_is_refused_when_it_ends_however_it_was_cut() {
    let line = b"GET /v\r\n";
    for first in 1..line.len() {
        for second in first..line.len() {
            let mut head = RequestHead::new();
            let mut parsed = Ok(Parsed::Partial);
            for end in [first, second, line.len()] {
                if parsed == Ok(Parsed::Partial) {
                    parsed = parse(&line[..end], &HeadLimits::default(), &mut head);
                }
            }
            assert_eq!(parsed, Err(HeadError::Line), "cut at {first} and {second}");
        }
    }
}

#[test]
fn an_abandoned_head_does_not_disturb_the_next_one() {
    let mut head = RequestHead::new();
    let long = with_fields("X: 1234567890\r\n");
    let partial = parse(
        &long.as_bytes()[..long.len() - 1],
        &HeadLimits::default(),
        &mut head,
    );
    assert_eq!(partial, Ok(Parsed::Partial));
    let next = b"GET /n HTTP/1.1\r\nHost: b\r\n\r\n";
    let parsed = parse(next, &HeadLimits::default(), &mut head);
    assert_eq!(parsed, Ok(Parsed::Complete { bytes: next.len() }));
    head.clear();
    assert_eq!(head.view(b"").fields().count(), 0);
    assert_eq!(head.view(b"").host(), b"");
}

#[test]
fn pipelined_requests_are_read_one_after_the_other() {
    let bytes = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n";
    let mut head = RequestHead::new();
    let Ok(Parsed::Complete { bytes: first }) = parse(bytes, &HeadLimits::default(), &mut head)
    else {
        panic!("refused");
    };
    assert_eq!(head.view(bytes).path(), b"/1");
    let rest = &bytes[first..];
    assert!(matches!(
        parse(rest, &HeadLimits::default(), &mut head),
        Ok(Parsed::Complete { .. })
    ));
    assert_eq!(head.view(rest).path(), b"/2");
    assert_eq!(head.view(rest).host(), b"b");
}

#[test]
fn underscores_in_names_follow_the_rule_and_never_imitate() {
    let allow = HeadLimits {
        names: UnderscoreNames::Allow,
        ..HeadLimits::default()
    };
    let allows =
        |name: &str| read(with_fields(&format!("{name}: 1\r\n")).as_bytes(), &allow).map(|_| ());
    assert_eq!(refused(&with_fields("X_A: 1\r\n")), HeadError::FieldName);
    assert_eq!(
        refused(&with_fields("X-Forwarded-A_B: 1\r\n")),
        HeadError::FieldName
    );
    assert_eq!(allows("X_A"), Ok(()));
    let long = format!("x_{}", "a".repeat(100));
    assert_eq!(allows(&long), Ok(()));
    for name in [
        "Content_Length",
        "transfer_encoding",
        "X_Forwarded_For",
        "X-Forwarded_For",
        "x_real_ip",
        "Host_",
        "authorization_",
    ] {
        let expected = match name {
            "Host_" | "authorization_" => Ok(()),
            _ => Err(HeadError::FieldName),
        };
        assert_eq!(allows(name), expected, "{name}");
    }
}
