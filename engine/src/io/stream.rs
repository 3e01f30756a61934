//! A connected socket: runs of received bytes in, copied bytes and received runs out.
//!
//! Every method takes `&self`, so that one task can relay in both directions. Reading and writing
//! each have one waiter at a time. Dropping a stream sends what the kernel takes at once, cancels
//! what is pending and closes; await [`Stream::drained`] first where the rest matters.

use std::future::poll_fn;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::io::Errno;

use super::address::Address;
use super::cipher::Cipher;
use super::clock::Instant;
use super::driver::secured::Secured;
use super::driver::socket::{Afterwards, Reader, Receive, Role, Sending, Socket, remember};
use super::driver::{self, Driver};
use super::ring::buffer::Buf;
use super::ring::{Kind, Operation, Token};

/// A connected stream socket of this shard.
#[derive(Debug)]
pub struct Stream {
    driver: Rc<Driver>,
    index: u32,
}

impl Stream {
    /// Take over a connected socket, for example one that another shard accepted.
    pub fn from_fd(fd: OwnedFd) -> Self {
        let driver = driver::current();
        let index = driver.insert(fd, Role::Connected);
        Self { driver, index }
    }

    /// Connect to `address`. Dropping the future abandons the attempt.
    ///
    /// *Errors:* as `connect(2)`. *Cost:* two system calls and one ring entry.
    pub async fn connect(address: &Address) -> Result<Self> {
        let driver = driver::current();
        let socket = address.socket()?;
        let target = Box::new(address.to_kernel()?);
        let index = driver.insert(socket.into(), Role::Connecting(target));
        let stream = Self { driver, index };
        stream.with(|socket| {
            if let Role::Connecting(address) = &socket.role {
                let operation = Operation::Connect {
                    fd: socket.raw(),
                    address,
                };
                let token = Token::new(Kind::Connect, socket.generation, index);
                stream.driver.submit(token, &operation);
                socket.pending += 1;
            }
        });
        poll_fn(|cx| stream.poll_connected(cx)).await?;
        Ok(stream)
    }

    fn poll_connected(&self, cx: &Context<'_>) -> Poll<Result<()>> {
        self.with(|socket| match &socket.role {
            Role::Connecting(_) => {
                remember(&mut socket.reader, cx.waker());
                Poll::Pending
            }
            Role::ConnectFailed(error) => Poll::Ready(Err(Error::from(*error))),
            Role::Connected | Role::Listening(_) => Poll::Ready(Ok(())),
        })
    }

    /// Put `cipher` between the socket and this stream, in both directions. What was received and
    /// not taken goes through it as well. Whoever sets it must have queued nothing in the clear.
    pub fn secure(&self, cipher: Box<dyn Cipher>) {
        self.with(|socket| {
            debug_assert_eq!(socket.queued(), 0, "queued in the clear");
            socket.secure(Box::new(Secured::new(cipher)));
            if socket.has_reply() {
                self.driver.list(self.index, socket);
            }
        });
    }

    /// Resolves when `ready` gives something, which is asked whenever bytes or the end arrived; or
    /// with `None` once no more can come.
    pub async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> Option<T> {
        poll_fn(|cx| {
            if let Some(value) = ready() {
                return Poll::Ready(Some(value));
            }
            self.with(|socket| {
                if socket.end().is_some() {
                    return Poll::Ready(None);
                }
                if socket.receive == Receive::Off && socket.has_room() {
                    self.driver.start_receive(self.index, socket);
                }
                remember(&mut socket.reader, cx.waker());
                Poll::Pending
            })
        })
        .await
    }

    fn with<T>(&self, act: impl FnOnce(&mut Socket) -> T) -> T {
        let mut sockets = self.driver.sockets.borrow_mut();
        // The slot lives as long as this handle, its only owner.
        act(&mut sockets[self.index as usize])
    }

