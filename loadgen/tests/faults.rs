//! Faults of `loadgen origin`, seen with raw sockets: what comes before a connection breaks, and
//! how it breaks; and what the generator calls each of them.

mod harness;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use harness::{Origin, run};

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

/// Asks for `path` and reads until the connection ends.
fn ask(origin: &Origin, method: &str, path: &str) -> (String, End) {
    let mut stream = connect(origin);
    let request = format!("{method} {path} HTTP/1.1\r\nHost: o\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = Vec::new();
    let end = match stream.read_to_end(&mut answer) {
        Ok(_) => End::Closed,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
        Err(error) => panic!("{path}: {error}"),
    };
    (String::from_utf8(answer).expect("text"), end)
}

fn connect(origin: &Origin) -> TcpStream {
    let stream = TcpStream::connect(origin.address()).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream
}

#[test]
fn connections_break_where_they_should() {
    let origin = Origin::start(&["--body-size", "1000"]);
    let get = |query: &str| ask(&origin, "GET", &format!("/?{query}"));
    assert_eq!(get("fault=reset"), (String::new(), End::Reset));
    assert_eq!(get("fault=close"), (String::new(), End::Closed));
    let after_head = |answer: &str| {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        body.len()
    };
    for (query, body, end) in [
        ("fault=reset-head", 0, End::Reset),
        ("fault=reset-body", 500, End::Reset),
        ("fault=close-body", 500, End::Closed),
        // `3e8`, a line end, and half of the chunk.
        ("fault=close-body&chunked=1", 505, End::Closed),
    ] {
        let (answer, ended) = get(query);
        assert_eq!((after_head(&answer), ended), (body, end), "{query}");
    }
    // Where there is no body to break in, the head breaks.
    for (method, path) in [
        ("HEAD", "/?fault=reset-body"),
        ("GET", "/?size=0&fault=reset-body"),
    ] {
        let (answer, end) = ask(&origin, method, path);
        assert_eq!(
            (answer.as_str(), end),
            ("HTTP/1.1 200 OK\r\nContent-Ty", End::Reset)
        );
    }
    let (ended_well, told) = origin.drain();
    assert!(ended_well && told.contains("8 faults"), "{told}");
}

#[test]
fn malformed_answers_break_what_they_say() {
    let origin = Origin::start(&[]);
    for (fault, part) in [
        ("cut-head", "\r\nContent-Ty"),
        ("bad-status", "HTTP/1.1 2OO OK\r\n"),
        ("bad-chunk", "\r\nabc\r\nxyz\r\n"),
        (
            "two-framings",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        ),
    ] {
        let (answer, end) = ask(&origin, "GET", &format!("/?fault={fault}"));
        assert!(
            answer.contains(part) && end == End::Closed,
            "{fault}: {answer}"
        );
    }
}

#[test]
fn a_stalled_request_ends_with_the_client_or_the_drain() {
    let origin = Origin::start(&["--fault", "stall"]);
    let mut stream = connect(&origin);
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: o\r\n\r\nGET /2 HTTP/1.1\r\nHost: o\r\n\r\n")
        .expect("it reads");
    // A request that is exempt, on a connection of its own, shows that the first has been read.
    let exempt = connect(&origin);
    (&exempt)
        .write_all(b"GET /?fault=none&close=1 HTTP/1.1\r\nHost: o\r\n\r\n")
        .expect("it reads");
    let mut answer = String::new();
    (&exempt).read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let (ended_well, told) = origin.drain();
    assert!(
        ended_well && told.contains("2 requests on 2 connections"),
        "{told}"
    );
    let broke = stream.read(&mut [0; 8]).expect_err("nothing was answered");
    assert_eq!(broke.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_slow_body_is_whole_and_slow_and_the_connection_goes_on() {
    let origin = Origin::start(&["--fault", "slow-body", "--pace", "30B/20ms"]);
    for chunked in ["", "&chunked=1"] {
        let slow = origin.url(&format!("/?size=100{chunked}"));
        let fast = run(
            &origin.url("/?size=100&fault=none"),
            &["-c", "1", "-d", "100ms"],
        );
        fast.assert_answered();
        let options = ["-c", "1", "-d", "300ms", "--expect-length", "100"];
        let measured = run(&slow, &options);
        measured.assert_answered();
        // Four pieces, three pauses.
        let least = measured.time("response_time/min_ns");
        assert!(least >= Duration::from_millis(60), "{least:?}");
    }
}

#[test]
fn the_generator_knows_each_fault_by_its_name() {
    let origin = Origin::start(&[]);
    each_fault_has_its_name(&origin.url("/"), &[]);
}

#[test]
fn faults_through_tls_have_the_same_names() {
    let origin = Origin::start(&["--tls-self-signed"]);
    each_fault_has_its_name(&origin.secure_url("/"), &["--insecure"]);
}

/// Asks `url` for one fault after the other.
fn each_fault_has_its_name(url: &str, more: &[&str]) {
    for (fault, error) in [
        ("reset", "reset"),
        ("reset-body", "reset"),
        ("close", "closed"),
        ("close-body", "closed"),
        ("cut-head", "closed"),
        ("bad-status", "malformed"),
        ("bad-chunk", "malformed"),
        ("two-framings", "malformed"),
        ("stall", "timeout"),
    ] {
        let url = format!("{url}?fault={fault}");
        let options = [
            "--rate",
            "50",
            "-c",
            "2",
            "-d",
            "200ms",
            "--timeout",
            "300ms",
        ];
        let measured = run(&url, &[&options, more].concat());
        let count = measured.count(&format!("errors/{error}"));
        assert!(count > 0, "{fault}: {}", measured.get("errors"));
        let others = measured.count("requests/failed") - count;
        assert_eq!(others, 0, "{fault}: {}", measured.get("errors"));
    }
}

#[test]
fn faults_come_with_their_probability() {
    let origin = Origin::start(&["--fault", "reset:0.2,malformed:0.1"]);
    let measured = run(&origin.url("/"), &["--rate", "1000", "-c", "8", "-d", "1s"]);
    assert_eq!(measured.code, 2);
    let (reset, due) = (
        measured.count("errors/reset"),
        measured.count("requests/due"),
    );
    assert_eq!(due, 1_000);
    // Seeded, but the share of each connection depends on timing: five deviations either way.
    assert!((137..=263).contains(&reset), "{reset}");
    let (closed, malformed) = (
        measured.count("errors/closed"),
        measured.count("errors/malformed"),
    );
    assert!(
        (52..=148).contains(&(closed + malformed)),
        "{closed} and {malformed}"
    );
    assert!(malformed > closed, "{malformed} and {closed}");
}
