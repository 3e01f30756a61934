//! RFC 9112 §11: messages nobody thought of, made from good ones by breaking them.
//!
//! Whatever is sent, the origin may get only bytes that have one reading, the client only whole
//! responses or the start of one, and the next client its own answer. A failing case prints its
//! seed and bytes. `WEFT_TESTS_MUTATIONS` sets how many are tried; each run tries the same ones.

use std::sync::{Arc, Mutex};

use crate::harness::{Origin, Peer, Proxy, Reading, Setup, client::Ending, dice::Dice, message};

/// Requests to start from.
const REQUESTS: &[&str] = &[
    "GET /a?b=c HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n\
     GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST http://a/b/../c HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X\r\nX: y\r\n\
     Content-Length: 35\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
     GET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
];

/// Responses to start from.
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: u\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 204 No Content\r\nConnection: close, X\r\nX: y\r\n\r\n",
    "HTTP/1.0 304 Not Modified\r\nConnection: keep-alive\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
];

/// What two readers like to disagree about.
const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b"\0",
    b"\x0b",
    b"\xff",
    b":",
    b",",
    b";",
    b"\"",
    b"0",
    b"1",
    b"+",
    b"%2e%2e/",
    b"//",
    b"HTTP/1.1",
    b"chunked",
    b"\r\n\r\n",
    b"\r\n ",
    b"Host: b\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Connection: close\r\n",
    b"Connection: Content-Length\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"FFFFFFFFFFFFFFFF",
];

fn count() -> u64 {
    let wanted = std::env::var("WEFT_TESTS_MUTATIONS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(1500)
}

/// One to three breaks in one of `originals`.
fn broken(seed: u64, originals: &[&str]) -> Vec<u8> {
    let mut dice = Dice::new(seed);
    let mut bytes = dice.pick(originals).as_bytes().to_vec();
    for _ in 0..=dice.below(3) {
        let at = dice.below(bytes.len());
        match dice.below(5) {
            0 | 1 => {
                bytes.splice(at..at, dice.pick(TOKENS).iter().copied());
            }
            2 => {
                let end = bytes.len().min(at + 1 + dice.below(4));
                bytes.drain(at..end);
            }
            3 => {
                let token = dice.pick(TOKENS);
                let end = bytes.len().min(at + token.len());
                bytes.splice(at..end, token.iter().copied());
            }
            _ => {
                // A line once more, somewhere else.
                let lines: Vec<Vec<u8>> = bytes
                    .split_inclusive(|&byte| byte == b'\n')
                    .map(<[u8]>::to_vec)
                    .collect();
                bytes.splice(at..at, dice.pick(&lines).iter().copied());
            }
        }
        if bytes.is_empty() {
            bytes.push(b'G');
        }
    }
    bytes
}

/// Whole responses and perhaps the start of one; 101 and what follows is a tunnel.
fn check_client(bytes: &[u8], ended: Ending) -> Result<(), String> {
    let why = match message::response(bytes, "GET", true) {
        _ if bytes.is_empty() => return Ok(()),
        Reading::Partial => return Ok(()),
        Reading::Complete(response) if response.status() == 101 => return Ok(()),
        Reading::Complete(response) => match check_client(&bytes[response.length..], ended) {
            Ok(()) => return Ok(()),
            Err(why) => why,
        },
        Reading::Ambiguous(why) => {
            format!("the client got {why} ({ended:?}): {}", bytes.escape_ascii())
        }
    };
    // The method of a broken request is anybody's guess: perhaps it was HEAD.
    match message::response(bytes, "HEAD", true) {
        Reading::Complete(response) => {
            check_client(&bytes[response.length..], ended).map_err(|_| why)
        }
        Reading::Partial | Reading::Ambiguous(_) => Err(why),
    }
}

fn canary(proxy: &Proxy, seed: u64) -> Result<(), String> {
    let target = format!("/canary/{seed}");
    let response = proxy.get(&target);
    let right = response.status() == 200 && response.text() == target;
    right.then_some(()).ok_or_else(|| {
        format!(
            "the next client got {:?} {}",
            response.start,
            response.text()
        )
    })
}

/// Deadlines that end what a break made incomplete.
fn impatient(origin: &Origin) -> Proxy {
    let deadlines = "timeouts.header = \"100ms\"\ntimeouts.body_gap = \"100ms\"\n\
        route_timeouts.first_byte = \"300ms\"\nroute_timeouts.idle = \"300ms\"";
    Proxy::start(&Setup::to(origin.address()).listener(deadlines))
}

#[test]
fn rfc9112_11_2_broken_requests_have_one_reading_or_none() {
    let origin = Origin::echoing_targets();
    let proxy = impatient(&origin);
    for seed in 0..count() {
        let bytes = broken(seed, REQUESTS);
        let mark = origin.mark();
        let mut client = proxy.connect();
        client.send(&bytes).finish();
        let (ended, got) = client.rest();
        let mut result = check_client(&got, ended).and_then(|()| canary(&proxy, seed));
        origin.settle();
        for seen in origin.since(&mark) {
            if let (_, Reading::Ambiguous(why)) = message::requests(&seen) {
                result = Err(format!("the origin got {why}: {}", seen.escape_ascii()));
            }
        }
        let shown = bytes.escape_ascii();
        result.unwrap_or_else(|why| panic!("seed {seed}: {why}\n  {shown}\n"));
    }
}

/// Answers `/seed` with that broken response and everything else with its target.
fn play(peer: &mut Peer, closes: &Mutex<Dice>) {
    while let Some(request) = peer.request() {
        let target = request.target().to_owned();
        let Some(seed) = target
            .strip_prefix("/seed/")
            .and_then(|seed| seed.parse().ok())
        else {
            let length = target.len();
            peer.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}"
            ));
            continue;
        };
        peer.send(broken(seed, RESPONSES));
        let closed = closes.lock().is_ok_and(|mut dice| dice.below(2) == 0);
        if closed {
            return;
        }
    }
}

#[test]
fn rfc9112_11_1_broken_responses_are_whole_cut_or_replaced() {
    let closes = Arc::new(Mutex::new(Dice::new(1)));
    let origin = Origin::start(move |peer| play(peer, &closes));
    let proxy = impatient(&origin);
    for seed in 0..count() {
        let mut client = proxy.connect();
        let method = if seed % 7 == 0 { "HEAD" } else { "GET" };
        client.send(format!(
            "{method} /seed/{seed} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        ));
        let (ended, got) = client.rest();
        let result = check_client(&got, ended).and_then(|()| canary(&proxy, seed));
        let shown = broken(seed, RESPONSES);
        result.unwrap_or_else(|why| panic!("seed {seed}: {why}\n  {}\n", shown.escape_ascii()));
    }
}