    /// The peer's address; `None` for a Unix socket. *Cost:* one system call.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.with(|socket| {
            socket2::SockRef::from(socket.fd()?)
                .peer_addr()
                .ok()?
                .as_socket()
        })
    }

    /// Our address; `None` for a Unix socket. *Cost:* one system call.
    pub fn local(&self) -> Option<SocketAddr> {
        self.with(|socket| {
            socket2::SockRef::from(socket.fd()?)
                .local_addr()
                .ok()?
                .as_socket()
        })
    }

    /// The next run of received bytes; `None` when the peer has closed its sending side.
    ///
    /// Receiving stops while more than [`crate::limits::RECEIVED_BYTES_MAX`] bytes are unread.
    ///
    /// *Errors:* the connection was reset or timed out.
    pub async fn recv(&self) -> Result<Option<Buf>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`Stream::recv`] for use inside a poll.
    pub fn poll_recv(&self, cx: &Context<'_>) -> Poll<Result<Option<Buf>>> {
        self.with(|socket| {
            let buf = socket.pop();
            if socket.receive == Receive::Off && socket.has_room() {
                self.driver.start_receive(self.index, socket);
            }
            if let Some(buf) = buf {
                return Poll::Ready(Ok(Some(buf)));
            }
            match socket.end() {
                Some(end) => Poll::Ready(end.map(|()| None).map_err(Error::from)),
                None => {
                    remember(&mut socket.reader, cx.waker());
                    Poll::Pending
                }
            }
        })
    }

    /// Put `buf` back: the next [`Stream::recv`] gives it.
    pub fn unread(&self, buf: Buf) {
        if !buf.is_empty() {
            self.with(|socket| socket.prepend(buf));
        }
    }

    /// Open, and nothing received. An idle connection must be quiet to be used again: a byte
    /// before the request would be taken for its answer.
    ///
    /// Holds from the first receive on; before that nothing is known.
    pub fn quiet(&self) -> bool {
        self.with(|socket| {
            socket.received.is_empty()
                && socket.end().is_none()
                && !matches!(socket.sending, Sending::Failed(_))
        })
    }

    /// Ready when the connection is no longer [`Stream::quiet`], for whoever begins something with
    /// what comes: while the shard lags, what is under way goes first.
    pub fn poll_closed_or_readable(&self, cx: &Context<'_>) -> Poll<()> {
        let is_quiet = self.quiet();
        self.with(|socket| socket.reads = if is_quiet { Reader::Idle } else { Reader::Busy });
        if !is_quiet {
            return Poll::Ready(());
        }
        self.with(|socket| {
            if socket.receive == Receive::Off {
                self.driver.start_receive(self.index, socket);
            }
            remember(&mut socket.reader, cx.waker());
        });
        Poll::Pending
    }

    /// Lets others go on before this connection begins again with what it has received: those that
    /// are ready, and while the shard lags those that came before.
    pub async fn others_first(&self) {
        let mut has_asked = false;
        poll_fn(|cx| {
            self.with(|socket| {
                if std::mem::replace(&mut has_asked, true) {
                    socket.reads = Reader::Busy;
                    return Poll::Ready(());
                }
                remember(&mut socket.reader, cx.waker());
                if !self.driver.begins_later(self.index, socket) {
                    socket.wake_reader();
                }
                Poll::Pending
            })
        })
        .await;
    }

    /// The peer was asked not to come again before `until`. If it does, and others do so until the
    /// shard lags, what it sends does not begin before that.
    pub fn rest(&self, until: Instant) {
        self.with(|socket| socket.rests_until = until);
    }

    /// Queue the bytes that `fill` appends. For heads and chunk lines; bodies go by
    /// [`Stream::push`]. `fill` must not touch this shard's I/O.
    pub fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        self.with(|socket| {
            let queue = socket.queue.get_or_insert_with(|| self.driver.take_queue());
            queue.write(fill);
            self.driver.list(self.index, socket);
        });
    }

    /// Queue received bytes without copying them.
    pub fn push(&self, buf: Buf) {
        self.with(|socket| {
            let queue = socket.queue.get_or_insert_with(|| self.driver.take_queue());
            queue.push(buf);
            self.driver.list(self.index, socket);
        });
    }

    /// Bytes queued that the kernel has not taken. What is queued leaves at the end of the batch.
    pub fn queued(&self) -> usize {
        self.with(|socket| socket.queued())
    }

    /// Resolves when at most `below` bytes are queued; 0 = the kernel has taken everything.
    ///
    /// *Errors:* the connection failed; the queued bytes are lost.
    pub async fn drained(&self, below: usize) -> Result<()> {
        poll_fn(|cx| self.poll_drained(cx, below)).await
    }

    /// [`Stream::drained`] for use inside a poll.
    pub fn poll_drained(&self, cx: &Context<'_>, below: usize) -> Poll<Result<()>> {
        self.with(|socket| {
            if let Sending::Failed(error) = socket.sending {
                return Poll::Ready(Err(Error::from(error)));
            }
            if socket.queued() <= below {
                return Poll::Ready(Ok(()));
            }
            socket.writer_below = below;
            remember(&mut socket.writer, cx.waker());
            Poll::Pending
        })
    }

    /// Send FIN after what is queued; receiving goes on.
    pub fn shutdown_send(&self) {
        self.with(|socket| {
            socket.afterwards = Afterwards::Finish;
            self.driver.list(self.index, socket);
        });
    }

    /// Whether a cipher stands between the socket and this stream.
    pub fn is_secured(&self) -> bool {
        self.with(|socket| socket.secured.is_some())
    }

    /// Close when the kernel has taken what is queued, and keep only the handle; for a peer that
    /// sends nothing more: what comes to a closed socket is answered by a reset, which may destroy
    /// what the peer has not read. Saves a packet and a turn of the ring against
    /// [`Stream::shutdown_send`]. Await [`Stream::drained`] to know that it was taken.
    pub fn close_when_sent(&self) {
        self.with(|socket| {
            socket.afterwards = Afterwards::Close;
            self.driver.list(self.index, socket);
        });
    }

    /// Drop what is queued, and have the close send RST: the peer must not take what it has for
    /// the whole.
    pub fn reset(&self) {
        self.with(|socket| reset(&self.driver, self.index, socket));
    }

    /// A way to end the connection from outside of the task that has it.
    pub fn cutter(&self) -> Cutter {
        Cutter {
            index: self.index,
            generation: self.with(|socket| socket.generation),
        }
    }

    /// Whether somebody has used a [`Cutter`].
    pub fn is_cut(&self) -> bool {
        self.with(|socket| socket.is_cut())
    }
}

