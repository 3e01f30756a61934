//! Where to listen and where to connect: TCP over IPv4 and IPv6, and Unix stream sockets.

use std::fmt;
use std::io::Result;
use std::net::SocketAddr;
use std::path::PathBuf;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// The address of a listener or an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// IPv4 or IPv6 address and port.
    Tcp(SocketAddr),
    /// Path of a Unix stream socket.
    Unix(PathBuf),
}

impl Address {
    /// A new socket of the right family. Its calls may wait; the ring does not need it otherwise.
    pub(crate) fn socket(&self) -> Result<Socket> {
        let (domain, protocol) = match self {
            Self::Tcp(SocketAddr::V4(_)) => (Domain::IPV4, Some(Protocol::TCP)),
            Self::Tcp(SocketAddr::V6(_)) => (Domain::IPV6, Some(Protocol::TCP)),
            Self::Unix(_) => (Domain::UNIX, None),
        };
        let socket = Socket::new(domain, Type::STREAM, protocol)?;
        if protocol.is_some() {
            // Heads and last chunks must not wait for an acknowledgement (Nagle, RFC 896).
            socket.set_tcp_nodelay(true)?;
        }
        Ok(socket)
    }

    /// *Errors:* a Unix path longer than 107 bytes.
    pub(crate) fn to_kernel(&self) -> Result<SockAddr> {
        match self {
            Self::Tcp(address) => Ok(SockAddr::from(*address)),
            Self::Unix(path) => SockAddr::unix(path),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
