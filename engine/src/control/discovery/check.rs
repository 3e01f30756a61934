//! How an instance is asked whether it works, in the words of health checks.
//!
//! The proxy that an instance registered with asks it, and `weft register` before it registers one;
//! what several answers mean is as for endpoints of clusters with a health check.

use std::time::Duration;

use super::registry::Probe;
use crate::config::{self, HealthCheck, HealthProtocol, HttpCheck};
use crate::control::health::Target;
use crate::io::Address;

/// An instance at `address` that is asked `probe` each `interval`.
pub(in crate::control) fn target(
    address: &config::Address,
    probe: &Probe,
    interval: Duration,
    timeout: Duration,
) -> Target {
    let (protocol, http) = match probe {
        Probe::Tcp => (HealthProtocol::Tcp, None),
        Probe::Http(path) => {
            let path = path.clone();
            let http = HttpCheck {
                path,
                ..HttpCheck::default()
            };
            (HealthProtocol::Http, Some(http))
        }
    };
    Target {
        address: match address {
            config::Address::Tcp(address) => Address::Tcp(*address),
            config::Address::Unix(path) => Address::Unix(path.clone()),
        },
        check: HealthCheck {
            protocol,
            http,
            interval,
            timeout,
            ..HealthCheck::default()
        },
        tls: None,
    }
}
