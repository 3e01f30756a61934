//! Step 9: what happened is told truly, in every format that others read.

use std::fs;

use serde_json::Value;

use crate::harness::{Origin, Proxy, Setup, ports, proxy, python, scratch::Scratch, wait};

/// A proxy with an access log in `format`, in its own folder.
fn logging(origin: &Origin, format: &str) -> Proxy {
    let log = format!("path = \"access.log\", format = \"{format}\", flush = \"50ms\"");
    Proxy::start(&Setup::to(origin.address()).top(&format!("access_log = {{ {log} }}")))
}

/// The log's lines, when there are `count` of them.
fn lines(proxy: &Proxy, count: usize) -> Vec<String> {
    wait::until("the access log", || {
        let text = fs::read_to_string(proxy.file("access.log")).ok()?;
        let whole = text.ends_with('\n') && text.lines().count() >= count;
        whole.then(|| text.lines().map(str::to_owned).collect())
    })
}

#[test]
fn the_bytes_of_a_refused_head_are_counted_however_they_arrive() {
    let bad = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n";
    for piece in [bad.len(), bad.len() - 1] {
        let proxy = Proxy::to(Origin::echoing_targets().address());
        let mut client = proxy.connect();
        client.send_in_pieces(bad.as_bytes(), piece);
        assert_eq!(client.response().status(), 400);
        let counted = || proxy.metric("weft_listener_received_bytes_total", "");
        wait::for_("the refusal to be recorded", || counted() > 0.0);
        assert_eq!(counted(), bad.len() as f64, "in pieces of {piece}");
    }
}

