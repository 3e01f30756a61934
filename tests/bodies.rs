//! Content of any size passes unchanged, in bounded memory, in both directions.

use std::{io::Write, thread};

use crate::harness::{Client, Origin, Peer, Proxy, Setup, message, pattern, wait};

/// 200 MB, not a multiple of anything.
const LARGE: u64 = 200_000_003;
/// What a transfer may add to the proxy's memory, however large it is.
const GROWTH_MAX: u64 = 32 << 20;

/// Sends the pattern from 0 to `length` in blocks of uneven size.
fn send_pattern(length: u64, mut send: impl FnMut(&[u8]) -> bool) {
    let block = 60_013;
    let mut position = 0;
    while position < length {
        let count = block.min(usize::try_from(length - position).unwrap_or(block));
        if !send(&pattern::bytes(position, count)) {
            return;
        }
        position += count as u64;
    }
}

/// Checks what `client` receives against the pattern until `length` bytes have come.
fn check_pattern(client: &mut Client, length: u64) {
    let mut position = 0;
    while position < length {
        let bytes = client.some();
        assert!(!bytes.is_empty(), "closed after {position} of {length}");
        assert_eq!(pattern::mismatch(position, &bytes), None);
        position += bytes.len() as u64;
    }
    assert_eq!(position, length);
}

fn unlimited(origin: &Origin) -> Proxy {
    Proxy::start(&Setup::to(origin.address()).listener("limits.body_bytes = \"unlimited\""))
}

fn assert_small(proxy: &Proxy, before: u64) {
    let grown = proxy.resident_bytes().saturating_sub(before);
    assert!(
        grown < GROWTH_MAX,
        "{grown} bytes more for a transfer that should stream"
    );
}

#[test]
fn a_download_of_200_mb_is_byte_exact() {
    let origin = Origin::forgetful(|peer| {
        peer.request();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"
        ));
        send_pattern(LARGE, |block| peer.send(block));
    });
    let proxy = unlimited(&origin);
    let before = proxy.resident_bytes();
    let mut client = proxy.connect();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head();
    assert!(head.contains(&LARGE.to_string()), "{head}");
    check_pattern(&mut client, LARGE);
    assert_small(&proxy, before);
}

/// Reads an upload with a length and answers when all of it was right.
fn check_upload(peer: &mut Peer) {
    peer.head();
    let mut position = 0;
    while position < LARGE {
        let Some(bytes) = peer.some() else { return };
        if let Some(at) = pattern::mismatch(position, &bytes) {
            peer.send(format!(
                "HTTP/1.1 400 Wrong at {at}\r\nContent-Length: 0\r\n\r\n"
            ));
            return;
        }
        position += bytes.len() as u64;
    }
    peer.send(format!(
        "HTTP/1.1 200 All of {position}\r\nContent-Length: 0\r\n\r\n"
    ));
}

#[test]
fn an_upload_of_200_mb_is_byte_exact() {
    let origin = Origin::forgetful(check_upload);
    let proxy = unlimited(&origin);
    let before = proxy.resident_bytes();
    let mut client = proxy.connect();
    client.send(format!(
        "POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n"
    ));
    send_pattern(LARGE, |block| client.try_send(block).is_ok());
    let response = client.response_to("POST");
    assert_eq!(response.start, format!("HTTP/1.1 200 All of {LARGE}"));
    assert_small(&proxy, before);
}

