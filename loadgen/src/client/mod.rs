//! The side that sends.
//!
//! `load.rs` holds what a shard's connections share and knows neither sockets nor HTTP;
//! `connection.rs` is one HTTP/1.1 connection, `pipeline.rs` one with several requests under way;
//! `multiplex.rs` is one of HTTP/2, with its `lanes.rs` (requests under way), `link.rs` (the open
//! connection) and `answer.rs` (what came back).

mod answer;
pub(crate) mod connection;
mod lanes;
mod link;
pub(crate) mod load;
pub(crate) mod multiplex;
pub(crate) mod pipeline;
