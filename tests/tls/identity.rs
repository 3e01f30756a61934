//! Clients that must show who they are.

use std::{
    fs,
    process::{Command, Stdio},
};

use super::{HANDSHAKES, ONLY_STATUS, curl, status};
use crate::harness::{
    Origin, Proxy, Setup,
    certificates::{Authority, Certificate},
    wait,
};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A proxy that asks clients for a certificate from `clients`.
fn start(own: &Authority, clients: &Authority, how: &str, lines: &str) -> (Origin, Proxy) {
    let origin = Origin::answering(ANSWER);
    let certificate = own.issue("a", "DNS:a.test").toml();
    let ca = clients.ca();
    let setup = Setup::to(origin.address()).listener(&format!(
        "tls.certificates = [{certificate}]\ntls.client_certificate = \"{how}\"\n\
         tls.client_ca = \"{}\"\n{lines}",
        ca.display()
    ));
    let proxy = Proxy::start(&setup);
    (origin, proxy)
}

fn get(own: &Authority, proxy: &Proxy, shown: Option<&Certificate>) -> Result<String, i32> {
    let shown: Vec<String> = shown.into_iter().flat_map(Certificate::curl).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    let arguments = [&ONLY_STATUS[..], &shown, &["https://a.test/"]].concat();
    status(&curl(own, proxy, &arguments))
}

#[test]
fn a_client_without_a_good_certificate_is_kept_out_with_the_reason_counted() {
    let (own, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let good = clients.issue("good", "URI:spiffe://x.org/orders");
    let expired = clients.issue_expired("expired", "DNS:c.test");
    let revoked = clients.issue("revoked", "DNS:c.test");
    let stranger = strangers.issue("stranger", "DNS:c.test");
    let broken = clients.issue(
        "broken",
        "URI:spiffe://x.org/orders,URI:spiffe://x.org/admin",
    );
    let crl = clients.revoke(&revoked);
    let lines = format!("tls.client_crls = [\"{}\"]", crl.display());
    let (origin, proxy) = start(&own, &clients, "required", &lines);
    // In TLS 1.3 the client learns of it when it reads (56), or when it writes (55).
    let refused = |result: Result<String, i32>| matches!(result, Err(55 | 56 | 35 | 52));
    for (shown, reason) in [
        (None, "certificate_required"),
        (Some(&expired), "certificate_expired"),
        (Some(&revoked), "certificate_revoked"),
        (Some(&stranger), "certificate_unknown_issuer"),
        (Some(&broken), "certificate_invalid"),
    ] {
        let result = get(&own, &proxy, shown);
        assert!(refused(result.clone()), "{reason}: {result:?}");
        proxy.expect_count(HANDSHAKES, &format!("result=\"{reason}\""), 1);
    }
    assert_eq!(origin.connections(), 0, "nothing reached the origin");
    assert_eq!(get(&own, &proxy, Some(&good)), Ok("200".into()));
    proxy.expect_count(HANDSHAKES, "result=\"full\"", 1);
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let (own, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let (_origin, proxy) = start(&own, &clients, "optional", "");
    assert_eq!(get(&own, &proxy, None), Ok("200".into()));
    let good = clients.issue("good", "DNS:c.test");
    assert_eq!(get(&own, &proxy, Some(&good)), Ok("200".into()));
    let stranger = strangers.issue("stranger", "DNS:c.test");
    assert!(get(&own, &proxy, Some(&stranger)).is_err());
}

#[test]
fn who_the_client_is_reaches_the_origin_and_the_log_and_nobody_can_pretend() {
    let (own, clients) = (Authority::new(), Authority::new());
    let lines = "fields.trusted_hops = 1";
    let origin = Origin::answering(ANSWER);
    let certificate = own.issue("a", "DNS:a.test").toml();
    let setup = Setup::to(origin.address())
        .top("[access_log]\npath = \"access.log\"\nflush = \"1ms\"")
        .listener(&format!(
            "tls.certificates = [{certificate}]\ntls.client_certificate = \"optional\"\n\
             tls.client_ca = \"{}\"\n{lines}",
            clients.ca().display()
        ));
    let proxy = Proxy::start(&setup);
    let orders = clients.issue("orders", "URI:spiffe://x.org/orders");
    let told = |shown: Option<&Certificate>| {
        let shown: Vec<String> = shown.into_iter().flat_map(Certificate::curl).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let forged = ["-H", "X-Forwarded-Client-Cert: URI=spiffe://x.org/admin"];
        let arguments = [&ONLY_STATUS[..], &forged, &shown, &["https://a.test/"]].concat();
        assert_eq!(status(&curl(&own, &proxy, &arguments)), Ok("200".into()));
        let last = origin.requests().pop().expect("a request");
        last.fields("x-forwarded-client-cert").join(" | ")
    };
    // A stranger's word on who it is.
    assert_eq!(told(None), "");
    // A trusted hop that has proved its own identity may tell another's before it.
    let both = told(Some(&orders));
    let (first, second) = both.split_once(" | ").expect(&both);
    assert_eq!(first, "URI=spiffe://x.org/admin");
    assert!(second.starts_with("Hash="), "{second}");
    assert!(
        second.ends_with(";Subject=\"CN=orders\";URI=spiffe://x.org/orders"),
        "{second}"
    );
    let lines = wait::until("two lines of the access log", || {
        let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
        (text.lines().count() == 2).then_some(text)
    });
    let principals = lines
        .matches("\"principal\":\"spiffe://x.org/orders\"")
        .count();
    assert_eq!(principals, 1, "{lines}");
}

#[test]
fn a_connection_does_not_outlive_the_certificate_it_was_opened_with() {
    let (own, clients) = (Authority::new(), Authority::new());
    let (_origin, proxy) = start(&own, &clients, "required", "");
    let brief = clients.issue_for_seconds("brief", "DNS:c.test", 4);
    let mut command = Command::new("openssl");
    command.args([
        "s_client",
        "-quiet",
        "-connect",
        &proxy.address().to_string(),
    ]);
    command
        .arg("-cert")
        .arg(&brief.chain)
        .arg("-key")
        .arg(&brief.key);
    let mut openssl = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl starts");
    proxy.expect_count(HANDSHAKES, "result=\"full\"", 1);
    let closed = "weft_listener_connections_closed_total";
    proxy.expect_count(closed, "reason=\"proof_expired\"", 1);
    let _ = openssl.kill();
    let _ = openssl.wait();
    // And no session goes on with it.
    let result = get(&own, &proxy, Some(&brief));
    assert!(result.is_err(), "{result:?}");
}
