//! The whole of the configuration: what loads, what does not, and what is said about it.

use super::*;

#[test]
fn embedded_loads() {
    let config = load(None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:8080");
    assert_eq!(
        config
            .admin
            .map(|admin| admin.address.to_string())
            .as_deref(),
        Some("127.0.0.1:9901")
    );
    assert!(
        config.clusters[0]
            .endpoints
            .iter()
            .all(|e| e.address == EndpointAddress::BuiltinEcho)
    );
}
