//! The real binary against real clients, real origins and raw bytes.
//!
//! One module per step or protocol; cases of a standard carry its section in their name. Run them
//! with `tests/run`, which builds the binaries and installs the peers.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the peers of a test are plain threads that share what they record"
)]

mod harness;

mod accept;
mod accuracy;
mod authenticate;
mod authorize;
mod balance;
mod bodies;
mod clients;
mod config;
mod deadlines;
mod discovery;
mod doors;
mod drain;
mod exchange;
mod forward;
mod histograms;
mod http1;
mod loadgen;
mod multiplexing;
mod record;
mod reload;
mod replay;
mod report;
mod resilience;
mod route;
mod shard;
mod start;
mod tls;
