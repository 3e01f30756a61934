//! `loadgen hist`, as it is called: on logs of a real run, on logs that other tools wrote, and on
//! damaged ones.
//!
//! `logs/java.hlog` and `logs/javascript.hlog` are from the HdrHistogram writers of Java (2.1.11)
//! and npm (hdr-histogram-js 3.0.1): three seconds, untagged and tagged `lag`, each with the values
//! 1000, 2000 … 1000000 times the number of the second.

mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Origin, Told, hist, run, scratch};
use serde_json::Value;

/// A folder for the files of one test.
fn folder(name: &str) -> PathBuf {
    let path = scratch(name);
    fs::create_dir_all(&path).expect("a folder");
    path
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("the file is there")
}

/// Runs `loadgen hist` on paths and options; it must succeed.
fn succeed(arguments: &[&str]) -> String {
    let Told { code, out, err } = hist(arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    out
}

/// The series of a recording as JSON: tag and, by interval, the count.
fn counts(json: &str) -> Vec<(String, Vec<u64>)> {
    let recording: Value = serde_json::from_str(json).expect("JSON");
    let series = recording["series"].as_array().expect("series");
    let counts = |series: &Value| {
        let intervals = series["intervals"].as_array().expect("intervals");
        let counts = intervals
            .iter()
            .filter_map(|interval| interval["count"].as_u64());
        let tag = series["tag"].as_str().unwrap_or_default();
        (tag.to_owned(), counts.collect())
    };
    series.iter().map(counts).collect()
}

#[test]
fn a_run_reads_the_same_in_every_format_it_was_written_in() {
    let origin = Origin::start(&["--delay", "1ms"]);
    let folder = folder("formats");
    let file = |name: &str| folder.join(name).display().to_string();
    let (json, hlog, hgrm) = (file("run.json"), file("run.hlog"), file("run.hgrm"));
    let options = [
        "--rate", "200", "-d", "3s", "--hlog", &hlog, "--hgrm", &hgrm,
    ];
    let measured = run(&origin.url("/"), &options);
    measured.assert_answered();
    fs::write(&json, measured.document().to_string()).expect("a file");

    let count = measured.count("requests/answered");
    for path in [&json, &hlog, &hgrm] {
        let out = succeed(&["show", path, "--units", "ns", "--percentiles", "50,99"]);
        let line = out.lines().nth(1).expect("a line for the series");
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words[at].parse::<f64>().expect("a number");
        assert_eq!(number(1), count as f64, "{path}: {out}");
        let p50 = measured.count("response_time/percentiles_ns/50") as f64;
        // A spectrum rounds up to its next row.
        let within = if path == &hgrm { 1.25 } else { 1.001 };
        assert!(
            (1.0..=within).contains(&(number(4) / p50)),
            "{path}: {p50} {out}"
        );
    }
    let out = succeed(&["show", &hlog, "--all-tags", "--plot"]);
    assert!(out.contains("untagged") && out.contains("uncorrected") && out.contains("send_lag"));
    assert!(out.contains('┤') && out.contains("99%"), "{out}");
}

#[test]
fn logs_of_other_tools_are_read() {
    for (name, began) in [("java", 1_500_000_000.0), ("javascript", 1_500_000_000.0)] {
        let log = format!("{}/tests/logs/{name}.hlog", env!("CARGO_MANIFEST_DIR"));
        let json = succeed(&["convert", &log, "-", "--format", "json"]);
        let expected = |tag: &str| (tag.to_owned(), vec![1_000; 3]);
        assert_eq!(counts(&json), [expected(""), expected("lag")], "{name}");
        let recording: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(recording["began_unix_seconds"], began, "{name}");
        let csv = succeed(&["convert", &log, "-", "--format", "csv", "--tag", "lag"]);
        let last = csv.lines().last().expect("a row");
        let fields: Vec<&str> = last.split(',').collect();
        assert_eq!(
            &fields[..4],
            ["lag", "2.000", "1.000", "1000"],
            "{name}: {csv}"
        );
        let median: f64 = fields[6].parse().expect("a number");
        assert!((median / 1_500_000.0 - 1.0).abs() < 0.002, "{name}: {csv}");
    }
}

#[test]
fn every_format_that_holds_everything_keeps_everything() {
    let folder = folder("round");
    let file = |name: &str| folder.join(name).display().to_string();
    let java = format!("{}/tests/logs/java.hlog", env!("CARGO_MANIFEST_DIR"));
    succeed(&["convert", &java, &file("one.json")]);
    succeed(&["convert", &file("one.json"), &file("two.hlog")]);
    succeed(&["convert", &file("two.hlog"), &file("three.json")]);
    assert_eq!(
        text(&folder.join("one.json")),
        text(&folder.join("three.json"))
    );
    let refused = hist(&[
        "convert",
        &java,
        &file("four.hgrm"),
        "--tag",
        "-",
        "--tag",
        "lag",
    ]);
    assert!(
        refused.code == 1 && refused.err.contains("--tag"),
        "{}",
        refused.err
    );
    succeed(&["convert", &java, &file("four.hgrm"), "--tag", "lag"]);
    assert!(text(&folder.join("four.hgrm")).contains("Total count    =         3000"));
}

#[test]
fn merged_logs_hold_the_sum_of_all() {
    let folder = folder("merge");
    let logs = ["java", "javascript"]
        .map(|name| format!("{}/tests/logs/{name}.hlog", env!("CARGO_MANIFEST_DIR")));
    let sum = folder.join("sum.json").display().to_string();
    succeed(&["merge", &logs[0], &logs[1], "-o", &sum]);
    let expected = |counts: &[u64]| {
        [
            (String::new(), counts.to_vec()),
            ("lag".into(), counts.to_vec()),
        ]
    };
    assert_eq!(counts(&text(Path::new(&sum))), expected(&[6_000]));
    succeed(&["merge", &logs[0], &logs[1], "-o", &sum, "--aligned"]);
    assert_eq!(counts(&text(Path::new(&sum))), expected(&[2_000; 3]));
    succeed(&[
        "merge",
        &logs[0],
        &logs[1],
        "-o",
        &sum,
        "--aligned",
        "--from",
        "1s",
        "--to",
        "2s",
    ]);
    assert_eq!(counts(&text(Path::new(&sum))), expected(&[2_000]));
}

#[test]
fn damage_is_told_with_file_and_line() {
    let folder = folder("damage");
    let java = format!("{}/tests/logs/java.hlog", env!("CARGO_MANIFEST_DIR"));
    let good = text(Path::new(&java));
    let path = folder.join("bad.hlog");
    let bad = path.display().to_string();
    let lines: Vec<&str> = good.lines().collect();
    let mut damaged = lines.clone();
    let short = &lines[6][..80];
    damaged[6] = short;
    fs::write(&path, damaged.join("\n") + "\n").expect("a file");
    let told = hist(&["show", &bad]);
    assert_eq!(told.code, 1);
    assert!(
        told.err.contains("bad.hlog: line 7: the histogram"),
        "{}",
        told.err
    );

    // What a killed program leaves.
    fs::write(
        &path,
        good.trim_end()
            .trim_end_matches('=')
            .split_at(good.len() - 30)
            .0,
    )
    .expect("a file");
    let told = hist(&["show", &bad, "--all-tags"]);
    assert_eq!(told.code, 0, "{}", told.err);
    assert!(told.err.contains("the last, is cut off"), "{}", told.err);
    assert!(
        told.out.contains(" 3000 ") && told.out.contains(" 2000 "),
        "{}",
        told.out
    );

    for (arguments, complaint) in [
        (&["show", "nowhere.hlog"][..], "nowhere.hlog: No such file"),
        (&["show", &java, "--tag", "x"], "it has: untagged, lag"),
        (&["show", &java, "--from", "9s"], "no interval lies whole"),
        (&["plot", &java, "-o", "x.pdf"], ".svg or a .html"),
        (&["convert", &java, "x"], "its extension is no format"),
    ] {
        let told = hist(arguments);
        assert!(
            told.code == 1 && told.err.contains(complaint),
            "{arguments:?}: {}",
            told.err
        );
    }
}

#[test]
fn pictures_hold_curves_times_and_events() {
    let folder = folder("plot");
    let file = |name: &str| folder.join(name).display().to_string();
    let java = format!("{}/tests/logs/java.hlog", env!("CARGO_MANIFEST_DIR"));
    fs::write(folder.join("events"), "# what happened\n2.5s=upgrade\n\n").expect("a file");
    let (page, events) = (file("page.html"), file("events"));
    let options = [
        "-o",
        &page,
        "--event",
        "1.5s=reload <1>",
        "--events",
        &events,
    ];
    succeed(&[&["plot", &java, "--tag", "-", "--tag", "lag"], &options[..]].concat());
    let html = text(Path::new(&page));
    // The curves of both, then heat and lines of each.
    assert_eq!(html.matches("<svg xmlns=").count(), 5);
    assert_eq!(html.matches(">reload &lt;1&gt;</text>").count(), 4);
    assert_eq!(html.matches(">upgrade</text>").count(), 4);
    for outside in ["<script", "src=", "href=", "url("] {
        assert!(!html.contains(outside), "the page needs {outside}");
    }
    for chart in ["percentiles", "heat", "time"] {
        let path = file(&format!("{chart}.svg"));
        succeed(&["plot", &java, "-o", &path, "--chart", chart]);
        let svg = text(Path::new(&path));
        assert!(
            svg.starts_with("<svg ") && svg.ends_with("</svg>\n"),
            "{chart}"
        );
        assert!(svg.contains("3000 samples"), "{chart}: {svg}");
    }
    fs::write(folder.join("events"), "2.5s=upgrade\nnonsense\n").expect("a file");
    let told = hist(&["plot", &java, "-o", &page, "--events", &events]);
    assert!(
        told.code == 1 && told.err.contains("events: line 2:"),
        "{}",
        told.err
    );
}

/// Writes a log of `count` seconds with 200 values around `nanos` each, a little different in
/// every second, as a spectrum that `merge` and `convert` turn into a log would not be.
fn log(folder: &Path, name: &str, count: usize, nanos: f64) -> String {
    let mut series = Vec::new();
    for second in 0..count {
        let rows: String = (1..=200)
            .map(|rank: u64| {
                let wander = 1.0 + 0.02 * ((second * 7 % 5) as f64 - 2.0);
                let value = nanos * wander * (0.8 + rank as f64 / 500.0) / 1e6;
                format!(" {value:.6} {:.6} {rank}\n", rank as f64 / 200.0)
            })
            .collect();
        let spectrum = folder.join(format!("{name}-{second}.hgrm"));
        fs::write(&spectrum, rows).expect("a file");
        let json = succeed(&[
            "convert",
            &spectrum.display().to_string(),
            "-",
            "--format",
            "json",
        ]);
        let recording: Value = serde_json::from_str(&json).expect("JSON");
        let mut interval = recording["series"][0]["intervals"][0].clone();
        interval["start_seconds"] = second.into();
        interval["length_seconds"] = 1.into();
        series.push(interval);
    }
    let recording = serde_json::json!({
        "schema": 1, "began_unix_seconds": null, "series": [{"tag": null, "intervals": series}],
    });
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, recording.to_string()).expect("a file");
    path.display().to_string()
}

