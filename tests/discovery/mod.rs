//! Instances come and go: the registry and its API, etcd, endpoint files, DNS.

mod application;
mod dnsmasq;
mod etcd;
mod first_answers;
mod health;
mod metadata;
mod refusals;
mod registration;
mod sources;

use crate::harness::{Client, Proxy, Response, Setup, ports};

const TOKEN: &str = "the-token-of-the-tests";

/// Everything goes to the instances of the service `orders`.
fn orders() -> Setup {
    let discovery = "discovery = { registry = \"orders\" }";
    Setup::new()
        .route("all", "forward = \"orders\"")
        .cluster_with("orders", &[], discovery)
}

/// A proxy with a registry in its folder, and a cluster of the service `orders`.
struct Registry {
    proxy: Proxy,
    config: String,
}

impl Registry {
    fn start() -> Self {
        Self::start_with(orders())
    }

    fn start_with(setup: Setup) -> Self {
        let registry = "registry = { path = \"registry\", token_file = \"token\" }";
        Self::start_with_registry(setup, registry)
    }

    /// The same with settings of the registry.
    fn start_with_registry(setup: Setup, registry: &str) -> Self {
        let (address, admin) = (ports::free(), ports::free());
        let config = setup.top(registry).render(address, admin);
        let proxy = Proxy::start_with_file(&config, ("token", TOKEN), address, admin);
        Self { proxy, config }
    }

    /// Starts the proxy again, in the same folder.
    fn restart(&mut self) {
        self.proxy.restart();
    }

    /// Sends a request with the token.
    fn ask(&self, method: &str, path: &str, body: &str) -> Response {
        let length = body.len();
        let request = format!(
            "{method} /v1/services/{path} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {TOKEN}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        Client::connect(self.proxy.admin_address()).exchange(request)
    }

    /// Registers an instance of `orders`.
    fn register(&self, id: &str, body: &str) -> Response {
        self.ask("PUT", &format!("orders/instances/{id}"), body)
    }
}
