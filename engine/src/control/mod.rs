//! What changes, watches and starts the shards.

pub mod arguments;
pub mod doctor;
pub mod log;