#[test]
fn access_log_as_json() {
    let origin = Origin::echoing_targets();
    let proxy = logging(&origin, "json");
    let request = "GET /a/../b?token=secret HTTP/1.1\r\nHost: Shop.example\r\n\
        User-Agent: \"quoted\" \\ \u{e9}\r\n\r\n";
    let response = proxy.connect().exchange(request);
    let id = response.field("X-Request-Id").map(str::to_owned);
    proxy.connect().send("BAD\r\n\r\n").rest();
    let lines = lines(&proxy, 2);
    let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    for (key, value) in [
        ("listener", "main"),
        ("route", "all"),
        ("cluster", "origin"),
        ("method", "GET"),
        ("flags", "-"),
        ("endpoint", &origin.address().to_string()),
    ] {
        assert_eq!(line[key].as_str(), Some(value), "{key} in {line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["attempts"], 1);
    assert_eq!(line["request_id"].as_str().map(str::to_owned), id);
    assert!(
        line["user_agent"]
            .as_str()
            .is_some_and(|agent| agent.contains("\"quoted\" \\"))
    );
    assert!(
        line["path"]
            .as_str()
            .is_some_and(|path| path.starts_with("/b")),
        "{line}"
    );
    assert!(
        !lines[0].contains("secret"),
        "queries are where secrets travel: {line}"
    );
    for phase in [
        "total_us",
        "added_us",
        "pick_us",
        "connect_us",
        "send_us",
        "first_byte_us",
    ] {
        assert!(line[phase].is_number(), "{phase} in {line}");
    }
    let sum = line["pick_us"].as_f64().zip(line["total_us"].as_f64());
    assert!(sum.is_some_and(|(part, total)| part <= total), "{line}");
    let refused: Value = serde_json::from_str(&lines[1]).expect("JSON");
    assert_eq!(refused["status"], 400);
    assert_eq!(refused["flags"], "DPE");
}

#[test]
fn access_log_as_text() {
    let origin = Origin::echoing_targets();
    let proxy = logging(&origin, "text");
    let request = "GET /t HTTP/1.1\r\nHost: a\r\nUser-Agent: x \"y\" \x7f\r\n\r\n";
    proxy
        .connect()
        .send(request.replace('\x7f', "z"))
        .finish()
        .rest();
    let line = lines(&proxy, 1).remove(0);
    let words: Vec<&str> = line.split(' ').collect();
    assert!(
        words[0].ends_with('Z') && words[0].contains('T'),
        "a time first: {line}"
    );
    assert_eq!(&words[3..6], ["main", "all", "origin"], "{line}");
    assert!(line.contains(" \"GET a /t\" 200 - "), "{line}");
    assert_eq!(
        line.matches('"').count() % 2,
        0,
        "quotes are balanced: {line}"
    );
}

#[test]
fn an_access_log_loses_nothing_at_the_end() {
    let origin = Origin::echoing_targets();
    let log = "access_log = { path = \"access.log\", flush = \"1h\" }";
    let mut proxy = Proxy::start(&Setup::to(origin.address()).top(log));
    let mut client = proxy.connect();
    for _ in 0..100 {
        client.get("/");
    }
    drop(client);
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(lines(&proxy, 100).len(), 100);
}

#[test]
fn metrics_are_read_by_the_prometheus_parser() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    for _ in 0..7 {
        proxy.get("/");
    }
    proxy
        .connect()
        .exchange("GET / HTTP/1.1\r\nHost: a\r\nBad Name: b\r\n\r\n");
    proxy.expect_count("weft_listener_requests_total", "", 8);
    let path = proxy.file("metrics.txt");
    fs::write(&path, proxy.admin("/metrics").body).expect("a file");
    let read = python::run("read_metrics.py", &[&path.to_string_lossy()]);
    let read: Value = serde_json::from_str(&read).expect("JSON");
    assert_eq!(read["weft_listener_requests_total"]["2xx"], 7.0, "{read}");
    assert_eq!(read["weft_listener_requests_total"]["4xx"], 1.0, "{read}");
    assert_eq!(read["weft_cluster_requests_total"]["2xx"], 7.0, "{read}");
    assert_eq!(
        read["histogram_counts"]["weft_route_duration_seconds"]["total"], 7.0,
        "{read}"
    );
}

#[test]
fn histograms_are_read_by_the_hdrhistogram_reader() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    for _ in 0..50 {
        proxy.get("/");
    }
    proxy.expect_count("weft_listener_requests_total", "", 50);
    let path = proxy.file("weft.hlog");
    fs::write(&path, proxy.admin("/histograms?format=hlog").body).expect("a file");
    let read = python::run("read_hlog.py", &[&path.to_string_lossy()]);
    let read: Value = serde_json::from_str(&read).expect("JSON");
    let count = |tag: &str| {
        let series = &read[tag];
        assert!(
            series["max"]
                .as_u64()
                .is_some_and(|max| max < 60_000_000_000),
            "{tag}: {read}"
        );
        series["count"].as_u64()
    };
    for phase in ["total", "added", "pick", "send", "first_byte", "body"] {
        assert_eq!(
            count(&format!("listener.main.{phase}")),
            Some(50),
            "{phase}"
        );
    }
    assert_eq!(
        count("listener.main.connect"),
        Some(1),
        "one connection for all"
    );
    for owner in ["route.main.all", "cluster.origin"] {
        assert_eq!(count(&format!("{owner}.total")), Some(50), "{owner}");
        assert_eq!(count(&format!("{owner}.added")), Some(50), "{owner}");
    }
}

#[test]
fn histograms_as_a_percentile_spectrum_and_as_json() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    for _ in 0..50 {
        proxy.get("/");
    }
    proxy.expect_count("weft_listener_requests_total", "", 50);
    let text = proxy.admin("/histograms?format=hgrm&phase=total").text();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            line.split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect()
        })
        .filter(|row: &Vec<f64>| row.len() >= 3)
        .collect();
    assert!(rows.len() > 5, "{text}");
    assert!(
        rows.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1] && a[2] <= b[2]),
        "{text}"
    );
    assert_eq!(rows.last().map(|row| row[2]), Some(50.0), "{text}");
    assert!(
        text.contains("#[Max") && text.contains("Total count"),
        "{text}"
    );
    assert!(
        proxy
            .admin_json("/histograms?format=json")
            .to_string()
            .contains("\"p99\"")
    );
    assert_eq!(proxy.admin("/histograms?format=pdf").status(), 400);
    assert_eq!(proxy.admin("/histograms?route=nobody").status(), 400);
}

