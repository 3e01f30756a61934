//! Log files that are renamed, moved, changed and turned off while requests go on.

use std::{
    fs,
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Client, Origin, Proxy, Setup, ports, python, wait};

use super::{accept, reload, start, text};

const CLIENTS: usize = 4;

fn logging(setup: &Setup, path: &str, more: &str) -> Setup {
    let log = format!("access_log = {{ path = \"{path}\", flush = \"20ms\"{more} }}");
    setup.clone().top(&log)
}

/// The lines of a file, which all end.
fn lines(proxy: &Proxy, name: &str) -> Vec<String> {
    let text = fs::read_to_string(proxy.file(name)).unwrap_or_default();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "{name} ends within a line"
    );
    text.lines().map(str::to_owned).collect()
}

/// Says that it is over when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends requests over some connections while `act` acts; gives how many were answered.
fn under_load(proxy: &Proxy, act: impl FnOnce()) -> usize {
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (over, answered) = (&over, &answered);
            scope.spawn(move || {
                let mut client = proxy.connect();
                while !over.load(Ordering::Relaxed) {
                    let sent = answered.fetch_add(1, Ordering::Relaxed);
                    let response = client.get(&format!("/{number}/{sent}"));
                    assert_eq!(response.status(), 200);
                    if response.field("Connection") == Some("close") {
                        client = proxy.connect();
                    }
                }
            });
        }
        // Also when `act` fails: nobody would wait for the clients to end otherwise.
        let _end = End(&over);
        act();
    });
    answered.into_inner()
}

/// Stops the proxy, so that every line is where it belongs, and gives the paths in these files.
fn paths(proxy: &mut Proxy, names: &[String]) -> Vec<String> {
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    let all = names.iter().flat_map(|name| lines(proxy, name));
    let path = |line: String| match serde_json::from_str::<Value>(&line) {
        Ok(line) => line["path"].as_str().expect("a path").to_owned(),
        Err(_) => line,
    };
    all.map(path).collect()
}

fn assert_each_once(mut paths: Vec<String>, answered: usize) {
    assert_eq!(paths.len(), answered, "lines");
    paths.sort();
    paths.dedup();
    assert_eq!(paths.len(), answered, "a line twice");
}

#[test]
fn a_log_that_is_renamed_under_load_loses_no_line() {
    let origin = Origin::echoing_targets();
    let mut proxy = start(&logging(
        &Setup::to(origin.address()).shards(2),
        "access.log",
        "",
    ));
    let mut names = vec!["access.log".to_owned()];
    let exists = |proxy: &Proxy, name: &str| proxy.file(name).exists();
    let answered = under_load(&proxy, || {
        for round in 0..6 {
            wait::for_("the log to be there", || {
                !lines_so_far(&proxy, "access.log").is_empty()
            });
            let name = format!("access.log.{round}");
            fs::rename(proxy.file("access.log"), proxy.file(&name)).expect("renamed");
            names.push(name);
            // As nginx does it, and with the configuration.
            let signal = if round % 2 == 0 {
                Signal::USR1
            } else {
                Signal::HUP
            };
            proxy.signal(signal);
            wait::for_("the log under its old name", || {
                exists(&proxy, "access.log")
            });
        }
    });
    assert!(
        proxy.stderr().lines().all(|line| !line.contains("ERROR")),
        "{}",
        proxy.stderr()
    );
    assert_each_once(paths(&mut proxy, &names), answered);
}

/// What is in a file that is still being written.
fn lines_so_far(proxy: &Proxy, name: &str) -> String {
    fs::read_to_string(proxy.file(name)).unwrap_or_default()
}

#[test]
fn a_log_is_opened_anew_although_no_request_comes() {
    let origin = Origin::echoing_targets();
    let proxy = start(&logging(&Setup::to(origin.address()), "access.log", ""));
    assert_eq!(proxy.get("/1").status(), 200);
    wait::for_("the line", || {
        lines_so_far(&proxy, "access.log").ends_with('\n')
    });
    fs::rename(proxy.file("access.log"), proxy.file("old.log")).expect("renamed");
    proxy.signal(Signal::USR1);
    wait::for_("a new file", || proxy.file("access.log").exists());
    assert_eq!(proxy.get("/2").status(), 200);
    wait::for_("the next line", || {
        lines_so_far(&proxy, "access.log").contains("/2")
    });
    assert_eq!(lines(&proxy, "old.log").len(), 1);
}

#[test]
fn an_access_log_moves_under_load_and_loses_no_line() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).shards(2);
    let mut proxy = start(&logging(&setup, "0.log", ""));
    let mut names = vec!["0.log".to_owned()];
    let answered = under_load(&proxy, || {
        for round in 1..6 {
            let name = format!("{round}.log");
            accept(&proxy, &text(&proxy, &logging(&setup, &name, "")));
            wait::for_("lines in it", || !lines_so_far(&proxy, &name).is_empty());
            names.push(name);
        }
    });
    assert_each_once(paths(&mut proxy, &names), answered);
}

