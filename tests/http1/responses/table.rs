//! Runs a table of raw responses through the proxy and judges what the client got.
//!
//! The origin picks the case by the request's path. After each case a clean request must get its
//! own answer; where the case left the connection in doubt, on a connection of its own.

use crate::harness::{Origin, Peer, Proxy, Reading, message};

/// What the client must get.
pub(super) enum Expect {
    /// 502, and the origin's connection is not used again.
    BadGateway,
    /// A response with this status and content; the origin's connection is not used again.
    PassedOnce(u16, &'static str),
    /// A response with this status and content.
    Passed(u16, &'static str),
    /// 502, or a response with this status and content.
    Either(u16, &'static str),
    /// The start of a response, cut so that the client knows; or 502.
    Cut,
}

pub(super) use Expect::{BadGateway, Cut, Either, Passed, PassedOnce};

/// A case: its name starts with the section that it is about.
pub(super) struct Case {
    /// For example `rfc9112_6_3_cl_and_te`.
    pub(super) name: &'static str,
    /// What the origin sends.
    pub(super) bytes: &'static [u8],
    /// Whether it closes the connection then.
    pub(super) closes: bool,
    /// What the client must get.
    pub(super) expect: Expect,
}

/// Shortens the tables: the origin keeps the connection open.
pub(super) const fn open(name: &'static str, bytes: &'static [u8], expect: Expect) -> Case {
    Case {
        name,
        bytes,
        closes: false,
        expect,
    }
}

/// Shortens the tables: the origin closes the connection after the bytes.
pub(super) const fn closed(name: &'static str, bytes: &'static [u8], expect: Expect) -> Case {
    Case {
        name,
        bytes,
        closes: true,
        expect,
    }
}

/// Runs every case with `method`; fails with the list of those that went wrong.
pub(super) fn run(method: &'static str, cases: &'static [Case]) {
    let origin = Origin::start(move |peer| play(peer, cases));
    let proxy = Proxy::to(origin.address());
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let found = attempt(&proxy, method, number, case).and_then(|()| next(&proxy, case));
        if let Err(why) = found {
            wrong.push(format!(
                "{}: {why}\n    {}",
                case.name,
                case.bytes.escape_ascii()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    println!("{} cases", cases.len());
}

/// `/case/7` plays case 7; anything else is answered with the number of the connection and
/// whether it has played a case before.
fn play(peer: &mut Peer, cases: &[Case]) {
    let mut played = false;
    while let Some(request) = peer.request() {
        let case = request
            .target()
            .strip_prefix("/case/")
            .and_then(|number| number.parse().ok());
        match case.and_then(|number: usize| cases.get(number)) {
            Some(case) => {
                played = true;
                peer.send(case.bytes);
                if case.closes {
                    return;
                }
            }
            None => {
                let text = if played { "used" } else { "new" };
                let length = text.len();
                peer.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{text}"
                ));
                // The next case starts on a connection of its own.
                return;
            }
        }
    }
}

/// Sends the request of a case and compares what comes.
fn attempt(proxy: &Proxy, method: &str, number: usize, case: &Case) -> Result<(), String> {
    let mut client = proxy.connect();
    client.send(format!(
        "{method} /case/{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    ));
    let (ending, bytes) = client.rest();
    let ended = ending == crate::harness::client::Ending::Closed;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (status, content) = match final_response(&bytes, method, ended) {
        Reading::Complete(found) => (found.status(), found.text()),
        Reading::Partial if matches!(case.expect, Cut) => return Ok(()),
        other => return Err(format!("the client got {other:?}, {text:?}")),
    };
    let as_passed =
        |wanted: u16, wanted_content: &str| status == wanted && content == wanted_content;
    let right = match case.expect {
        BadGateway | Cut => status == 502,
        Passed(wanted, text) | PassedOnce(wanted, text) => as_passed(wanted, text),
        Either(wanted, text) => status == 502 || as_passed(wanted, text),
    };
    right
        .then_some(())
        .ok_or_else(|| format!("the client got {text:?}"))
}

/// The response after the interim ones; it must be the last thing in `bytes`.
fn final_response(mut bytes: &[u8], method: &str, ended: bool) -> Reading {
    loop {
        match message::response(bytes, method, ended) {
            Reading::Complete(found) if found.status() < 200 => bytes = &bytes[found.length..],
            Reading::Complete(found) if found.length < bytes.len() => {
                return Reading::Ambiguous("bytes after the response".into());
            }
            reading => return reading,
        }
    }
}

/// The next request gets its own answer, from a connection in which nothing is in doubt.
fn next(proxy: &Proxy, case: &Case) -> Result<(), String> {
    let response = proxy.get("/next");
    let allowed: &[&str] = match case.expect {
        BadGateway | Cut | PassedOnce(..) => &["new"],
        Passed(..) | Either(..) => &["new", "used"],
    };
    let text = response.text();
    if response.status() != 200 || !allowed.contains(&&*text) {
        return Err(format!("the next client got {:?} {text:?}", response.start));
    }
    Ok(())
}
