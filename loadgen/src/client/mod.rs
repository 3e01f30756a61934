//! The side that sends: what a shard's connections share (`load.rs`) and the connections themselves.

pub(crate) mod connection;
pub(crate) mod load;
