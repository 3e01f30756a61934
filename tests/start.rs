//! The first minute: `weft` without a file, what it says, and how it ends.
//!
//! The embedded default has fixed ports, so everything about it is one test.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::harness::{
    Proxy,
    proxy::{loadgen, output, weft},
    scratch::Scratch,
};

#[test]
fn the_embedded_default_serves_says_what_to_try_and_ends_on_ctrl_c() {
    let (address, admin) = ("127.0.0.1:8080", "127.0.0.1:9901");
    for port in [address, admin] {
        let free = TcpListener::bind(port).is_ok();
        assert!(
            free,
            "{port}, a port of the embedded default, is in use on this machine"
        );
    }
    let parse = |text: &str| text.parse().expect("an address");
    let mut proxy = Proxy::spawn(weft(), Scratch::new(), parse(address), parse(admin));
    let response = proxy.get("/hello?from=me");
    assert_eq!(response.status(), 200);
    assert!(response.text().contains("/hello"), "{}", response.text());
    let said = proxy.stdout();
    for part in [
        "curl -i http://127.0.0.1:8080/",
        "http://127.0.0.1:9901/stats",
        "Ctrl-C",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let url = "http://127.0.0.1:8080/hello";
    let load = output(loadgen().args(["run", url, "--duration", "1s", "--connections", "8"]));
    assert!(
        matches!(load.status.code(), Some(0 | 3)),
        "{}",
        String::from_utf8_lossy(&load.stdout)
    );
    assert!(
        proxy
            .admin("/histograms?format=hgrm")
            .text()
            .contains("#[Max")
    );
    proxy.signal(Signal::INT);
    assert_eq!(proxy.wait().code(), Some(0), "{}", proxy.stderr());
}
