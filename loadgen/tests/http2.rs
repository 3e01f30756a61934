//! `loadgen run` and `loadgen origin` over HTTP/2 and gRPC, against each other; and the origin
//! against clients that are written frame by frame (the generator: `http2_peers.rs`).

mod harness;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use harness::http2::{END, GOAWAY, HEADERS, PREFACE, Peer, RST_STREAM, SETTINGS, peer};
use harness::{Measured, Origin, run};

fn run_http2(url: &str, options: &[&str]) -> Measured {
    run(url, &[&["--http", "2"], options].concat())
}

#[test]
fn requests_share_connections_and_are_all_accounted_for() {
    let origin = Origin::start(&[]);
    let options = [
        "-c",
        "3",
        "--streams",
        "7",
        "-t",
        "2",
        "-d",
        "1s",
        "--expect-length",
        "1024",
    ];
    let closed = run_http2(&origin.url("/"), &options);
    closed.assert_answered();
    assert_eq!(closed.count("statuses/200"), closed.count("requests/due"));
    let options = [
        "-c",
        "2",
        "--streams",
        "5",
        "-d",
        "2s",
        "--rate",
        "700",
        "--warmup",
        "200ms",
    ];
    let open = run_http2(&origin.url("/"), &options);
    open.assert_answered();
    assert_eq!(open.count("requests/due"), 1_400);
    assert_eq!(open.count("send_lag/count"), 1_400);
    let (ended_well, told) = origin.drain();
    assert!(
        ended_well && told.contains("on 5 connections, 0 refused"),
        "{told}"
    );
}

#[test]
fn requests_of_one_connection_do_not_wait_for_each_other() {
    let origin = Origin::start(&["--delay", "100ms"]);
    let options = ["-c", "1", "--streams", "100", "-d", "2s", "--rate", "200"];
    let measured = run_http2(&origin.url("/"), &options);
    measured.assert_answered();
    // One after the other would be 20 in two seconds, and seconds of waiting.
    assert_eq!(measured.count("requests/due"), 400);
    assert!(measured.time("response_time/min_ns") >= Duration::from_millis(100));
    assert!(measured.time("response_time/percentiles_ns/50") < Duration::from_millis(800));
    // Four streams of 100 ms each cannot do more.
    let options = ["-c", "1", "--streams", "4", "-d", "1s"];
    let closed = run_http2(&origin.url("/"), &options);
    closed.assert_answered();
    assert!(closed.count("requests/due") <= 4 * 10 + 4);
}

#[test]
fn contents_survive_in_both_directions() {
    let origin = Origin::start(&[]);
    let body = vec![b'x'; 3 << 20];
    let told = format!("{} {:08x}\n", body.len(), crc32fast::hash(&body));
    let hash = format!("{:08x}", crc32fast::hash(told.as_bytes()));
    let load = ["-c", "2", "--streams", "3", "-d", "1s"];
    let options = [
        &load[..],
        &["-X", "POST", "--body-size", "3MiB", "--expect-hash", &hash],
    ];
    run_http2(&origin.url("/?echo=1"), &options.concat()).assert_answered();
    // The same content by both protocols; its hash is not known beforehand.
    let url = origin.url("/?size=1000000");
    let wrong = run(
        &url,
        &["-c", "1", "-d", "100ms", "--expect-hash", "00000000"],
    );
    assert_eq!(wrong.count("errors/hash"), wrong.count("requests/due"));
    let options = [&load[..], &["--expect-length", "1000000"]];
    run_http2(&url, &options.concat()).assert_answered();
    for wish in ["/?status=204", "/?size=0", "/?chunked=1"] {
        run_http2(&origin.url(wish), &load).assert_answered();
    }
    run_http2(&origin.url("/"), &[&load[..], &["-X", "HEAD"]].concat()).assert_answered();
}

#[test]
fn wrong_answers_and_timeouts_are_told_apart() {
    let origin = Origin::start(&["--status", "200:0.5,503:0.5"]);
    let options = ["-c", "2", "--streams", "4", "-d", "1s", "--rate", "400"];
    let measured = run_http2(&origin.url("/"), &options);
    assert_eq!(measured.code, 2);
    let (answered, wrong) = (
        measured.count("requests/answered"),
        measured.count("errors/status"),
    );
    assert!(
        answered > 100 && wrong > 100 && answered + wrong == 400,
        "{answered} and {wrong}"
    );
    let late = [
        "--timeout",
        "150ms",
        "-c",
        "1",
        "--streams",
        "4",
        "-d",
        "1s",
        "--rate",
        "20",
    ];
    let measured = run_http2(&origin.url("/?delay=60s"), &late);
    assert_eq!(measured.count("errors/timeout"), 20);
    assert!(measured.time("response_time/min_ns") >= Duration::from_millis(150));
    // A request that times out costs its stream, not the connection.
    let (_, told) = origin.drain();
    assert!(told.contains("on 3 connections"), "{told}");
}