/// The pattern in chunks of uneven size.
fn chunked(length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    send_pattern(length, |block| {
        write!(bytes, "{:x}\r\n", block.len()).expect("memory");
        bytes.extend(block);
        bytes.extend(b"\r\n");
        true
    });
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Chunked content is collected and judged whole: 20 MB are enough for that.
const CHUNKED: u64 = 20_000_003;

#[test]
fn a_chunked_download_is_byte_exact() {
    let mut response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    response.extend(chunked(CHUNKED));
    let origin = Origin::forgetful(move |peer| {
        peer.request();
        peer.send(&response);
    });
    let proxy = unlimited(&origin);
    let mut client = proxy.connect();
    client.send("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let (_, bytes) = client.rest();
    let message::Reading::Complete(response) = message::response(&bytes, "GET", true) else {
        panic!("{:?}", String::from_utf8_lossy(&bytes[..200]));
    };
    assert_eq!(response.body.len() as u64, CHUNKED);
    assert_eq!(pattern::mismatch(0, &response.body), None);
}

#[test]
fn a_chunked_upload_is_byte_exact() {
    let origin = Origin::forgetful(|peer| {
        let head = peer.head().expect("a head");
        let body = peer.until(b"\r\n0\r\n\r\n").expect("a whole body");
        let bytes = [head.as_bytes(), &body].concat();
        let message::Reading::Complete(request) = message::request(&bytes) else {
            peer.send("HTTP/1.1 400 Ambiguous\r\nContent-Length: 0\r\n\r\n");
            return;
        };
        let wrong = pattern::mismatch(0, &request.body);
        let text = format!("{} {wrong:?}", request.body.len());
        let length = text.len();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"
        ));
    });
    let proxy = unlimited(&origin);
    let mut client = proxy.connect();
    client.send("POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(chunked(CHUNKED));
    assert_eq!(client.response_to("POST").text(), format!("{CHUNKED} None"));
}

#[test]
fn both_directions_at_once() {
    // An origin that sends back what it gets while it gets it.
    let origin = Origin::forgetful(|peer| {
        peer.head();
        peer.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {CHUNKED}\r\n\r\n"
        ));
        let mut count = 0;
        while count < CHUNKED {
            let Some(bytes) = peer.some() else { return };
            count += bytes.len() as u64;
            peer.send(bytes);
        }
    });
    let proxy = unlimited(&origin);
    let mut client = proxy.connect();
    client.send(format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {CHUNKED}\r\n\r\n"
    ));
    let mut sender = client.stream().try_clone().expect("the socket");
    thread::scope(|scope| {
        scope.spawn(|| send_pattern(CHUNKED, |block| sender.write_all(block).is_ok()));
        client.head();
        check_pattern(&mut client, CHUNKED);
    });
}

/// Sends `block` again and again until nothing is taken any more.
fn stall(client: &mut Client, block: &[u8]) {
    client
        .stream()
        .set_nonblocking(true)
        .expect("a socket option");
    let mut sent = 0_usize;
    let mut refusals = 0;
    wait::for_("the proxy to stop reading", || {
        match client.stream().write(&block[sent % block.len()..]) {
            Ok(count) => {
                sent += count;
                refusals = 0;
            }
            Err(_) => refusals += 1,
        }
        assert!(
            sent < 1 << 30,
            "a gigabyte was taken although nobody reads it"
        );
        refusals > 100
    });
}

#[test]
fn an_upload_waits_for_an_origin_that_does_not_read() {
    let origin = Origin::forgetful(|peer| {
        peer.head();
        peer.wait_for_connections(2);
    });
    let proxy = unlimited(&origin);
    let before = proxy.resident_bytes();
    let mut client = proxy.connect();
    client.send("POST /stuck HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000000\r\n\r\n");
    let nonblocking = client.stream().set_nonblocking(true);
    nonblocking.expect("a socket option");
    let block = vec![b'a'; 1 << 20];
    let mut sent = 0_u64;
    let mut stalls = 0;
    wait::for_("the upload to stall", || {
        match client.stream().write(&block) {
            Ok(count) => {
                sent += count as u64;
                stalls = 0;
            }
            Err(_) => stalls += 1,
        }
        assert!(
            sent < 1 << 30,
            "a gigabyte was taken although nobody reads it"
        );
        stalls > 100
    });
    assert_small(&proxy, before);
    assert_eq!(origin.connections(), 1);
    let _release = Client::connect(origin.address());
}

#[test]
fn every_small_size_around_the_buffers() {
    let origin = Origin::start(|peer| {
        while let Some(request) = peer.request() {
            let size: usize = request.target()[1..].parse().expect("a size");
            let mut bytes =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
            bytes.extend(pattern::bytes(0, size));
            peer.send(bytes);
        }
    });
    let setup = Setup::to(origin.address()).listener("limits.requests_per_connection = 100000");
    let proxy = Proxy::start(&setup);
    let mut client = proxy.connect();
    let near = |size: usize| size.saturating_sub(3)..=size + 3;
    for size in [0, 1024, 4096, 16 << 10, 32 << 10, 64 << 10, 128 << 10]
        .into_iter()
        .flat_map(near)
    {
        let response = client.get(&format!("/{size}"));
        assert_eq!(response.body.len(), size);
        assert_eq!(pattern::mismatch(0, &response.body), None, "{size}");
    }
}

#[test]
fn requests_whose_answers_nobody_reads_stop_being_read() {
    let origin = Origin::forgetful(|peer| {
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n{}",
            "a".repeat(4096)
        );
        while peer.request().is_some() && peer.send(&answer) {}
    });
    let setup = Setup::to(origin.address())
        .listener("limits.requests_per_connection = \"unlimited\"\ntimeouts.send_gap = \"1h\"");
    let proxy = Proxy::start(&setup);
    let before = proxy.resident_bytes();
    let mut client = proxy.connect();
    let block = "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    stall(&mut client, block.as_bytes());
    assert_small(&proxy, before);
}
