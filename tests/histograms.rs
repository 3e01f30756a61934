//! `loadgen hist` against the writers and readers of others: weft itself, and HdrHistogram of PyPI.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{
    Origin, Proxy,
    proxy::{loadgen, output},
    python,
    scratch::Scratch,
};

/// What `loadgen hist` prints for these arguments.
fn hist(arguments: &[&str]) -> String {
    let ended = output(loadgen().arg("hist").args(arguments));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&ended.stdout), text(&ended.stderr));
    assert!(ended.status.success(), "{arguments:?}: {out}{err}");
    out
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn what_python_writes_is_read_and_what_we_write_is_read_by_python() {
    let scratch = Scratch::new();
    let (theirs, ours) = (path(&scratch.file("a.hlog")), path(&scratch.file("b.hlog")));
    python::run("write_hlog.py", &[&theirs]);
    let json = hist(&["convert", &theirs, "-", "--format", "json"]);
    let recording: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(recording["began_unix_seconds"], 1_500_000_000.5);
    let intervals = &recording["series"][0]["intervals"];
    for (second, interval) in [(0, &intervals[0]), (1, &intervals[1])] {
        assert_eq!(interval["count"], 1_000, "{json}");
        assert_eq!(interval["start_seconds"].as_f64(), Some(f64::from(second)));
    }
    let shown = hist(&["show", &theirs, "--units", "us", "--percentiles", "50"]);
    assert!(shown.contains("2000") && shown.contains(" 667 "), "{shown}");

    hist(&["merge", &theirs, &theirs, "-o", &ours, "--aligned"]);
    let read = python::run("read_hlog.py", &[&ours]);
    let read: Value = serde_json::from_str(&read).expect("JSON");
    assert_eq!(read[""]["count"], 4_000, "{read}");
    assert_eq!(read[""]["intervals"], 2, "{read}");
    let max = read[""]["max"].as_f64().expect("a number");
    assert!((max / 2_000_000.0 - 1.0).abs() < 0.001, "{read}");
}

#[test]
fn the_histograms_of_the_admin_endpoint_are_read() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    for _ in 0..50 {
        proxy.get("/");
    }
    proxy.expect_count("weft_listener_requests_total", "", 50);
    let scratch = Scratch::new();
    for format in ["hlog", "hgrm"] {
        let file = scratch.file(&format!("weft.{format}"));
        let page = proxy.admin(&format!("/histograms?format={format}&phase=total"));
        fs::write(&file, page.body).expect("a file");
        let shown = hist(&["show", &path(&file)]);
        assert!(shown.contains(" 50 "), "{format}: {shown}");
    }
    let page = proxy.admin("/histograms?format=hlog");
    let file = scratch.file("all.hlog");
    fs::write(&file, page.body).expect("a file");
    let shown = hist(&["show", &path(&file), "--all-tags"]);
    for tag in ["listener.main.total", "cluster.origin.added"] {
        assert!(shown.contains(tag), "{shown}");
    }
}
