//! Listening sockets: opened for all shards before any of them hears of a new listener.
//!
//! A door belongs to an address, not to a name: a listener that is renamed keeps its sockets, and
//! with them the connections that wait in their queues. A new address is bound before anything else
//! happens to a configuration, so that one that is taken is an error like any other.

use std::collections::HashSet;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::{StartError, placement};
use crate::config::{self, Config};
use crate::io;
use crate::limits;

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

    /// Binds every listener whose address is not `open`, once for each shard. A port that the
    /// kernel chose is written into the configuration.
    ///
    /// *Errors:* the first listener that cannot be bound; what was bound before it is closed.
    pub fn add(
        config: &mut Config,
        shard_count: usize,
        open: &HashSet<config::Address>,
    ) -> Result<Vec<Vec<Door>>, BindError> {
        let mut by_shard: Vec<Vec<Door>> = (0..shard_count).map(|_| Vec::new()).collect();
        for (place, listener) in config.listeners.iter_mut().enumerate() {
            if open.contains(&listener.address) {
                continue;
            }
            let bound = bind_all(&listener.address, shard_count).map_err(|error| BindError {
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
            let address = match &listener.address {
                config::Address::Tcp(address) => io::Address::Tcp(*address),
                config::Address::Unix(path) => io::Address::Unix(path.clone()),
            };
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

/// A socket of its own for each shard; for a Unix path, duplicates of one.
fn bind_all(address: &config::Address, count: usize) -> std::io::Result<Vec<OwnedFd>> {
    match address {
        config::Address::Tcp(tcp) => {
            // A port that somebody else shares with SO_REUSEPORT would take half our clients.
            drop(std::net::TcpListener::bind(tcp)?);
            let first = io::bind(&io::Address::Tcp(*tcp), limits::LISTEN_BACKLOG)?;
            // Port 0 lets the kernel choose, once for all shards.
            let chosen = std::net::TcpListener::from(first.try_clone()?).local_addr()?;
            let address = io::Address::Tcp(chosen);
            let others = (1..count).map(|_| io::bind(&address, limits::LISTEN_BACKLOG));
            std::iter::once(Ok(first)).chain(others).collect()
        }
        config::Address::Unix(path) => {
            remove_stale(path)?;
            let socket = io::bind(&io::Address::Unix(path.clone()), limits::LISTEN_BACKLOG)?;
            (0..count).map(|_| socket.try_clone()).collect()
        }
    }
}

/// Remove the socket file of a process that is gone. One that still answers is left, and the bind
/// then says that the address is in use.
fn remove_stale(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}