#[test]
fn an_access_log_changes_its_format_ends_and_begins() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let mut proxy = start(&setup);
    assert_eq!(proxy.get("/unlogged").status(), 200);
    accept(&proxy, &text(&proxy, &logging(&setup, "a.log", "")));
    assert_eq!(proxy.get("/json").status(), 200);
    accept(
        &proxy,
        &text(&proxy, &logging(&setup, "a.log", ", format = \"text\"")),
    );
    assert_eq!(proxy.get("/text").status(), 200);
    accept(&proxy, &text(&proxy, &setup));
    assert_eq!(proxy.get("/unlogged").status(), 200);
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
    let lines = lines(&proxy, "a.log");
    assert_eq!(lines.len(), 2, "{lines:?}");
    let json: Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(json["path"], "/json");
    assert!(
        lines[1].contains("/text") && !lines[1].starts_with('{'),
        "{}",
        lines[1]
    );
}

#[test]
fn a_log_that_cannot_be_opened_is_refused_and_the_old_one_goes_on() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&logging(&setup, "a.log", ""));
    let bad = logging(&setup, "nowhere/a.log", "");
    let bad = bad.top("histograms = { dump = { path = \"nowhere/a.hlog\" } }");
    reload(&proxy, &text(&proxy, &bad));
    let problems = proxy.admin_json("/config_dump")["last_rejection"]["problems"].clone();
    let told = |place: usize, field: &str, value: &str| {
        let problem = &problems[place];
        assert_eq!(
            (&problem["field"], &problem["value"]),
            (&field.into(), &value.into())
        );
        assert!(problem["line"].is_u64(), "{problem}");
        let message = problem["message"].as_str().expect("a message");
        assert!(
            message.starts_with("cannot be opened: No such file"),
            "{message}"
        );
    };
    told(0, "access_log.path", "\"nowhere/a.log\"");
    told(1, "histograms.dump.path", "\"nowhere/a.hlog\"");
    assert_eq!(proxy.get("/goes-on").status(), 200);
    wait::for_("the line", || {
        lines_so_far(&proxy, "a.log").contains("/goes-on")
    });
}

#[test]
fn a_histogram_dump_begins_moves_and_ends_with_every_exchange_in_one_of_them() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let dump = |path: &str, interval: &str| {
        let dump = format!("{{ path = \"{path}\", interval = \"{interval}\" }}");
        setup
            .clone()
            .top(&format!("histograms = {{ dump = {dump} }}"))
    };
    let proxy = start(&setup);
    let send = |count: u64| {
        for _ in 0..count {
            assert_eq!(proxy.get("/").status(), 200);
        }
    };
    send(1);
    proxy.expect_count("weft_listener_requests_total", "", 1);
    accept(&proxy, &text(&proxy, &dump("one.hlog", "100ms")));
    wait::for_("the first to begin", || {
        !lines_so_far(&proxy, "one.hlog").is_empty()
    });
    send(3);
    proxy.expect_count("weft_listener_requests_total", "", 4);
    accept(&proxy, &text(&proxy, &dump("two.hlog", "1h")));
    wait::for_("the first to end", || {
        lines_so_far(&proxy, "one.hlog").contains("HISTFAAA")
    });
    send(5);
    proxy.expect_count("weft_listener_requests_total", "", 9);
    let read = |name: &str| {
        let read = python::run("read_hlog.py", &[&proxy.file(name).to_string_lossy()]);
        let read: Value = serde_json::from_str(&read).expect("JSON");
        let mut tags = read.as_object().expect("tags").iter();
        let total = tags.find(|(tag, _)| tag.contains("listener") && tag.ends_with("total"));
        total.expect("the listener's total").1["count"]
            .as_u64()
            .expect("a count")
    };
    accept(&proxy, &text(&proxy, &setup));
    wait::for_("the second to end", || {
        lines_so_far(&proxy, "two.hlog").contains("HISTFAAA")
    });
    assert_eq!(
        read("one.hlog") + read("two.hlog"),
        8,
        "without the one before"
    );
    assert!(read("one.hlog") >= 3);
}

#[test]
fn the_admin_interface_moves() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address());
    let proxy = start(&setup);
    let (before, after) = (proxy.admin_address(), ports::free());
    let moved = text(&proxy, &setup).replace(&before.to_string(), &after.to_string());
    fs::write(proxy.file("weft.toml"), moved).expect("written");
    proxy.signal(Signal::HUP);
    let ready = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    wait::for_("the new address", || TcpStream::connect(after).is_ok());
    assert_eq!(Client::connect(after).exchange(ready).status(), 200);
    wait::for_("the old one to be closed", || {
        TcpStream::connect(before).is_err()
    });
    // One that is taken is refused.
    let taken = ports::free();
    let _taken = std::net::TcpListener::bind(taken).expect("a free port");
    fs::write(
        proxy.file("weft.toml"),
        text(&proxy, &setup).replace(&before.to_string(), &taken.to_string()),
    )
    .expect("written");
    proxy.signal(Signal::HUP);
    wait::for_("the refusal", || {
        let dump = Client::connect(after)
            .exchange(ready.replace("readyz", "config_dump"))
            .text();
        dump.contains("cannot be listened on: Address already in use")
    });
    assert_eq!(Client::connect(after).exchange(ready).status(), 200);
}
