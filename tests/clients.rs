//! Clients and servers that others wrote: curl, requests, aiohttp, websockets, nginx, haproxy.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
};

use crate::harness::{
    Origin, Proxy, Setup,
    curl::{ONLY_STATUS, run as curl, text},
    haproxy::Haproxy,
    nginx::Nginx,
    python,
};

fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

/// nginx with files, an upload place and a slow path, behind a proxy without body limit.
fn nginx() -> (Nginx, Proxy) {
    let nginx = Nginx::start(
        "location /put/ { dav_methods PUT DELETE; create_full_put_path on; }\n\
         location /echo { return 200 \"$request_method $request_uri $http_x_a\"; }\n\
         location /gone { return 410; }",
    );
    nginx.scratch().write("hello.txt", "hello from nginx\n");
    nginx
        .scratch()
        .write("large.bin", &"0123456789abcdef".repeat(1 << 16));
    let setup = Setup::to(nginx.address()).listener("limits.body_bytes = \"unlimited\"");
    let proxy = Proxy::start(&setup);
    (nginx, proxy)
}

#[test]
fn curl_gets_heads_ranges_and_validates() {
    let (_nginx, proxy) = nginx();
    let hello = url(proxy.address(), "/hello.txt");
    assert_eq!(text(&curl(&[&hello])), "hello from nginx\n");
    assert_eq!(text(&curl(&["--range", "6-9", &hello])), "from");
    assert_eq!(text(&curl(&["--http1.0", &hello])), "hello from nginx\n");
    let head = text(&curl(&["--head", &hello])).to_ascii_lowercase();
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-length: 17"),
        "{head}"
    );
    let etag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("an ETag")
        .trim();
    let field = format!("If-None-Match: {etag}");
    assert_eq!(
        text(&curl(
            &[&ONLY_STATUS[..], &["--header", &field, &hello]].concat()
        )),
        "304"
    );
    let gone = url(proxy.address(), "/gone");
    assert_eq!(text(&curl(&[&ONLY_STATUS[..], &[&gone]].concat())), "410");
    // One connection for several requests; an offer of HTTP/2 is politely ignored.
    let twice = [&hello[..], &hello, "--write-out", "%{num_connects}\n"];
    assert!(text(&curl(&twice)).ends_with("0\n"));
    assert_eq!(text(&curl(&["--http2", &hello])), "hello from nginx\n");
}

#[test]
fn curl_uploads_sized_chunked_and_with_expect() {
    let (nginx, proxy) = nginx();
    let large = nginx.scratch().file("large.bin");
    let content = std::fs::read(&large).expect("a file");
    let file = large.to_string_lossy().into_owned();
    for (name, arguments) in [
        ("sized", &[][..]),
        ("chunked", &["--header", "Transfer-Encoding: chunked"]),
        (
            "expect",
            &[
                "--header",
                "Expect: 100-continue",
                "--expect100-timeout",
                "30",
            ],
        ),
    ] {
        let target = url(proxy.address(), &format!("/put/{name}"));
        text(&curl(
            &[arguments, &["--fail", "--upload-file", &file, &target]].concat(),
        ));
        let stored = nginx.scratch().file(&format!("put/{name}"));
        assert_eq!(
            std::fs::read(stored).ok().as_ref(),
            Some(&content),
            "{name}"
        );
        let back = curl(&[&target]);
        assert_eq!(back.stdout, content, "{name}");
    }
}

#[test]
fn python_requests_keeps_connections_and_streams() {
    let (_nginx, proxy) = nginx();
    python::run("requests_client.py", &[&url(proxy.address(), "")]);
}

#[test]
fn python_aiohttp_sends_many_requests_at_once() {
    let (_nginx, proxy) = nginx();
    python::run("aiohttp_client.py", &[&url(proxy.address(), "")]);
}

#[test]
fn both_ends_of_websockets_talk_through_the_tunnel() {
    let mut echo = python::start("websocket_echo.py", &[]);
    let mut line = String::new();
    let out = echo.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut line).expect("the port");
    let address: SocketAddr = format!("127.0.0.1:{}", line.trim())
        .parse()
        .expect("an address");
    let proxy = Proxy::to(address);
    python::run(
        "websocket_client.py",
        &[&format!("ws://{}/chat", proxy.address())],
    );
}

#[test]
fn haproxy_in_front_and_behind() {
    let behind = Haproxy::returning("from haproxy");
    let proxy = Proxy::to(behind.address());
    let front = Haproxy::forwarding(proxy.address());
    for _ in 0..10 {
        assert_eq!(
            text(&curl(&[&url(front.address(), "/chain")])),
            "from haproxy"
        );
    }
    let posted = ["--data", "a=b", &url(front.address(), "/post")];
    assert_eq!(text(&curl(&posted)), "from haproxy");
}

#[test]
fn curl_sees_every_kind_of_local_reply() {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).route(
        "here",
        "matches = [{ path = { prefix = \"/here\" } }]\nforward = \"origin\"",
    );
    let proxy = Proxy::start(&setup);
    let output = text(&curl(&["--include", &url(proxy.address(), "/elsewhere")]));
    assert!(output.starts_with("HTTP/1.1 404 "), "{output}");
}
