//! A thousand changes in a row under load: no request is lost, no connection is reset.
//!
//! The load generator keeps connections alive in one process, makes a new one for each request in
//! a second, and speaks TLS in a third; a WebSocket stays open all along. `cargo test -p tests
//! --test integration -- --nocapture a_thousand_reloads` prints the table.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    Client, Origin, Proxy, Setup,
    certificates::{Authority, Certificate},
    origin::echo_targets,
    ports,
    proxy::loadgen,
    scratch::Scratch,
    wait,
};

use super::{generation, start, text};

const RELOADS: u64 = 1_000;

/// A kind of load: its name, and what the generator is told.
type Load<'a> = (&'a str, Vec<String>);

/// What came of one kind of load.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    failed: u64,
    /// How often what came instead of an answer, and in which seconds.
    kinds: BTreeMap<String, (u64, Vec<u64>)>,
}

impl Tally {
    fn fail(&mut self, kind: &str, count: u64, second: u64) {
        if count > 0 {
            self.failed += count;
            let (sum, seconds) = self.kinds.entry(kind.to_owned()).or_default();
            *sum += count;
            seconds.push(second);
        }
    }
}

/// Generates load until `is_over`, and adds up what the generator reports.
fn generate(arguments: &[String], is_over: &AtomicBool) -> Tally {
    let (scratch, mut tally) = (Scratch::new(), Tally::default());
    let (json, begun) = (scratch.file("run.json"), Instant::now());
    while !is_over.load(Ordering::Relaxed) {
        let second = begun.elapsed().as_secs();
        let mut command = loadgen();
        command.args(["run", "--duration", "3s", "--quiet", "--json"]);
        command.arg(&json).args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("loadgen runs");
        let report: Value =
            serde_json::from_slice(&fs::read(&json).expect("a report")).expect("a report as JSON");
        let count = |of: &Value| of.as_u64().unwrap_or(0);
        for (status, answers) in report["statuses"].as_object().into_iter().flatten() {
            match &**status {
                "200" => tally.answered += count(answers),
                other => tally.fail(&format!("status {other}"), count(answers), second),
            }
        }
        for (error, times) in report["errors"].as_object().into_iter().flatten() {
            tally.fail(error, count(times), second);
        }
        let connections = count(&report["connections"]["failed"]);
        tally.fail("connection failed", connections, second);
    }
    tally
}

/// What the proxy says of the requests that it did not answer with 200, one a line.
fn refusals(proxy: &Proxy) -> String {
    let log = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
    let is_other = |line: &&str| !line.contains("\"status\":200,") && !line.contains(":101,");
    let lines: Vec<&str> = log.lines().filter(is_other).collect();
    let shown = lines.iter().take(40).copied().collect::<Vec<_>>();
    format!(
        "{} lines of other statuses:\n{}",
        lines.len(),
        shown.join("\n")
    )
}

/// An upgrade that is accepted, and then everything back in upper case; or an ordinary request.
fn serve(peer: &mut crate::harness::Peer) {
    let is_tunnel = |head: &str| head.starts_with("GET /ws ");
    let Some(head) = peer.head() else { return };
    if !is_tunnel(&head) {
        if peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") {
            while peer.head().is_some()
                && peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            {}
        }
        return;
    }
    peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    );
    while let Some(bytes) = peer.some() {
        peer.send(bytes.to_ascii_uppercase());
    }
}

fn open_websocket(proxy: &Proxy) -> Client {
    let mut client = proxy.connect();
    let response = client.exchange(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA==\r\n\r\n",
    );
    assert_eq!(response.status(), 101);
    client
}

/// What changes from one generation to the next.
struct Course {
    secured: SocketAddr,
    endpoints: Vec<SocketAddr>,
    certificates: [Certificate; 2],
    shown: Certificate,
}

impl Course {
    fn setup(&self, turn: u64) -> Setup {
        // Two endpoints stay, one comes and goes.
        let count = 2 + usize::from(turn % 3 == 1);
        let mut setup = Setup::new()
            .shards(2)
            .top("access_log = { path = \"access.log\" }")
            .cluster("origin", &self.endpoints[..count]);
        if turn % 2 == 1 {
            let lines = "matches = [{ path = { prefix = \"/other\" } }]\n\
                         direct_response = { status = 204 }";
            setup = setup.route(&format!("turn-{}", turn % 7), lines);
        }
        let lines = format!(
            "forward = \"origin\"\nresponse_headers = {{ set = {{ x-turn = \"{turn}\" }} }}"
        );
        setup.route("all", &lines)
    }

    /// The configuration of this turn. Every fifth one shows another certificate.
    fn text(&self, proxy: &Proxy, turn: u64) -> String {
        if turn.is_multiple_of(5) {
            let next = &self.certificates[usize::from(turn.is_multiple_of(10))];
            // The key first would be as good: what does not fit is refused until both are there.
            fs::copy(&next.chain, &self.shown.chain).expect("a certificate");
            fs::copy(&next.key, &self.shown.key).expect("a key");
        }
        format!(
            "{}\n[[listeners]]\nname = \"secured\"\naddress = \"{}\"\n\
             tls.certificates = [{}]\n[[listeners.virtual_hosts]]\nname = \"all\"\nhosts = [\"*\"]\n\
             [[listeners.virtual_hosts.routes]]\nname = \"secured\"\nforward = \"origin\"\n",
            text(proxy, &self.setup(turn)),
            self.secured,
            self.shown.toml()
        )
    }
}

