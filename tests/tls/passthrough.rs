//! TLS that goes through unread, by the name that a client asks for.

use std::{
    fs,
    net::{Shutdown, SocketAddr, TcpStream},
    path::Path,
    process::Stdio,
    time::Duration,
};

use super::handshake::hello_for as hello;
use super::{HANDSHAKES, curl, status, text};
use crate::harness::{
    Origin, Proxy, Setup, certificates::Authority, client::Ending, nginx::Nginx, pattern, ports,
    proxy, wait,
};

const FAILURES: &str = "weft_listener_failures_total";

/// A proxy that lets `a.test`, `*.b.test` and, if wanted, the rest through to three clusters.
fn start(clusters: [SocketAddr; 3], has_rest: bool, lines: &str) -> Proxy {
    let [a, b, rest] = clusters;
    let mut setup = Setup::new()
        .top("[access_log]\npath = \"access.log\"\nflush = \"1ms\"")
        .listener(&format!("passthrough = true\n{lines}"))
        .host("a", "[\"a.test\"]")
        .route("a", "forward = \"a\"")
        .host("b", "[\"*.b.test\"]")
        .route("b", "forward = \"b\"");
    if has_rest {
        setup = setup
            .host("rest", "[\"*\"]")
            .route("rest", "forward = \"rest\"");
    }
    let setup = setup.cluster("a", &[a]).cluster("b", &[b]);
    Proxy::start(&setup.cluster("rest", &[rest]))
}

/// nginx over TLS that says who it is and what it was asked for.
fn nginx(authority: &Authority, file: &str, names: &str) -> Nginx {
    let shown = authority.issue(file, names);
    Nginx::start_tls(&format!(
        "ssl_certificate {}; ssl_certificate_key {};\n\
         location / {{ return 200 \"{file} $ssl_server_name\"; }}",
        shown.chain.display(),
        shown.key.display(),
    ))
}

#[test]
fn rfc6066_3_the_name_chooses_the_endpoint_which_decrypts() {
    let authority = Authority::new();
    let a = nginx(&authority, "a", "DNS:a.test");
    let b = nginx(&authority, "b", "DNS:*.b.test");
    let rest = nginx(&authority, "rest", "DNS:other.test,IP:127.0.0.1");
    let proxy = start([a.address(), b.address(), rest.address()], true, "");
    let get = |url: &str| text(&curl(&authority, &proxy, &[url]));
    assert_eq!(get("https://a.test/"), "a a.test");
    assert_eq!(get("https://x.b.test/"), "b x.b.test");
    assert_eq!(get("https://other.test/"), "rest other.test");
    // An address is no name.
    assert_eq!(get("https://127.0.0.1/"), "rest ");
    // The certificates are the endpoints' own: the proxy has none.
    let lines = wait::until("four lines of the access log", || {
        let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
        (text.lines().count() == 4).then_some(text)
    });
    for part in [
        "\"route\":\"a\"",
        "\"cluster\":\"b\"",
        "\"authority\":\"x.b.test\"",
        &format!("\"endpoint\":\"{}\"", rest.address()),
    ] {
        assert!(lines.contains(part), "{part} is not in:\n{lines}");
    }
    let closed = "weft_listener_connections_closed_total";
    proxy.expect_count(closed, "reason=\"tunnel_ended\"", 4);
}

#[test]
fn a_name_that_nobody_goes_by_gets_the_alert_that_says_so() {
    let authority = Authority::new();
    let a = nginx(&authority, "a", "DNS:a.test");
    let proxy = start([a.address(); 3], false, "");
    for (name, code) in [("other.test", 35), ("b.test", 35)] {
        let url = format!("https://{name}/");
        assert_eq!(status(&curl(&authority, &proxy, &[&url])), Err(code));
    }
    let mut client = proxy.connect();
    client.send(hello("other.test"));
    // RFC 8446 §6: fatal, unrecognized_name.
    assert_eq!(client.take(8), [21, 3, 3, 0, 2, 2, 112]);
    assert!(client.is_at_end());
    proxy.expect_count(FAILURES, "failure=\"no_route\"", 3);
    // An endpoint that is down is not the client's fault, and another one is tried before.
    let down = start([ports::free(); 3], true, "");
    let mut client = down.connect();
    client.send(hello("a.test"));
    assert_eq!(client.take(8), [21, 3, 3, 0, 2, 2, 80]);
    down.expect_count(FAILURES, "failure=\"connect_refused\"", 1);
}

