//! Sockets, buffers and time of one shard, on its own io_uring.
//!
//! *In:* addresses, descriptors, bytes to send. *Out:* runs of received bytes that stay in the
//! block where the kernel put them. [`Runtime`] starts a shard; on its thread everything else
//! works, and nothing here can be sent to another thread but the descriptors and the wakers.
//!
//! What must stay true: an operation owns its descriptor and memory until its completion has
//! arrived, also when its future was dropped; no outgoing byte is lent to the kernel; an idle
//! connection holds no buffer; a peer that does not read cannot take the last buffers.
//!
//! With `shard` this is the only place that names glommio, and the only one with unsafe code.

#![allow(unsafe_code, reason = "each block has its reason and its proof")]

mod address;
mod cipher;
pub mod clock;
mod driver;
mod file;
mod listener;
mod random;
mod ring;
mod runtime;
mod stream;
#[cfg(test)]
mod tests;
mod wait;

pub use address::Address;
pub use cipher::{Cipher, CipherFailed, Opened};
pub use clock::Instant;
pub use file::AppendFile;
pub use listener::{Listener, bind, claim, remove_stale};
pub use random::random_secret;
pub use ring::buffer::Buf;
pub use ring::probe;
pub use runtime::{Runtime, RuntimeThread};
pub use stream::{Cutter, Stream};
pub use wait::{
    Elapsed, Timer, end_other_tasks, sleep, sleep_until, spawn, stop, take_task_panics, yield_now,
};
