//! A socket with a cipher: received runs are opened on their way in, queued bytes sealed on their
//! way out.
//!
//! ```text
//!   in    block of the kernel -> open -> run of content
//!   out   send queue -> seal, a record at a time, into the shard's scratch -> send
//!                                       what the kernel does not take -> unsent
//! ```
//!
//! Only what the kernel did not take stays with the socket, so an idle connection holds no buffer.
//! The cipher runs in the driver, where a panic would end the shard: here it ends the connection.

use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::send::{SEND_FLAGS, SendQueue};
use crate::io::Buf;
use crate::io::cipher::{Cipher, Opened};
use crate::limits;

/// Memory that the sockets of a shard use in turn.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Content of one record, gathered from segments.
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

/// A socket's cipher and what goes with it.
#[derive(Debug)]
pub(crate) struct Secured {
    /// `None` once it has panicked: what it would say then is not to be relied on.
    cipher: Option<Box<dyn Cipher>>,
    opened: Opened,
    /// Sealed bytes that the kernel has not taken; those before `sent` it has.
    unsent: Vec<u8>,
    sent: usize,
    /// The peer knows that nothing follows.
    is_finished: bool,
}

impl Secured {
    /// Whoever opens a connection speaks first: there may be something to send at once.
    pub(crate) fn new(cipher: Box<dyn Cipher>) -> Self {
        let mut secured = Self {
            cipher: Some(cipher),
            opened: Opened::More,
            unsent: Vec::new(),
            sent: 0,
            is_finished: false,
        };
        secured.opened = secured.open_run(&mut [], &mut Vec::new());
        secured
    }

    /// Whether more may be received.
    pub(crate) const fn opened(&self) -> Opened {
        self.opened
    }

    /// The cipher had a bug.
    pub(crate) const fn has_panicked(&self) -> bool {
        self.cipher.is_none()
    }

    /// Sealed bytes that wait for the kernel.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent.len() - self.sent
    }

    /// Opens a run; gives its content, if it has any. There may be something to send afterwards.
    pub(crate) fn open(&mut self, run: Buf) -> Option<Buf> {
        if self.opened != Opened::More {
            return None;
        }
        let mut plain = Vec::new();
        self.opened = run.edit(|sealed| self.open_run(sealed, &mut plain));
        (!plain.is_empty()).then(|| Buf::from_vec(plain))
    }

    fn open_run(&mut self, sealed: &mut [u8], plain: &mut Vec<u8>) -> Opened {
        let reply = &mut self.unsent;
        ask(&mut self.cipher, |cipher| cipher.open(sealed, plain, reply)).unwrap_or(Opened::Broken)
    }

    /// Seals and sends what is queued, then, if `finish`, the notice that nothing follows.
    /// `Ok(false)` = the kernel takes no more now.
    pub(crate) fn send(
        &mut self,
        mut queue: Option<&mut SendQueue>,
        finish: bool,
        fd: BorrowedFd<'_>,
        scratch: &mut Scratch,
    ) -> Result<bool, Errno> {
        if !self.send_unsent(fd)? {
            return Ok(false);
        }
        loop {
            scratch.sealed.clear();
            if let Some(queue) = &mut queue {
                self.seal(queue, scratch)?;
            }
            let is_last = queue.as_ref().is_none_or(|queue| queue.bytes() == 0);
            if is_last && finish {
                self.finish(&mut scratch.sealed);
            }
            // FIN rides on the notice.
            let mut flags = SEND_FLAGS;
            flags.set(SendFlags::MORE, is_last && finish);
            let sent = send_all(fd, &scratch.sealed, flags)?;
            if sent < scratch.sealed.len() {
                self.unsent.extend_from_slice(&scratch.sealed[sent..]);
                return Ok(false);
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// Seals the front of the queue, a few records at a time, so that the scratch stays cached.
    fn seal(&mut self, queue: &mut SendQueue, scratch: &mut Scratch) -> Result<(), Errno> {
        while queue.bytes() > 0 && scratch.sealed.len() < limits::SEAL_BATCH_BYTES {
            let front = queue.front(&mut scratch.plain, limits::SEAL_RECORD_BYTES);
            let sealed = &mut scratch.sealed;
            let outcome = ask(&mut self.cipher, |cipher| cipher.seal(front, sealed));
            outcome.and_then(Result::ok).ok_or(Errno::PIPE)?;
            let taken = front.len();
            queue.sent(taken);
        }
        Ok(())
    }

    /// Appends the notice that nothing follows, once.
    fn finish(&mut self, sealed: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_finished, true) && self.opened != Opened::Broken {
            ask(&mut self.cipher, |cipher| cipher.finish(sealed));
        }
    }

    fn send_unsent(&mut self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        self.sent += send_all(fd, &self.unsent[self.sent..], SEND_FLAGS)?;
        if self.sent < self.unsent.len() {
            return Ok(false);
        }
        (self.unsent, self.sent) = (Vec::new(), 0);
        Ok(true)
    }
}

/// Asks the cipher, and gives it up if it panics.
fn ask<T>(
    cipher: &mut Option<Box<dyn Cipher>>,
    question: impl FnOnce(&mut dyn Cipher) -> T,
) -> Option<T> {
    let asked = cipher.as_deref_mut()?;
    let answer = catch_unwind(AssertUnwindSafe(|| question(asked)));
    if answer.is_err() {
        *cipher = None;
    }
    answer.ok()
}

/// Hands `bytes` to the kernel; how many it took.
fn send_all(fd: BorrowedFd<'_>, bytes: &[u8], flags: SendFlags) -> Result<usize, Errno> {
    let mut sent = 0;
    while sent < bytes.len() {
        match send(fd, &bytes[sent..], flags) {
            Ok(count) => sent += count,
            Err(Errno::AGAIN) => break,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}