#[test]
fn a_thousand_reloads_lose_no_request_and_reset_no_connection() {
    let origins: Vec<Origin> = (0..3).map(|_| Origin::start(serve)).collect();
    let (authority, scratch) = (Authority::new(), Scratch::new());
    let shown = Certificate {
        chain: scratch.file("shown.pem"),
        key: scratch.file("shown.key"),
    };
    let course = Course {
        secured: ports::free(),
        endpoints: origins.iter().map(Origin::address).collect(),
        certificates: ["one", "two"].map(|name| authority.issue(name, "IP:127.0.0.1")),
        shown,
    };
    let proxy = start(&course.setup(0));
    change(&proxy, &course.text(&proxy, 0));
    let mut websocket = open_websocket(&proxy);
    let ca = authority.ca().display().to_string();
    let plain = format!("http://{}/", proxy.address());
    let loads: [Load<'_>; 3] = [
        (
            "kept alive",
            vec![plain.clone(), "--rate".into(), "300".into()],
        ),
        ("one each", {
            let each = ["--requests-per-connection", "1", "--rate", "100"];
            [vec![plain], each.map(Into::into).to_vec()].concat()
        }),
        ("TLS, one each", {
            let url = format!("https://{}/", course.secured);
            let each = ["--requests-per-connection", "1", "--rate", "30"];
            [
                vec![url],
                each.map(Into::into).to_vec(),
                vec!["--cacert".into(), ca],
            ]
            .concat()
        }),
    ];
    let is_over = AtomicBool::new(false);
    let first = generation(&proxy);
    let tallies = thread::scope(|scope| {
        let running = loads
            .iter()
            .map(|(_, load)| scope.spawn(|| generate(load, &is_over)));
        let running: Vec<_> = running.collect();
        for turn in 1..=RELOADS {
            change(&proxy, &course.text(&proxy, turn));
            let message = format!("turn {turn}");
            websocket.send(&message);
            assert_eq!(
                websocket.take(message.len()),
                message.to_ascii_uppercase().as_bytes()
            );
        }
        is_over.store(true, Ordering::Relaxed);
        let ended = running.into_iter().map(|it| it.join().expect("a tally"));
        ended.collect::<Vec<_>>()
    });
    print_table(&loads, &tallies, generation(&proxy) - first);
    assert_eq!(generation(&proxy), first + RELOADS);
    for tally in &tallies {
        let is_lossless = tally.answered > 0 && tally.failed == 0;
        assert!(is_lossless, "{tallies:#?}\n{}", refusals(&proxy));
    }
    // The WebSocket holds the generation in which it began, and nobody any other.
    wait::for_("the generations between to be freed", || {
        proxy.metric("weft_config_generations_alive", "") == 2.0
    });
    drop(websocket);
    wait::for_("all but the last to be freed", || {
        proxy.metric("weft_config_generations_alive", "") == 1.0
    });
}

fn print_table(loads: &[Load<'_>], tallies: &[Tally], reloads: u64) {
    println!("| load | requests answered | failed or reset |\n| --- | --: | --: |");
    for ((name, _), tally) in loads.iter().zip(tallies) {
        println!("| {name} | {} | {} |", tally.answered, tally.failed);
    }
    println!("| WebSocket, one connection | {RELOADS} | 0 |");
    println!("| reloads | {reloads} | 0 |");
}

/// Gives the proxy another configuration and waits until it is in effect.
fn change(proxy: &Proxy, text: &str) {
    let before = running(proxy);
    fs::write(proxy.file("weft.toml"), text).expect("the configuration");
    proxy.signal(Signal::HUP);
    wait::for_("the next generation", || running(proxy) > before);
}

/// The generation, without asking the shards.
fn running(proxy: &Proxy) -> u64 {
    let dump = proxy.admin_json("/config_dump");
    assert!(
        dump.get("last_rejection").is_none(),
        "{}",
        dump["last_rejection"]
    );
    dump["generation"].as_u64().expect("a number")
}

#[test]
fn memory_does_not_grow_with_reloads() {
    let origin = Origin::start(echo_targets);
    let routes = |turn: u64| {
        let setup = Setup::to(origin.address());
        (0..50).fold(setup, |setup, place| {
            let lines = format!(
                "matches = [{{ path = {{ exact = \"/{turn}/{place}\" }} }}]\nforward = \"origin\""
            );
            setup.route(&format!("route-{turn}-{place}"), &lines)
        })
    };
    let proxy = start(&routes(0));
    let turn = |turn: u64| {
        change(&proxy, &text(&proxy, &routes(turn)));
        let answer = proxy.get(&format!("/{turn}/7"));
        assert_eq!(answer.status(), 200);
    };
    (1..=100).for_each(turn);
    let before = proxy.resident_bytes();
    (101..=300).for_each(turn);
    let after = proxy.resident_bytes();
    // 200 generations of 50 routes with new names: kept, they would take some 40 MiB.
    assert!(after < before + (8 << 20), "{before} bytes, then {after}");
    assert_eq!(proxy.metric("weft_config_generations_alive", ""), 1.0);
}