/// Ends a connection of this shard from outside of the task that has it. Does not keep it open.
#[derive(Clone, Copy, Debug)]
pub struct Cutter {
    index: u32,
    generation: u16,
}

impl Cutter {
    /// Ends it at once: what is queued or was received is dropped, whoever waits to read or to
    /// write is told that it failed, and the close sends RST. Nothing happens to one that is
    /// closed; who holds this for longer than 65,535 other connections must know that it is not.
    pub fn cut(self) {
        let driver = driver::current();
        let mut sockets = driver.sockets.borrow_mut();
        let found = sockets.get_mut(self.index as usize);
        if let Some(socket) = found.filter(|socket| socket.generation == self.generation) {
            reset(&driver, self.index, socket);
            socket.cut();
        }
    }
}

fn reset(driver: &Driver, index: u32, socket: &mut Socket) {
    socket.afterwards = Afterwards::Open;
    if let Some(queue) = &mut socket.queue {
        queue.clear();
    }
    if let Some(fd) = socket.fd() {
        let zero = Some(std::time::Duration::ZERO);
        // Fails only on a socket that is gone already.
        let _ = socket2::SockRef::from(fd).set_linger(zero);
    }
    if socket.sending == Sending::Blocked {
        let room = Token::new(Kind::Writable, socket.generation, index);
        driver.cancel(room);
    }
    // Also when it was blocked: nothing may follow, least of all a FIN.
    if !matches!(socket.sending, Sending::Failed(_)) {
        socket.sending = Sending::Failed(Errno::PIPE);
    }
    socket.wake_writer();
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.driver.release(self.index);
    }
}
