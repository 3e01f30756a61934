//! Active health checks: what makes an endpoint unhealthy, what then happens, and what is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::Value;

use super::setup;
use crate::harness::{Origin, Proxy, Setup, certificates::Authority, nginx::Nginx, ports, wait};

const FAST: &str = "interval = \"100ms\", changing_interval = \"50ms\", timeout = \"1s\", \
    unhealthy_after = 2, healthy_after = 2";

/// An origin that answers checks as the flag says, and everything else with its name.
fn checked(name: &'static str, fit: &Arc<AtomicBool>) -> Origin {
    let fit = Arc::clone(fit);
    Origin::start(move |peer| {
        while let Some(request) = peer.request() {
            let (status, content) = match request.target() {
                "/healthz" if fit.load(Ordering::SeqCst) => ("200 OK", "all is ok"),
                "/healthz" => ("503 No", "no"),
                _ => ("200 OK", name),
            };
            let length = content.len();
            peer.send(format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{content}"
            ));
        }
    })
}

/// What `/clusters` says of an endpoint's checks.
fn told(proxy: &Proxy, endpoint: usize) -> Value {
    proxy.admin_json("/clusters")[0]["endpoints"][endpoint]["health_check"].clone()
}

fn wait_for_state(proxy: &Proxy, endpoint: usize, state: &str) {
    wait::for_(&format!("endpoint {endpoint} to be {state}"), || {
        told(proxy, endpoint)["state"] == state
    });
}

#[test]
fn an_endpoint_that_fails_its_checks_gets_nothing_until_it_passes_them() {
    let fit = [(); 3].map(|()| Arc::new(AtomicBool::new(true)));
    let origins = [
        checked("a", &fit[0]),
        checked("b", &fit[1]),
        checked("c", &fit[2]),
    ];
    let all: Vec<&Origin> = origins.iter().collect();
    let check = format!("health_check = {{ path = \"/healthz\", body_contains = \"ok\", {FAST} }}");
    let proxy = Proxy::start(&setup(&all, "", &check));
    let names = |count| {
        (0..count)
            .map(|_| proxy.get("/").text())
            .collect::<String>()
    };
    wait_for_state(&proxy, 1, "healthy");
    fit[1].store(false, Ordering::SeqCst);
    wait_for_state(&proxy, 1, "unhealthy");
    wait::for_("nothing to go to it", || !names(6).contains('b'));
    assert_eq!(told(&proxy, 1)["last_error"], "status");
    let labels = format!("endpoint=\"{}\"", origins[1].address());
    assert_eq!(proxy.metric("weft_endpoint_healthy", &labels), 0.0);
    assert!(proxy.metric("weft_endpoint_health_check_failures_total", &labels) >= 2.0);
    assert!(proxy.stderr().contains("An endpoint fails its checks."));
    fit[1].store(true, Ordering::SeqCst);
    wait_for_state(&proxy, 1, "healthy");
    wait::for_("it to be used again", || names(6).contains('b'));
}

#[test]
fn each_endpoint_is_checked_once_however_many_shards_there_are() {
    let fit = Arc::new(AtomicBool::new(true));
    let origin = checked("a", &fit);
    let check = "health_check = { path = \"/healthz\", interval = \"1h\" }";
    let proxy = Proxy::start(&setup(&[&origin], "", check).shards(2));
    wait_for_state(&proxy, 0, "healthy");
    assert_eq!(told(&proxy, 0)["checks"], 1);
    assert_eq!(origin.requests().len(), 1);
    let request = origin.request();
    assert_eq!(request.field("Host"), Some(&*origin.address().to_string()));
}

#[test]
fn what_a_check_expects_is_told_when_it_is_missing() {
    let fit = Arc::new(AtomicBool::new(true));
    let origin = checked("a", &fit);
    for (expected, error) in [
        ("path = \"/healthz\", statuses = [204]", "status"),
        ("path = \"/healthz\", body_contains = \"ready\"", "content"),
    ] {
        let check = format!("health_check = {{ {expected}, {FAST} }}");
        let proxy = Proxy::start(&setup(&[&origin], "", &check));
        wait_for_state(&proxy, 0, "unhealthy");
        assert_eq!(told(&proxy, 0)["last_error"], error);
        // The only endpoint there is: better a failure than none to try.
        assert_eq!(proxy.get("/").text(), "a");
    }
    let garbage = Origin::start(|peer| {
        peer.send("SSH-2.0-OpenSSH\r\n");
        while peer.some().is_some() {}
    });
    let silent = Origin::start(|peer| while peer.some().is_some() {});
    for (origin, error) in [(&garbage, "bad_response"), (&silent, "timeout")] {
        let check = format!("health_check = {{ {} }}", FAST.replace("1s", "200ms"));
        let proxy = Proxy::start(&setup(&[origin], "", &check));
        wait_for_state(&proxy, 0, "unhealthy");
        assert_eq!(told(&proxy, 0)["last_error"], error);
    }
}

#[test]
fn tcp_checks_want_a_connection_and_nothing_else() {
    let silent = Origin::start(|peer| while peer.some().is_some() {});
    let check = format!("health_check = {{ protocol = \"tcp\", {FAST} }}");
    let proxy = Proxy::start(&setup(&[&silent], "", &check));
    wait_for_state(&proxy, 0, "healthy");
    let nobody = [ports::free().to_string()];
    let setup = Setup::new().cluster_with("origin", &nobody, &check);
    let proxy = Proxy::start(&setup);
    wait_for_state(&proxy, 0, "unhealthy");
    assert_eq!(told(&proxy, 0)["last_error"], "connect_refused");
}

#[test]
fn over_tls_an_endpoint_has_to_prove_who_it_is() {
    let authority = Authority::new();
    let shown = authority.issue("a", "DNS:a.test");
    let (chain, key) = (shown.chain.display(), shown.key.display());
    let nginx = Nginx::start_tls(&format!(
        "ssl_certificate {chain}; ssl_certificate_key {key};\n\
         location /healthz {{ return 200 \"all is ok\"; }}"
    ));
    let start = |name: &str, check: &str| {
        let cluster = format!(
            "health_check = {{ {check}, {FAST} }}\n\
             tls = {{ ca = \"{}\", server_name = \"{name}\" }}",
            authority.ca().display()
        );
        let endpoint = [nginx.address().to_string()];
        Proxy::start(&Setup::new().cluster_with("origin", &endpoint, &cluster))
    };
    let http = "path = \"/healthz\", body_contains = \"ok\"";
    for check in [http, "protocol = \"tls\""] {
        wait_for_state(&start("a.test", check), 0, "healthy");
        let wrong = start("b.test", check);
        wait_for_state(&wrong, 0, "unhealthy");
        let row = wrong.admin_json("/clusters")[0]["endpoints"][0].clone();
        assert_eq!(row["reason"], "tls_failed");
        let detail = "the TLS handshake failed: certificate_name";
        assert_eq!(row["health_check"]["detail"], detail);
        assert!(wrong.stderr().contains(detail));
    }
    // A connection can be made, whoever it is.
    wait_for_state(&start("b.test", "protocol = \"tcp\""), 0, "healthy");
}
