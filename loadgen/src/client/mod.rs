//! The side that sends.
//!
//! `load.rs` holds what a shard's connections share and knows neither sockets nor HTTP;
//! `connection.rs` is one HTTP/1.1 connection, `pipeline.rs` one with several requests under way.

pub(crate) mod connection;
pub(crate) mod load;
pub(crate) mod pipeline;
