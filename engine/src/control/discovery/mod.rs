//! Discovery: instances come and go, and the clusters follow.
//!
//! Each source says what the endpoints of one service or name are now: the registry, in which
//! instances register themselves; files; DNS; etcd, through which proxies share their registries.
//! All of it runs on the control thread; a change travels to the shards as the new endpoints of one
//! cluster, and costs as much as that cluster is large.

pub mod journal;
pub mod registry;
