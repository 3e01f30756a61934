//! Nothing on the path of a request allocates in steady state.
//!
//! The proxy, its origin and its client run in this process under a counting allocator; origin and
//! client read and write fixed buffers, so that what is counted is the proxy's. A histogram that
//! is made at its first sample, or a table that grows once, is warm-up.

#![expect(
    clippy::disallowed_methods,
    reason = "the origin and the client of this test are plain threads"
)]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::authenticate::hash_api_key;
use engine::proxy::{Errands, Snapshot};
use engine::shard::{Doors, ShardCommand, Shards};
use engine::{config, limits};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 16;
const WARM_UP: usize = 500;
const ROUNDS: usize = 2000;
const API_KEY: &str = "a key that is known by its hash";
/// Bodies that come with their head in one run: copied behind it, and left where they arrived.
const BODY_BYTES: [usize; 2] = [1024, 16 * 1024];

/// Answers every request head with a body of so many bytes until the peer closes.
fn serve(mut stream: TcpStream, body_bytes: usize) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {body_bytes}\r\n\r\n");
    let answer = [head.as_bytes(), &vec![b'x'; body_bytes]].concat();
    let mut received = [0; 4096];
    let mut filled = 0;
    while let Ok(count @ 1..) = stream.read(&mut received[filled..]) {
        filled += count;
        while let Some(end) = find(&received[..filled], b"\r\n\r\n") {
            stream.write_all(&answer).expect("the proxy reads");
            received.copy_within(end + 4..filled, 0);
            filled -= end + 4;
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Sends one request on every connection, then reads every answer to its end.
fn round(clients: &mut [TcpStream], request: &str, body_bytes: usize) {
    let mut received = [0; 32 * 1024];
    for client in &mut *clients {
        client
            .write_all(request.as_bytes())
            .expect("the proxy reads");
    }
    for client in clients {
        let (mut filled, mut body) = (0, None);
        while body.is_none_or(|begin| filled < begin + body_bytes) {
            let count = client.read(&mut received[filled..]).expect("an answer");
            assert_ne!(count, 0, "the proxy closed");
            filled += count;
            body = body.or_else(|| find(&received[..filled], b"\r\n\r\n").map(|end| end + 4));
        }
        assert!(received.starts_with(b"HTTP/1.1 200 "));
    }
}

/// A token with the claims that `start` asks for, and the key set that verifies it.
fn token() -> (String, String) {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let key = Ed25519KeyPair::generate().expect("a key");
    let x = encode(key.public_key().as_ref());
    let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let exp = now.expect("after 1970").as_secs() + 3600;
    let claims = format!(r#"{{"iss":"i","aud":"a","sub":"alice","exp":{exp}}}"#);
    let header = encode(br#"{"alg":"EdDSA"}"#);
    let signed = format!("{header}.{}", encode(claims.as_bytes()));
    let signature = key.sign(signed.as_bytes());
    (format!("{signed}.{}", encode(signature.as_ref())), keys)
}

/// A request with an API key and a token.
fn request(token: &str) -> String {
    format!(
        "GET /a/b?c=d HTTP/1.1\r\nHost: example.com\r\nUser-Agent: t\r\n\
         X-Api-Key: {API_KEY}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
}

/// The running proxy, and where it listens. Who calls must prove it in two ways.
fn start(origin: SocketAddr, keys: &str) -> (Shards, config::Address) {
    let file = std::env::temp_dir().join(format!("weft-allocations-{}", std::process::id()));
    std::fs::write(&file, keys).expect("a file of keys");
    let (path, hash) = (file.display(), hash_api_key(API_KEY.as_bytes()));
    let text = format!(
        r#"
        [[authentication.api_keys]]
        name = "keys"
        header = "x-api-key"
        keys = [{{ owner = "o", hash = "{hash}" }}]
        [[authentication.jwt]]
        name = "issuer"
        issuer = "i"
        audiences = ["a"]
        keys = {{ file = "{path}" }}
        claim_headers = {{ x-user = "sub" }}
        [shards]
        count = 1
        [[listeners]]
        name = "main"
        address = "127.0.0.1:0"
        limits.requests_per_connection = "unlimited"
        [[listeners.rate_limits]]
        name = "each"
        requests = 100000
        burst = 1000000
        key = ["client", "header:user-agent"]
        [listeners.authorization]
        policies = [
            {{ name = "networks", action = "deny", sources = ["192.0.2.0/24"] }},
            {{ name = "admin", action = "deny", paths = [{{ prefix = "/admin" }}] }},
            {{ name = "named", action = "deny", principals = [{{ spiffe = "spiffe://a.org/x" }}] }},
            {{ name = "hosts", action = "deny", hosts = ["*.example.org"] }},
            {{ name = "posts", action = "deny", methods = ["POST"] }},
            {{ name = "trial", action = "deny", audit = true, paths = [{{ regex = "/[a-z]/b" }}] }},
            {{ name = "agents", action = "allow", headers = [{{ name = "user-agent", exact = "t" }}] }},
        ]
        [[listeners.virtual_hosts]]
        hosts = ["*"]
        [[listeners.virtual_hosts.routes]]
        name = "all"
        authenticate = {{ all_of = ["keys", "issuer"] }}
        forward = "origin"
        [[clusters]]
        name = "origin"
        endpoints = ["{origin}"]
        "#
    );
    let parsed = config::parse(&text, "allocations.toml".as_ref());
    let mut config = parsed.expect("a valid configuration");
    let doors = Doors::open(&mut config).expect("a free port");
    let snapshot = Arc::new(Snapshot::compile(&config).expect("keys that can be read"));
    std::fs::remove_file(file).expect("the file of keys");
    let shards = Shards::start(snapshot, doors, &Errands::new().0).expect("io_uring");
    for shard in shards.senders() {
        shard.send(ShardCommand::Accept).expect("a shard");
    }
    (shards, config.listeners[0].address.clone())
}

#[test]
fn a_request_allocates_nothing_in_steady_state() {
    BODY_BYTES.into_iter().for_each(allocates_nothing);
}

fn allocates_nothing(body_bytes: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let origin = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("accept");
            std::thread::spawn(move || serve(stream, body_bytes));
        }
    });
    let (token, keys) = token();
    let (shards, address) = start(origin, &keys);
    let request = request(&token);
    let config::Address::Tcp(proxy) = address else {
        panic!("a TCP listener")
    };
    let mut clients: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| TcpStream::connect(proxy).expect("connect"))
        .collect();
    for _ in 0..WARM_UP {
        round(&mut clients, &request, body_bytes);
    }

    let region = Region::new(ALLOCATOR);
    for _ in 0..ROUNDS {
        round(&mut clients, &request, body_bytes);
    }
    let change = region.change();

    let requests = ROUNDS * CONNECTIONS;
    let allocations = change.allocations + change.reallocations;
    println!("{allocations} allocations in {requests} requests of {body_bytes} bytes");
    // What depends on time and not on requests may allocate: the sweep of the upstream pool is a
    // task that comes and goes, a table may still grow.
    assert!(
        allocations <= requests / 100,
        "{change:?} in {requests} requests"
    );

    drop(clients);
    for mailbox in shards.senders() {
        let deadline = Duration::from_secs(1).max(limits::DRAIN_POLL);
        let drain = ShardCommand::Drain { deadline };
        mailbox.send(drain).expect("the shard lives");
    }
    shards.join();
}
