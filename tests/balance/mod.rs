//! Which endpoint gets a request: keys, cookies, weights, places, and those that fail.
//!
//! Origins answer with their names, so that a test sees where each request went. Policies are
//! judged at large by `bench/src/bin/simulate`; here is what only the whole proxy can show.

mod hash;
mod outlier;
mod places;
mod policies;
mod sticky;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Client, Origin, Peer, Response, Setup};

/// Answers with `status` and a name.
fn answer(peer: &mut Peer, status: u16, name: &str) {
    let length = name.len();
    peer.send(format!(
        "HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n{name}"
    ));
}

/// An origin that answers with its name.
fn named(name: &'static str) -> Origin {
    Origin::start(move |peer| {
        while peer.request().is_some() {
            answer(peer, 200, name);
        }
    })
}

/// An origin that answers with its name: 200 while the flag says so, else 503, to checks as well.
fn switched(name: &'static str, is_well: &Arc<AtomicBool>) -> Origin {
    let is_well = Arc::clone(is_well);
    Origin::start(move |peer| {
        while peer.request().is_some() {
            let is_well = is_well.load(Ordering::SeqCst);
            answer(peer, if is_well { 200 } else { 503 }, name);
        }
    })
}

/// Everything goes to the origins, each an endpoint with these further keys.
fn setup(endpoints: &[(&Origin, &str)], lines: &str) -> Setup {
    let endpoint = |(origin, keys): &(&Origin, &str)| {
        let address = origin.address();
        format!("{{ address = \"{address}\", {keys} }}")
    };
    let endpoints: Vec<String> = endpoints.iter().map(endpoint).collect();
    Setup::new().cluster_of("origin", &endpoints, lines)
}

/// The names of the origins that answered `count` requests, one after the other.
fn names(client: &mut Client, count: usize) -> String {
    (0..count).map(|_| client.get("/").text()).collect()
}

/// GETs `path` with a field.
fn get_with(client: &mut Client, path: &str, field: &str) -> Response {
    client.exchange(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"))
}
