//! Listening sockets: opened for all shards before any of them hears of a new listener.
//!
//! A door belongs to an address, not to a name: a listener that is renamed keeps its sockets, and
//! with them the connections that wait in their queues. A new address is bound before anything else
//! happens to a configuration, so that one that is taken is an error like any other. One on which
//! somebody else listens is waited for a little: a process that has just ended gives its sockets
//! back when its rings are gone, some milliseconds after it is.

use std::collections::HashSet;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{StartError, placement};
use crate::config::{self, Config};
use crate::io::{self, Instant, clock};
use crate::limits;

/// How long a start or a reload waits for an address on which somebody else listens.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often it tries meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// One shard's listening socket.
#[derive(Debug)]
pub struct Door {
    /// Where it listens.
    pub address: io::Address,
    /// The socket.
    pub socket: OwnedFd,
}

/// The listening sockets of all shards.
#[derive(Debug)]
pub struct Doors {
    /// The processor of each shard.
    pub(super) cpus: Vec<usize>,
    pub(super) by_shard: Vec<Vec<Door>>,
}

/// A listener cannot have its address.
#[derive(Debug)]
pub struct BindError {
    /// Its place in the configuration.
    pub place: usize,
    /// Its name.
    pub listener: Arc<str>,
    /// Where it should listen.
    pub address: config::Address,
    /// What the kernel said.
    pub error: Error,
}

impl Doors {
    /// Places the shards and binds every listener of a first configuration. A port that the kernel
    /// chose is written into it.
    pub fn open(config: &mut Config) -> Result<Self, StartError> {
        let allowed = placement::allowed().map_err(StartError::Affinity)?;
        let cpus = placement::assign(config.shards.count, config.shards.cpus.as_deref(), &allowed)
            .map_err(StartError::Processor)?;
        let by_shard = Self::add(config, cpus.len(), &HashSet::new());
        let by_shard = by_shard.map_err(StartError::Listen)?;
        Ok(Self { cpus, by_shard })
    }

    /// Binds every listener whose address is not `open` in this process, once for each shard. A
    /// port that the kernel chose is written into the configuration. Blocks for at most three
    /// seconds, while an address is in use.
    ///
    /// *Errors:* the first listener that cannot be bound; what was bound before it is closed.
    pub fn add(
        config: &mut Config,
        shard_count: usize,
        open: &HashSet<config::Address>,
    ) -> Result<Vec<Vec<Door>>, BindError> {
        let deadline = clock::now() + PATIENCE;
        let mut by_shard: Vec<Vec<Door>> = (0..shard_count).map(|_| Vec::new()).collect();
        let mut ours = open.clone();
        for (place, listener) in config.listeners.iter_mut().enumerate() {
            if open.contains(&listener.address) {
                continue;
            }
            let is_ours = ours.iter().any(|it| overlap(it, &listener.address));
            let bound = bind_in_time(&listener.address, shard_count, is_ours, deadline);
            let bound = bound.map_err(|error| BindError {
                place,
                listener: Arc::clone(&listener.name),
                address: listener.address.clone(),
                error,
            })?;
            let chosen = bound.first().and_then(|socket| {
                let address = socket2::SockRef::from(socket).local_addr().ok()?;
                address.as_socket().map(config::Address::Tcp)
            });
            listener.address = chosen.unwrap_or_else(|| listener.address.clone());
            ours.insert(listener.address.clone());
            let address = place_of(&listener.address);
            for (doors, socket) in by_shard.iter_mut().zip(bound) {
                let address = address.clone();
                doors.push(Door { address, socket });
            }
        }
        Ok(by_shard)
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listener,
            address,
            error,
            ..
        } = self;
        write!(f, "Listener {listener} cannot listen on {address}: {error}")
    }
}

