//! HTTP/1.1 through TLS: the generator against its own origin, and what each says when the other
//! is not to be trusted.

mod harness;

use harness::{Origin, run, scratch};

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
