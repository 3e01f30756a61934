//! One socket of a shard as the driver sees it: what has arrived, what is to leave, which
//! operations the kernel still holds.
//!
//! A slot is freed only when its handle is gone *and* the last completion of every operation has
//! arrived: an operation owns its descriptor and memory until then, also when nobody waits.
//!
//! ```text
//!   receive:  Off --arm--> Armed --too much unread--> Cancelling --completion--> Off
//!                            |--pool empty--> Starved --blocks free--> Armed
//!                            |--FIN--> Ended      |--error--> Failed
//! ```

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::task::Waker;

use rustix::io::Errno;
use socket2::SockAddr;

use super::secured::{Scratch, Secured};
use super::send::SendQueue;
use crate::io::{Buf, Instant, Opened};
use crate::limits;

/// Where receiving stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receive {
    Off,
    Armed,
    Cancelling,
    Starved,
    Ended,
    Failed(Errno),
}

/// Why nothing is sent any more on a connection that was cut; the kernel says this of accepts only.
const CUT: Errno = Errno::CONNABORTED;

/// Where sending stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// Nothing to do.
    Idle,
    /// Listed for the end of the batch.
    Listed,
    /// The kernel's buffer is full; a `Writable` operation is pending.
    Blocked,
    Failed(Errno),
}

/// What the reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// More of what it has begun with.
    Busy,
    /// Something to begin with.
    Idle,
    /// Its turn to begin.
    Queued,
}

/// What comes behind the last queued byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// More, or nothing.
    Open,
    /// FIN; receiving goes on.
    Finish,
    /// The close, which sends FIN as well.
    Close,
}

/// What the socket is for.
#[derive(Debug)]
pub(crate) enum Role {
    /// Lends its address to the kernel until the completion.
    Connecting(Box<SockAddr>),
    ConnectFailed(Errno),
    Connected,
    Listening(Box<Accepted>),
}

/// Connections accepted by the kernel and not yet taken.
#[derive(Debug, Default)]
pub(crate) struct Accepted {
    pub(crate) sockets: VecDeque<OwnedFd>,
    pub(crate) error: Option<Errno>,
    pub(crate) armed: bool,
}

/// Room for further runs that a connection keeps after a burst.
const RUNS_KEPT: usize = 8;

/// Runs that have arrived and were not taken, in order. Nearly always there is none or one, which
/// takes no memory beside the slot.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// `None` only when `rest` is empty too.
    first: Option<Buf>,
    rest: VecDeque<Buf>,
}

