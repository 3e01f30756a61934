//! `loadgen origin` spoken to with raw bytes: framing, order, drain; and `loadgen run` against
//! peers that answer wrongly.

mod harness;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use harness::{Origin, Run, run};
use rustix::process::Signal;

/// Sends `request`, closes the sending side, and reads all that comes.
fn talk(origin: &Origin, request: &[u8]) -> String {
    let mut stream = connect(origin);
    stream.write_all(request).expect("it reads");
    stream.shutdown(Shutdown::Write).expect("half a close");
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("it answers and closes");
    String::from_utf8(answer).expect("text")
}

fn connect(origin: &Origin) -> TcpStream {
    let stream = TcpStream::connect(origin.address()).expect("it listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("a timeout");
    stream.set_nodelay(true).expect("an option");
    stream
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::start(&[]);
    let requests = b"GET /?status=201&size=1 HTTP/1.1\r\nHost: o\r\n\r\n\
        POST /?echo=1&delay=20ms HTTP/1.1\r\nHost: o\r\nContent-Length: 11\r\n\r\nhello world\
        HEAD /?size=77 HTTP/1.1\r\nHost: o\r\n\r\n\
        GET /?status=204 HTTP/1.1\r\nHost: o\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n\r\n";
    let answers = talk(&origin, requests);
    let statuses: Vec<&str> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, _)| &answers[at + 9..at + 12])
        .collect();
    assert_eq!(statuses, ["201", "200", "200", "204"], "{answers}");
    assert!(
        answers.contains("\r\n\r\n11 0d4a1185\nHTTP/1.1 200 OK"),
        "{answers}"
    );
    assert!(answers.contains("Content-Length: 77"), "{answers}");
    assert!(answers.ends_with("Connection: close\r\n\r\n"), "{answers}");
}

#[test]
fn requests_split_anywhere_are_read() {
    let origin = Origin::start(&[]);
    let request = b"PUT /?echo=1 HTTP/1.1\r\nHost: o\r\nTransfer-Encoding: chunked\r\n\r\n\
        6;x=y\r\nhello \r\n5\r\nworld\r\n0\r\nTrailer: t\r\n\r\n";
    let mut stream = connect(&origin);
    for at in 1..request.len() {
        for part in [&request[..at], &request[at..]] {
            stream.write_all(part).expect("it reads");
            stream.flush().expect("it leaves");
        }
        let mut answer = Vec::new();
        while !answer.ends_with(b"11 0d4a1185\n") {
            let mut bytes = [0; 512];
            let count = stream.read(&mut bytes).expect("it answers");
            assert!(
                count > 0,
                "closed at {at}: {}",
                String::from_utf8_lossy(&answer)
            );
            answer.extend_from_slice(&bytes[..count]);
        }
    }
}

#[test]
fn expectations_versions_and_chunks() {
    let origin = Origin::start(&["--chunked", "--body-size", "5"]);
    let chunked = talk(&origin, b"GET / HTTP/1.1\r\nHost: o\r\n\r\n");
    assert!(
        chunked.contains("Transfer-Encoding: chunked\r\n\r\n5\r\n"),
        "{chunked}"
    );
    assert!(chunked.ends_with("\r\n0\r\n\r\n"), "{chunked}");
    let old = talk(&origin, b"GET / HTTP/1.0\r\n\r\n");
    assert!(
        old.contains("Content-Length: 5\r\nConnection: close\r\n"),
        "{old}"
    );
    let mut stream = connect(&origin);
    let head = b"POST / HTTP/1.1\r\nHost: o\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    stream.write_all(head).expect("it reads");
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("it lets us go on");
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").expect("it reads");
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).expect("it answers");
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

#[test]
fn nonsense_is_refused() {
    let origin = Origin::start(&[]);
    for request in [
        "GET / HTTP/3.0\r\n\r\n",
        "GET /?size=many HTTP/1.1\r\nHost: o\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
    ] {
        let answer = talk(&origin, request.as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{request:?}: {answer}"
        );
        assert!(answer.contains("Connection: close"), "{answer}");
    }
    let (ended_well, told) = origin.drain();
    assert!(ended_well && told.contains("4 refused"), "{told}");
}

