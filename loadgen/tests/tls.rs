//! HTTP/1.1 through TLS: the generator against its own origin, and what each says when the other
//! is not to be trusted.

mod harness;

use std::process::{Command, Stdio};

use harness::authority::Authority;
use harness::{Origin, peer, run, scratch};

/// An origin with a certificate of its own, and the file that makes a client trust it.
fn self_signed(name: &str, options: &[&str]) -> (Origin, String) {
    let file = scratch(name).to_str().expect("a path").to_owned();
    let own = ["--tls-self-signed", "--tls-write-cert", &file];
    (Origin::start(&[&own[..], options].concat()), file)
}

#[test]
fn requests_go_through_tls() {
    for version in ["1.2", "1.3"] {
        let name = format!("through-{version}.pem");
        let (origin, authority) = self_signed(&name, &["--tls-version", version]);
        let url = origin.secure_url("/?size=100KiB");
        let options = [
            "--cacert",
            &authority,
            "-c",
            "4",
            "-d",
            "300ms",
            "--expect-length",
            "100KiB",
        ];
        run(&url, &options).assert_answered();
        let insecure = ["--insecure", "-c", "2", "--rate", "100", "-d", "300ms"];
        run(&url, &insecure).assert_answered();
        let other = if version == "1.2" { "1.3" } else { "1.2" };
        let refused = run(&url, &["--insecure", "--tls-version", other]);
        assert_eq!(refused.code, 1);
        assert!(
            refused.complaint.contains("does not speak the TLS version"),
            "{}",
            refused.complaint
        );
        assert!(origin.drain().0);
    }
}

#[test]
fn keys_are_exchanged_in_the_groups_asked_for() {
    let (origin, authority) = self_signed("groups.pem", &[]);
    let asked = |groups: &str| {
        let options = [
            "--cacert", &authority, "-c", "1", "-d", "100ms", "--groups", groups,
        ];
        run(&origin.secure_url("/"), &options)
    };
    for groups in ["x25519", "p384,x25519", "x25519mlkem768"] {
        asked(groups).assert_answered();
    }
    let unknown = asked("x448");
    assert_eq!(unknown.code, 1);
    assert!(
        unknown.complaint.contains("x25519mlkem768"),
        "{}",
        unknown.complaint
    );
}

#[test]
fn large_bodies_are_whole_both_ways() {
    let (origin, authority) = self_signed("large.pem", &[]);
    let size = 20_000_000;
    for chunked in ["", "&chunked=1"] {
        let url = origin.secure_url(&format!("/?size={size}{chunked}"));
        let options = [
            "--cacert",
            &authority,
            "-c",
            "2",
            "-d",
            "300ms",
            "--grace",
            "20s",
            "--expect-length",
            "20MB",
        ];
        run(&url, &options).assert_answered();
    }
    let expected = format!("{size} {:08x}\n", crc32fast::hash(&vec![b'x'; size]));
    let hash = format!("{:08x}", crc32fast::hash(expected.as_bytes()));
    let upload = [
        "--cacert",
        &authority,
        "-X",
        "PUT",
        "--body-size",
        "20MB",
        "-c",
        "1",
        "-d",
        "200ms",
        "--grace",
        "20s",
        "--expect-hash",
        &hash,
    ];
    run(&origin.secure_url("/?echo=1"), &upload).assert_answered();
}

#[test]
fn a_closing_origin_is_connected_to_again() {
    let (origin, authority) = self_signed("closing.pem", &["--close-probability", "1"]);
    let options = [
        "--cacert", &authority, "--rate", "100", "-c", "4", "-d", "1s",
    ];
    let measured = run(&origin.secure_url("/"), &options);
    measured.assert_answered();
    let (ended_well, told) = origin.drain();
    assert!(ended_well && told.starts_with("100 requests on "), "{told}");
    assert!(!told.contains("failed"), "{told}");
}

#[test]
fn who_is_not_trusted_is_not_spoken_to() {
    let (origin, _) = self_signed("one.pem", &[]);
    let (_other, stranger) = self_signed("other.pem", &[]);
    let url = origin.secure_url("/");
    let check = |options: &[&str], complaint: &str| {
        let refused = run(&url, options);
        assert_eq!(refused.code, 1, "{options:?}");
        assert!(
            refused.complaint.contains(complaint),
            "{}",
            refused.complaint
        );
    };
    check(&["--cacert", &stranger], "signed by nobody we trust");
    check(&["--cacert", "no-such-file"], "cannot read no-such-file");
    let plain = run(&origin.url("/"), &["-c", "1", "-d", "100ms"]);
    assert_eq!(plain.code, 2, "TLS is not HTTP");
    let (ended_well, told) = origin.drain();
    assert!(ended_well && told.contains("handshakes failed"), "{told}");

    let deaf = Origin::start(&[]);
    let refused = run(&deaf.secure_url("/"), &["--insecure", "-c", "1"]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.complaint.contains("not TLS"),
        "{}",
        refused.complaint
    );
}

