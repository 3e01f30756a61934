//! Handshakes that do not come to their end, and what they leave behind.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use super::{HANDSHAKES, curl, text};
use crate::harness::{Client, Origin, Proxy, Setup, certificates::Authority, wait};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";

fn start(authority: &Authority, lines: &str) -> (Origin, Proxy) {
    let origin = Origin::answering(ANSWER);
    let certificate = authority.issue("a", "DNS:a.test").toml();
    let lines = format!("tls.certificates = [{certificate}]\n{lines}");
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(&lines));
    (origin, proxy)
}

/// What openssl says first to a server for `name`.
pub(super) fn hello_for(name: &str) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    let mut openssl = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", name])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl starts");
    let (mut stream, _) = listener.accept().expect("a connection");
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).expect("a header");
    let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
    hello.resize(5 + length, 0);
    stream.read_exact(&mut hello[5..]).expect("a hello");
    drop(stream);
    let _ = openssl.wait();
    hello
}

#[test]
fn handshakes_broken_off_at_every_byte_leave_nothing_behind() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, "");
    let hello = hello_for("a.test");
    assert_eq!(text(&curl(&authority, &proxy, &["https://a.test/"])), "yes");
    let before = proxy.descriptors();
    for end in 1..=hello.len() {
        let mut stream = TcpStream::connect(proxy.address()).expect("connected");
        stream.write_all(&hello[..end]).expect("sent");
        // Half of them leave in order, half by a reset of what was answered.
        if end % 2 == 0 {
            stream.shutdown(Shutdown::Write).expect("closed");
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
        }
    }
    let all = u32::try_from(hello.len()).expect("a short hello");
    proxy.expect_count(HANDSHAKES, "result=\"closed\"", all);
    wait::for_("all connections to be closed", || {
        proxy.descriptors() <= before
    });
    assert_eq!(text(&curl(&authority, &proxy, &["https://a.test/"])), "yes");
}

#[test]
fn a_thousand_half_open_handshakes_do_not_disturb_others() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, "timeouts.handshake = \"1h\"");
    let hello = hello_for("a.test");
    let half_open: Vec<TcpStream> = (0..1_000)
        .map(|turn| {
            let mut stream = TcpStream::connect(proxy.address()).expect("connected");
            let part = &hello[..turn % hello.len()];
            stream.write_all(part).expect("sent");
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(text(&curl(&authority, &proxy, &["https://a.test/"])), "yes");
    }
    proxy.expect_count(HANDSHAKES, "result=\"full\"", 20);
    drop(half_open);
}

#[test]
fn a_handshake_has_its_time_and_no_more() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, "timeouts.handshake = \"300ms\"");
    let hello = hello_for("a.test");
    let mut silent = Client::connect(proxy.address());
    let mut slow = Client::connect(proxy.address());
    slow.trickle(&hello, Duration::from_millis(20));
    assert!(silent.take(1).is_empty() && silent.is_at_end());
    assert!(slow.take(1).is_empty() && slow.is_at_end());
    proxy.expect_count(HANDSHAKES, "result=\"timed_out\"", 2);
}

#[test]
fn clear_text_on_a_tls_port_is_refused_in_words() {
    let authority = Authority::new();
    let (origin, proxy) = start(&authority, "");
    let mut client = proxy.connect();
    let response = client.get("/");
    assert_eq!(response.status(), 400);
    assert!(
        response.text().contains("use https://"),
        "{}",
        response.text()
    );
    assert!(client.take(1).is_empty() && client.is_at_end());
    // What is neither TLS nor HTTP gets nothing.
    let mut other = proxy.connect();
    other.send(b"\x00\x00\x00\x01binary");
    assert!(other.take(1).is_empty() && other.is_at_end());
    proxy.expect_count(HANDSHAKES, "result=\"not_tls\"", 2);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn rfc8446_5_1_a_record_that_breaks_the_protocol_gets_an_alert() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, "");
    let hello = hello_for("a.test");
    let mut oversized = hello.clone();
    oversized[3] = 0xff;
    let mut changed = hello.clone();
    changed[5] = 99; // a handshake message of an unknown type
    for bytes in [oversized, changed] {
        let mut client = Client::connect(proxy.address());
        client.send(&bytes);
        let answer = client.take(7);
        // RFC 8446 §6: alert, level fatal.
        assert_eq!(
            (answer.first(), answer.get(5)),
            (Some(&21), Some(&2)),
            "{answer:?}"
        );
    }
    proxy.expect_count(HANDSHAKES, "result=\"malformed\"", 2);
}