#[test]
fn large_bodies_are_whole() {
    let origin = Origin::start(&[]);
    let size = 20_000_000;
    for chunked in ["", "&chunked=1"] {
        let url = origin.url(&format!("/?size={size}{chunked}"));
        let options = [
            "-c",
            "2",
            "-d",
            "300ms",
            "--grace",
            "20s",
            "--expect-length",
            "20MB",
        ];
        run(&url, &options).assert_answered();
    }
    let upload = [
        "-X",
        "PUT",
        "--body-size",
        "20MB",
        "-c",
        "1",
        "-d",
        "200ms",
        "--grace",
        "20s",
    ];
    let zeros = vec![b'x'; size];
    let expected = format!("{size} {:08x}\n", crc32fast::hash(&zeros));
    let hash = format!("{:08x}", crc32fast::hash(expected.as_bytes()));
    let options = [&upload[..], &["--expect-hash", &hash]].concat();
    run(&origin.url("/?echo=1"), &options).assert_answered();
}

#[test]
fn a_drain_finishes_what_was_begun() {
    let origin = Origin::start(&["--threads", "2"]);
    let (mut idle, mut busy) = (connect(&origin), connect(&origin));
    // Both connections are known to be served before the signal: each has had an answer.
    for stream in [&mut idle, &mut busy] {
        stream
            .write_all(b"GET /?size=0 HTTP/1.1\r\nHost: o\r\n\r\n")
            .expect("it reads");
        let mut head = [0; 15];
        stream.read_exact(&mut head).expect("it answers");
    }
    busy.write_all(b"GET /?delay=4s HTTP/1.1\r\nHost: o\r\n\r\n")
        .expect("it reads");
    let running = Run::start(
        &origin.url("/"),
        &["--rate", "20", "-c", "1", "-d", "300ms"],
    );
    running.result().assert_answered();
    origin.signal(Signal::TERM);
    let (mut idle_rest, mut busy_rest) = (String::new(), String::new());
    idle.read_to_string(&mut idle_rest)
        .expect("the idle connection is closed");
    busy.read_to_string(&mut busy_rest)
        .expect("the busy connection is answered and closed");
    assert!(!idle_rest.contains("HTTP/1.1"), "{idle_rest}");
    assert!(busy_rest.contains("HTTP/1.1 200 OK"), "{busy_rest}");
    assert!(
        busy_rest.contains("Connection: close\r\n\r\n"),
        "{busy_rest}"
    );
    let (ended_well, told) = origin.wait();
    assert!(ended_well && told.contains(" 0 refused"), "{told}");
}

/// A peer that sends the same bytes to everybody who has sent anything.
fn wrong_peer(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let serve = move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 512];
            // Whoever leaves early is not of interest.
            let _ = stream
                .read(&mut request)
                .and_then(|_| stream.write_all(answer));
        }
    };
    std::thread::Builder::new().spawn(serve).expect("a thread");
    url
}

#[test]
fn wrong_framing_is_told_apart_from_slowness() {
    let check = |answer: &'static [u8], kind: &str| {
        let measured = run(
            &wrong_peer(answer),
            &["--rate", "50", "-c", "1", "-d", "200ms"],
        );
        assert_eq!(measured.code, 2, "{kind}");
        assert_eq!(measured.count("requests/due"), 10, "{kind}");
        assert_eq!(
            measured.count(&format!("errors/{kind}")),
            10,
            "{kind}: {}",
            measured.get("errors")
        );
        assert_eq!(measured.count("response_time/count"), 0, "{kind}");
    };
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        "closed",
    );
    check(b"", "closed");
    check(b"SSH-2.0-OpenSSH_9.2\r\n", "malformed");
    check(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP",
        "malformed",
    );
    let both =
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check(both, "malformed");
    check(
        b"HTTP/1.1 500 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        "status",
    );
    let until_close = wrong_peer(b"HTTP/1.0 200 OK\r\n\r\nuntil the close");
    let options = [
        "--rate",
        "50",
        "-c",
        "1",
        "-d",
        "200ms",
        "--expect-length",
        "15",
    ];
    run(&until_close, &options).assert_answered();
}