/// An origin that shows what `authority` has issued for these names.
fn certified(authority: &Authority, names: &[&str], options: &[&str]) -> Origin {
    let issued = authority.issue(names);
    let shown = ["--tls-cert", &issued.certificate, "--tls-key", &issued.key];
    Origin::start(&[&shown[..], options].concat())
}

#[test]
fn a_certificate_has_to_be_valid_and_for_the_name() {
    let authority = Authority::new("names");
    let origin = certified(&authority, &["example.org", "www.example.org"], &[]);
    let trusting = ["--cacert", &authority.file, "-c", "1", "-d", "100ms"];
    let refused = run(&origin.secure_url("/"), &trusting);
    assert_eq!(refused.code, 1);
    assert!(
        refused.complaint.contains("is not for `127.0.0.1`")
            && refused.complaint.contains("www.example.org"),
        "{}",
        refused.complaint
    );
    let named = [&trusting[..], &["--sni", "www.example.org"]].concat();
    run(&origin.secure_url("/"), &named).assert_answered();

    let expired = authority.issue_expired(&["127.0.0.1"]);
    let shown = [
        "--tls-cert",
        &expired.certificate,
        "--tls-key",
        &expired.key,
    ];
    let origin = Origin::start(&shown);
    let refused = run(&origin.secure_url("/"), &trusting);
    assert_eq!(refused.code, 1);
    assert!(
        refused.complaint.contains("has expired"),
        "{}",
        refused.complaint
    );
    let insecure = ["--insecure", "-c", "1", "-d", "100ms"];
    run(&origin.secure_url("/"), &insecure).assert_answered();
}

#[test]
fn an_origin_lets_in_only_whom_it_knows() {
    let (authority, clients) = (Authority::new("server"), Authority::new("clients"));
    let client = clients.issue(&["client"]);
    let stranger = Authority::new("strangers").issue(&["stranger"]);
    for version in ["1.2", "1.3"] {
        let options = ["--tls-client-ca", &clients.file, "--tls-version", version];
        let origin = certified(&authority, &["127.0.0.1"], &options);
        let trusting = ["--cacert", &authority.file, "-c", "2", "-d", "200ms"];
        let with = |certificate: &str, key: &str| {
            let shown = ["--cert", certificate, "--key", key];
            run(&origin.secure_url("/"), &[&trusting[..], &shown].concat())
        };
        with(&client.certificate, &client.key).assert_answered();
        let check = |refused: harness::Measured, complaint: &str| {
            assert_eq!(refused.code, 1, "{version}: {}", refused.complaint);
            let told = &refused.complaint;
            assert!(told.contains(complaint), "{version}: {told}");
        };
        check(
            run(&origin.secure_url("/"), &trusting),
            "client certificate",
        );
        let unknown = with(&stranger.certificate, &stranger.key);
        check(unknown, "does not accept our certificate");
        let mixed = with(&client.certificate, &stranger.key);
        check(mixed, "is not the key of the first certificate");
    }
}

#[test]
fn sessions_are_resumed_unless_forbidden() {
    let (origin, authority) = self_signed("resumed.pem", &["--close-probability", "1"]);
    let url = origin.secure_url("/");
    for version in ["1.2", "1.3"] {
        let options = [
            "--cacert",
            &authority,
            "--tls-version",
            version,
            "-c",
            "3",
            "--rate",
            "60",
            "-d",
            "1s",
        ];
        let resuming = run(&url, &options);
        resuming.assert_answered();
        let opened = resuming.count("connections/opened");
        assert!((60..=63).contains(&opened), "{opened}");
        assert_eq!(resuming.count("connections/opened_before_start"), 3);
        assert_eq!(resuming.count("connections/full_handshakes"), 3);
        assert_eq!(resuming.count("connections/resumed_handshakes"), opened - 3);
        assert_eq!(resuming.count("connections/handshake_time/count"), opened);
        let full = run(&url, &[&options[..], &["--no-resumption"]].concat());
        full.assert_answered();
        assert_eq!(full.count("connections/resumed_handshakes"), 0);
        assert_eq!(
            full.count("connections/full_handshakes"),
            full.count("connections/opened")
        );
    }
}

