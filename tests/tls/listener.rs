//! What clients are shown, and what their requests get.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::{HANDSHAKES, ONLY_STATUS, curl, domain::Domain, echo, sidecar::shipped, status, text};
use crate::harness::{
    Origin, Proxy, Setup, certificates::Authority, curl as client, pattern, ports, proxy, python,
    scratch::Scratch,
};

/// A proxy with these certificates in front of an origin that answers with 200.
fn start(authority: &Authority, names: &[&str], lines: &str) -> (Origin, Proxy) {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
    let certificates: Vec<String> = names
        .iter()
        .map(|name| {
            let file = name.replace('*', "any");
            authority.issue(&file, &format!("DNS:{name}")).toml()
        })
        .collect();
    let certificates = certificates.join(", ");
    let setup = Setup::to(origin.address())
        .listener(&format!("tls.certificates = [{certificates}]\n{lines}"));
    let proxy = Proxy::start(&setup);
    (origin, proxy)
}

#[test]
fn rfc6066_3_the_certificate_is_the_one_for_the_name() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, &["a.test", "b.test", "*.c.test"], "");
    let shown = |name: &str| {
        let url = format!("https://{name}/");
        // The name need not be verified to see what is shown.
        let output = curl(&authority, &proxy, &["--insecure", "--verbose", &url]);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let subject = err.lines().find_map(|line| line.split_once("subject: CN="));
        subject.map(|(_, name)| name.to_owned())
    };
    assert_eq!(shown("a.test").as_deref(), Some("a.test"));
    assert_eq!(shown("B.test").as_deref(), Some("b.test"));
    assert_eq!(shown("x.c.test").as_deref(), Some("any.c.test"));
    // RFC 9525 §6.3: a wildcard stands for one label.
    assert_eq!(shown("x.y.c.test").as_deref(), Some("a.test"));
    assert_eq!(shown("other.test").as_deref(), Some("a.test"));
    assert_eq!(
        text(&curl(&authority, &proxy, &["https://x.c.test/"])),
        "yes"
    );
}

#[test]
fn both_versions_and_both_kinds_of_keys_serve() {
    let authority = Authority::new();
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes");
    let elliptic = authority.issue("ec", "DNS:a.test").toml();
    let rsa = authority.issue_rsa("rsa", "DNS:a.test").toml();
    let lines = format!("tls.certificates = [{elliptic}, {rsa}]");
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(&lines));
    for (arguments, expected) in [
        (&["--tlsv1.3"][..], "TLSv1.3"),
        (&["--tls-max", "1.2"], "TLSv1.2"),
        (
            &[
                "--tls-max",
                "1.2",
                "--ciphers",
                "ECDHE-RSA-AES128-GCM-SHA256",
            ],
            "TLSv1.2",
        ),
        (
            &[
                "--tls-max",
                "1.2",
                "--ciphers",
                "ECDHE-ECDSA-CHACHA20-POLY1305",
            ],
            "TLSv1.2",
        ),
    ] {
        let arguments = [arguments, &["--verbose", "https://a.test/"]].concat();
        let output = curl(&authority, &proxy, &arguments);
        assert_eq!(text(&output), "yes", "{arguments:?}");
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            err.contains(&format!("SSL connection using {expected}")),
            "{err}"
        );
        assert!(err.contains("ALPN: server accepted http/1.1"), "{err}");
    }
    proxy.expect_count(HANDSHAKES, "result=\"full\"", 4);
    // RFC 8996: 1.1 and below are not spoken.
    let old = curl(
        &authority,
        &proxy,
        &[
            "--tls-max",
            "1.1",
            "--ciphers",
            "ALL:@SECLEVEL=0",
            "https://a.test/",
        ],
    );
    assert_eq!(status(&old), Err(35));
    proxy.expect_count(HANDSHAKES, "result=\"incompatible\"", 1);
}

#[test]
fn a_listener_can_insist_on_1_3() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, &["a.test"], "tls.min_version = \"1.3\"");
    assert_eq!(text(&curl(&authority, &proxy, &["https://a.test/"])), "yes");
    let old = curl(&authority, &proxy, &["--tls-max", "1.2", "https://a.test/"]);
    assert_eq!(status(&old), Err(35));
}

