//! Runs a table of raw requests through the proxy and judges what the origin saw.
//!
//! Each case is sent twice, whole and byte by byte, and must end the same way. After each, a clean
//! request on a new connection must get its own answer: a connection to the origin that was left
//! out of step shows there at the latest. The proxy runs one shard, so that it would be reused.

use crate::harness::{Client, Message, Origin, Proxy, Reading, Setup, message};

/// What must become of a case.
pub(super) enum Expect {
    /// Refused with one of these statuses; the connection closed; no whole request at the origin.
    Refused(&'static [u16]),
    /// The origin saw these requests and nothing else: `METHOD target` or `METHOD target content`.
    Seen(&'static [&'static str]),
    /// Either of both.
    Either(&'static [u16], &'static [&'static str]),
}

pub(super) use Expect::{Either, Refused, Seen};

/// A case: its name starts with the section or the advisory that it is about.
pub(super) struct Case {
    /// For example `rfc9112_6_3_cl_then_te`.
    pub(super) name: &'static str,
    /// What the client sends.
    pub(super) bytes: &'static [u8],
    /// What must become of it.
    pub(super) expect: Expect,
}

/// Shortens the tables.
pub(super) const fn case(name: &'static str, bytes: &'static [u8], expect: Expect) -> Case {
    Case {
        name,
        bytes,
        expect,
    }
}

/// What happened to a case.
struct Observed {
    /// Statuses that the client got before the end of the connection.
    statuses: Vec<u16>,
    /// Whole requests at the origin, as in [`Expect::Seen`].
    seen: Vec<String>,
}

/// Runs every case; fails with the list of those that went wrong.
pub(super) fn run(cases: &[Case]) {
    let origin = Origin::echoing_targets();
    // A request that is taken for incomplete shows as 408.
    let setup = Setup::to(origin.address())
        .listener("timeouts.header = \"5s\"\ntimeouts.body_gap = \"5s\"");
    let proxy = Proxy::start(&setup);
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        for piece in [usize::MAX, 1] {
            let found = observe(&proxy, &origin, case, piece, number)
                .and_then(|observed| judge(&case.expect, &observed));
            if let Err(why) = found {
                let manner = if piece == 1 { "byte by byte" } else { "whole" };
                wrong.push(format!(
                    "{} ({manner}): {why}\n    {}",
                    case.name,
                    shown(case.bytes)
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        2 * cases.len(),
        wrong.join("\n")
    );
    println!("{} cases, each whole and byte by byte", cases.len());
}

fn shown(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(400)].escape_ascii().to_string()
}

/// Sends the case, then the canary, and collects what both ends saw of the case.
fn observe(
    proxy: &Proxy,
    origin: &Origin,
    case: &Case,
    piece: usize,
    number: usize,
) -> Result<Observed, String> {
    let mark = origin.mark();
    let mut client = proxy.connect();
    client.send_in_pieces(case.bytes, piece.min(case.bytes.len()));
    let statuses = statuses(&mut client, case)?;
    let canary = canary(proxy, number)?;
    origin.settle();
    let mut seen = Vec::new();
    for bytes in origin.since(&mark) {
        let (found, rest) = message::requests(&bytes);
        if let Reading::Ambiguous(why) = rest {
            return Err(format!("the origin got {why}: {}", shown(&bytes)));
        }
        seen.extend(found.iter().map(summary));
    }
    seen.retain(|request| *request != canary);
    Ok(Observed { statuses, seen })
}

fn summary(request: &Message) -> String {
    let summary = format!(
        "{} {} {}",
        request.method(),
        request.target(),
        request.text()
    );
    summary.trim_end().to_owned()
}

/// Every final status until the end of the connection.
///
/// The client closes its side only when it has what it expects or was refused: what is wrong must
/// be found in the bytes, not in their end.
fn statuses(client: &mut Client, case: &Case) -> Result<Vec<u16>, String> {
    let method = if case.bytes.starts_with(b"HEAD ") {
        "HEAD"
    } else {
        "GET"
    };
    let wanted = match case.expect {
        Refused(_) => 1,
        Seen(requests) | Either(_, requests) => requests.len(),
    };
    let mut statuses = Vec::new();
    loop {
        match client.try_response_to(method) {
            Ok(response) if response.status() < 200 => {}
            Ok(response) => statuses.push(response.status()),
            Err(why) if client.is_at_end() => return end(client, statuses, &why),
            Err(why) => return Err(why),
        }
        if statuses.len() >= wanted || statuses.last().is_some_and(|&status| status >= 400) {
            client.finish();
        }
    }
}

/// Nothing but whole responses may have come before the end.
fn end(client: &mut Client, statuses: Vec<u16>, why: &str) -> Result<Vec<u16>, String> {
    let (_, rest) = client.rest();
    if rest.is_empty() {
        Ok(statuses)
    } else {
        Err(why.to_owned())
    }
}

fn judge(expect: &Expect, observed: &Observed) -> Result<(), String> {
    match expect {
        Refused(allowed) => refused(allowed, observed),
        Seen(requests) => seen(requests, observed),
        Either(allowed, requests) => {
            refused(allowed, observed).or_else(|_| seen(requests, observed))
        }
    }
}

fn refused(allowed: &[u16], observed: &Observed) -> Result<(), String> {
    let Observed { statuses, seen } = observed;
    if !seen.is_empty() {
        return Err(format!(
            "the origin saw {seen:?}, the client got {statuses:?}"
        ));
    }
    match statuses[..] {
        [status] if allowed.contains(&status) => Ok(()),
        _ => Err(format!(
            "the client got {statuses:?}, expected one of {allowed:?} and the end"
        )),
    }
}

fn seen(requests: &[&str], observed: &Observed) -> Result<(), String> {
    let Observed { statuses, seen } = observed;
    if seen != requests {
        return Err(format!(
            "the origin saw {seen:?}, expected {requests:?}; got {statuses:?}"
        ));
    }
    // What follows the last request may be refused; it is not what the origin saw.
    let (answers, rest) = statuses.split_at(requests.len().min(statuses.len()));
    let is_refusal = rest.is_empty() || matches!(rest, [status] if *status >= 400);
    if answers != vec![200; requests.len()] || !is_refusal {
        return Err(format!(
            "the client got {statuses:?} for {} requests",
            requests.len()
        ));
    }
    Ok(())
}

/// The next client gets its own answer. Gives back the request as the origin should see it.
fn canary(proxy: &Proxy, number: usize) -> Result<String, String> {
    let target = format!("/canary-{number}");
    let response = proxy.get(&target);
    if response.status() != 200 || response.text() != target {
        return Err(format!(
            "the next client got {:?} {}",
            response.start,
            response.text()
        ));
    }
    Ok(format!("GET {target}"))
}
