//! A listening socket of this shard: connections accepted by one standing operation.
//!
//! In: an address, or a socket bound elsewhere. Out: connected sockets, as descriptors that may be
//! sent to another shard. Closing gives back what the kernel had accepted already, so that no
//! client whose connect succeeded is lost. Does not decide who may come in (`accept` does).

use std::collections::VecDeque;
use std::fs;
use std::future::poll_fn;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::net::{Shutdown, SocketFlags};
use socket2::{SockRef, Socket};

use super::address::Address;
use super::driver::socket::{Role, remember};
use super::driver::{self, Driver};
use super::ring::{Kind, Operation, Token};

/// A listening socket. Accepting goes on in the kernel while nobody waits; what was accepted is
/// kept until it is taken, bounded by the descriptors of the process.
#[derive(Debug)]
pub struct Listener {
    driver: Rc<Driver>,
    index: u32,
}

/// Bind and listen, on any thread, beside other sockets of this process: a TCP socket gets
/// `SO_REUSEPORT`, so that each shard has its own and the kernel spreads connections. A Unix socket
/// has one queue: bind it once and give each shard a duplicate. Accepted connections send without
/// waiting for acknowledgements (`TCP_NODELAY`, which they inherit): what a server streams must not
/// wait for the client's.
///
/// *Errors:* as `bind(2)` and `listen(2)`.
pub fn bind(address: &Address, backlog: u32) -> Result<OwnedFd> {
    let socket = unbound(address)?;
    share(&socket, address)?;
    listen(socket, address, backlog)
}

/// The first socket of a process at an address, to which [`bind`] adds others: it listens only
/// where nobody else does, neither another process nor this one. Two processes that share a port by
/// `SO_REUSEPORT` would each get a part of the connections, and neither would know.
///
/// *Errors:* `AddrInUse` when somebody listens there, also on one of the addresses that a wildcard
/// stands for; else as `bind(2)` and `listen(2)`.
pub fn claim(address: &Address, backlog: u32) -> Result<OwnedFd> {
    let socket = listen(unbound(address)?, address, backlog)?;
    // Only now: of two processes that have bound it at the same moment, one may listen.
    share(&SockRef::from(&socket), address)?;
    Ok(socket)
}

fn unbound(address: &Address) -> Result<Socket> {
    let socket = address.socket()?;
    if let Address::Tcp(address) = address {
        // Connections of a process before this one may still be ending.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
    }
    Ok(socket)
}

fn share(socket: &Socket, address: &Address) -> Result<()> {
    match address {
        Address::Tcp(_) => socket.set_reuse_port(true),
        Address::Unix(_) => Ok(()),
    }
}

fn listen(socket: Socket, address: &Address, backlog: u32) -> Result<OwnedFd> {
    socket.bind(&address.to_kernel()?)?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Remove the file of a Unix socket on which nobody listens any more, so that it can be bound
/// again. What else is there stays, and the bind says that the address is in use.
///
/// *Errors:* as `unlink(2)`.
pub fn remove_stale(path: &Path) -> Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    let address = Address::Unix(path.to_owned());
    let socket = address.socket()?;
    // One whose queue is full is in use, and would have us wait.
    socket.set_nonblocking(true)?;
    match socket.connect(&address.to_kernel()?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Listener {
    /// [`bind`] on this shard.
    pub fn bind(address: &Address, backlog: u32) -> Result<Self> {
        bind(address, backlog).map(Self::from_fd)
    }

    /// Take over a listening socket.
    pub fn from_fd(fd: OwnedFd) -> Self {
        let driver = driver::current();
        let index = driver.insert(fd, Role::Listening(Box::default()));
        Self { driver, index }
    }

    /// The bound address, with the port that the kernel chose; `None` for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        let sockets = self.driver.sockets.borrow();
        let fd = sockets[self.index as usize].fd()?;
        SockRef::from(fd).local_addr().ok()?.as_socket()
    }

    /// The next connection. It can be sent to another shard and adopted by `Stream::from_fd`.
    ///
    /// *Errors:* as `accept(2)`: out of descriptors or memory. Wait a little and call again; the
    /// connection stays in the kernel's queue.
    pub async fn accept(&self) -> Result<OwnedFd> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Stop listening, and give the connections that the kernel had accepted already: a client
    /// whose connect succeeded must be served.
    pub async fn close(self) -> Vec<OwnedFd> {
        let mut waiting = self.stop_listening();
        waiting.extend(poll_fn(|cx| self.poll_closed(cx)).await);
        waiting
    }

    /// Empty the kernel's queue, then have it refuse what comes later.
    fn stop_listening(&self) -> Vec<OwnedFd> {
        let mut waiting = Vec::new();
        let sockets = self.driver.sockets.borrow();
        let socket = &sockets[self.index as usize];
        if let Some(fd) = socket.fd() {
            if rustix::io::ioctl_fionbio(fd, true).is_ok() {
                while let Ok(connection) = rustix::net::accept_with(fd, SocketFlags::CLOEXEC) {
                    waiting.push(connection);
                }
            }
            // Fails only on a socket that does not listen any more (one shared with a shard that
            // was faster).
            let _ = rustix::net::shutdown(fd, Shutdown::Both);
        }
        let is_armed = matches!(&socket.role, Role::Listening(accepted) if accepted.armed);
        if is_armed {
            // A Unix socket's accept does not end by the shutdown.
            let standing = Token::new(Kind::Accept, socket.generation, self.index);
            self.driver.cancel(standing);
        }
        waiting
    }

    /// What the standing accept had taken, once it has ended.
    fn poll_closed(&self, cx: &Context<'_>) -> Poll<VecDeque<OwnedFd>> {
        let mut sockets = self.driver.sockets.borrow_mut();
        let socket = &mut sockets[self.index as usize];
        match &mut socket.role {
            Role::Listening(accepted) if accepted.armed => {
                remember(&mut socket.reader, cx.waker());
                Poll::Pending
            }
            Role::Listening(accepted) => Poll::Ready(std::mem::take(&mut accepted.sockets)),
            Role::Connecting(_) | Role::ConnectFailed(_) | Role::Connected => {
                Poll::Ready(VecDeque::new())
            }
        }
    }

    fn poll_accept(&self, cx: &Context<'_>) -> Poll<Result<OwnedFd>> {
        let mut sockets = self.driver.sockets.borrow_mut();
        let socket = &mut sockets[self.index as usize];
        let fd = socket.raw();
        let generation = socket.generation;
        let Role::Listening(accepted) = &mut socket.role else {
            return Poll::Ready(Err(ErrorKind::InvalidInput.into()));
        };
        if let Some(connection) = accepted.sockets.pop_front() {
            return Poll::Ready(Ok(connection));
        }
        if let Some(error) = accepted.error.take() {
            return Poll::Ready(Err(Error::from(error)));
        }
        if !accepted.armed {
            accepted.armed = true;
            socket.pending += 1;
            let token = Token::new(Kind::Accept, generation, self.index);
            self.driver.submit(token, &Operation::Accept { fd });
        }
        remember(&mut socket.reader, cx.waker());
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.driver.release(self.index);
    }
}
