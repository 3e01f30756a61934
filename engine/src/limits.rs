//! Every bound of the engine in one place: its value, its unit and its reason.
//!
//! Bounds that an operator sets are in the configuration; their defaults are here. Relations
//! between bounds are checked when the crate compiles.


/// Descriptors of the process beside connections: standard streams, the admin listener and its
/// connections, built-in origins, log files, with as many again to spare.
pub const DESCRIPTORS_PROCESS: u64 = 256;

/// Descriptors of one shard beside connections: its ring and glommio's three, event
/// descriptors, one listening socket per listener, files being written.
pub const DESCRIPTORS_SHARD: u64 = 32;

/// Locked memory of one shard, in bytes: the rings and buffer rings, which recent kernels count
/// for a user without CAP_IPC_LOCK.
pub const MEMLOCK_SHARD_BYTES: u64 = 1 << 20;

/// Locked memory below which glommio refuses to start, in bytes.
pub const MEMLOCK_MIN_BYTES: u64 = 512 << 10;
