//! `loadgen replay`: is what a log recorded sent again, when it was, and as large as it was?

mod harness;

use std::path::PathBuf;
use std::process::Command;

use harness::recorder::Recorder;
use harness::{Measured, Origin, scratch};

fn log(name: &str, lines: &[String]) -> PathBuf {
    let path = scratch(name);
    std::fs::write(&path, lines.concat()).expect("a file");
    path
}

fn replay(log: &std::path::Path, url: &str, options: &[&str]) -> Measured {
    let output = Command::new(env!("CARGO_BIN_EXE_loadgen"))
        .arg("replay")
        .arg(log)
        .args([url, "--json", "-"])
        .args(options)
        .output();
    Measured::from(output.expect("the generator starts"))
}

/// A line of weft's JSON log: ended at `end` milliseconds after some instant, took `took`.
fn json(end: u32, took: u32, rest: &str) -> String {
    let (seconds, millis, micros) = (end / 1_000, end % 1_000, took * 1_000);
    format!(
        "{{\"time\":\"2026-11-23T01:43:{seconds:02}.{millis:03}Z\",\"total_us\":{micros}.0,{rest}}}\n"
    )
}

#[test]
fn requests_are_sent_as_they_were_logged() {
    let recorder = Recorder::start();
    let get = |path: &str| {
        format!(r#""method":"GET","authority":"a.example","path":"{path}","status":200"#)
    };
    let post = r#""method":"POST","authority":"a.example","path":"/up","status":200,"received_bytes":5000"#;
    // Began in the order c, b, a.
    let lines = [
        json(1_000, 0, &get("/b?x=1")),
        json(1_500, 0, post),
        json(1_600, 1_000, &get("/c")),
        "no line\n".into(),
    ];
    let file = log("sent.log", &lines);
    let options = ["--keep-host", "--bad-lines", "30%", "-c", "1"];
    let measured = replay(&file, &recorder.url("/"), &options);
    measured.assert_answered();
    let asked = recorder.asked();
    let targets: Vec<_> = asked.iter().map(|asked| asked.target()).collect();
    assert_eq!(targets, [("GET", "/c"), ("GET", "/b?x=1"), ("POST", "/up")]);
    assert!(
        asked
            .iter()
            .all(|asked| asked.fields.contains(&"Host: a.example".into()))
    );
    let last = &asked[2];
    let fields: usize = last.fields.iter().map(|field| field.len() + 2).sum();
    let whole = last.line.len() + 2 + fields + 2 + last.content.len();
    assert_eq!(whole, 5_000, "head and content are as long as they were");
    // The last was due 900 ms after the first.
    assert_eq!(measured.get("run/duration_seconds"), 0.901);
    assert_eq!(measured.get("run/schedule"), "the recorded pace");
    assert!(
        measured.complaint.contains("line 4: it is neither"),
        "{}",
        measured.complaint
    );
    let names: Vec<_> = measured
        .get("entries")
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| (entry["name"].as_str(), entry["due"].as_u64()))
        .collect();
    assert_eq!(names, [(Some("GET"), Some(2)), (Some("POST"), Some(1))]);
}

/// A hundred requests over two seconds, every tenth answered by 404, as nginx would log them.
fn combined() -> Vec<String> {
    let line = |number: u32| {
        let (second, status) = (
            10 + number / 50,
            if number.is_multiple_of(10) { 404 } else { 200 },
        );
        format!(
            "127.0.0.1 - - [10/Oct/2000:13:55:{second} -0700] \"GET /{number}?status={status} \
             HTTP/1.1\" {status} 5 \"-\" \"x\"\n"
        )
    };
    (0..100).map(line).collect()
}

#[test]
fn the_pace_is_that_of_the_log_or_any_other() {
    let origin = Origin::start(&[]);
    let file = log("pace.log", &combined());
    let url = origin.url("/");
    let recorded = replay(&file, &url, &["-t", "2"]);
    recorded.assert_answered();
    assert_eq!(recorded.count("requests/due"), 100);
    assert_eq!(recorded.get("run/duration_seconds"), 1.981);
    assert_eq!(recorded.count("statuses/404"), 10);
    for (options, duration) in [
        (&["--speed", "4x"][..], 0.496),
        (&["--rate", "200"], 0.496),
        (&["--rate", "200", "--arrivals", "burst:50"], 0.251),
    ] {
        let measured = replay(&file, &url, options);
        measured.assert_answered();
        assert_eq!(measured.count("requests/due"), 100, "{options:?}");
        assert_eq!(
            measured.get("run/duration_seconds"),
            duration,
            "{options:?}"
        );
    }
    let part = replay(&file, &url, &["-d", "1s", "--warmup", "500ms"]);
    part.assert_answered();
    assert_eq!(part.count("requests/due"), 50);
}

#[test]
fn the_logged_status_is_expected_unless_told_otherwise() {
    let origin = Origin::start(&[]);
    let moved: Vec<String> = combined()
        .iter()
        .map(|line| line.replace("?status=404", "?status=410"))
        .collect();
    let file = log("moved.log", &moved);
    let (url, fast) = (origin.url("/"), ["--speed", "10x"]);
    let strict = replay(&file, &url, &fast);
    assert_eq!((strict.code, strict.count("errors/status")), (2, 10));
    replay(&file, &url, &[&fast[..], &["--expect", "any"]].concat()).assert_answered();
    let only = replay(&file, &url, &[&fast[..], &["--expect", "2xx"]].concat());
    assert_eq!((only.code, only.count("errors/status")), (2, 10));
}

#[test]
fn a_log_that_is_none_is_an_error() {
    let origin = Origin::start(&[]);
    let url = origin.url("/");
    let check = |name: &str, lines: &[String], complaint: &str| {
        let measured = replay(&log(name, lines), &url, &["--quiet"]);
        assert_eq!(measured.code, 1, "{name}");
        assert!(
            measured.complaint.contains(complaint),
            "{}",
            measured.complaint
        );
    };
    check("empty.log", &[], "no request to send");
    let mut bad = combined();
    bad.extend(["x\n".into(), "y\n".into()]);
    check("bad.log", &bad, "2 of 102 lines");
    let missing = replay(&scratch("missing.log"), &url, &[]);
    assert!(missing.code == 1 && missing.complaint.contains("cannot read"));
    let late = replay(&log("late.log", &combined()), &url, &["--warmup", "1m"]);
    assert!(
        late.code == 1 && late.complaint.contains("--warmup"),
        "{}",
        late.complaint
    );
}
