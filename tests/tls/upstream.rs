//! Endpoints that must prove who they are.

use std::fs;

use super::{HANDSHAKES, echo};
use crate::harness::{
    Origin, Proxy, Setup,
    certificates::{Authority, Certificate},
    nginx::Nginx,
    pattern,
};

const FAILURES: &str = "weft_listener_failures_total";

/// nginx over TLS.
fn nginx(certificate: &Certificate, lines: &str) -> Nginx {
    let (chain, key) = (certificate.chain.display(), certificate.key.display());
    Nginx::start_tls(&format!(
        "ssl_certificate {chain}; ssl_certificate_key {key}; {lines}\n\
         location / {{ return 200 \"$ssl_server_name $ssl_client_s_dn $ssl_session_reused\"; }}"
    ))
}

/// A proxy before one endpoint, with these lines in the cluster's `tls`.
fn start(endpoint: std::net::SocketAddr, authority: &Authority, tls: &str) -> Proxy {
    let ca = authority.ca();
    let cluster = format!("[clusters.tls]\nca = \"{}\"\n{tls}", ca.display());
    Proxy::start(&Setup::new().cluster_with("origin", &[endpoint.to_string()], &cluster))
}

#[test]
fn an_endpoint_with_the_right_name_is_used_and_asked_for_by_it() {
    let authority = Authority::new();
    let shown = authority.issue("a", "DNS:a.test,IP:127.0.0.1");
    let nginx = nginx(&shown, "");
    let named = start(nginx.address(), &authority, "server_name = \"a.test\"");
    let answer = named.get("/");
    assert_eq!(answer.status(), 200);
    assert!(answer.text().starts_with("a.test "), "{}", answer.text());
    // RFC 6066 §3: an address is no server name; the certificate must be for it all the same.
    let by_address = start(nginx.address(), &authority, "");
    let answer = by_address.get("/");
    assert_eq!(
        (answer.status(), answer.text().starts_with(' ')),
        (200, true)
    );
}

#[test]
fn an_endpoint_that_does_not_prove_it_gets_nothing() {
    let (authority, others) = (Authority::new(), Authority::new());
    let shown = authority.issue("a", "DNS:a.test");
    let revoked = authority.issue("r", "DNS:a.test");
    let crl = authority.revoke(&revoked);
    let crls = format!("server_name = \"a.test\"\ncrls = [\"{}\"]", crl.display());
    let cases = [
        (
            shown.clone(),
            &authority,
            "server_name = \"b.test\"",
            "certificate_name",
        ),
        (shown.clone(), &authority, "", "certificate_name"),
        (
            shown,
            &others,
            "server_name = \"a.test\"",
            "certificate_unknown_issuer",
        ),
        (
            authority.issue_expired("e", "DNS:a.test"),
            &authority,
            "server_name = \"a.test\"",
            "certificate_expired",
        ),
        (revoked, &authority, &crls, "certificate_revoked"),
    ];
    for (shown, trusted, tls, reason) in cases {
        let nginx = nginx(&shown, "");
        let log = "[access_log]\npath = \"access.log\"\nflush = \"1ms\"";
        let ca = trusted.ca();
        let cluster = format!("[clusters.tls]\nca = \"{}\"\n{tls}", ca.display());
        let setup = Setup::new().cluster_with("origin", &[nginx.address().to_string()], &cluster);
        let proxy = Proxy::start(&setup.top(log));
        let response = proxy.get("/");
        assert_eq!(response.status(), 503, "{reason}");
        assert!(
            !response.text().contains("certificate"),
            "{}",
            response.text()
        );
        proxy.expect_count(FAILURES, "failure=\"tls_failed\"", 1);
        let line = crate::harness::wait::until("the access log", || {
            let text = fs::read_to_string(proxy.file("access.log")).unwrap_or_default();
            text.lines().next().map(str::to_owned)
        });
        assert!(line.contains(reason), "{reason}: {line}");
    }
}

#[test]
fn an_endpoint_that_asks_is_shown_our_certificate() {
    let authority = Authority::new();
    let shown = authority.issue("a", "DNS:a.test");
    let ours = authority.issue("weft", "DNS:weft.test");
    let ca = authority.ca();
    let asking = format!(
        "ssl_verify_client on; ssl_client_certificate {};",
        ca.display()
    );
    let nginx = nginx(&shown, &asking);
    let bare = start(nginx.address(), &authority, "server_name = \"a.test\"");
    assert_eq!(bare.get("/").status(), 400, "nginx refuses in HTTP");
    let tls = format!("server_name = \"a.test\"\ncertificate = {}", ours.toml());
    let showing = start(nginx.address(), &authority, &tls);
    let answer = showing.get("/");
    assert_eq!(
        (answer.status(), answer.text().contains("CN=weft")),
        (200, true)
    );
}

#[test]
fn two_proxies_know_each_other_by_identity() {
    let authority = Authority::new();
    let ca = authority.ca();
    let origin = echo();
    let inbound = authority.issue("orders", "URI:spiffe://x.org/orders");
    let outbound = authority.issue("shop", "URI:spiffe://x.org/shop");
    let far = Setup::to(origin.address()).listener(&format!(
        "limits.body_bytes = \"unlimited\"\ntls.certificates = [{}]\n\
         tls.client_certificate = \"required\"\ntls.client_ca = \"{}\"",
        inbound.toml(),
        ca.display()
    ));
    let far = Proxy::start(&far);
    let near = |identity: &str| {
        let cluster = format!(
            "[clusters.tls]\nca = \"{}\"\nidentity = \"{identity}\"\ncertificate = {}",
            ca.display(),
            outbound.toml()
        );
        let setup = Setup::new().cluster_with("origin", &[far.address().to_string()], &cluster);
        Proxy::start(&setup.listener("limits.body_bytes = \"unlimited\""))
    };
    let right = near("spiffe://x.org/orders");
    for size in [0, 1, 20_000, 3_000_000] {
        let body = pattern::bytes(0, size);
        let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n");
        let response = right.connect().exchange([head.as_bytes(), &body].concat());
        assert_eq!(
            (response.status(), response.body == body),
            (200, true),
            "{size}"
        );
    }
    // One connection served them all.
    far.expect_count(HANDSHAKES, "result=\"full\"", 1);
    let wrong = near("spiffe://x.org/payments");
    assert_eq!(wrong.get("/").status(), 503);
    wrong.expect_count(FAILURES, "failure=\"tls_failed\"", 1);
}

#[test]
fn rfc9112_9_8_content_that_ends_without_notice_is_not_taken_for_whole() {
    let authority = Authority::new();
    let shown = authority.issue("a", "DNS:a.test");
    let (chain, key) = (
        shown.chain.display().to_string(),
        shown.key.display().to_string(),
    );
    let serve = |how: &str| {
        let mut origin = crate::harness::python::start("tls_cut.py", &[&chain, &key, how]);
        let address = origin.line().trim().parse().expect("an address");
        let proxy = start(address, &authority, "server_name = \"a.test\"");
        let mut client = proxy.connect();
        client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        client
            .try_response_to("GET")
            .map(|response| response.text())
    };
    assert_eq!(serve("announced").as_deref(), Ok("the whole content"));
    let cut = serve("cut");
    assert!(cut.is_err(), "{cut:?}");
}

#[test]
fn a_plain_endpoint_is_no_tls_endpoint() {
    let authority = Authority::new();
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let proxy = start(origin.address(), &authority, "server_name = \"a.test\"");
    assert_eq!(proxy.get("/").status(), 503);
}
