//! Sidecars that know each other by identity: the shipped configuration, `weft identity`, and what
//! keeps out whoever is somebody else.

use std::{fs, path::PathBuf};

use super::{
    domain::Domain,
    sidecar::{Sidecar, certificate_in, nowhere, shipped, status_for},
};
use crate::harness::{Client, Origin, Proxy, Setup, proxy, scratch::Scratch, wait};

const FAILURES: &str = "weft_listener_failures_total";

#[test]
fn two_sidecars_with_the_shipped_configuration_prove_who_they_are_to_each_other() {
    let domain = Domain::new("example.org");
    let orders = Sidecar::start(&domain, "/orders", nowhere());
    let checkout = Sidecar::start(&domain, "/checkout", orders.inbound);
    for _ in 0..3 {
        let (status, caller) = checkout.call("orders.mesh");
        assert_eq!(status, 200);
        assert!(
            caller.ends_with("uri=spiffe://example.org/checkout"),
            "{caller}"
        );
    }
    // One handshake served them all.
    orders.expect_handshakes("full", 1);
    // The one there is the service of orders and not that of users.
    assert_eq!(checkout.call("users.mesh").0, 503);
    checkout
        .proxy
        .expect_count(FAILURES, "failure=\"tls_failed\"", 1);
}

#[test]
fn an_identity_is_renewed_while_requests_flow() {
    let domain = Domain::new("example.org");
    let orders = Sidecar::start(&domain, "/orders", nowhere());
    let checkout = Sidecar::start(&domain, "/checkout", orders.inbound);
    let before = orders.shown();
    for (sidecar, path) in [(&orders, "/orders"), (&checkout, "/checkout")] {
        for _ in 0..3 {
            let generation = sidecar.proxy.metric("weft_config_generation", "");
            domain.issue(path, &sidecar.proxy.file("identity"));
            // A certificate is never seen without its key: none of these reloads is rejected.
            wait::for_("the renewed identity to be used", || {
                assert_eq!(checkout.call("orders.mesh").0, 200);
                sidecar.proxy.metric("weft_config_generation", "") > generation
            });
        }
        let rejected = sidecar
            .proxy
            .metric("weft_config_reloads_total", "rejected");
        assert!(rejected == 0.0, "{rejected}: {}", sidecar.proxy.stderr());
    }
    let file = fs::read_to_string(orders.proxy.file("identity/svid.pem")).expect("an identity");
    let after = orders.shown();
    assert_ne!(after, before);
    assert_eq!(after, certificate_in(&file));
    // Whoever was there before has lost nothing by it.
    for failure in [&orders, &checkout] {
        assert!(failure.proxy.metric(FAILURES, "") == 0.0);
    }
}

#[test]
fn nobody_without_an_identity_of_the_trust_domain_gets_in() {
    let (domain, others) = (Domain::new("example.org"), Domain::new("example.org"));
    let orders = Sidecar::start(&domain, "/orders", nowhere());
    // In clear text.
    let mut client = Client::connect(orders.inbound);
    assert_eq!(client.get("/").status(), 400);
    orders.expect_handshakes("not_tls", 1);
    // In TLS, as nobody and as somebody that another authority vouches for.
    assert!(status_for(&orders.proxy, None).is_err());
    orders.expect_handshakes("certificate_required", 1);
    let folder = Scratch::new();
    let stranger = others.issue("/checkout", &folder.file("stranger"));
    assert!(status_for(&orders.proxy, Some(&stranger)).is_err());
    orders.expect_handshakes("certificate_unknown_issuer", 1);
    // As a workload of the domain.
    let workload = domain.issue("/checkout", &folder.file("workload"));
    assert_eq!(status_for(&orders.proxy, Some(&workload)), Ok("200".into()));
    // A sidecar of another authority finds out before it has said anything.
    let foreign = Sidecar::start(&others, "/checkout", orders.inbound);
    assert_eq!(foreign.call("orders.mesh").0, 503);
    foreign
        .proxy
        .expect_count(FAILURES, "failure=\"tls_failed\"", 1);
}

#[test]
fn a_listener_may_name_the_identities_that_it_serves() {
    let domain = Domain::new("example.org");
    let scratch = Scratch::new();
    let own = domain.issue("/orders", &scratch.file("orders"));
    let origin = Origin::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let setup = Setup::to(origin.address())
        .top(&format!(
            "identity = {{ directory = \"{}\" }}",
            own.chain.parent().expect("a folder").display()
        ))
        .listener(
            "tls = { client_identities = [\"spiffe://example.org/shop\", \
             \"spiffe://example.org/ns/web/*\"] }",
        );
    let proxy = Proxy::start(&setup);
    let mut refused = 0;
    for (path, expected) in [
        ("/shop", true),
        ("/ns/web/front", true),
        ("/shop/x", false),
        ("/ns/web", false),
        ("/other", false),
    ] {
        let shown = domain.issue(path, &scratch.file(&path.replace('/', "-")));
        let got = status_for(&proxy, Some(&shown));
        assert_eq!(got.is_ok(), expected, "{path}: {got:?}");
        refused += u32::from(!expected);
    }
    proxy.expect_count(super::HANDSHAKES, "result=\"certificate_name\"", refused);
}

#[test]
fn a_missing_identity_is_told_once_with_the_command_that_makes_it() {
    let scratch = Scratch::new();
    let path = scratch.write("sidecar.toml", &shipped("sidecar.toml"));
    let check = |path: &PathBuf| {
        let mut command = proxy::weft();
        command.arg("check").arg("--config").arg(path);
        let output = proxy::output(command.current_dir(scratch.file("")));
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (code, err) = check(&path);
    assert_eq!(code, Some(1));
    for part in [
        "identity.directory = \"identity\": svid.pem cannot be opened",
        "identity.directory = \"identity\": bundle.pem cannot be opened",
        "weft identity issue /NAME --directory identity",
        "2 errors",
    ] {
        assert!(err.contains(part), "{part} is not in:\n{err}");
    }
    Domain::new("example.org").issue("/checkout", &scratch.file("identity"));
    assert_eq!(check(&path), (Some(0), String::new()));
}
