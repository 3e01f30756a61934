//! `loadgen replay` with logs that the servers themselves wrote: what is sent again is what came.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::harness::{
    Origin, Proxy, Setup,
    nginx::Nginx,
    proxy::{loadgen, output},
    wait,
};

/// Replays a log ten times as fast, by one connection; what it wrote as JSON.
fn replay(log: &Path, url: &str) -> Value {
    let mut command = loadgen();
    command.arg("replay").arg(log).arg(url);
    command.args(["--speed", "10x", "-c", "1", "--json", "-"]);
    let ended = output(&mut command);
    let text = String::from_utf8_lossy(&ended.stderr);
    // 3 says that this machine was too slow to measure, which is no fault of either program.
    assert!(
        matches!(ended.status.code(), Some(0 | 3)),
        "{}{text}",
        ended.status
    );
    serde_json::from_slice(&ended.stdout).expect("JSON")
}

/// A log's lines, when there are `count` of them.
fn lines(log: &Path, count: usize) -> Vec<String> {
    wait::until("the access log", || {
        let text = fs::read_to_string(log).ok()?;
        let is_whole = text.ends_with('\n') && text.lines().count() >= count;
        is_whole.then(|| text.lines().map(str::to_owned).collect())
    })
}

#[test]
fn a_log_of_nginx() {
    let nginx = Nginx::start("access_log access.log combined;");
    nginx.scratch().write("a.txt", "content");
    let mut client = crate::harness::Client::connect(nginx.address());
    for path in ["/a.txt?x=1", "/missing", "/a.txt", "/a.txt?x=1", "/missing"] {
        client.get(path);
    }
    let log = nginx.scratch().file("access.log");
    let first = lines(&log, 5);
    // A copy: while it is replayed, nginx goes on writing its own.
    let copy = nginx
        .scratch()
        .write("copy.log", &(first.join("\n") + "\n"));
    let result = replay(&copy, &format!("http://{}/", nginx.address()));
    assert_eq!(result["requests"]["answered"], 5, "{result:#}");
    assert_eq!(result["statuses"]["404"], 2);
    // Request and status of each line, which no other part of it may change.
    let asked = |line: &String| -> Vec<String> {
        let mut parts = line.split('"').skip(1);
        let request = parts.next().unwrap_or_default();
        let status = parts.next().unwrap_or_default().split_whitespace().next();
        vec![request.to_owned(), status.unwrap_or_default().to_owned()]
    };
    let all = lines(&log, 10);
    let [before, after] =
        [&all[..5], &all[5..]].map(|part| part.iter().map(asked).collect::<Vec<_>>());
    assert_eq!(before, after);
}

#[test]
fn logs_of_weft() {
    for format in ["json", "text"] {
        let origin = Origin::answering("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
        let log = format!("path = \"access.log\", format = \"{format}\", flush = \"50ms\"");
        let setup = Setup::to(origin.address()).top(&format!("access_log = {{ {log} }}"));
        let proxy = Proxy::start(&setup);
        let mut client = proxy.connect();
        let content = "x".repeat(3_000);
        client.exchange("GET /a?token=secret HTTP/1.1\r\nHost: h\r\n\r\n");
        client.exchange(format!(
            "POST /b HTTP/1.1\r\nHost: h\r\nX-Padding: {}\r\nContent-Length: 3000\r\n\r\n{content}",
            "p".repeat(200)
        ));
        let log = proxy.file("access.log");
        let first = lines(&log, 2);
        let copy = proxy.file("copy.log");
        fs::write(&copy, first.join("\n") + "\n").expect("a file");
        let result = replay(&copy, &format!("http://{}/", proxy.address()));
        assert_eq!(result["requests"]["answered"], 2, "{result:#}");
        let requests = origin.requests();
        let targets: Vec<_> = requests.iter().map(|request| request.target()).collect();
        assert_eq!(targets, ["/a?token=secret", "/b", "/a", "/b"], "{format}");
        // The log keeps secrets; the size of the whole request is as it was.
        let sizes = sizes_of_posts(&lines(&log, 4), format);
        assert_eq!(
            sizes.values().copied().collect::<Vec<u64>>(),
            [2],
            "{sizes:?}"
        );
    }
}

/// How many POST requests had each size, head and content.
fn sizes_of_posts(lines: &[String], format: &str) -> BTreeMap<u64, u64> {
    let mut sizes = BTreeMap::new();
    for line in lines.iter().filter(|line| line.contains("POST")) {
        let size = match format {
            "json" => serde_json::from_str::<Value>(line).expect("JSON")["received_bytes"].as_u64(),
            _ => line
                .split('"')
                .nth(2)
                .and_then(|after| after.split_whitespace().nth(3)?.parse().ok()),
        };
        *sizes.entry(size.expect("a size")).or_default() += 1;
    }
    sizes
}
