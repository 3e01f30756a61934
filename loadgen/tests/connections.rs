//! How connections are used: pipelining, their ends, how fast they are opened. Counts are exact.

mod harness;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use harness::{Origin, peer, run, scratch};

/// What an origin told at its end: requests and connections.
fn served(told: &str) -> (u64, u64) {
    let mut numbers = told.split(' ').filter_map(|word| word.parse().ok());
    let counts = (numbers.next(), numbers.next());
    counts.0.zip(counts.1).unwrap_or_else(|| panic!("{told}"))
}

#[test]
fn connections_get_their_requests_and_no_more() {
    for closing in ["announced", "plain"] {
        for pipeline in ["1", "4"] {
            let origin = Origin::start(&[]);
            let options = [
                "--requests-per-connection",
                "7",
                "--closing",
                closing,
                "--pipeline",
                pipeline,
                "-c",
                "3",
                "-d",
                "300ms",
            ];
            let measured = run(&origin.url("/"), &options);
            measured.assert_answered();
            let due = measured.count("requests/due");
            let opened = measured.count("connections/opened");
            assert_eq!(served(&origin.drain().1), (due, opened), "{options:?}");
            // Every connection but the last of each of the three got all of its seven.
            assert!(
                (due / 7..=due / 7 + 3).contains(&opened),
                "{opened} for {due}"
            );
            assert_eq!(measured.count("connections/failed"), 0);
        }
    }
}

#[test]
fn the_number_of_requests_can_be_drawn() {
    let origin = Origin::start(&[]);
    let options = [
        "--requests-per-connection",
        "1..19",
        "--rate",
        "1000",
        "-c",
        "4",
        "-d",
        "1s",
    ];
    let measured = run(&origin.url("/"), &options);
    measured.assert_answered();
    let opened = measured.count("connections/opened");
    assert_eq!(served(&origin.drain().1), (1_000, opened));
    // Ten on average.
    assert!((70..140).contains(&opened), "{opened}");
}

/// Reads requests from a connection until there were `count`, or it ends; what it read.
fn requests(stream: &mut TcpStream, count: usize) -> String {
    let mut read = String::new();
    let mut bytes = [0; 4096];
    while read.matches("\r\n\r\n").count() < count {
        match stream.read(&mut bytes) {
            Ok(0) | Err(_) => break,
            Ok(length) => read.push_str(&String::from_utf8_lossy(&bytes[..length])),
        }
    }
    read
}

