//! weft, the engine: an HTTP edge and sidecar proxy with one pinned shard per core.
//!
//! The modules stand in layer order; imports point up this list, never down. A request meets the
//! steps in the order they are written: `accept` admits the connection, `http` turns bytes into a
//! message, `authenticate` says who sent it, `route` finds the rule, `authorize` lets the caller
//! pass, `balance` finds the endpoint, `forward` sends the request and brings the answer back,
//! `record` tells what happened. `proxy` runs the steps, `shard` places them on cores, `control`
//! changes what they know. `ARCHITECTURE.md` is the map.

pub mod limits;

pub mod config;
pub mod io;
pub mod tls;

pub mod http;

pub mod accept;
pub mod authenticate;
pub mod route;

pub mod authorize;
pub mod balance;
pub mod forward;

pub mod record;

pub mod proxy;

pub mod shard;

pub mod control;
