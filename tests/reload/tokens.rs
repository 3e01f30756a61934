//! Tokens that allow changes of the registry: handed out and withdrawn while it serves.

use std::fs;

use crate::harness::{Client, Proxy, Setup, ports, wait};

const OLD: &str = "the-old-token-of-the-tests";
const NEW: &str = "the-new-token-of-the-tests";

/// Registers an instance with a token; gives the status.
fn register(proxy: &Proxy, token: &str) -> u16 {
    let body = "{\"address\": \"127.0.0.1:9\"}";
    let length = body.len();
    let request = format!(
        "PUT /v1/services/orders/instances/a HTTP/1.1\r\nHost: localhost\r\n\
         Authorization: Bearer {token}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    Client::connect(proxy.admin_address())
        .exchange(request)
        .status()
}

#[test]
fn a_token_is_added_and_another_withdrawn_by_writing_their_file() {
    let (address, admin) = (ports::free(), ports::free());
    let setup = Setup::new()
        .top("registry = { path = \"registry\", token_file = \"token\" }")
        .route("all", "forward = \"orders\"")
        .cluster_with("orders", &[], "discovery = { registry = \"orders\" }");
    let config = setup.render(address, admin);
    let proxy = Proxy::start_with_file(&config, ("token", OLD), address, admin);
    assert_eq!((register(&proxy, OLD), register(&proxy, NEW)), (201, 401));
    let write = |text: &str| {
        // Renamed over: half a file would be no file of tokens.
        fs::write(proxy.file("token.new"), text).expect("written");
        fs::rename(proxy.file("token.new"), proxy.file("token")).expect("renamed");
    };
    write(&format!("{OLD}\n{NEW}\n"));
    wait::for_("the new token to be taken", || register(&proxy, NEW) == 200);
    assert_eq!(register(&proxy, OLD), 200);
    write(NEW);
    wait::for_("the old token to be refused", || {
        register(&proxy, OLD) == 401
    });
    assert_eq!(register(&proxy, NEW), 200);
    fs::remove_file(proxy.file("token")).expect("removed");
    wait::for_("the loss to be told", || {
        proxy.metric("weft_config_reloads_total", "result=\"rejected\"") == 1.0
    });
    assert_eq!(register(&proxy, NEW), 200, "what was known stays");
    assert!(!proxy.file("token").exists(), "and no other is made");
    let problem = proxy.admin_json("/config_dump")["last_rejection"]["problems"][0].clone();
    assert_eq!(problem["field"], "registry.token_file");
}
