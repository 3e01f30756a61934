//! Around the shards: command line, start, admin interface, dumps, signals.
//!
//! The control thread is an ordinary tokio current-thread runtime, pinned to no core. It never
//! touches a request; it talks to the shards by messages and they answer with copies.

pub mod arguments;
pub mod doctor;
pub mod echo;
pub mod log;
pub mod signals;
pub mod welcome;