#[test]
fn rfc8446_6_2_policies_judge_where_from_and_what_for() {
    let authority = Authority::new();
    let a = nginx(&authority, "a", "DNS:a.test");
    let b = nginx(&authority, "b", "DNS:*.b.test");
    for (policy, allowed, denied) in [
        (
            "action = \"deny\", hosts = [\"shut.b.test\"]",
            "a.test",
            "shut.b.test",
        ),
        (
            "action = \"deny\", sources = [\"127.0.0.0/8\"]",
            "",
            "a.test",
        ),
        (
            "action = \"deny\", sources = [\"127.0.0.1\"], not = { hosts = [\"a.test\"] }",
            "a.test",
            "x.b.test",
        ),
        // Who may not enter is not told what there is.
        (
            "action = \"deny\", hosts = [\"other.test\"]",
            "x.b.test",
            "other.test",
        ),
    ] {
        let lines = format!(
            "authorization = {{ default = \"allow\", policies = [{{ name = \"p\", {policy} }}] }}"
        );
        let proxy = start([a.address(), b.address(), a.address()], false, &lines);
        if !allowed.is_empty() {
            let url = format!("https://{allowed}/");
            assert!(
                status(&curl(&authority, &proxy, &[&url])).is_ok(),
                "{policy}"
            );
        }
        let mut client = proxy.connect();
        client.send(hello(denied));
        // Fatal, access_denied.
        assert_eq!(client.take(8), [21, 3, 3, 0, 2, 2, 49], "{policy}");
        assert!(client.is_at_end());
        proxy.expect_count(FAILURES, "failure=\"denied\"", 1);
        let decisions = "weft_authorization_decisions_total";
        proxy.expect_count(decisions, "policy=\"p\",decision=\"deny\"", 1);
        let line = wait::until("a line of the access log", || {
            let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
            text.lines()
                .find(|it| it.contains("denied"))
                .map(str::to_owned)
        });
        assert!(line.contains("\"policy\":\"listener/p\""), "{line}");
    }
}

