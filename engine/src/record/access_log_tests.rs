//! Lines as they are read back, hostile bytes included.

use std::time::Duration;

use super::*;
use crate::io::Instant;
use crate::record::{DownstreamFailure, ListenerId, UpstreamFailure};

fn at(micros: u64) -> Instant {
    Instant::from_nanos(1_000_000_000 + micros * 1_000)
}

fn outcome() -> Outcome {
    let mut outcome = Outcome::new(ListenerId(0));
    outcome.status = 200;
    outcome.attempts = 1;
    outcome.received_bytes = 321;
    outcome.sent_bytes = 4_567;
    outcome.times.head_received = at(0);
    outcome.times.endpoint_chosen = at(12);
    outcome.times.connected(at(15), false);
    outcome.times.request_sent = at(20);
    outcome.times.first_byte = at(1_520);
    outcome.times.last_byte = at(1_541);
    outcome
}

fn line(outcome: &Outcome) -> AccessLine<'_> {
    AccessLine {
        wall: UNIX_EPOCH + Duration::from_millis(1_795_398_213_120),
        shard: 1,
        listener: "web",
        route: Some("api"),
        cluster: Some("service"),
        endpoint: Some("127.0.0.1:9000"),
        client: Some(([192, 0, 2, 7], 50_123).into()),
        policy: None,
        audit: None,
        limit: None,
        principal: Some("spiffe://example.org/shop"),
        method: b"GET",
        authority: b"example.com",
        path: b"/search",
        query: Some(b"token=secret"),
        request_id: b"0af7",
        user_agent: b"curl/8.5",
        outcome,
    }
}

fn as_json(line: &AccessLine<'_>, query: Query) -> serde_json::Value {
    let mut out = Vec::new();
    json(&mut out, line, query);
    let text = String::from_utf8(out).unwrap();
    assert!(
        text.ends_with("}\n") && text.matches('\n').count() == 1,
        "{text}"
    );
    serde_json::from_str(&text).unwrap()
}

fn as_text(line: &AccessLine<'_>, query: Query) -> String {
    let mut out = Vec::new();
    text(&mut out, line, query);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_json_line_tells_the_exchange() {
    let outcome = outcome();
    let value = as_json(&line(&outcome), Query::Redact);
    let expected = serde_json::json!({
        "time": "2026-11-23T01:43:33.120Z", "shard": 1, "listener": "web", "route": "api",
        "cluster": "service", "endpoint": "127.0.0.1:9000", "client": "192.0.2.7:50123",
        "principal": "spiffe://example.org/shop",
        "method": "GET", "authority": "example.com", "path": "/search?[redacted]",
        "status": 200, "flags": "-", "received_bytes": 321, "sent_bytes": 4567, "attempts": 1,
        "reused": false, "total_us": 1541.0, "added_us": 41.0, "pick_us": 12.0, "send_us": 5.0,
        "first_byte_us": 1500.0, "body_us": 21.0, "request_id": "0af7", "user_agent": "curl/8.5",
    });
    assert_eq!(value, expected);
}

#[test]
fn a_text_line_has_fixed_places() {
    let outcome = outcome();
    let expected = "2026-11-23T01:43:33.120Z 1 192.0.2.7:50123 web api service 127.0.0.1:9000 \
                    \"GET example.com /search?[redacted]\" 200 - - 321 4567 1 \
                    1.541/0.041/0.012/-/0.005/1.500/0.021 \"0af7\" \"curl/8.5\" - - - -\n";
    assert_eq!(as_text(&line(&outcome), Query::Redact), expected);
}

#[test]
fn a_text_line_says_what_decided() {
    let mut outcome = outcome();
    outcome.external = Some(ExternalResult::TimeoutAllowed);
    let line = AccessLine {
        policy: Some("listener/no admin"),
        audit: Some("route:a/trial"),
        limit: Some("listener/each"),
        ..line(&outcome)
    };
    let end = "\"curl/8.5\" listener/no\\x20admin route:a/trial listener/each timeout_allowed\n";
    assert!(as_text(&line, Query::Redact).ends_with(end));
    assert_eq!(
        as_json(&line, Query::Redact)["external_authorization"],
        "timeout_allowed"
    );
}

#[test]
fn a_query_is_written_only_when_asked_for() {
    let outcome = outcome();
    let line = line(&outcome);
    assert!(!as_text(&line, Query::Redact).contains("secret"));
    assert!(as_text(&line, Query::Keep).contains("/search?token=secret\""));
    assert_eq!(as_json(&line, Query::Keep)["path"], "/search?token=secret");
    assert!(!as_json(&line, Query::Redact).to_string().contains("secret"));
}

#[test]
fn what_never_happened_is_left_out() {
    let mut outcome = Outcome::new(ListenerId(0));
    outcome.status = 408;
    outcome.failure = Some(DownstreamFailure::HeadTimeout.into());
    let bare = AccessLine {
        route: None,
        cluster: None,
        endpoint: None,
        client: None,
        method: b"",
        authority: b"",
        path: b"",
        query: None,
        request_id: b"",
        user_agent: b"",
        ..line(&outcome)
    };
    let value = as_json(&bare, Query::Redact);
    assert_eq!(value["failure"], "head_timeout");
    assert_eq!(value["flags"], "DT");
    for absent in [
        "route",
        "endpoint",
        "client",
        "method",
        "path",
        "total_us",
        "user_agent",
    ] {
        assert!(value.get(absent).is_none(), "{absent}");
    }
    let text = as_text(&bare, Query::Redact);
    assert!(text.contains(" 1 - web - - - \"  \" 408 DT head_timeout 0 0 0 -/-/-/-/-/-/- "));
}

#[test]
fn flags_failure_and_detail_are_told() {
    let mut outcome = outcome();
    outcome.failure = Some(UpstreamFailure::BadResponse.into());
    outcome.detail = "bare_lf";
    let value = as_json(&line(&outcome), Query::Redact);
    assert_eq!(
        (&value["flags"], &value["failure"]),
        (&"UPE".into(), &"bad_response".into())
    );
    assert_eq!(value["detail"], "bare_lf");
}

#[test]
fn no_byte_ends_a_line_or_leaves_its_quotes() {
    let outcome = outcome();
    for byte in 0..=255u8 {
        let value = [b'a', byte, b'b'];
        let line = AccessLine {
            method: &value,
            authority: &value,
            path: &value,
            query: Some(&value),
            request_id: &value,
            user_agent: &value,
            ..line(&outcome)
        };
        let parsed = as_json(&line, Query::Keep);
        if byte.is_ascii() {
            let expected = String::from_utf8(value.to_vec()).unwrap();
            assert_eq!(parsed["user_agent"], expected);
        } else {
            assert_eq!(parsed["user_agent"], "a\u{fffd}b");
        }
        let text = as_text(&line, Query::Keep);
        assert_eq!(text.matches('"').count(), 6, "{byte}: {text}");
        assert!(
            text.trim_end_matches('\n')
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte))
        );
    }
}