#[test]
fn rfc9110_15_5_20_a_request_for_another_certificates_host_gets_421() {
    let authority = Authority::new();
    let (origin, proxy) = start(&authority, &["a.test", "b.test", "*.c.test"], "");
    let get = |name: &str, host: &str| {
        let (url, host) = (format!("https://{name}/"), format!("Host: {host}"));
        let arguments = [&ONLY_STATUS[..], &["--insecure", "-H", &host, &url]].concat();
        status(&curl(&authority, &proxy, &arguments))
    };
    assert_eq!(get("a.test", "b.test"), Ok("421".into()));
    assert_eq!(get("x.c.test", "a.test"), Ok("421".into()));
    assert_eq!(get("a.test", "unknown.test"), Ok("421".into()));
    assert_eq!(origin.connections(), 0);
    assert_eq!(get("a.test", "A.TEST:443"), Ok("200".into()));
    assert_eq!(get("x.c.test", "y.c.test"), Ok("200".into()));
    // The first certificate stands for all names that none is for.
    assert_eq!(get("unknown.test", "other.test"), Ok("200".into()));
    proxy.expect_count("weft_listener_failures_total", "failure=\"misdirected\"", 3);
}

#[test]
fn bodies_of_any_size_come_through_unchanged() {
    let authority = Authority::new();
    let origin = echo();
    let certificate = authority.issue("a", "DNS:a.test").toml();
    let lines = format!("tls.certificates = [{certificate}]\nlimits.body_bytes = \"unlimited\"");
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(&lines));
    for size in [0, 1, 1_000, 16_383, 16_384, 16_385, 100_000, 5_000_000] {
        let body = pattern::bytes(0, size);
        let file = proxy.file("body");
        fs::write(&file, &body).expect("written");
        let from = format!("@{}", file.display());
        let arguments = ["--data-binary", &from, "-H", "Expect:", "https://a.test/"];
        let output = curl(&authority, &proxy, &arguments);
        assert!(
            output.status.success() && output.stdout == body,
            "{size} bytes"
        );
    }
}

#[test]
fn rfc6960_a_configured_response_is_stapled() {
    let authority = Authority::new();
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let certificate = authority.issue("a", "DNS:a.test");
    let response = authority.ocsp_response(&certificate);
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    let lines = format!(
        "tls.certificates = [{{ chain = \"{chain}\", key = \"{key}\", ocsp = \"{}\" }}]",
        response.display()
    );
    let proxy = Proxy::start(&Setup::to(origin.address()).listener(&lines));
    let stapled = |proxy: &Proxy| {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-status",
            "-connect",
            &proxy.address().to_string(),
        ]);
        let output = proxy::output(command.arg("-CAfile").arg(authority.ca()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = stapled(&proxy);
    assert!(
        shown.contains("OCSP Response Status: successful"),
        "{shown}"
    );
    assert!(shown.contains("Cert Status: good"), "{shown}");
    let (_origin, bare) = start(&authority, &["b.test"], "");
    let shown = stapled(&bare);
    assert!(shown.contains("OCSP response: no response sent"), "{shown}");
}

#[test]
fn rfc8446_2_2_sessions_are_resumed_on_any_shard_by_tickets() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, &["a.test"], "");
    let address = proxy.address().to_string();
    for version in ["-tls1_3", "-tls1_2"] {
        let ticket = proxy.file("ticket").display().to_string();
        let connect = |how: &str| {
            let mut command = Command::new("openssl");
            command.args([
                "s_client",
                "-connect",
                &address,
                "-servername",
                "a.test",
                version,
            ]);
            command.args(["-ign_eof", how, &ticket]);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = command.spawn().expect("openssl starts");
            let request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
            let mut input = child.stdin.take().expect("its input");
            std::io::Write::write_all(&mut input, request).expect("sent");
            let output = child.wait_with_output().expect("its output");
            drop(input);
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let first = connect("-sess_out");
        assert!(first.contains("New, TLSv1"), "{first}");
        let second = connect("-sess_in");
        assert!(
            second.contains("Reused, TLSv1") && second.contains("yes"),
            "{second}"
        );
    }
    proxy.expect_count(HANDSHAKES, "result=\"full\"", 2);
    proxy.expect_count(HANDSHAKES, "result=\"resumed\"", 2);
}