#[test]
fn rfc8446_5_1_the_endpoint_gets_every_byte_however_the_hello_was_cut() {
    let origin = Origin::start(|peer| {
        while let Some(bytes) = peer.some() {
            peer.send(bytes);
        }
    });
    let proxy = start([origin.address(); 3], false, "");
    let mut hello = hello("a.test");
    let length = hello.len();
    // What follows a hello is the endpoint's business, be it early data or nonsense.
    hello.extend_from_slice(b"\x17\x03\x03\x00\x05early");
    for cut in (1..hello.len())
        .step_by(7)
        .chain([1, 4, 5, 6, length - 1, length, length + 1])
    {
        let mut client = proxy.connect();
        client.send(&hello[..cut]);
        if cut < length {
            // The proxy has to have seen the first part alone.
            wait::pass(Duration::from_millis(1));
        }
        client.send(&hello[cut..]);
        assert_eq!(client.take(hello.len()), hello, "{cut}");
    }
    let mut slow = proxy.connect();
    slow.trickle(&hello, Duration::from_micros(100));
    assert_eq!(slow.take(hello.len()), hello);
    // Hundreds of records of one byte, and a hello that no record could hold.
    let message = &hello[5..length];
    let pieces: Vec<u8> = message
        .iter()
        .flat_map(|byte| [22, 3, 1, 0, 1, *byte])
        .collect();
    let mut client = proxy.connect();
    client.send(&pieces);
    assert_eq!(client.take(pieces.len()), pieces);
    let mut long = message.to_vec();
    let extensions_at = 4 + 2 + 32 + 1 + usize::from(message[38]);
    let suites = usize::from(u16::from_be_bytes([
        message[extensions_at],
        message[extensions_at + 1],
    ]));
    let extensions_at =
        extensions_at + 2 + suites + 1 + usize::from(message[extensions_at + 2 + suites]);
    let padding = [&[0x0a, 0x0a, 0x75, 0x30][..], &[0; 30_000]].concat();
    let total = message.len() - extensions_at - 2 + padding.len();
    long[extensions_at..extensions_at + 2].copy_from_slice(&(total as u16).to_be_bytes());
    long.extend_from_slice(&padding);
    let body = (long.len() - 4) as u32;
    long[1..4].copy_from_slice(&body.to_be_bytes()[1..]);
    let records: Vec<u8> = long
        .chunks(1 << 14)
        .flat_map(|part| [&[22, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat())
        .collect();
    let mut client = proxy.connect();
    client.send(&records);
    assert_eq!(client.take(records.len()), records);
}

#[test]
fn what_is_no_hello_goes_nowhere() {
    let origin = Origin::answering("x");
    let lines = "timeouts.handshake = \"300ms\"";
    let proxy = start([origin.address(); 3], true, lines);
    let mut clear = proxy.connect();
    assert_eq!(clear.get("/").status(), 400);
    let mut broken = hello("a.test");
    broken[5] = 99;
    let mut client = proxy.connect();
    client.send(&broken);
    assert_eq!(client.take(8), [21, 3, 3, 0, 2, 2, 50]);
    let mut silent = proxy.connect();
    let mut half = proxy.connect();
    half.send(&hello("a.test")[..100]);
    assert!(silent.take(1).is_empty() && half.take(1).is_empty());
    let leaves = TcpStream::connect(proxy.address()).expect("connected");
    leaves.shutdown(Shutdown::Write).expect("closed");
    for (result, count) in [
        ("not_tls", 1),
        ("malformed", 1),
        ("timed_out", 2),
        ("closed", 1),
    ] {
        proxy.expect_count(HANDSHAKES, &format!("result=\"{result}\""), count);
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_side_that_has_said_all_still_hears_the_other() {
    let origin = Origin::start(|peer| {
        let mut count = 0;
        while let Some(bytes) = peer.some() {
            count += bytes.len();
        }
        peer.send(format!("{count} bytes"));
    });
    let proxy = start([origin.address(); 3], false, "route_timeouts.idle = \"1h\"");
    let hello = hello("a.test");
    let body = pattern::bytes(0, 3_000_000);
    let mut client = proxy.connect();
    client.send(&hello);
    client.send(&body);
    client.finish();
    let expected = format!("{} bytes", hello.len() + body.len());
    assert_eq!(client.take(expected.len() + 1), expected.as_bytes());
    assert!(client.is_at_end());
}

#[test]
fn a_tunnel_that_breaks_or_idles_does_not_look_like_an_end() {
    let origin = Origin::start(|peer| {
        peer.some();
        peer.send("begun");
        // Until the other side has enough of it.
        while peer.some().is_some() {}
    });
    let proxy = start(
        [origin.address(); 3],
        false,
        "route_timeouts.idle = \"300ms\"",
    );
    let mut client = proxy.connect();
    client.send(hello("a.test"));
    assert_eq!(client.take(5), b"begun");
    assert_eq!(client.rest().0, Ending::Reset);
    proxy.expect_count(FAILURES, "failure=\"upstream_idle_timeout\"", 1);
}

#[test]
fn the_shipped_configuration_serves() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/passthrough.toml");
    let shipped = fs::read_to_string(path).expect("a configuration");
    let authority = Authority::new();
    let shop = nginx(&authority, "shop", "DNS:shop.example.com");
    let rest = nginx(&authority, "rest", "DNS:other.test");
    let (address, admin) = (ports::free(), ports::free());
    let config = shipped
        .replace("127.0.0.1:8443\"", &format!("{address}\""))
        .replace("127.0.0.1:9901", &admin.to_string())
        .replace("127.0.0.1:9441", &shop.address().to_string())
        // The second endpoint is down.
        .replace("127.0.0.1:9442", &ports::free().to_string())
        .replace("127.0.0.1:9443", &rest.address().to_string());
    let proxy = Proxy::start_with(&config, address, admin);
    for _ in 0..4 {
        let got = text(&curl(&authority, &proxy, &["https://shop.example.com/"]));
        assert_eq!(got, "shop shop.example.com");
    }
    assert_eq!(
        text(&curl(&authority, &proxy, &["https://other.test/"])),
        "rest other.test"
    );
    // openssl agrees about whose certificate it is.
    let mut command = std::process::Command::new("openssl");
    command
        .args([
            "s_client",
            "-connect",
            &address.to_string(),
            "-servername",
            "shop.example.com",
        ])
        .args([
            "-verify_return_error",
            "-verify_hostname",
            "shop.example.com",
            "-CAfile",
        ])
        .arg(authority.ca())
        .stdin(Stdio::null());
    let output = proxy::output(&mut command);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && out.contains("Verify return code: 0"),
        "{out}"
    );
}
