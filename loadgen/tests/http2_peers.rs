//! `loadgen run` over HTTP/2 against peers that are written frame by frame and keep the rules only
//! as far as the test wants.

mod harness;

use std::net::TcpListener;

use harness::http2::{DATA, END, GOAWAY, HEADERS, Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE, peer};
use harness::{Measured, run};

fn run_http2(url: &str, options: &[&str]) -> Measured {
    run(url, &[&["--http", "2"], options].concat())
}

#[test]
fn rfc9113_5_1_2_the_peers_limit_is_kept() {
    let (address, peer) = peer(|peer| {
        peer.greet(&[(3, 2)]);
        let (mut open, mut most, mut served) = (Vec::new(), 0, 0);
        // Answers the older one whenever two are open: a third would be too many.
        while let Some((kind, _, stream, _)) = peer.frame() {
            if kind == HEADERS {
                open.push(stream);
                most = most.max(open.len());
            }
            if open.len() >= 2 {
                let stream = open.remove(0);
                peer.answer(stream);
                served += 1;
            }
        }
        (most, served)
    });
    let url = format!("http://{address}/");
    let options = [
        "-c",
        "1",
        "--streams",
        "8",
        "-d",
        "500ms",
        "--grace",
        "100ms",
    ];
    let measured = run_http2(&url, &options);
    let (most, served) = peer.join().expect("the peer");
    assert_eq!(most, 2);
    assert!(served > 10);
    assert!(measured.count("requests/answered") > 10);
    assert_eq!(measured.count("requests/failed"), 0);
}

#[test]
fn rfc9113_6_8_requests_that_a_leaving_peer_did_not_look_at_go_out_again() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let builder = std::thread::Builder::new().name("peer".into());
    let thread = builder.spawn(move || {
        // Each connection answers every second request of its first ten, then leaves: what it has
        // answered before counts, the rest it has not looked at.
        let mut connections = 0;
        for stream in listener.incoming().take(20) {
            let mut peer = Peer {
                stream: stream.expect("a connection"),
            };
            peer.greet(&[]);
            connections += 1;
            let mut waiting = Vec::new();
            while waiting.len() < 4 {
                let Some((kind, _, stream, _)) = peer.frame() else {
                    return connections;
                };
                if kind == HEADERS {
                    waiting.push(stream);
                }
            }
            let last = waiting[1];
            peer.send(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat());
            peer.answer(waiting[0]);
            peer.answer(last);
        }
        connections
    });
    let thread = thread.expect("a thread");
    let options = [
        "-c",
        "1",
        "--streams",
        "4",
        "-d",
        "10s",
        "--rate",
        "40",
        "--grace",
        "200ms",
    ];
    let url = format!("http://{address}/");
    let running = harness::Run::start(&url, &[&["--http", "2"], &options[..]].concat());
    // Twenty connections answer two requests each.
    assert_eq!(thread.join().expect("the peer"), 20);
    running.signal(rustix::process::Signal::INT);
    let measured = running.result();
    assert_eq!(measured.count("requests/answered"), 40);
    for kind in ["closed", "malformed", "timeout"] {
        assert_eq!(measured.count(&format!("errors/{kind}")), 0, "{kind}");
    }
}

#[test]
fn rfc9113_8_7_refused_requests_go_out_again_but_not_for_ever() {
    // Refuses each request so often, answers it, and counts what it was sent.
    for (refusals, answered, refused) in [(1, 1, 0), (3, 1, 0), (4, 0, 1)] {
        let (address, peer) = peer(move |peer| {
            peer.greet(&[]);
            let mut seen = 0;
            while let Some((kind, _, stream, _)) = peer.frame() {
                match kind {
                    HEADERS if seen < refusals => peer.send(RST_STREAM, 0, stream, &[0, 0, 0, 7]),
                    HEADERS => peer.answer(stream),
                    _ => continue,
                }
                seen += 1;
            }
            seen
        });
        let options = ["-c", "1", "-d", "300ms", "--rate", "2", "--grace", "2s"];
        let measured = run_http2(&format!("http://{address}/"), &options);
        let sent = peer.join().expect("the peer");
        assert_eq!(measured.count("requests/answered"), answered, "{refusals}");
        assert_eq!(measured.count("errors/refused"), refused, "{refusals}");
        assert_eq!(measured.count("requests/failed"), refused, "{refusals}");
        assert_eq!(sent, refusals + answered, "each is sent again at once");
    }
}

#[test]
fn rfc9113_6_9_uploads_wait_for_windows_however_small() {
    let (address, peer) = peer(|peer| {
        peer.greet(&[(4, 100)]);
        let (mut window, mut got) = (100_usize, 0);
        while let Some((kind, flags, stream, payload)) = peer.frame() {
            if kind != DATA {
                continue;
            }
            assert!(payload.len() <= window, "{} of {window}", payload.len());
            (window, got) = (window - payload.len(), got + payload.len());
            if flags & 1 == 1 {
                peer.answer(stream);
                return got;
            }
            if window == 0 {
                window = 77;
                peer.send(WINDOW_UPDATE, 0, stream, &77_u32.to_be_bytes());
            }
        }
        0
    });
    let options = [
        "-c",
        "1",
        "-d",
        "1s",
        "-X",
        "POST",
        "--body-size",
        "5000",
        "--rate",
        "1",
    ];
    let measured = run_http2(&format!("http://{address}/"), &options);
    assert_eq!(peer.join().expect("the peer"), 5_000);
    assert_eq!(measured.count("requests/answered"), 1);
}

#[test]
fn every_way_to_fail_has_its_name() {
    type Act = fn(&mut Peer, u32);
    let acts: [(&str, Act); 7] = [
        ("closed", |_, _| {}),
        ("reset", |peer, stream| {
            peer.send(RST_STREAM, 0, stream, &[0, 0, 0, 2])
        }),
        // :status 99, DATA before HEADERS, a reserved setting out of range, a broken block.
        ("malformed", |peer, stream| {
            peer.send(HEADERS, END, stream, b"\x08\x0299")
        }),
        ("malformed", |peer, stream| {
            peer.send(DATA, 1, stream, b"hello")
        }),
        ("malformed", |peer, _| {
            peer.send(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1])
        }),
        ("malformed", |peer, stream| {
            peer.send(HEADERS, END, stream, &[0xff, 0xff, 0xff])
        }),
        ("status", |peer, stream| {
            peer.send(HEADERS, END, stream, &[0x8d])
        }),
    ];
    for (number, (kind, act)) in acts.into_iter().enumerate() {
        let (address, peer) = peer(move |peer| {
            peer.greet(&[]);
            let (stream, _) = peer.until(HEADERS);
            act(peer, stream);
            // A close alone is the first; the others wait until the client has seen it.
            if kind != "closed" {
                while peer.frame().is_some_and(|frame| frame.0 != GOAWAY) {}
            }
        });
        let options = ["-c", "1", "-d", "300ms", "--rate", "2", "--grace", "2s"];
        let measured = run_http2(&format!("http://{address}/"), &options);
        peer.join().expect("the peer");
        assert_eq!(
            measured.count(&format!("errors/{kind}")),
            1,
            "{number}: {kind}"
        );
    }
}
