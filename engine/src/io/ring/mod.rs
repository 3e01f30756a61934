//! The io_uring of one shard: set-up with fall-backs, the few operations used, completions.
//!
//! Only the kinds in [`Operation`] can be submitted, and each says who keeps what the kernel may
//! touch: the buffer pool outlives the ring, a connect address stays in its socket's slot until
//! the completion. Sends are not among them: they are direct calls that finish at once, so no
//! outgoing byte is ever lent to the kernel.

pub(crate) mod buffer;
pub mod probe;
mod region;

use std::io::{Error, ErrorKind, Result};
use std::os::fd::RawFd;
use std::time::Duration;

use io_uring::cqueue::{buffer_select, more};
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode, squeue};
use socket2::SockAddr;

use crate::limits;

/// What a completion is for: packed into the 64 bits that the kernel hands back.
///
/// The generation tells a completion of a socket that is gone from one of its slot's next owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) generation: u16,
    pub(crate) socket: u32,
}

/// The kinds of completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Accept,
    Connect,
    /// A cancel or a close: nothing waits for it.
    Forgotten,
    Receive,
    /// Another thread woke a task.
    Remote,
    Writable,
}

impl Token {
    pub(crate) const fn new(kind: Kind, generation: u16, socket: u32) -> Self {
        Self {
            kind,
            generation,
            socket,
        }
    }

    const fn pack(self) -> u64 {
        (self.kind as u64) << 48 | (self.generation as u64) << 32 | self.socket as u64
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "each field is masked by its width"
    )]
    const fn unpack(bits: u64) -> Self {
        let kind = match (bits >> 48) as u8 {
            0 => Kind::Accept,
            1 => Kind::Connect,
            3 => Kind::Receive,
            4 => Kind::Remote,
            5 => Kind::Writable,
            _ => Kind::Forgotten,
        };
        Self {
            kind,
            generation: (bits >> 32) as u16,
            socket: bits as u32,
        }
    }
}

/// What can be asked of the ring.
pub(crate) enum Operation<'a> {
    /// Accept until cancelled.
    Accept {
        fd: RawFd,
    },
    /// End the operation that was submitted under `target`.
    Cancel {
        target: Token,
    },
    Close {
        fd: RawFd,
    },
    /// *Lends* `address`: it must stay in place until the completion.
    Connect {
        fd: RawFd,
        address: &'a SockAddr,
    },
    /// Receive into the pool until cancelled or the pool is empty.
    Receive {
        fd: RawFd,
    },
    /// Tell each time `fd` becomes readable.
    Watch {
        fd: RawFd,
    },
    /// Tell once when `fd` takes bytes again.
    Writable {
        fd: RawFd,
    },
}

/// One completion, copied out of the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) token: Token,
    /// As the kernel gives it: a count, a descriptor, or a negated errno.
    pub(crate) result: i32,
    /// The operation goes on and will complete again.
    pub(crate) more: bool,
    /// The first block of the pool that was filled.
    pub(crate) block: Option<u16>,
}

/// The ring of one shard.
pub(crate) struct Ring {
    uring: IoUring,
    /// Receives may fill several blocks at once (kernel 6.10).
    bundles: bool,
    /// Receives end by themselves after so many bytes (kernel 6.17).
    receive_limit: bool,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("bundles", &self.bundles)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Create the ring on the calling thread, which must be the only one to use it.
    ///
    /// Deferred and cooperative task running are worth about 3 us a request (fewer inter-processor
    /// interrupts); a kernel without them gets a plain ring.
    ///
    /// *Errors:* what `io_uring_setup` says; `probe` turns it into advice.
    pub(crate) fn new() -> Result<Self> {
        let tuned = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_submit_all()
            .setup_clamp()
            .setup_cqsize(limits::RING_COMPLETIONS)
            .dontfork()
            .build(limits::RING_SUBMISSIONS);
        let uring = match tuned {
            Err(error) if error.kind() == ErrorKind::InvalidInput => IoUring::builder()
                .setup_clamp()
                .setup_cqsize(limits::RING_COMPLETIONS)
                .dontfork()
                .build(limits::RING_SUBMISSIONS)?,
            other => other?,
        };
        let bundles = uring.params().is_feature_recvsend_bundle();
        Ok(Self {
            uring,
            bundles,
            receive_limit: true,
        })
    }

    /// Lend `pool`'s blocks to the kernel.
    pub(crate) fn register(&self, pool: &buffer::Pool) -> Result<()> {
        let (address, count) = pool.registration();
        let submitter = self.uring.submitter();
        // JUSTIFICATION: there is no other way to lend the kernel a buffer ring.
        // SAFETY: the memory is mapped, page-aligned and holds `count` entries. The driver closes
        // the ring, after all operations have completed, before it lets go of the pool.
        unsafe { submitter.register_buf_ring_with_flags(address, count, buffer::GROUP, 0) }
    }

    /// Receives are submitted with a limit.
    pub(crate) fn limits_receives(&self) -> bool {
        self.receive_limit
    }

