//! The side that sends.
//!
//! `load.rs` holds what a shard's connections share and knows neither sockets nor HTTP;
//! `connection.rs` is one HTTP/1.1 connection.

pub(crate) mod connection;
pub(crate) mod load;