impl Runs {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn count(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    fn push(&mut self, run: Buf) {
        if self.first.is_none() {
            self.first = Some(run);
        } else {
            self.rest.push_back(run);
        }
    }

    fn push_front(&mut self, run: Buf) {
        if let Some(second) = self.first.replace(run) {
            self.rest.push_front(second);
        }
    }

    fn pop(&mut self) -> Option<Buf> {
        let run = self.first.take()?;
        self.first = self.rest.pop_front();
        if self.rest.is_empty() && self.rest.capacity() > RUNS_KEPT {
            self.rest = VecDeque::new();
        }
        Some(run)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    fn release_blocks(&mut self) {
        for run in self.first.iter_mut().chain(&mut self.rest) {
            if run.holds_block() {
                *run = run.to_heap();
            }
        }
    }
}

/// A slot of the driver.
#[derive(Debug)]
pub(crate) struct Socket {
    /// `None` once closing: the descriptor is then owned by a close operation.
    fd: Option<OwnedFd>,
    pub(crate) generation: u16,
    /// Operations whose last completion has not arrived.
    pub(crate) pending: u8,
    /// The handle is gone; free the slot when nothing is pending.
    pub(crate) orphan: bool,
    pub(crate) afterwards: Afterwards,
    pub(crate) receive: Receive,
    /// The receive was armed with a limit, which older kernels refuse.
    pub(crate) limited: bool,
    pub(crate) sending: Sending,
    pub(crate) reads: Reader,
    /// Until when its peer was asked not to come again.
    pub(crate) rests_until: Instant,
    pub(crate) role: Role,
    pub(crate) received: Runs,
    pub(crate) received_bytes: usize,
    pub(crate) queue: Option<Box<SendQueue>>,
    pub(crate) secured: Option<Box<Secured>>,
    /// Wake the writer when the queue is at most this.
    pub(crate) writer_below: usize,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
}

impl Socket {
    pub(crate) fn new(fd: OwnedFd, generation: u16, role: Role) -> Self {
        Self {
            fd: Some(fd),
            generation,
            pending: 0,
            orphan: false,
            afterwards: Afterwards::Open,
            receive: Receive::Off,
            limited: false,
            sending: Sending::Idle,
            reads: Reader::Busy,
            rests_until: Instant::default(),
            role,
            received: Runs::default(),
            received_bytes: 0,
            queue: None,
            secured: None,
            writer_below: 0,
            reader: None,
            writer: None,
        }
    }

    /// The descriptor for an operation; -1 (which every operation refuses) once closing.
    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    pub(crate) fn fd(&self) -> Option<&OwnedFd> {
        self.fd.as_ref()
    }

    /// It has not been closed.
    pub(crate) fn is_open(&self) -> bool {
        self.fd.is_some()
    }

    /// Give the descriptor to whoever closes it.
    pub(crate) fn take_fd(&mut self) -> Option<OwnedFd> {
        self.fd.take()
    }

    pub(crate) fn queued(&self) -> usize {
        let unsent = self.secured.as_ref().map_or(0, |secured| secured.unsent());
        self.queue
            .as_ref()
            .map_or(unsent, |queue| queue.bytes() + unsent)
    }

    /// The cipher has something to say, which nobody queued.
    pub(crate) fn has_reply(&self) -> bool {
        let secured = self.secured.as_ref();
        secured.is_some_and(|secured| secured.unsent() > 0)
    }

    /// Somebody else ended it: nothing more is read or written.
    pub(crate) fn is_cut(&self) -> bool {
        self.sending == Sending::Failed(CUT)
    }

    /// Ends it for whoever reads and writes. What was received is dropped.
    pub(crate) fn cut(&mut self) {
        self.sending = Sending::Failed(CUT);
        self.received.clear();
        self.received_bytes = 0;
        self.wake_writer();
        self.wake_reader();
    }

    /// The peer is to be told that nothing follows, unless the connection is lost or reset.
    pub(crate) fn owes_notice(&self) -> bool {
        self.secured.is_some() && !matches!(self.sending, Sending::Failed(_))
    }

    /// Where reading ends once all that was received has been taken: `None` while more may come.
    pub(crate) fn end(&self) -> Option<Result<(), Errno>> {
        if self.is_cut() {
            return Some(Err(Errno::CONNRESET));
        }
        let opened = self.secured.as_ref().map(|secured| secured.opened());
        match (opened, self.receive) {
            (Some(Opened::Finished), _) | (None, Receive::Ended) => Some(Ok(())),
            // A FIN without the peer's notice may be anybody's: what came may be cut short.
            (Some(Opened::Broken), _) | (Some(Opened::More), Receive::Ended) => {
                Some(Err(Errno::CONNRESET))
            }
            (_, Receive::Failed(error)) => Some(Err(error)),
            (
                None | Some(Opened::More),
                Receive::Off | Receive::Armed | Receive::Cancelling | Receive::Starved,
            ) => None,
        }
    }

    /// More is unread than may stay so.
    pub(crate) fn is_swollen(&self) -> bool {
        self.received_bytes > limits::RECEIVED_BYTES_MAX
            || self.received.count() > limits::RECEIVED_RUNS_MAX
    }

    /// Little enough is unread for receiving to go on.
    pub(crate) fn has_room(&self) -> bool {
        self.received_bytes <= limits::RECEIVED_BYTES_RESUME
            && self.received.count() <= limits::RECEIVED_RUNS_RESUME
    }

    /// Take the next run. The caller re-arms the receive when enough has been taken.
    pub(crate) fn pop(&mut self) -> Option<Buf> {
        let buf = self.received.pop()?;
        self.received_bytes -= buf.len();
        Some(buf)
    }

    /// Take a run as it came from the kernel.
    pub(crate) fn receive_run(&mut self, run: Buf) {
        if self.is_cut() {
            return;
        }
        match &mut self.secured {
            None => self.append(run),
            Some(secured) => {
                if let Some(content) = secured.open(run) {
                    self.append(content);
                }
            }
        }
    }

    /// Hold no block for what is small: it may be long until somebody takes it.
    pub(crate) fn release_blocks(&mut self) {
        if self.received_bytes <= limits::BODY_COPY_BYTES_MAX {
            self.received.release_blocks();
        }
    }

    /// Put a cipher before all that was not taken yet.
    pub(crate) fn secure(&mut self, secured: Box<Secured>) {
        self.secured = Some(secured);
        let mut early = std::mem::take(&mut self.received);
        self.received_bytes = 0;
        while let Some(run) = early.pop() {
            self.receive_run(run);
        }
    }

    fn append(&mut self, buf: Buf) {
        self.received_bytes += buf.len();
        self.received.push(buf);
    }

    pub(crate) fn prepend(&mut self, buf: Buf) {
        self.received_bytes += buf.len();
        self.received.push_front(buf);
    }

    /// Hand queued bytes to the kernel and follow up with FIN when asked. A close is the caller's.
    ///
    /// Returns the send queue for reuse once it is empty, and leaves `sending` as `Blocked` when
    /// the caller must watch for room.
    pub(crate) fn send(&mut self, scratch: &mut Scratch) -> Option<Box<SendQueue>> {
        if let Sending::Failed(_) = self.sending {
            return self.discard();
        }
        let Some(fd) = &self.fd else {
            // Closed under its handle: what is written now has nowhere to go.
            self.sending = Sending::Failed(Errno::PIPE);
            return self.discard();
        };
        self.sending = Sending::Idle;
        let is_last = self.afterwards != Afterwards::Open;
        let queue = self.queue.as_deref_mut();
        let sent = match (&mut self.secured, queue) {
            (Some(secured), queue) => secured.send(queue, is_last, fd.as_fd(), scratch),
            (None, Some(queue)) => queue.send(fd.as_fd(), is_last),
            (None, None) => Ok(true),
        };
        match sent {
            Ok(true) => {}
            Ok(false) => {
                self.sending = Sending::Blocked;
                return None;
            }
            Err(error) => {
                self.sending = Sending::Failed(error);
                return self.discard();
            }
        }
        if self.afterwards == Afterwards::Finish {
            // An error means the connection is gone, which the receive reports.
            let _ = rustix::net::shutdown(fd, rustix::net::Shutdown::Write);
            self.afterwards = Afterwards::Open;
        }
        self.queue.take()
    }

    fn discard(&mut self) -> Option<Box<SendQueue>> {
        let mut queue = self.queue.take()?;
        queue.clear();
        Some(queue)
    }

    /// Tell the writer, if the queue has fallen to what it waits for or will never.
    pub(crate) fn wake_writer(&mut self) {
        let failed = matches!(self.sending, Sending::Failed(_));
        if (failed || self.queued() <= self.writer_below)
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }

    /// Tell the reader. Its waker stays: the same task will most likely wait again.
    pub(crate) fn wake_reader(&self) {
        if let Some(reader) = &self.reader {
            reader.wake_by_ref();
        }
    }
}

/// Keep `waker` in `slot`, without the cost of a clone when it is there already.
pub(crate) fn remember(slot: &mut Option<Waker>, waker: &Waker) {
    if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
        *slot = Some(waker.clone());
    }
}