#[test]
fn a_difference_is_told_only_where_there_is_one() {
    let folder = folder("diff");
    let before = log(&folder, "before", 20, 1e6);
    let slower = log(&folder, "slower", 20, 1.1e6);
    let same = hist(&["diff", &before, &before, "--fail-if-worse"]);
    assert_eq!(same.code, 0, "{}", same.out);
    assert_eq!(
        same.out.matches("no significant difference").count(),
        4,
        "{}",
        same.out
    );
    assert_eq!(
        same.out.matches("too few samples").count(),
        1,
        "{}",
        same.out
    );

    let svg = folder.join("diff.svg").display().to_string();
    let worse = hist(&["diff", &before, &slower, "--fail-if-worse", "--svg", &svg]);
    assert_eq!(worse.code, 2, "{}", worse.out);
    assert_eq!(
        worse
            .out
            .lines()
            .filter(|line| line.ends_with("  worse"))
            .count(),
        4
    );
    assert!(
        text(Path::new(&svg)).contains("p99, worse"),
        "{}",
        worse.out
    );
    let tolerated = [
        "diff",
        &before,
        &slower,
        "--fail-if-worse",
        "--tolerate",
        "15%",
    ];
    assert_eq!(hist(&tolerated).code, 0);
    let better = hist(&["diff", &slower, &before, "--fail-if-worse"]);
    assert_eq!(better.code, 0);
    assert_eq!(
        better
            .out
            .lines()
            .filter(|line| line.ends_with("  better"))
            .count(),
        4
    );
    assert_eq!(
        hist(&["diff", &before, &slower]).out,
        hist(&["diff", &before, &slower]).out
    );
}

#[test]
fn several_runs_a_side_are_the_observations() {
    let folder = folder("runs");
    let side = |name: &str, nanos: [f64; 3]| {
        let runs = nanos.iter().enumerate();
        let paths = runs.map(|(at, nanos)| log(&folder, &format!("{name}{at}"), 2, *nanos));
        paths.collect::<Vec<_>>().join(",")
    };
    let a = side("a", [1.00e6, 1.01e6, 0.99e6]);
    let b = side("b", [1.21e6, 1.19e6, 1.20e6]);
    let told = hist(&[
        "diff",
        "--a",
        &a,
        "--b",
        &b,
        "--percentiles",
        "50,90",
        "--fail-if-worse",
    ]);
    assert_eq!(told.code, 2, "{}{}", told.out, told.err);
    assert!(
        told.out.contains("in 3 runs") && told.out.contains("Welch"),
        "{}",
        told.out
    );
    let one = b.split(',').next().expect("a path");
    let told = hist(&["diff", "--a", &a, "--b", one]);
    assert!(
        told.code == 1 && told.err.contains("several with several"),
        "{}",
        told.err
    );
}
