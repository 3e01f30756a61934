//! `shard`
