//! What clients see of a cluster that fails, and what the cluster sees of its clients.

mod circuit_breaker;
mod ejection;
mod health;
mod overload;
mod retries;
mod streams;

use crate::harness::{Origin, Setup};

/// The origins as endpoints in turn, so that a test knows who is asked first.
fn setup(origins: &[&Origin], retry: &str, cluster: &str) -> Setup {
    let addresses: Vec<String> = origins
        .iter()
        .map(|origin| origin.address().to_string())
        .collect();
    let route = format!("forward = \"origin\"\n{retry}");
    let lines = format!("lb_policy = \"round_robin\"\n{cluster}");
    Setup::new()
        .route("all", &route)
        .cluster_with("origin", &addresses, &lines)
}