#[test]
fn the_periodic_dump_holds_every_exchange_once() {
    let origin = Origin::echoing_targets();
    let dump = "histograms = { dump = { path = \"weft.hlog\", interval = \"200ms\" } }";
    let mut proxy = Proxy::start(&Setup::to(origin.address()).top(dump));
    let mut sent = 0;
    wait::for_("three intervals", || {
        proxy.get("/");
        sent += 1;
        let text = fs::read_to_string(proxy.file("weft.hlog")).unwrap_or_default();
        let starts = text.lines().filter(|line| line.contains("HISTFAAA"));
        let start = |line: &str| line.split(',').nth(1).map(str::to_owned);
        starts
            .filter_map(start)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
            >= 3
    });
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    let read = python::run(
        "read_hlog.py",
        &[&proxy.file("weft.hlog").to_string_lossy()],
    );
    let read: Value = serde_json::from_str(&read).expect("JSON");
    let mut tags = read.as_object().expect("tags").iter();
    let total = tags.find(|(tag, _)| tag.contains("listener") && tag.ends_with("total"));
    let (tag, series) = total.expect("the listener's total");
    assert_eq!(series["count"], sent, "{tag} over all intervals");
}

#[test]
fn admin_pages_tell_what_is_there() {
    let origin = Origin::echoing_targets();
    let proxy = Proxy::to(origin.address());
    proxy.get("/");
    proxy.expect_count("weft_listener_requests_total", "", 1);
    assert_eq!(proxy.admin("/livez").status(), 200);
    assert_eq!(proxy.admin("/readyz").status(), 200);
    assert_eq!(proxy.admin("/nothing").status(), 404);
    let stats = proxy.admin("/stats").text();
    assert!(
        stats.contains("listener.main.") && stats.contains("cluster.origin."),
        "{stats}"
    );
    let clusters = proxy.admin_json("/clusters");
    assert_eq!(clusters[0]["name"], "origin");
    assert_eq!(clusters[0]["requests"]["total"], 1, "{clusters}");
    let listeners = proxy.admin_json("/listeners");
    assert_eq!(listeners[0]["address"], proxy.address().to_string());
    let dump = proxy.admin_json("/config_dump").to_string();
    assert!(dump.contains(&origin.address().to_string()), "{dump}");
    // A page in a browser reaches loopback too.
    let rebound = "GET /stats HTTP/1.1\r\nHost: rebound.example\r\n\r\n";
    let mut browser = crate::harness::Client::connect(proxy.admin_address());
    assert_eq!(browser.exchange(rebound).status(), 403);
}

#[test]
fn a_full_disk_costs_lines_not_service() {
    let origin = Origin::echoing_targets();
    // A device on which every write fails for want of space.
    let log = "access_log = { path = \"/dev/full\", flush = \"20ms\" }\n\
        histograms = { dump = { path = \"/dev/full\", interval = \"50ms\" } }";
    let mut proxy = Proxy::start(&Setup::to(origin.address()).top(log));
    wait::for_("dropped lines to be counted", || {
        assert_eq!(proxy.get("/").status(), 200);
        proxy.metric("weft_access_log_dropped_lines_total", "") > 0.0
    });
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn a_log_that_cannot_be_opened_refuses_the_start() {
    let log = "access_log = { path = \"nowhere/a.log\" }\n\
        histograms = { dump = { path = \"nowhere/a.hlog\" } }";
    let config = Setup::to(ports::free()).top(log);
    let scratch = Scratch::new();
    let config = config.render(ports::free(), ports::free());
    let file = scratch.write("weft.toml", &config);
    let mut command = proxy::weft();
    command
        .arg("--config")
        .arg(file)
        .current_dir(scratch.file(""));
    let ended = proxy::output(&mut command);
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{told}");
    for field in ["access_log.path", "histograms.dump.path"] {
        let line = told.lines().find(|line| line.contains(field));
        let line = line.unwrap_or_else(|| panic!("{field} is not told: {told}"));
        assert!(line.contains("cannot be opened: No such file"), "{line}");
    }
}