    /// This kernel knows no limit of a receive: do without. Backpressure then cancels the receive
    /// when too much is unread, which can overshoot by what the kernel had buffered.
    pub(crate) fn give_up_receive_limit(&mut self) {
        self.receive_limit = false;
    }

    /// Queue an operation for the next [`Ring::wait`]. A full queue is submitted first.
    pub(crate) fn push(&mut self, token: Token, operation: &Operation<'_>) {
        let entry = self.entry(operation).user_data(token.pack());
        // JUSTIFICATION: submission is unsafe in the crate for any operation.
        // SAFETY: every operation's memory outlives it, as `Operation` says for each kind.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            if let Err(error) = self.uring.submit() {
                assert!(retry(&error), "the ring took no submission: {error}");
            }
        }
    }

    fn entry(&self, operation: &Operation<'_>) -> squeue::Entry {
        match *operation {
            Operation::Accept { fd } => opcode::AcceptMulti::new(Fd(fd))
                .flags(libc_flags::SOCK_CLOEXEC)
                .build(),
            Operation::Cancel { target } => opcode::AsyncCancel::new(target.pack())
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS),
            Operation::Close { fd } => opcode::Close::new(Fd(fd))
                .build()
                .flags(squeue::Flags::SKIP_SUCCESS),
            Operation::Connect { fd, address } => {
                opcode::Connect::new(Fd(fd), address.as_ptr().cast(), address.len()).build()
            }
            Operation::Receive { fd } => {
                let entry = if self.bundles {
                    opcode::RecvMultiBundle::new(Fd(fd), buffer::GROUP).build()
                } else {
                    opcode::RecvMulti::new(Fd(fd), buffer::GROUP).build()
                };
                if self.receive_limit {
                    limited(entry)
                } else {
                    entry
                }
            }
            Operation::Watch { fd } => opcode::PollAdd::new(Fd(fd), libc_flags::POLLIN)
                .multi(true)
                .build(),
            Operation::Writable { fd } => opcode::PollAdd::new(Fd(fd), libc_flags::POLLOUT).build(),
        }
    }

    /// Submit what is queued, wait at most `timeout` for one completion (`None` = without limit,
    /// zero = not at all), and move all completions to `out`.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>, out: &mut Vec<Completion>) {
        let waited = match timeout {
            None => self.uring.submitter().submit_and_wait(1),
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                let args = SubmitArgs::new().timespec(&timespec);
                self.uring.submitter().submit_with_args(1, &args)
            }
        };
        if let Err(error) = waited {
            assert!(retry(&error), "waiting on the ring failed: {error}");
        }
        out.extend(self.uring.completion().map(|entry| Completion {
            token: Token::unpack(entry.user_data()),
            result: entry.result(),
            more: more(entry.flags()),
            block: buffer_select(entry.flags()),
        }));
    }
}

/// A standing receive that ends by itself after [`limits::RECEIVED_BYTES_MAX`] bytes, so that a
/// reader that stalls holds no more, whatever the kernel has buffered.
fn limited(mut entry: squeue::Entry) -> squeue::Entry {
    /// Where `struct io_uring_sqe` of the kernel's interface has `optlen`.
    const OPTLEN: usize = 44;
    const LIMIT: u32 = limits::RECEIVED_BYTES_MAX as u32;
    const _: () = assert!(size_of::<squeue::Entry>() == 64);
    let field = (&raw mut entry)
        .cast::<u8>()
        .wrapping_add(OPTLEN)
        .cast::<u32>();
    // JUSTIFICATION: the crate does not offer the field; without the limit one stalled reader was
    // seen to hold 0.7 MB.
    // SAFETY: `Entry` is `repr(C)` around the kernel's 64-byte structure, so bytes 44 to 48 lie
    // inside it and are the plain number `optlen`, aligned as the structure is (8).
    unsafe { field.write(LIMIT) };
    entry
}

/// Whether the call may simply be made again: a signal, the timeout, or a full completion queue
/// that the caller is about to empty.
fn retry(error: &Error) -> bool {
    const AGAIN: [i32; 4] = [
        rustix::io::Errno::INTR.raw_os_error(),
        rustix::io::Errno::TIME.raw_os_error(),
        rustix::io::Errno::BUSY.raw_os_error(),
        rustix::io::Errno::AGAIN.raw_os_error(),
    ];
    error
        .raw_os_error()
        .is_some_and(|code| AGAIN.contains(&code))
}

/// The few constants of the C library's headers that the ring takes as plain numbers.
mod libc_flags {
    pub(super) const SOCK_CLOEXEC: i32 = 0o2_000_000;
    pub(super) const POLLIN: u32 = 1;
    pub(super) const POLLOUT: u32 = 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_the_kernel() {
        let kinds = [
            Kind::Accept,
            Kind::Connect,
            Kind::Forgotten,
            Kind::Receive,
            Kind::Remote,
            Kind::Writable,
        ];
        for kind in kinds {
            for (generation, socket) in [(0, 0), (u16::MAX, u32::MAX), (7, 9)] {
                let token = Token::new(kind, generation, socket);
                assert_eq!(Token::unpack(token.pack()), token);
            }
        }
    }
}
