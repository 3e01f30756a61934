//! Ports that nobody uses.
//!
//! Taken from below the ephemeral range, so that no outgoing connection of a test running at the
//! same time grabs one between the choice and the bind. Another run of the tests on this machine
//! starts at another place.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// The range that is searched; Linux hands out 32768 and above by itself.
const FIRST: u32 = 11_000;
const COUNT: u32 = 21_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A loopback address that nobody listens on.
pub(crate) fn free() -> SocketAddr {
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = process::id().wrapping_mul(97).wrapping_add(turn) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("the range ends below 65536");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port from {FIRST} on");
}
