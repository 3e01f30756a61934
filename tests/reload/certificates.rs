//! Certificates, keys and lists that are replaced while they are in use.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::harness::{
    Origin, Proxy, Setup,
    certificates::{Authority, Certificate},
    curl::{self, ONLY_STATUS},
    running::Running,
    scratch::Scratch,
    wait,
};

use super::{generation, looked_at};

const CLOSED: &str = "weft_listener_connections_closed_total";

/// A proxy that watches the files it names, and asks clients for a certificate of `clients`.
fn start(own: &Certificate, clients: &Authority, lines: &str) -> (Origin, Proxy) {
    let origin = Origin::echoing_targets();
    let setup = Setup::to(origin.address()).drain("1s").listener(&format!(
        "tls.certificates = [{}]\ntls.client_certificate = \"required\"\ntls.client_ca = \"{}\"\n{lines}",
        own.toml(),
        clients.ca().display()
    ));
    let proxy = Proxy::start(&setup);
    (origin, proxy)
}

/// A connection that is open and says nothing.
fn idle(proxy: &Proxy, shown: &Certificate) -> Running {
    let address = proxy.address().to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-connect", &address]);
    command
        .arg("-cert")
        .arg(&shown.chain)
        .arg("-key")
        .arg(&shown.key);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Running::start(&mut command)
}

#[test]
fn a_certificate_that_is_replaced_is_shown_to_the_next_client() {
    let (authority, clients, scratch) = (Authority::new(), Authority::new(), Scratch::new());
    let shown = Certificate {
        chain: scratch.file("shown.pem"),
        key: scratch.file("shown.key"),
    };
    let show = |certificate: &Certificate| {
        fs::copy(&certificate.chain, &shown.chain).expect("a certificate");
        fs::copy(&certificate.key, &shown.key).expect("a key");
    };
    let (one, two) = (
        authority.issue("one", "DNS:a.test"),
        authority.issue("two", "DNS:b.test"),
    );
    show(&one);
    let (_origin, proxy) = start(&shown, &clients, "");
    let client = clients.issue("client", "DNS:c.test");
    // The status, if the certificate is for this host.
    let get = |host: &str| {
        let to = format!("::{}:{}", proxy.address().ip(), proxy.address().port());
        let (ca, client) = (authority.ca().display().to_string(), client.curl());
        let client: Vec<&str> = client.iter().map(String::as_str).collect();
        let url = format!("https://{host}/");
        let to = ["--connect-to", &to, "--cacert", &ca];
        let ended = curl::run(&[&ONLY_STATUS[..], &to, &client, &[&url]].concat());
        ended.status.success().then(|| curl::text(&ended))
    };
    assert_eq!(get("a.test").as_deref(), Some("200"));
    let mut kept = idle(&proxy, &client);
    proxy.expect_count("weft_listener_tls_handshakes_total", "result=\"full\"", 2);
    show(&two);
    wait::for_("the new certificate", || get("b.test").is_some());
    assert_eq!(get("a.test"), None, "the old one is shown no more");
    assert!(
        kept.try_wait().expect("a status").is_none(),
        "nobody is cut off for it"
    );
    // One that does not fit its key is refused, and the one before stays.
    let before = generation(&proxy);
    fs::copy(&one.key, &shown.key).expect("a key");
    wait::for_("the refusal", || {
        proxy.metric("weft_config_reloads_total", "result=\"rejected\"") > 0.0
    });
    assert_eq!(
        (generation(&proxy), get("b.test")),
        (before, Some("200".into()))
    );
    let dump = proxy.admin_json("/config_dump");
    let problem = &dump["last_rejection"]["problems"][0];
    assert_eq!(problem["field"], "listeners[0].tls.certificates[0].key");
    let expiry = proxy.metric("weft_listener_certificate_expiry_timestamp_seconds", "");
    assert!(expiry > 1.7e9, "{expiry}");
}

#[test]
fn a_client_that_is_revoked_is_closed_and_others_are_not() {
    let (authority, clients, scratch) = (Authority::new(), Authority::new(), Scratch::new());
    let own = authority.issue("own", "DNS:a.test");
    let (good, bad) = (
        clients.issue("good", "DNS:g.test"),
        clients.issue("bad", "DNS:b.test"),
    );
    let other = clients.issue("other", "DNS:o.test");
    let list = scratch.file("list.pem");
    fs::copy(clients.revoke(&other), &list).expect("a list");
    let lines = format!("tls.client_crls = [\"{}\"]", list.display());
    let (_origin, proxy) = start(&own, &clients, &lines);
    let (mut stays, _goes) = (idle(&proxy, &good), idle(&proxy, &bad));
    proxy.expect_count("weft_listener_tls_handshakes_total", "result=\"full\"", 2);
    let before = looked_at(&proxy);
    fs::copy(clients.revoke(&bad), &list).expect("a list");
    wait::for_("the list to be read", || looked_at(&proxy) > before);
    proxy.expect_count(CLOSED, "reason=\"proof_revoked\"", 1);
    assert!(stays.try_wait().expect("a status").is_none());
    assert_eq!(proxy.metric("weft_listener_connections_active", ""), 1.0);
}