#[test]
fn an_origin_that_closes_does_so_between_answers() {
    let origin = Origin::start(&["--close-probability", "0.05"]);
    let options = ["-c", "2", "--streams", "6", "-d", "1s", "--rate", "1000"];
    let measured = run_http2(&origin.url("/"), &options);
    measured.assert_answered();
    let (_, told) = origin.drain();
    let counts: Vec<u64> = told
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    assert!(counts[1] > 20, "{told}");
}

#[test]
fn connections_end_after_the_requests_they_were_to_get() {
    let origin = Origin::start(&[]);
    let load = [
        "-c",
        "2",
        "--streams",
        "6",
        "-d",
        "1s",
        "--requests-per-connection",
        "1..20",
    ];
    let paced = ["--rate", "1000"];
    run_http2(&origin.url("/"), &[&load[..], &paced].concat()).assert_answered();
    let (_, told) = origin.drain();
    let counts: Vec<u64> = told
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .collect();
    // Ten requests on the mean.
    assert!((60..200).contains(&counts[1]), "{told}");
    let origin = Origin::start(&[]);
    let limited = [&load[..7], &["5", "--connection-rate", "20"]].concat();
    let measured = run_http2(&origin.url("/"), &limited);
    measured.assert_answered();
    // In a closed loop nothing is due before there is a connection for it.
    assert!(
        measured.count("requests/due") <= 5 * 25,
        "{}",
        measured.get("requests")
    );
}

#[test]
fn faults_are_seen_as_what_they_are() {
    let origin = Origin::start(&[]);
    let load = [
        "-c",
        "1",
        "-d",
        "200ms",
        "--rate",
        "20",
        "--timeout",
        "100ms",
    ];
    for (fault, kind) in [
        ("reset", "reset"),
        ("reset-head", "reset"),
        ("reset-body", "reset"),
        ("close", "closed"),
        ("cut-head", "closed"),
        ("bad-status", "malformed"),
        ("bad-chunk", "malformed"),
        ("two-framings", "malformed"),
        ("stall", "timeout"),
    ] {
        let measured = run_http2(&origin.url(&format!("/?fault={fault}")), &load);
        let count = measured.count(&format!("errors/{kind}"));
        assert_eq!(count, measured.count("requests/due"), "{fault}");
    }
    run_http2(&origin.url("/?fault=slow-body"), &load).assert_answered();
    let (_, told) = origin.drain();
    assert!(told.contains("faults"), "{told}");
}

#[test]
fn a_draining_origin_answers_what_has_come() {
    let origin = Origin::start(&["--delay", "300ms"]);
    let options = [
        "--http",
        "2",
        "-c",
        "1",
        "--streams",
        "10",
        "-d",
        "10s",
        "--rate",
        "100",
    ];
    let running = harness::Run::start(&origin.url("/"), &options);
    harness::pause(Duration::from_millis(1_000));
    let (ended_well, _) = origin.drain();
    running.signal(rustix::process::Signal::INT);
    let measured = running.result();
    assert!(ended_well);
    // None was cut off: what was not answered found nobody to connect to.
    assert_eq!(
        measured.count("errors/closed") + measured.count("errors/reset"),
        0
    );
    assert!(measured.count("requests/answered") > 10);
}

#[test]
fn grpc_calls_are_judged_by_their_status() {
    let origin = Origin::start(&[]);
    let grpc = |path: &str| format!("grpc://{}/test.Echo/Unary{path}", origin.address());
    let load = ["-c", "2", "--streams", "3", "-d", "500ms"];
    let with = |path: &str, more: &[&str]| run(&grpc(path), &[&load[..], more].concat());

    let hash = format!("{:08x}", crc32fast::hash(b"hello"));
    let echo = with(
        "",
        &[
            "--body",
            "hello",
            "--expect-length",
            "5",
            "--expect-hash",
            &hash,
        ],
    );
    echo.assert_answered();
    assert_eq!(echo.count("grpc_statuses/0"), echo.count("requests/due"));
    with("", &["--body-size", "200KiB", "--expect-length", "204800"]).assert_answered();
    with("", &["--expect-length", "0"]).assert_answered();
    with("?size=70000", &["--expect-length", "70000"]).assert_answered();

    let failed = with("?grpc-status=5", &[]);
    assert_eq!(failed.code, 2);
    assert_eq!(failed.count("errors/grpc"), failed.count("requests/due"));
    assert_eq!(
        failed.count("grpc_statuses/5"),
        failed.count("requests/due")
    );
    with("?grpc-status=NOT_FOUND", &["--expect-grpc-status", "OK,5"]).assert_answered();
    let wish = [
        "-H",
        "x-wish: grpc-status=14&delay=1ms",
        "--expect-grpc-status",
        "UNAVAILABLE",
    ];
    with("", &wish).assert_answered();
    with("?status=503", &["--expect-grpc-status", "UNAVAILABLE"]).assert_answered();
    // What is no gRPC at all has no status, whatever HTTP says.
    let not_grpc = with("", &["-H", "content-type: text/plain"]);
    assert_eq!(
        not_grpc.count("errors/grpc"),
        not_grpc.count("requests/due")
    );
    // The origin refuses what it cannot do.
    let bad = with(
        "?size=nonsense",
        &["--expect-grpc-status", "INVALID_ARGUMENT"],
    );
    bad.assert_answered();
}