#[test]
fn a_forged_line_stays_inside_its_field() {
    let outcome = outcome();
    let forged = b"x\"}\n{\"status\":200,\"user_agent\":\"\\";
    let line = AccessLine {
        user_agent: forged,
        ..line(&outcome)
    };
    let value = as_json(&line, Query::Redact);
    assert_eq!(value["user_agent"], std::str::from_utf8(forged).unwrap());
    assert_eq!(as_text(&line, Query::Redact).matches('\n').count(), 1);
}

#[test]
fn characters_that_hide_or_reorder_text_are_escaped() {
    for hidden in [
        "\u{85}",
        "\u{9b}31m",
        "\u{2028}",
        "\u{202e}",
        "\u{2066}",
        "\u{feff}",
        "\u{7f}",
    ] {
        let mut out = Vec::new();
        escape_json(&mut out, hidden.as_bytes());
        assert!(out.starts_with(b"\\u"), "{hidden:?}");
        let quoted = format!("\"{}\"", String::from_utf8(out).unwrap());
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), hidden);
    }
    let mut out = Vec::new();
    escape_json(&mut out, "gr\u{fc}n \u{1f980}".as_bytes());
    assert_eq!(out, "gr\u{fc}n \u{1f980}".as_bytes());
}

#[test]
fn long_values_are_cut() {
    let long = vec![b'a'; ACCESS_LOG_VALUE_BYTES_MAX + 1];
    let exact = vec![b'a'; ACCESS_LOG_VALUE_BYTES_MAX];
    for escape in [escape_json, escape_text] {
        let mut out = Vec::new();
        escape(&mut out, &exact);
        assert_eq!(out, exact);
        out.clear();
        escape(&mut out, &long);
        assert_eq!(out, [&exact[..], b"..."].concat());
    }
}

#[test]
fn a_name_with_a_space_is_one_word() {
    let outcome = outcome();
    let line = AccessLine {
        route: Some("my route"),
        ..line(&outcome)
    };
    assert!(as_text(&line, Query::Redact).contains(" web my\\x20route service "));
}

#[test]
fn rfc3339_5_6_times() {
    let cases = [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_000, "2000-02-29T00:00:00.000Z"),
        (951_868_799_999, "2000-02-29T23:59:59.999Z"),
        (1_709_251_199_001, "2024-02-29T23:59:59.001Z"),
        (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
        (1_735_689_600_000, "2025-01-01T00:00:00.000Z"),
        (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ];
    for (millis, expected) in cases {
        let mut out = Vec::new();
        write_time(&mut out, UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_reused_buffer_is_not_grown_by_lines_of_the_same_length() {
    let outcome = outcome();
    let mut out = Vec::new();
    json(&mut out, &line(&outcome), Query::Redact);
    let (capacity, start) = (out.capacity(), out.as_ptr());
    for _ in 0..100 {
        out.clear();
        json(&mut out, &line(&outcome), Query::Redact);
    }
    assert_eq!((out.capacity(), out.as_ptr()), (capacity, start));
}
