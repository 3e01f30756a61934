//! The load generator against the proxy: the two commands of the README, and what they write.

use std::{fs, process::Output};

use serde_json::Value;

use crate::harness::{
    Client, Origin, Proxy, Setup,
    nginx::Nginx,
    node,
    proxy::{loadgen, output},
    python,
    running::Running,
    scratch::Scratch,
};

/// A short run; what it wrote as JSON. Exit code 3 says that this machine was too slow to measure,
/// which is no fault of either program; wrong answers would be 2.
fn run(url: &str, arguments: &[&str], scratch: &Scratch) -> Value {
    let json = scratch.file("run.json");
    let mut command = loadgen();
    command
        .args([
            "run",
            url,
            "--duration",
            "1s",
            "--connections",
            "8",
            "--json",
        ])
        .arg(&json);
    let ended = output(command.args(arguments));
    assert!(
        matches!(ended.status.code(), Some(0 | 3)),
        "{}",
        told(&ended)
    );
    let text = fs::read_to_string(json).expect("the result");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!(
        "{}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    )
}

#[test]
fn closed_loop_through_the_proxy_to_nginx() {
    let nginx = Nginx::start("");
    nginx.scratch().write("1k.txt", &"a".repeat(1024));
    let proxy = Proxy::to(nginx.address());
    let scratch = Scratch::new();
    let url = format!("http://{}/1k.txt", proxy.address());
    run(&url, &["--expect-length", "1024"], &scratch);
    let answered = proxy.metric("weft_listener_requests_total", "");
    assert!(answered > 100.0, "{answered} requests in a second");
}

#[test]
fn open_loop_with_dumps_that_others_read() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    let scratch = Scratch::new();
    let (hlog, hgrm) = (scratch.file("run.hlog"), scratch.file("run.hgrm"));
    let (hlog_path, hgrm_path) = (hlog.to_string_lossy(), hgrm.to_string_lossy());
    let url = format!("http://{}/open", proxy.address());
    let measured = run(
        &url,
        &["--rate", "200", "--hlog", &hlog_path, "--hgrm", &hgrm_path],
        &scratch,
    );
    for read in [
        python::run("read_hlog.py", &[&hlog_path]),
        node::run("read_hlog.js", &[&hlog_path]),
    ] {
        let read: Value = serde_json::from_str(&read).expect("JSON");
        // Untagged is the response time from when a request was due; all that were due are in it.
        for (tag, series) in [
            ("", "response_time"),
            ("uncorrected", "service_time"),
            ("send_lag", "send_lag"),
        ] {
            let (theirs, ours) = (&read[tag], &measured[series]);
            assert_eq!(theirs["count"], 200, "{series}: {read}");
            // One names the last value that counts as the same, the other the first.
            let max = |found: &Value| found.as_f64().expect("a number");
            let (their_max, our_max) = (max(&theirs["max"]), max(&ours["max_ns"]));
            assert!(
                (their_max - our_max).abs() <= our_max / 1e3,
                "{series}: {read}"
            );
            for percentile in ["50", "90", "99", "99.9"] {
                let (theirs, ours) = (&theirs["percentiles"], &ours["percentiles_ns"]);
                assert_eq!(theirs[percentile], ours[percentile], "{series}: {read}");
            }
        }
    }
    let picture = scratch.file("run.png");
    let read = python::run("plot_hgrm.py", &[&hgrm_path, &picture.to_string_lossy()]);
    let read: Value = serde_json::from_str(&read).expect("JSON");
    assert!(read["rows"].as_u64() > Some(10), "{read}");
    assert_eq!(read["count"], 200, "{read}");
    for (theirs, ours) in [
        (
            &read["median"],
            &measured["response_time"]["percentiles_ns"]["50"],
        ),
        (&read["max"], &measured["response_time"]["max_ns"]),
    ] {
        let (theirs, ours) = (theirs.as_f64(), ours.as_f64());
        let (theirs, ours) = theirs.zip(ours).expect("numbers");
        assert!((theirs * 1e6 - ours).abs() <= 1.0, "{theirs} ms, {ours} ns");
    }
    let picture = fs::read(picture).expect("a picture");
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000);
}

#[test]
fn wrong_answers_are_not_fast_answers() {
    let origin = Origin::answering("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
    let proxy = Proxy::to(origin.address());
    let url = format!("http://{}/", proxy.address());
    let ended = output(loadgen().args(["run", &url, "--duration", "200ms"]));
    assert_eq!(ended.status.code(), Some(2), "{}", told(&ended));
}

#[test]
fn its_origin_behind_the_proxy() {
    let address = crate::harness::ports::free();
    let mut command = loadgen();
    command.args([
        "origin",
        "--body-size",
        "10KiB",
        "--listen",
        &address.to_string(),
    ]);
    let _origin = Running::start(&mut command);
    crate::harness::wait::for_("the origin", || Client::try_connect(address).is_ok());
    let setup = Setup::to(address).listener("limits.requests_per_connection = \"unlimited\"");
    let proxy = Proxy::start(&setup);
    assert_eq!(proxy.get("/").body.len(), 10 << 10);
    let scratch = Scratch::new();
    let url = format!("http://{}/?chunked=1", proxy.address());
    run(&url, &["--expect-length", "10KiB"], &scratch);
}