/// A peer that treats every connection in the same way.
fn peer(mut serve: impl FnMut(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let accept = move || listener.incoming().flatten().for_each(&mut serve);
    std::thread::Builder::new().spawn(accept).expect("a thread");
    url
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn an_announced_close_is_left_to_the_peer_and_a_plain_one_is_ours() {
    for (closing, announced) in [("announced", true), ("plain", false)] {
        let (sender, seen) = std::sync::mpsc::channel();
        let url = peer(move |mut stream| {
            for turn in [1, 2] {
                let request = requests(&mut stream, 1);
                if request.is_empty() {
                    return;
                }
                let says_so = request.contains("\r\nConnection: close\r\n\r\n");
                stream.write_all(ANSWER).expect("it reads");
                let limit = Duration::from_millis(if announced { 50 } else { 20_000 });
                stream.set_read_timeout(Some(limit)).expect("a timeout");
                let waits = turn == 2 && {
                    let next = stream.read(&mut [0; 64]).map_err(|error| error.kind());
                    next == Err(ErrorKind::WouldBlock)
                };
                // Nobody listens any more once enough was seen.
                let _ = sender.send((turn, says_so, waits));
                stream.set_read_timeout(None).expect("no timeout");
            }
        });
        let options = [
            "--requests-per-connection",
            "2",
            "--closing",
            closing,
            "-c",
            "1",
            "-d",
            "300ms",
            "--grace",
            "10s",
        ];
        run(&url, &options).assert_answered();
        let first_two: Vec<_> = seen.try_iter().take(2).collect();
        assert_eq!(
            first_two,
            [(1, false, false), (2, announced, announced)],
            "turn, says that it closes, waits for the peer: {closing}"
        );
    }
}

#[test]
fn new_connections_come_at_the_rate_asked_for() {
    let origin = Origin::start(&[]);
    let churn = ["--requests-per-connection", "1", "--connection-rate", "50"];
    let closed = ["-c", "4", "-d", "1s", "--threads", "2"];
    let measured = run(&origin.url("/"), &[&churn[..], &closed].concat());
    measured.assert_answered();
    let during =
        measured.count("connections/opened") - measured.count("connections/opened_before_start");
    // A second's turns, and for each thread one at its beginning.
    assert!((10..=52).contains(&during), "{during}");

    // Twice as many requests as connections: the last is answered a second late.
    let open = ["--rate", "100", "-c", "4", "-d", "1s", "--grace", "20s"];
    let measured = run(&origin.url("/"), &[&churn[..], &open].concat());
    measured.assert_answered();
    assert_eq!(measured.count("requests/due"), 100);
    assert!(measured.count("requests/waited_for_connection") > 80);
    assert!(measured.time("response_time/max_ns") > Duration::from_millis(850));
    assert!(measured.time("service_time/percentiles_ns/50") < Duration::from_millis(400));
}

#[test]
fn pipelined_answers_come_in_order_and_each_has_its_own_time() {
    let origin = Origin::start(&["--delay", "20ms"]);
    let options = ["--pipeline", "4", "-c", "1", "-d", "1s"];
    let measured = run(&origin.url("/"), &options);
    measured.assert_answered();
    // The origin answers one at a time, so each waits for three others and itself.
    assert!(measured.time("response_time/percentiles_ns/50") >= Duration::from_millis(79));
    assert!(measured.time("response_time/min_ns") >= Duration::from_millis(20));
    assert!(measured.count("requests/due") <= 50 + 4);
    assert_eq!(measured.count("connections/opened"), 1);
    let open = ["--pipeline", "4", "-c", "1", "--rate", "20", "-d", "1s"];
    let measured = run(&origin.url("/"), &open);
    measured.assert_answered();
    assert_eq!(measured.count("requests/due"), 20);
    assert!(measured.time("service_time/min_ns") >= Duration::from_millis(20));
    let due = served(&origin.drain().1).0;
    assert!(due > 20, "{due}");
}

#[test]
fn what_a_leaving_peer_has_not_looked_at_is_sent_again() {
    let origin = Origin::start(&["--close-probability", "0.2"]);
    for path in ["/", "/?echo=1"] {
        let options = [
            "--pipeline",
            "8",
            "-c",
            "2",
            "--rate",
            "500",
            "-d",
            "1s",
            "-X",
            "POST",
            "--body",
            "hello world",
        ];
        let measured = run(&origin.url(path), &options);
        measured.assert_answered();
        assert_eq!(measured.count("requests/due"), 500);
        assert!(measured.count("connections/opened") > 50);
    }
    assert_eq!(
        served(&origin.drain().1).0,
        1_000,
        "none was answered twice"
    );
    let lines = "keepalive_requests 10; location / { return 200 'hello'; }";
    let nginx = peer::nginx("nginx-pipelined", "", lines);
    let options = [
        "--pipeline",
        "8",
        "-c",
        "2",
        "-d",
        "500ms",
        "--expect-length",
        "5",
    ];
    let measured = run(&format!("http://{}/", nginx.address), &options);
    measured.assert_answered();
    let (due, opened) = (
        measured.count("requests/due"),
        measured.count("connections/opened"),
    );
    assert!(opened >= due / 10, "{opened} for {due}");
}

#[test]
fn a_close_in_the_middle_fails_all_that_is_under_way() {
    let check = |end: &'static [u8], kind: &str| {
        let url = peer(move |mut stream| {
            requests(&mut stream, 4);
            // Whoever has left is not of interest.
            let _ = stream
                .write_all(ANSWER)
                .and_then(|()| stream.write_all(end));
        });
        let measured = run(&url, &["--pipeline", "4", "-c", "1", "-d", "300ms"]);
        assert_eq!(measured.code, 2);
        let (due, answered) = (
            measured.count("requests/due"),
            measured.count("requests/answered"),
        );
        // A request that was on its way to a peer that had closed is answered by a reset.
        let kinds = [kind, "reset"].map(|kind| measured.count(&format!("errors/{kind}")));
        assert!(kinds[0] > 0, "{}", measured.get("errors"));
        let failed: u64 = kinds.iter().sum();
        assert_eq!(answered + failed, due, "{}", measured.get("errors"));
        // Of four sent together one is answered; a fifth may have followed.
        assert!(answered > 0 && failed >= 3 * answered && failed <= 4 * answered + 4);
        assert_eq!(measured.count("response_time/count"), answered);
    };
    check(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "closed");
    check(b"", "closed");
    check(b"SSH-2.0-OpenSSH_9.2\r\n", "malformed");
}

#[test]
fn a_slow_answer_times_out_with_those_behind_it() {
    let origin = Origin::start(&[]);
    let options = [
        "--pipeline",
        "3",
        "-c",
        "1",
        "--rate",
        "30",
        "-d",
        "100ms",
        "--timeout",
        "300ms",
        "--grace",
        "5s",
    ];
    let measured = run(&origin.url("/?delay=30s"), &options);
    assert_eq!(measured.code, 2);
    assert_eq!(measured.count("requests/due"), 3);
    assert_eq!(measured.count("errors/timeout"), 3);
    assert_eq!(measured.count("response_time/count"), 3);
    assert!(measured.time("response_time/max_ns") >= Duration::from_millis(300));
}

#[test]
fn unix_sockets_are_pipelined_and_churned_too() {
    let path = scratch("churn.sock");
    let origin = Origin::start(&["--listen", &format!("unix:{}", path.display())]);
    let options = [
        "--unix",
        path.to_str().expect("a path"),
        "--pipeline",
        "4",
        "--requests-per-connection",
        "10",
        "-c",
        "2",
        "--rate",
        "200",
        "-d",
        "500ms",
    ];
    let measured = run("http://name/", &options);
    measured.assert_answered();
    let counts = (100, measured.count("connections/opened"));
    assert_eq!(served(&origin.drain().1), counts);
    assert!(counts.1 >= 10);
}