#[test]
fn grpc_timeouts_are_told_to_the_target() {
    let (address, peer) = peer(|peer| {
        peer.greet(&[]);
        let (_, payload) = peer.until(HEADERS);
        payload
    });
    let url = format!("grpc://{address}/a.B/C");
    run(
        &url,
        &[
            "-c",
            "1",
            "-d",
            "100ms",
            "--grace",
            "0s",
            "--timeout",
            "250ms",
        ],
    );
    let block = peer.join().expect("the peer");
    // Literals are Huffman-coded, so look for the coded name and value.
    let coded = |name: &[u8]| block.windows(name.len()).any(|window| window == name);
    assert!(coded(&[0x9a, 0xca, 0xc8]), "grpc-timeout in {block:02x?}");
}

#[test]
fn options_that_cannot_be_together_are_errors() {
    for (url, options, complaint) in [
        ("http://127.0.0.1:1/", &["--streams", "2"][..], "--http 2"),
        (
            "http://127.0.0.1:1/",
            &["--http", "auto", "--streams", "2"],
            "--http 2",
        ),
        (
            "http://127.0.0.1:1/",
            &["--http", "2", "--streams", "0"],
            "from 1",
        ),
        (
            "http://127.0.0.1:1/",
            &["--http", "2", "-H", "Connection: close"],
            "no field",
        ),
        (
            "http://127.0.0.1:1/",
            &["--expect-grpc-status", "0"],
            "grpc://",
        ),
        ("grpc://127.0.0.1:1/a.B/C", &["--http", "1.1"], "HTTP/2"),
        ("grpc://127.0.0.1:1/a.B/C", &["-X", "PUT"], "no methods"),
        (
            "grpc://127.0.0.1:1/a.B/C",
            &["--expect-grpc-status", "17"],
            "16",
        ),
    ] {
        let measured = run(url, options);
        assert!(matches!(measured.code, 1 | 2), "{options:?}");
        assert!(
            measured.complaint.contains(complaint),
            "{}",
            measured.complaint
        );
    }
}

// The origin and clients written frame by frame.

#[test]
fn the_origin_tells_what_a_client_did_wrong() {
    let origin = Origin::start(&[]);
    let connect = || {
        let stream = TcpStream::connect(origin.address()).expect("a connection");
        let timeout = Some(Duration::from_secs(10));
        stream.set_read_timeout(timeout).expect("a timeout");
        let mut client = Peer { stream };
        client.stream.write_all(PREFACE).expect("a preface");
        client.send(SETTINGS, 0, 0, &[]);
        client
    };
    // GET http /, whole and then with a name in capitals.
    let get = [0x82, 0x86, 0x84];
    let mut client = connect();
    client.send(HEADERS, END, 1, &get);
    assert_eq!(client.until(HEADERS).0, 1);
    client.send(HEADERS, END, 3, &[&get[..], b"\x00\x01A\x01b"].concat());
    assert_eq!(client.until(RST_STREAM), (3, vec![0, 0, 0, 1]));
    client.send(HEADERS, END, 5, &get);
    assert_eq!(client.until(HEADERS).0, 5);
    // An even stream ends the connection; the last that was looked at is 5.
    client.send(HEADERS, END, 6, &get);
    assert_eq!(client.until(GOAWAY).1, [0, 0, 0, 5, 0, 0, 0, 1]);
    while client.frame().is_some() {}
    // The preface byte by byte, and a request that says it is HTTP/2 and is not.
    let mut slow = TcpStream::connect(origin.address()).expect("a connection");
    slow.set_nodelay(true).expect("no delay");
    for byte in PREFACE {
        slow.write_all(&[*byte]).expect("a byte");
    }
    let mut slow = Peer { stream: slow };
    slow.send(SETTINGS, 0, 0, &[]);
    slow.send(HEADERS, END, 1, &get);
    assert_eq!(slow.until(HEADERS).0, 1);
    let mut wrong = TcpStream::connect(origin.address()).expect("a connection");
    wrong
        .write_all(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
        .expect("bytes");
    let mut answer = Vec::new();
    wrong.read_to_end(&mut answer).expect("an end");
    assert_eq!(answer[3], SETTINGS);
    // HTTP/1.1 is spoken on the same port.
    run(&origin.url("/"), &["-c", "1", "-d", "100ms"]).assert_answered();
}