#[test]
fn tls_goes_over_unix_sockets_too() {
    let path = scratch("tls.sock");
    let listen = format!("unix:{}", path.display());
    let (origin, authority) = self_signed("unix.pem", &["--listen", &listen]);
    let options = [
        "--cacert",
        &authority,
        "--unix",
        path.to_str().expect("a path"),
        "-c",
        "2",
        "-d",
        "200ms",
        "--requests-per-connection",
        "5",
    ];
    let measured = run("https://localhost/", &options);
    measured.assert_answered();
    assert!(measured.count("connections/resumed_handshakes") > 0);
    assert!(origin.drain().0);
}

#[test]
fn nginx_is_spoken_to() {
    let (authority, clients) = (Authority::new("of-nginx"), Authority::new("nginx-clients"));
    let shown = authority.issue(&["localhost"]);
    let client = clients.issue(&["client"]);
    let lines = format!(
        "ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {};\n\
         ssl_verify_client on; ssl_session_cache shared:x:1m; ssl_protocols TLSv1.2 TLSv1.3; keepalive_requests 10;\n\
         location / {{ return 200 'hello'; }}",
        shown.certificate, shown.key, clients.file
    );
    let nginx = peer::nginx("nginx-tls", "ssl", &lines);
    let url = format!("https://{}/", nginx.address);
    let trusting = [
        "--cacert",
        &authority.file,
        "--sni",
        "localhost",
        "-c",
        "2",
        "--rate",
        "100",
        "-d",
        "1s",
    ];
    let known = ["--cert", &client.certificate, "--key", &client.key];
    for version in ["1.2", "1.3"] {
        let version = ["--tls-version", version, "--expect-length", "5"];
        let measured = run(&url, &[&trusting[..], &known, &version].concat());
        measured.assert_answered();
        assert_eq!(measured.count("connections/full_handshakes"), 2);
        assert!(measured.count("connections/resumed_handshakes") >= 8);
        let pipelined = ["--pipeline", "4"];
        run(
            &url,
            &[&trusting[..], &known, &version, &pipelined].concat(),
        )
        .assert_answered();
    }
    // nginx shakes hands with everybody and then says what it thinks, in HTTP.
    let unknown = run(&url, &trusting);
    assert_eq!((unknown.code, unknown.count("statuses/400")), (2, 100));
}

#[test]
fn openssl_is_spoken_to_and_listens() {
    let authority = Authority::new("of-openssl");
    let shown = authority.issue(&["127.0.0.1"]);
    let key = ["-cert", &shown.certificate, "-key", &shown.key];
    let peer = peer::openssl(&key);
    let url = format!("https://{}/", peer.address);
    let trusting = [
        "--cacert",
        &authority.file,
        "-c",
        "2",
        "--rate",
        "50",
        "-d",
        "1s",
    ];
    let measured = run(&url, &trusting);
    measured.assert_answered();
    assert!(measured.count("connections/resumed_handshakes") >= 40);
    drop(peer);
    let demanding = [&key[..], &["-Verify", "1", "-verify_return_error"]].concat();
    let peer = peer::openssl(&demanding);
    let refused = run(&format!("https://{}/", peer.address), &trusting);
    assert_eq!(refused.code, 1);
    assert!(
        refused.complaint.contains("client certificate"),
        "{}",
        refused.complaint
    );

    let (origin, file) = self_signed("s_client.pem", &[]);
    let address = origin.address().to_string();
    let output = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-verify_return_error",
            "-verify_ip",
            "127.0.0.1",
        ])
        .args(["-alpn", "http/1.1", "-CAfile", &file, "-connect", &address])
        .stdin(request("GET /?size=5&close=1 HTTP/1.1\r\nHost: h\r\n\r\n"))
        .output()
        .expect("openssl, which tests/run installs");
    let answer = String::from_utf8_lossy(&output.stdout);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(origin.drain().1.starts_with("1 requests on 1 connections"));
}

/// A pipe that holds a request.
fn request(text: &str) -> Stdio {
    use std::io::Write;
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(text.as_bytes()).expect("room in the pipe");
    reader.into()
}

#[test]
fn curl_is_served() {
    let (origin, file) = self_signed("curl.pem", &[]);
    for version in [
        ["--tlsv1.2", "--tls-max", "1.2"],
        ["--tlsv1.3", "--tls-max", "1.3"],
    ] {
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--cacert",
                &file,
                "--data",
                "hello world",
            ])
            .args(version)
            .arg(origin.secure_url("/?echo=1"))
            .output()
            .expect("curl, which tests/run installs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.stdout, b"11 0d4a1185\n", "{told}");
    }
    let refused = Command::new("curl")
        .args(["--silent", &origin.secure_url("/")])
        .status()
        .expect("curl, which tests/run installs");
    assert_eq!(refused.code(), Some(60), "curl does not trust it");
}