/// What helps when `address` cannot be listened on.
pub fn remedy(address: &config::Address, error: &Error) -> &'static str {
    let is_tcp = matches!(address, config::Address::Tcp(_));
    match (error.kind(), is_tcp) {
        (ErrorKind::AddrInUse, _) => {
            "Stop what listens there (another weft?), or set another address."
        }
        (ErrorKind::AddrNotAvailable, _) => {
            "Take an address of this machine (`ip address` shows them); 0.0.0.0 and [::] are all of \
             them."
        }
        (ErrorKind::PermissionDenied, true) => {
            "Ports below 1024 want CAP_NET_BIND_SERVICE (systemd \
             AmbientCapabilities=CAP_NET_BIND_SERVICE, docker run --cap-add NET_BIND_SERVICE), or \
             set another port."
        }
        (ErrorKind::PermissionDenied, false) => {
            "Let the user that runs weft write into that folder, or set another one."
        }
        (ErrorKind::NotFound, false) => "Make that folder, or set another one.",
        (_, _) => "Set another address.",
    }
}

fn place_of(address: &config::Address) -> io::Address {
    match address {
        config::Address::Tcp(address) => io::Address::Tcp(*address),
        config::Address::Unix(path) => io::Address::Unix(path.clone()),
    }
}

/// Whether a connection to one of these may reach a socket at the other. Whoever has claimed one of
/// them keeps everybody else from both, so the other need not be claimed: it could not be.
fn overlap(one: &config::Address, other: &config::Address) -> bool {
    let (config::Address::Tcp(one), config::Address::Tcp(other)) = (one, other) else {
        return false;
    };
    let is_any = |address: &SocketAddr| address.ip().is_unspecified();
    one.port() == other.port()
        && one.port() != 0
        && one.is_ipv4() == other.is_ipv4()
        && (is_any(one) || is_any(other))
}

/// [`bind_all`], again and again until `deadline` while somebody else listens there.
fn bind_in_time(
    address: &config::Address,
    count: usize,
    is_ours: bool,
    deadline: Instant,
) -> std::io::Result<Vec<OwnedFd>> {
    loop {
        match bind_all(address, count, is_ours) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && clock::now() < deadline => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "a start waits here, or a reload aside: never a shard"
                )]
                thread::sleep(PAUSE);
            }
            done => return done,
        }
    }
}

/// A socket of its own for each shard; for a Unix path, duplicates of one.
fn bind_all(
    address: &config::Address,
    count: usize,
    is_ours: bool,
) -> std::io::Result<Vec<OwnedFd>> {
    let (place, backlog) = (place_of(address), limits::LISTEN_BACKLOG);
    match &place {
        io::Address::Tcp(_) => {
            let first = match is_ours {
                true => io::bind(&place, backlog),
                false => io::claim(&place, backlog),
            }?;
            // Port 0 lets the kernel choose, once for all shards.
            let chosen = socket2::SockRef::from(&first).local_addr()?.as_socket();
            let place = chosen.map_or(place, io::Address::Tcp);
            let others = (1..count).map(|_| io::bind(&place, backlog));
            std::iter::once(Ok(first)).chain(others).collect()
        }
        io::Address::Unix(path) => {
            io::remove_stale(path)?;
            let socket = io::bind(&place, backlog)?;
            (0..count).map(|_| socket.try_clone()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_overlaps_the_addresses_of_its_family_and_port() {
        let parse = |text: &str| config::Address::Tcp(text.parse().expect("an address"));
        for (one, other, expected) in [
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("[::1]:80", "[::]:80", true),
            ("127.0.0.1:80", "0.0.0.0:81", false),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:0", "0.0.0.0:0", false),
            ("0.0.0.0:80", "[::]:80", false),
        ] {
            let (one, other) = (parse(one), parse(other));
            assert_eq!(overlap(&one, &other), expected, "{one} {other}");
            assert_eq!(overlap(&other, &one), expected, "{other} {one}");
        }
        let path = config::Address::Unix("/run/a.sock".into());
        assert!(!overlap(&path, &path));
    }
}