#[test]
fn rfc8446_6_1_the_end_is_announced() {
    let authority = Authority::new();
    let (_origin, proxy) = start(&authority, &["a.test"], "");
    let (ca, port) = (
        authority.ca().display().to_string(),
        proxy.address().port().to_string(),
    );
    // Python's ssl raises an error at a FIN without close_notify.
    let told = python::run("tls_end.py", &[&ca, &port, "a.test"]);
    assert!(
        told.contains("200 OK") && told.contains("announced"),
        "{told}"
    );
}

#[test]
fn a_drain_loses_no_request() {
    let authority = Authority::new();
    let (_origin, mut proxy) = start(&authority, &["a.test"], "");
    assert_eq!(text(&curl(&authority, &proxy, &["https://a.test/"])), "yes");
    proxy.terminate();
    assert_eq!(proxy.wait().code(), Some(0));
}

#[test]
fn files_that_are_wrong_are_refused_by_check_with_field_and_reason() {
    let authority = Authority::new();
    let good = authority.issue("good", "DNS:a.test");
    let old = authority.issue_expired("old", "DNS:b.test");
    let other = authority.issue("other", "DNS:c.test");
    let (chain, key) = (good.chain.display(), other.key.display());
    let mixed = format!("{{ chain = \"{chain}\", key = \"{key}\" }}");
    let lines = format!(
        "tls.certificates = [{mixed}, {}, {}]",
        old.toml(),
        other.toml()
    );
    let text = Setup::to(([127, 0, 0, 1], 1).into())
        .listener(&lines)
        .render(([127, 0, 0, 1], 2).into(), ([127, 0, 0, 1], 3).into());
    let file = authority.write("wrong.toml", &text);
    let output = proxy::output(proxy::weft().args(["check", "--config"]).arg(&file));
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8_lossy(&output.stderr);
    for expected in [
        "listeners[0].tls.certificates[0].key = ",
        "is not the key of the certificate in `chain`",
        "listeners[0].tls.certificates[1].chain = ",
        "has expired on",
        "2 errors",
    ] {
        assert!(err.contains(expected), "{expected} in {err}");
    }
}

#[test]
fn the_shipped_configuration_serves_everybody_and_who_proves_who_it_is() {
    let (authority, domain) = (Authority::new(), Domain::new("example.org"));
    let scratch = Scratch::new();
    let site = authority.issue("site", "DNS:localhost");
    let ann = domain.issue("/ann", &scratch.file("ann"));
    fs::create_dir(scratch.file("authority")).expect("a folder");
    for (from, to) in [
        (&site.chain, "site.pem"),
        (&site.key, "site.key"),
        (&domain.bundle(), "authority/bundle.pem"),
    ] {
        fs::copy(from, scratch.file(to)).expect("a copy");
    }
    let (everybody, partners) = (ports::free(), ports::free());
    let (clear, admin) = (ports::free(), ports::free());
    let config = shipped("tls.toml")
        .replace("port = 8443", &format!("port = {}", everybody.port()))
        .replace("127.0.0.1:8443", &everybody.to_string())
        .replace("127.0.0.1:8444", &partners.to_string())
        .replace("127.0.0.1:8080", &clear.to_string())
        .replace("127.0.0.1:9901", &admin.to_string());
    let mut command = proxy::weft();
    let file = scratch.write("weft.toml", &config);
    command.arg("--config").arg(file);
    let proxy = Proxy::spawn(command, scratch, clear, admin);
    let get = |address: SocketAddr, shown: &[String]| {
        let to = format!("::{}:{}", address.ip(), address.port());
        let url = format!("https://localhost:{}/hello", address.port());
        let ca = authority.ca();
        let told = ["--connect-to", &to, "--cacert", &ca.to_string_lossy(), &url];
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        client::run(&[&told[..], &shown].concat())
    };
    assert!(text(&get(everybody, &[])).contains("\"path\": \"/hello\""));
    assert!(status(&get(partners, &[])).is_err());
    let seen = text(&get(partners, &ann.curl()));
    assert!(seen.contains("URI=spiffe://example.org/ann"), "{seen}");
    let redirected = proxy.get("/hello?a=b");
    assert_eq!(redirected.status(), 308);
    let location = redirected.field("location").expect("a location");
    let secure = format!(":{}/hello?a=b", everybody.port());
    assert!(
        location.starts_with("https://") && location.ends_with(&secure),
        "{location}"
    );
}
